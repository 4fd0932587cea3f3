// The handlers object `websocket: {...}` and what an exception in a handler does.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair, serveSockets } from './support/connect.mjs';
import { killPrograms, run } from './support/program.mjs';
import { close, ping, pong, RawClient, text } from './support/raw-client.mjs';
import { invalidArgType, throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);
afterEach(killPrograms);

const FIXTURE = JSON.stringify(new URL('./fixtures/exceptions.mjs', import.meta.url).href);
const HANDLERS = ['open', 'message', 'close', 'drain', 'ping', 'pong', 'error'];

describe('the handlers object', () => {
  test('may be empty: connections open, pings and close frames are answered', async () => {
    const server = serveSockets({});
    const client = await RawClient.open({ port: server.port });

    client.write(text('nobody listens'), ping('p'), close(1000, 'bye'));

    await client.expect('PONG p', 'CLOSE 1000 bye', 'FIN');
  });

  for (const [kind, handlers] of [
    ['function', Object.assign(() => {}, { message: (ws, message) => ws.send(message) })],
    ['array', Object.assign([], { message: (ws, message) => ws.send(message) })],
  ]) {
    test(`may be a ${kind}`, async () => {
      const server = serveSockets(handlers);
      const client = await RawClient.open({ port: server.port });

      client.text('a');

      await client.expect('TEXT a');
    });
  }

  for (const value of [1, 'x', true]) {
    test(`may not be ${JSON.stringify(value)}`, () => {
      throwsExactly(() => serveSockets(value), invalidArgType('Expected websocket to be an object'));
    });
  }

  for (const value of [null, undefined]) {
    test(`is as good as absent when ${value}`, async () => {
      const thrown = calls('upgrade() throwing');
      const server = serveSockets(value, {
        fetch(req, own) {
          try {
            own.upgrade(req);
          } catch (error) {
            thrown(error.code, error.message);
          }
          return new Response('plain');
        },
      });
      const client = await RawClient.connect({ port: server.port });

      client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');

      assert.equal(String((await client.response()).body), 'plain');
      assert.deepEqual(thrown.all, [['ERR_INVALID_ARG_TYPE', 'To enable websocket support, set the "websocket" object in Bun.serve({})']]);
    });
  }

  test('is read once: handlers assigned later have no effect', async () => {
    const handlers = { message: (ws) => ws.send('first') };
    const server = serveSockets(handlers);
    const client = await RawClient.open({ port: server.port });

    handlers.message = (ws) => ws.send('second');
    handlers.ping = (ws) => ws.send('a ping handler');
    client.write(ping(), text('a'));

    await client.expect('PONG', 'TEXT first');
  });

  test('may inherit its methods from a class', async () => {
    class Base {
      message(ws, message) {
        ws.send(`base:${message}`);
      }
    }
    class Derived extends Base {
      ping(ws) {
        ws.send('derived ping');
      }
    }
    const server = serveSockets(new Derived());
    const client = await RawClient.open({ port: server.port });

    client.write(text('a'), ping());

    await client.expect('TEXT base:a', 'PONG', 'TEXT derived ping');
  });

  test('may have getters, each is read once', async () => {
    let reads = 0;
    const server = serveSockets({
      get message() {
        reads++;
        return (ws, message) => ws.send(message);
      },
    });
    const client = await RawClient.open({ port: server.port });

    client.write(text('a'), text('b'));

    await client.expect('TEXT a', 'TEXT b');
    assert.equal(reads, 1);
  });

  for (const name of HANDLERS) {
    test(`takes null and undefined for an absent ${name}`, async () => {
      const server = serveSockets({ [name]: null });
      serveSockets({ [name]: undefined });
      const client = await RawClient.open({ port: server.port });

      client.write(text('a'), ping('p'), pong(), close(1000));

      await client.expect('PONG p', 'CLOSE 1000', 'FIN');
    });

    test(`refuses a ${name} that is not a function`, () => {
      for (const value of [1, 'x', true, false, {}, []]) {
        throwsExactly(() => serveSockets({ [name]: value }), invalidArgType(`websocket expects a function for the '${name}' option`));
      }
    });
  }

  test('may have other members and `data`, which are ignored', async () => {
    const server = serveSockets({ data: { user: '' }, upgrade: 5, headers: 'x', message: (ws) => ws.send(String(ws.data)) });
    const client = await RawClient.open({ port: server.port });

    client.text('a');

    await client.expect('TEXT undefined');
  });
});

/** A connection whose every handler has been called; `seen` maps each name to what `look(this, args)` made of it. */
async function everyHandlerCalled(look) {
  const seen = {};
  const closes = calls('close');
  const drains = calls('drain');
  const note = (name) =>
    function (...args) {
      seen[name] ??= look(this, args);
      return args;
    };
  const { client, ws } = await pair({
    open: note('open'),
    message(...args) {
      note('message').apply(this, args);
      if (args[1] === 'throw') throw new Error('for the error handler');
      if (args[1] === 'fill') args[0].send(new Uint8Array(MORE_THAN_A_SOCKET_TAKES));
    },
    ping: note('ping'),
    pong: note('pong'),
    error: note('error'),
    drain(...args) {
      note('drain').apply(this, args);
      drains();
    },
    close(...args) {
      note('close').apply(this, args);
      closes();
    },
  });
  client.write(text('throw'), ping('p'), pong('q'), text('fill'));
  await client.expect('PONG p');
  await client.frame('20 MB');
  await drains.next();
  client.write(close(1000, 'bye'));
  await closes.next();
  return { seen, ws };
}

