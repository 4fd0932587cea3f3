// HTTP: what a handler gets, what it may return, and what then goes over the wire.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES } from './support/connect.mjs';
import { held } from './support/held.mjs';
import { killPrograms, run } from './support/program.mjs';
import { RawClient } from './support/raw-client.mjs';
import { connectTo, exchange, readResponse, request } from './support/raw-http.mjs';
import { isOracle, serve } from './support/target.mjs';

afterEach(cleanUp);
afterEach(killPrograms);

const MEGABYTE = 1024 * 1024;
const BIG = randomBytes(20 * MEGABYTE);
const start = (fetch, options) => serve({ development: false, fetch, ...options });
const sha1 = (data) => createHash('sha1').update(data).digest('hex');
/** A later turn of the event loop: what comes after was not there at once. */
const later = () => new Promise((resolve) => setTimeout(resolve));

/** What a server with this handler answers to one request. */
async function answer(fetch, sent = request('GET', '/'), options = {}) {
  return (await exchange(start(fetch, options), sent)).response;
}

/** What a handler saw: `look(req)` runs inside it, its (awaited) result comes back. */
async function seenBy(look, sent) {
  const looks = calls('a look at the request');
  await answer(async (req) => {
    looks(await look(req));
    return new Response();
  }, sent);
  return looks.all[0][0];
}

describe('the request', () => {
  test('is a Request, the second argument and `this` are the server', async () => {
    const seen = [];
    const server = start(function (req, own) {
      seen.push(Object.prototype.toString.call(req), req instanceof Request, this === server, own === server);
      return new Response();
    });

    await exchange(server, request('GET', '/'));

    assert.deepEqual(seen, ['[object Request]', true, true, true]);
  });

  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND', 'PURGE', 'QUERY', 'M-SEARCH']) {
    test(`has the method ${method}`, async () => {
      assert.equal(await seenBy((req) => req.method, request(method, '/')), method);
    });
  }

  for (const method of ['FROBNICATE', 'get', 'Post']) {
    test(`has a method nobody registered: ${method}`, async () => {
      const server = start((req) => new Response(req.method));
      const client = await connectTo(server);

      client.write(request(method, '/'));

      if (differs('any-method')) {
        assert.equal((await readResponse(client)).text, method);
      } else {
        assert.equal(await client.ended(), 'FIN');
        assert.equal(client.bytes.length, 0);
      }
    });
  }

  for (const [what, sent, url] of [
    ['host and path', request('GET', '/path', { Host: 'example.org' }), 'http://example.org/path'],
    ['the port of the Host header', request('GET', '/', { Host: 'example.org:8080' }), 'http://example.org:8080/'],
    ['the host in lower case', request('GET', '/Path', { Host: 'Example.ORG' }), 'http://example.org/Path'],
    ['the query', request('GET', '/p?x=1&y=%20'), 'http://localhost/p?x=1&y=%20'],
    ['the fragment', request('GET', '/p?x=1#there'), 'http://localhost/p?x=1#there'],
    ['dot segments resolved', request('GET', '/a/../b/./c'), 'http://localhost/b/c'],
    ['encoded dot segments resolved', request('GET', '/%2e%2e/a%2Fb'), 'http://localhost/a%2Fb'],
    ['doubled slashes', request('GET', '//x//y'), 'http://localhost//x//y'],
    ['raw bytes percent-encoded', request('GET', '/é?q=é'), 'http://localhost/%C3%A9?q=%C3%A9'],
    ['the Host header before an absolute target', request('GET', 'http://other.example:81/p?q', { Host: 'mine' }), 'http://mine/p?q'],
    ['only the path without a Host header', 'GET /p?q HTTP/1.0\r\n\r\n', '/p?q'],
    ['only the path with an empty Host header', request('GET', '/p', { Host: '' }), '/p'],
    ['only the path with an invalid Host header', request('GET', '/p', { Host: 'a b' }), '/p'],
    ['only the path with credentials in the Host header', request('GET', '/p', { Host: 'user:secret@a' }), '/p'],
    ['only the path with a path in the Host header', request('GET', '/p', { Host: 'a/b?c#d' }), '/p'],
  ]) {
    test(`has a url with ${what}`, async () => {
      assert.equal(await seenBy((req) => req.url, sent), url);
    });
  }

  test('has headers in lower case, in order, with repeated ones joined', async () => {
    const sent = request('GET', '/', { 'X-B': '1', 'x-a': ['1', '2'], Cookie: ['a=1', 'b=2'], 'X-Space': '  a b \t', 'X-Empty': '' });

    assert.deepEqual(await seenBy((req) => [...req.headers], sent), [
      ['cookie', 'a=1; b=2'],
      ['host', 'localhost'],
      ['x-a', '1, 2'],
      ['x-b', '1'],
      ['x-empty', ''],
      ['x-space', 'a b'],
    ]);
  });

  test('has header values of any byte as Latin-1', async () => {
    const sent = Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nX-Name: caf\xe9\r\n\r\n', 'latin1');

    assert.equal(await seenBy((req) => req.headers.get('x-name'), sent), 'café');
  });

  test('has 90 header fields and one of 8000 bytes', async () => {
    const fields = Object.fromEntries(Array.from({ length: 90 }, (_, index) => [`x-${index}`, index]));

    assert.equal(await seenBy((req) => [...req.headers].length, request('GET', '/', fields)), 91);
    assert.equal(await seenBy((req) => req.headers.get('x').length, request('GET', '/', { x: 'a'.repeat(8000) })), 8000);
  });

  test('has the defaults of a Request, and no params or cookies', async () => {
    const seen = await seenBy(({ mode, credentials, cache, redirect, referrer, bodyUsed, params, cookies, signal }) => [
      mode,
      credentials,
      cache,
      redirect,
      referrer,
      bodyUsed,
      params,
      cookies,
      signal.aborted,
    ]);

    assert.deepEqual(seen, ['cors', 'include', 'default', 'follow', '', false, undefined, undefined, false]);
  });

  test('gives the same headers and signal each time', async () => {
    const twice = await seenBy((req) => [
      [req.headers, req.signal],
      [req.headers, req.signal],
    ]);

    for (const index of [0, 1]) assert.equal(twice[0][index], twice[1][index]);
  });

  test('can be cloned and copied', async () => {
    const sent = request('POST', '/path', { 'x-mine': '1' }, 'body');

    assert.deepEqual(
      await seenBy(async (req) => {
        const clone = req.clone();
        const copy = new Request('http://elsewhere/', req);
        return [clone.url, clone.method, await clone.text(), copy.url, copy.method, copy.headers.get('x-mine'), await copy.text()];
      }, sent),
      ['http://localhost/path', 'POST', 'body', 'http://elsewhere/', 'POST', '1', 'body'],
    );
  });

  test('that is kept has a url and headers after its answer', async () => {
    const kept = [];
    const server = start((req) => {
      kept.push(req);
      return new Response();
    });

    const { client } = await exchange(server, request('GET', '/path', { 'x-mine': '1' }));
    client.write(request('GET', '/'));
    await readResponse(client);

    const [{ url, headers }] = kept;
    assert.deepEqual([url, headers?.get('x-mine') ?? null], differs('kept-requests') ? ['http://localhost/path', '1'] : ['', null]);
  });

  test('has a url, method and headers that can be read after an await and after the body', async () => {
    const seen = await seenBy(
      async (req) => {
        await later();
        await req.text();
        return [req.method, req.url, req.headers.get('x-mine')];
      },
      request('POST', '/path', { 'x-mine': '1' }, 'body'),
    );

    assert.deepEqual(seen, ['POST', 'http://localhost/path', '1']);
  });
});

