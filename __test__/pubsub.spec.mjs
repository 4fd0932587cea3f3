// Topics: subscribe, publish from a socket and from the server, who gets it, what it returns.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair, serveSockets } from './support/connect.mjs';
import { outcomeOf, testPayloads } from './support/payloads.mjs';
import { close, RawClient } from './support/raw-client.mjs';
import { serve } from './support/target.mjs';
import { invalidArgType, missingArgs, throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);

const PUBLISHES = ['publish', 'publishText', 'publishBinary'];
const TOPIC_METHODS = ['subscribe', 'unsubscribe', 'isSubscribed'];
/** Something each method takes, of one byte. */
const ONE_BYTE = { publish: 'a', publishText: 'a', publishBinary: new Uint8Array(1) };
const BIG = Buffer.alloc(MORE_THAN_A_SOCKET_TAKES);

/** A server with `count` connections, `members`, each subscribed to "room". */
async function room(count, handlers) {
  const { server, connect, ...first } = await pair(handlers);
  const members = [first];
  while (members.length < count) members.push(await connect());
  for (const { ws } of members) ws.subscribe('room');
  return { server, connect, members };
}

/** Sends each member a marker and expects exactly these frames before it. */
async function expectEach(members, ...frames) {
  for (const { ws } of members) ws.send('marker');
  for (const { client } of members) await client.expect(...frames, 'TEXT marker');
}

describe('a subscription', () => {
  test('is made once, ended once, and answers true, true, true, false', async () => {
    const { ws, server } = await pair();

    assert.deepEqual([ws.isSubscribed('room'), server.subscriberCount('room')], [false, 0]);
    assert.deepEqual([ws.subscribe('room'), ws.subscribe('room')], [true, true]);
    assert.deepEqual([ws.isSubscribed('room'), server.subscriberCount('room'), ws.subscriptions], [true, 1, ['room']]);
    assert.deepEqual([ws.unsubscribe('room'), ws.unsubscribe('room')], [true, false]);
    assert.deepEqual([ws.isSubscribed('room'), server.subscriberCount('room'), ws.subscriptions], [false, 0, []]);
  });

  for (const topic of [
    'a',
    ' ',
    'w/#',
    '+',
    '*',
    'caf\u00e9/\u4e2d\u6587/\ud83d\ude00',
    'x'.repeat(10_000),
    '\0',
    '__proto__',
    'constructor',
  ]) {
    test(`may have any topic, taken literally: ${JSON.stringify(topic.slice(0, 20))}`, async () => {
      const { ws, client, server } = await pair();

      ws.subscribe(topic);

      assert.deepEqual([ws.isSubscribed(topic), ws.subscriptions, server.subscriberCount(topic)], [true, [topic], 1]);
      server.publish(`${topic}x`, 'not this');
      server.publish(topic, 'this');
      await client.expect('TEXT this');
    });
  }

  test('knows no wildcards', async () => {
    const { ws, client, server } = await pair();
    for (const topic of ['w/#', 'w/+', '#', '*', 'w/*']) ws.subscribe(topic);

    server.publish('w/x', 'not this');
    server.publish('w/+', 'this');

    await client.expect('TEXT this');
  });

  test('belongs to its server', async () => {
    const one = await pair();
    const two = await pair();
    one.ws.subscribe('room');
    two.ws.subscribe('room');

    assert.equal(one.server.publish('room', 'only one'), 8);
    two.server.publish('room', 'only two');

    await one.client.expect('TEXT only one');
    await two.client.expect('TEXT only two');
    assert.equal(one.server.subscriberCount('room'), 1);
  });

  test('may be named by a String object', async () => {
    const { ws, server } = await pair();

    assert.equal(ws.subscribe(new String('room')), true);

    assert.deepEqual([ws.subscriptions, ws.isSubscribed(new String('room')), server.subscriberCount('room')], [['room'], true, 1]);
    assert.equal(ws.unsubscribe(new String('room')), true);
  });

  test('is made in open, too, and works at once', async () => {
    const server = serveSockets({
      open(ws) {
        ws.subscribe('room');
        server.publish('room', 'welcome');
      },
    });
    const client = await RawClient.open({ port: server.port });

    await client.expect('TEXT welcome');
  });

  test('is gone before the close handler runs', async () => {
    for (const end of [
      ({ client }) => client.write(close(1000)),
      ({ client }) => client.halfClose(),
      ({ ws }) => ws.close(),
      ({ ws }) => ws.terminate(),
    ]) {
      const seen = calls('close');
      const connection = await pair({
        open: (ws) => ws.subscribe('room'),
        close: (ws) => seen(ws.subscriptions, ws.isSubscribed('room'), connection.server.subscriberCount('room')),
      });

      end(connection);

      assert.deepEqual(await seen.next(), [[], false, 0]);
    }
  });

  test('of one socket stays when another unsubscribes or closes', async () => {
    const { members, server } = await room(3);
    const [first, second, third] = members;

    first.ws.unsubscribe('room');
    second.ws.close();

    assert.equal(server.subscriberCount('room'), 1);
    server.publish('room', 'you alone');
    await third.client.expect('TEXT you alone');
    await expectEach([first]);
  });
});

