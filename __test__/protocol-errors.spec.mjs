// What a client may not send. Each row is hex on the wire; the masking key is zero, so that payloads can be read.
// Always: a close frame with code and reason, FIN, and the close handler sees 1006 with the same text.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, pair } from './support/connect.mjs';
import { binary, close, continuation, hex, ping, text } from './support/raw-client.mjs';

afterEach(cleanUp);

const KEY = '00000000';
const MASKED = 'Received an incorrectly masked frame';
const RSV1 = 'Received unexpected RSV1 bit';
const RSV23 = 'Received unexpected RSV2 or RSV3 bit';
const OPCODE = 'Received invalid opcode';
const BIG_CONTROL = 'Received too big control frame';
const FRAGMENTED_CONTROL = 'Received fragmented control frame';
const STRAY_CONTINUATION = 'Received continuation frame outside a fragmented message';
const INTERRUPTED = 'Received new message inside a fragmented message';
const UTF8 = 'Received invalid UTF-8';
const TOO_BIG = 'Received too big message';
const CLOSE_PAYLOAD = 'Received invalid close payload';
const CLOSE_CODE = 'Received invalid close code';

const A = `${KEY} 61`;
/** 126 zero bytes, as a control frame may not carry them: length 126 takes the 16-bit form. */
const BYTES_126 = `fe 007e ${KEY} ${'00'.repeat(126)}`;

