// The `Server` object: what its members are, what they say and what they refuse.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, pair, serveSockets } from './support/connect.mjs';
import { held } from './support/held.mjs';
import { RawClient } from './support/raw-client.mjs';
import { connectTo, exchange, readResponse, request } from './support/raw-http.mjs';
import { isOracle, mantou, serve } from './support/target.mjs';
import { invalidArgType, missingArgs, throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);

const METHODS = [
  'closeIdleConnections',
  'fetch',
  'publish',
  'ref',
  'reload',
  'requestIP',
  'stop',
  'subscriberCount',
  'timeout',
  'unref',
  'upgrade',
  Symbol.dispose,
];
const GETTERS = ['address', 'development', 'hostname', 'id', 'pendingRequests', 'pendingWebSockets', 'port', 'protocol', 'url'];

const hello = () => new Response('hello');
const start = (options) => serve({ fetch: hello, development: false, ...options });

describe('a server', () => {
  test('is an HTTPServer, or a DebugHTTPServer in development', () => {
    const tag = (server) => Object.prototype.toString.call(server);

    assert.equal(tag(start()), '[object HTTPServer]');
    assert.equal(tag(start({ development: true })), '[object DebugHTTPServer]');
  });

  test('has its members on the prototype, where `in` and for-in find them', () => {
    const server = start();
    const found = [];
    for (const name in server) found.push(name);

    assert.deepEqual(Object.keys(server), []);
    for (const name of [...METHODS, ...GETTERS]) assert.ok(name in server, String(name));
    for (const name of [...METHODS.filter((each) => typeof each === 'string'), ...GETTERS]) assert.ok(found.includes(name), name);
  });

  test('has no other members', () => {
    const names = Reflect.ownKeys(Object.getPrototypeOf(start()));

    const more = isOracle ? [] : [Symbol.asyncDispose];
    assert.deepEqual(new Set(names), new Set([...METHODS, ...GETTERS, ...more, Symbol.toStringTag]));
    assert.equal(names.length, METHODS.length + GETTERS.length + more.length + 1);
  });

  for (const [name, length] of [
    ['closeIdleConnections', 0],
    ['fetch', 1],
    ['publish', 3],
    ['ref', 0],
    ['requestIP', 1],
    ['stop', 1],
    ['subscriberCount', 1],
    ['timeout', 2],
    ['unref', 0],
    ['upgrade', 1],
  ]) {
    test(`has ${name} as a function of ${length} parameters`, () => {
      assert.equal(start()[name].length, length);
    });
  }

  test('keeps properties that are added to it', () => {
    const server = start();

    server.mine = { a: 1 };

    assert.equal(JSON.stringify(server), '{"mine":{"a":1}}');
  });

  test('is the same object as the one handlers get', async () => {
    const seen = [];
    const server = start({
      fetch(_req, own, ...more) {
        seen.push(this === own, own === server, more.length);
        return hello();
      },
    });

    await exchange(server, request('GET', '/'));

    assert.deepEqual(seen, [true, true, 0]);
  });
});