describe('the body of a request', () => {
  const post = (body, headers) => request('POST', '/', headers, body);

  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    test(`reaches a ${method} handler`, async () => {
      assert.deepEqual(await seenBy(async (req) => [req.body === null, await req.text()], request(method, '/', {}, 'hello')), [
        false,
        'hello',
      ]);
    });
  }

  for (const method of ['GET', 'HEAD', 'TRACE']) {
    test(`of a ${method} is discarded, and the next request is understood`, async () => {
      const server = start(async (req) => new Response(`${req.body} ${await req.text()}`, { headers: { 'x-body': String(req.body) } }));
      const { client, response } = await exchange(server, request(method, '/', {}, 'hello'));

      client.write(request('GET', '/'));

      assert.equal(response.header('x-body'), 'null');
      assert.equal((await readResponse(client)).text, 'null ');
    });
  }

  test('of a GET is taken in, however much it is, while its handler works', { timeout: 30_000 }, async () => {
    const { client, answer: finish } = await held({ idleTimeout: 0 }, request('GET', '/', { 'Content-Length': BIG.length }));

    await client.dribble(BIG, MEGABYTE);
    finish(new Response('of no use'));

    assert.equal((await readResponse(client)).text, 'of no use');
  });

  for (const [what, sent] of [
    ['with Content-Length: 0', post('', { 'Content-Length': 0 })],
    ['without framing', post('')],
  ]) {
    test(`${what} is null`, async () => {
      assert.deepEqual(await seenBy(async (req) => [req.body, await req.text()], sent), [null, '']);
    });
  }

  test('as text is decoded from UTF-8', async () => {
    assert.equal(await seenBy((req) => req.text(), post('häß😀')), 'häß😀');
  });

  test('as json', async () => {
    assert.deepEqual(await seenBy((req) => req.json(), post('{"a":[1,"é"]}')), { a: [1, 'é'] });
  });

  test('as json that is none rejects with a SyntaxError', async () => {
    assert.equal(await seenBy((req) => req.json().catch(({ name }) => name), post('{"a":')), 'SyntaxError');
  });

  test('as arrayBuffer', async () => {
    const body = await seenBy((req) => req.arrayBuffer(), post(Buffer.from([0, 255, 128])));

    assert.ok(body instanceof ArrayBuffer);
    assert.deepEqual([...new Uint8Array(body)], [0, 255, 128]);
  });

  test('as blob', async () => {
    const body = await seenBy((req) => req.blob(), post('abc', { 'Content-Type': 'text/plain;charset=utf-8' }));

    assert.deepEqual([body instanceof Blob, body.size, await body.text()], [true, 3, 'abc']);
  });

  test('as blob has the type that the host gives it, where the request has none', async () => {
    const type = await seenBy(async (req) => (await req.blob()).type, post('abc'));

    assert.equal(type, differs('host-classes') ? '' : 'text/plain;charset=utf-8');
  });

  test('as formData, URL-encoded', async () => {
    const sent = post('a=1&b=%C3%A9+x&a=2', { 'Content-Type': 'application/x-www-form-urlencoded' });

    assert.deepEqual(await seenBy(async (req) => [...(await req.formData())], sent), [
      ['a', '1'],
      ['b', 'é x'],
      ['a', '2'],
    ]);
  });

  test('as formData, multipart', async () => {
    const sent = post(
      [
        '--XX',
        'Content-Disposition: form-data; name="field"',
        '',
        'value',
        '--XX',
        'Content-Disposition: form-data; name="upload"; filename="name.txt"',
        'Content-Type: text/plain',
        '',
        'contents',
        '--XX--',
        '',
      ].join('\r\n'),
      { 'Content-Type': 'multipart/form-data; boundary=XX' },
    );

    const form = await seenBy((req) => req.formData(), sent);

    const file = form.get('upload');
    assert.deepEqual([form.get('field'), file.name, await file.text()], ['value', 'name.txt', 'contents']);
  });

  test('as a stream arrives chunk by chunk', async () => {
    const parts = calls('a part of the body');
    const server = start(async (req) => {
      for await (const part of req.body) parts(part);
      return new Response('done');
    });
    const client = await connectTo(server);

    client.write(request('POST', '/', { 'Content-Length': 9 }));
    for (const sent of ['one', 'two', 'six']) {
      client.write(sent);
      const [part] = await parts.next();
      assert.ok(part instanceof Uint8Array);
      assert.equal(Buffer.from(part).toString(), sent);
    }

    assert.equal((await readResponse(client)).text, 'done');
  });

  test('may be chunked', async () => {
    const sent = post('3\r\nabc\r\n2;extension=1\r\nde\r\n0\r\n\r\n', { 'Transfer-Encoding': 'chunked' });

    assert.equal(await seenBy((req) => req.text(), sent), 'abcde');
  });

  test('may arrive byte by byte', async () => {
    const server = start(async (req) => new Response(await req.text()));
    const client = await connectTo(server);

    await client.dribble(post('3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n', { 'Transfer-Encoding': 'chunked' }));

    assert.equal((await readResponse(client)).text, 'abcde');
  });

  test('can be read once', async () => {
    const seen = await seenBy(async (req) => {
      await req.text();
      return [req.bodyUsed, await req.text().catch(({ name }) => name)];
    }, post('abc'));

    assert.deepEqual(seen, [true, 'TypeError']);
  });

  test('can be the body of the response', async () => {
    assert.equal((await answer((req) => new Response(req.body), post('echo'))).text, 'echo');
  });

  test('may be left unread', async () => {
    const server = start(() => new Response('not interested'));
    const { client, response } = await exchange(server, post('x'.repeat(100_000)));

    client.write(request('GET', '/'));

    assert.deepEqual([response.text, (await readResponse(client)).text], ['not interested', 'not interested']);
  });

  test('may still be on its way when the response goes out', async () => {
    const server = start(() => new Response('early'));
    const { client, response } = await exchange(server, post('abc', { 'Content-Length': 6 }));

    client.write('def', request('GET', '/'));

    assert.deepEqual([response.text, (await readResponse(client)).text], ['early', 'early']);
  });

  for (const isLate of [false, true]) {
    test(`is not taken for a shorter one when it is read ${isLate ? 'behind' : 'beside'} the answer, and its client has not left`, async () => {
      const ends = calls('the end of a body');
      let read;
      const server = start(({ body, signal }) => {
        read = async () => {
          let text = '';
          try {
            for await (const piece of body) text += Buffer.from(piece);
          } catch ({ name }) {
            text = name;
          }
          ends(text, signal.aborted);
        };
        if (!isLate) read();
        return new Response();
      });
      await exchange(server, post('abc'));
      if (isLate) read();

      assert.deepEqual(await ends.next(), ['AbortError', false]);
    });
  }

  for (const [what, sent, options] of [
    ['that nobody reads', request('POST', '/', { Expect: '100-continue', 'Content-Length': 3 }), {}],
    ['that is too large', request('POST', '/', { Expect: '100-continue', 'Content-Length': 3 }), { maxRequestBodySize: 2 }],
    [
      'of HTTP/1.0',
      Buffer.from('POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc'),
      {},
    ],
  ]) {
    test(`${what} is not asked for`, async () => {
      const { response } = await exchange(
        start(async () => {
          await later();
          return new Response('x');
        }, options),
        sent,
      );

      assert.equal(response.status === 100, !differs('expect-continue'));
    });
  }

  for (const expectation of ['something-else', '100-continue, something-else', '']) {
    test(`is read when the client expects ${JSON.stringify(expectation)}, which nobody knows`, async () => {
      const { response } = await exchange(
        start(async (req) => new Response(await req.text())),
        post('abc', { Expect: expectation }),
      );

      assert.deepEqual([response.status, response.text], [200, 'abc']);
    });
  }

  test('is asked for with 100 Continue when the client expects that', async () => {
    const server = start(async (req) => new Response(await req.text()));
    const client = await connectTo(server);

    client.write(post('', { Expect: '100-continue', 'Content-Length': 3 }));
    assert.equal((await client.response()).raw, 'HTTP/1.1 100 Continue');
    client.write('abc');

    assert.equal((await readResponse(client)).text, 'abc');
  });

  test('rejects when the client leaves in the middle of it', async () => {
    const failures = calls('a failure');
    const reading = calls('reading');
    const server = start(async (req) => {
      const text = req.text().catch((error) => error);
      reading();
      failures(await text, req.signal.aborted);
      return new Response();
    });
    const client = await connectTo(server);

    client.write(post('abc', { 'Content-Length': 100 }));
    await reading.next();
    client.destroy();

    const [error, isAborted] = await failures.next();
    assert.ok(error instanceof DOMException);
    assert.deepEqual([error.name, error.code, error.message, isAborted], ['AbortError', 20, 'The connection was closed.', true]);
  });

  for (const how of ['destroy', 'halfClose', 'reset']) {
    test(`that breaks off is no error of the handler's (${how})`, async () => {
      const child = run(`
        const server = serve({
          development: false,
          fetch(req, own) {
            own.stop();
            print('fetch');
            return req.text();
          },
        });
        print(server.port);
      `);
      const client = await connectTo({ port: Number(await child.line()) });

      client.write(post('abc', { 'Content-Length': 100 }));
      await child.line();
      client[how]();

      const { code, stderr } = await child.exited();
      assert.deepEqual([code, stderr], [0, '']);
    });
  }
});

