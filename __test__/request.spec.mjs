// The Request that a handler gets, beside one of the host's made by hand: the same members, results and errors; and the exported class.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp } from './support/connect.mjs';
import { collectGarbage } from './support/gc.mjs';
import { killPrograms, run } from './support/program.mjs';
import { handshake } from './support/raw-client.mjs';
import { connectTo, exchange, readResponse, request } from './support/raw-http.mjs';
import { isBunRuntime, isOracle, mantou, serve } from './support/target.mjs';

afterEach(cleanUp);
afterEach(killPrograms);

const Host = globalThis.Request;
const later = () => new Promise((resolve) => setTimeout(resolve));

/** What `look(req)` gives inside a handler; the request goes on until it has. */
async function seenBy(look, sent = request('GET', '/')) {
  const looks = calls('a look at the request');
  const server = serve({
    development: false,
    async fetch(req, own) {
      looks(await look(req, own));
      return new Response();
    },
    error(error) {
      looks(error);
      return new Response();
    },
  });
  await exchange(server, sent);
  const [result] = looks.all[0];
  if (result instanceof Error) throw result;
  return result;
}

/** What a call gives or throws, with promises waited for. */
async function outcome(act) {
  try {
    return { value: await act() };
  } catch (error) {
    return { error: error.constructor.name, name: error.name, message: error.message };
  }
}

const FORM = 'application/x-www-form-urlencoded';
/** Requests over the wire, and what the same looks like by hand. */
const SENT = {
  'a GET': [request('GET', '/path?q=1', { 'x-mine': '1' }), ['http://localhost/path?q=1', { headers: { 'x-mine': '1' } }]],
  'a POST of text': [
    request('POST', '/', { 'content-type': 'text/plain' }, 'häß😀'),
    ['http://localhost/', { method: 'POST', body: 'häß😀', headers: { 'content-type': 'text/plain' } }],
  ],
  'a PUT of JSON': [
    request('PUT', '/', { 'content-type': 'application/json' }, '{"a":[1,"é"]}'),
    ['http://localhost/', { method: 'PUT', body: '{"a":[1,"é"]}', headers: { 'content-type': 'application/json' } }],
  ],
  'a PATCH of a form': [
    request('PATCH', '/', { 'content-type': FORM }, 'a=1&b=%C3%A9'),
    ['http://localhost/', { method: 'PATCH', body: 'a=1&b=%C3%A9', headers: { 'content-type': FORM } }],
  ],
  'a POST of bytes that are no UTF-8': [
    request('POST', '/', { 'content-type': 'application/octet-stream' }, Buffer.from([0xef, 0xbb, 0xbf, 97, 0xff])),
    [
      'http://localhost/',
      { method: 'POST', body: new Uint8Array([0xef, 0xbb, 0xbf, 97, 0xff]), headers: { 'content-type': 'application/octet-stream' } },
    ],
  ],
  'a DELETE without a body': [request('DELETE', '/'), ['http://localhost/', { method: 'DELETE' }]],
};
/** What only one that came over the wire has. */
const WIRE = ['host', 'content-length', 'transfer-encoding'];

const fieldsOf = (headers) => [...headers].filter(([name]) => !WIRE.includes(name));