const violations = [
  // MASK=0
  ['an unmasked text', '81 01 61', 1002, MASKED],
  ['an unmasked empty text', '81 00', 1002, MASKED],
  ['an unmasked binary', '82 01 61', 1002, MASKED],
  ['an unmasked continuation', '80 00', 1002, MASKED],
  ['an unmasked ping', '89 00', 1002, MASKED],
  ['an unmasked pong', '8a 00', 1002, MASKED],
  ['an unmasked close', '88 02 03e8', 1002, MASKED],
  ['an unmasked frame of an unknown opcode', '83 00', 1002, MASKED],
  ['an unmasked frame with RSV2', 'a1 00', 1002, MASKED],
  // RSV1 (0x40), RSV2 (0x20), RSV3 (0x10); no extension was negotiated
  ['a text with RSV1', `c1 81 ${A}`, 1002, RSV1],
  ['a binary with RSV1', `c2 81 ${A}`, 1002, RSV1],
  ['a ping with RSV1', `c9 80 ${KEY}`, 1002, RSV1],
  ['a pong with RSV1', `ca 80 ${KEY}`, 1002, RSV1],
  ['a close with RSV1', `c8 80 ${KEY}`, 1002, RSV1],
  ['a continuation with RSV1', `01 81 ${A}  c0 81 ${A}`, 1002, RSV1],
  ['a text with RSV2', `a1 81 ${A}`, 1002, RSV23],
  ['a text with RSV3', `91 81 ${A}`, 1002, RSV23],
  ['a text with RSV2 and RSV3', `b1 81 ${A}`, 1002, RSV23],
  ['a text with all three', `f1 81 ${A}`, 1002, RSV1],
  ['a ping with RSV2', `a9 80 ${KEY}`, 1002, RSV23],
  ['a continuation with RSV3', `01 81 ${A}  90 81 ${A}`, 1002, RSV23],
  ['an unknown opcode with RSV1', `c3 80 ${KEY}`, 1002, RSV1],
  // opcodes 3..7 and 11..15
  ...[0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf].map((opcode) => [
    `opcode ${opcode}`,
    `8${opcode.toString(16)} 81 ${A}`,
    1002,
    OPCODE,
  ]),
  ['opcode 3 without FIN', `03 81 ${A}`, 1002, OPCODE],
  ['opcode 11 with 126 bytes', `8b ${BYTES_126}`, 1002, OPCODE],
  // control frames: FIN=0, more than 125 bytes
  ['a ping of 126 bytes', `89 ${BYTES_126}`, 1002, BIG_CONTROL],
  ['a pong of 126 bytes', `8a ${BYTES_126}`, 1002, BIG_CONTROL],
  ['a close of 126 bytes', `88 ${BYTES_126}`, 1002, BIG_CONTROL],
  ['a ping of one byte in the 16-bit length form', `89 fe 0001 ${A}`, 1002, BIG_CONTROL],
  ['a ping of one byte in the 64-bit length form', `89 ff 0000000000000001 ${A}`, 1002, BIG_CONTROL],
  ['a ping with a 64-bit length of 2^63', `89 ff 8000000000000000 ${KEY}`, 1002, BIG_CONTROL],
  ['a ping with FIN=0', `09 80 ${KEY}`, 1002, FRAGMENTED_CONTROL],
  ['a pong with FIN=0', `0a 80 ${KEY}`, 1002, FRAGMENTED_CONTROL],
  ['a close with FIN=0', `08 82 ${KEY} 03e8`, 1002, FRAGMENTED_CONTROL],
  ['a ping of 126 bytes with FIN=0', `09 ${BYTES_126}`, 1002, FRAGMENTED_CONTROL],
  // fragmentation
  ['a continuation with nothing started', `80 81 ${A}`, 1002, STRAY_CONTINUATION],
  ['a first continuation with FIN=0', `00 81 ${A}`, 1002, STRAY_CONTINUATION],
  ['a text inside a fragmented text', `01 81 ${A}  81 81 ${A}`, 1002, INTERRUPTED],
  ['a binary inside a fragmented text', `01 81 ${A}  82 81 ${A}`, 1002, INTERRUPTED],
  ['a first fragment inside a fragmented binary', `02 81 ${A}  02 81 ${A}`, 1002, INTERRUPTED],
  // text that is not UTF-8
  ['a text of a lone continuation byte', `81 81 ${KEY} 80`, 1007, UTF8],
  ['a text of 0xff', `81 81 ${KEY} ff`, 1007, UTF8],
  ['a text that ends inside a character', `81 82 ${KEY} e282`, 1007, UTF8],
  ['a text with an overlong NUL', `81 82 ${KEY} c080`, 1007, UTF8],
  ['a text with an overlong slash of four bytes', `81 84 ${KEY} f08080af`, 1007, UTF8],
  ['a text with a surrogate', `81 83 ${KEY} eda080`, 1007, UTF8],
  ['a text beyond U+10FFFF', `81 84 ${KEY} f4908080`, 1007, UTF8],
  ['a text that is wrong at its very end', `81 85 ${KEY} 61626364 c3`, 1007, UTF8],
  ['a fragmented text that ends inside a character', `01 81 ${KEY} e2  80 81 ${KEY} 82`, 1007, UTF8],
  ['a fragmented text that is wrong in its last fragment', `01 81 ${A}  80 81 ${KEY} ff`, 1007, UTF8],
  // lengths
  ['a text of 16 MiB + 1', `81 ff 0000000001000001 ${KEY}`, 1009, TOO_BIG],
  ['a binary of 16 MiB + 1', `82 ff 0000000001000001 ${KEY}`, 1009, TOO_BIG],
  ['a first fragment of 16 MiB + 1', `01 ff 0000000001000001 ${KEY}`, 1009, TOO_BIG],
  ['a 64-bit length of 2^63', `82 ff 8000000000000000 ${KEY}`, 1009, TOO_BIG],
  ['a 64-bit length of 2^64 - 1', `82 ff ffffffffffffffff ${KEY}`, 1009, TOO_BIG],
  ['a continuation of 16 MiB + 1', `02 81 ${A}  80 ff 0000000001000001 ${KEY}`, 1009, TOO_BIG],
  // close frames
  ['a close frame of one byte', `88 81 ${KEY} 03`, 1002, CLOSE_PAYLOAD],
  ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535].map((code) => [
    `close code ${code}`,
    `88 82 ${KEY} ${code.toString(16).padStart(4, '0')}`,
    1002,
    CLOSE_CODE,
  ]),
  ['a close reason of 0xff', `88 83 ${KEY} 03e8 ff`, 1007, UTF8],
  ['a close reason that ends inside a character', `88 83 ${KEY} 03e8 c3`, 1007, UTF8],
  ['an invalid close code with an invalid reason', `88 83 ${KEY} 03ed ff`, 1002, CLOSE_CODE],
];