describe('subscriptions', () => {
  test('is a fresh array each time', async () => {
    const { ws } = await pair();
    ws.subscribe('room');

    const first = ws.subscriptions;
    first.push('mine');

    assert.notEqual(ws.subscriptions, first);
    assert.deepEqual(ws.subscriptions, ['room']);
  });

  test('has all topics, in order', async () => {
    const { ws } = await pair();
    const topics = ['chat', 'notifications', 'b', 'a', 'room/1', 'room/2', '10', '9'];

    for (const topic of topics) ws.subscribe(topic);
    ws.subscribe('chat');
    ws.unsubscribe('b');

    const expected = topics.filter((topic) => topic !== 'b');
    if (differs('subscriptions-order')) assert.deepEqual(ws.subscriptions, expected);
    else assert.deepEqual(ws.subscriptions.sort(), expected.sort());
  });
});

describe('the topic argument', () => {
  for (const method of [...TOPIC_METHODS, ...PUBLISHES]) {
    const call = (ws, ...topic) => ws[method](...topic, ONE_BYTE[method]);

    for (const [value, received] of [
      [undefined, 'undefined'],
      [null, 'null'],
      [1, 'type number (1)'],
      [true, 'type boolean (true)'],
      [10n, 'type bigint (10n)'],
      [{}, 'an instance of Object'],
      [['room'], 'an instance of Array'],
      [Symbol('s'), 'type symbol (Symbol(s))'],
      [function named() {}, 'function named'],
    ]) {
      test(`of ${method} may not be ${received}`, async () => {
        const { ws } = await pair();

        throwsExactly(() => call(ws, value), invalidArgType(`The "topic" argument must be of type string. Received ${received}`));
      });
    }

    test(`of ${method} is required`, async () => {
      const { ws } = await pair();

      throwsExactly(() => ws[method](), { message: `${method} requires at least 1 argument` });
    });

    if (method === 'publishText') {
      test('of publishText may be empty, which nobody can subscribe to', async () => {
        const { ws } = await pair();

        assert.equal(ws.publishText('', 'x'), 0);
      });
    } else {
      test(`of ${method} may not be empty`, async () => {
        const { ws } = await pair();

        throwsExactly(() => call(ws, ''), { message: `${method} requires a non-empty topic name` });
      });
    }
  }
});

