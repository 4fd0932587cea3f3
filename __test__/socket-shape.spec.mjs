// The ServerWebSocket object: its members, wrong receivers, binaryType, readyState, remoteAddress, and everything it says after close.

import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair, serveSockets } from './support/connect.mjs';
import { binary, close, ping, pong, RawClient, text } from './support/raw-client.mjs';
import { isOracle } from './support/target.mjs';
import { throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);

/** Each method and its `length`. */
const METHODS = {
  close: 3,
  cork: 1,
  getBufferedAmount: 0,
  isSubscribed: 1,
  pause: 0,
  ping: 1,
  pong: 1,
  publish: 3,
  publishBinary: 2,
  publishText: 2,
  resume: 0,
  send: 2,
  sendBinary: 2,
  sendText: 2,
  subscribe: 1,
  terminate: 0,
  unsubscribe: 1,
};
/** What Bun's has not. */
const EXTENSIONS = isOracle ? [] : ['closeCause', 'extensions', 'protocol'];
const READ_ONLY = [...EXTENSIONS, 'isPaused', 'readyState', 'remoteAddress', 'subscriptions'];
const READ_WRITE = ['binaryType', 'data'];

describe('a ServerWebSocket', () => {
  test('has its members on the prototype, enumerable, and nothing of its own', async () => {
    const { ws } = await pair();
    const shown = [];

    for (const key in ws) shown.push(key);

    assert.deepEqual(shown.sort(), [...Object.keys(METHODS), ...READ_ONLY, ...READ_WRITE].sort());
    assert.deepEqual(Object.getOwnPropertyNames(ws), []);
    // An enumerable symbol would be copied, logged and compared.
    assert.deepEqual(Reflect.ownKeys({ ...ws }), []);
    assert.equal(Object.getPrototypeOf(Object.getPrototypeOf(ws)), Object.prototype);
  });

  test('shares one prototype with every other socket', async () => {
    const { ws, connect } = await pair();
    const { ws: sameServer } = await connect();
    const { ws: otherServer } = await pair();

    assert.equal(Object.getPrototypeOf(sameServer), Object.getPrototypeOf(ws));
    assert.equal(Object.getPrototypeOf(otherServer), Object.getPrototypeOf(ws));
    assert.ok(otherServer instanceof ws.constructor);
  });

  test('is tagged and named', async () => {
    const { ws } = await pair();

    assert.equal(Object.prototype.toString.call(ws), '[object ServerWebSocket]');
    assert.equal(ws.constructor.name, 'ServerWebSocket');
    assert.equal(ws.constructor.prototype, Object.getPrototypeOf(ws));
    assert.equal(globalThis.ServerWebSocket, undefined);
  });

  for (const [name, length] of Object.entries(METHODS)) {
    test(`has the method ${name}, of length ${length}`, async () => {
      const { ws } = await pair();

      assert.equal(typeof ws[name], 'function');
      assert.equal(ws[name].name, name);
      assert.equal(ws[name].length, length);
    });

    test(`throws ERR_INVALID_THIS when ${name} is called on something else`, async () => {
      const { ws } = await pair();
      const method = ws[name];

      for (const [self, received] of [
        [undefined, ''],
        [{}, ', but received an instance of Object'],
        [5, ', but received type number (5)'],
        [Object.create(ws), ', but received an instance of ServerWebSocket'],
        [Object.getPrototypeOf(ws), ', but received an instance of ServerWebSocket'],
      ]) {
        throwsExactly(() => method.call(self, 'a', 'b'), {
          name: 'TypeError',
          code: 'ERR_INVALID_THIS',
          message: `Expected this to be instanceof ServerWebSocket${received}`,
        });
      }
    });
  }

  for (const name of READ_ONLY) {
    test(`has a read-only ${name}`, async () => {
      const { ws } = await pair();

      assert.throws(() => {
        ws[name] = 5;
      }, TypeError);
      assert.notEqual(ws[name], 5);
    });
  }

  for (const name of [...READ_ONLY, ...READ_WRITE]) {
    test(`throws a TypeError when ${name} is read from something else`, async () => {
      const { ws } = await pair();
      const { get } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(ws), name);

      for (const self of [undefined, {}, Object.create(ws), Object.getPrototypeOf(ws)]) assert.throws(() => get.call(self), TypeError);
    });
  }

  for (const name of READ_WRITE) {
    test(`throws a TypeError when ${name} is set on something else`, async () => {
      const { ws } = await pair();
      const { set } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(ws), name);

      for (const self of [undefined, {}, Object.getPrototypeOf(ws)]) assert.throws(() => set.call(self, 'arraybuffer'), TypeError);
    });
  }

  test('cannot be constructed, nor called', async () => {
    const { ws } = await pair();
    const { constructor: ServerWebSocket } = ws;

    throwsExactly(() => new ServerWebSocket(), { message: 'Cannot construct ServerWebSocket' });
    throwsExactly(() => new (class extends ServerWebSocket {})(), { message: 'Cannot construct ServerWebSocket' });
    throwsExactly(() => ServerWebSocket(), {
      name: 'TypeError',
      code: 'ERR_ILLEGAL_CONSTRUCTOR',
      message: "ServerWebSocket constructor cannot be invoked without 'new'",
    });
  });

  test('lets a method be replaced on one socket', async () => {
    const { ws, client, connect } = await pair();
    const other = await connect();

    ws.send = () => 'replaced';

    assert.equal(ws.send('a'), 'replaced');
    other.ws.send('b');
    await other.client.expect('TEXT b');
    ws.sendText('c');
    await client.expect('TEXT c');
  });

  test('behind a Proxy', async () => {
    const { ws, client } = await pair({}, { upgrade: { data: 'd' } });
    const proxy = new Proxy(ws, {});

    if (differs('proxied-this')) {
      assert.equal(proxy.send('through'), 'through'.length);
      assert.equal(proxy.readyState, 1);
      assert.equal(proxy.data, 'd');
      proxy.data = 'e';
      assert.equal(ws.data, 'e');
      assert.equal(proxy.subscribe('room'), true);
      assert.deepEqual(proxy.subscriptions, ['room']);
      proxy.close(3000);
      await client.expect('TEXT through', 'CLOSE 3000', 'FIN');
    } else {
      throwsExactly(() => proxy.send('through'), {
        name: 'TypeError',
        code: 'ERR_INVALID_THIS',
        message: 'Expected this to be instanceof ServerWebSocket, but received an instance of ServerWebSocket',
      });
      assert.throws(() => proxy.readyState, TypeError);
    }
  });
});