/** A connection that notes what reaches its handlers. */
async function watched(options = {}) {
  const events = calls('an event');
  const connection = await pair({
    ...options,
    message: (_, message) => events('message', String(message)),
    close: (ws, code, reason) => events('close', code, reason, ws.readyState),
  });
  return { ...connection, events };
}

describe('a client that sends', () => {
  for (const [what, bytes, code, reason] of violations) {
    test(`${what} gets ${code} "${reason}"`, async () => {
      const { client, events } = await watched();

      client.write(text('before'), hex(bytes), text('after'));

      await client.expect(`CLOSE ${code} ${reason}`, 'FIN');
      assert.deepEqual(await events.count(2), [
        ['message', 'before'],
        ['close', 1006, reason, 3],
      ]);
    });
  }
});

describe('a violation', () => {
  test('is noticed when it arrives byte by byte', async () => {
    for (const [bytes, expected] of [
      [`81 01`, `CLOSE 1002 ${MASKED}`],
      [`01 81 ${A}  81 81 ${A}`, `CLOSE 1002 ${INTERRUPTED}`],
      [`88 83 ${KEY} 03e8 ff`, `CLOSE 1007 ${UTF8}`],
    ]) {
      const { client, events } = await watched();

      await client.dribble(Buffer.concat([text('before'), hex(bytes)]));

      // Bytes behind the one that decided it may meet a closed socket, so the end may be RST.
      assert.deepEqual(
        (await client.rest()).map((frame) => frame.notation),
        [expected],
      );
      assert.equal((await events.count(2))[0][1], 'before');
    }
  });

  test('is noticed from the header alone when the length is too big', async () => {
    const { client, events } = await watched({ maxPayloadLength: 10 });

    // FIN TEXT MASK length 11, no payload
    client.write(hex(`81 8b ${KEY}`));

    await client.expect(`CLOSE 1009 ${TOO_BIG}`, 'FIN');
    assert.deepEqual(await events.next(), ['close', 1006, TOO_BIG, 3]);
  });

  test('in a continuation: one too many after a finished message', async () => {
    const { client, events } = await watched();

    client.write(hex(`01 81 ${A}  80 81 ${A}  80 81 ${A}`));

    await client.expect(`CLOSE 1002 ${STRAY_CONTINUATION}`, 'FIN');
    assert.deepEqual(await events.count(2), [
      ['message', 'aa'],
      ['close', 1006, STRAY_CONTINUATION, 3],
    ]);
  });

  test('lets the answers of earlier messages out first', async () => {
    const { client } = await pair({ message: (ws, message) => ws.send(`re:${message}`) });

    client.write(text('a'), ping('p'), text('b'), hex('81 01 61'));

    await client.expect('TEXT re:a', 'PONG p', 'TEXT re:b', `CLOSE 1002 ${MASKED}`, 'FIN');
  });

  test('with a backlog: the close handler runs at once, backlog and close frame follow as the client reads', async () => {
    const { ws, client, events } = await watched({ backpressureLimit: 0 });
    client.pause();
    const message = Buffer.alloc(12 * 1024 * 1024);
    assert.equal(ws.send(message), -1);

    client.write(hex('81 01 61'));

    assert.deepEqual(await events.next(), ['close', 1006, MASKED, 3]);
    client.resume();
    assert.equal((await client.frame()).payload.length, message.length);
    await client.expect(`CLOSE 1002 ${MASKED}`, 'FIN');
  });

  test('leaves other connections alone', async () => {
    const { client, connect } = await watched();
    const other = await connect();

    client.write(hex('81 01 61'));
    await client.expect(`CLOSE 1002 ${MASKED}`, 'FIN');
    other.ws.send('fine');

    await other.client.expect('TEXT fine');
  });

  test('in a fragmented text: when the first fragment cannot be UTF-8', async () => {
    const { client, events } = await watched();

    client.write(text(hex('61 ff'), { fin: false }), ping('p'), continuation('b'));

    await client.expect(...(differs('utf8-as-it-arrives') ? [] : ['PONG p']), `CLOSE 1007 ${UTF8}`, 'FIN');
    assert.deepEqual(await events.next(), ['close', 1006, UTF8, 3]);
  });

  test('in a fragmented text: when a later fragment breaks the character that the first began', async () => {
    const { client } = await watched();

    client.write(text(hex('e2 82'), { fin: false }), continuation(hex('41'), { fin: false }), ping('p'), continuation('b'));

    await client.expect(...(differs('utf8-as-it-arrives') ? [] : ['PONG p']), `CLOSE 1007 ${UTF8}`, 'FIN');
  });
});

