// cork(callback), and the corking of handlers.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair } from './support/connect.mjs';
import { ping, text } from './support/raw-client.mjs';
import { invalidArgType, missingArgs, throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);

const FIFTY = Array.from({ length: 50 }, (_, n) => `message ${n}`);
const FIFTY_FRAMES = FIFTY.map((message) => `TEXT ${message}`);
const sendAll = (ws) => {
  for (const message of FIFTY) ws.send(message);
};

/** How many pieces arrive at `client` while `act` runs and `expected` is read. */
async function piecesOf(client, expected, act) {
  const before = client.chunks.length;
  await act();
  await client.expect(...expected);
  return client.chunks.length - before;
}

describe('cork()', () => {
  test('calls back at once with the socket as argument and as `this`', async () => {
    const { ws } = await pair();
    const seen = [];

    ws.cork(function (...args) {
      seen.push(this, ...args);
    });
    seen.push('returned');

    assert.equal(seen.length, 3);
    assert.equal(seen[0], ws);
    assert.equal(seen[1], ws);
    assert.equal(seen[2], 'returned');
  });

  test('returns what the callback returns', async () => {
    const { ws } = await pair();
    const object = {};

    assert.equal(
      ws.cork(() => object),
      object,
    );
    assert.equal(
      ws.cork(() => {}),
      undefined,
    );
  });

  test('passes a promise through, and does not cork what comes after an await', async () => {
    const { ws, client } = await pair();

    const promise = ws.cork(async (own) => {
      own.send('corked');
      await client.expect('TEXT corked');
      own.send('later');
      return 'done';
    });

    assert.ok(promise instanceof Promise);
    assert.equal(await promise, 'done');
    await client.expect('TEXT later');
  });

  test('lets an exception through, and flushes what was sent before it', async () => {
    const { ws, client } = await pair();

    throwsExactly(
      () =>
        ws.cork(() => {
          ws.send('before');
          throw new RangeError('mine');
        }),
      { name: 'RangeError', message: 'mine' },
    );

    await client.expect('TEXT before');
    ws.send('after');
    await client.expect('TEXT after');
  });

  test('inside a handler lets the exception go on to `error`', async () => {
    const errors = [];
    const { client } = await pair({
      message(ws) {
        ws.send('one');
        ws.cork(() => {
          ws.send('two');
          throw 'from cork';
        });
      },
      error(error, ws) {
        errors.push(error);
        ws.send('three');
      },
    });

    client.text('a');

    await client.expect('TEXT one', 'TEXT two', 'TEXT three');
    assert.deepEqual(errors, ['from cork']);
  });

  test('sends everything in one piece', async () => {
    const { ws, client } = await pair();

    const pieces = await piecesOf(client, FIFTY_FRAMES, () => ws.cork(sendAll));

    assert.equal(pieces, 1);
  });

  test('keeps text, binary, pings, pongs and publishes in their order', async () => {
    const { ws, client, server } = await pair({ publishToSelf: true });
    ws.subscribe('room');

    ws.cork(() => {
      ws.send('1');
      ws.sendBinary(new Uint8Array([2]));
      ws.ping('3');
      ws.publish('room', '4');
      server.publish('room', '5');
      ws.pong('6');
      ws.sendText('7');
    });

    await client.expect('TEXT 1', 'BINARY 02', 'PING 3', 'TEXT 4', 'TEXT 5', 'PONG 6', 'TEXT 7');
  });

  test('returns the payload length for each send and leaves the buffered amount at 0', async () => {
    const { ws, client } = await pair();
    const seen = ws.cork(() => [ws.send('four'), ws.send(''), ws.ping('12'), ws.getBufferedAmount()]);

    assert.deepEqual(seen, [4, 0, 2, 0]);
    await client.expect('TEXT four', 'TEXT', 'PING 12');
    assert.equal(ws.getBufferedAmount(), 0);
  });

  test('may be nested, for the same socket and for others', async () => {
    const { ws, client, connect } = await pair();
    const other = await connect();

    ws.cork(() => {
      ws.send('1');
      ws.cork(() => ws.send('2'));
      other.ws.cork(() => {
        other.ws.send('a');
        ws.send('3');
        other.ws.send('b');
      });
      ws.send('4');
      other.ws.send('c');
    });

    await client.expect('TEXT 1', 'TEXT 2', 'TEXT 3', 'TEXT 4');
    await other.client.expect('TEXT a', 'TEXT b', 'TEXT c');
  });

  test('sends more than any buffer holds', async () => {
    const { ws, client } = await pair({ backpressureLimit: 0 });
    const big = Buffer.alloc(MORE_THAN_A_SOCKET_TAKES, 'big');

    const results = ws.cork(() => [ws.send('small'), ws.send(big), ws.send('last')]);

    assert.deepEqual(results, [5, -1, -1]);
    await client.expect('TEXT small');
    assert.ok((await client.frame()).payload.equals(big));
    await client.expect('TEXT last');
  });

  for (const [value, received] of [
    [undefined, 'undefined'],
    [null, 'null'],
    [5, 'type number (5)'],
    ['x', "type string ('x')"],
    ['a'.repeat(50), `type string ('${'a'.repeat(25)}...')`],
    [true, 'type boolean (true)'],
    [10n, 'type bigint (10n)'],
    [Symbol('s'), 'type symbol (Symbol(s))'],
    [{}, 'an instance of Object'],
    [[], 'an instance of Array'],
  ]) {
    test(`refuses ${received}`, async () => {
      const { ws } = await pair();

      throwsExactly(() => ws.cork(value), invalidArgType(`The "callback" argument must be of type function. Received ${received}`));
    });
  }

  test('throws without an argument', async () => {
    const { ws } = await pair();

    throwsExactly(() => ws.cork(), missingArgs("Not enough arguments to 'cork'. Expected 1, got 0."));
  });
});

