// permessage-deflate (RFC 7692): the option, what is agreed to, what is sent compressed, what is accepted compressed.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, describe, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair, serveSockets } from './support/connect.mjs';
import { COMPRESSED, Compressor, compress, inflate, TAIL } from './support/deflate.mjs';
import { binary, close, continuation, hex, ping, pong, RawClient, text } from './support/raw-client.mjs';
import { invalidArgType, throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);

const SIZES = ['3KB', '4KB', '8KB', '16KB', '32KB', '64KB', '128KB', '256KB'];
const LEVELS = ['disable', 'shared', 'dedicated', ...SIZES];
const DEDICATED = { compress: 'dedicated', decompress: 'dedicated' };
/** A configuration for each way in which a server keeps what it needs to compress. */
const KINDS = { shared: true, dedicated: DEDICATED, '3KB': { compress: '3KB', decompress: '3KB' } };

const OFFER = 'permessage-deflate; client_max_window_bits';
/** Compresses well, and better in the context of itself. */
const MESSAGE = 'a message to be compressed, a message to be compressed';

/** A server's end and a client's, which has made this offer (none when it is null). */
const deflated = (perMessageDeflate, handlers, offer = OFFER) => pair({ ...handlers, perMessageDeflate }, { request: offered(offer) });
const offered = (offer) => ({ headers: { 'Sec-WebSocket-Extensions': offer ?? undefined } });
/** What the server answered to the offer. */
const agreed = (client) => client.head.header('sec-websocket-extensions');

describe('the option perMessageDeflate', () => {
  /** Serves with it, then reloads a server to it: the same check guards both. */
  function bothWays(perMessageDeflate) {
    const running = serveSockets({});
    return [
      () => serveSockets({ perMessageDeflate }),
      () => running.reload({ fetch: () => new Response(), websocket: { perMessageDeflate } }),
    ];
  }

  for (const value of [null, undefined, true, false, {}, [], () => {}, new Boolean(true)]) {
    test(`may be ${shown(value)}`, () => {
      for (const act of bothWays(value)) act();
    });
  }

  for (const value of [0, 1, NaN, '', 'shared', 10n, Symbol('s')]) {
    test(`may not be ${shown(value)} (a ${typeof value})`, () => {
      for (const act of bothWays(value))
        throwsExactly(act, invalidArgType('websocket expects perMessageDeflate to be a boolean or an object'));
    });
  }

  for (const side of ['compress', 'decompress']) {
    for (const value of [null, undefined, '', true, false, ...LEVELS, new String('shared')]) {
      test(`takes ${shown(value)} for ${side}`, () => {
        for (const act of bothWays({ [side]: value })) act();
      });
    }

    for (const value of [
      '3kb',
      'Shared',
      'shared ',
      '512KB',
      '3',
      0,
      1,
      3,
      10n,
      {},
      [],
      ['shared'],
      { toString: () => 'shared' },
      Symbol('s'),
    ]) {
      test(`refuses ${shown(value)} (a ${typeof value}) for ${side}`, () => {
        const names = `"disable" "shared" "dedicated" ${SIZES.slice(0, -1)
          .map((size) => `"${size}"`)
          .join(' ')} or "256KB"`;
        for (const act of bothWays({ [side]: value }))
          throwsExactly(act, invalidArgType(`websocket expects a valid ${side} option, either ${names}`));
      });
    }
  }

  test('lets out what a getter of it throws', () => {
    const option = {
      get compress() {
        throw new RangeError('from the getter');
      },
    };

    for (const act of bothWays(option)) throwsExactly(act, { name: 'RangeError', message: 'from the getter' });
  });

  test('may be changed by reload(), for connections made later', async () => {
    const { server, ws, client } = await deflated(undefined);
    const answers = [agreed(client)];

    for (const perMessageDeflate of [true, DEDICATED, undefined]) {
      server.reload({ websocket: { perMessageDeflate } });
      answers.push(agreed(await RawClient.open({ port: server.port, ...offered('permessage-deflate') })));
    }

    assert.deepEqual(answers, [
      undefined,
      'permessage-deflate; client_no_context_takeover; server_no_context_takeover',
      'permessage-deflate',
      undefined,
    ]);
    ws.send(MESSAGE, true);
    await client.expect(`TEXT ${MESSAGE}`);
  });
});

/** The value of Sec-WebSocket-Extensions for the parameters in short: CN and SN for no context takeover, CW=9 and SW=9 for window bits. */
function answer(short) {
  if (short === null) return undefined;
  const parameters = short
    .replaceAll('CN', 'client_no_context_takeover')
    .replaceAll('SN', 'server_no_context_takeover')
    .replaceAll('CW', 'client_max_window_bits')
    .replaceAll('SW', 'server_max_window_bits');
  return ['permessage-deflate', ...parameters.split(' ').filter((parameter) => parameter !== '')].join('; ');
}

/** The values of all Sec-WebSocket-Extensions fields with which the server answers `offer`. */
async function answersTo(perMessageDeflate, offer) {
  const { client } = await deflated(perMessageDeflate, {}, offer);
  return client.head.headers.filter(([name]) => name === 'Sec-WebSocket-Extensions').map(([, value]) => value);
}

function testAnswer(what, perMessageDeflate, offer, short) {
  test(what, async () => {
    assert.deepEqual(await answersTo(perMessageDeflate, offer), short === null ? [] : [answer(short)]);
  });
}