describe('binaryType', () => {
  const REFUSAL = { message: 'binaryType must be either "uint8array", "arraybuffer", "nodebuffer" or "blob"' };
  /** The class that a type delivers; Buffer is a Uint8Array, so the exact constructor counts. */
  const CLASSES = { nodebuffer: Buffer, arraybuffer: ArrayBuffer, uint8array: Uint8Array, blob: Blob };

  test('is "nodebuffer" at first', async () => {
    const { ws } = await pair();

    assert.equal(ws.binaryType, 'nodebuffer');
  });

  for (const [given, read] of [
    ['nodebuffer', 'nodebuffer'],
    ['buffer', 'nodebuffer'],
    ['Buffer', 'nodebuffer'],
    ['arraybuffer', 'arraybuffer'],
    ['ArrayBuffer', 'arraybuffer'],
    ['uint8array', 'uint8array'],
    ['Uint8Array', 'uint8array'],
    ['blob', 'blob'],
  ]) {
    test(`set to "${given}" reads "${read}"`, async () => {
      const { ws } = await pair();

      ws.binaryType = given;

      assert.equal(ws.binaryType, read);
    });
  }

  for (const value of ['Blob', 'NodeBuffer', 'text', '', null, undefined, 5, {}, Symbol('s')]) {
    test(`refuses ${typeof value === 'string' ? JSON.stringify(value) : String(value)} and keeps its value`, async () => {
      const { ws } = await pair();
      ws.binaryType = 'uint8array';

      throwsExactly(() => {
        ws.binaryType = value;
      }, REFUSAL);

      assert.equal(ws.binaryType, 'uint8array');
    });
  }

  for (const [type, Class] of Object.entries(CLASSES)) {
    test(`"${type}" delivers a ${Class.name} in message, ping and pong, also an empty one`, async () => {
      const received = calls('a handler');
      const take = (_, data) => received(data);
      const { client } = await pair({
        open(ws) {
          ws.binaryType = type;
        },
        message: take,
        ping: take,
        pong: take,
      });

      client.write(binary('abc'), ping('abc'), pong('abc'), binary(''), ping(''), pong(''));

      const bytes = [];
      for (const [data] of await received.count(6)) {
        assert.equal(data.constructor, Class);
        bytes.push(Buffer.from(data instanceof Blob ? await data.arrayBuffer() : data).toString());
      }
      assert.deepEqual(bytes, ['abc', 'abc', 'abc', '', '', '']);
    });
  }

  test('"blob" delivers a Blob without a type', async () => {
    const received = calls('message');
    const { ws, client } = await pair({ message: (_, data) => received(data) });
    ws.binaryType = 'blob';

    client.binary('abc');

    const [blob] = await received.next();
    assert.deepEqual([blob.type, blob.size, await blob.text()], ['', 3, 'abc']);
  });

  test('changes between two messages, for one socket alone', async () => {
    const { client, connect } = await pair({
      message(ws, data) {
        ws.binaryType = 'arraybuffer';
        ws.send(data.constructor.name);
      },
    });
    const other = await connect();

    client.write(binary('1'), binary('2'));
    await client.expect('TEXT Buffer', 'TEXT ArrayBuffer');
    other.client.binary('3');

    await other.client.expect('TEXT Buffer');
  });

  test('has no part in text: always a string, with BOM and NUL', async () => {
    const received = calls('message');
    const { client } = await pair({
      open(ws) {
        ws.binaryType = 'arraybuffer';
      },
      message: (_, data) => received(data),
    });

    client.write(text('\ufeffa\u0000b'), text(''), text('h\u00e9 \u20ac \ud83d\ude00'));

    assert.deepEqual((await received.count(3)).flat(), ['\ufeffa\u0000b', '', 'h\u00e9 \u20ac \ud83d\ude00']);
  });

  for (const type of ['nodebuffer', 'uint8array']) {
    test(`"${type}" delivers private copies of exactly the payload's size`, async () => {
      const received = calls('message');
      const { client } = await pair({
        open(ws) {
          ws.binaryType = type;
        },
        message: (_, data) => received(data),
      });

      client.write(binary('first'), binary('second'));

      const [[first], [second]] = await received.count(2);
      for (const data of [first, second]) assert.deepEqual([data.byteOffset, data.buffer.byteLength], [0, data.length]);
      first.fill(0);
      assert.equal(Buffer.from(second).toString(), 'second');
      assert.equal(structuredClone(second.buffer, { transfer: [second.buffer] }).byteLength, 6);
    });
  }
});