describe('req.signal', () => {
  for (const [how, leave] of [
    ['closes the connection', (client) => client.destroy()],
    ['resets the connection', (client) => client.reset()],
  ]) {
    test(`aborts when the client ${how} before the response`, async () => {
      const { client, req } = await held();
      const aborts = calls('abort');
      req.signal.addEventListener('abort', () => aborts(req.signal.reason));

      leave(client);

      const [reason] = await aborts.next();
      assert.ok(reason instanceof DOMException);
      assert.deepEqual([reason.name, reason.code, reason.message], ['AbortError', 20, 'The connection was closed.']);
    });
  }

  for (const [how, leave] of [
    ['ends its half', (client) => client.halfClose()],
    ['resets the connection', (client) => client.reset()],
  ]) {
    for (const [what, length, sent] of [
      ['a small content', 100, 100],
      ['a content of 1 MiB', MEGABYTE, MEGABYTE],
      ['a part of its content', 20 * MEGABYTE, MEGABYTE / 2],
    ]) {
      test(`aborts when the client ${how} behind ${what} that nobody reads`, async () => {
        const { client, req } = await held({ idleTimeout: 0 }, request('POST', '/', { 'Content-Length': length }));
        const aborts = calls('abort');
        req.signal.addEventListener('abort', () => aborts(req.signal.reason.name));

        await client.dribble(BIG.subarray(0, sent), sent);
        leave(client);

        assert.deepEqual(await aborts.next(), ['AbortError']);
      });
    }
  }

  for (const [how, leave] of [
    ['ends its half', (client) => client.halfClose()],
    ['resets the connection', (client) => client.reset()],
  ]) {
    test(`has half a body for a handler that reads it once the client has gone: one that ${how}`, async () => {
      const reads = calls('the end of reading');
      const server = start(async (req) => {
        await new Promise((resolve) => req.signal.addEventListener('abort', resolve));
        await req.text().then(
          (text) => reads(text.length),
          (error) => reads(error.name),
        );
        return new Response();
      });
      const client = await connectTo(server);
      client.write(request('POST', '/', { 'Content-Length': 300_000 }), 'x'.repeat(1000));
      while (server.pendingRequests === 0) await later();

      leave(client);

      assert.deepEqual(await reads.next(), ['AbortError']);
    });
  }

  test('aborts when the client leaves behind content that its handler has read to the end', async () => {
    const aborts = calls('abort');
    const reads = calls('a read');
    const server = start(
      async (req) => {
        req.signal.addEventListener('abort', () => aborts(req.signal.reason.name));
        reads(await req.text());
        return new Promise(() => {});
      },
      { idleTimeout: 0 },
    );
    const client = await connectTo(server);
    client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    while (server.pendingRequests === 0) await later();
    client.write('0\r\n\r\n');
    assert.deepEqual(await reads.next(), ['abc']);

    client.halfClose();

    assert.deepEqual(await aborts.next(), ['AbortError']);
  });

  test('leaves the content whole that came before the client ended its half', {
    skip: !differs('half-close') && 'Bun closes the connection',
  }, async () => {
    const ends = calls('the end of reading');
    const server = start(async (req) => {
      let length = 0;
      try {
        for await (const piece of req.body) {
          length += piece.length;
          await later();
        }
        ends(length);
      } catch (error) {
        ends(error);
      }
      return new Response();
    });
    const client = await connectTo(server);

    await client.dribble(
      Buffer.concat([Buffer.from(request('POST', '/', { 'Content-Length': 3 * MEGABYTE })), BIG.subarray(0, 3 * MEGABYTE)]),
      100_000,
    );
    client.halfClose();

    assert.deepEqual(await ends.next(), [3 * MEGABYTE]);
  });

  test('aborts when the client leaves behind content of which a handler has read the beginning', async () => {
    const aborts = calls('abort');
    const reads = calls('a piece');
    const server = start(
      async (req) => {
        if (req.method === 'GET') return new Response();
        req.signal.addEventListener('abort', () => aborts(req.signal.reason.name));
        await go;
        reads((await req.body.getReader().read()).value.length > 0);
        return new Promise(() => {});
      },
      { idleTimeout: 0 },
    );
    let read;
    const go = new Promise((resolve) => {
      read = resolve;
    });
    const client = await connectTo(server);
    const length = (3 * MEGABYTE) / 2;
    await client.dribble(request('POST', '/', { 'Content-Length': length }, BIG.subarray(0, length)), length + MEGABYTE);
    client.halfClose();
    // Others are served meanwhile: the server has taken what it takes.
    for (let others = 0; others < 20; others++) await exchange(server, request('GET', '/'));

    read();

    assert.deepEqual([...(await reads.next()), ...(await aborts.next())], [true, 'AbortError']);
  });

  test('aborts when the client resets the connection behind more content than is taken in unread', async () => {
    const { client, req } = await held({ idleTimeout: 0 }, request('POST', '/', { 'Content-Length': BIG.length }));
    const aborts = calls('abort');
    req.signal.addEventListener('abort', () => aborts(req.signal.reason.name));
    client.write(BIG);
    // Until the server takes no more.
    for (let before = -1; before !== client.writableLength; await later()) before = client.writableLength;

    client.reset();

    assert.deepEqual(await aborts.next(), ['AbortError']);
  });

  test('has aborted when it is asked for behind the end of the client', async () => {
    const { client, server, req, answer: finish } = await held();
    client.halfClose();
    while (server.requestIP(req) !== null) await later();

    assert.equal(req.signal.aborted, true);
    finish(new Response());
  });

  test('aborts when the client leaves in the middle of a big answer', async () => {
    const aborts = calls('abort');
    const server = start((req) => {
      req.signal.addEventListener('abort', () => aborts(req.signal.reason.name));
      return new Response(BIG);
    });
    const client = await connectTo(server);
    client.pause();

    client.write(request('GET', '/'));
    while (client.bytes.length === 0) {
      client.resume();
      await later();
      client.pause();
    }
    client.reset();

    assert.deepEqual(await aborts.next(), ['AbortError']);
  });

  test('stays quiet after a normal response, also when the connection is closed then', async () => {
    const aborts = calls('abort');
    const signals = [];
    const server = start((req) => {
      signals.push(req.signal);
      req.signal.addEventListener('abort', () => aborts(req.url));
      return req.url.endsWith('/hangs') ? new Promise(() => {}) : new Response('x');
    });
    const { client } = await exchange(server, request('GET', '/answered'));

    client.write(request('GET', '/hangs'));
    while (signals.length < 2) await later();
    client.destroy();

    assert.deepEqual(await aborts.next(), ['http://localhost/hangs']);
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [false, true],
    );
  });

  test('aborts when the client closes its half; whether it can still be answered is another matter', async () => {
    const { client, req, answer: finish } = await held();
    const aborts = calls('abort');
    req.signal.addEventListener('abort', () => aborts());

    client.halfClose();
    await aborts.next();
    finish(new Response('late'));

    if (differs('half-close')) assert.equal((await readResponse(client)).text, 'late');
    assert.equal(await client.ended(), 'FIN');
    if (!differs('half-close')) assert.equal(client.bytes.length, 0);
  });

  test('of a WebSocket aborts when it closes', async () => {
    const events = calls('an event');
    const server = start(
      (req, own) => {
        req.signal.addEventListener('abort', () => events('abort'));
        own.upgrade(req);
      },
      { websocket: { close: () => events('close') } },
    );
    const client = await RawClient.open({ port: server.port });

    client.halfClose();

    assert.deepEqual(await events.count(2), [['abort'], ['close']]);
  });
});