describe('a handler', () => {
  test('is called with undefined as `this`', async () => {
    const { seen } = await everyHandlerCalled((self) => typeof self);

    assert.deepEqual(
      seen,
      Object.fromEntries(['open', 'message', 'error', 'ping', 'pong', 'drain', 'close'].map((name) => [name, 'undefined'])),
    );
  });

  test('gets exactly its arguments', async () => {
    const { seen } = await everyHandlerCalled((_, args) => args.length);

    assert.deepEqual(seen, { open: 1, message: 2, error: 2, ping: 2, pong: 2, drain: 1, close: 3 });
  });

  test('gets the same socket object each time, `error` as its second argument', async () => {
    const { seen, ws } = await everyHandlerCalled((_, args) => (args[0] instanceof Error ? args[1] : args[0]));

    for (const name of HANDLERS) assert.equal(seen[name], ws, name);
  });

  test('finds the properties an earlier handler gave the socket, and only those in JSON', async () => {
    const { client } = await pair({
      open(ws) {
        ws.user = 'ann';
        ws.nested = { seats: [1, 2] };
      },
      message(ws) {
        ws.send(`${ws.user} ${JSON.stringify(ws)} ${Object.keys(ws)}`);
      },
    });

    client.text('who?');

    await client.expect('TEXT ann {"user":"ann","nested":{"seats":[1,2]}} user,nested');
  });

  test('is not awaited: three async messages start back to back', async () => {
    const order = [];
    const ends = calls('the end of a message');
    const { client } = await pair({
      async message(_, message) {
        order.push(`start ${message}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
        order.push(`end ${message}`);
        ends();
      },
    });

    client.write(text('a'), text('b'), text('c'));
    await ends.count(3);

    assert.deepEqual(order, ['start a', 'start b', 'start c', 'end a', 'end b', 'end c']);
  });

  test('is not held back by an async `open`', async () => {
    const order = calls('a step');
    let finish;
    const { client } = await pair({
      async open() {
        order('open starts');
        await new Promise((resolve) => (finish = resolve));
        order('open ends');
      },
      message: () => order('message'),
    });

    client.text('a');
    await order.count(2);
    finish();

    assert.deepEqual((await order.count(3)).flat(), ['open starts', 'message', 'open ends']);
  });

  test('may return anything', async () => {
    const { client } = await pair({
      open: () => 'x',
      message(ws, message) {
        ws.send(message);
        return false;
      },
    });

    client.write(text('a'), text('b'));

    await client.expect('TEXT a', 'TEXT b');
  });
});

describe('an exception in a handler, with `error`', () => {
  for (const value of [new Error('boom'), 'a string', undefined, null, 0, { plain: true }]) {
    test(`reaches it unchanged: ${value instanceof Error ? value : JSON.stringify(value)}`, async () => {
      const errors = calls('error');
      const { ws, client } = await pair({
        message(ws, message) {
          if (message === 'throw') throw value;
          ws.send(`re:${message}`);
        },
        error: (...args) => errors(...args),
      });

      client.write(text('throw'), text('after'));

      await client.expect('TEXT re:after');
      assert.equal(errors.all.length, 1);
      assert.equal(errors.all[0][0], value);
      assert.equal(errors.all[0][1], ws);
    });
  }

  test('leaves the connection open and delivers the frames that follow, in ping, pong and message', async () => {
    const errors = [];
    const { client, ws } = await pair({
      message(own, message) {
        own.send(`re:${message}`);
        throw `message ${message}`;
      },
      ping(_, data) {
        throw `ping ${data}`;
      },
      pong(_, data) {
        throw `pong ${data}`;
      },
      error: (error) => errors.push(error),
    });

    client.write(ping('1'), pong('2'), text('3'), ping('4'), text('5'));

    await client.expect('PONG 1', 'TEXT re:3', 'PONG 4', 'TEXT re:5');
    assert.deepEqual(errors, ['ping 1', 'pong 2', 'message 3', 'ping 4', 'message 5']);
    assert.equal(ws.readyState, 1);
  });

  test('leaves the connection open in drain', async () => {
    const errors = calls('error');
    const { client } = await pair({
      message: (ws, message) => ws.send(message === 'fill' ? new Uint8Array(MORE_THAN_A_SOCKET_TAKES) : message),
      drain() {
        throw 'from drain';
      },
      error: (error) => errors(error),
    });

    client.text('fill');
    assert.equal((await client.frame()).payload.length, MORE_THAN_A_SOCKET_TAKES);

    assert.deepEqual(await errors.next(), ['from drain']);
    client.text('still here');
    await client.expect('TEXT still here');
  });

  test('reaches it from close, when the socket is already closed', async () => {
    const errors = calls('error');
    const { client, ws } = await pair({
      close(_, code) {
        throw `close ${code}`;
      },
      error: (error, own) => errors(error, own === ws, own.readyState),
    });

    client.write(close(3000));

    await client.expect('CLOSE 3000', 'FIN');
    assert.deepEqual(await errors.next(), ['close 3000', true, 3]);
  });

  test('drops the socket without a close frame when thrown in open; close comes before error, what was sent is flushed', async () => {
    const order = calls('a handler');
    const upgraded = calls('upgrade()');
    const server = serveSockets(
      {
        open(ws) {
          ws.send('sent before');
          throw new Error('in open');
        },
        message: (_, message) => order('message', message),
        close: (ws, code, reason) => order('close', code, reason, ws.readyState),
        error: (error, ws) => order('error', error.message, ws.readyState),
      },
      {
        fetch(req, own) {
          upgraded(own.upgrade(req));
        },
      },
    );
    const client = await RawClient.open({ port: server.port });

    client.text('too late');

    await client.expect('TEXT sent before', 'FIN');
    assert.deepEqual(await order.count(2), [
      ['close', 1006, '', 3],
      ['error', 'in open', 3],
    ]);
    assert.deepEqual(upgraded.all, [[true]]);
  });

  test("never reaches the server's own `error`", async () => {
    const serverErrors = [];
    const { client } = await pair(
      {
        message(ws, message) {
          ws.send(`re:${message}`);
          throw new Error('boom');
        },
        error: (_, ws) => ws.send('websocket.error'),
      },
      {
        error(error) {
          serverErrors.push(error);
          return new Response('server.error');
        },
      },
    );

    client.text('a');

    await client.expect('TEXT re:a', 'TEXT websocket.error');
    assert.deepEqual(serverErrors, []);
  });

  test('thrown by a handler of another socket, nested through close(), is reported for each', async () => {
    const errors = [];
    const { client, connect } = await pair({
      message(ws, message) {
        if (message !== 'go') return ws.send(message);
        others[0].close(3001);
        throw 'outer';
      },
      close() {
        throw 'inner';
      },
      error: (error) => errors.push(error),
    });
    const second = await connect();
    const others = [second.ws];

    client.write(text('go'), text('done'));

    await client.expect('TEXT done');
    assert.deepEqual(errors, ['inner', 'outer']);
  });
});

describe('an exception in a handler, without `error`', () => {
  const uncaught = (error) => ({ event: 'uncaughtException', error, origin: 'uncaughtException' });
  const unhandled = (error) => ({ event: 'unhandledRejection', error });
  /** Each scenario of the fixture, and what a process with hooks for both events reports. */
  const scenarios = {
    'message throws': { events: [uncaught('in message')], frames: ['TEXT re:after'] },
    'ping throws': { events: [uncaught('in ping')], frames: ['PONG p', 'TEXT re:after'] },
    'pong throws': { events: [uncaught('in pong')], frames: ['TEXT re:after'] },
    'message throws undefined': { events: [uncaught('undefined')], frames: ['TEXT re:after'] },
    'open throws': { events: [uncaught('in open')], frames: ['TEXT sent before', 'FIN'], closes: [[1006, '']] },
    'close throws': { events: [uncaught('in close')], frames: ['CLOSE 1000', 'FIN'] },
    'error throws': { events: [uncaught('in error')], frames: ['TEXT re:after'] },
    'error rejects': { events: [unhandled('error rejected')], frames: ['TEXT re:after'] },
    'message rejects': { events: [unhandled('message rejected')], frames: ['TEXT re:after'] },
    'message rejects although there is error': { events: [unhandled('message rejected')], frames: ['TEXT re:after'] },
    'open rejects': { events: [unhandled('open rejected')], frames: ['TEXT re:after'] },
  };

  /** Plays a scenario of the fixture in a process with hooks for both events, or without. */
  const play = (scenario, hooks) => run(`import ${FIXTURE};`, { SCENARIO: scenario, HOOKS: hooks }).exited();

  for (const [scenario, expected] of Object.entries(scenarios)) {
    test(`${scenario}: the process hook gets it, and nothing else changes`, async () => {
      const { code, stderr, lines } = await play(scenario, 'hooked');

      assert.equal(code, 0, stderr);
      assert.deepEqual(JSON.parse(lines.at(-1)), { closes: [], ...expected });
    });
  }

  test('ends the process with status 1 and a printed error when there is no hook', async () => {
    const { code, stderr, lines } = await play('message throws', '');

    assert.equal(code, 1);
    assert.match(stderr, /in message/);
    assert.match(stderr, /exceptions\.mjs/);
    assert.deepEqual(lines, []);
  });

  test('makes the exit status 1 for a rejection when there is no hook', async () => {
    const { code, stderr } = await play('message rejects', '');

    assert.equal(code, 1);
    assert.match(stderr, /message rejected/);
  });
});
