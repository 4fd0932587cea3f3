// A reader that stalls: what send returns, what is kept and what is dropped, drain, closeOnBackpressureLimit.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair } from './support/connect.mjs';
import { close, ping, text } from './support/raw-client.mjs';

afterEach(cleanUp);

const MEGABYTE = 1024 * 1024;
const BIG = Buffer.alloc(MORE_THAN_A_SOCKET_TAKES, 'big');
/** The header of a frame of a megabyte. */
const HEADER = 10;

/** A connection whose client does not read until it is resumed. */
async function stalled(handlers, options) {
  const connection = await pair(handlers, options);
  connection.client.pause();
  return connection;
}

/** Reads frames until `total` payload bytes have come. */
async function readPayload(client, total) {
  let read = 0;
  while (read < total) read += (await client.frame(`${total - read} more payload bytes`)).payload.length;
  assert.equal(read, total);
}

describe('a stalled reader', () => {
  test('makes send return the length, then -1, then 0, and never goes back', async () => {
    const { ws } = await stalled();
    const message = Buffer.alloc(MEGABYTE);
    const results = Array.from({ length: 64 }, () => ws.send(message));

    const taken = results.filter((result) => result === MEGABYTE).length;
    const queued = results.filter((result) => result === -1).length;

    assert.deepEqual(results, [...Array(taken).fill(MEGABYTE), ...Array(queued).fill(-1), ...Array(64 - taken - queued).fill(0)]);
    // One queued message more than the 16 MiB limit, one of which the kernel may have taken a part.
    assert.ok(queued === 17 || queued === 18, `${queued} queued`);
    assert.ok(taken + queued < 64);
  });

  test('gets all that was not dropped, in order, once it reads', async () => {
    const { ws, client } = await stalled();
    const sent = [];
    for (let n = 0; n < 40; n++) {
      const message = Buffer.alloc(MEGABYTE, n);
      if (ws.send(message) !== 0) sent.push(n);
    }

    client.resume();

    assert.ok(sent.length < 40);
    for (const n of sent) {
      const { payload } = await client.frame();
      assert.deepEqual([payload.length, payload[0], payload[MEGABYTE - 1]], [MEGABYTE, n, n]);
    }
    client.write(ping('that was all'));
    await client.expect('PONG that was all');
  });

  test('does not concern other sockets', async () => {
    const { ws, connect } = await stalled({ backpressureLimit: 1 });
    const other = await connect();

    assert.equal(ws.send(BIG), -1);
    assert.equal(ws.send('x'), 0);
    assert.equal(other.ws.send('y'), 1);

    await other.client.expect('TEXT y');
    assert.equal(other.ws.getBufferedAmount(), 0);
  });

  test('can still be heard', async () => {
    const messages = calls('message');
    const { ws, client } = await stalled({ message: (_, message) => messages(message) });
    assert.equal(ws.send(BIG), -1);

    client.text('slow down');

    assert.deepEqual(await messages.next(), ['slow down']);
  });

  test('that pings gets its pong behind the backlog', async () => {
    const pings = calls('ping');
    const backlog = 12 * MEGABYTE;
    const { ws, client } = await stalled({ ping: (_, data) => pings(String(data)) });
    assert.equal(ws.send(Buffer.alloc(backlog)), -1);

    client.write(ping('p'));
    assert.deepEqual(await pings.next(), ['p']);
    client.resume();

    await readPayload(client, backlog);
    await client.expect('PONG p');
  });

  for (const [what, backpressureLimit] of [
    ['the limit', 1],
    ['the default limit', undefined],
    ['16 MiB when there is no limit', 0],
    ['16 MiB when the limit is larger', 100 * MEGABYTE],
  ]) {
    test(`that pings with a backlog of more than ${what} gets no pong, the handler runs`, async () => {
      const pings = calls('ping');
      const { ws, client } = await stalled({ ping: (_, data) => pings(String(data)), backpressureLimit });
      assert.equal(ws.send(Buffer.alloc(2 * BIG.length)), -1);

      client.write(ping('p'));
      assert.deepEqual(await pings.next(), ['p']);
      client.resume();
      await readPayload(client, 2 * BIG.length);
      client.write(ping('q'));

      await client.expect('PONG q');
    });
  }
});