describe('a handler that returns no Response', () => {
  const VALUES = [
    'undefined',
    'null',
    "'text'",
    '5',
    '{}',
    'Promise.resolve()',
    'Promise.resolve(new Error("x"))',
    '{ then(resolve) { resolve(new Response("x")); } }',
    'new Proxy(new (mantou.Response ?? Response)("x"), {})',
    'Object.create(Response.prototype)',
    '({ get status() { throw new Error("x"); }, headers: new Headers(), body: null, bodyUsed: false })',
    '(() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy; })()',
    ...(isOracle ? [] : ['Object.create(null)', '({ toString() { throw new Error("x"); } })']),
  ];
  const program = (development, value) =>
    run(`const server = serve({ development: ${development}, fetch(_req, own) { own.stop(); return ${value}; } }); print(server.port);`);

  for (const value of VALUES) {
    test(`but ${value} is answered with a 204 and an error is printed`, async () => {
      const child = program(false, value);
      const { client, response } = await exchange({ port: Number(await child.line()) }, request('GET', '/'));
      client.destroy();

      assert.deepEqual([response.status, response.reason, response.header('content-length')], [204, 'No Content', undefined]);
      const { code, stderr } = await child.exited();
      assert.equal(code, 0);
      assert.match(stderr, /Expected a Response object, but received/);
    });
  }

  test('is answered with a hint in development', async () => {
    const child = program(true, 'undefined');

    const { response } = await exchange({ port: Number(await child.line()) }, request('GET', '/'));

    assert.equal(response.status, 200);
    assert.match(response.header('content-type'), /^text\/plain/);
    assert.equal(response.text, 'Welcome to Bun! To get started, return a Response object.');
  });
});

