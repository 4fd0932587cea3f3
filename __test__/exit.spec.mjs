// How a process with a server ends: by itself once nothing is listening or open, by process.exit() at any moment, by an exception nobody catches.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { killPrograms, run } from './support/program.mjs';
import { close, destroyClients, handshake, ping, RawClient, text } from './support/raw-client.mjs';
import { readResponse, request } from './support/raw-http.mjs';

afterEach(destroyClients);
afterEach(killPrograms);

/** Serves HTTP and WebSockets and prints its port. */
const SERVER = `
  const server = serve({
    development: false,
    fetch: (req, own) => own.upgrade(req) ? undefined : new Response('hello'),
    websocket: { message: (ws, message) => ws.send('re:' + message) },
  });
  print(server.port);
`;
/** Runs out only while something keeps the process alive: the timer itself does not. */
const SAY_ALIVE = `setTimeout(() => { print('alive'); process.exit(0); }, 200).unref();`;

/** Fails unless the program ended by itself with `code` and printed nothing on stderr. */
async function endsQuietly(program, code = 0) {
  const { signal, stderr, ...end } = await program.exited();
  assert.deepEqual({ code: end.code, signal, stderr }, { code, signal: null, stderr: '' });
}

describe('a process ends by itself', () => {
  for (const [what, then] of [
    ['after stop()', 'server.stop();'],
    ['after stop(true)', 'server.stop(true);'],
    [
      'after a request and an awaited stop()',
      `await exchange(server, request('GET', '/')).then(({ client }) => client.destroy()); await server.stop();`,
    ],
    ['after a WebSocket came and went', `(await RawClient.open({ port: server.port })).destroy(); await server.stop();`],
    ['with an unreferenced server', 'server.unref();'],
    ['with a server unreferenced twice and referenced never', 'server.unref(); server.unref();'],
    ['after server[Symbol.dispose]()', 'server[Symbol.dispose]();'],
    ['after stop() of an unreferenced server, referenced again', 'server.unref(); server.stop(); server.ref();'],
  ]) {
    test(what, async () => {
      const program = run(`${SERVER} ${then}`);

      await endsQuietly(program);
    });
  }

  test('once the last connection of a stopped server is gone', async () => {
    const program = run(`
      const server = serve({
        fetch: (req, own) => void own.upgrade(req),
        websocket: {
          open: () => server.stop().then(() => print('stopped')),
          message: (ws, message) => ws.send('re:' + message),
        },
      });
      print(server.port);
    `);
    const client = await RawClient.open({ port: Number(await program.line()) });

    client.text('a');
    await client.expect('TEXT re:a');
    client.halfClose();

    assert.equal(await program.line(), 'stopped');
    await endsQuietly(program);
  });

  test('with an unreferenced server although a WebSocket is open', async () => {
    const program = run(`
      const server = serve({
        fetch: (req, own) => void own.upgrade(req),
        websocket: { open(ws) { ws.send('hello'); setImmediate(() => server.unref()); } },
      });
      print(server.port);
    `);
    const client = await RawClient.open({ port: Number(await program.line()) });

    await client.expect('TEXT hello');

    await endsQuietly(program);
    await client.ended();
  });
});

describe('a process stays alive', () => {
  for (const [what, then] of [
    ['while it listens', ''],
    ['while it listens and nobody refers to the server', 'globalThis.gc?.(); globalThis.Bun?.gc(true);'],
    ['while a server that was unreferenced is referenced again', 'server.unref(); server.ref();'],
    ['while one of two servers listens', 'serve({ fetch() {} }).stop();'],
  ]) {
    test(what, async () => {
      const program = run(`${SERVER} ${then} ${SAY_ALIVE}`);

      await program.line();

      assert.equal(await program.line(), 'alive');
    });
  }

  test('while a stopped server waits for a response', async () => {
    const program = run(`
      const server = serve({
        fetch: (_req, own) => new Promise((resolve) => {
          own.stop();
          setTimeout(() => { print('answering'); resolve(new Response('late')); }, 200).unref();
        }),
      });
      print(server.port);
    `);
    const client = await RawClient.connect({ port: Number(await program.line()) });

    client.write(request('GET', '/'));

    assert.equal(await program.line(), 'answering');
    assert.equal((await readResponse(client)).text, 'late');
    await endsQuietly(program);
  });

  test('while a stopped server has a WebSocket', async () => {
    const program = run(`
      const server = serve({
        fetch: (req, own) => void own.upgrade(req),
        websocket: {
          open(ws) {
            server.stop();
            setTimeout(() => { ws.send('still open'); ws.close(); }, 200).unref();
          },
        },
      });
      print(server.port);
    `);
    const client = await RawClient.open({ port: Number(await program.line()) });

    await client.expect('TEXT still open', 'CLOSE 1000', 'FIN');

    await endsQuietly(program);
  });
});