describe('ws.publish()', () => {
  test('reaches every other subscriber, not the sender', async () => {
    const { members } = await room(4);

    assert.equal(members[0].ws.publish('room', 'hello'), 5);

    await expectEach(members.slice(1), 'TEXT hello');
    await expectEach(members.slice(0, 1));
  });

  test('reaches subscribers when the sender is none', async () => {
    const { members, connect } = await room(2);
    const outsider = await connect();

    assert.equal(outsider.ws.publish('room', 'from outside'), 12);

    await expectEach(members, 'TEXT from outside');
    await expectEach([outsider]);
  });

  test('with publishToSelf reaches a sender that is subscribed, and only then', async () => {
    const { members, connect } = await room(2, { publishToSelf: true });
    const outsider = await connect();

    assert.equal(members[0].ws.publish('room', 'to all'), 6);
    assert.equal(outsider.ws.publish('room', 'from outside'), 12);

    await expectEach(members, 'TEXT to all', 'TEXT from outside');
    await expectEach([outsider]);
  });

  test('from a message handler reaches the others before anything the handler sends later', async () => {
    const { members } = await room(2, {
      message(ws, message) {
        ws.publish('room', `said: ${message}`);
        ws.send('sent');
      },
    });

    members[0].client.text('hi');

    await members[0].client.expect('TEXT sent');
    await expectEach(members.slice(1), 'TEXT said: hi');
  });

  test('from a close handler and from a closed socket reaches the others', async () => {
    const results = calls('close');
    const { members } = await room(2, {
      close: (ws) => results(ws.publish('room', 'bye'), ws.publishText('room', 'bye 2'), ws.publishBinary('room', new Uint8Array([3]))),
    });
    const [gone, other] = members;

    gone.client.write(close(1000));
    assert.deepEqual(await results.next(), [3, 5, 1]);
    assert.equal(gone.ws.publish('room', 'from the grave'), 14);

    await other.client.expect('TEXT bye', 'TEXT bye 2', 'BINARY 03', 'TEXT from the grave');
  });

  for (const method of PUBLISHES) {
    describe(method, () => {
      testPayloads(method, async () => {
        const [sender, receiver] = (await room(2)).members;
        return { call: (payload) => sender.ws[method]('room', payload), client: receiver.client, mark: () => receiver.ws.send('marker') };
      });

      test('throws without a message', async () => {
        const { ws } = await pair();

        throwsExactly(() => ws[method]('room'), outcomeOf(method, { kind: 'missing' }).error);
      });

      for (const compress of [true, false, undefined]) {
        test(`takes ${compress} for compress`, async () => {
          const { members } = await room(2);

          assert.equal(members[0].ws[method]('room', ONE_BYTE[method], compress), 1);

          assert.equal((await members[1].client.frame()).rsv1, false);
        });
      }

      for (const compress of [null, 0, 1, 'x', {}, Symbol('s')]) {
        test(`refuses ${typeof compress === 'object' ? JSON.stringify(compress) : String(compress)} for compress`, async () => {
          const { ws } = await pair();

          throwsExactly(() => ws[method]('room', ONE_BYTE[method], compress), { message: `${method} expects compress to be a boolean` });
        });
      }
    });
  }
});