describe('a connection', () => {
  test('is kept alive for the next request', async () => {
    let count = 0;
    const server = start((_req, own) => new Response(`${++count} ${own.pendingRequests}`));
    const client = await connectTo(server);

    const texts = [];
    for (let index = 0; index < 5; index++) {
      client.write(request('GET', '/'));
      texts.push((await readResponse(client)).text);
    }

    assert.deepEqual(texts, ['1 1', '2 1', '3 1', '4 1', '5 1']);
  });

  for (const [what, sent, headers] of [
    ['the request says Connection: close', request('GET', '/', { Connection: 'close' }), {}],
    ['the response says connection: close', request('GET', '/'), { connection: 'close' }],
    ['the request is HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\n\r\n', {}],
  ]) {
    test(`is closed after the response when ${what}`, async () => {
      const { client, response } = await exchange(
        start(() => new Response('x', { headers })),
        Buffer.from(sent),
      );

      assert.equal(response.text, 'x');
      assert.equal(await client.ended(), 'FIN');
    });
  }

  for (const [what, head, headers] of [
    ['the request says Connection: close', 'POST / HTTP/1.1\r\nConnection: close\r\n', {}],
    ['the request says Connection: close among other things', 'POST / HTTP/1.1\r\nConnection: te, Close\r\n', {}],
    ['the response says connection: close', 'POST / HTTP/1.1\r\n', { connection: 'close' }],
    ['the request is HTTP/1.0', 'POST / HTTP/1.0\r\n', {}],
  ]) {
    for (const [how, content] of [
      ['half of the content', 'Content-Length: 6\r\n\r\nabc'],
      ['half of a chunk', 'Transfer-Encoding: chunked\r\n\r\n6\r\nabc'],
    ]) {
      if (head.includes('HTTP/1.0') && content.includes('chunked')) continue;
      for (const path of ['/', '/route']) {
        test(`is closed after the response when ${what}, with no more than ${how} there (${path})`, async () => {
          const respond = () => new Response('x', { headers });
          const server = start(respond, { idleTimeout: 0, routes: { '/route': respond() } });
          const { client, response } = await exchange(server, `${head.replace('/', path)}Host: a\r\n${content}`);

          assert.equal(response.text, 'x');
          if (path === '/' || !headers.connection || differs('connection-field')) assert.equal(await client.ended(), 'FIN');
        });
      }
    }
  }

  test('is not reset behind its last response while content comes that nobody reads', {
    skip: isOracle && 'there it is',
    timeout: 30_000,
  }, async () => {
    const server = start(() => new Response('early'), { idleTimeout: 0 });
    const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
    const received = [];
    socket.on('data', (data) => received.push(data));
    const ended = once(socket, 'end');
    const piece = 'x'.repeat(100_000);

    socket.write(`POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${40 * piece.length}\r\n\r\n`);
    await ended;
    // Longer than a silent client would be waited for.
    for (let pieces = 0; pieces < 40; pieces++) {
      socket.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 75));
    }
    const closed = once(socket, 'close');
    socket.end();

    assert.deepEqual(await closed, [false]);
    assert.match(Buffer.concat(received).toString(), /early$/);
  });

  test('is given up behind its last response when more comes than a body may have, although a GET may announce any length', {
    timeout: 30_000,
  }, async (t) => {
    const server = start(() => new Response('early'), { idleTimeout: 0, maxRequestBodySize: 1000 });
    const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.resume();
    const endings = [];
    for (const ending of ['end', 'error']) socket.on(ending, () => endings.push(ending));
    const closed = new Promise((resolve) => socket.on('close', resolve));

    socket.write(`GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${10 ** 14}\r\n\r\n`);
    const sending = setInterval(() => socket.write('x'.repeat(100_000)), 75);
    t.after(() => clearInterval(sending));
    await closed;

    assert.deepEqual(endings, ['end', 'error']);
  });

  test('is kept after the response when half of the content is there, and takes the rest of it', async () => {
    const server = start(() => new Response('early'), { idleTimeout: 0 });
    const { client } = await exchange(server, request('POST', '/', { 'Content-Length': 6 }, 'abc'));

    client.write('def', request('GET', '/', { Connection: 'close' }));

    assert.equal((await readResponse(client)).text, 'early');
    assert.equal(await client.ended(), 'FIN');
  });

  /** Handlers, and whether the connection goes on behind their answers. */
  const ANSWERS = {
    'a text': [() => new Response('text', { headers: { 'x-mine': '1' } }), true],
    'nothing at all': [() => new Response(null, { status: 404 }), true],
    'a status without content': [() => new Response(null, { status: 204 }), true],
    'a phrase of its own': [() => new Response('x', { status: 201, statusText: 'Mine' }), true],
    'more than the kernel takes at once': [() => new Response('x'.repeat(MORE_THAN_A_SOCKET_TAKES)), true],
    'a promise': [async () => new Response(String(await later())), true],
    'a stream': [() => new Response(new Blob(['a', 'b']).stream()), true],
    'a stream that takes its time': [
      () =>
        new Response(
          (async function* () {
            await later();
            yield 'streamed';
          })(),
        ),
      true,
    ],
    'the end of the connection': [() => new Response('x', { headers: { connection: 'close' } }), false],
    'the last words of a server': [(_req, own) => own.stop() && new Response('last'), false],
    'what was sent': [async (req) => new Response(await req.text()), true],
    'what was sent, as a stream': [(req) => new Response(req.body), true],
    'an error': [
      () => {
        throw new Error('as expected');
      },
      true,
    ],
  };
  for (const [what, [handler, goesOn]] of Object.entries(ANSWERS)) {
    for (const [method, body] of [
      ['GET', ''],
      ['POST', 'content'],
    ]) {
      test(`carries ${what} in answer to a ${method} in the same way, whatever else the request says`, async () => {
        const answers = [];
        for (const fields of [{}, { Upgrade: 'nothing/1' }]) {
          const error = () => new Response('failed', { status: 500 });
          const client = await connectTo(serve({ development: false, fetch: handler, error }));
          client.write(request(method, '/', fields, body));
          const { status, reason, headers, text } = await readResponse(client);
          if (goesOn) client.write(request(method, '/', fields, body));
          const next = goesOn ? (await readResponse(client)).text : await client.ended();
          answers.push([status, reason, headers.filter(([name]) => name.toLowerCase() !== 'date'), text, next]);
        }

        assert.deepEqual(answers[0], answers[1]);
      });
    }
  }

  test('says that it closes because the request asks for it', async () => {
    const { response } = await exchange(
      start(() => new Response('x')),
      request('GET', '/', { Connection: 'close' }),
    );

    assert.equal(response.header('connection'), differs('connection-field') ? 'close' : undefined);
  });

  test('of HTTP/1.0 is kept when the client asks for that, and says so', async () => {
    const { client, response } = await exchange(
      start(() => new Response('x')),
      'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
    );
    assert.equal(response.header('connection'), differs('connection-field') ? 'keep-alive' : undefined);

    if (!differs('connection-field')) return assert.equal(await client.ended(), 'FIN');
    client.write('GET / HTTP/1.0\r\n\r\n');

    assert.equal((await readResponse(client)).text, 'x');
    assert.equal(await client.ended(), 'FIN');
  });

  test('is closed after a streamed response when the request says Connection: close', async () => {
    const body = () =>
      (async function* () {
        await later();
        yield 'streamed';
      })();
    const { client, response } = await exchange(
      start(() => new Response(body())),
      request('GET', '/', { Connection: 'close' }),
    );

    assert.equal(response.text, 'streamed');
    assert.equal(await client.ended(), 'FIN');
  });

  test('may carry requests that do not wait for each other', async () => {
    let count = 0;
    const client = await connectTo(start((req) => new Response(`${++count} ${new URL(req.url).pathname}`)));

    client.write(...['/a', '/b', '/c'].map((path) => request('GET', path)));

    const texts = [];
    for (let index = 0; index < 3; index++) texts.push((await readResponse(client)).text);
    assert.deepEqual(texts, ['1 /a', '2 /b', '3 /c']);
  });

  test('may carry a request behind an unfinished response', async () => {
    const running = [];
    const client = await connectTo(
      start(async (req) => {
        running.push(req.url);
        await later();
        return new Response(`${new URL(req.url).pathname} ${running.length}`);
      }),
    );

    client.write(request('GET', '/a'), request('POST', '/b', {}, 'body'), request('GET', '/c'));

    if (differs('pipelined-requests')) {
      const texts = [];
      for (let index = 0; index < 3; index++) texts.push((await readResponse(client)).text.split(' ')[0]);
      assert.deepEqual(texts, ['/a', '/b', '/c']);
    } else {
      assert.equal(await client.ended(), 'FIN');
      assert.equal(client.bytes.length, 0);
    }
  });

  for (const [what, first] of [
    ['a GET', request('GET', '/a')],
    ['a GET that asks for more', request('GET', '/a', { Upgrade: 'nothing/1' })],
    ['a POST', request('POST', '/a', {}, 'body')],
  ]) {
    for (const [when, together] of [
      ['together with it', true],
      ['later', false],
    ]) {
      test(`may end behind a request that waits for the answer to ${what} and has come ${when}: only that one is aborted`, {
        skip: !differs('pipelined-requests') && 'Bun closes the connection',
      }, async () => {
        const arrivals = calls('a request');
        const aborts = calls('an abort');
        const server = start((req) => {
          const { pathname } = new URL(req.url);
          if (pathname === '/others') return new Response();
          if (req.signal.aborted) aborts(pathname);
          else req.signal.addEventListener('abort', () => aborts(pathname));
          return new Promise((answer) => arrivals(() => answer(new Response(pathname))));
        });
        const client = await connectTo(server);
        const second = request('GET', '/b');
        client.write(...(together ? [first, second] : [first]));
        const [answerFirst] = await arrivals.next();

        if (!together) client.write(second);
        client.halfClose();
        // The end is here when others have been served.
        for (let others = 0; others < 20; others++) await exchange(server, request('GET', '/others'));
        answerFirst();

        assert.equal((await readResponse(client)).text, '/a');
        const [answerSecond] = await arrivals.next();
        assert.deepEqual(await aborts.next(), ['/b']);
        answerSecond();
        assert.equal((await readResponse(client)).text, '/b');
        assert.equal(await client.ended(), 'FIN');
      });
    }
  }

  test('may bring a request in pieces', async () => {
    const client = await connectTo(start((req) => new Response(req.headers.get('x-mine'))));

    await client.dribble(request('GET', '/', { 'x-mine': 'piece by piece' }), 3);

    assert.equal((await readResponse(client)).text, 'piece by piece');
  });
});