describe('what is agreed to', () => {
  for (const perMessageDeflate of [
    undefined,
    null,
    false,
    {},
    [],
    { compress: '' },
    { compress: '', decompress: '' },
    { compress: false },
    { decompress: false },
    { compress: 'disable' },
    { decompress: 'disable' },
    { compress: false, decompress: false },
    { compress: 'disable', decompress: 'disable' },
    { compress: 'disable', decompress: false },
  ]) {
    testAnswer(`with ${JSON.stringify(perMessageDeflate)} is nothing`, perMessageDeflate, OFFER, null);
  }

  // The answer to a plain offer; where a second one stands, it is that to an offer of client_max_window_bits.
  for (const [perMessageDeflate, plain, withBits = plain] of [
    [true, 'CN SN'],
    [{ compress: true }, 'CN SN'],
    [{ decompress: true }, 'CN SN'],
    [{ compress: null, decompress: true }, 'CN SN'],
    [{ compress: 'shared' }, 'CN SN'],
    [{ compress: 'shared', decompress: 'shared' }, 'CN SN'],
    [{ compress: 'shared', decompress: 'disable' }, 'CN SN'],
    [{ compress: 'shared', decompress: false }, 'CN SN'],
    [{ compress: 'dedicated', decompress: 'disable' }, 'CN'],
    [{ compress: 'disable', decompress: 'shared' }, 'CN SN'],

    [{ compress: 'dedicated' }, 'CN'],
    [{ compress: '3KB' }, 'CN SW=9'],
    [{ compress: '4KB' }, 'CN SW=9'],
    [{ compress: '8KB' }, 'CN SW=10'],
    [{ compress: '16KB' }, 'CN SW=11'],
    [{ compress: '32KB' }, 'CN SW=12'],
    [{ compress: '64KB' }, 'CN SW=13'],
    [{ compress: '128KB' }, 'CN SW=14'],
    [{ compress: '256KB' }, 'CN'],

    ...[undefined, 'shared', 'disable'].flatMap((compress) => [
      [{ compress, decompress: 'shared' }, 'CN SN'],
      [{ compress, decompress: 'dedicated' }, 'SN'],
      [{ compress, decompress: '3KB' }, 'CN SN', 'CW=11 SN'],
      [{ compress, decompress: '4KB' }, 'CN SN', 'CW=12 SN'],
      [{ compress, decompress: '8KB' }, 'CN SN', 'CW=13 SN'],
      [{ compress, decompress: '16KB' }, 'CN SN', 'CW=14 SN'],
      [{ compress, decompress: '32KB' }, 'SN'],
      [{ compress, decompress: '64KB' }, 'SN'],
      [{ compress, decompress: '128KB' }, 'SN'],
      [{ compress, decompress: '256KB' }, 'SN'],
    ]),

    [DEDICATED, ''],
    [{ compress: '256KB', decompress: '256KB' }, ''],
    [{ compress: '3KB', decompress: '3KB' }, 'CN SW=9', 'CW=11 SW=9'],
    [{ compress: '8KB', decompress: '32KB' }, 'SW=10'],
    [{ compress: '128KB', decompress: '16KB' }, 'CN SW=14', 'CW=14 SW=14'],
  ]) {
    const what = JSON.stringify(perMessageDeflate);
    testAnswer(`with ${what} is "${plain}"`, perMessageDeflate, 'permessage-deflate', plain);
    testAnswer(`with ${what} and client_max_window_bits on offer is "${withBits}"`, perMessageDeflate, OFFER, withBits);
  }

  const SHARED = true;
  const C8 = { compress: '8KB', decompress: 'shared' };
  const D4 = { compress: 'shared', decompress: '4KB' };
  const SMALL = { compress: '4KB', decompress: '4KB' };
  const RECEIVING = { compress: 'disable', decompress: 'dedicated' };

  // An offer in short, and the answers of servers with a shared compressor and decompressor, dedicated ones, compress 8KB, decompress 4KB, both
  // 4KB, and one that does not compress and has a dedicated decompressor. A null is a decline.
  for (const [offer, shared, dedicated, c8, d4, small, receiving] of [
    ['CW=8', 'CN SN', 'CW=8', 'CN SW=10', 'CW=8 SN', 'CW=8 SW=9', 'CW=8 SN'],
    ['CW=9', 'CN SN', 'CW=9', 'CN SW=10', 'CW=9 SN', 'CW=9 SW=9', 'CW=9 SN'],
    ['CW=12', 'CN SN', 'CW=12', 'CN SW=10', 'CW=12 SN', 'CW=12 SW=9', 'CW=12 SN'],
    ['CW=13', 'CN SN', 'CW=13', 'CN SW=10', 'CW=12 SN', 'CW=12 SW=9', 'CW=13 SN'],
    ['CW=15', 'CN SN', '', 'CN SW=10', 'CW=12 SN', 'CW=12 SW=9', 'SN'],
    ['CW="10"', 'CN SN', 'CW=10', 'CN SW=10', 'CW=10 SN', 'CW=10 SW=9', 'CW=10 SN'],

    ['SW=8', null, 'SW=8', 'CN SW=8', null, 'CN SW=8', null],
    ['SW=9', null, 'SW=9', 'CN SW=9', null, 'CN SW=9', null],
    ['SW=10', null, 'SW=10', 'CN SW=10', null, 'CN SW=9', null],
    ['SW=14', null, 'SW=14', 'CN SW=10', null, 'CN SW=9', null],
    ['SW=15', 'CN SN SW=15', 'SW=15', 'CN SW=10', 'CN SN SW=15', 'CN SW=9', 'SN SW=15'],
    ['SW="10"', null, 'SW=10', 'CN SW=10', null, 'CN SW=9', null],
    ['CW SW=10', null, 'SW=10', 'CN SW=10', null, 'CW=12 SW=9', null],

    ['CN', 'CN SN', 'CN', 'CN SW=10', 'CN SN', 'CN SW=9', 'CN SN'],
    ['CN CW', 'CN SN', 'CN', 'CN SW=10', 'CN SN', 'CN SW=9', 'CN SN'],
    ['CN CW=10', 'CN SN', 'CN', 'CN SW=10', 'CN SN', 'CN SW=9', 'CN SN'],
    ['SN', 'CN SN', 'SN', 'CN SN', 'CN SN', 'CN SN', 'SN'],
    ['CN SN', 'CN SN', 'CN SN', 'CN SN', 'CN SN', 'CN SN', 'CN SN'],
    ['SN SW=15', 'CN SN SW=15', 'SN SW=15', 'CN SN SW=15', 'CN SN SW=15', 'CN SN SW=15', 'SN SW=15'],
  ]) {
    for (const [what, perMessageDeflate, short] of [
      ['shared', SHARED, shared],
      ['dedicated', DEDICATED, dedicated],
      ['compress 8KB', C8, c8],
      ['decompress 4KB', D4, d4],
      ['4KB', SMALL, small],
      ['compress disable, decompress dedicated', RECEIVING, receiving],
    ]) {
      const outcome = short === null ? 'nothing' : `"${short}"`;
      testAnswer(`with ${what} and "${offer}" on offer is ${outcome}`, perMessageDeflate, answer(offer), short);
    }
  }

  // Where Bun declines: a compressor of the socket's own can start afresh with every message, and with a small window.
  for (const [offer, perMessageDeflate, short] of [
    ['SN SW=10', DEDICATED, 'SN SW=10'],
    ['SN SW=8', DEDICATED, 'SN SW=8'],
    ['SN SW=12', C8, 'CN SN SW=10'],
    ['SN SW=9', C8, 'CN SN SW=9'],
    ['CW CN SN SW=10', DEDICATED, 'CN SN SW=10'],
    ['CW SN SW=10', SMALL, 'CW=12 SN SW=9'],
  ]) {
    test(`with ${JSON.stringify(perMessageDeflate)} and "${offer}" on offer`, async () => {
      const expected = differs('no-takeover-small-window') ? [answer(short)] : [];

      assert.deepEqual(await answersTo(perMessageDeflate, answer(offer)), expected);
    });
  }

  for (const perMessageDeflate of [SHARED, D4, RECEIVING]) {
    testAnswer(`with ${JSON.stringify(perMessageDeflate)} and "SN SW=10" on offer is nothing`, perMessageDeflate, answer('SN SW=10'), null);
  }

  // With dedicated compressors a plain offer is agreed to without a parameter, and "CW=10" with just that.
  for (const parameters of [
    'unknown',
    'unknown=1',
    'client_max_window_bits; client_max_window_bits',
    'client_max_window_bits; client_max_window_bits=10',
    'server_max_window_bits=10; server_max_window_bits=10',
    'client_no_context_takeover; client_no_context_takeover',
    'server_no_context_takeover; server_no_context_takeover',
    'client_max_window_bits=16',
    'client_max_window_bits=7',
    'client_max_window_bits=0',
    'client_max_window_bits=010',
    'client_max_window_bits=+10',
    'client_max_window_bits=9.5',
    'client_max_window_bits=x',
    'client_max_window_bits=',
    'client_max_window_bits="10',
    'client_max_window_bits=" 10"',
    'client_max_window_bits = 10',
    'server_max_window_bits',
    'server_max_window_bits=16',
    'server_max_window_bits=7',
    'client_no_context_takeover=1',
    'server_no_context_takeover=true',
    'Client_Max_Window_Bits',
    '',
  ]) {
    const offer = `permessage-deflate; ${parameters}`;
    testAnswer(`with "${offer}" on offer is nothing`, DEDICATED, offer, null);
    testAnswer(`with "${offer}" on offer is what the next field offers`, DEDICATED, [offer, answer('CW=10')], 'CW=10');
    if (!parameters.includes('"')) {
      testAnswer(`with "${offer}" on offer is what stands behind it`, DEDICATED, `${offer}, ${answer('CW=10')}`, 'CW=10');
    }
  }

  for (const [offer, short] of [
    ['Permessage-Deflate', null],
    ['PERMESSAGE-DEFLATE', null],
    ['permessage-deflate-2', null],
    ['permessage-bzip2', null],
    ['x-webkit-deflate-frame', null],
    ['x-unknown; a="permessage-deflate"', null],
    ['permessage-deflate x', null],
    ['permessage-deflate;', null],
    [';permessage-deflate', null],
    ['', null],
    [null, null],
    ['x-webkit-deflate-frame, permessage-deflate', ''],
    ['x-unknown; a="b,c; d", permessage-deflate; client_no_context_takeover', 'CN'],
    [['x-unknown', 'permessage-deflate'], ''],
    [',permessage-deflate', ''],
    ['permessage-deflate,', ''],
    ['permessage-deflate, permessage-deflate; client_no_context_takeover', ''],
    ['permessage-deflate; client_max_window_bits=10, permessage-deflate', 'CW=10'],
    ['permessage-deflate;client_max_window_bits=10', 'CW=10'],
    ['permessage-deflate ;  client_max_window_bits=10 ', 'CW=10'],
    ['permessage-deflate;\tclient_max_window_bits=10', 'CW=10'],
  ]) {
    const outcome = short === null ? 'nothing' : `"${short}"`;
    testAnswer(`with ${JSON.stringify(offer)} on offer is ${outcome}`, DEDICATED, offer, short);
  }

  testAnswer('passes over an offer that a shared compressor cannot meet', true, `${answer('SW=10')}, ${answer('CN')}`, 'CN SN');

  test('stands between the protocol and the date, whatever upgrade() was given', async () => {
    const { client } = await pair(
      { perMessageDeflate: true },
      {
        request: { headers: { 'Sec-WebSocket-Extensions': OFFER, 'Sec-WebSocket-Protocol': 'chat' } },
        upgrade: { headers: { 'Sec-WebSocket-Extensions': 'x-mine' } },
      },
    );

    assert.deepEqual(
      client.head.headers.map(([name]) => name),
      ['Upgrade', 'Connection', 'Sec-WebSocket-Accept', 'Sec-WebSocket-Protocol', 'Sec-WebSocket-Extensions', 'Date'],
    );
    assert.equal(agreed(client), answer('CN SN'));
  });
});