/** What can be done with a request; the result is compared, where it is not Bun's own affair how it differs. */
const DONE = {
  'its properties': ({ method, url, headers, body, bodyUsed, cache, destination, integrity, mode, redirect, referrerPolicy, duplex }) => [
    [method, url, fieldsOf(headers), body === null, bodyUsed],
    [cache, destination, integrity, mode, redirect, referrerPolicy, duplex],
  ],
  'its keys': (req) => {
    const keys = [];
    for (const key in req) keys.push(key);
    return [Reflect.ownKeys(req).filter((key) => typeof key === 'string'), keys.sort()];
  },
  text: (req) => req.text(),
  json: (req) => req.json(),
  // One made by hand may have none: Node 20.3.
  bytes: async (req) => [...(req.bytes === undefined ? new Uint8Array(await req.arrayBuffer()) : await req.bytes())],
  arrayBuffer: async (req) => {
    const buffer = await req.arrayBuffer();
    return [buffer instanceof ArrayBuffer, ...new Uint8Array(buffer)];
  },
  blob: async (req) => {
    const blob = await req.blob();
    return [blob.size, blob.type, await blob.text()];
  },
  formData: async (req) => [...(await req.formData())],
  'text twice': async (req) => [await req.text(), req.bodyUsed, await outcome(() => req.text())],
  'json after text': async (req) => [await req.text(), await outcome(() => req.json())],
  'clone after text': async (req) => {
    await req.text();
    return outcome(async () => req.clone().text());
  },
  'the body after text': async (req) => {
    await req.text();
    return [req.body === null, req.body?.locked, req.bodyUsed];
  },
  'text of a locked body': (req) => {
    req.body?.getReader();
    return req.text();
  },
  'the same body each time': (req) => {
    const { body } = req;
    return [body === req.body, req.bodyUsed];
  },
  'a reader of the body': async (req) => {
    const chunks = [];
    for await (const chunk of req.body ?? []) chunks.push(chunk);
    return [Buffer.concat(chunks).toString(), chunks.every((chunk) => chunk instanceof Uint8Array), req.bodyUsed];
  },
  'text of clone and original': async (req) => {
    const clone = req.clone();
    return [clone.method, clone.url, fieldsOf(clone.headers), await clone.text(), await req.text(), req.bodyUsed, clone.bodyUsed];
  },
  'a clone of a clone': async (req) => req.clone().clone().text(),
  'clone of a locked body': async (req) => {
    req.body?.getReader();
    return outcome(async () => req.clone().text());
  },
  'headers set': (req) => {
    req.headers.set('x-new', '1');
    req.headers.delete('content-type');
    return fieldsOf(req.headers);
  },
  'headers set before and after a copy': async (req) => {
    req.headers.set('x-new', '1');
    const first = new Request(req.clone());
    req.headers.set('x-new', '2');
    const second = new Request(req);
    return [first.headers.get('x-new'), second.headers.get('x-new'), req.headers.get('x-new')];
  },
  'a type set before blob': async (req) => {
    req.headers.set('content-type', 'text/x-mine');
    return (await req.blob()).type;
  },
  'a copy': async (req) => {
    const copy = new Request(req);
    return [copy.method, copy.url, fieldsOf(copy.headers), await copy.text()];
  },
  'a copy of a used one': async (req) => {
    await req.text();
    return outcome(async () => new Request(req).text());
  },
  'a copy with another method and body': async (req) => {
    const copy = new Request(req, { method: 'POST', body: 'other', headers: { 'x-other': '1' } });
    return [copy.method, copy.url, fieldsOf(copy.headers).filter(([name]) => name !== 'content-type'), await copy.text()];
  },
  'another URL with it as init': async (req) => {
    const copy = new Request('http://elsewhere/', req);
    return [copy.method, copy.url, fieldsOf(copy.headers), await copy.text()];
  },
  'a copy with the exported class': async (req) => {
    const copy = new (mantou.Request ?? Request)(req);
    return [copy instanceof Request, copy.method, copy.url, fieldsOf(copy.headers), await copy.text()];
  },
  'a copy with a class that extends Request': async (req) => {
    class Mine extends Request {
      get isMine() {
        return true;
      }
    }
    const copy = new Mine(req);
    return [copy.isMine, copy instanceof Mine, req instanceof Mine, copy.url, await copy.text()];
  },
  'structuredClone fails': (req) => outcome(() => Object.keys(structuredClone(req)).length),
  'properties of its own': (req) => {
    Object.defineProperty(req, 'url', { value: 'mine' });
    Object.assign(req, { extra: 1 });
    return [req.url, req.extra, Object.keys(req), JSON.stringify(req)];
  },
  'assignment to a member': (req) => {
    assert.throws(() => {
      req.method = 'PUT';
    }, TypeError);
    return req.method;
  },
  'what it is': (req) => [
    req instanceof Request,
    req instanceof Response,
    req.constructor === Request,
    Object.prototype.toString.call(req),
    req.constructor.name,
    typeof req.then,
  ],
};

/** In Bun, one over the wire and one made by hand differ in these. */
const OF_BUN = ['blob', 'a type set before blob', 'text of a locked body', 'a copy of a used one'];