describe('server.publish()', () => {
  test('reaches all subscribers', async () => {
    const { server, members, connect } = await room(3);
    const outsider = await connect();

    assert.equal(server.publish('room', 'to all'), 6);

    await expectEach(members, 'TEXT to all');
    await expectEach([outsider]);
  });

  testPayloads(
    'publish',
    async () => {
      const { server, members } = await room(1);
      return { call: (payload) => server.publish('room', payload), client: members[0].client, mark: () => members[0].ws.send('marker') };
    },
    // Unlike the methods of a socket it turns undefined and null into strings.
    (payload) => outcomeOf('publish', payload.kind === 'missing' ? { kind: 'other', bytes: payload.what } : payload),
  );

  for (const [given, topic] of [
    [1, '1'],
    [true, 'true'],
    [{}, '[object Object]'],
    [['a', 'b'], 'a,b'],
    [new String('room'), 'room'],
    [{ toString: () => 'own' }, 'own'],
  ]) {
    test(`takes ${JSON.stringify(given)} for the topic "${topic}", and so does subscriberCount()`, async () => {
      const { ws, client, server } = await pair();
      ws.subscribe(topic);

      assert.equal(server.subscriberCount(given), 1);
      assert.equal(server.publish(given, 'x'), 1);

      await client.expect('TEXT x');
    });
  }

  test('refuses what is no topic', async () => {
    const { server } = await pair();
    const thrower = {
      toString() {
        throw new RangeError('from toString');
      },
    };

    for (const topic of [null, undefined]) throwsExactly(() => server.publish(topic, 'x'), invalidArgType('Expected string'));
    for (const topic of ['', new String(''), []])
      throwsExactly(() => server.publish(topic, 'x'), { message: 'publish requires a topic string' });
    assert.throws(() => server.publish(Symbol('s'), 'x'), TypeError);
    throwsExactly(() => server.publish(thrower, 'x'), { name: 'RangeError', message: 'from toString' });
  });

  test('requires two arguments', async () => {
    const { server } = await pair();

    throwsExactly(() => server.publish(), invalidArgType('Missing argument'));
    throwsExactly(() => server.publish('room'), invalidArgType('Missing argument'));
  });

  for (const compress of [true, false, undefined, null, 0, 1, 'x', {}, Symbol('s')]) {
    test(`takes ${typeof compress === 'object' ? JSON.stringify(compress) : String(compress)} for compress`, async () => {
      const { server, members } = await room(1);

      assert.equal(server.publish('room', 'a', compress), 1);

      await expectEach(members, 'TEXT a');
    });
  }

  test('from fetch reaches the sockets', async () => {
    const server = serve({
      fetch(req, own) {
        if (!own.upgrade(req)) return new Response(String(own.publish('room', 'from fetch')));
      },
      websocket: { open: (ws) => ws.subscribe('room') },
    });
    const socket = await RawClient.open({ port: server.port });
    const http = await RawClient.connect({ port: server.port });

    http.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');

    assert.equal(String((await http.response()).body), '10');
    await socket.expect('TEXT from fetch');
  });

  test('is 0 on a server without websocket, and on one that has stopped', async () => {
    const plain = serve({ fetch: () => new Response() });
    const { server, members } = await room(1);
    assert.equal(server.publish('room', 'x'), 1);

    server.stop(true);

    assert.deepEqual([plain.publish('room', 'x'), plain.subscriberCount('room')], [0, 0]);
    assert.deepEqual([server.publish('room', 'x'), members[0].ws.publish('room', 'x')], [0, 0]);
  });
});

describe('subscriberCount()', () => {
  test('counts each subscriber once', async () => {
    const { server, members } = await room(3);
    members[0].ws.subscribe('room');
    members[0].ws.subscribe('other');

    assert.deepEqual(
      ['room', 'other', 'nothing', ''].map((topic) => server.subscriberCount(topic)),
      [3, 1, 0, 0],
    );
  });

  test('refuses what is no topic', async () => {
    const { server } = await pair();

    for (const topic of [null, undefined]) {
      throwsExactly(() => server.subscriberCount(topic), invalidArgType('subscriberCount requires a topic name as a string'));
    }
    throwsExactly(() => server.subscriberCount(), missingArgs("Not enough arguments to 'subscriberCount'. Expected 1, got 0."));
    assert.throws(() => server.subscriberCount(Symbol('s')), TypeError);
  });
});