describe('the getters of a server', () => {
  test('port is a free port when 0 was asked for', () => {
    const first = start({ port: 0 });
    const second = start({ port: 0 });

    assert.ok(Number.isInteger(first.port) && first.port > 0 && first.port < 65536);
    assert.notEqual(first.port, second.port);
  });

  for (const [hostname, family, address, host] of [
    ['127.0.0.1', 'IPv4', '127.0.0.1', '127.0.0.1'],
    ['0.0.0.0', 'IPv4', '0.0.0.0', '0.0.0.0'],
    ['localhost', 'IPv4', '127.0.0.1', 'localhost'],
    ['::1', 'IPv6', '::1', '[::1]'],
    ['[::1]', 'IPv6', '::1', '[::1]'],
    ['::', 'IPv6', '::', '[::]'],
  ]) {
    test(`hostname, address and url of a server on ${hostname}`, () => {
      const server = start({ hostname });

      assert.equal(server.hostname, hostname);
      assert.deepEqual(server.address, { address, family, port: server.port });
      assert.equal(server.url.href, `http://${host}:${server.port}/`);
    });
  }

  for (const hostname of [undefined, null, '']) {
    test(`a server with the hostname ${JSON.stringify(hostname)} listens on every address of both families and calls itself localhost`, async () => {
      const server = start({ hostname });

      assert.equal(server.hostname, 'localhost');
      assert.deepEqual(server.address, { address: '::', family: 'IPv6', port: server.port });
      assert.equal(server.url.href, `http://localhost:${server.port}/`);
      for (const host of ['127.0.0.1', '::1']) {
        const client = await connectTo(server, host);
        client.write(request('GET', '/'));
        assert.equal((await readResponse(client)).text, 'hello');
      }
    });
  }

  test('url is a URL and the same one each time, also after stop()', async () => {
    const server = start();
    const { url } = server;

    assert.ok(url instanceof URL);
    assert.equal(server.url, url);
    await server.stop();
    assert.equal(server.url, url);
  });

  test('protocol is http', () => {
    assert.equal(start().protocol, 'http');
  });

  for (const [given, id] of [
    ['mine', 'mine'],
    ['', ''],
    [undefined, ''],
    [null, ''],
    [5, '5'],
    [true, 'true'],
  ]) {
    test(`id is ${JSON.stringify(id)} when ${JSON.stringify(given)} was given`, () => {
      assert.equal(start({ id: given }).id, id);
    });
  }

  test('id that is a symbol is refused', () => {
    assert.throws(() => start({ id: Symbol('x') }), TypeError);
  });

  for (const [given, development] of [
    [undefined, true],
    [true, true],
    [1, true],
    ['x', true],
    [{}, true],
    [{ hmr: false }, true],
    [false, false],
    [null, false],
    [0, false],
    ['', false],
  ]) {
    test(`development is ${development} when ${JSON.stringify(given)} was given`, () => {
      assert.equal(start({ development: given }).development, development);
    });
  }

  test('pendingRequests counts requests without a complete response', async () => {
    const first = await held();
    const { server } = first;
    const counts = [server.pendingRequests];

    const second = await first.another();
    counts.push(server.pendingRequests);
    for (const { client, answer } of [first, second]) {
      answer(hello());
      await readResponse(client);
      counts.push(server.pendingRequests);
    }

    assert.deepEqual(counts, [1, 2, 1, 0]);
  });

  test('an upgrade is a pending request until fetch returns, a WebSocket is pending from open to the end of close', async () => {
    const seen = [];
    const note = (where) => seen.push([where, server.pendingRequests, server.pendingWebSockets]);
    const server = serveSockets(
      { open: () => note('open'), close: () => note('close') },
      {
        fetch(req) {
          note('fetch');
          server.upgrade(req);
          note('upgraded');
        },
      },
    );

    note('listening');
    const client = await RawClient.open({ port: server.port });
    note('connected');
    client.halfClose();
    await client.ended();
    note('closed');

    assert.deepEqual(seen, [
      ['listening', 0, 0],
      ['fetch', 1, 0],
      ['open', 1, 1],
      ['upgraded', 1, 1],
      ['connected', 0, 1],
      ['close', 0, 1],
      ['closed', 0, 0],
    ]);
  });

  test('a request whose handler returned a promise is pending no more once it is upgraded', async () => {
    const seen = [];
    const returns = calls('the end of fetch');
    const note = (where) => seen.push([where, server.pendingRequests, server.pendingWebSockets]);
    const server = serveSockets(
      { open: () => note('open') },
      {
        async fetch(req) {
          const isLate = req.url.endsWith('/late');
          if (isLate) await new Promise(setImmediate);
          server.upgrade(req);
          note('upgraded');
          await new Promise(setImmediate);
          note('later');
          returns();
        },
      },
    );

    for (const path of ['/', '/late']) {
      const client = await RawClient.open({ port: server.port, path });
      await returns.next();
      client.halfClose();
      await client.ended();
    }

    assert.deepEqual(seen, [
      ['open', 1, 1],
      ['upgraded', 1, 1],
      ['later', 0, 1],
      ['open', 1, 1],
      ['upgraded', 0, 1],
      ['later', 0, 1],
    ]);
  });

  for (const name of GETTERS) {
    test(`${name} is read-only`, () => {
      const server = start();
      const before = server[name];

      assert.throws(() => {
        server[name] = 1;
      }, TypeError);
      assert.deepEqual(server[name], before);
    });

    test(`${name} of another object is refused`, () => {
      const { get } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(start()), name);

      for (const other of [{}, undefined, 1]) {
        throwsExactly(() => get.call(other), {
          name: 'TypeError',
          code: undefined,
          message: `The HTTPServer.${name} getter can only be used on instances of HTTPServer`,
        });
      }
    });
  }
});

