// The end of a connection: close(code, reason), terminate(), and what the peer may do.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair } from './support/connect.mjs';
import { close, closePayload, frame, ping, text } from './support/raw-client.mjs';
import { invalidArgType, throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);

/** A connection whose close handler notes `[code, reason]`. */
async function watched(handlers = {}) {
  const closes = calls('close');
  const connection = await pair({ ...handlers, close: (_, code, reason) => closes(code, reason) });
  return { ...connection, closes };
}

/** What a frame shows for a code that goes out as it is. */
const shown = (code, reason) => `CLOSE ${code}${reason ? ` ${reason}` : ''}`;

describe('close()', () => {
  test('without arguments is 1000 with no reason', async () => {
    const { ws, client, closes } = await watched();

    assert.equal(ws.close(), undefined);

    assert.deepEqual(closes.all, [[1000, '']]);
    await client.expect('CLOSE 1000', 'FIN');
  });

  test('runs the close handler inside the call', async () => {
    const order = [];
    const { ws } = await pair({ close: (own, code, reason) => order.push(own.readyState, code, reason) });

    order.push('before', ws.readyState);
    ws.close(4000, 'why');
    order.push('after', ws.readyState);

    assert.deepEqual(order, ['before', 1, 3, 4000, 'why', 'after', 3]);
  });

  test('counts the socket no longer once it returns', async () => {
    const counts = [];
    const { ws, server } = await pair({ close: () => counts.push(server.pendingWebSockets) });

    ws.close();

    assert.deepEqual([counts, server.pendingWebSockets], [[1], 0]);
  });

  for (const code of [1000, 1001, 1004, 1007, 1012, 1014, 1015, 2999, 3000, 4999, 5000, 999, 1, 65535]) {
    test(`sends the code ${code} as given`, async () => {
      const { ws, client, closes } = await watched();

      ws.close(code, 'r');

      assert.deepEqual(closes.all, [[code, 'r']]);
      await client.expect(shown(code, 'r'), 'FIN');
    });
  }

  for (const [given, seen] of [
    [1000.7, 1000],
    [-1000.7, -1000],
    [2 ** 32 + 1000, 1000],
    [70000, 70000],
    [-1, -1],
    [2 ** 31, -(2 ** 31)],
  ]) {
    test(`turns ${given} into the int32 ${seen} for the handler, and its low 16 bits for the wire`, async () => {
      const { ws, client, closes } = await watched();

      ws.close(given, 'r');

      assert.deepEqual(closes.all, [[seen, 'r']]);
      const wire = seen & 0xffff;
      await client.expect(wire === 0 ? 'CLOSE' : shown(wire, 'r'), 'FIN');
    });
  }

  for (const [given, seen] of [
    [0, 0],
    [1005, 1005],
    [1006, 1006],
    [NaN, 0],
    [Infinity, 0],
    [0.5, 0],
    [65536, 65536],
    [65536 + 1005, 66541],
    [2 ** 32 + 1006, 1006],
  ]) {
    test(`sends an empty close frame for ${given}; the handler still sees ${seen} and the reason`, async () => {
      const { ws, client, closes } = await watched();

      ws.close(given, 'dropped on the wire');

      assert.deepEqual(closes.all, [[seen, 'dropped on the wire']]);
      await client.expect('CLOSE', 'FIN');
    });
  }

  for (const code of [null, '1000', '', true, 1000n, {}, [], new Number(1000), { valueOf: () => 1000 }, Symbol('s')]) {
    test(`refuses ${typeof code === 'object' && code !== null ? JSON.stringify(code) : String(code)} (a ${typeof code}) as code and leaves the socket open`, async () => {
      const { ws, client, closes } = await watched();

      throwsExactly(() => ws.close(code, 'r'), invalidArgType('close requires a numeric code or undefined'));

      assert.equal(ws.readyState, 1);
      ws.send('open');
      await client.expect('TEXT open');
      assert.deepEqual(closes.all, []);
    });
  }

  for (const [what, given, reason] of [
    ['undefined', undefined, ''],
    ['null', null, 'null'],
    ['a number', 123, '123'],
    ['an object', { toString: () => 'own' }, 'own'],
    ['an array', ['a', 'b'], 'a,b'],
    ['an empty string', '', ''],
    ['text beyond ASCII', 'gr\u00fc\u00df \u20ac \ud83d\ude00', 'gr\u00fc\u00df \u20ac \ud83d\ude00'],
  ]) {
    test(`takes ${what} for the reason "${reason}"`, async () => {
      const { ws, client, closes } = await watched();

      ws.close(4000, given);

      assert.deepEqual(closes.all, [[4000, reason]]);
      await client.expect(shown(4000, reason), 'FIN');
    });
  }

  test('takes undefined as code together with a reason', async () => {
    const { ws, client, closes } = await watched();

    ws.close(undefined, 'why');

    assert.deepEqual(closes.all, [[1000, 'why']]);
    await client.expect('CLOSE 1000 why', 'FIN');
  });

  test('refuses a Symbol as reason and leaves the socket open', async () => {
    const { ws, closes } = await watched();

    assert.throws(() => ws.close(1000, Symbol('s')), TypeError);

    assert.equal(ws.readyState, 1);
    assert.deepEqual(closes.all, []);
  });

  test('lets an exception of reason.toString through and leaves the socket open', async () => {
    const { ws } = await watched();
    const reason = {
      toString() {
        throw new RangeError('from toString');
      },
    };

    throwsExactly(() => ws.close(1000, reason), { name: 'RangeError', message: 'from toString' });

    assert.equal(ws.readyState, 1);
  });

  for (const [what, given, kept] of [
    ['123 bytes stay', 'a'.repeat(123), 'a'.repeat(123)],
    ['124 bytes become 123', 'a'.repeat(124), 'a'.repeat(123)],
    ['a thousand bytes become 123', 'a'.repeat(1000), 'a'.repeat(123)],
    ['two-byte characters are not cut', '\u00e9'.repeat(62), '\u00e9'.repeat(61)],
    ['three-byte characters are not cut', `a${'\u20ac'.repeat(41)}`, `a${'\u20ac'.repeat(40)}`],
    ['surrogate pairs are not cut', '\ud83d\ude00'.repeat(31), '\ud83d\ude00'.repeat(30)],
  ]) {
    test(`truncates the reason to 123 UTF-8 bytes: ${what}`, async () => {
      const { ws, client, closes } = await watched();

      ws.close(4000, given);

      assert.deepEqual(closes.all, [[4000, kept]]);
      await client.expect(shown(4000, kept), 'FIN');
    });
  }

  test('a second time does nothing', async () => {
    const { ws, client, closes } = await watched();

    ws.close(4000, 'first');
    ws.close(4001, 'second');
    ws.terminate();

    assert.deepEqual(closes.all, [[4000, 'first']]);
    await client.expect('CLOSE 4000 first', 'FIN');
  });

  test('from the close handler does nothing', async () => {
    const closes = calls('close');
    const { ws, client } = await pair({
      close(own, code, reason) {
        closes(code, reason);
        own.close(4001);
        own.terminate();
      },
    });

    ws.close(4000);

    assert.deepEqual(closes.all, [[4000, '']]);
    await client.expect('CLOSE 4000', 'FIN');
  });

  test('discards the remaining frames of the chunk and whatever comes later', async () => {
    const messages = [];
    const { client, closes } = await watched({
      message(ws, message) {
        messages.push(message);
        if (message === 'b') ws.close(4000);
      },
      ping: () => messages.push('ping'),
    });

    client.write(text('a'), text('b'), text('c'), ping('d'), close(1001));
    await client.expect('CLOSE 4000', 'FIN');
    client.text('e');

    assert.deepEqual(messages, ['a', 'b']);
    assert.deepEqual(closes.all, [[4000, '']]);
  });

  test("does not wait for the client's close frame: FIN follows at once", async () => {
    const { ws, client } = await watched();

    ws.close(1000);

    assert.equal(await client.ended(), 'FIN');
    await client.expect('CLOSE 1000', 'FIN');
  });

  test('delivers what was sent before in the same tick, corked or not', async () => {
    const { ws, client } = await watched({
      message(own) {
        own.send('corked');
        own.close(4000);
        own.send('too late');
      },
    });

    ws.send('outside');
    await client.expect('TEXT outside');
    client.text('go');

    await client.expect('TEXT corked', 'CLOSE 4000', 'FIN');
  });

  test('inside cork() delivers the corked messages before the close frame', async () => {
    const { ws, client } = await watched();
    const results = [];

    ws.cork(() => {
      results.push(ws.send('one'), ws.send('two'));
      ws.close(4000, 'corked');
      results.push(ws.send('three'), ws.readyState);
    });

    await client.expect('TEXT one', 'TEXT two', 'CLOSE 4000 corked', 'FIN');
    assert.deepEqual(results, [3, 3, 0, 3]);
  });

  test('delivers a backlog and then the close frame as the client reads; the handler has run at once', async () => {
    const { ws, client, closes, server } = await watched({ backpressureLimit: 0 });
    client.pause();
    const message = Buffer.alloc(1024 * 1024, 'm');

    for (let n = 0; n < 12; n++) ws.send(message);
    ws.close(4000, 'after the backlog');

    assert.deepEqual(closes.all, [[4000, 'after the backlog']]);
    assert.deepEqual([ws.readyState, ws.getBufferedAmount(), server.pendingWebSockets], [3, 0, 0]);
    client.resume();
    for (let n = 0; n < 12; n++) assert.ok((await client.frame()).payload.equals(message));
    await client.expect('CLOSE 4000 after the backlog', 'FIN');
  });

  test('of another socket inside a handler closes that one, not this', async () => {
    const { client, connect } = await pair({
      message(ws, message) {
        if (message === 'go') second.ws.close(4000, 'from the other');
        ws.send(`re:${message}`);
      },
    });
    const second = await connect();

    client.write(text('go'), text('on'));

    await second.client.expect('CLOSE 4000 from the other', 'FIN');
    await client.expect('TEXT re:go', 'TEXT re:on');
  });
});