describe('a message is sent', () => {
  for (const [kind, perMessageDeflate] of Object.entries(KINDS)) {
    for (const [method, opcode, data] of [
      ['send', 'TEXT', MESSAGE],
      ['sendText', 'TEXT', MESSAGE],
      ['send', 'BINARY', Buffer.from(MESSAGE)],
      ['sendBinary', 'BINARY', Buffer.from(MESSAGE)],
    ]) {
      test(`compressed by ${kind} ${method}() of ${opcode} when compress is true, and only then`, async () => {
        const { ws, client } = await deflated(perMessageDeflate);

        for (const args of [[data], [data, undefined], [data, false]]) {
          assert.equal(ws[method](...args), MESSAGE.length);
          const frame = await client.frame();
          assert.deepEqual([frame.notation.split(' ')[0], frame.rsv1, frame.text], [opcode, false, MESSAGE]);
        }
        assert.equal(ws[method](data, true), MESSAGE.length, 'bytes of the message, not of the frame');
        const frame = await client.frame();

        assert.deepEqual([frame.notation.split(' ')[0], frame.rsv1, frame.fin], [opcode, true, true]);
        assert.ok(frame.payload.length < MESSAGE.length, `${frame.payload.length} bytes`);
        assert.equal(String(inflate([frame.payload])), MESSAGE);
      });
    }

    test(`as it is by ${kind} when it is empty, or a control frame`, async () => {
      const { ws, client } = await deflated(perMessageDeflate);

      const results = [ws.send('', true), ws.sendText('', true), ws.sendBinary(new Uint8Array(), true), ws.ping(MESSAGE), ws.pong(MESSAGE)];
      ws.close(4000, MESSAGE);

      await client.expect('TEXT', 'TEXT', 'BINARY', `PING ${MESSAGE}`, `PONG ${MESSAGE}`, `CLOSE 4000 ${MESSAGE}`, 'FIN');
      assert.deepEqual(results, [0, 0, 0, MESSAGE.length, MESSAGE.length]);
    });

    test(`compressed by ${kind} though that makes it larger`, async () => {
      const { ws, client } = await deflated(perMessageDeflate);
      const noise = randomBytes(50);

      assert.deepEqual([ws.send(noise, true), ws.send('x', true)], [50, 1]);

      const frames = [await client.frame(), await client.frame()];
      assert.deepEqual(
        frames.map((frame) => frame.rsv1),
        [true, true],
      );
      assert.ok(inflate(frames.map((frame) => frame.payload)).equals(Buffer.concat([noise, Buffer.from('x')])));
    });

    test(`compressed by ${kind} in one frame, however large, with a stream that is not finished`, async () => {
      const { ws, client } = await deflated(perMessageDeflate);
      const message = Buffer.concat(Array.from({ length: 300 }, (_, n) => Buffer.alloc(10_000, `part ${n} `)));

      assert.equal(ws.send(message, true), message.length);

      const frame = await client.frame();
      assert.deepEqual([frame.fin, frame.rsv1], [true, true]);
      assert.ok(frame.payload.length < message.length / 10, `${frame.payload.length} bytes`);
      assert.ok(inflate([frame.payload]).equals(message));
      // RFC 7692 §7.2.1: the tail is removed.
      assert.notDeepEqual(frame.payload.subarray(-TAIL.length), TAIL);
    });

    test(`compressed by ${kind} three thousand times over, and each arrives`, async () => {
      const { ws, client } = await deflated(perMessageDeflate, { backpressureLimit: 0 });
      const messages = Array.from({ length: 3000 }, (_, n) => `message ${n} of many, ${'x'.repeat(n % 100)}`);

      for (const message of messages) ws.send(message, true);

      const payloads = [];
      for (const message of messages) payloads.push((await client.frame(message)).payload);
      assert.equal(String(inflate(payloads)), messages.join(''));
    });
  }

  test('as it is when the client offered nothing', async () => {
    const { ws, client } = await deflated(true, {}, null);

    ws.send(MESSAGE, true);

    await client.expect(`TEXT ${MESSAGE}`);
  });

  test('as it is when the compressor is disabled, whatever was agreed', async () => {
    const { ws, client } = await deflated({ compress: 'disable', decompress: 'shared' });

    ws.send(MESSAGE, true);

    assert.equal(agreed(client), answer('CN SN'));
    await client.expect(`TEXT ${MESSAGE}`);
  });

  test('by a shared compressor alone: the same message is the same bytes, and needs no context', async () => {
    const { ws, client, connect } = await deflated(true);
    const other = await connect(offered(OFFER));

    for (const socket of [ws, other.ws, ws]) socket.send(MESSAGE, true);

    const [first, second] = [await client.frame(), await client.frame()];
    assert.ok(second.payload.equals(first.payload));
    assert.ok((await other.client.frame()).payload.equals(first.payload));
    assert.equal(String(inflate([second.payload])), MESSAGE);
  });

  for (const level of ['dedicated', ...SIZES]) {
    test(`by a ${level} compressor in the context of those before it`, async () => {
      const { ws, client } = await deflated({ compress: level });

      ws.send(MESSAGE, true);
      ws.send('this one is not compressed and not part of the context', false);
      ws.send(MESSAGE, true);
      ws.send(Buffer.from(MESSAGE), true);

      const [first, plain, second, third] = [await client.frame(), await client.frame(), await client.frame(), await client.frame()];
      assert.equal(plain.rsv1, false);
      assert.ok(second.payload.length < first.payload.length / 2, `${first.payload.length}, then ${second.payload.length} bytes`);
      assert.throws(() => inflate([second.payload]), { code: 'Z_DATA_ERROR' });
      assert.equal(String(inflate([first.payload, second.payload, third.payload])), MESSAGE.repeat(3));
    });
  }

  test('by a dedicated compressor alone when the client offered server_no_context_takeover', async () => {
    const { ws, client } = await deflated(DEDICATED, {}, answer('SN'));

    ws.send(MESSAGE, true);
    ws.send(MESSAGE, true);

    for (const frame of [await client.frame(), await client.frame()]) assert.equal(String(inflate([frame.payload])), MESSAGE);
  });

  for (const [perMessageDeflate, offer, bits] of [
    [{ compress: '3KB' }, OFFER, 9],
    [{ compress: '4KB' }, OFFER, 9],
    [{ compress: '8KB' }, OFFER, 10],
    [{ compress: '16KB' }, OFFER, 11],
    [{ compress: '32KB' }, OFFER, 12],
    [{ compress: '64KB' }, OFFER, 13],
    [{ compress: '128KB' }, OFFER, 14],
    [DEDICATED, answer('SW=8'), 8],
    [DEDICATED, answer('SW=9'), 9],
    [DEDICATED, answer('SW=12'), 12],
  ]) {
    test(`by ${JSON.stringify(perMessageDeflate)} with ${bits} window bits agreed within that window`, async () => {
      const { ws, client } = await deflated(perMessageDeflate, {}, offer);
      assert.match(agreed(client), new RegExp(`server_max_window_bits=${bits}(;|$)`));
      const window = 2 ** bits;
      // Repeats at a distance that is in the window, and at one that is not.
      const [near, far] = [randomBytes(window / 4), randomBytes(window + 100)];
      const message = Buffer.concat([near, near, far, far]);

      ws.send(message, true);
      ws.send(message, true);

      const payloads = [(await client.frame()).payload, (await client.frame()).payload];
      assert.ok(inflate(payloads, { windowBits: bits }).equals(Buffer.concat([message, message])));
      assert.ok(payloads[0].length < message.length, 'what is near is found');
    });
  }

  test('with its compressed size counted as buffered', async () => {
    const { ws, client } = await deflated(true, { backpressureLimit: 0 });
    client.pause();
    assert.equal(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES), false), -1);
    const before = ws.getBufferedAmount();

    assert.equal(ws.send('x'.repeat(100_000), true), -1);

    // The kernel may have taken some in between.
    const added = ws.getBufferedAmount() - before;
    assert.ok(added < 1000, `${added} added`);
    client.resume();
    await client.frame();
    assert.equal(inflate([(await client.frame()).payload]).length, 100_000);
  });

  test('in a context that knows nothing of a message that was dropped', async () => {
    const drains = calls('drain');
    const { ws, client } = await deflated(DEDICATED, {
      backpressureLimit: 1,
      drain: (own) => own.getBufferedAmount() === 0 && drains(),
    });
    ws.send('kept. ', true);
    client.pause();
    assert.equal(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES), false), -1);

    assert.equal(ws.send(`dropped. ${MESSAGE}`, true), 0);
    client.resume();
    await drains.next();
    ws.send(`not dropped. ${MESSAGE}`, true);

    const kept = await client.frame();
    await client.frame();
    const later = await client.frame();
    assert.equal(String(inflate([kept.payload, later.payload])), `kept. not dropped. ${MESSAGE}`);
  });

  test('in the order of the calls, compressed or not', async () => {
    const { ws, client } = await deflated(DEDICATED);

    ws.cork(() => {
      for (let n = 0; n < 20; n++) ws.send(`${MESSAGE} ${n}`, n % 3 === 0);
    });

    const context = [];
    let before = 0;
    for (let n = 0; n < 20; n++) {
      const frame = await client.frame();
      assert.equal(frame.rsv1, n % 3 === 0);
      if (frame.rsv1) context.push(frame.payload);
      const all = frame.rsv1 ? inflate(context) : frame.payload;
      assert.equal(String(frame.rsv1 ? all.subarray(before) : all), `${MESSAGE} ${n}`);
      if (frame.rsv1) before = all.length;
    }
  });
});

