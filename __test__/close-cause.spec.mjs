// ws.closeCause: why a WebSocket closed, in a word. Not in Bun.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair } from './support/connect.mjs';
import { close, text } from './support/raw-client.mjs';

afterEach(cleanUp);

/** A connection, and what its `close` handler saw: the cause, the code and the reason. */
async function watched(options = {}) {
  const closes = calls('close');
  const connection = await pair({ ...options, close: (ws, code, reason) => closes(ws.closeCause, code, reason) });
  return { ...connection, closes };
}

test('is undefined while the socket is open', async () => {
  const { ws } = await watched();

  assert.equal(ws.closeCause, undefined);
});

const causes = {
  peer: [
    ['sends a Close frame', ({ client }) => client.write(close(4000, 'bye')), 4000, 'bye'],
    ['sends an empty Close frame', ({ client }) => client.write(close()), 1005, ''],
  ],
  io: [
    ['ends the connection without one', ({ client }) => client.halfClose(), 1006, ''],
    ['resets the connection', ({ client }) => client.reset(), 1006, ''],
  ],
  protocol: [
    ['sends an unmasked frame', ({ client }) => client.write(text('a', { mask: null })), 1006, 'Received an incorrectly masked frame'],
    ['sends text that is not UTF-8', ({ client }) => client.write(text(Buffer.from([0xff]))), 1006, 'Received invalid UTF-8'],
  ],
  'too-big': [['sends more than maxPayloadLength', ({ client }) => client.write(text('12345')), 1006, 'Received too big message']],
  server: [
    ['is closed by close()', ({ ws }) => ws.close(4001, 'done'), 4001, 'done'],
    ['is closed by terminate()', ({ ws }) => ws.terminate(), 1006, ''],
  ],
  stop: [['is closed by stop(true)', ({ server }) => void server.stop(true), 1001, 'Server closed']],
};

for (const [cause, ways] of Object.entries(causes)) {
  for (const [how, act, code, reason] of ways) {
    test(`is "${cause}" when the socket ${how}`, async () => {
      const connection = await watched({ maxPayloadLength: 4 });

      act(connection);

      assert.deepEqual(await connection.closes.next(), [cause, code, reason]);
      assert.equal(connection.ws.closeCause, cause);
    });
  }
}

test('is "idle" when nothing was heard for idleTimeout seconds', async () => {
  const { closes } = await watched({ idleTimeout: 1, sendPings: false });

  assert.deepEqual(await closes.next(), ['idle', 1006, 'WebSocket timed out from inactivity']);
});

test('is "backpressure" when a send went over the limit with closeOnBackpressureLimit', async () => {
  const { ws, client, closes } = await watched({ closeOnBackpressureLimit: true, backpressureLimit: 1000 });
  client.pause();

  ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES));
  ws.send('one too many');

  assert.deepEqual(await closes.next(), ['backpressure', 1006, '']);
});

test('is "server" when open throws', async () => {
  const closes = calls('close');
  await pair({
    open() {
      throw new Error('in open');
    },
    error() {},
    close: (ws) => closes(ws.closeCause),
  });

  assert.deepEqual(await closes.next(), ['server']);
});
