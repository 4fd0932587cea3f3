// stop({ code, reason, timeout }): WebSockets are closed cleanly, everybody has some time, then who is left is cut off. Not in Bun.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { afterEach, describe, test } from 'node:test';
import { acting, HANDLERS, PROVOKE } from './support/acting.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair } from './support/connect.mjs';
import { held } from './support/held.mjs';
import { killPrograms, run } from './support/program.mjs';
import { close, handshake, RawClient, text } from './support/raw-client.mjs';
import { connectTo, exchange, readResponse, request } from './support/raw-http.mjs';
import { FIN_WAIT_2, socketsAt } from './support/sockets.mjs';
import { serve } from './support/target.mjs';
import { invalidArgType, throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);
afterEach(killPrograms);

/** Seconds: a limit that no test reaches. */
const LONG = 60;
/** Seconds: one that a test waits for. */
const SHORT = 0.3;
/** Seconds that a busy machine may be late by. */
const LATE = 5;

const hello = () => new Response('hello');

/** Whether a promise is still pending after everything that is ready now has run. */
async function isPending(promise) {
  const pending = {};
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
  return (await Promise.race([promise, pending])) === pending;
}

/** Awaits `stopped`, which must take SHORT seconds from `begin`. */
async function takesShort(stopped, begin) {
  assert.equal(await stopped, undefined);
  const seconds = (performance.now() - begin) / 1000;
  assert.ok(seconds >= SHORT && seconds < SHORT + LATE, `${seconds} s`);
}