describe('the methods of a server', () => {
  for (const name of METHODS) {
    test(`${String(name)} refuses to run detached`, () => {
      const method = start()[name];

      throwsExactly(() => method(), invalidThis('Expected this to be instanceof HTTPServer'));
    });
  }

  test('name what they were called on instead of a server', () => {
    const { publish } = start({ development: true });

    for (const [other, received] of [
      [{}, 'an instance of Object'],
      [5, 'type number (5)'],
    ]) {
      throwsExactly(() => publish.call(other), invalidThis(`Expected this to be instanceof DebugHTTPServer, but received ${received}`));
    }
  });

  test('work through a Proxy of the server, getters too', () => {
    const server = start();
    const proxy = new Proxy(server, {});

    if (differs('proxied-this')) {
      assert.equal(proxy.port, server.port);
      assert.equal(proxy.url, server.url);
      assert.equal(proxy.pendingRequests, 0);
      assert.equal(proxy.publish('topic', 'data'), 0);
      assert.equal(proxy.subscriberCount('topic'), 0);
      proxy.reload({ fetch: hello });
      assert.equal(proxy.requestIP(new Request('http://localhost/')), null);
    } else {
      throwsExactly(() => proxy.port, {
        name: 'TypeError',
        code: undefined,
        message: 'The HTTPServer.port getter can only be used on instances of HTTPServer',
      });
      throwsExactly(
        () => proxy.publish('topic', 'data'),
        invalidThis('Expected this to be instanceof HTTPServer, but received an instance of Object'),
      );
    }
  });

  test('ref and unref return the server, however often they are called', () => {
    const server = start();

    for (const name of ['unref', 'unref', 'ref', 'ref']) assert.equal(server[name](), server);
  });

  test('without a websocket option there are no subscribers and nothing to upgrade', () => {
    const server = start();

    assert.equal(server.publish('topic', 'data'), 0);
    assert.equal(server.publish('', 'data'), 0);
    assert.equal(server.subscriberCount('topic'), 0);
    assert.equal(server.pendingWebSockets, 0);
    for (const req of [new Request('http://localhost/'), {}, null]) {
      throwsExactly(() => server.upgrade(req), invalidArgType('To enable websocket support, set the "websocket" object in Bun.serve({})'));
    }
    throwsExactly(() => server.upgrade(), invalidArgType('Missing argument'));
  });

  test('publish wants a topic and data, also without a websocket option', () => {
    const server = start();

    for (const args of [[], ['topic']]) throwsExactly(() => server.publish(...args), invalidArgType('Missing argument'));
    for (const topic of [null, undefined]) throwsExactly(() => server.publish(topic, 'data'), invalidArgType('Expected string'));
  });

  for (const websocket of [undefined, {}]) {
    describe(`subscriberCount ${websocket ? 'with' : 'without'} a websocket option`, () => {
      test('is 0 for a topic nobody subscribed to, and turns any topic into a string', () => {
        const server = start({ websocket });

        for (const topic of ['', 'topic', 1, {}, true, ['topic']]) assert.equal(server.subscriberCount(topic), 0);
      });

      test('refuses a missing topic and a symbol', () => {
        const server = start({ websocket });

        throwsExactly(() => server.subscriberCount(), missingArgs("Not enough arguments to 'subscriberCount'. Expected 1, got 0."));
        for (const topic of [null, undefined]) {
          throwsExactly(() => server.subscriberCount(topic), invalidArgType('subscriberCount requires a topic name as a string'));
        }
        assert.throws(() => server.subscriberCount(Symbol('topic')), TypeError);
      });
    });
  }

  test('subscriberCount turns its topic into a string', async () => {
    const { server } = await pair({ open: (ws) => void ['1', 'true', 'a,b'].map((topic) => ws.subscribe(topic)) });

    for (const topic of ['1', 1, true, ['a', 'b']]) assert.equal(server.subscriberCount(topic), 1);
    assert.equal(server.subscriberCount('a'), 0);
  });
});

