// In which order things happen: frames of one segment, microtasks between handlers, sends and publishes, many sockets.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, pair, serveSockets } from './support/connect.mjs';
import { killPrograms, run } from './support/program.mjs';
import { binary, close, continuation, handshake, ping, pong, RawClient, text } from './support/raw-client.mjs';
import { connectTo, readResponse, request } from './support/raw-http.mjs';
import { isBunRuntime } from './support/target.mjs';

afterEach(cleanUp);
afterEach(killPrograms);

describe('one segment [TEXT a][PING][TEXT b][CLOSE]', () => {
  const SEGMENT = [text('a'), ping('p'), text('b'), close(1000, 'bye')];

  test('gets re:a, PONG, re:b, CLOSE; the socket is open in both message handlers', async () => {
    const states = [];
    const { client } = await pair({
      message(ws, message) {
        states.push([message, ws.readyState]);
        ws.send(`re:${message}`);
      },
    });

    client.write(...SEGMENT);

    await client.expect('TEXT re:a', 'PONG p', 'TEXT re:b', 'CLOSE 1000 bye', 'FIN');
    assert.deepEqual(states, [
      ['a', 1],
      ['b', 1],
    ]);
  });

  test('calls message, ping, message, close in that order, with what each sends in its place', async () => {
    const order = [];
    const { client } = await pair({
      message(ws, message) {
        order.push(message);
        ws.send(`re:${message}`);
      },
      ping(ws) {
        order.push('ping');
        ws.send('in ping');
      },
      close(ws, code) {
        order.push(code, ws.send('too late'));
      },
    });

    client.write(...SEGMENT);

    await client.expect('TEXT re:a', 'PONG p', 'TEXT in ping', 'TEXT re:b', 'CLOSE 1000 bye', 'FIN');
    assert.deepEqual(order, ['a', 'ping', 'b', 1000, 0]);
  });

  test('gets the same when it arrives byte by byte', async () => {
    const { client } = await pair({ message: (ws, message) => ws.send(`re:${message}`) });

    await client.dribble(Buffer.concat(SEGMENT));

    await client.expect('TEXT re:a', 'PONG p', 'TEXT re:b', 'CLOSE 1000 bye', 'FIN');
  });

  for (const size of [2, 3, 5, 7, 11]) {
    test(`gets the same in pieces of ${size} bytes`, async () => {
      const { client } = await pair({ message: (ws, message) => ws.send(`re:${message}`) });

      await client.dribble(Buffer.concat(SEGMENT), size);

      await client.expect('TEXT re:a', 'PONG p', 'TEXT re:b', 'CLOSE 1000 bye', 'FIN');
    });
  }

  test('together with the handshake gets the same', async () => {
    const server = serveSockets({ open: (ws) => ws.send('open'), message: (ws, message) => ws.send(`re:${message}`) });
    const client = await RawClient.connect({ port: server.port });

    client.write(handshake(), ...SEGMENT);

    assert.equal((await client.response()).status, 101);
    await client.expect('TEXT open', 'TEXT re:a', 'PONG p', 'TEXT re:b', 'CLOSE 1000 bye', 'FIN');
  });
});