describe('a size as compress level', () => {
  for (const level of SIZES) {
    const limit = Number.parseInt(level, 10) * 1024;

    test(`${level}: unasked, what is larger is compressed`, async () => {
      const { ws, client } = await deflated({ compress: level });

      ws.send(Buffer.alloc(limit));
      ws.send(Buffer.alloc(limit + 1));
      ws.sendText('x'.repeat(limit + 1), undefined);

      const isCompressed = [(await client.frame()).rsv1, (await client.frame()).rsv1, (await client.frame()).rsv1];
      assert.deepEqual(isCompressed, differs('compression-threshold') ? [false, true, true] : [false, false, false]);
    });
  }

  test('is compared with UTF-8 bytes', async () => {
    const { ws, client } = await deflated({ compress: '3KB' });

    ws.send('\u20ac'.repeat(1024));
    ws.send('\u20ac'.repeat(1025));

    const isCompressed = [(await client.frame()).rsv1, (await client.frame()).rsv1];
    assert.deepEqual(isCompressed, differs('compression-threshold') ? [false, true] : [false, false]);
  });

  test('has no say when compress is given', async () => {
    const { ws, client } = await deflated({ compress: '3KB' });

    ws.send(Buffer.alloc(5000), false);
    ws.send('x', true);

    assert.deepEqual([(await client.frame()).rsv1, (await client.frame()).rsv1], [false, true]);
  });

  test('decides for publish, too', async () => {
    const { ws, server, client } = await deflated({ compress: '3KB' }, { publishToSelf: true });
    ws.subscribe('room');

    for (const publisher of [ws, server]) {
      publisher.publish('room', Buffer.alloc(3 * 1024));
      publisher.publish('room', Buffer.alloc(3 * 1024 + 1));
    }

    const isCompressed = [];
    for (let n = 0; n < 4; n++) isCompressed.push((await client.frame()).rsv1);
    assert.deepEqual(isCompressed, differs('compression-threshold') ? [false, true, false, true] : [false, false, true, true]);
  });

  for (const perMessageDeflate of [true, DEDICATED]) {
    test(`is needed: with ${JSON.stringify(perMessageDeflate)} nothing is compressed unasked`, async () => {
      const { ws, client } = await deflated(perMessageDeflate);

      ws.send(Buffer.alloc(1024 * 1024));

      assert.equal((await client.frame()).rsv1, false);
    });
  }
});

