// maxRequestBodySize, the arguments of idleTimeout and timeout(), closeIdleConnections(). What takes time stands in http-idle.spec.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp } from './support/connect.mjs';
import { held } from './support/held.mjs';
import { killPrograms, run } from './support/program.mjs';
import { RawClient } from './support/raw-client.mjs';
import { connectTo, exchange, readChunk, readResponse, request } from './support/raw-http.mjs';
import { serve } from './support/target.mjs';
import { invalidArgType, missingArgs, throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);
afterEach(killPrograms);

const start = (fetch, options) => serve({ development: false, fetch, ...options });
const post = (content) => request('POST', '/', {}, content);
const chunked = (content) => request('POST', '/', { 'Transfer-Encoding': 'chunked' }, content);
/** A value as a test name shows it. */
const shown = (value) => (typeof value === 'bigint' ? `${value}n` : typeof value === 'string' ? `'${value}'` : String(value));

async function assertRefused(client, phrase) {
  assert.equal((await client.response()).raw, `HTTP/1.1 413 ${phrase}\r\nConnection: close`);
  assert.equal(await client.ended(), 'FIN');
}

describe('maxRequestBodySize', () => {
  const LIMIT = { maxRequestBodySize: 5 };
  const TOO_LARGE = ['Error', 'Request body exceeded maxRequestBodySize'];
  const echo = async (req) => new Response(await req.text());

  test('lets a body of just that size through', async () => {
    const server = start(echo, LIMIT);

    assert.equal((await exchange(server, post('12345'))).response.text, '12345');
    assert.equal((await exchange(server, chunked('3\r\n123\r\n2\r\n45\r\n0\r\n\r\n'))).response.text, '12345');
  });

  test('refuses a Content-Length above it before anything of the body has come, and does not call fetch', async () => {
    const server = start(() => assert.fail('fetch was called'), LIMIT);
    const client = await connectTo(server);

    client.write(request('POST', '/', { 'Content-Length': 6 }));

    await assertRefused(client, 'Request Entity Too Large');
    assert.equal(server.pendingRequests, 0);
  });

  test('refuses it behind another request too, once that is answered', async () => {
    const client = await connectTo(start(() => new Response('first'), LIMIT));

    client.write(request('GET', '/'), post('123456'));

    assert.equal((await readResponse(client)).text, 'first');
    await assertRefused(client, 'Request Entity Too Large');
  });

  for (const method of ['GET', 'HEAD']) {
    test(`does not matter to a ${method}, whose body nobody sees`, async () => {
      const { client, response } = await exchange(
        start(() => new Response('x'), LIMIT),
        request(method, '/', {}, '123456'),
      );

      client.write(request('GET', '/'));

      assert.deepEqual([response.status, (await readResponse(client)).text], [200, 'x']);
    });
  }

  for (const [what, read] of [
    ['text()', (req) => req.text()],
    ['arrayBuffer()', (req) => req.arrayBuffer()],
    [
      'a stream',
      async (req) => {
        for await (const piece of req.body) assert.equal(Buffer.from(piece).toString(), 'never');
      },
    ],
  ]) {
    test(`fails the reading of a chunked body above it as ${what}, and answers in the place of the handler`, async () => {
      const failures = calls('a failure');
      const server = start(async (req) => {
        await read(req).catch((error) => failures(error.constructor.name, error.message, error.code, req.signal.aborted));
        return new Response('not this');
      }, LIMIT);
      const client = await connectTo(server);

      client.write(chunked('6\r\n123456\r\n0\r\n\r\n'));

      await assertRefused(client, 'Payload Too Large');
      assert.deepEqual(await failures.next(), [...TOO_LARGE, undefined, false]);
    });
  }

  test('lets what came before the limit be read', async () => {
    const pieces = calls('a piece');
    const server = start(async (req) => {
      try {
        for await (const piece of req.body) pieces(Buffer.from(piece).toString());
      } catch (error) {
        pieces(error.message);
      }
      return new Response('not this');
    }, LIMIT);
    const client = await connectTo(server);

    client.write(chunked('3\r\n123\r\n'));
    assert.deepEqual(await pieces.next(), ['123']);
    client.write('3\r\n456\r\n');

    await assertRefused(client, 'Payload Too Large');
    assert.equal((await pieces.next())[0].slice(-18), 'maxRequestBodySize');
  });

  for (const [what, fetch] of [
    ['never answers', (req) => req.text().catch(() => new Promise(() => {}))],
    ['does not catch it', (req) => req.text()],
    [
      'throws something else',
      async (req) => {
        await req.text().catch(() => {});
        throw new Error('mine');
      },
    ],
    ['answers nothing', (req) => req.text().catch(() => {})],
  ]) {
    test(`answers a chunked body above it although the handler ${what}, and calls no error handler`, async () => {
      const child = run(`
        const server = serve({
          development: false,
          maxRequestBodySize: 5,
          fetch(req, own) {
            own.stop();
            return (${fetch})(req);
          },
          error() { print('error was called'); },
        });
        print(server.port);
      `);
      const client = await connectTo({ port: Number(await child.line()) });

      client.write(chunked('6\r\n123456\r\n0\r\n\r\n'));

      await assertRefused(client, 'Payload Too Large');
      const { lines, stderr } = await child.exited();
      assert.deepEqual([lines.slice(1), stderr], [[], '']);
    });
  }

  test('does not matter to a chunked body that is not read', async () => {
    const { client, response } = await exchange(
      start(() => new Response('not interested'), LIMIT),
      chunked('6\r\n123456\r\n0\r\n\r\n'),
    );

    client.write(request('GET', '/'));

    assert.deepEqual([response.text, (await readResponse(client)).text], ['not interested', 'not interested']);
  });

  test('ends a response that is made of the body as it comes', async () => {
    const client = await connectTo(start((req) => new Response(req.body), LIMIT));

    client.write(chunked('3\r\n123\r\n'));
    await client.response();
    assert.equal(String(await readChunk(client)), '123');
    client.write('3\r\n456\r\n');

    assert.equal(await client.ended(), 'RST');
  });

  for (const [value, sizes] of [
    [0, { 0: 200, 1: 413 }],
    [-1, { 0: 200, 1: 413 }],
    [Number.NaN, { 1: 413 }],
    [1.9, { 1: 200, 2: 413 }],
    [2 ** 32 + 1, { 134217729: 'open', 4294967297: 'open', 4294967298: 413 }],
    [Infinity, { 134217729: 'open', 99999999999999: 'open' }],
    [undefined, { 134217728: 'open', 134217729: 413 }],
    [null, { 134217728: 'open', 134217729: 413 }],
    ['5', { 134217728: 'open', 134217729: 413 }],
    [true, { 134217728: 'open', 134217729: 413 }],
    [5n, { 134217728: 'open', 134217729: 413 }],
    [{}, { 134217728: 'open', 134217729: 413 }],
  ]) {
    test(`of ${shown(value)} is taken as Bun takes it`, async () => {
      const arrivals = calls('a request');
      const server = start(
        (req) => {
          arrivals();
          return req.text().then(() => new Response('x'));
        },
        { maxRequestBodySize: value },
      );
      for (const [size, expected] of Object.entries(sizes)) {
        const client = await connectTo(server);
        client.write(request('POST', '/', { 'Content-Length': size }, expected === 200 ? 'x'.repeat(size) : ''));
        if (expected === 'open') await arrivals.next();
        else assert.equal((await client.response()).status, expected, size);
        if (expected === 200) await arrivals.next();
        client.destroy();
      }
    });
  }

  test('stays what it was after a reload', async () => {
    const server = start(echo, LIMIT);
    server.reload({ fetch: echo, maxRequestBodySize: 100 });

    assert.equal((await exchange(server, post('123456'))).response.status, 413);
  });
});