describe('terminate()', () => {
  test('runs the close handler inside the call with 1006, and sends FIN without a close frame', async () => {
    const { ws, client, closes } = await watched();

    assert.equal(ws.terminate(), undefined);

    assert.deepEqual(closes.all, [[1006, '']]);
    assert.equal(ws.readyState, 3);
    await client.expect('FIN');
  });

  test('ignores its arguments', async () => {
    const { ws, client, closes } = await watched();

    ws.terminate(4000, 'ignored');

    assert.deepEqual(closes.all, [[1006, '']]);
    await client.expect('FIN');
  });

  for (const name of ['open', 'message', 'ping', 'pong']) {
    test(`is allowed in ${name}`, async () => {
      const closes = calls('close');
      const end = (ws) => {
        ws.send('last words');
        ws.terminate();
      };
      const { client } = await pair({ [name]: end, close: (_, ...args) => closes(...args) });

      if (name !== 'open') client.write(name === 'message' ? text('a') : frame(name === 'ping' ? 0x9 : 0xa, ''));

      assert.deepEqual(await closes.next(), [1006, '']);
      await client.expect(...(name === 'ping' ? ['PONG'] : []), 'TEXT last words', 'FIN');
    });
  }

  test('flushes what was corked', async () => {
    const { ws, client } = await watched();

    ws.cork(() => {
      ws.send('one');
      ws.send('two');
      ws.terminate();
    });

    await client.expect('TEXT one', 'TEXT two', 'FIN');
  });

  test('loses the backlog', async () => {
    const { ws, client, closes } = await watched();
    client.pause();
    assert.equal(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES)), -1);

    ws.terminate();
    client.resume();

    assert.deepEqual(closes.all, [[1006, '']]);
    await client.ended();
    const received = client.bytes.length;
    assert.ok(received < MORE_THAN_A_SOCKET_TAKES, `${received} bytes received`);
  });
});