describe('a handler is corked:', () => {
  for (const [name, act] of Object.entries({
    message: (client) => client.text('go'),
    ping: (client) => client.write(ping()),
  })) {
    test(`what ${name} sends leaves in one piece`, async () => {
      const { client } = await pair({ [name]: sendAll });

      const pieces = await piecesOf(client, name === 'ping' ? ['PONG', ...FIFTY_FRAMES] : FIFTY_FRAMES, () => act(client));

      // The pong was due before the handler ran.
      assert.ok(pieces <= (name === 'ping' ? 2 : 1), `${pieces} pieces`);
    });
  }

  test('the buffered amount stays 0 for what sits in the cork', async () => {
    const amounts = calls('message');
    const { client } = await pair({
      message(ws) {
        ws.send('x'.repeat(1000));
        amounts(ws.getBufferedAmount());
      },
    });

    client.text('go');

    assert.deepEqual(await amounts.next(), [0]);
    assert.equal((await client.frame()).payload.length, 1000);
  });

  test('a large send inside can return -1 with a real buffered amount', async () => {
    const results = calls('message');
    const { client } = await pair({
      message(ws) {
        results(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES)), ws.getBufferedAmount() > 0);
      },
    });

    client.text('go');

    assert.deepEqual(await results.next(), [-1, true]);
    assert.equal((await client.frame()).payload.length, MORE_THAN_A_SOCKET_TAKES);
  });

  test('what one handler sends to other sockets reaches them too', async () => {
    const { client, connect } = await pair({
      message(ws, message) {
        for (const other of others) other.ws.send(`${message} for you`);
        ws.send(`${message} for me`);
      },
    });
    const others = [await connect(), await connect()];

    client.write(text('1'), text('2'));

    await client.expect('TEXT 1 for me', 'TEXT 2 for me');
    for (const other of others) await other.client.expect('TEXT 1 for you', 'TEXT 2 for you');
  });
});