describe('between two handlers of one segment', () => {
  const microtasksFirst = isBunRuntime && differs('microtasks-in-bun');
  /** Ticks and microtasks in the order in which they run. */
  const inOrder = (ticks, microtasks) => (microtasksFirst ? [...microtasks, ...ticks] : [...ticks, ...microtasks]);

  test('ticks and microtasks of the first run before the second', async () => {
    const order = calls('a step');
    const { client } = await pair({
      message(_, message) {
        order(`message ${message}`);
        queueMicrotask(() => order(`microtask ${message}`));
        process.nextTick(() => order(`tick ${message}`));
        Promise.resolve()
          .then(() => {})
          .then(() => order(`second then ${message}`));
      },
    });

    client.write(text('a'), text('b'));

    assert.deepEqual((await order.count(8)).flat(), [
      'message a',
      ...inOrder(['tick a'], ['microtask a', 'second then a']),
      'message b',
      ...inOrder(['tick b'], ['microtask b', 'second then b']),
    ]);
  });

  const withoutTicks = { NODE_OPTIONS: '--import=data:text/javascript,delete%20process._tickCallback' };
  for (const [how, thrower, env] of [
    ['whatever a handler throws', "if (message === 'a') throw 'thrown by a handler';", {}],
    ['whatever a tick throws', "process.nextTick(() => { if (message === 'a') throw 'thrown by a tick'; });", {}],
    ['on a host without a function for it', "if (message === 'a') throw 'thrown by a handler';", withoutTicks],
  ]) {
    test(`the same holds ${how}`, async () => {
      const program = run(
        `
        process.on('uncaughtException', print);
        const server = serve({
          fetch: (req, server) => void server.upgrade(req),
          websocket: {
            message(_, message) {
              print('message ' + message);
              queueMicrotask(() => print('microtask ' + message));
              process.nextTick(() => print('tick ' + message));
              ${thrower}
            },
          },
        });
        const client = await RawClient.open({ port: server.port });
        client.write(text('a'), text('b'));
      `,
        env,
      );

      const lines = [];
      while (lines.length < 7) lines.push(await program.line());
      const rest = ['message b', ...inOrder(['tick b'], ['microtask b'])];
      assert.deepEqual(
        lines,
        how.includes('tick throws')
          ? ['message a', ...inOrder(['tick a', 'thrown by a tick'], ['microtask a']), ...rest]
          : ['message a', 'thrown by a handler', ...inOrder(['tick a'], ['microtask a']), ...rest],
      );
    });
  }

  test('an await in the first is over before the second begins', async () => {
    const order = calls('a step');
    const { client } = await pair({
      async message(_, message) {
        order(`before ${message}`);
        await null;
        order(`after ${message}`);
      },
    });

    client.write(text('a'), text('b'), text('c'));

    assert.deepEqual((await order.count(6)).flat(), ['before a', 'after a', 'before b', 'after b', 'before c', 'after c']);
  });

  test('the same holds between ping, pong, message and close', async () => {
    const order = calls('a step');
    const step = (name) => () => {
      order(name);
      queueMicrotask(() => order(`${name} microtask`));
    };
    const { client } = await pair({ message: step('message'), ping: step('ping'), pong: step('pong'), close: step('close') });

    client.write(ping(), text('a'), pong(), close());

    assert.deepEqual(
      (await order.count(8)).flat(),
      ['ping', 'message', 'pong', 'close'].flatMap((name) => [name, `${name} microtask`]),
    );
  });

  test('what a microtask of the first sends arrives before what the second sends', async () => {
    const { client } = await pair({
      message(ws, message) {
        ws.send(`now ${message}`);
        queueMicrotask(() => ws.send(`soon ${message}`));
      },
    });

    client.write(text('a'), text('b'));

    await client.expect('TEXT now a', 'TEXT soon a', 'TEXT now b', 'TEXT soon b');
  });

  test('a close() by a microtask of the first keeps the second from being called', async () => {
    const messages = [];
    const { client } = await pair({
      message(ws, message) {
        messages.push(message);
        queueMicrotask(() => ws.close(4000));
      },
    });

    client.write(text('a'), text('b'));

    await client.expect('CLOSE 4000', 'FIN');
    assert.deepEqual(messages, ['a']);
  });
});

test('open comes before the first message and close after the last, each once', async () => {
  const order = calls('a step');
  const { client } = await pair({
    open: () => order('open'),
    message: (_, message) => order(message),
    close: () => order('close'),
  });

  client.write(text('a'), text('b')).halfClose();
  await client.expect('FIN');

  assert.deepEqual((await order.count(4)).flat(), ['open', 'a', 'b', 'close']);
  assert.equal(order.all.length, 4);
});

test('open of one socket is not interrupted by messages of another', async () => {
  const order = [];
  const { client, connect } = await pair({
    open(ws) {
      order.push('open begins');
      ws.send('hello');
      order.push('open ends');
    },
    message: (ws, message) => {
      order.push(message);
      ws.send(`re:${message}`);
    },
  });

  client.text('a');
  const other = await connect();
  await other.client.expect('TEXT hello');
  await client.expect('TEXT hello', 'TEXT re:a');

  for (const at of order.keys()) if (order[at] === 'open begins') assert.equal(order[at + 1], 'open ends');
  assert.equal(order.length, 5);
});

test('a thousand messages of one segment are answered in their order', async () => {
  const { client } = await pair({ message: (ws, message) => ws.send(message) });
  const numbers = Array.from({ length: 1000 }, (_, n) => `message ${n}`);

  client.write(...numbers.map((each) => text(each)));

  await client.expect(...numbers.map((each) => `TEXT ${each}`));
});

test('text, binary and fragmented messages keep their order', async () => {
  const { client } = await pair({ message: (ws, message) => ws.send(message) });

  client.write(
    text('1'),
    binary('2'),
    text('3', { fin: false }),
    ping('4'),
    continuation('5'),
    binary('6', { fin: false }),
    continuation('7'),
    text('8'),
  );

  await client.expect('TEXT 1', 'BINARY 32', 'PONG 4', 'TEXT 35', 'BINARY 3637', 'TEXT 8');
});

