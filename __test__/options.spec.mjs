// The numeric and boolean options of `websocket: {...}`: what is accepted, what each refusal says, which value each default has.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair, serveSockets } from './support/connect.mjs';
import { binary, continuation, ping, RawClient, text } from './support/raw-client.mjs';
import { invalidArgType, throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);

const MEGABYTE = 1024 * 1024;
const TOO_BIG = 'CLOSE 1009 Received too big message';
/** A value as a test name shows it. */
const shown = (value) =>
  typeof value === 'string' ? JSON.stringify(value) : Object.is(value, -0) ? '-0' : typeof value === 'bigint' ? `${value}n` : String(value);
/** Serves with these websocket options, then reloads a server to them: the same check guards both. */
function bothWays(websocket) {
  const running = serveSockets({});
  return [() => serveSockets(websocket), () => running.reload({ fetch: () => new Response(), websocket })];
}

for (const name of ['maxPayloadLength', 'backpressureLimit', 'idleTimeout']) {
  describe(name, () => {
    for (const value of [null, undefined, 0, 1, 960, -1, -5_000_000_000, -(2 ** 51)]) {
      test(`accepts ${shown(value)}`, () => {
        for (const act of bothWays({ [name]: value })) act();
      });
    }

    for (const value of [
      1.5,
      NaN,
      Infinity,
      -Infinity,
      -0,
      '10',
      '',
      true,
      false,
      10n,
      {},
      [],
      new Number(5),
      Symbol('s'),
      2 ** 51,
      2 ** 53,
      1e20,
    ]) {
      test(`refuses ${shown(value)} (a ${typeof value}) as not an integer`, () => {
        for (const act of bothWays({ [name]: value })) throwsExactly(act, invalidArgType(`websocket expects ${name} to be an integer`));
      });
    }
  });
}

for (const name of ['maxPayloadLength', 'backpressureLimit']) {
  for (const value of [2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 51 - 1]) {
    test(`${name} accepts ${value}`, () => {
      for (const act of bothWays({ [name]: value })) act();
    });
  }
}

for (const value of [961, 2 ** 31, 2 ** 32, 2 ** 51 - 1]) {
  test(`idleTimeout refuses ${value} as more than 960`, () => {
    for (const act of bothWays({ idleTimeout: value }))
      throwsExactly(act, invalidArgType('websocket expects idleTimeout to be 960 or less'));
  });
}

for (const name of ['closeOnBackpressureLimit', 'sendPings', 'publishToSelf']) {
  describe(name, () => {
    for (const value of [true, false, null, undefined]) {
      test(`accepts ${value}`, () => {
        for (const act of bothWays({ [name]: value })) act();
      });
    }

    for (const value of [0, 1, NaN, '', 'true', {}, [], 1n, new Boolean(true), Symbol('s')]) {
      test(`refuses ${shown(value)} (a ${typeof value})`, () => {
        for (const act of bothWays({ [name]: value })) throwsExactly(act, invalidArgType(`websocket expects ${name} to be a boolean`));
      });
    }
  });
}

describe('perMessageDeflate', () => {
  const LEVELS = ['disable', 'shared', 'dedicated', '3KB', '4KB', '8KB', '16KB', '32KB', '64KB', '128KB', '256KB'];

  for (const value of [undefined, null, true, false, {}, []]) {
    test(`accepts ${JSON.stringify(value)}`, () => {
      for (const act of bothWays({ perMessageDeflate: value })) act();
    });
  }

  for (const value of [0, 1, '', 'shared', 10n, Symbol('s')]) {
    test(`refuses ${shown(value)} (a ${typeof value})`, () => {
      for (const act of bothWays({ perMessageDeflate: value })) {
        throwsExactly(act, invalidArgType('websocket expects perMessageDeflate to be a boolean or an object'));
      }
    });
  }

  for (const side of ['compress', 'decompress']) {
    for (const value of [...LEVELS, true, false, undefined, null, '']) {
      test(`accepts ${JSON.stringify(value)} for ${side}`, () => {
        for (const act of bothWays({ perMessageDeflate: { [side]: value } })) act();
      });
    }

    for (const value of ['3kb', '5KB', 'Shared', '3KB ', 3, {}, Symbol('s')]) {
      test(`refuses ${shown(value)} (a ${typeof value}) for ${side}`, () => {
        const names = LEVELS.slice(0, -1).map((level) => `"${level}"`);
        const message = `websocket expects a valid ${side} option, either ${names.join(' ')} or "256KB"`;
        for (const act of bothWays({ perMessageDeflate: { [side]: value } })) throwsExactly(act, invalidArgType(message));
      });
    }
  }
});

test('a refused reload leaves the running configuration as it was', async () => {
  const { server, client } = await pair({ message: (ws, message) => ws.send(`old:${message}`), maxPayloadLength: 3 });

  throwsExactly(
    () => server.reload({ fetch: () => new Response(), websocket: { message: (ws) => ws.send('new'), maxPayloadLength: 1.5 } }),
    invalidArgType('websocket expects maxPayloadLength to be an integer'),
  );
  client.write(text('abc'), text('abcd'));

  await client.expect('TEXT old:abc', TOO_BIG, 'FIN');
});

