// The exported Response beside the host's: the same members, the same results and the same errors, whatever is made of it.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { cleanUp } from './support/connect.mjs';
import { RawClient } from './support/raw-client.mjs';
import { exchange, request } from './support/raw-http.mjs';
import { mantou, serve } from './support/target.mjs';

afterEach(cleanUp);

const Host = globalThis.Response;
// Bun.serve exports none: there the host's is compared with itself, which shows that the table can be trusted.
const Ours = mantou.Response ?? Host;

/** What a descriptor looks like from outside. */
function shape(descriptor) {
  const part = (value) => (typeof value === 'function' ? `${value.name}/${value.length}` : typeof value);
  const { value, get, set, ...flags } = descriptor;
  return { ...flags, value: part(value), get: part(get), set: part(set) };
}

/** What a call gives or throws, with promises waited for. */
async function outcome(act) {
  try {
    return { value: await act() };
  } catch (error) {
    return { error: error.constructor.name, name: error.name, message: error.message };
  }
}

/** Everything a response tells, its body last. */
async function told(response) {
  const { type, url, redirected, status, ok, statusText, bodyUsed } = response;
  const hasBody = response.body !== null;
  const headers = [...response.headers];
  return { type, url, redirected, status, ok, statusText, bodyUsed, headers, hasBody, text: hasBody ? await response.text() : null };
}

const stream = (...chunks) =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
      controller.close();
    },
  });
const form = () => {
  const data = new FormData();
  data.append('a', '1');
  return data;
};

describe('the members', () => {
  const statics = (Class) => Reflect.ownKeys(Class).filter((key) => !['length', 'name', 'prototype', Symbol.hasInstance].includes(key));
  const members = (Class) => Reflect.ownKeys(Class.prototype).filter((key) => key !== 'constructor' && key !== Symbol.toStringTag);

  test('static ones are the same', () => {
    assert.deepEqual(statics(Ours).sort(), statics(Host).sort());
    for (const key of statics(Host)) {
      const [ours, theirs] = [Ours, Host].map((Class) => shape(Object.getOwnPropertyDescriptor(Class, key)));
      assert.deepEqual(ours, theirs, String(key));
    }
  });

  test('of the prototype are the same', () => {
    const own = members(Ours).map(String).sort();
    // Data that means nothing is inherited.
    const wanted = members(Host).filter((key) => {
      const { get, value } = Object.getOwnPropertyDescriptor(Host.prototype, key);
      return get !== undefined || typeof value === 'function';
    });
    // That of Node 20.3 has no `bytes`.
    assert.deepEqual(own, [...new Set(['bytes', ...wanted.map(String)])].sort());
    for (const key of wanted) {
      const [ours, theirs] = [Ours, Host].map((Class) => shape(Object.getOwnPropertyDescriptor(Class.prototype, key)));
      assert.deepEqual(ours, theirs, String(key));
    }
  });

  test('cannot be called with new', () => {
    assert.throws(() => new Ours.prototype.text(), TypeError);
    assert.throws(() => new Ours.json(), TypeError);
  });

  test('name and length of the class are the same, and it cannot be called without new', () => {
    assert.deepEqual([Ours.name, Ours.length], [Host.name, Host.length]);
    assert.throws(() => Ours(), TypeError);
  });

  test('an object has no properties of its own', () => {
    assert.deepEqual(Reflect.ownKeys(new Ours('x')), []);
    assert.equal(JSON.stringify(new Ours('x')), '{}');
  });

  test('are those of the host for its own responses', async () => {
    const { get } = Object.getOwnPropertyDescriptor(Ours.prototype, 'status');

    assert.equal(get.call(new Host(null, { status: 201 })), 201);
    assert.equal(await Ours.prototype.text.call(new Host('theirs')), 'theirs');
  });

  for (const self of [undefined, {}, Ours.prototype]) {
    test(`fail on ${inspect(self)} as the host's do`, async () => {
      for (const key of members(Host)) {
        const call = (Class) => () => {
          const { get, value } = Object.getOwnPropertyDescriptor(Class.prototype, key);
          return typeof value === 'function' ? value.call(self) : get?.call(self);
        };
        if (typeof key === 'string') assert.deepEqual(await outcome(call(Ours)), await outcome(call(Host)), key);
      }
    });
  }
});