describe('readyState', () => {
  test('is 1 in every handler but close, where it is 3', async () => {
    const states = {};
    const note = (name) => (ws) => {
      states[name] = ws.readyState;
    };
    const drains = calls('drain');
    const closes = calls('close');
    const { ws, client } = await pair({
      open: note('open'),
      ping: note('ping'),
      pong: note('pong'),
      message(own) {
        note('message')(own);
        own.send(new Uint8Array(MORE_THAN_A_SOCKET_TAKES));
      },
      drain(own) {
        note('drain')(own);
        drains();
      },
      close(own) {
        note('close')(own);
        closes();
      },
    });

    client.write(ping(), pong(), text('fill'));
    await client.expect('PONG');
    await client.frame('20 MB');
    await drains.next();
    client.write(close());
    await closes.next();

    assert.deepEqual(states, { open: 1, ping: 1, pong: 1, message: 1, drain: 1, close: 3 });
    assert.equal(ws.readyState, 3);
  });

  for (const name of ['close', 'terminate']) {
    test(`is 3 as soon as ${name}() returns`, async () => {
      const { ws } = await pair();

      ws[name]();

      assert.equal(ws.readyState, 3);
    });
  }
});

describe('after close', () => {
  /** What a closed socket says to everything one can ask of it. */
  function everythingOf(ws) {
    const answers = {};
    for (const name of ['send', 'sendText', 'sendBinary', 'ping', 'pong']) {
      answers[name] = [ws[name]('x'), ws[name](), ws[name](undefined), ws[name](Symbol('s')), ws[name]('x', 'not a boolean')];
    }
    for (const name of ['subscribe', 'unsubscribe', 'isSubscribed'])
      answers[name] = [ws[name]('room'), ws[name](), ws[name](5), ws[name]('')];
    answers.publish = ws.publish('nobody', 'x');
    answers.subscriptions = ws.subscriptions;
    answers.cork = ws.cork((own) => (own === ws ? 'the value of the callback' : 'another socket'));
    answers.buffered = ws.getBufferedAmount();
    answers.readyState = ws.readyState;
    answers.isPaused = [ws.pause(), ws.isPaused, ws.resume(), ws.isPaused];
    answers.endings = [ws.close(), ws.close(1000), ws.close('bad'), ws.terminate()];
    ws.binaryType = 'arraybuffer';
    answers.binaryType = ws.binaryType;
    ws.data = 'new data';
    answers.data = ws.data;
    return answers;
  }
  const EXPECTED = {
    send: [0, 0, 0, 0, 0],
    sendText: [0, 0, 0, 0, 0],
    sendBinary: [0, 0, 0, 0, 0],
    ping: [0, 0, 0, 0, 0],
    pong: [0, 0, 0, 0, 0],
    subscribe: [false, false, false, false],
    unsubscribe: [false, false, false, false],
    isSubscribed: [false, false, false, false],
    publish: 0,
    subscriptions: [],
    cork: 'the value of the callback',
    buffered: 0,
    readyState: 3,
    isPaused: [undefined, false, undefined, false],
    endings: [undefined, undefined, undefined, undefined],
    binaryType: 'arraybuffer',
    data: 'new data',
  };

  const endings = {
    'the client closes': ({ client }) => client.write(close(1000)),
    'the client vanishes': ({ client }) => client.destroy(),
    'ws.close()': ({ ws }) => ws.close(),
    'ws.terminate()': ({ ws }) => ws.terminate(),
    'server.stop(true)': ({ server }) => void server.stop(true),
  };
  for (const [what, end] of Object.entries(endings)) {
    test(`(${what}) nothing throws, inside the close handler and later`, async () => {
      const closes = calls('close');
      const connection = await pair({
        open(ws) {
          ws.subscribe('room');
          ws.data = { user: 'ann' };
        },
        close: (ws) => closes(ws.data, everythingOf(ws)),
      });

      end(connection);

      assert.deepEqual(await closes.next(), [{ user: 'ann' }, EXPECTED]);
      assert.deepEqual(everythingOf(connection.ws), EXPECTED);
      assert.equal(closes.all.length, 1);
    });
  }

  test('publish still checks its arguments, inside the close handler and later', async () => {
    const closes = calls('close');
    const { ws, client } = await pair({ close: (own) => closes(refusals(own)) });
    /** What publishing says to a call without a topic, without a message, and with a wrong `compress`. */
    function refusals(own) {
      return ['publish', 'publishText', 'publishBinary'].flatMap((method) =>
        [[], ['room'], ['room', 'x', 5]].map((args) => messageOf(() => own[method](...args))),
      );
    }

    client.write(close());

    const expected = [
      'publish requires at least 1 argument',
      'publish requires a non-empty message',
      'publish expects compress to be a boolean',
      'publishText requires at least 1 argument',
      'publishText expects a string',
      'publishText expects compress to be a boolean',
      'publishBinary requires at least 1 argument',
      'publishBinary expects a Blob or BufferSource',
      'publishBinary expects compress to be a boolean',
    ];
    assert.deepEqual(await closes.next(), [expected]);
    assert.deepEqual(refusals(ws), expected);
  });

  test('binaryType still refuses what is none', async () => {
    const { ws } = await pair();
    ws.close();

    assert.throws(() => {
      ws.binaryType = 'x';
    }, /binaryType must be either/);
  });

  test('a cork callback that throws still throws', async () => {
    const { ws } = await pair();
    ws.close();

    assert.throws(
      () =>
        ws.cork(() => {
          throw new Error('mine');
        }),
      /mine/,
    );
  });
});