describe('a request', () => {
  for (const [what, act] of Object.entries(DONE)) {
    if (isBunRuntime && OF_BUN.includes(what)) continue;
    for (const [kind, [sent, made]] of Object.entries(SENT)) {
      test(`of a handler and one made by hand: ${what}, with ${kind}`, async () => {
        const ours = await seenBy((req) => outcome(() => act(req)), sent);
        const theirs = await outcome(() => act(new Request(...made)));

        assert.deepEqual(ours, theirs);
      });
    }
  }

  test('is shown as one made by hand', { skip: isOracle && 'the oracle shows its own way' }, async () => {
    if (Host.prototype[inspect.custom] === undefined) return;

    const shown = await seenBy((req) => inspect(req));

    assert.match(shown, /^Request \{\n {2}method: 'GET',\n {2}url: 'http:\/\/localhost\/'/);
  });

  test('has every member of the class, of the same kind', async () => {
    const shapes = (object) =>
      Reflect.ownKeys(Host.prototype).map((key) => {
        let owner = object;
        while (owner !== null && !Object.hasOwn(owner, key)) owner = Object.getPrototypeOf(owner);
        const { value, get, set, ...flags } = Object.getOwnPropertyDescriptor(owner, key);
        const part = (member) => (typeof member === 'function' ? `${member.name}/${member.length}` : typeof member);
        return [String(key), { ...flags, value: part(value), get: part(get), set: part(set) }];
      });

    const [ours, theirs] = [await seenBy(shapes), shapes(new Host('http://a/'))];

    assert.deepEqual(Object.fromEntries(ours), Object.fromEntries(theirs));
  });

  for (const method of ['text', 'json', 'clone']) {
    test(`has a ${method}() that fails without it as the host's does`, async () => {
      const detached = await seenBy((req) => outcome(() => req[method].call({})));

      assert.deepEqual(detached, await outcome(() => Host.prototype[method].call({})));
    });
  }

  test('can be handed to fetch()', async () => {
    const upstream = serve({
      fetch: async (req) => new Response(`${req.method} ${new URL(req.url).pathname} ${req.headers.get('x-mine')} ${await req.text()}`),
    });
    const proxy = serve({ fetch: (req) => fetch(req) });
    const client = await connectTo(proxy);
    const Host = `127.0.0.1:${upstream.port}`;

    client.write(request('GET', '/get', { Host, 'x-mine': '1' }));
    assert.equal((await readResponse(client)).text, 'GET /get 1 ');
    client.write(request('POST', '/post', { Host, 'x-mine': '2' }, 'a body'));
    assert.equal((await readResponse(client)).text, 'POST /post 2 a body');
  });

  test('can be handed to fetch() as an init', async () => {
    const upstream = serve({ fetch: async (req) => new Response(`${req.method} ${req.headers.get('x-mine')} ${await req.text()}`) });
    const proxy = serve({ fetch: (req) => fetch(`http://127.0.0.1:${upstream.port}/`, req) });
    const client = await connectTo(proxy);

    client.write(request('POST', '/post', { 'x-mine': '2' }, 'a body'));

    assert.equal((await readResponse(client)).text, 'POST 2 a body');
  });

  for (const [what, copied, sent = request('GET', '/')] of [
    ['new Request()', (req) => new globalThis.Request(req)],
    ['new Request() with an init', (req) => new globalThis.Request(req, { headers: { 'x-mine': '1' } })],
    ['clone()', (req) => req.clone()],
    ['clone(), with a body', (req) => req.clone(), request('POST', '/', {}, 'a body')],
    ['the exported class', (req) => new (mantou.Request ?? Request)(req)],
  ]) {
    for (const path of ['/', '/route']) {
      test(`aborts its copy by ${what} when the client leaves, also once nobody has the request itself${path === '/' ? '' : ', of a route'}`, async () => {
        const copies = calls('a copy');
        const aborts = calls('abort');
        const handle = (req) => {
          copies(copied(req));
          return new Promise(() => {});
        };
        const server = serve({ fetch: handle, routes: { '/route': handle } });
        const client = await connectTo(server);
        client.write(String(sent).replace(' / ', ` ${path} `));
        const [copy] = await copies.next();
        copy.signal.addEventListener('abort', () => aborts(copy.signal.aborted, copy.signal.reason.name));
        await collectGarbage();

        client.reset();

        assert.deepEqual(await aborts.next(), [true, 'AbortError']);
      });
    }
  }

  test('aborts its clone when the WebSocket it became closes, also once nobody has the request itself', async () => {
    const copies = calls('a copy');
    const aborts = calls('abort');
    const server = serve({
      fetch(req, own) {
        const copy = req.clone();
        own.upgrade(req);
        copies(copy);
      },
      websocket: {},
    });
    const client = await connectTo(server);
    client.write(handshake());
    const [copy] = await copies.next();
    copy.signal.addEventListener('abort', () => aborts(copy.signal.reason.name));
    assert.equal((await client.response()).status, 101);
    await collectGarbage();
    assert.equal(copy.signal.aborted, false);

    client.destroy();

    assert.deepEqual(await aborts.next(), ['AbortError']);
  });

  test('aborts what it was handed to when its client leaves, which is no error of the handler', async () => {
    const reached = calls('upstream');
    const upstream = serve({
      fetch() {
        reached();
        return new Promise(() => {});
      },
    });
    const proxy = run(`
      const server = serve({
        development: false,
        async fetch(req, own) {
          own.stop();
          try {
            return await fetch('http://127.0.0.1:${upstream.port}/', { signal: req.signal });
          } catch (error) {
            print(error.name);
            throw error;
          }
        },
      });
      print(server.port);
    `);
    const client = await connectTo({ port: Number(await proxy.line()) });
    client.write(request('GET', '/'));
    await reached.next();

    client.destroy();

    assert.equal(await proxy.line(), 'AbortError');
    const { code, stderr } = await proxy.exited();
    assert.deepEqual([code, stderr], [0, '']);
  });

  test('a copy follows the signal of its original', async () => {
    const aborts = calls('abort');
    const copied = calls('a copy');
    const server = serve({
      fetch(req) {
        copied(new Request(req), req.clone());
        return new Promise(() => {});
      },
    });
    const client = await connectTo(server);
    client.write(request('GET', '/'));
    for (const copy of await copied.next()) copy.signal.addEventListener('abort', () => aborts());

    client.destroy();

    await aborts.count(2);
  });

  test('a copy that is made when its original has aborted has aborted for the same reason', async () => {
    const arrived = calls('a request');
    const copied = calls('the copies');
    const server = serve({
      fetch(req) {
        arrived();
        req.signal.addEventListener('abort', () => copied(req.signal.reason, new Request(req), req.clone()));
        return new Promise(() => {});
      },
    });
    const client = await connectTo(server);
    client.write(request('GET', '/'));
    await arrived.next();

    client.destroy();

    const [reason, ...copies] = await copied.next();
    for (const { signal } of copies) {
      assert.equal(signal.aborted, true);
      assert.equal(signal.reason, reason);
      assert.throws(() => signal.throwIfAborted(), reason);
    }
  });

  test('is not known for a copy or a clone by the server', async () => {
    const known = await seenBy((req, server) => [req, req.clone(), new Request(req.clone())].map((one) => server.requestIP(one) !== null));

    assert.deepEqual(known, [true, false, false]);
  });

  for (const read of ['text', 'json', 'arrayBuffer', 'bytes']) {
    test(`that has come in part is read whole by ${read}()`, async () => {
      const arrived = calls('a request');
      const server = serve({
        async fetch(req) {
          const reading = req[read]();
          arrived();
          const value = await reading;
          return Response.json(typeof value === 'number' ? value : Number(new TextDecoder().decode(Buffer.from(value))));
        },
      });
      const client = await connectTo(server);
      client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n123');
      await arrived.next();
      client.write('456');

      assert.equal((await readResponse(client)).text, '123456');
    });
  }

  test('gives its bytes also once its body was looked at', async () => {
    const [sent] = SENT['a POST of text'];
    const bytes = await seenBy((req) => {
      assert.ok(req.body);
      return req.bytes();
    }, sent);

    assert.ok(bytes instanceof Uint8Array);
    assert.equal(new TextDecoder().decode(bytes), 'häß😀');
  });

  test('that was read is not there for a copy', async () => {
    const outcomes = await seenBy(
      async (req) => [await req.text(), req.bodyUsed, await outcome(() => new Request(req)), await outcome(() => req.text())],
      request('POST', '/', {}, 'once'),
    );

    const [text, isUsed, copy, again] = outcomes;
    // Bun makes one without a body.
    const refusal = differs('host-classes') ? 'TypeError' : undefined;
    assert.deepEqual([text, isUsed, copy.name, again.name], ['once', true, refusal, 'TypeError']);
  });

  // With `mantou/register` the global class is mantou's, which has the getter from the host.
  const skip = !Object.hasOwn(Host.prototype, 'body') && 'the class has none of its own';
  test('shows its body to the getter of the class too', { skip }, async () => {
    const { get } = Object.getOwnPropertyDescriptor(Host.prototype, 'body');
    const read = async (req) => {
      const body = get.call(req);
      return [body instanceof ReadableStream, body.locked, await new Response(body).text(), req.bodyUsed];
    };

    assert.deepEqual(await seenBy(read, request('POST', '/', {}, 'a body')), [true, false, 'a body', true]);
  });

  test('has its own method, fields, body and signal, when the same is asked for again and again', async () => {
    const seen = calls('a request');
    const aborts = calls('an abort');
    const server = serve({
      async fetch(req) {
        if (req.headers.get('x-is') === 'waiting') {
          new Request(req).signal.addEventListener('abort', () => aborts());
          seen(req);
          return new Promise(() => {});
        }
        const copy = new Request(req);
        seen([req.url, copy.url, req.method, copy.method, req.headers.get('x-is'), copy.headers.get('x-is')], copy.signal);
        return new Response(await copy.text());
      },
    });
    const [left, stays] = [await connectTo(server), await connectTo(server)];
    left.write(request('GET', '/again', { 'x-is': 'waiting' }));
    await seen.next();
    for (const [method, is, body] of [
      ['GET', '1', ''],
      ['POST', '2', 'a'],
      ['GET', '3', ''],
      ['PUT', '4', 'b'],
    ]) {
      stays.write(request(method, '/again', { 'x-is': is }, body));
      const [parts] = await seen.next();
      const url = 'http://localhost/again';
      assert.deepEqual(parts, [url, url, method, method, is, is]);
      assert.equal((await readResponse(stays)).text, body);
    }

    left.destroy();

    await aborts.next();
    assert.deepEqual(
      seen.all.slice(1).map(([, signal]) => signal.aborted),
      [false, false, false, false],
    );
  });

  test('can be read in pieces and be left half read', async () => {
    const server = serve({
      async fetch(req) {
        const reader = req.body.getReader();
        const { value } = await reader.read();
        await reader.cancel();
        return new Response(value);
      },
    });
    const { client, response } = await exchange(server, request('POST', '/', {}, 'first'));
    client.write(request('POST', '/', {}, 'second'));

    assert.deepEqual([response.text, (await readResponse(client)).text], ['first', 'second']);
  });

  test('can be read into a buffer of the reader', { skip: isOracle && 'no byte stream there' }, async () => {
    const server = serve({
      async fetch(req) {
        const reader = req.body.getReader({ mode: 'byob' });
        const parts = [];
        for (;;) {
          const { done, value } = await reader.read(new Uint8Array(2));
          if (done) break;
          parts.push(Buffer.from(value).toString());
        }
        return new Response(parts.join('|'));
      },
    });

    const { response } = await exchange(server, request('POST', '/', {}, 'abcde'));

    assert.equal(response.text, 'ab|cd|e');
  });

  test('can be read after an await, when all of it has long arrived', async () => {
    const text = await seenBy(
      async (req) => {
        await later();
        return req.text();
      },
      request('POST', '/', {}, 'late'),
    );

    assert.equal(text, 'late');
  });

  for (const read of ['text', 'json', 'arrayBuffer', 'blob']) {
    test(`rejects ${read}() when the client leaves in the middle of the body`, async () => {
      const failures = calls('a failure');
      const reading = calls('reading');
      const server = serve({
        async fetch(req) {
          const result = req[read]();
          reading();
          failures(await result.catch(({ name, message }) => [name, message, req.signal.aborted]));
          return new Response();
        },
      });
      const client = await connectTo(server);
      client.write(request('POST', '/', { 'Content-Length': 100 }, 'abc'));
      await reading.next();

      client.destroy();

      assert.deepEqual(await failures.next(), [['AbortError', 'The connection was closed.', true]]);
    });
  }
});

describe('the url of a request', () => {
  const HOSTS = [
    'a',
    'a.b-c.d0',
    'A.B',
    '127.0.0.1',
    '127.1',
    '0x7f.1',
    '127.0.0.01',
    '1.2.3.256',
    '1.2.3.4.5',
    'a.1',
    'a.0x1',
    'xn--mnchen-3ya.de',
    'a:80',
    'a:443',
    'a:080',
    'a:0',
    'a:65535',
    'a:65536',
    'a:99999',
    'a:8080',
    'a:8',
    'a_b',
    'a..b',
    'a.',
    '-a',
    'a-',
    '[::1]',
    '[::1]:8080',
    '[0:0::1]',
    '%61',
    'a:',
  ];
  const TARGETS = [
    '/',
    '/a/b',
    '/a/./b',
    '/a/../b',
    '/.',
    '/..',
    '/a/.b',
    '/a/..b',
    '/a.b',
    '/a..',
    '/a/..',
    '//a',
    '/a//b/',
    '/%2e/a',
    '/a/%2E%2e/b',
    '/%61%zz',
    '/a;b=c,d@e:f',
    '/a|b^c`d{e}',
    "/a'b",
    '/a"b<c>',
    '/a\\b',
    '/?',
    '/??',
    '/a?b=c&d=/../e.f',
    "/a?b='c'",
    '/a?b="c"<>',
    '/a?b|c^d`e{f}\\',
    '/a?%zz',
    '/~a!$&()*+=-_',
  ];
  const at = (host, target) => `http://${host}${target}`;

  test('is what a URL parser makes of host and target', async () => {
    const server = serve({ fetch: (req) => new Response(req.url) });
    const wanted = [];
    const seen = [];
    for (const [host, target] of [
      ...HOSTS.map((host) => [host, '/a/../b']),
      ...HOSTS.map((host) => [host, '/a']),
      ...TARGETS.map((target) => ['a', target]),
    ]) {
      const { response } = await exchange(server, request('GET', target, { Host: host }));
      if (response.status === 400) continue; // a target that HTTP has no room for
      seen.push([host, target, response.text]);
      const url = at(host, target);
      wanted.push([host, target, URL.canParse(url) ? new URL(url).href : url]);
    }

    assert.deepEqual(seen, wanted);
    assert.ok(seen.length > 80);
  });
});

describe('the exported Request', { skip: isOracle && 'the oracle exports none' }, () => {
  const { Request: Ours } = mantou;

  test('is a Request', async () => {
    const made = new Ours('http://a/', { method: 'POST', body: 'x' });

    assert.ok(made instanceof Ours && made instanceof Host);
    assert.deepEqual([made.method, made.url, await made.text()], ['POST', 'http://a/', 'x']);
    assert.deepEqual(await new Ours('http://a/', { method: 'POST', body: 'x' }).bytes(), new Uint8Array([120]));
    assert.ok(new Host('http://a/') instanceof Ours);
    assert.deepEqual([Ours.name, Ours.length], [Host.name, Host.length]);
    assert.deepEqual(Reflect.ownKeys(made).map(String).sort(), Reflect.ownKeys(new Host('http://a/')).map(String).sort());
  });

  test('is what a handler gets', async () => {
    assert.ok(await seenBy((req) => req instanceof Ours));
  });

  for (const args of [[], [undefined], ['no url'], ['http://a/', { method: 'a b' }], ['http://a/', 5], [{}]]) {
    test(`fails as the host's does with ${inspect(args)}`, async () => {
      assert.deepEqual(await outcome(() => new Ours(...args) && 'made'), await outcome(() => new Host(...args) && 'made'));
    });
  }

  test('can be extended', () => {
    class Mine extends Ours {}

    assert.ok(new Mine('http://a/') instanceof Mine);
    assert.ok(!(new Ours('http://a/') instanceof Mine) && !(new Host('http://a/') instanceof Mine));
  });
});

describe('a handler', () => {
  test('may be a Proxy', async () => {
    const applied = calls('apply');
    const fetch = new Proxy(() => new Response('behind a proxy'), {
      apply(target, self, args) {
        applied(args.length);
        return Reflect.apply(target, self, args);
      },
    });

    const { response } = await exchange(serve({ fetch }), request('GET', '/'));

    assert.deepEqual([response.text, applied.all], ['behind a proxy', [[2]]]);
  });
});