describe('the classes', () => {
  test("an object of ours is one of the host's", () => {
    const response = new Ours('x');

    assert.ok(response instanceof Ours && response instanceof Host);
    assert.equal(Object.prototype.toString.call(response), '[object Response]');
    assert.equal(response.constructor.name, 'Response');
  });

  test("an object of the host's is one of ours", async () => {
    assert.ok(new Host('x') instanceof Ours);
    assert.ok((await fetch('data:,x')) instanceof Ours);
  });

  test('what is neither is none', () => {
    for (const value of [undefined, null, 5, 'x', {}, new Request('http://a/'), { status: 200 }]) assert.ok(!(value instanceof Ours));
  });

  test('a Blob of a class of its own can bring no second field with its type', () => {
    class Odd extends Blob {
      get type() {
        return 'a/b\r\nx-evil: 1';
      }
    }

    assert.deepEqual([...new Ours(new Odd(['x'])).headers], []);
  });

  test('can be extended', async () => {
    class Teapot extends Ours {
      constructor(body, init) {
        super(body, { ...init, status: 418 });
      }
      get isTeapot() {
        return true;
      }
    }

    const made = new Teapot('short', { headers: { 'x-mine': '1' } });

    assert.ok(made instanceof Teapot && made instanceof Ours && made instanceof Host);
    assert.ok(!(new Ours() instanceof Teapot) && !(new Host() instanceof Teapot));
    assert.deepEqual([made.status, made.isTeapot, made.headers.get('x-mine'), await made.text()], [418, true, '1', 'short']);
    assert.ok(!(made.constructor.json({}) instanceof Teapot));
  });

  test('have members that cannot be assigned to', () => {
    for (const Class of [Ours, Host]) {
      assert.throws(() => {
        new Class('x').status = 5;
      }, TypeError);
    }
  });

  test('take properties like any object', () => {
    const made = Object.assign(new Ours('x'), { mine: 1 });

    Object.defineProperty(made, 'status', { value: 999 });

    assert.deepEqual([made.mine, made.status, Object.keys(made)], [1, 999, ['mine']]);
  });

  test("are shown as the host's are", () => {
    if (Host.prototype[inspect.custom] === undefined) return;

    for (const make of [(Class) => new Class('x', { status: 201, headers: { a: 'b' } }), (Class) => Class.error()]) {
      assert.equal(inspect(make(Ours)), inspect(make(Host)));
    }
  });

  test("fail to be cloned structurally as the host's do", async () => {
    const clone = (Class) => outcome(() => Object.keys(structuredClone(new Class('x'))));

    assert.deepEqual(await clone(Ours), await clone(Host));
  });
});