describe('the limit', () => {
  test('is compared with what is buffered already: one message may go beyond it', async () => {
    const { ws } = await stalled({ backpressureLimit: 1 });

    assert.equal(ws.send(BIG), -1);

    assert.ok(ws.getBufferedAmount() > 1);
    assert.deepEqual([ws.send('x'), ws.send(''), ws.ping(), ws.pong(), ws.sendBinary(BIG)], [0, 0, 0, 0, 0]);
  });

  test('lets a message through while no more than the limit is buffered', async () => {
    const { ws, client } = await stalled({ backpressureLimit: 64 * MEGABYTE });

    const results = [ws.send(BIG), ws.send(BIG), ws.send(BIG), ws.send('x')];

    assert.deepEqual(results, [-1, -1, -1, -1]);
    client.resume();
    await readPayload(client, 3 * BIG.length);
    await client.expect('TEXT x');
  });

  test('drops nothing of what it lets through: a dropped message leaves no trace', async () => {
    const { ws, client } = await stalled({ backpressureLimit: 1 });

    assert.equal(ws.send(BIG), -1);
    const buffered = ws.getBufferedAmount();
    assert.equal(ws.send('dropped'), 0);
    assert.equal(ws.getBufferedAmount(), buffered);
    client.resume();

    assert.ok((await client.frame()).payload.equals(BIG));
    client.write(ping('marker'));
    await client.expect('PONG marker');
  });

  test('does not hold back the close frame', async () => {
    const { ws, client } = await stalled({ backpressureLimit: 1 });
    assert.equal(ws.send(BIG), -1);
    assert.equal(ws.send('dropped'), 0);

    ws.close(4000, 'full');
    client.resume();

    await readPayload(client, BIG.length);
    await client.expect('CLOSE 4000 full', 'FIN');
  });

  test('is open again once the backlog is read', async () => {
    const drains = calls('drain');
    const { ws, client } = await stalled({ backpressureLimit: 1, drain: (own) => own.getBufferedAmount() === 0 && drains() });
    assert.equal(ws.send(BIG), -1);
    assert.equal(ws.send('dropped'), 0);

    client.resume();
    await readPayload(client, BIG.length);
    await drains.next();

    assert.equal(ws.send('kept'), 4);
    await client.expect('TEXT kept');
  });
});

describe('getBufferedAmount()', () => {
  test('is 0 without a backlog', async () => {
    const { ws, client } = await pair();

    ws.send('a');
    await client.expect('TEXT a');

    assert.equal(ws.getBufferedAmount(), 0);
  });

  test('counts the headers of queued frames too', async () => {
    const { ws } = await stalled({ backpressureLimit: 0 });
    ws.send(BIG);
    const before = ws.getBufferedAmount();

    ws.send(Buffer.alloc(MEGABYTE));
    ws.send('x');
    ws.ping();

    // The kernel may have taken some in between, but never put any back.
    const added = ws.getBufferedAmount() - before;
    assert.ok(added <= MEGABYTE + HEADER + 3 + 2, `${added} added`);
    assert.ok(added > 0);
  });

  test('is what the client has not been sent: never more than all of it', async () => {
    const { ws } = await stalled();

    ws.send(BIG);

    const amount = ws.getBufferedAmount();
    assert.ok(Number.isInteger(amount) && amount > 0 && amount <= BIG.length + HEADER, String(amount));
  });

  test('falls to 0 as the client reads', async () => {
    const amounts = calls('drain');
    const { ws, client } = await stalled({ drain: (own) => amounts(own.getBufferedAmount()) });
    ws.send(BIG);
    const first = ws.getBufferedAmount();

    client.resume();
    await readPayload(client, BIG.length);
    for (let amount; amount !== 0; ) [amount] = await amounts.next();

    const seen = amounts.all.flat();
    assert.ok(seen[0] < first);
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => b - a),
    );
    assert.equal(ws.getBufferedAmount(), 0);
  });
});