describe('much', () => {
  const digest = sha1(BIG);
  const url = (server) => `http://127.0.0.1:${server.port}/`;

  test('a body of 20 MB arrives', { timeout: 30_000 }, async () => {
    const server = start(async (req) => new Response(sha1(Buffer.from(await req.arrayBuffer()))));

    const response = await fetch(url(server), { method: 'POST', body: BIG });

    assert.equal(await response.text(), digest);
  });

  test('a body of 20 MB is sent', { timeout: 30_000 }, async () => {
    const response = await fetch(url(start(() => new Response(BIG))));

    assert.equal(response.headers.get('content-length'), String(BIG.length));
    assert.equal(sha1(Buffer.from(await response.arrayBuffer())), digest);
  });

  test('20 MB are streamed through', { timeout: 30_000 }, async () => {
    const response = await fetch(url(start((req) => new Response(req.body))), { method: 'POST', body: BIG });

    assert.equal(sha1(Buffer.from(await response.arrayBuffer())), digest);
  });

  test('a slow reader gets all of 20 MB', { timeout: 30_000 }, async () => {
    const server = start((req) => new Response(req.url.endsWith('/big') ? BIG : 'others are served'));
    const client = await connectTo(server);
    client.pause();
    client.write(request('GET', '/big'));
    assert.equal((await exchange(server, request('GET', '/'))).response.text, 'others are served');

    client.resume();

    assert.equal(sha1((await readResponse(client)).body), digest);
  });

  test('a client that asks 2,000 times and reads later gets 2,000 answers', { timeout: 30_000 }, async () => {
    const server = start((req) => new Response(`${new URL(req.url).pathname} `.padEnd(10_000, 'x')), { idleTimeout: 0 });
    const client = await connectTo(server);
    if (!differs('pipelined-requests')) return;
    client.pause();
    client.write(...Array.from({ length: 2000 }, (_, index) => request('GET', `/${index}`)));
    // More than sockets hold: some answers are half out when others are served.
    for (let others = 0; others < 20; others++) await exchange(server, request('GET', '/other'));

    client.resume();

    for (let index = 0; index < 2000; index++) {
      const { text } = await readResponse(client);
      assert.deepEqual([text.length, text.slice(0, text.indexOf(' '))], [10_000, `/${index}`]);
    }
  });

  test('200 requests at once get their own answers', { timeout: 30_000 }, async () => {
    const server = start(async (req) => {
      const body = await req.text();
      await later();
      return new Response(`${new URL(req.url).pathname} ${body}`);
    });

    const texts = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const response = await fetch(`${url(server)}${index}`, { method: 'POST', body: `body ${index}` });
        return response.text();
      }),
    );

    assert.deepEqual(
      texts,
      Array.from({ length: 200 }, (_, index) => `/${index} body ${index}`),
    );
    assert.equal(server.pendingRequests, 0);
  });
});