describe('a published message', () => {
  const ONE = { publish: MESSAGE, publishText: MESSAGE, publishBinary: Buffer.from(MESSAGE) };

  for (const [kind, perMessageDeflate] of [
    ['shared', true],
    ['dedicated', DEDICATED],
  ]) {
    for (const method of Object.keys(ONE)) {
      test(`of ws.${method}() is compressed by ${kind} when compress is true, and only then`, async () => {
        const { ws, client } = await deflated(perMessageDeflate, { publishToSelf: true });
        ws.subscribe('room');

        for (const compress of [[], [undefined], [false], [true]])
          assert.equal(ws[method]('room', ONE[method], ...compress), MESSAGE.length);

        const frames = [await client.frame(), await client.frame(), await client.frame(), await client.frame()];
        assert.deepEqual(
          frames.map((frame) => frame.rsv1),
          [false, false, false, true],
        );
        assert.equal(String(inflate([frames[3].payload])), MESSAGE);
      });
    }

    for (const [compress, expected] of [
      [[], true],
      [[undefined], true],
      [[true], true],
      [['x'], true],
      [[1], true],
      [[{}], true],
      [[false], false],
      [[null], false],
      [[0], false],
      [[''], false],
    ]) {
      const what = compress.length === 0 ? 'omitted' : JSON.stringify(compress[0]);
      test(`of server.publish() is ${expected ? 'compressed' : 'sent as it is'} by ${kind} when compress is ${what}`, async () => {
        const { ws, server, client } = await deflated(perMessageDeflate);
        ws.subscribe('room');

        assert.equal(server.publish('room', MESSAGE, ...compress), MESSAGE.length);

        const frame = await client.frame();
        assert.equal(frame.rsv1, expected);
        assert.equal(String(expected ? inflate([frame.payload]) : frame.payload), MESSAGE);
      });
    }
  }

  test('that is empty is sent as it is', async () => {
    const { ws, server, client } = await deflated(true);
    ws.subscribe('room');

    assert.equal(server.publish('room', '', true), 0);

    await client.expect('TEXT');
  });

  test('is compressed for those who agreed to it, each in its own way', async () => {
    const { ws, server, client, connect } = await deflated(DEDICATED, {}, answer(''));
    const plain = await connect();
    const alone = await connect(offered(answer('SN')));
    const all = [{ ws, client }, plain, alone];
    for (const { ws: each } of all) each.subscribe('room');
    ws.send('only the first has heard this. ', true);

    server.publish('room', MESSAGE);
    server.publish('room', MESSAGE);

    const kept = [await client.frame(), await client.frame(), await client.frame()];
    assert.equal(String(inflate(kept.map((frame) => frame.payload))), `only the first has heard this. ${MESSAGE}${MESSAGE}`);
    assert.ok(kept[2].payload.length < kept[1].payload.length);
    await plain.client.expect(`TEXT ${MESSAGE}`, `TEXT ${MESSAGE}`);
    for (const frame of [await alone.client.frame(), await alone.client.frame()]) assert.equal(String(inflate([frame.payload])), MESSAGE);
  });

  test('is the same bytes for all whose messages stand alone', async () => {
    const { ws, server, client, connect } = await deflated(true);
    const all = [{ ws, client }];
    while (all.length < 20) all.push(await connect(offered(OFFER)));
    for (const { ws: each } of all) each.subscribe('room');

    server.publish('room', MESSAGE);

    const payloads = [];
    for (const each of all) payloads.push((await each.client.frame()).payload);
    for (const payload of payloads) assert.ok(payload.equals(payloads[0]));
    assert.equal(String(inflate([payloads[0]])), MESSAGE);
  });

  test('shares the context of what send() sent', async () => {
    const { ws, server, client } = await deflated(DEDICATED);
    ws.subscribe('room');
    const noise = randomBytes(500);

    ws.send(noise, true);
    server.publish('room', noise);
    ws.send(noise, true);

    const payloads = [(await client.frame()).payload, (await client.frame()).payload, (await client.frame()).payload];
    assert.ok(inflate(payloads).equals(Buffer.concat([noise, noise, noise])));
    assert.ok(payloads[1].length < 50 && payloads[2].length < 50);
  });
});