describe('idleTimeout', () => {
  const fetch = () => new Response('x');
  const bothWays = (idleTimeout) => [() => start(fetch, { idleTimeout }), () => start(fetch).reload({ fetch, idleTimeout })];

  for (const value of [undefined, null, 0, 1, 255, -1, -(2 ** 31)]) {
    test(`accepts ${value}`, () => {
      for (const act of bothWays(value)) act();
    });
  }

  for (const value of [256, 2 ** 31, 2 ** 51 - 1]) {
    test(`${differs('exact-timers') ? 'accepts' : 'refuses'} ${value}`, () => {
      for (const act of bothWays(value)) {
        if (differs('exact-timers')) act();
        else throwsExactly(act, invalidArgType('Bun.serve expects idleTimeout to be 255 or less'));
      }
    });
  }

  for (const value of [1.5, Number.NaN, Infinity, -0, '10', '', true, false, 10n, {}, [], 2 ** 51]) {
    test(`refuses ${Object.is(value, -0) ? '-0' : shown(value)} (a ${typeof value}) as not an integer`, () => {
      for (const act of bothWays(value)) throwsExactly(act, invalidArgType('Bun.serve expects idleTimeout to be an integer'));
    });
  }

  test('is checked before what is wrong beside it', () => {
    throwsExactly(
      () => start(5, { idleTimeout: 'x', websocket: 5, port: 70000 }),
      invalidArgType('Bun.serve expects idleTimeout to be an integer'),
    );
  });
});