describe('stop({ code, reason })', () => {
  test('closes every WebSocket with them, and runs the close handlers before it returns', async () => {
    const events = [];
    const { server, client, ws, connect } = await pair({
      close: (own, code, reason) => events.push([code, reason, own.closeCause, own.readyState, own.send('late')]),
    });
    const { client: second } = await connect();

    const stopped = server.stop({ code: 4001, reason: 'moving', timeout: LONG });

    assert.deepEqual(events, [
      [4001, 'moving', 'stop', 3, 0],
      [4001, 'moving', 'stop', 3, 0],
    ]);
    assert.deepEqual([ws.closeCause, server.pendingWebSockets, server.port], ['stop', 0, 0]);
    for (const each of [client, second]) {
      await each.expect('CLOSE 4001 moving', 'FIN');
      assert.equal(await isPending(stopped), true);
      each.write(close(4001)).halfClose();
    }
    assert.equal(await stopped, undefined);
  });

  for (const [given, code, reason] of [
    [{ code: 4000 }, 4000, 'Server closed'],
    [{ reason: '' }, 1001, ''],
    [{ timeout: LONG }, 1001, 'Server closed'],
    [{ code: undefined, reason: undefined, timeout: Number.POSITIVE_INFINITY }, 1001, 'Server closed'],
    [{ code: 1012, reason: 'é'.repeat(61), unknown: true }, 1012, 'é'.repeat(61)],
  ]) {
    test(`says ${code} ${JSON.stringify(reason)} for ${JSON.stringify(given)}`, async () => {
      const closes = calls('close');
      const { server, client } = await pair({ close: (_ws, ...end) => closes(...end) });

      const stopped = server.stop(given);

      assert.deepEqual(closes.all, [[code, reason]]);
      await client.expect(`CLOSE ${code}${reason && ` ${reason}`}`, 'FIN');
      client.halfClose();
      await stopped;
    });
  }

  // As with close() (RFC 6455 §7.4.1).
  test('sends an empty Close frame for a code that stands for none', async () => {
    const { server, client } = await pair();

    server.stop({ code: 1005, reason: 'dropped' });

    await client.expect('CLOSE', 'FIN');
  });

  test('stops listening at once, and closes connections without a request', async () => {
    const server = serve({ fetch: hello });
    const { port } = server;
    const silent = await connectTo(server);
    const { client: idle } = await exchange(server, request('GET', '/')); // proves that the server knows the one before

    const stopped = server.stop({ timeout: LONG });

    await assert.rejects(RawClient.connect({ port }), { code: 'ECONNREFUSED' });
    for (const each of [silent, idle]) assert.equal(await each.ended(), 'FIN');
    await stopped;
  });

  test('waits for a request to be answered, with its signal as it was', async () => {
    const { server, client, req, answer } = await held();
    const { signal } = req;

    const stopped = server.stop({ timeout: LONG });
    assert.equal(await isPending(stopped), true);
    answer(hello());

    assert.equal((await readResponse(client)).text, 'hello');
    assert.equal(await client.ended(), 'FIN');
    await stopped;
    assert.equal(signal.aborted, false);
  });

  test('sends what a client has yet to get before the Close frame', async () => {
    const { server, client, ws } = await pair();
    client.pause();
    assert.equal(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES)), -1);

    const stopped = server.stop({ code: 1012, reason: '', timeout: LONG });
    client.resume();

    assert.equal((await client.frame()).payload.length, MORE_THAN_A_SOCKET_TAKES);
    await client.expect('CLOSE 1012', 'FIN');
    assert.equal(await isPending(stopped), true);
    client.halfClose();
    await stopped;
  });

  test('closes a paused socket, and hears its client hang up', async () => {
    const { server, client, ws } = await pair();
    ws.pause();
    client.text('nobody reads this');

    const stopped = server.stop({ timeout: LONG });

    await client.expect('CLOSE 1001 Server closed', 'FIN');
    client.halfClose();
    await stopped;
  });

  test('waits for a socket that was closed just before', async () => {
    const { server, client, ws } = await pair();
    ws.close(4000);

    const stopped = server.stop({ code: 4001, timeout: LONG });

    await client.expect('CLOSE 4000', 'FIN');
    assert.equal(await isPending(stopped), true);
    client.halfClose();
    await stopped;
  });

  test('does not wait for what a client that has hung up still sends', async () => {
    const { server, client } = await pair();

    const stopped = server.stop({ timeout: LONG });
    client.write(text('late')).reset();

    await stopped;
  });

  test('closes a WebSocket that is opened later, once its open handler has run', async () => {
    const events = [];
    const { server, client, req, answer } = await held(
      {
        websocket: {
          open: (ws) => events.push(['open', ws.send('welcome')]),
          close: (ws, code, reason) => events.push(['close', code, reason, ws.closeCause]),
        },
      },
      Buffer.from(handshake()),
    );

    const stopped = server.stop({ code: 4002, reason: 'too late', timeout: LONG });
    assert.equal(server.upgrade(req), true);
    answer();

    assert.deepEqual(events, [
      ['open', 7],
      ['close', 4002, 'too late', 'stop'],
    ]);
    assert.equal((await client.response()).status, 101);
    await client.expect('TEXT welcome', 'CLOSE 4002 too late', 'FIN');
    client.halfClose();
    await stopped;
  });

  const few = process.platform !== 'linux' ? 'Linux only' : descriptors() < 10_000 && 'needs 10,000 descriptors';
  // Of closed sockets, 4,096 wait for their clients otherwise.
  test('waits for any number of clients', { skip: few, timeout: 60_000 }, async () => {
    const MANY = 4500;
    const { server, client: first } = await pair({}, { hostname: '127.0.0.1' });
    const { port } = server;
    const clients = [first];
    while (clients.length < MANY) {
      clients.push(...(await Promise.all(Array.from({ length: 100 }, () => RawClient.open({ port })))));
    }

    for (const client of clients) client.patience = 60_000;
    server.stop({ code: 4000, reason: '', timeout: LONG });

    for (const client of clients) await client.expect('CLOSE 4000', 'FIN');
    const waiting = new Set(socketsAt(port, FIN_WAIT_2).filter((inode) => inode !== 0));
    assert.ok(waiting.size > MANY - 100, `${waiting.size} of ${clients.length}`);
  });

  test('resolves at once when there is no connection', async () => {
    const server = serve({ fetch: hello });

    assert.equal(await server.stop({ code: 4000, timeout: LONG }), undefined);
    assert.equal(await server.stop({ code: 4000, timeout: LONG }), undefined);
  });

  test('reports what a close handler throws, and closes the others all the same', async () => {
    const errors = [];
    const { server, client, connect } = await pair({
      close() {
        throw new Error('in close');
      },
      error: (error) => void errors.push(error.message),
    });
    const { client: second } = await connect();

    const stopped = server.stop({ timeout: LONG });

    assert.deepEqual(errors, ['in close', 'in close']);
    for (const each of [client, second]) {
      await each.expect('CLOSE 1001 Server closed', 'FIN');
      each.halfClose();
    }
    await stopped;
  });
});

