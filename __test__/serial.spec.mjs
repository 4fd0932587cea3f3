// websocket.serial: the next message of a socket waits until the promise of the last handler has settled. Not in Bun.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { calls } from './support/calls.mjs';
import { cleanUp, pair, serveSockets } from './support/connect.mjs';
import { killPrograms, run } from './support/program.mjs';
import { binary, close, ping, pong, text } from './support/raw-client.mjs';
import { throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);
afterEach(killPrograms);

/** Handlers that note what happens and wait for `settle(message)`. */
function gated(options = { serial: true }) {
  const events = calls('an event');
  const gates = new Map();
  const settle = (message, error) => (error === undefined ? gates.get(message).resolve() : gates.get(message).reject(error));
  const handlers = {
    ...options,
    async message(_, message) {
      events(`begin ${message}`);
      await new Promise((resolve, reject) => gates.set(String(message), { resolve, reject }));
      events(`end ${message}`);
    },
    ping: (_, data) => events(`ping ${data}`),
    pong: (_, data) => events(`pong ${data}`),
    close: (_, code, reason) => events(`close ${code} ${reason}`),
  };
  return { events, settle, handlers };
}

test('messages of one segment are handled one after the other', async () => {
  const { events, settle, handlers } = gated();
  const { client } = await pair(handlers);

  client.write(text('a'), binary('b'), text('c'));

  for (const message of ['a', 'b', 'c']) {
    assert.deepEqual(await events.next(), [`begin ${message}`]);
    settle(message);
    assert.deepEqual(await events.next(), [`end ${message}`]);
  }
});

test('everything behind a message waits with it: pings, pongs, their answers, and the close', async () => {
  const { events, settle, handlers } = gated();
  const { client, connect } = await pair(handlers);
  const other = await connect();

  client.write(text('a'), ping('p'), pong('q'), text('b'), close(4000, 'bye'));
  assert.deepEqual(await events.next(), ['begin a']);
  // Another socket is not held up, and shows that there was time.
  other.client.write(ping('other'));
  await other.client.expect('PONG other');
  assert.deepEqual(events.all.slice(1), [['ping other']]);

  settle('a');
  assert.deepEqual((await events.count(6)).flat().slice(2), ['end a', 'ping p', 'pong q', 'begin b']);
  settle('b');
  assert.deepEqual((await events.count(8)).flat().slice(6), ['end b', 'close 4000 bye']);
  await client.expect('PONG p', 'CLOSE 4000 bye', 'FIN');
});

test('a number says how many may be in hand', async () => {
  const { events, settle, handlers } = gated({ serial: 2 });
  const { client, connect } = await pair(handlers);
  const other = await connect();

  client.write(text('a'), text('b'), text('c'), text('d'));
  assert.deepEqual((await events.count(2)).flat(), ['begin a', 'begin b']);
  other.client.write(ping());
  await other.client.expect('PONG');
  assert.deepEqual((await events.count(3)).flat().slice(2), ['ping ']);

  settle('b');
  assert.deepEqual((await events.count(5)).flat().slice(3), ['end b', 'begin c']);
  settle('a');
  assert.deepEqual((await events.count(7)).flat().slice(5), ['end a', 'begin d']);
});

test('a handler that returns no promise does not wait', async () => {
  const events = calls('an event');
  const { client } = await pair({ serial: true, message: (_, message) => events(message) });

  client.write(text('a'), text('b'), text('c'));

  assert.deepEqual((await events.count(3)).flat(), ['a', 'b', 'c']);
});

test('a rejected promise lets the next message come, and is an unhandled rejection, once', async () => {
  const program = run(`
    process.on('unhandledRejection', (error) => print('unhandled: ' + error.message));
    const server = serve({
      fetch: (req, server) => void server.upgrade(req),
      websocket: {
        serial: true,
        async message(_, message) {
          print(message);
          if (message === 'a') throw new Error('on purpose');
          if (message === 'b') setImmediate(() => process.exit());
        },
      },
    });
    const client = await RawClient.open({ port: server.port });
    client.write(text('a'), text('b'));
  `);

  const { lines } = await program.exited();
  assert.deepEqual(lines.sort(), ['a', 'b', 'unhandled: on purpose']);
});

test('the socket is not read meanwhile, so its peer is held up by TCP and not stored', async () => {
  const { events, settle, handlers } = gated();
  const { client, connect } = await pair(handlers);
  const other = await connect();
  const total = 64 * 1024 * 1024;

  client.write(text('a'));
  assert.deepEqual(await events.next(), ['begin a']);
  // More than the kernel takes: the rest must stay with the client.
  for (let sent = 0; sent < total; sent += 2 ** 20) client.binary(Buffer.alloc(2 ** 20));
  for (let round = 0; round < 20; round++) {
    other.client.write(ping());
    await other.client.expect('PONG');
  }

  assert.ok(client.writableLength > total / 2, `only ${client.writableLength} bytes are still with the client`);
  settle('a');
  const ends = await events.count(22);
  assert.deepEqual(ends.at(-1), ['end a']);
});

test('close() in the hand of a handler drops what waits, and the handlers run once', async () => {
  const { events, settle, handlers } = gated();
  const { ws, client } = await pair(handlers);

  client.write(text('a'), text('b'));
  assert.deepEqual(await events.next(), ['begin a']);
  ws.close(4001, 'enough');
  settle('a');

  await client.expect('CLOSE 4001 enough', 'FIN');
  assert.deepEqual((await events.count(3)).flat(), ['begin a', 'close 4001 enough', 'end a']);
});

test('pause() and resume() keep their meaning', async () => {
  const { events, settle, handlers } = gated();
  const { ws, client } = await pair(handlers);

  client.write(text('a'));
  assert.deepEqual(await events.next(), ['begin a']);
  ws.pause();
  assert.equal(ws.isPaused, true);
  client.write(text('b'));
  settle('a');
  assert.deepEqual(await events.next(), ['end a']);
  ws.resume();

  assert.deepEqual(await events.next(), ['begin b']);
});

test('reload() can turn it off, also for what waits', async () => {
  const { events, settle, handlers } = gated();
  const { server, client } = await pair(handlers);
  client.write(text('a'), text('b'), text('c'));
  assert.deepEqual(await events.next(), ['begin a']);

  server.reload({ websocket: { ...handlers, serial: false } });
  settle('a');

  assert.deepEqual((await events.count(4)).flat().slice(1), ['end a', 'begin b', 'begin c']);
});

describe('serial must be', () => {
  for (const serial of [0, -1, 1.5, Number.NaN, 'yes', {}]) {
    test(`a boolean or a positive integer, not ${String(serial)}`, () => {
      throwsExactly(() => serveSockets({ serial }), {
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
        message: 'websocket expects serial to be a boolean or a positive integer',
      });
    });
  }
});
