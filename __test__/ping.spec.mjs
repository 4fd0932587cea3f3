// ping(), pong() and the answers to a client's pings.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair } from './support/connect.mjs';
import { testPayloads } from './support/payloads.mjs';
import { continuation, ping, pong, text } from './support/raw-client.mjs';
import { throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);

for (const method of ['ping', 'pong']) {
  const NAME = method.toUpperCase();

  describe(`${method}()`, () => {
    testPayloads(method, async () => {
      const { ws, client } = await pair();
      return { call: (payload) => ws[method](payload), client, mark: () => ws.send('marker') };
    });

    test('without data sends an empty frame and returns 0', async () => {
      const { ws, client } = await pair();

      assert.equal(ws[method](), 0);

      await client.expect(NAME);
    });

    test('carries 125 bytes', async () => {
      const { ws, client } = await pair();

      assert.equal(ws[method]('a'.repeat(125)), 125);
      assert.equal(ws[method](Buffer.alloc(125, 'b')), 125);

      await client.expect(`${NAME} ${'a'.repeat(125)}`, `${NAME} ${'b'.repeat(125)}`);
    });

    for (const [what, data, length] of [
      ['126 characters', 'a'.repeat(126), 126],
      ['63 characters of two bytes', '\u00e9'.repeat(63), 126],
      ['126 bytes', Buffer.alloc(126), 126],
      ['a megabyte', new ArrayBuffer(1024 * 1024), 1024 * 1024],
    ]) {
      test(`refuses ${what}`, async () => {
        const { ws, client } = await pair();

        throwsExactly(() => ws[method](data), {
          name: 'RangeError',
          message: `The data size must not be greater than 125 bytes. Received ${length} bytes.`,
        });

        ws.send('marker');
        await client.expect('TEXT marker');
      });
    }

    test('is dropped with 0 once more than the limit is buffered', async () => {
      const { ws, client } = await pair({ backpressureLimit: 1024 });

      assert.equal(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES)), -1);
      assert.equal(ws[method]('dropped'), 0);
      assert.equal(ws[method](), 0);
      assert.equal((await client.frame()).payload.length, MORE_THAN_A_SOCKET_TAKES);

      client.write(ping('marker'));
      await client.expect('PONG marker');
    });

    test('is -1 when it has to wait behind a backlog', async () => {
      const { ws, client } = await pair({ backpressureLimit: 0 });

      assert.equal(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES)), -1);
      assert.equal(ws[method]('waits'), -1);
      assert.equal(ws[method](), -1);

      assert.equal((await client.frame()).payload.length, MORE_THAN_A_SOCKET_TAKES);
      await client.expect(`${NAME} waits`, NAME);
    });

    test('keeps its place among messages', async () => {
      const { ws, client } = await pair();

      ws.send('1');
      ws[method]('2');
      ws.send('3');

      await client.expect('TEXT 1', `${NAME} 2`, 'TEXT 3');
    });
  });
}

describe("a client's ping", () => {
  for (const [what, handlers] of [
    ['without handlers', {}],
    ['with sendPings: false', { sendPings: false }],
    ['with idleTimeout: 0', { idleTimeout: 0 }],
  ]) {
    test(`is answered ${what}, with the same payload`, async () => {
      const { client } = await pair(handlers);

      client.write(ping(), ping('p'), ping('q'.repeat(125)));

      await client.expect('PONG', 'PONG p', `PONG ${'q'.repeat(125)}`);
    });
  }

  test('is answered before the ping handler runs', async () => {
    const { client } = await pair({
      ping(ws, data) {
        ws.send(`handler:${data}`);
      },
    });

    client.write(ping('1'), ping('2'));

    await client.expect('PONG 1', 'TEXT handler:1', 'PONG 2', 'TEXT handler:2');
  });

  test('is answered in the middle of a fragmented message', async () => {
    const { client } = await pair({ message: (ws, message) => ws.send(message) });

    client.write(text('a', { fin: false }), ping('p'), continuation('b', { fin: false }), ping('q'), continuation('c'));

    await client.expect('PONG p', 'PONG q', 'TEXT abc');
  });

  test('is answered with any bytes it carries', async () => {
    const { client } = await pair();

    client.write(ping(Buffer.from([0, 255, 128])));

    assert.deepEqual([...(await client.frame()).payload], [0, 255, 128]);
  });

  test('is answered once when the handler sends a pong of its own', async () => {
    const { client } = await pair({ ping: (ws) => ws.pong('own') });

    client.write(ping('p'), ping('q'));

    await client.expect('PONG p', 'PONG own', 'PONG q', 'PONG own');
  });
});

for (const [what, options, spoil] of [
  ['whose client goes before they are answered', {}, (_ws, client) => client.reset()],
  [
    'that are too many for the backpressureLimit',
    { backpressureLimit: 1024, closeOnBackpressureLimit: true },
    // More than the kernel takes, less than what ends the answers.
    (ws) => ws.send(Buffer.alloc(12 * 1024 * 1024)),
  ],
]) {
  test(`pings ${what} end the socket, and nothing else`, async () => {
    const closes = calls('close');
    const { ws, client, connect } = await pair({
      close: (...args) => closes(...args),
      message(own, data) {
        if (own === ws) spoil(ws, client);
        else own.send(data);
      },
      ...options,
    });
    const { client: other } = await connect();
    client.pause();

    // They have been read when the message before them is delivered.
    client.write(text('go'), ...Array(300).fill(ping('p'.repeat(125))));

    const [closed, code] = await closes.next();
    assert.deepEqual([closed, code], [ws, 1006]);
    other.text('still here');
    await other.expect('TEXT still here');
  });
}

test("a client's pong reaches the handler and is not answered", async () => {
  const pongs = calls('pong');
  const { client } = await pair({ pong: (_, data) => pongs(String(data)) });

  client.write(pong('unasked'), pong(), ping('marker'));

  await client.expect('PONG marker');
  assert.deepEqual(pongs.all, [['unasked'], ['']]);
});

test('a ping from the server comes back to the pong handler', async () => {
  const pongs = calls('pong');
  const { ws, client } = await pair({ pong: (own, data) => pongs(own === ws, String(data)) });

  ws.ping('there?');
  await client.expect('PING there?');
  client.write(pong('there?'));

  assert.deepEqual(await pongs.next(), [true, 'there?']);
});

test('ping() and pong() ignore further arguments', async () => {
  const { ws, client } = await pair();

  assert.equal(ws.ping('a', true), 1);
  assert.equal(ws.pong('b', 'ignored'), 1);

  await client.expect('PING a', 'PONG b');
});

test('the size check comes after the type check', async () => {
  const { ws } = await pair();

  throwsExactly(() => ws.ping([...Array(200)]), { message: 'ping expects a string, Blob, or BufferSource' });
});