describe('drain', () => {
  test('is not called without backpressure', async () => {
    const { client } = await pair({
      message(ws, message) {
        for (let n = 0; n < 10; n++) ws.send(message);
      },
      drain: () => assert.fail('there was no backpressure'),
    });

    for (let round = 0; round < 3; round++) {
      client.text('a');
      await client.expect(...Array(10).fill('TEXT a'));
    }
  });

  test('finds the socket open, and what it sends arrives behind the backlog', async () => {
    let done = false;
    const states = [];
    const { ws, client } = await stalled({
      drain(own) {
        states.push(own.readyState);
        if (done || own.getBufferedAmount() > 0) return;
        done = true;
        own.send('drained');
      },
    });
    assert.equal(ws.send(BIG), -1);

    client.resume();

    await readPayload(client, BIG.length);
    await client.expect('TEXT drained');
    assert.deepEqual([...new Set(states)], [1]);
  });

  test('may fill the socket again, and is called again', async () => {
    let rounds = 0;
    const { ws, client } = await stalled({
      drain(own) {
        if (own.getBufferedAmount() > 0 || rounds === 2) return;
        rounds++;
        assert.equal(own.send(BIG), -1);
      },
    });
    assert.equal(ws.send(BIG), -1);

    client.resume();

    await readPayload(client, 3 * BIG.length);
    assert.equal(rounds, 2);
  });

  test('lets a sender that waits for it deliver everything', async () => {
    const total = 40;
    let next = 0;
    const fill = (ws) => {
      while (next < total && ws.send(Buffer.alloc(MEGABYTE, next)) !== 0) next++;
    };
    const { ws, client } = await stalled({ backpressureLimit: 4 * MEGABYTE, drain: fill });

    fill(ws);
    assert.ok(next < total, 'the reader stalls, so not all can be sent yet');
    client.resume();

    for (let n = 0; n < total; n++) assert.equal((await client.frame()).payload[0], n);
  });

  test('is not called after close, though the backlog goes out', async () => {
    const { ws, client } = await stalled({ drain: () => assert.fail('closed'), backpressureLimit: 0 });
    assert.equal(ws.send(BIG), -1);

    ws.close(1000);
    client.resume();

    await readPayload(client, BIG.length);
    await client.expect('CLOSE 1000', 'FIN');
  });
});

describe('closeOnBackpressureLimit', () => {
  /** A connection over its limit, the moment after the first dropped send. */
  async function overTheLimit(send = (ws) => ws.send('one too many')) {
    const closes = calls('close');
    const { ws, client, server } = await stalled({
      backpressureLimit: MEGABYTE,
      closeOnBackpressureLimit: true,
      open: (own) => own.subscribe('room'),
      close: (own, code, reason) => closes(code, reason, own.readyState),
      drain: () => assert.fail('the backlog is lost'),
    });
    assert.equal(ws.send(BIG), -1);
    return { ws, client, server, closes, result: send(ws, server) };
  }

  test('leaves the socket open until the next turn of the loop, then closes it with 1006', async () => {
    const { ws, closes, result } = await overTheLimit();

    assert.deepEqual([result, ws.readyState, closes.all.length], [0, 1, 0]);
    assert.equal(ws.send('another'), 0);

    assert.deepEqual(await closes.next(), [1006, '', 3]);
    assert.equal(ws.readyState, 3);
  });

  test('sends FIN without a close frame and loses the backlog', async () => {
    const { client, closes } = await overTheLimit();
    await closes.next();

    client.resume();

    assert.equal(await client.ended(), 'FIN');
    assert.ok(client.bytes.length < BIG.length);
  });

  test('calls close once, though more sends are dropped', async () => {
    const { ws, client, closes } = await overTheLimit();
    for (let n = 0; n < 5; n++) ws.send('more');

    await closes.next();
    client.resume();
    await client.ended();

    assert.equal(closes.all.length, 1);
  });

  for (const [what, send] of [
    ['ping()', (ws) => ws.ping()],
    ['ws.publish()', (_, server) => server.publish('room', 'x')],
  ]) {
    test(`closes a socket that ${what} found over its limit`, async () => {
      const { closes, result } = await overTheLimit(send);

      assert.equal(result, 0);
      assert.deepEqual(await closes.next(), [1006, '', 3]);
    });
  }

  test('has no part in a message that is queued', async () => {
    const { ws, client } = await stalled({ backpressureLimit: MEGABYTE, closeOnBackpressureLimit: true });

    assert.equal(ws.send(BIG), -1);
    client.resume();

    await readPayload(client, BIG.length);
    client.write(text('ignored'), close(1000));
    await client.expect('CLOSE 1000', 'FIN');
  });
});