/** How to make a response, with any class. */
const MADE = {
  nothing: (R) => new R(),
  undefined: (R) => new R(undefined, undefined),
  null: (R) => new R(null, {}),
  'a text': (R) => new R('häß😀'),
  'an empty text': (R) => new R(''),
  'a text with lone surrogates': (R) => new R('a\ud800b'),
  'a String object': (R) => new R(new String('object')),
  'a number': (R) => new R(5),
  false: (R) => new R(false),
  'an object': (R) => new R({ toString: () => 'own text' }),
  'an object whose toString throws': (R) => new R({ toString: () => assert.fail('thrown') }),
  'a symbol': (R) => new R(Symbol('x')),
  bytes: (R) => new R(new Uint8Array([104, 105])),
  'a part of bytes': (R) => new R(new Uint8Array([120, 104, 105, 120]).subarray(1, 3)),
  'a DataView': (R) => new R(new DataView(new Uint8Array([104, 105]).buffer)),
  'an ArrayBuffer': (R) => new R(new Uint8Array([104, 105]).buffer),
  'no bytes': (R) => new R(new ArrayBuffer(0)),
  'shared memory': (R) => new R(new SharedArrayBuffer(2)),
  'a view of shared memory': (R) => new R(new Uint8Array(new SharedArrayBuffer(2))),
  'a Blob': (R) => new R(new Blob(['hi'], { type: 'text/x-mine' })),
  'a Blob without a type': (R) => new R(new Blob(['hi'])),
  'a File': (R) => new R(new File(['hi'], 'a.txt', { type: 'text/plain' })),
  URLSearchParams: (R) => new R(new URLSearchParams({ a: 'é &' })),
  'a stream': (R) => new R(stream('a', 'b')),
  'a locked stream': (R) => {
    const locked = stream('a');
    locked.getReader();
    return new R(locked);
  },
  'a used body': async (R) => {
    const { body } = new R('x');
    await new R(body).text();
    return new R(body);
  },
  'an async generator': (R) =>
    new R(
      (async function* () {
        yield 'one ';
        yield new TextEncoder().encode('two');
      })(),
    ),
  'the body of another': (R) => new R(new R('inner').body),
  'a status': (R) => new R('x', { status: 201 }),
  'a status as text': (R) => new R('x', { status: '404' }),
  'a status with a fraction': (R) => new R('x', { status: 404.7 }),
  'an unknown status': (R) => new R('x', { status: 599 }),
  'a status that is too small': (R) => new R('x', { status: 199 }),
  'a status that is too big': (R) => new R('x', { status: 600 }),
  'a status that is none': (R) => new R('x', { status: 'x' }),
  'a status of null': (R) => new R('x', { status: null }),
  'a status of undefined': (R) => new R('x', { status: undefined }),
  'a status without a body': (R) => new R(null, { status: 204 }),
  'a statusText': (R) => new R('x', { statusText: 'Quite Fine' }),
  'a statusText in Latin-1': (R) => new R('x', { statusText: 'Très bien' }),
  'a statusText beyond Latin-1': (R) => new R('x', { statusText: '好' }),
  'a statusText with a line break': (R) => new R('x', { statusText: 'a\r\nb: c' }),
  'a statusText of a number': (R) => new R('x', { statusText: 5 }),
  'headers of an object': (R) => new R('x', { headers: { 'X-Mine': '1', a: 'b' } }),
  'headers of an object without a prototype': (R) => new R('x', { headers: { __proto__: null, a: 'b' } }),
  'headers that repeat': (R) => new R('x', { headers: { A: '1', a: '2' } }),
  'headers of a number': (R) => new R('x', { headers: { a: 5 } }),
  'headers with space around': (R) => new R('x', { headers: { a: '  b \t', c: ' ', d: '' } }),
  'headers of pairs': (R) =>
    new R('x', {
      headers: [
        ['a', '1'],
        ['set-cookie', 'x=1'],
        ['a', '2'],
        ['Set-Cookie', 'y=2'],
      ],
    }),
  'headers of pairs of objects': (R) => new R('x', { headers: [['a', { toString: () => '1' }]] }),
  'headers of Headers': (R) => new R('x', { headers: new Headers({ a: '1', b: '2' }) }),
  'headers of a Map': (R) => new R('x', { headers: new Map([['a', '1']]) }),
  'headers of a generator': (R) =>
    new R('x', {
      headers: (function* () {
        yield ['a', '1'];
      })(),
    }),
  'headers of another response': (R) => new R('x', { headers: new R('y', { headers: { a: '1' } }).headers }),
  'a content-type': (R) => new R('x', { headers: { 'Content-Type': 'text/html' } }),
  'a value that looks like a name': (R) => new R('x', { headers: { 'access-control-allow-headers': 'content-type' } }),
  'headers of undefined': (R) => new R('x', { headers: undefined }),
  'headers of null': (R) => new R('x', { headers: null }),
  'headers of a text': (R) => new R('x', { headers: 'a: b' }),
  'headers of an odd pair': (R) => new R('x', { headers: [['a']] }),
  'a name that is none': (R) => new R('x', { headers: { 'a b': '1' } }),
  'an empty name': (R) => new R('x', { headers: { '': '1' } }),
  'a name beyond Latin-1': (R) => new R('x', { headers: { ä: '1' } }),
  'a symbol for a name': (R) => new R('x', { headers: { [Symbol('x')]: '1' } }),
  'a value with a line break': (R) => new R('x', { headers: { a: '1\r\nb: 2' } }),
  'a value with a NUL': (R) => new R('x', { headers: { a: '1\0' } }),
  'a value beyond Latin-1': (R) => new R('x', { headers: { a: '好' } }),
  'a value in Latin-1': (R) => new R('x', { headers: { a: 'é' } }),
  'an init of null': (R) => new R('x', null),
  'an init of a text': (R) => new R('x', 'y'),
  'an init of a number': (R) => new R('x', 5),
  'an init of a function': (R) => new R('x', () => {}),
  'an init of a class': (R) =>
    new R(
      'x',
      new (class {
        get status() {
          return 202;
        }
      })(),
    ),
  'an init that throws': (R) =>
    new R('x', {
      get status() {
        throw new RangeError('mine');
      },
    }),
  'an init of another response': (R) => new R('x', new R('y', { status: 203, headers: { a: 'b' } })),
  json: (R) => R.json({ a: [1, 'é'] }),
  'json with an init': (R) => R.json(1, { status: 201, headers: { a: 'b' } }),
  'json with a type': (R) => R.json(1, { headers: { 'content-type': 'application/ld+json' } }),
  'json of null with an init of null': (R) => R.json(null, null),
  'json of undefined': (R) => R.json(undefined),
  'json of a function': (R) => R.json(() => {}),
  'json of nothing': (R) => R.json(),
  'json of a cycle': (R) => {
    const cycle = {};
    cycle.cycle = cycle;
    return R.json(cycle);
  },
  'json of a BigInt': (R) => R.json(1n),
  'json with an init that is none': (R) => R.json(1, 'x'),
  error: (R) => R.error(),
  redirect: (R) => R.redirect('http://a/b'),
  'redirect with a status': (R) => R.redirect('http://a/b', 307),
  'redirect with a status that is none': (R) => R.redirect('http://a/b', 200),
  'redirect to nothing': (R) => R.redirect(),
};