describe('the peer', () => {
  for (const [code, reason] of [
    [1000, ''],
    [1000, 'bye'],
    [1001, 'going away'],
    [1002, ''],
    [1003, ''],
    [1007, 'x'],
    [1008, ''],
    [1009, ''],
    [1010, ''],
    [1011, ''],
    [1012, ''],
    [1013, ''],
    [1014, ''],
    [3000, 'gr\u00fc\u00df dich'],
    [4999, 'r'.repeat(123)],
  ]) {
    test(`closing with ${code} "${reason.slice(0, 20)}" gets the same back, and so does the handler`, async () => {
      const { client, closes } = await watched();

      client.write(close(code, reason));

      await client.expect(shown(code, reason), 'FIN');
      assert.deepEqual(await closes.next(), [code, reason]);
    });
  }

  test('closing without a code gets an empty close frame; the handler sees 1005', async () => {
    const { client, closes } = await watched();

    client.write(close());

    await client.expect('CLOSE', 'FIN');
    assert.deepEqual(await closes.next(), [1005, '']);
  });

  test('sending FIN without a close frame is 1006', async () => {
    const { client, closes } = await watched();

    client.halfClose();

    assert.deepEqual(await closes.next(), [1006, '']);
    await client.expect('FIN');
  });

  test('sending RST is 1006', async () => {
    const { client, closes } = await watched();

    client.reset();

    assert.deepEqual(await closes.next(), [1006, '']);
  });

  test('sending FIN right behind its last messages has them delivered first', async () => {
    const events = calls('an event');
    const { client } = await pair({
      message: (_, message) => events(message),
      close: (_, code, reason) => events(code, reason),
    });

    client.write(text('a'), text('b')).halfClose();

    assert.deepEqual(await events.count(3), [['a'], ['b'], [1006, '']]);
  });

  test('sending FIN in the middle of a frame or message loses that message', async () => {
    for (const bytes of [text('half').subarray(0, 5), text('half', { fin: false })]) {
      const events = calls('an event');
      const { client } = await pair({ message: (_, message) => events(message), close: (_, ...args) => events(...args) });

      client.write(text('whole'), bytes).halfClose();

      assert.deepEqual(await events.count(2), [['whole'], [1006, '']]);
    }
  });

  test('closing in the middle of a fragmented message is an ordinary close', async () => {
    const { client, closes } = await watched({ message: () => assert.fail('no message is complete') });

    client.write(text('half', { fin: false }), close(1000, 'enough'));

    await client.expect('CLOSE 1000 enough', 'FIN');
    assert.deepEqual(await closes.next(), [1000, 'enough']);
  });

  test('sending more after its close frame is not heard', async () => {
    const events = [];
    const { client, closes } = await watched({ message: (_, message) => events.push(message), ping: () => events.push('ping') });

    client.write(close(1000), text('late'), ping('late'), close(4000));

    await client.expect('CLOSE 1000', 'FIN');
    assert.deepEqual(closes.all, [[1000, '']]);
    assert.deepEqual(events, []);
  });

  test('closing while the server has a backlog: the handler runs at once, backlog and echo follow as it reads', async () => {
    const { ws, client, closes } = await watched();
    client.pause();
    assert.equal(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES)), -1);

    client.write(close(4000, 'bye'));

    assert.deepEqual(await closes.next(), [4000, 'bye']);
    client.resume();
    assert.equal((await client.frame()).payload.length, MORE_THAN_A_SOCKET_TAKES);
    await client.expect('CLOSE 4000 bye', 'FIN');
  });

  test('vanishing while the server has a backlog is 1006', async () => {
    const { ws, client, closes } = await watched();
    client.pause();
    assert.equal(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES)), -1);

    client.reset();

    assert.deepEqual(await closes.next(), [1006, '']);
    assert.equal(ws.getBufferedAmount(), 0);
  });

  test('is answered with the bytes of RFC 6455: code and reason masked by nobody', async () => {
    const { client } = await watched();

    client.write(close(1000, 'bye'));

    const answer = await client.frame();
    assert.equal(Buffer.concat([answer.header, answer.payload]).toString('hex'), `8805${closePayload(1000, 'bye').toString('hex')}`);
  });
});