describe('when the time is over', () => {
  test('a client that has not hung up is no longer waited for', async () => {
    const { server, client } = await pair();
    const begin = performance.now();

    await takesShort(server.stop({ timeout: SHORT }), begin);

    await client.expect('CLOSE 1001 Server closed', 'FIN');
  });

  test('what a client has not taken is lost, the Close frame with it', async () => {
    const { server, client, ws } = await pair();
    client.pause();
    assert.equal(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES)), -1);
    const begin = performance.now();

    await takesShort(server.stop({ timeout: SHORT }), begin);

    client.resume();
    await client.ended();
    assert.ok(client.bytes.length < MORE_THAN_A_SOCKET_TAKES);
  });

  test('a request is cut, and its signal aborts', async () => {
    const { server, client, req } = await held();
    const { signal } = req;
    const begin = performance.now();

    await takesShort(server.stop({ timeout: SHORT }), begin);

    assert.deepEqual([signal.aborted, signal.reason?.message], [true, 'The connection was closed.']);
    assert.equal(await client.ended(), 'FIN');
    assert.equal(client.bytes.length, 0);
  });

  test('a handler can no longer upgrade', async () => {
    const { server, req } = await held({ websocket: {} }, Buffer.from(handshake()));

    await server.stop({ timeout: SHORT });

    assert.equal(server.upgrade(req), false);
  });

  test('which is at once with a timeout of 0, the Close frames are out all the same', async () => {
    const { server, client } = await pair();

    assert.equal(await server.stop({ code: 4003, reason: 'now', timeout: 0 }), undefined);

    await client.expect('CLOSE 4003 now', 'FIN');
  });

  test('which is at once with a timeout of 0, requests are cut before it returns', async () => {
    const { server, client, req } = await held();
    const { signal } = req;

    const stopped = server.stop({ timeout: 0 });

    assert.equal(signal.aborted, true);
    assert.equal(await client.ended(), 'FIN');
    await stopped;
  });
});

describe('together with another stop', () => {
  test('stop() before it: the WebSockets that go on are closed', async () => {
    const { server, client } = await pair();

    const stops = [server.stop(), server.stop({ code: 4000, reason: 'now you too', timeout: LONG })];

    await client.expect('CLOSE 4000 now you too', 'FIN');
    client.halfClose();
    assert.deepEqual(await Promise.all(stops), [undefined, undefined]);
  });

  test('stop() after it changes nothing', async () => {
    const { server, client } = await pair();

    const stops = [server.stop({ timeout: LONG }), server.stop(), server.stop({})];

    await client.expect('CLOSE 1001 Server closed', 'FIN');
    assert.equal(await isPending(Promise.race(stops)), true);
    client.halfClose();
    await Promise.all(stops);
  });

  test('stop(true) after it waits for nobody', async () => {
    const { server, client, req, another } = await heldBesideSocket();
    const { signal } = req;
    const stopped = server.stop({ code: 4000, reason: '', timeout: LONG });
    assert.equal(await isPending(stopped), true);

    const cut = server.stop(true);

    assert.equal(signal.aborted, true);
    assert.deepEqual(await Promise.all([stopped, cut]), [undefined, undefined]);
    await client.expect('CLOSE 4000', 'FIN');
    assert.equal(await another.ended(), 'FIN');
  });

  test('stop(true) before it has closed everything: it says nothing more', async () => {
    const closes = [];
    const { server, client } = await pair({ close: (_ws, code) => closes.push(code) });

    const stops = [server.stop(true), server.stop({ code: 4000, timeout: LONG })];

    await client.expect('CLOSE 1001 Server closed', 'FIN');
    await Promise.all(stops);
    assert.deepEqual(closes, [1001]);
  });

  for (const timeouts of [
    [LONG, SHORT],
    [SHORT, LONG],
  ]) {
    test(`of the timeouts ${timeouts.join(' and ')} the one that ends first counts`, async () => {
      const { server, client } = await pair();
      const begin = performance.now();

      const stops = timeouts.map((timeout) => server.stop({ timeout }));

      await takesShort(
        Promise.all(stops).then(() => undefined),
        begin,
      );
      await client.expect('CLOSE 1001 Server closed', 'FIN');
    });
  }
});

describe('inside a handler', () => {
  for (const name of HANDLERS) {
    test(`${name}: the socket ends with one close event and the code`, async () => {
      const { start, ran, closes, socket } = acting(name, (_ws, server) => void server.stop({ code: 4005, timeout: LONG }));
      const server = start();
      const client = await RawClient.open({ port: server.port });

      await PROVOKE[name]({ client, ws: socket() });
      await ran.next();
      client.halfClose();
      await client.ended();
      await server.stop();

      assert.equal(closes.all.length, 1);
      assert.equal(socket().readyState, 3);
      assert.equal(server.pendingWebSockets, 0);
    });
  }

  test('fetch: the response is still delivered', async () => {
    const server = serve({
      fetch(_req, own) {
        own.stop({ timeout: LONG });
        return new Response('goodbye');
      },
    });

    const { client, response } = await exchange(server, request('GET', '/'));

    assert.equal(response.text, 'goodbye');
    assert.equal(await client.ended(), 'FIN');
  });

  test('close: stop(true) there cuts what the farewell was about to close', async () => {
    const closes = [];
    const { server, client, ws, connect } = await pair({
      close(own, code) {
        closes.push([own, code]);
        server.stop(true);
      },
    });
    const second = await connect();

    await server.stop({ code: 4006, timeout: LONG });

    const [[first]] = closes;
    const order = [{ client, ws }, second].sort((one, other) => Number(other.ws === first) - Number(one.ws === first));
    assert.deepEqual(
      closes.map(([own, code]) => [own === order[0].ws, code]),
      [
        [true, 4006],
        [false, 1001],
      ],
    );
    await order[0].client.expect('CLOSE 4006 Server closed', 'FIN');
    await order[1].client.expect('CLOSE 1001 Server closed', 'FIN');
  });
});