/** A connection that notes what reaches its handlers. */
async function watched(perMessageDeflate, handlers, offer) {
  const events = calls('an event');
  const connection = await deflated(
    perMessageDeflate,
    {
      ...handlers,
      message: (_, message) => events('message', message),
      close: (ws, code, reason) => events('close', code, reason, ws.readyState),
    },
    offer,
  );
  return { ...connection, events };
}

const first = (payload) => text(payload, { fin: false, ...COMPRESSED });
const next = (payload) => continuation(payload, { fin: false });
/** DEFLATE by hand: a stored block of "Hello", then an empty one with its tail cut off. */
const STORED = '00 0500 faff 48656c6c6f 00';

for (const [kind, perMessageDeflate] of Object.entries(KINDS)) {
  describe(`a client of a ${kind} decompressor may send`, () => {
    const hello = compress('Hello, hello, hello');
    const FINE = [
      ['a compressed text', [text(hello, COMPRESSED)], 'Hello, hello, hello'],
      ['a compressed binary', [binary(hello, COMPRESSED)], Buffer.from('Hello, hello, hello')],
      ['a text that is not compressed', [text('Hello')], 'Hello'],
      ['the one byte of an empty message', [text(hex('00'), COMPRESSED)], ''],
      ['an empty message as zlib makes it', [text(compress(''), COMPRESSED)], ''],
      ['a stored block', [text(hex(STORED), COMPRESSED)], 'Hello'],
      ['a block with fixed Huffman codes (RFC 7692 §7.2.3.1)', [text(hex('f2 48 cd c9 c9 07 00'), COMPRESSED)], 'Hello'],
      ['a final block (RFC 7692 §7.2.3.4)', [text(deflateRawSync('Hello'), COMPRESSED)], 'Hello'],
      ['a final block and a byte of 00', [text(hex('f3 48 cd c9 c9 07 00 00'), COMPRESSED)], 'Hello'],
      [
        'a final block and another one, which is not read',
        [text(Buffer.concat([deflateRawSync('Hello'), compress('x')]), COMPRESSED)],
        'Hello',
      ],
      ['two blocks (RFC 7692 §7.2.3.5)', [text(hex('f2 48 05 00 00 00 ff ff ca c9 c9 07 00'), COMPRESSED)], 'Hello'],
      ['its tail', [text(Buffer.concat([hello, TAIL]), COMPRESSED)], 'Hello, hello, hello'],
      ['fragments, with RSV1 on the first', [first(hello.subarray(0, 3)), continuation(hello.subarray(3))], 'Hello, hello, hello'],
      ['an empty first fragment', [first(''), continuation(hello)], 'Hello, hello, hello'],
      ['an empty last fragment', [first(hello), continuation('')], 'Hello, hello, hello'],
      ['a fragment for each byte', [first(''), ...[...hello].map((byte) => next([byte])), continuation('')], 'Hello, hello, hello'],
      ['its tail in fragments', [first(hello), next(TAIL.subarray(0, 1)), continuation(TAIL.subarray(1))], 'Hello, hello, hello'],
      ['characters beyond ASCII', [text(compress('h\u00e9 \u20ac \ud83d\ude00'), COMPRESSED)], 'h\u00e9 \u20ac \ud83d\ude00'],
      ['what is no text as binary', [binary(compress(hex('ff fe')), COMPRESSED)], hex('ff fe')],
    ];
    for (const [what, frames, message] of FINE) {
      test(what, async () => {
        const { client, events } = await watched(perMessageDeflate);

        client.write(...frames, text('next'), close(1000));

        await client.expect('CLOSE 1000', 'FIN');
        assert.deepEqual(await events.count(3), [
          ['message', message],
          ['message', 'next'],
          ['close', 1000, '', 3],
        ]);
      });
    }

    test('each of these byte by byte', async () => {
      for (const [, frames, message] of FINE) {
        const { client, events } = await watched(perMessageDeflate);

        await client.dribble(Buffer.concat(frames));

        assert.deepEqual(await events.next(), ['message', message]);
      }
    });

    test('no byte at all with RSV1, which no compressor makes', async () => {
      const { client, events } = await watched(perMessageDeflate);

      client.write(text('', COMPRESSED), text('next'));

      assert.deepEqual(await events.count(2), [
        ['message', ''],
        ['message', 'next'],
      ]);
    });

    test('control frames between the fragments, which are answered at once', async () => {
      const { client, events } = await watched(perMessageDeflate);

      client.write(
        first(hello.subarray(0, 3)),
        ping('p'),
        next(hello.subarray(3, 5)),
        pong('q'),
        ping('r'),
        continuation(hello.subarray(5)),
      );

      await client.expect('PONG p', 'PONG r');
      assert.deepEqual(await events.next(), ['message', 'Hello, hello, hello']);
    });

    test('a character split over fragments', async () => {
      const { client, events } = await watched(perMessageDeflate);
      const payload = compress('\u20ac'.repeat(100), { level: 0 });

      client.write(
        first(payload.subarray(0, 6)),
        ...[...payload.subarray(6, -1)].map((byte) => next([byte])),
        continuation(payload.subarray(-1)),
      );

      assert.deepEqual(await events.next(), ['message', '\u20ac'.repeat(100)]);
    });

    test('16 MiB, of which little is on the wire', async () => {
      const { client, events } = await watched(perMessageDeflate);
      const message = Buffer.alloc(16 * 1024 * 1024, 'mantou');

      client.write(binary(compress(message), COMPRESSED));

      const [, received] = await events.next();
      assert.ok(message.equals(received));
    });
  });

  describe(`a client of a ${kind} decompressor that sends`, () => {
    const BAD = 'CLOSE 1007 Received invalid compressed data';
    const UTF8 = 'CLOSE 1007 Received invalid UTF-8';
    const RSV1 = 'CLOSE 1002 Received unexpected RSV1 bit';
    const RSV23 = 'CLOSE 1002 Received unexpected RSV2 or RSV3 bit';
    const hello = compress('Hello');

    for (const [what, frames, expected] of [
      ['a block of the reserved type', [text(hex('06'), COMPRESSED)], BAD],
      ['a final block of the reserved type', [text(hex('07'), COMPRESSED)], BAD],
      ['garbage', [text(hex('ffffffff'), COMPRESSED)], BAD],
      ['a stored block whose length is not what it says', [text(hex('00 0500 0000 48656c6c6f'), COMPRESSED)], BAD],
      ['a stored block that is cut off', [text(hex('00 0500 faff 4865'), COMPRESSED)], BAD],
      ['a distance that goes back before the beginning', [text(compress('Hello', { dictionary: Buffer.from('Hello') }), COMPRESSED)], BAD],
      ['garbage as its second fragment', [first(hex('00 0500')), continuation(hex('0000 48656c6c6f'))], BAD],
      ['a text that is not UTF-8', [text(compress(hex('61 ff')), COMPRESSED)], UTF8],
      ['a text that ends inside a character', [text(compress(hex('61 e2 82')), COMPRESSED)], UTF8],
      [
        'a fragmented text that is not UTF-8',
        [first(compress(hex('61 ff')).subarray(0, 2)), continuation(compress(hex('61 ff')).subarray(2))],
        UTF8,
      ],
      ['RSV1 on a continuation', [first(hello.subarray(0, 3)), continuation(hello.subarray(3), COMPRESSED)], RSV1],
      ['RSV1 on a continuation of what is not compressed', [text('a', { fin: false }), continuation(hello, COMPRESSED)], RSV1],
      ['RSV1 on a ping', [ping('', COMPRESSED)], RSV1],
      ['RSV1 on a pong', [pong('', COMPRESSED)], RSV1],
      ['RSV1 on a close', [close(1000, '', COMPRESSED)], RSV1],
      ['RSV1 on an unknown opcode', [hex('c3 80 00000000')], RSV1],
      ['RSV2', [text('a', { rsv: 2 })], RSV23],
      ['RSV3', [text('a', { rsv: 1 })], RSV23],
      ['RSV1 and RSV2', [text(hello, { rsv: 6 })], RSV23],
    ]) {
      test(`${what} gets ${expected}`, async () => {
        const { client, events } = await watched(perMessageDeflate);

        client.write(text('before'), ...frames, text('after'));

        await client.expect(expected, 'FIN');
        assert.deepEqual(await events.count(2), [
          ['message', 'before'],
          ['close', 1006, expected.slice('CLOSE 1002 '.length), 3],
        ]);
      });
    }

    for (const [what, payload, inflated] of [
      ['inside a code', hex('f2 48 cd'), 'Heh'],
      ['before the end of its block', hex('f2 48 cd c9 c9 07'), 'Hello'],
      ['behind its block', hex('00 0500 faff 48656c6c6f'), 'Hello'],
      ['where its tail makes a stored block whole', hex('00 0900 f6ff 48656c6c6f'), 'Hello\x00\x00\xff\xff'],
    ]) {
      const [ending, ...expected] = differs('truncated-message')
        ? [BAD, ['close', 1006, BAD.slice('CLOSE 1007 '.length), 3]]
        : ['CLOSE 1000', ['message', Buffer.from(inflated, 'latin1')], ['close', 1000, '', 3]];

      test(`a message that is cut off ${what} gets ${ending}`, async () => {
        const { client, events } = await watched(perMessageDeflate);

        client.write(binary(payload, COMPRESSED), close(1000));

        await client.expect(ending, 'FIN');
        assert.deepEqual(await events.count(expected.length), expected);
      });
    }
  });

  describe(`maxPayloadLength with a ${kind} decompressor`, () => {
    const TOO_BIG = 'CLOSE 1009 Received too big message';
    const exact = 'x'.repeat(100);
    const over = `${exact}x`;
    /** Stored, so that the compressed message is larger than what it says. */
    const stored = compress(exact, { level: 0 });

    for (const [what, maxPayloadLength, frames, messages] of [
      ['is the limit of what is inflated: exactly as much is fine', 100, [text(compress(exact), COMPRESSED)], [exact]],
      ['is the limit of what is inflated: one byte more is not', 100, [text(compress(over), COMPRESSED)], null],
      ['counts the fragments together', 100, [first(compress(over).subarray(0, 3)), continuation(compress(over).subarray(3))], null],
      ['is the limit of each message', 100, [text(compress(exact), COMPRESSED), text(compress(exact), COMPRESSED)], [exact, exact]],
      ['is the limit of what is on the wire, too', 100, [text(stored, COMPRESSED)], null],
      ['is the limit of what a header claims', 100, [text('', { length: 101, ...COMPRESSED })], null],
      ['0 leaves a compressed message of no bytes', 0, [text('', COMPRESSED)], ['']],
      ['0 does not leave the one byte of an empty message', 0, [text(hex('00'), COMPRESSED)], null],
      [
        'ends a message that inflates to a thousand times its size',
        undefined,
        [binary(compress(Buffer.alloc(20 << 20)), COMPRESSED)],
        null,
      ],
    ]) {
      test(what, async () => {
        const { client, events } = await watched(perMessageDeflate, { maxPayloadLength });

        client.write(...frames, close(1000));

        await client.expect(messages === null ? TOO_BIG : 'CLOSE 1000', 'FIN');
        const expected = messages === null ? [['close', 1006, 'Received too big message', 3]] : [['close', 1000, '', 3]];
        const received = (messages ?? []).map((message) => ['message', message]);
        assert.deepEqual(await events.count(received.length + 1), [...received, ...expected]);
      });
    }
  });
}