describe('maxPayloadLength as a limit', () => {
  const lengths = { message: (ws, message) => ws.send(String(message.length)) };

  for (const value of [undefined, null]) {
    test(`is 16 MiB when ${value}: that much is delivered, one byte more is not`, async () => {
      const { client } = await pair({ ...lengths, maxPayloadLength: value });

      client.write(binary(Buffer.alloc(16 * MEGABYTE)));
      await client.expect(`TEXT ${16 * MEGABYTE}`);
      // Only the header: the length it claims is enough.
      client.write(binary('', { length: 16 * MEGABYTE + 1 }));

      await client.expect(TOO_BIG, 'FIN');
    });
  }

  for (const value of [0, -1, -5_000_000_000]) {
    test(`${value} leaves only empty messages`, async () => {
      const { client } = await pair({ ...lengths, maxPayloadLength: value });

      client.write(text(''), binary(''), ping('control frames are exempt'), text('a'));

      await client.expect('TEXT 0', 'TEXT 0', 'PONG control frames are exempt', TOO_BIG, 'FIN');
    });
  }

  for (const value of [2 ** 32 - 1, 2 ** 32, 2 ** 51 - 1]) {
    test(`${value} is no small number by accident`, async () => {
      const { client } = await pair({ ...lengths, maxPayloadLength: value });

      client.write(binary(Buffer.alloc(17 * MEGABYTE)));

      await client.expect(`TEXT ${17 * MEGABYTE}`);
    });
  }

  test('counts the fragments of a message together', async () => {
    const { client } = await pair({ ...lengths, maxPayloadLength: 4 });

    client.write(text('ab', { fin: false }), continuation('cd'), text('ab', { fin: false }), continuation('cde'));

    await client.expect('TEXT 4', TOO_BIG, 'FIN');
  });

  test('is counted in bytes, not characters', async () => {
    const { client } = await pair({ ...lengths, maxPayloadLength: 4 });

    client.write(text('éé'), text('ééé'));

    await client.expect('TEXT 2', TOO_BIG, 'FIN');
  });
});

describe('backpressureLimit as a limit', () => {
  const FILL = Buffer.alloc(MORE_THAN_A_SOCKET_TAKES);

  for (const value of [undefined, null, 16 * MEGABYTE]) {
    test(`is 16 MiB when ${value}: a send is dropped once more than that is buffered`, async () => {
      const { ws, client } = await pair({ backpressureLimit: value });
      client.pause();
      const message = Buffer.alloc(MEGABYTE);
      let buffered;

      do buffered = ws.getBufferedAmount();
      while (ws.send(message) !== 0);

      assert.ok(buffered > 16 * MEGABYTE, `dropped at ${buffered}`);
      assert.ok(buffered <= 17 * MEGABYTE + 10, `kept at ${buffered}`);
    });
  }

  for (const value of [0, -1]) {
    test(`${value} means none: everything is kept`, async () => {
      const { ws, client } = await pair({ backpressureLimit: value });

      assert.equal(ws.send(FILL), -1);
      assert.equal(ws.send(FILL), -1);
      assert.equal(ws.send('x'), -1);

      for (let n = 0; n < 2; n++) assert.equal((await client.frame()).payload.length, FILL.length);
      await client.expect('TEXT x');
    });
  }

  for (const value of [2 ** 32, 2 ** 51 - 1]) {
    test(`${value} is no small number by accident`, async () => {
      const { ws } = await pair({ backpressureLimit: value });

      for (let n = 0; n < 3; n++) assert.equal(ws.send(FILL), -1);
    });
  }
});

describe('publishToSelf', () => {
  for (const [value, delivered] of [
    [true, ['TEXT self', 'TEXT marker']],
    [false, ['TEXT marker']],
    [null, ['TEXT marker']],
    [undefined, ['TEXT marker']],
  ]) {
    test(`${value} ${delivered.length === 2 ? 'sends' : 'does not send'} a publish back to its sender`, async () => {
      const { ws, client } = await pair({ publishToSelf: value });

      ws.subscribe('room');
      ws.publish('room', 'self');
      ws.send('marker');

      await client.expect(...delivered);
    });
  }
});

describe('closeOnBackpressureLimit', () => {
  for (const value of [undefined, null, false]) {
    test(`${value} keeps the connection when a send is dropped`, async () => {
      const { ws, client } = await pair({ backpressureLimit: 1, closeOnBackpressureLimit: value });

      assert.equal(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES)), -1);
      assert.equal(ws.send('dropped'), 0);

      assert.equal((await client.frame()).payload.length, MORE_THAN_A_SOCKET_TAKES);
      client.write(ping('alive'));
      await client.expect('PONG alive');
    });
  }

  test('true ends it with 1006', async () => {
    const closes = calls('close');
    const { ws, client } = await pair({ backpressureLimit: 1, closeOnBackpressureLimit: true, close: (_, ...args) => closes(...args) });
    client.pause();

    ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES));
    assert.equal(ws.send('one too many'), 0);

    assert.deepEqual(await closes.next(), [1006, '']);
  });
});

test('options of many connections are the same: the limit holds for each', async () => {
  const { server } = await pair({ maxPayloadLength: 1 });
  for (let n = 0; n < 3; n++) {
    const client = await RawClient.open({ port: server.port });
    client.text('ab');
    await client.expect(TOO_BIG, 'FIN');
  }
});