describe('no violation:', () => {
  const FINE = [
    ['a text in the 16-bit length form', `81 fe 0001 ${A}`, 'a'],
    ['a text in the 64-bit length form', `81 ff 0000000000000001 ${A}`, 'a'],
    ['an empty text in the 64-bit length form', `81 ff 0000000000000000 ${KEY}`, ''],
    ['two fragments', `01 81 ${A}  80 81 ${A}`, 'aa'],
    ['empty fragments', `01 80 ${KEY}  00 80 ${KEY}  00 81 ${A}  80 80 ${KEY}`, 'a'],
    ['only empty fragments', `01 80 ${KEY}  80 80 ${KEY}`, ''],
    ['fragmented binary', `02 81 ${A}  00 81 ${A}  80 81 ${A}`, 'aaa'],
    ['a character split over fragments', `01 81 ${KEY} e2  00 81 ${KEY} 82  80 81 ${KEY} ac`, '\u20ac'],
    ['a four-byte character', `81 84 ${KEY} f09f9880`, '\ud83d\ude00'],
    ['a noncharacter', `81 83 ${KEY} efbfbf`, '\uffff'],
    ['NUL', `81 81 ${KEY} 00`, '\0'],
    ['binary that is not UTF-8', `82 81 ${KEY} ff`, Buffer.from([0xff]).toString()],
    ['a masking key', '81 85 37fa213d 7f9f4d5158', 'Hello'],
  ];
  for (const [what, bytes, message] of FINE) {
    test(what, async () => {
      const { client, events } = await watched();

      client.write(hex(bytes), close(1000));

      await client.expect('CLOSE 1000', 'FIN');
      assert.deepEqual(await events.count(2), [
        ['message', message],
        ['close', 1000, '', 3],
      ]);
    });
  }

  test('each of these byte by byte', async () => {
    const { client, events } = await watched();

    await client.dribble(Buffer.concat([...FINE.map(([, bytes]) => hex(bytes)), close(1000)]));

    await client.expect('CLOSE 1000', 'FIN');
    assert.deepEqual(await events.count(FINE.length + 1), [...FINE.map(([, , message]) => ['message', message]), ['close', 1000, '', 3]]);
  });

  test('pings of 125 bytes and pongs nobody asked for, between fragments', async () => {
    const { client, events } = await watched();

    client.write(text('a', { fin: false }), ping('p'.repeat(125)), hex(`8a 80 ${KEY}`), continuation('b'));

    await client.expect(`PONG ${'p'.repeat(125)}`);
    assert.deepEqual(await events.next(), ['message', 'ab']);
  });

  for (const size of [125, 126, 127, 65535, 65536, 100_000]) {
    test(`messages of ${size} bytes, with a masking key of random bits, byte for byte`, async () => {
      const received = calls('message');
      const payload = Buffer.from(Array.from({ length: size }, (_, n) => (n * 31) % 256));
      const { client } = await pair({ message: (_, data) => received(data) });

      client.write(binary(payload, { mask: hex('a5c3f00d') }), text('', { mask: hex('ffffffff') }));

      const [[data]] = await received.count(2);
      assert.ok(payload.equals(data));
    });
  }
});