describe('a response of', () => {
  for (const [what, make] of Object.entries(MADE)) {
    test(what, async () => {
      const results = await Promise.all([Ours, Host].map((Class) => outcome(async () => told(await make(Class)))));

      assert.deepEqual(results[0], results[1]);
    });
  }

  test('a form', async () => {
    const response = new Ours(form());

    assert.match(response.headers.get('content-type'), /^multipart\/form-data; boundary=/);
    assert.equal((await response.formData()).get('a'), '1');
  });

  /** More of it than is read at once. */
  const upload = () => {
    const data = new FormData();
    data.append('a "name"\r\nof\nlines', 'a\rvalue\nof\r\nlines');
    data.append('ü', new Blob(['x'.repeat(100_000)], { type: 'text/x-mine' }), 'a "file"\nof lines');
    data.append('file', new File(['y'.repeat(100_000)], 'é.bin'));
    data.append('nothing', new File([], ''));
    return data;
  };

  test('a form is written as the host writes it', async () => {
    const [ours, theirs] = await Promise.all(
      [Ours, Host].map(async (Class) => {
        const response = new Class(upload());
        const [, boundary] = /^multipart\/form-data; boundary=(.+)$/.exec(response.headers.get('content-type'));
        return (await response.text()).replaceAll(boundary, 'boundary');
      }),
    );

    // Older ones leave an empty name of a file out.
    assert.equal(ours.replace('; filename=""', ''), theirs.replace('; filename=""', ''));
  });

  test('a form with files is sent with its length, and as a whole', async () => {
    const server = serve({ fetch: () => new Ours(upload()) });

    const { response } = await exchange(server, request('GET', '/', { Range: 'bytes=0-2' }));

    assert.equal(response.status, 200);
    // A host as old as Node 20.3, whose classes have no bytes(), writes it itself, piece by piece, and cannot read what it has written.
    if (!('bytes' in Blob.prototype)) return;
    assert.equal(response.header('transfer-encoding'), undefined);
    const form = await new Host(response.body, { headers: { 'content-type': response.header('content-type') } }).formData();
    assert.deepEqual(
      [...form].map(([, value]) => value.size ?? value),
      ['a\r\nvalue\r\nof\r\nlines', 100_000, 100_000, 0],
    );
  });

  test('bytes keeps them as they were', async () => {
    const bytes = new Uint8Array([104, 105]);
    const response = new Ours(bytes);

    bytes.fill(0);

    assert.equal(await response.text(), 'hi');
  });

  test('headers keeps them as they were', () => {
    const headers = new Headers({ a: '1' });
    const response = new Ours('x', { headers });

    headers.set('a', '2');

    assert.equal(response.headers.get('a'), '1');
  });
});

