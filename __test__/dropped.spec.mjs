// websocket.dropped(ws, data, topic): hears of every message that backpressureLimit dropped. Not in Bun.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair, serveSockets } from './support/connect.mjs';
import { throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);

/** A connection that is over its limit, and what `dropped` heard. */
async function overfull(handlers = {}) {
  const drops = calls('dropped');
  const connection = await pair({ backpressureLimit: 1000, dropped: (...args) => drops(...args), ...handlers });
  fill(connection);
  return { ...connection, drops };
}

function fill({ ws, client }) {
  client.pause();
  assert.equal(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES)), -1);
}

test('gets the socket and the very data of send(), before it returns 0', async () => {
  const { ws, drops } = await overfull();
  const bytes = new Uint8Array([1, 2]);

  assert.equal(ws.send('text'), 0);
  assert.equal(ws.send(bytes), 0);
  assert.equal(ws.sendText('more text'), 0);
  assert.equal(ws.sendBinary(bytes), 0);

  assert.deepEqual(drops.all, [
    [ws, 'text', undefined],
    [ws, bytes, undefined],
    [ws, 'more text', undefined],
    [ws, bytes, undefined],
  ]);
  assert.equal(drops.all[1][1], bytes);
});

test('hears of an empty message too', async () => {
  const { ws, drops } = await overfull();

  assert.equal(ws.send(''), 0);

  assert.deepEqual(drops.all, [[ws, '', undefined]]);
});

test('hears nothing of what was sent, of pings and pongs, and of closed sockets', async () => {
  const { ws, connect, drops } = await overfull();
  const other = await connect();

  assert.equal(other.ws.send(''), 0);
  assert.equal(ws.ping('x'), 0);
  assert.equal(ws.pong('x'), 0);
  ws.terminate();
  assert.equal(ws.send('late'), 0);

  assert.deepEqual(drops.all, []);
});

for (const [what, publish] of [
  ['server.publish()', ({ server }, data) => server.publish('room', data)],
  ['ws.publish()', ({ publisher }, data) => publisher.publish('room', data)],
]) {
  test(`gets each socket that ${what} did not reach, with the topic`, async () => {
    const { server, ws, connect, drops } = await overfull();
    const [good, alsoBad, { ws: publisher }] = [await connect(), await connect(), await connect()];
    fill(alsoBad);
    for (const socket of [ws, good.ws, alsoBad.ws]) socket.subscribe('room');

    assert.equal(publish({ server, publisher }, 'news'), 0);

    await good.client.expect('TEXT news');
    assert.deepEqual(drops.all, [
      [ws, 'news', 'room'],
      [alsoBad.ws, 'news', 'room'],
    ]);
  });
}

test('may send, also to the socket itself: what it drops there is not reported again', async () => {
  const { ws, connect, drops } = await overfull({
    dropped(own, data) {
      drops(data);
      assert.equal(own.send('again'), 0);
      other.ws.send('one was dropped');
    },
  });
  const other = await connect();

  assert.equal(ws.send('first'), 0);

  await other.client.expect('TEXT one was dropped');
  assert.deepEqual(drops.all, [['first']]);
});

test('that throws is reported to error, and send() returns 0 all the same', async () => {
  const errors = calls('error');
  const { ws } = await overfull({
    dropped() {
      throw new Error('in dropped');
    },
    error: (error, own) => errors(error.message, own),
  });

  assert.equal(ws.send('x'), 0);

  assert.deepEqual(await errors.next(), ['in dropped', ws]);
});

test('must be a function', () => {
  throwsExactly(() => serveSockets({ dropped: 5 }), {
    name: 'TypeError',
    code: 'ERR_INVALID_ARG_TYPE',
    message: "websocket expects a function for the 'dropped' option",
  });
});