describe('fetch()', () => {
  test('calls the fetch handler with the server as `this`, and nothing but the request', async () => {
    const seen = [];
    const server = start({
      fetch(...args) {
        seen.push(this === server, args.length, args[0] instanceof Request);
        return hello();
      },
    });

    assert.equal(await (await server.fetch('/')).text(), 'hello');

    assert.deepEqual(seen, [true, 1, true]);
  });

  test('gives what the handler gives, whatever it is', async () => {
    const server = start({ fetch: () => 5 });

    assert.equal(await server.fetch('/'), 5);
  });

  test('takes a Request, and an absolute URL', async () => {
    const seen = [];
    const server = start({
      async fetch(req) {
        seen.push([req.method, req.url, req.headers.get('x-own'), await req.text()]);
        return hello();
      },
    });

    await server.fetch(new Request('http://example.com/own', { method: 'POST', headers: { 'x-own': 'yes' }, body: 'a body' }));
    await server.fetch('http://example.com/url?a=b');

    assert.deepEqual(seen, [
      ['POST', 'http://example.com/own', 'yes', 'a body'],
      ['GET', 'http://example.com/url?a=b', null, ''],
    ]);
  });

  test('takes a path, which is one of this server', async () => {
    const server = start({ hostname: '127.0.0.1', fetch: (req) => new Response(req.url) });

    const url = await (await server.fetch('/path?a=b')).text();

    assert.equal(url, differs('fetch-base') ? `http://127.0.0.1:${server.port}/path?a=b` : 'http://127.0.0.1:0/path?a=b');
  });

  for (const [how, fails] of [
    [
      'throws',
      () => {
        throw new Error('from the handler');
      },
    ],
    ['rejects', () => Promise.reject(new Error('from the handler'))],
  ]) {
    test(`rejects when the handler ${how}, without the error handler`, async () => {
      const errors = [];
      const server = start({ fetch: fails, error: (error) => void errors.push(error) });

      await assert.rejects(server.fetch('/'), { message: 'from the handler' });

      assert.deepEqual(errors, []);
    });
  }

  for (const nothing of [undefined, null]) {
    test(`rejects when the handler returns ${nothing}, but not when it resolves to that`, async () => {
      await assert.rejects(start({ fetch: () => nothing }).fetch('/'), { name: 'Error', message: 'fetch() returned an empty value' });

      assert.equal(await start({ fetch: async () => nothing }).fetch('/'), nothing);
    });
  }

  test('rejects without something to fetch', async () => {
    const server = start();
    const rejects = async (promise, { name = 'Error', code, message }) => {
      const error = await promise.then(
        () => assert.fail('it was fetched'),
        (reason) => reason,
      );
      assert.deepEqual({ name: error.name, code: error.code, message: error.message }, { name, code, message });
    };

    await rejects(server.fetch(), { message: 'fetch() expects a string but received no arguments.' });
    await rejects(server.fetch(''), { message: 'fetch() URL must not be a blank string.' });
    for (const [value, kind] of [
      [undefined, 'Undefined'],
      [null, 'Null'],
      [5, 'Number'],
      [1n, 'BigInt'],
      [true, 'Boolean'],
      [Symbol('x'), 'Symbol'],
      [{}, 'Object'],
      [() => {}, 'Object'],
      [new URL('http://localhost/'), 'Object'],
    ]) {
      await rejects(server.fetch(value), invalidArgType(`fetch() expects a string, but received ${kind}`));
    }
  });
});

describe('requestIP', () => {
  test("is the client's address and port while the request has no response", async () => {
    const seen = [];
    const server = start({
      hostname: '127.0.0.1',
      async fetch(req, own) {
        seen.push(own.requestIP(req));
        await null;
        seen.push(own.requestIP(req));
        return hello();
      },
    });

    const { client } = await exchange(server, request('GET', '/'));

    const expected = { address: '127.0.0.1', family: 'IPv4', port: client.localPort };
    assert.deepEqual(seen, [expected, expected]);
  });

  for (const [host, address] of [
    ['127.0.0.1', differs('plain-ipv4') ? '127.0.0.1' : '::ffff:127.0.0.1'],
    ['::1', '::1'],
  ]) {
    test(`says ${address} for a client of ${host} on a socket of both families`, async () => {
      const server = start({ fetch: (req, own) => Response.json(own.requestIP(req)) });
      const client = await connectTo(server, host);

      client.write(request('GET', '/'));

      assert.deepEqual(JSON.parse((await readResponse(client)).text), {
        address,
        family: address.includes(':') ? 'IPv6' : 'IPv4',
        port: client.localPort,
      });
    });
  }

  test('is null for a clone, for a Request of nobody and once the response is out', async () => {
    const requests = [];
    const seen = [];
    const server = start({
      fetch(req, own) {
        requests.push(req);
        seen.push(own.requestIP(req.clone()), own.requestIP(new Request('http://localhost/')));
        return hello();
      },
    });

    await exchange(server, request('GET', '/'));

    assert.deepEqual([...seen, server.requestIP(requests[0])], [null, null, null]);
  });

  test('is null right after the upgrade', async () => {
    const seen = [];
    await pair(
      {},
      {
        fetch(req, own) {
          seen.push(own.requestIP(req) === null, own.upgrade(req), own.requestIP(req));
        },
      },
    );

    assert.deepEqual(seen, [false, true, null]);
  });

  test('is null once the client has left', async () => {
    const { server, client, req } = await held();
    const aborts = calls('abort');
    req.signal.addEventListener('abort', () => aborts(server.requestIP(req)));

    client.destroy();

    assert.deepEqual(await aborts.next(), [null]);
  });

  test('refuses what is not a Request', () => {
    const server = start();

    throwsExactly(() => server.requestIP(), invalidArgType('Missing Request object'));
    for (const other of [null, undefined, {}, 'x', 1])
      throwsExactly(() => server.requestIP(other), invalidArgType('Expected Request object'));
  });
});

describe('serve', () => {
  test('works detached from the object it was found on', () => {
    const { serve: detached } = mantou;

    const server = detached({ port: 0, fetch: hello });

    assert.ok(server.port > 0);
    server.stop(true);
  });
});

const invalidThis = (message) => ({ name: 'TypeError', code: 'ERR_INVALID_THIS', message });