describe('as in Bun,', () => {
  for (const [what, to, location] of [
    ['a path', '/a?b#c', '/a?b#c'],
    ['a name', 'a', 'a'],
    ['a path in white space', ' /a\t', '/a'],
    ['what is no URL', 'http://[a', 'http://[a'],
    ['a URL', new URL('http://a/é'), 'http://a/%C3%A9'],
    ['the text of a URL', 'HTTP://A', 'http://a/'],
    ['the text of anything', { toString: () => '/a' }, '/a'],
  ]) {
    test(`a redirect leads to ${what}`, async () => {
      const { status, headers, hasBody } = await told(Ours.redirect(to));

      assert.deepEqual([status, headers, hasBody], [302, [['location', location]], false]);
    });
  }

  for (const to of ['/a\r\nb: c', '/a\nb', '/a\0', '/\u{1f600}']) {
    test(`a redirect does not lead to ${JSON.stringify(to)}`, () => {
      assert.throws(() => Ours.redirect(to), TypeError);
    });
  }

  test('a redirect has the status that is asked for, if it is one of a redirect', async () => {
    const statuses = [301, 302, 303, 307, 308, undefined].map((status) => Ours.redirect('/a', status).status);

    assert.deepEqual(statuses, [301, 302, 303, 307, 308, 302]);
    for (const status of [0, 200, 300, 304, 1000, NaN]) assert.throws(() => Ours.redirect('/a', status), RangeError);
  });

  test('a redirect takes an init, which does not say where it leads', async () => {
    const headers = [
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
      ['Location', '/c'],
    ];
    const response = Ours.redirect('/a', { status: 307, statusText: 'There', headers });

    assert.deepEqual([response.status, response.statusText, response.headers.get('location')], [307, 'There', '/a']);
    assert.deepEqual(response.headers.getSetCookie(), ['a=1', 'b=2']);
    assert.equal(headers[2][1], '/c');
  });

  test('the headers of a redirect can be changed', async () => {
    const response = Ours.redirect('http://a/');

    response.headers.set('a', '1');
    response.headers.append('set-cookie', 'b=2');

    assert.deepEqual([...response.headers].sort(), [
      ['a', '1'],
      ['location', 'http://a/'],
      ['set-cookie', 'b=2'],
    ]);
  });

  test('a redirect is sent, by a handler and as a route', async () => {
    const server = serve({ routes: { '/a': Ours.redirect('/b') }, fetch: () => Ours.redirect('/c', 307) });

    for (const [path, wanted] of [
      ['/a', [302, '/b', '0']],
      ['/', [307, '/c', '0']],
    ]) {
      const { response } = await exchange(server, request('GET', path));
      assert.deepEqual([response.status, response.header('location'), response.header('content-length')], wanted);
    }
  });

  test('101 is a status, whatever is done with the response', async () => {
    const response = new Ours(null, { status: 101, headers: { a: 'b' } });

    assert.deepEqual([response.status, response.ok, response.body, await response.text()], [101, false, null, '']);
    const clone = response.clone();
    assert.deepEqual([clone.status, clone.clone().status, clone.headers.get('a')], [101, 101, 'b']);
  });

  for (const status of [101, 204, 205, 304]) {
    test(`a body may be given with ${status}, which has none`, async () => {
      const made = {
        text: () => new Ours('text', { status, headers: { a: 'b' } }),
        nothing: () => new Ours('', { status, headers: { a: 'b' } }),
        bytes: () => new Ours(new Uint8Array([116, 101, 120, 116]), { status, headers: { a: 'b' } }),
        json: () => Ours.json('text', { status, headers: { a: 'b' } }),
        stream: () => new Ours(new Ours('text').body, { status, headers: { a: 'b' } }),
      };
      for (const [what, make] of Object.entries(made)) {
        for (const response of [make(), make().clone()]) {
          const { body } = response;
          assert.deepEqual([response.status, response.ok, response.headers.get('a')], [status, status >= 200 && status <= 299, 'b'], what);
          assert.equal(await response.text(), what === 'json' ? '"text"' : what === 'nothing' ? '' : 'text', what);
          assert.ok(body instanceof ReadableStream, what);
        }
      }
    });
  }

  test('a handler that has upgraded a request may return a 101', async () => {
    const server = serve({
      async fetch(req, server) {
        const hasUpgraded = server.upgrade(req);
        await null;
        return new Ours(hasUpgraded ? null : 'no', { status: hasUpgraded ? 101 : 400 });
      },
      websocket: { message: (ws, message) => ws.send(message) },
    });
    const client = await RawClient.open({ port: server.port });

    client.text('still here');

    await client.expect('TEXT still here');
  });

  test('a status may stand in place of the init of json', async () => {
    const response = Ours.json({ a: 1 }, 404);

    assert.deepEqual([response.status, await response.json()], [404, { a: 1 }]);
  });
});