describe('what publish returns', () => {
  test('is the payload length in UTF-8 bytes, however many receive it', async () => {
    const { server, members } = await room(3);

    assert.equal(members[0].ws.publish('room', '\u20ac'), 3);
    assert.equal(server.publish('room', '\u20ac'), 3);
    assert.equal(server.publish('room', Buffer.alloc(1000)), 1000);
  });

  test('is 0 when nobody (else) is subscribed', async () => {
    const { server, members } = await room(1);

    assert.equal(members[0].ws.publish('room', 'x'), 0);
    assert.equal(members[0].ws.publish('nobody', 'x'), 0);
    assert.equal(server.publish('nobody', 'x'), 0);

    await expectEach(members);
  });

  test('is 0 for an empty payload, which is delivered', async () => {
    const { server, members } = await room(2);

    assert.deepEqual([server.publish('room', ''), members[0].ws.publish('room', new Uint8Array())], [0, 0]);

    await expectEach(members.slice(1), 'TEXT', 'BINARY');
  });

  test('is -1 when a receiver is now backpressured', async () => {
    const { server, members } = await room(2);
    members[0].client.pause();

    assert.equal(server.publish('room', BIG), -1);

    for (const { client } of members) assert.equal((await client.resume().frame()).payload.length, BIG.length);
  });

  test('is -1 when one of several receivers is', async () => {
    const { server, members } = await room(3, { backpressureLimit: 0 });
    assert.equal(members[1].ws.send(BIG), -1);

    assert.equal(server.publish('room', 'x'), -1);
    assert.equal(members[0].ws.publish('room', 'y'), -1);

    await expectEach([members[2]], 'TEXT x', 'TEXT y');
    await members[1].client.frame('20 MB');
    await members[1].client.expect('TEXT x', 'TEXT y');
  });

  test('is 0 when any receiver dropped it over its limit; the others get it', async () => {
    const { server, members } = await room(3, { backpressureLimit: 1 });
    assert.equal(members[1].ws.send(BIG), -1);

    assert.equal(server.publish('room', 'x'), 0);
    assert.equal(members[0].ws.publish('room', 'y'), 0);

    await expectEach([members[2]], 'TEXT x', 'TEXT y');
    await members[1].client.frame('20 MB');
    await members[0].client.expect('TEXT x');
  });

  for (const method of PUBLISHES.slice(1)) {
    test(`of ${method} is the length, -1 and 0 by the same rules`, async () => {
      const { members } = await room(3, { backpressureLimit: MORE_THAN_A_SOCKET_TAKES });
      const [sender, receiver] = members;
      const publish = () => sender.ws[method]('room', ONE_BYTE[method]);

      const results = [publish()];
      assert.equal(receiver.ws.send(BIG), -1);
      results.push(publish());
      assert.equal(receiver.ws.send(BIG), -1);
      results.push(publish());

      assert.deepEqual(results, [1, -1, 0]);
      const frame = method === 'publishText' ? 'TEXT a' : 'BINARY 00';
      await expectEach(members.slice(2), frame, frame, frame);
    });
  }

  test('is 0 rather than -1 when one receiver dropped it and another is backpressured', async () => {
    const { server, members } = await room(3, { backpressureLimit: 1 });
    assert.equal(members[1].ws.send(BIG), -1);
    members[2].client.pause();

    assert.equal(server.publish('room', BIG), 0);
  });

  test('goes from the length to -1 to 0 in a burst at a stalled reader', async () => {
    const { server, members } = await room(1);
    members[0].client.pause();
    const message = Buffer.alloc(1024 * 1024);

    const results = Array.from({ length: 64 }, () => server.publish('room', message));

    const taken = results.filter((result) => result === message.length).length;
    const queued = results.filter((result) => result === -1).length;
    assert.deepEqual(results, [...Array(taken).fill(message.length), ...Array(queued).fill(-1), ...Array(64 - taken - queued).fill(0)]);
    assert.ok(queued >= 17 && taken + queued < 64, `${taken} taken, ${queued} queued`);
  });
});

test('a published frame is copied when publish is called', async () => {
  const { server, members } = await room(2);
  const bytes = Buffer.from('before');

  server.publish('room', bytes);
  bytes.fill('x');

  await expectEach(members, `BINARY ${Buffer.from('before').toString('hex')}`);
});

test('a large room gets everything', async () => {
  const { server, members } = await room(60);

  for (let n = 0; n < 5; n++) server.publish('room', `message ${n}`);

  await expectEach(members, ...Array.from({ length: 5 }, (_, n) => `TEXT message ${n}`));
});

test('a subscriber that closes while a publish is under way does no harm', async () => {
  const { members } = await room(3, {
    message(ws) {
      ws.publish('room', 'one');
      for (const other of members.slice(1)) other.ws.close(4000);
      ws.publish('room', 'two');
      ws.send('done');
    },
  });

  members[0].client.text('go');

  await members[0].client.expect('TEXT done');
  for (const { client } of members.slice(1)) await client.expect('TEXT one', 'CLOSE 4000', 'FIN');
});