describe('process.exit()', () => {
  for (const [where, handlers] of [
    ['fetch', 'fetch() { process.exit(7); }'],
    ['an async fetch', 'async fetch(req) { await req.text(); process.exit(7); }'],
    ['the stream of a response', 'fetch: () => new Response(new ReadableStream({ async pull() { await null; process.exit(7); } }))'],
    ['error', 'fetch() { throw new Error("x"); }, error() { process.exit(7); }'],
  ]) {
    test(`in ${where} ends the process with its code`, async () => {
      const program = run(`const server = serve({ ${handlers} }); print(server.port);`);
      const client = await RawClient.connect({ port: Number(await program.line()) });

      client.write(request('GET', '/'));

      await endsQuietly(program, 7);
    });
  }

  for (const [handler, sent] of [
    ['open', []],
    ['message', [text('a')]],
    ['ping', [ping()]],
    ['close', [close(1000)]],
  ]) {
    test(`in ${handler} ends the process with its code`, async () => {
      const program = run(`
        const server = serve({ fetch: (req, own) => void own.upgrade(req), websocket: { ${handler}() { process.exit(7); } } });
        print(server.port);
      `);
      const client = await RawClient.connect({ port: Number(await program.line()) });

      client.write(handshake(), ...sent);

      await endsQuietly(program, 7);
    });
  }

  for (const [where, exit] of [
    ['from a handler', (round) => `let left = ${100 + round}; const seen = () => --left || process.exit(7);`],
    ['from a timer', (round) => `let left = ${100 + round}; const seen = () => --left || setTimeout(() => process.exit(7));`],
    ['from a microtask', (round) => `let left = ${100 + round}; const seen = () => --left || queueMicrotask(() => process.exit(7));`],
  ]) {
    test(`${where} in the middle of traffic neither hangs nor crashes`, { timeout: 30_000 }, async () => {
      for (let round = 0; round < 5; round++) {
        const program = run(`
          ${exit(round)}
          const server = serve({
            fetch(req, own) {
              seen();
              return own.upgrade(req) ? undefined : new Response('hello');
            },
            websocket: {
              message(ws, message) {
                seen();
                ws.send(message);
              },
            },
          });
          print(server.port);
        `);
        const port = Number(await program.line());
        const sockets = await Promise.all([1, 2, 3, 4].map(() => RawClient.open({ port })));
        const connections = await Promise.all([1, 2, 3, 4].map(() => RawClient.connect({ port })));

        const traffic = [
          ...sockets.map((client) => untilItEnds(client, text('x'.repeat(1000)), () => client.frame())),
          ...connections.map((client) => untilItEnds(client, request('GET', '/'), () => readResponse(client))),
        ];

        await endsQuietly(program, 7);
        await Promise.all(traffic);
      }
    });
  }
});

describe('an exception nobody catches', () => {
  const HOOKS = `
    process.on('uncaughtException', (error, origin) => print(['uncaughtException', error.message, origin]));
    process.on('unhandledRejection', (error) => print(['unhandledRejection', error.message]));
  `;
  const PLACES = {
    'in message': (error) => `throw ${error};`,
    'in a nextTick of message': (error) => `process.nextTick(() => { throw ${error}; });`,
    'in a microtask of message': (error) => `queueMicrotask(() => { throw ${error}; });`,
    'in a timer of message': (error) => `setTimeout(() => { throw ${error}; });`,
  };
  const throwing = (statement) => `
    const server = serve({
      fetch: (req, own) => void own.upgrade(req),
      websocket: {
        message(ws, message) {
          ws.send('re:' + message);
          ${statement}
        },
      },
    });
    print(server.port);
  `;

  for (const [where, statement] of Object.entries(PLACES)) {
    test(`${where} is an uncaughtException, one for each message of a segment, and the socket lives on`, async () => {
      const program = run(`${HOOKS} ${throwing(statement("new Error('boom ' + message)"))}`);
      const client = await RawClient.open({ port: Number(await program.line()) });

      client.write(text('a'), text('b'));

      await client.expect('TEXT re:a', 'TEXT re:b');
      const events = [await program.line(), await program.line()];
      assert.deepEqual(events, ['uncaughtException,boom a,uncaughtException', 'uncaughtException,boom b,uncaughtException']);
      client.text('c');
      await client.expect('TEXT re:c');
    });

    test(`${where} ends the process with status 1 when there is no hook`, async () => {
      const program = run(throwing(statement("new Error('boom ' + message)")));
      const client = await RawClient.open({ port: Number(await program.line()) });

      client.text('a');

      const { code, signal, stderr } = await program.exited();
      assert.deepEqual({ code, signal }, { code: 1, signal: null });
      assert.match(stderr, /boom|new Error\('boom ' \+ message\)/);
    });
  }

  for (const [where, statement] of [
    ['a nextTick', 'process.nextTick(() => { throw new Error("boom"); });'],
    ['a microtask', 'queueMicrotask(() => { throw new Error("boom"); });'],
  ]) {
    test(`in ${where} of fetch is an uncaughtException, and the response is sent`, async () => {
      const program = run(`${HOOKS} const server = serve({ fetch() { ${statement} return new Response('sent'); } }); print(server.port);`);
      const client = await RawClient.connect({ port: Number(await program.line()) });

      client.write(request('GET', '/'));

      assert.equal((await readResponse(client)).text, 'sent');
      assert.equal(await program.line(), 'uncaughtException,boom,uncaughtException');
    });
  }

  test('a rejection in message is an unhandledRejection, and the socket lives on', async () => {
    const program = run(`${HOOKS} ${throwing('return Promise.reject(new Error("boom " + message));')}`);
    const client = await RawClient.open({ port: Number(await program.line()) });

    client.write(text('a'), text('b'));

    await client.expect('TEXT re:a', 'TEXT re:b');
    assert.deepEqual([await program.line(), await program.line()], ['unhandledRejection,boom a', 'unhandledRejection,boom b']);
  });

  test('a rejection in message makes the status 1 when there is no hook', async () => {
    const program = run(throwing('server.stop(); return Promise.reject(new Error("boom"));'));
    const client = await RawClient.open({ port: Number(await program.line()) });

    client.text('a');
    client.halfClose();

    const { code, stderr } = await program.exited();
    assert.equal(code, 1);
    assert.match(stderr, /boom/);
  });
});

/** Sends `bytes` and reads an answer, again and again until the connection is gone. */
async function untilItEnds(client, bytes, answered) {
  const ended = client.ended().then(() => true);
  for (;;) {
    client.write(bytes);
    const answer = answered().then(
      () => false,
      () => ended,
    );
    if (await answer) return;
  }
}