/** What can be done with a response; the result is compared. */
const DONE = {
  text: (response) => response.text(),
  json: (response) => response.json(),
  // One of the host's may have none: Node 20.3.
  bytes: async (response) => (response.bytes === undefined ? new Uint8Array(await response.arrayBuffer()) : response.bytes()),
  arrayBuffer: async (response) => [...new Uint8Array(await response.arrayBuffer())],
  blob: async (response) => {
    const blob = await response.blob();
    return [blob.size, blob.type, await blob.text()];
  },
  formData: async (response) => [...(await response.formData())],
  'text twice': async (response) => [await response.text(), response.bodyUsed, await outcome(() => response.text())],
  'text after clone': async (response) => {
    const clone = response.clone();
    return [await clone.text(), clone.status, [...clone.headers], await response.text()];
  },
  'clone after text': async (response) => {
    await response.text();
    return outcome(async () => told(response.clone()));
  },
  'clone after the body was looked at': async (response) => {
    const { body } = response;
    return [body === response.body, await response.clone().text(), await response.text()];
  },
  'a reader of the body': async (response) => {
    const chunks = [];
    for await (const chunk of response.body ?? []) chunks.push(chunk instanceof Uint8Array, Buffer.from(chunk).toString());
    return [chunks, response.bodyUsed];
  },
  'text of a locked body': (response) => {
    response.body?.getReader();
    return response.text();
  },
  'clone of a locked body': (response) => {
    response.body?.getReader();
    return outcome(async () => told(response.clone()));
  },
  'cancel of the body': async (response) => [await response.body?.cancel(), response.bodyUsed],
  'bodyUsed after an unread body was looked at': (response) => [response.body === null, response.bodyUsed],
  'the same headers each time': (response) => {
    const { headers } = response;
    return headers === response.headers;
  },
  'headers set': (response) => {
    response.headers.set('a', '1');
    response.headers.append('a', '2');
    response.headers.delete('content-type');
    return [...response.headers];
  },
  'headers set before a clone': (response) => {
    response.headers.set('a', '1');
    const clone = response.clone();
    response.headers.set('a', '2');
    return [clone.headers.get('a'), response.headers.get('a')];
  },
  'a type set before blob': async (response) => {
    response.headers.set('content-type', 'text/x-mine');
    return (await response.blob()).type;
  },
  'a type set after the body was looked at, before blob': async (response) => {
    response.headers.get('a');
    assert.notEqual(response.body, undefined);
    response.headers.set('content-type', 'text/x-mine');
    return (await response.blob()).type;
  },
  'a form with the type set late': async (response) => {
    response.headers.set('content-type', 'application/x-www-form-urlencoded');
    return [...(await response.formData())];
  },
  'another of its body': (Class) => async (response) => new Class(response.body).text(),
};

describe('what can be done:', () => {
  const BODIES = {
    nothing: (R) => new R(),
    text: (R) => new R('a=1&b=2'),
    bytes: (R) => new R(new TextEncoder().encode('{"a":1}'), { headers: { 'content-type': 'application/json' } }),
    json: (R) => R.json({ a: 1 }),
    'a Blob': (R) => new R(new Blob(['blob'], { type: 'text/x-blob' })),
    'a stream': (R) => new R(stream('a', 'b')),
    'what a redirect is made of': (R) => new R(null, R.redirect('http://a/', 301)),
  };

  for (const [what, act] of Object.entries(DONE)) {
    for (const [body, make] of Object.entries(BODIES)) {
      test(`${what}, with ${body}`, async () => {
        const run = (Class) => outcome(() => (what === 'another of its body' ? act(Class) : act)(make(Class)));

        assert.deepEqual(await run(Ours), await run(Host));
      });
    }
  }

  test('being compiled as WebAssembly', async (context) => {
    if (WebAssembly.compileStreaming === undefined) return context.skip('not on this host');
    const empty = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);

    const module = await WebAssembly.compileStreaming(new Ours(empty, { headers: { 'content-type': 'application/wasm' } }));

    assert.ok(module instanceof WebAssembly.Module);
  });
});