describe('timeout()', () => {
  /** What a call with these arguments does inside a handler: `arguments(req)` makes them. */
  async function assertCall(make, error) {
    const { server, req } = await held();
    const act = () => server.timeout(...make(req));
    if (error === undefined) assert.equal(act(), undefined);
    else throwsExactly(act, error);
  }

  for (const value of [0, 1, 1000, -1, 1.5, Number.NaN, Infinity]) {
    test(`accepts ${value} and returns undefined`, () => assertCall((req) => [req, value]));
  }

  for (const value of ['1', null, undefined, {}, true, 1n, Symbol('s'), new Number(1)]) {
    test(`refuses ${typeof value === 'object' && value !== null ? value.constructor.name : shown(value)} for a number`, () =>
      assertCall((req) => [req, value], { name: 'Error', code: undefined, message: 'timeout() requires a number' }));
  }

  for (const [what, make, got] of [
    ['no arguments', () => [], 0],
    ['one argument', (req) => [req], 1],
    ['null for a request', () => [null, 1], 2],
    ['undefined for a request', () => [undefined, 1], 2],
  ]) {
    test(`refuses ${what}`, () => assertCall(make, missingArgs(`Not enough arguments to 'timeout'. Expected 2, got ${got}.`)));
  }

  for (const value of [{}, 5, 'x', () => {}, Symbol('s')]) {
    test(`refuses ${typeof value === 'object' ? 'an object' : shown(value)} for a request`, () =>
      assertCall(() => [value, 1], invalidArgType('timeout() requires a Request object')));
  }

  test('looks at the number first', () =>
    assertCall(() => [{}, 'x'], { name: 'Error', code: undefined, message: 'timeout() requires a number' }));

  test('ignores a request that is over, a clone and one of the user', async () => {
    const { server, client, req, answer } = await held();
    answer(new Response('x'));
    await readResponse(client);

    for (const each of [req, new Request('http://localhost/')]) assert.equal(server.timeout(each, 1), undefined);
    await assertCall((own) => [own.clone(), 1]);
  });
});

describe('closeIdleConnections()', () => {
  /** A server that answers everything but `/hangs`, and says how many were closed for `/closes`. */
  const server = () =>
    serve({
      development: false,
      websocket: {},
      fetch(req, own) {
        const { pathname } = new URL(req.url);
        if (pathname === '/hangs') return new Promise(() => {});
        if (pathname === '/closes') return new Response(String(own.closeIdleConnections()));
        if (pathname === '/upgrades') return void own.upgrade(req);
        return new Response('x');
      },
    });
  const kept = async (own) => (await exchange(own, request('GET', '/'))).client;

  test('closes connections that wait for another request, and says how many', async () => {
    const own = server();
    const clients = [await kept(own), await kept(own)];

    assert.equal(own.closeIdleConnections(), 2);

    for (const client of clients) assert.equal(await client.ended(), 'FIN');
    assert.equal(own.closeIdleConnections(), 0);
  });

  test('closes one whose last body nobody will read', async () => {
    const own = server();
    const client = await connectTo(own);
    client.write(request('POST', '/', { 'Content-Length': 10 }, 'abc'));
    await readResponse(client);

    assert.equal(own.closeIdleConnections(), 1);
    assert.equal(await client.ended(), 'FIN');
  });

  test('leaves alone what has not asked yet, is asking, is being answered or is a WebSocket', async () => {
    const own = server();
    const silent = await connectTo(own);
    const asking = await kept(own);
    asking.write('GET ');
    const waiting = await connectTo(own);
    waiting.write(request('GET', '/hangs'));
    const socket = await RawClient.open({ port: own.port, path: '/upgrades' });
    // All of that has arrived when a request behind it has.
    for (let others = 0; others < 3; others++) await exchange(own, request('GET', '/', { Connection: 'close' }));

    assert.equal(own.closeIdleConnections(), 0);

    asking.write('/ HTTP/1.1\r\nHost: a\r\n\r\n');
    silent.write(request('GET', '/'));
    assert.deepEqual([(await readResponse(asking)).text, (await readResponse(silent)).text], ['x', 'x']);
    assert.deepEqual([own.pendingRequests, own.pendingWebSockets], [1, 1]);
    socket.destroy();
    waiting.destroy();
  });

  test('can be called in a handler, whose own connection is not idle', async () => {
    const own = server();
    const other = await kept(own);

    const { client, response } = await exchange(own, request('GET', '/closes'));

    assert.equal(response.text, '1');
    assert.equal(await other.ended(), 'FIN');
    client.write(request('GET', '/'));
    assert.equal((await readResponse(client)).text, 'x');
  });

  test('is 0 after stop()', async () => {
    const own = server();
    await kept(own);
    own.stop();

    assert.equal(own.closeIdleConnections(), 0);
  });
});
