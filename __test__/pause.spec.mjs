// pause() and resume().

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair } from './support/connect.mjs';
import { close, ping, text } from './support/raw-client.mjs';

afterEach(cleanUp);

/** Handlers that note what happens; "pause" pauses the socket. */
function noting() {
  const events = calls('an event');
  const handlers = {
    message(ws, message) {
      events(message);
      if (message === 'pause') ws.pause();
    },
    ping: (_, data) => events(`ping ${data}`),
    close: (_, code, reason) => events(`close ${code} ${reason}`),
  };
  return { events, handlers };
}

test('pause() and resume() return undefined, may be repeated, and show in isPaused', async () => {
  const { ws } = await pair();
  const seen = [ws.isPaused];

  seen.push(ws.pause(), ws.isPaused, ws.pause(), ws.isPaused, ws.resume(), ws.isPaused, ws.resume(), ws.isPaused);

  assert.deepEqual(seen, [false, undefined, true, undefined, true, undefined, false, undefined, false]);
});

test('resume() of a socket that is not paused does nothing', async () => {
  const { ws, client } = await pair({ message: (own, message) => own.send(message) });

  ws.resume();
  client.text('a');

  await client.expect('TEXT a');
});

test('frames that were already read are still delivered, later ones wait for resume()', async () => {
  const { events, handlers } = noting();
  const { ws, client, connect } = await pair(handlers);
  const other = await connect();

  client.write(text('a'), text('pause'), text('b'));
  assert.deepEqual((await events.count(3)).flat(), ['a', 'pause', 'b']);
  client.write(text('c'), ping('d'), text('e'));
  // Both write to the same event loop: when the other's message is here, the paused one's would be too.
  for (let n = 0; n < 5; n++) {
    other.client.text(`other ${n}`);
    await events.count(4 + n);
  }

  assert.equal(ws.isPaused, true);
  assert.ok(!events.all.flat().includes('c'));
  ws.resume();
  assert.deepEqual((await events.count(11)).flat().slice(8), ['c', 'ping d', 'e']);
  await client.expect('PONG d');
});

test('a paused socket still sends', async () => {
  const { ws, client } = await pair();
  ws.pause();

  assert.equal(ws.send('a'), 1);
  ws.ping('b');

  await client.expect('TEXT a', 'PING b');
});

test('a paused socket still sends its backlog and hears drain', async () => {
  const drains = calls('drain');
  const { ws, client } = await pair({ drain: (own) => drains(own.isPaused) });
  ws.pause();

  assert.equal(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES)), -1);

  assert.equal((await client.frame()).payload.length, MORE_THAN_A_SOCKET_TAKES);
  assert.deepEqual(await drains.next(), [true]);
});

for (const [what, leave, last] of [
  ['FIN', (client) => client.write(text('last words')).halfClose(), 'close 1006 '],
  ['a close frame', (client) => client.write(text('last words'), close(1000, 'bye')), 'close 1000 bye'],
]) {
  test(`${what} is noticed only after resume(), behind the messages before it`, async () => {
    const { events, handlers } = noting();
    const { ws, client, connect } = await pair(handlers);
    const other = await connect();
    ws.pause();

    leave(client);
    for (let n = 0; n < 5; n++) {
      other.client.text('other');
      await events.count(1 + n);
    }
    assert.deepEqual([ws.readyState, events.all.length], [1, 5]);
    ws.resume();

    assert.deepEqual((await events.count(7)).flat().slice(5), ['last words', last]);
  });
}

test('RST is noticed after resume() at the latest', async () => {
  const { events, handlers } = noting();
  const { ws, client } = await pair(handlers);
  ws.pause();

  client.reset();
  ws.resume();

  assert.deepEqual(await events.next(), ['close 1006 ']);
});

test('pause() in open holds back even the frames that follow the handshake', async () => {
  const { events, handlers } = noting();
  const { ws, client, connect } = await pair({ ...handlers, open: (own) => own.pause() });
  const other = await connect();
  other.ws.resume();

  client.text('early');
  other.client.text('other');
  assert.deepEqual(await events.next(), ['other']);
  ws.resume();

  assert.deepEqual(await events.next(), ['early']);
});

test('close() of a paused socket closes it', async () => {
  const { events, handlers } = noting();
  const { ws, client } = await pair(handlers);
  ws.pause();

  ws.close(4000);

  assert.equal(ws.isPaused, false);
  assert.deepEqual(events.all, [['close 4000 ']]);
  await client.expect('CLOSE 4000', 'FIN');
});

test('server.stop(true) closes a paused socket', async () => {
  const { events, handlers } = noting();
  const { ws, client, server } = await pair(handlers);
  ws.pause();

  server.stop(true);

  assert.deepEqual(events.all, [['close 1001 Server closed']]);
  await client.expect('CLOSE 1001 Server closed', 'FIN');
});

test('a stalled reader holds the sender back: the kernel takes only so much', async () => {
  const { ws, client } = await pair({ message: () => assert.fail('paused') });
  ws.pause();
  const message = text('x'.repeat(1024 * 1024));

  // Far more than the buffers between the two hold.
  for (let n = 0; n < 20; n++) client.write(message);
  ws.send('marker');
  await client.expect('TEXT marker');

  assert.ok(client.writableLength > 0);
});

test('what a paused socket was sent arrives whole after resume()', async () => {
  const lengths = calls('message');
  const { ws, client } = await pair({ message: (_, message) => lengths(message.length) });
  ws.pause();

  for (let n = 0; n < 4; n++) client.text('x'.repeat(1024 * 1024));
  ws.send('marker');
  await client.expect('TEXT marker');
  ws.resume();

  assert.deepEqual((await lengths.count(4)).flat(), Array(4).fill(1024 * 1024));
});