test('many sockets each get their own answers in their own order', async () => {
  const server = serveSockets({ message: (ws, message) => ws.send(`${ws.data}${message}`), open: (ws) => (ws.data = '') });
  const clients = await Promise.all(Array.from({ length: 40 }, () => RawClient.open({ port: server.port })));

  for (let round = 0; round < 10; round++) {
    for (const [n, client] of clients.entries()) client.text(`${n}:${round}`);
  }

  for (const [n, client] of clients.entries()) {
    await client.expect(...Array.from({ length: 10 }, (_, round) => `TEXT ${n}:${round}`));
  }
  assert.equal(server.pendingWebSockets, 40);
});

test('many sockets that close at once are each closed once', async () => {
  const closes = calls('close');
  const server = serveSockets({ close: (_, code) => closes(code) });
  const clients = await Promise.all(Array.from({ length: 40 }, () => RawClient.open({ port: server.port })));

  for (const [n, client] of clients.entries()) client.write(close(4000 + n));
  await Promise.all(clients.map((client, n) => client.expect(`CLOSE ${4000 + n}`, 'FIN')));

  const codes = (await closes.count(40)).flat();
  assert.deepEqual(
    codes.sort(),
    Array.from({ length: 40 }, (_, n) => 4000 + n),
  );
  assert.equal(server.pendingWebSockets, 0);
});

describe('send and publish', () => {
  test('to the same socket arrive in the order of the calls', async () => {
    const { ws, client, server, connect } = await pair();
    const other = await connect();
    ws.subscribe('room');

    other.ws.publish('room', '1');
    ws.send('2');
    other.ws.publish('room', '3');
    server.publish('room', '4');
    ws.send('5');
    ws.ping('6');
    server.publish('room', '7');

    await client.expect(...'12345'.split('').map((n) => `TEXT ${n}`), 'PING 6', 'TEXT 7');
  });

  test('in a handler arrive in the order of the calls', async () => {
    const { client, connect } = await pair({
      message(ws, message) {
        if (message !== 'go') return ws.subscribe('room');
        ws.publish('room', '1');
        other.ws.send('2');
        ws.publish('room', '3');
        ws.send('4');
      },
    });
    const other = await connect();
    other.ws.subscribe('room');

    client.text('go');

    await other.client.expect('TEXT 1', 'TEXT 2', 'TEXT 3');
    await client.expect('TEXT 4');
  });

  test('followed by unsubscribe, close or terminate in the same tick still arrive', async () => {
    for (const [last, ...ending] of [
      [(ws) => ws.unsubscribe('room') && ws.ping('marker'), 'PING marker'],
      [(ws) => ws.close(4000), 'CLOSE 4000', 'FIN'],
      [(ws) => ws.terminate(), 'FIN'],
    ]) {
      const { ws, client, server } = await pair();
      ws.subscribe('room');

      server.publish('room', 'published');
      ws.send('sent');
      last(ws);

      await client.expect('TEXT published', 'TEXT sent', ...ending);
    }
  });

  test('of several sockets reach each subscriber in one order', async () => {
    const { server, connect } = await pair();
    const subscribers = await Promise.all([connect(), connect(), connect()]);
    for (const { ws } of subscribers) ws.subscribe('room');

    for (let n = 0; n < 20; n++) (n % 2 ? server : subscribers[0].ws).publish('room', String(n));
    server.publish('room', 'end');

    const all = Array.from({ length: 20 }, (_, n) => `TEXT ${n}`);
    const odd = all.filter((_, n) => n % 2);
    await subscribers[0].client.expect(...odd, 'TEXT end');
    for (const { client } of subscribers.slice(1)) await client.expect(...all, 'TEXT end');
  });
});

test('messages behind requests whose clients have gone by now are delivered', async () => {
  const messages = calls('a message');
  const { server, client } = await pair({ message: (_ws, message) => messages(message) }, { routes: { '/http': () => new Response('x') } });
  const visitors = await Promise.all(Array.from({ length: 8 }, () => connectTo(server)));
  for (const visitor of visitors) {
    visitor.write(request('GET', '/http'));
    await readResponse(visitor);
  }

  // All of it is there when the server looks next.
  for (const [index, visitor] of visitors.entries()) {
    visitor.write(request('GET', '/http'));
    visitor.reset();
    client.text(String(index));
  }

  assert.deepEqual(
    await messages.count(visitors.length),
    visitors.map((_, index) => [String(index)]),
  );
});