describe('stop() refuses', () => {
  for (const [options, expected] of [
    [{ code: '1001' }, invalidArgType('stop expects code to be a number')],
    [{ code: null }, invalidArgType('stop expects code to be a number')],
    [{ reason: 5 }, invalidArgType('stop expects reason to be a string')],
    [{ reason: null }, invalidArgType('stop expects reason to be a string')],
    [{ timeout: '5' }, invalidArgType('stop expects timeout to be a number')],
    [{ timeout: null }, invalidArgType('stop expects timeout to be a number')],
    [{ reason: 'x'.repeat(124) }, outOfRange('reason', 'It must be at most 123 bytes. Received 124 bytes')],
    [{ reason: 'é'.repeat(62) }, outOfRange('reason', 'It must be at most 123 bytes. Received 124 bytes')],
    [{ timeout: -1 }, outOfRange('timeout', 'It must be >= 0. Received -1')],
    [{ timeout: Number.NaN }, outOfRange('timeout', 'It must be >= 0. Received NaN')],
  ]) {
    test(`${JSON.stringify(options).slice(0, 40)} and goes on serving`, async () => {
      const { server, client } = await pair({ message: (ws, message) => ws.send(message) });

      throwsExactly(() => server.stop(options), expected);

      client.text('still here');
      await client.expect('TEXT still here');
      await RawClient.open({ port: server.port });
    });
  }

  test('with what a getter of its options throws', () => {
    const server = serve({ fetch: hello });
    const error = new Error('from the getter');

    assert.throws(
      () =>
        server.stop({
          get code() {
            throw error;
          },
        }),
      error,
    );
    assert.ok(server.port > 0);
  });
});

describe('a process', () => {
  /** A server in a process of its own with one client, which has been told to part: `stop` is what the process does then. */
  const parting = async (stop) => {
    const program = run(`
      const server = serve({ fetch: (req, own) => void own.upgrade(req), websocket: { open: () => setImmediate(stop) } });
      const stop = async () => { ${stop} };
      print(server.port);
    `);
    const client = await RawClient.open({ port: Number(await program.line()) });
    return { program, client };
  };

  test('lives until the last client has hung up, and no longer', async () => {
    const { program, client } = await parting(`await server.stop({ code: 1012, timeout: ${LONG} }); print('stopped');`);

    await client.expect('CLOSE 1012 Server closed', 'FIN');
    client.halfClose();

    assert.equal(await program.line(), 'stopped');
    assert.equal((await program.exited()).code, 0);
  });

  test('ends when the time is over although its client has not hung up', async () => {
    const { program, client } = await parting(`await server.stop({ timeout: ${SHORT} }); print('stopped');`);

    await client.expect('CLOSE 1001 Server closed', 'FIN');

    assert.equal(await program.line(), 'stopped');
    assert.equal((await program.exited()).code, 0);
  });

  test('is not held by a server that is unreferenced', async () => {
    const { program, client } = await parting(`server.unref(); server.stop({ timeout: ${LONG} });`);

    // The client is still there.
    assert.equal((await program.exited()).code, 0);
    await client.expect('CLOSE 1001 Server closed', 'FIN');
  });

  test('may wait for ever, without a warning', async () => {
    const { program, client } = await parting(`
      process.on('warning', ({ name }) => print(name));
      await server.stop({ timeout: Number.POSITIVE_INFINITY });
      print('stopped');
    `);

    await client.expect('CLOSE 1001 Server closed', 'FIN');
    client.halfClose();

    assert.equal(await program.line(), 'stopped');
    assert.equal((await program.exited()).code, 0);
  });
});

/** A server with a WebSocket, and a request beside it that nobody answers. */
async function heldBesideSocket() {
  const requests = calls('a request');
  const pairing = await pair({}, { fetch: (req, own) => (own.upgrade(req) ? undefined : new Promise(() => requests(req))) });
  const another = await connectTo(pairing.server);
  another.write(request('GET', '/'));
  const [req] = await requests.next();
  return { ...pairing, another, req };
}

/** How many this process may have open. */
function descriptors() {
  const limit = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
  return limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit);
}

function outOfRange(option, rule) {
  return { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message: `The value of "options.${option}" is out of range. ${rule}` };
}