describe('a decompressor', () => {
  for (const [decompress, offer] of [
    ['dedicated', answer('')],
    ['32KB', answer('')],
    ['256KB', answer('')],
    ['16KB', answer('CW')],
    ['3KB', answer('CW')],
    ['dedicated', answer('CW=9')],
  ]) {
    test(`of ${decompress} that agreed to "${offer}" keeps the context of a client that keeps its own`, async () => {
      const { client, events } = await watched({ compress: 'shared', decompress }, {}, offer);
      const bits = /client_max_window_bits=(\d+)/.exec(agreed(client))?.[1] ?? '15';
      const compressor = new Compressor({ windowBits: Number(bits) });
      const messages = Array.from({ length: 1000 }, (_, n) => `message ${n} of many, ${'x'.repeat(n % 50)}`);

      for (const message of messages) client.write(text(await compressor.compress(message), COMPRESSED));

      assert.deepEqual(
        (await events.count(1000)).map(([, message]) => message),
        messages,
      );
    });
  }

  test('that is dedicated keeps its context through messages that are not compressed', async () => {
    const { client, events } = await watched(DEDICATED);
    const compressor = new Compressor();

    client.write(text(await compressor.compress(MESSAGE), COMPRESSED));
    client.write(text('plain'), ping('p'));
    client.write(text(await compressor.compress(MESSAGE), COMPRESSED));

    assert.deepEqual(await events.count(3), [
      ['message', MESSAGE],
      ['message', 'plain'],
      ['message', MESSAGE],
    ]);
  });

  test('that is shared keeps nothing: context of an earlier message is invalid', async () => {
    const { client, events } = await watched(true);
    const compressor = new Compressor();

    client.write(text(await compressor.compress(MESSAGE), COMPRESSED));
    client.write(text(await compressor.compress(MESSAGE), COMPRESSED));

    await client.expect('CLOSE 1007 Received invalid compressed data', 'FIN');
    assert.deepEqual(await events.count(2), [
      ['message', MESSAGE],
      ['close', 1006, 'Received invalid compressed data', 3],
    ]);
  });

  test('serves a client that offered nothing as if it were not there: RSV1 is an error', async () => {
    const { client } = await watched(true, {}, null);

    client.write(text(compress('a'), COMPRESSED));

    await client.expect('CLOSE 1002 Received unexpected RSV1 bit', 'FIN');
  });
});

/** A value as a test name shows it. */
function shown(value) {
  if (typeof value === 'string') return JSON.stringify(value);
  return typeof value === 'object' && value !== null ? `${value.constructor.name} ${JSON.stringify(value)}` : String(value);
}