describe('remoteAddress', () => {
  test("is the client's IPv4 address without a port", async () => {
    const { ws } = await pair({}, { hostname: '127.0.0.1' });

    assert.equal(ws.remoteAddress, '127.0.0.1');
  });

  test('is the IPv4 address of an IPv4 client of a dual-stack server', async () => {
    const { ws, server } = await pair();

    assert.equal(server.address.family, 'IPv6');
    assert.equal(ws.remoteAddress, differs('plain-ipv4') ? '127.0.0.1' : '::ffff:127.0.0.1');
  });

  test('stays what it was after close when it was read before', async () => {
    const { ws } = await pair({}, { hostname: '127.0.0.1' });
    assert.equal(ws.remoteAddress, '127.0.0.1');

    ws.close();

    assert.equal(ws.remoteAddress, '127.0.0.1');
  });

  test('read for the first time after close', async () => {
    const closes = calls('close');
    const { ws, client } = await pair({ close: (own) => closes(own.remoteAddress) }, { hostname: '127.0.0.1' });

    client.write(close());

    const expected = differs('remote-address-kept') ? '127.0.0.1' : undefined;
    assert.deepEqual(await closes.next(), [expected]);
    assert.equal(ws.remoteAddress, expected);
  });

  test('on a unix socket', async () => {
    const unix = join(tmpdir(), `mantou-address-${process.pid}.sock`);
    const opens = calls('open');
    serveSockets({ open: (ws) => opens(ws.remoteAddress) }, { unix });

    await RawClient.open({ unix });

    assert.deepEqual(await opens.next(), [differs('remote-address-kept') ? '' : undefined]);
  });
});

/** What the error says that `act` throws. */
function messageOf(act) {
  try {
    act();
  } catch (error) {
    return error.message;
  }
  return assert.fail('nothing was thrown');
}
