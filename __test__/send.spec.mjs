// send, sendText and sendBinary: what each takes, the frame it makes, what it returns.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair } from './support/connect.mjs';
import { expectOutcome, testPayloads } from './support/payloads.mjs';
import { text } from './support/raw-client.mjs';
import { throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);

const METHODS = ['send', 'sendText', 'sendBinary'];
/** Something each method takes, of one byte. */
const ONE_BYTE = { send: 'a', sendText: 'a', sendBinary: new Uint8Array(1) };

for (const method of METHODS) {
  describe(method, () => {
    const prepare = async () => {
      const { ws, client } = await pair();
      return { call: (...args) => ws[method](...args), client, mark: () => ws.send('marker') };
    };

    testPayloads(method, prepare);

    test('throws without an argument', async () => {
      const { call, ...seen } = await prepare();

      await expectOutcome({ error: { message: `${method} requires at least 1 argument` } }, () => call(), seen);
    });

    for (const compress of [true, false, undefined]) {
      test(`takes ${compress} for compress; without a negotiated extension nothing is compressed`, async () => {
        const { ws, client } = await pair();

        assert.equal(ws[method](ONE_BYTE[method], compress), 1);

        const frame = await client.frame();
        assert.deepEqual([frame.rsv1, frame.payload.length], [false, 1]);
      });
    }

    for (const compress of [null, 0, 1, 'x', {}, Symbol('s')]) {
      test(`refuses ${typeof compress === 'object' ? JSON.stringify(compress) : String(compress)} for compress`, async () => {
        const { ws } = await pair();

        throwsExactly(() => ws[method](ONE_BYTE[method], compress), { message: `${method} expects compress to be a boolean` });
      });
    }

    test('looks at compress before the data', async () => {
      const { ws } = await pair();

      throwsExactly(() => ws[method](undefined, 5), { message: `${method} expects compress to be a boolean` });
    });
  });
}

describe('the frame', () => {
  for (const [length, header] of [
    [0, '82 00'],
    [125, '82 7d'],
    [126, '82 7e 007e'],
    [127, '82 7e 007f'],
    [65535, '82 7e ffff'],
    [65536, '82 7f 0000000000010000'],
    [1_000_000, '82 7f 00000000000f4240'],
  ]) {
    test(`of ${length} bytes has the header ${header}`, async () => {
      const { ws, client } = await pair();
      const payload = Buffer.alloc(length, 'abcdefg');

      assert.equal(ws.send(payload), length);

      const frame = await client.frame();
      assert.equal(frame.header.toString('hex'), header.replaceAll(' ', ''));
      assert.ok(frame.payload.equals(payload));
    });
  }

  test('of a text has the length of its UTF-8 bytes', async () => {
    const { ws, client } = await pair();

    assert.equal(ws.send('\u20ac'.repeat(50)), 150);

    const frame = await client.frame();
    assert.equal(frame.header.toString('hex'), '817e0096');
    assert.equal(frame.text, '\u20ac'.repeat(50));
  });

  test('of a long text of mixed scripts arrives whole', async () => {
    const { ws, client } = await pair();
    const message = 'ascii \u00e9\u00ff latin \u4e2d\u6587 \ud83d\ude00 '.repeat(20_000);

    ws.send(message);

    assert.ok((await client.frame()).payload.equals(Buffer.from(message)));
  });

  test('is copied when send is called: changing the bytes afterwards changes nothing', async () => {
    const { ws, client } = await pair({
      message(own) {
        const bytes = Buffer.from('before');
        own.cork(() => {
          own.send(bytes);
          bytes.fill('x');
          own.send(bytes.subarray(0, 1));
        });
        bytes.fill('y');
      },
    });
    const bytes = Buffer.from('before');

    ws.send(bytes);
    bytes.fill('x');
    await client.expect(`BINARY ${Buffer.from('before').toString('hex')}`);

    client.text('again, corked');
    await client.expect(`BINARY ${Buffer.from('before').toString('hex')}`, `BINARY ${Buffer.from('x').toString('hex')}`);
  });

  test('is copied when send is called, also while it waits behind a backlog', async () => {
    const { ws, client } = await pair({ backpressureLimit: 0 });
    const bytes = Buffer.from('before');

    assert.equal(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES)), -1);
    assert.equal(ws.send(bytes), -1);
    bytes.fill('x');

    assert.equal((await client.frame()).payload.length, MORE_THAN_A_SOCKET_TAKES);
    await client.expect(`BINARY ${Buffer.from('before').toString('hex')}`);
  });
});

describe('the return value', () => {
  test('is the same inside a handler, in open and outside', async () => {
    const results = [];
    const { ws, client } = await pair({
      open: (own) => results.push(own.send('open')),
      message: (own) => results.push(own.send('mess\u00e9age')),
    });

    client.text('a');
    await client.expect('TEXT open', 'TEXT mess\u00e9age');
    results.push(ws.send('outside'));

    assert.deepEqual(results, [4, 9, 7]);
  });

  test('is 0 for an empty message, which is sent', async () => {
    const { ws, client } = await pair();

    assert.deepEqual([ws.send(''), ws.sendText(''), ws.sendBinary(new Uint8Array())], [0, 0, 0]);

    await client.expect('TEXT', 'TEXT', 'BINARY');
  });

  test('is -1 for a message of which a part has to wait, however large; it is delivered', async () => {
    const { ws, client } = await pair({ backpressureLimit: 1024 });
    const message = Buffer.alloc(MORE_THAN_A_SOCKET_TAKES, 'mantou');

    assert.equal(ws.send(message), -1);

    assert.ok((await client.frame()).payload.equals(message));
  });

  for (const ending of ['close', 'terminate']) {
    test(`is 0 after ${ending}() in the same tick, and nothing throws`, async () => {
      const results = [];
      const { client } = await pair({
        message(ws) {
          ws[ending]();
          for (const method of METHODS) results.push(ws[method]('x'), ws[method](), ws[method](undefined, 5));
        },
      });

      client.text('a');
      await client.rest();

      assert.deepEqual(results, Array(9).fill(0));
    });
  }

  test('is 0 when the client has closed', async () => {
    const { client, ws } = await pair({ message: (own, message) => own.send(message) });

    client.write(text('a')).halfClose();
    await client.expect('TEXT a', 'FIN');

    assert.equal(ws.send('x'), 0);
  });
});
