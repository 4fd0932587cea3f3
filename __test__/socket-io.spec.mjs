// Socket.IO as it comes from npm, on its engine for Bun. Its client is socket.io-client, over long polling, WebSockets, and from one to the other.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { io } from './frameworks/clients.mjs';
import { calls } from './support/calls.mjs';
import { hosts, startFramework, stopFrameworks } from './support/frameworks.mjs';

/** The engine is written for a resolver that tries file extensions; tsx is one for Node. */
const flags = ['--import', 'tsx'];
/** And it takes the states of a WebSocket from a global that Node 20 keeps behind a flag. */
const flagsOf = (host) => (host.path === process.execPath && !('WebSocket' in globalThis) ? ['--experimental-websocket', ...flags] : flags);

for (const host of hosts) {
  describe(`Socket.IO on ${host.name}`, { skip: host.reason, timeout: 60_000 }, () => {
    let program;
    before(async () => {
      program = await startFramework(host, 'socket-io.mjs', { flags: flagsOf(host) });
    });
    after(stopFrameworks);

    const sockets = new Set();
    afterEach(() => {
      for (const socket of sockets) socket.close();
      sockets.clear();
    });

    /** A client and what it hears of each of these events. */
    function connect(options, namespace = '') {
      const socket = io(program.url + namespace, { forceNew: true, reconnection: false, ...options });
      sockets.add(socket);
      const heard = (event) => {
        const all = calls(event);
        socket.on(event, (...args) => all(...args.map((arg) => (event === 'connect_error' ? arg.message : arg))));
        return all;
      };
      return { socket, heard };
    }

    for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
      const path = transports.join(', then ');

      test(`${path}: connects, and calls back`, async () => {
        const { socket, heard } = connect({ transports });
        const [welcome, upgraded, answered] = ['welcome', 'upgraded', 'answered'].map(heard);

        assert.deepEqual(await welcome.next(), [transports[0]]);
        if (transports.length > 1) assert.deepEqual(await upgraded.next(), ['websocket']);
        assert.equal(socket.io.engine.transport.name, transports.at(-1));

        assert.deepEqual(await socket.emitWithAck('echo', 'täxt', { a: [1, null] }), 'täxt');
        socket.on('question', (number, done) => done(number * 7));
        socket.emit('ask me');
        assert.deepEqual(await answered.next(), [42]);

        socket.close();
        assert.equal(await program.line(), 'gone client namespace disconnect');
      });

      test(`${path}: carries bytes and much text`, async () => {
        const { socket } = connect({ transports });
        const bytes = Buffer.alloc(100_000, 'mantou');
        const text = 'ü'.repeat(100_000);

        const [back, long] = [await socket.emitWithAck('echo', bytes), await socket.emitWithAck('echo', text)];

        assert.ok(Buffer.from(back).equals(bytes));
        assert.ok(long === text);
        socket.close();
        assert.equal(await program.line(), 'gone client namespace disconnect');
      });

      test(`${path}: keeps a burst in order, also while it changes over`, async () => {
        const { socket } = connect({ transports });

        const numbers = Array.from({ length: 200 }, (_, n) => n);
        const back = await Promise.all(numbers.map((n) => socket.emitWithAck('echo', n)));

        assert.deepEqual(back, numbers);
        socket.close();
        assert.equal(await program.line(), 'gone client namespace disconnect');
      });

      test(`${path}: stays connected over a ping`, async () => {
        const { socket } = connect({ transports });
        const pings = calls('a ping');
        socket.io.on('ping', pings);

        await pings.next();

        assert.equal(await socket.emitWithAck('echo', 'still here'), 'still here');
        socket.close();
        assert.equal(await program.line(), 'gone client namespace disconnect');
      });

      test(`${path}: hears that it is not wanted any more`, async () => {
        const { socket, heard } = connect({ transports });
        const gone = heard('disconnect');

        socket.emit('kick me');

        assert.equal((await gone.next())[0], 'io server disconnect');
        assert.equal(await program.line(), 'gone server namespace disconnect');
      });
    }

    test('has rooms', async () => {
      const [ada, bob, cyd] = [['polling'], ['websocket'], undefined].map((transports) => connect(transports && { transports }));
      const [toAda, toBob, toCyd] = [ada, bob, cyd].map(({ heard }) => heard('said'));
      const announced = [ada, bob, cyd].map(({ heard }) => heard('announced'));
      assert.equal(await ada.socket.emitWithAck('join', 'tea'), 2);
      assert.equal(await bob.socket.emitWithAck('join', 'tea'), 2);
      assert.equal(await cyd.socket.emitWithAck('join', 'coffee'), 2);

      ada.socket.emit('say', 'tea', 'hello');
      assert.deepEqual(await toBob.next(), ['hello']);
      bob.socket.emit('announce', 'to all');
      for (const one of announced) assert.deepEqual(await one.next(), ['to all']);

      assert.deepEqual([toAda.all, toCyd.all], [[], []]);
      for (const { socket } of [ada, bob, cyd]) {
        socket.close();
        assert.equal(await program.line(), 'gone client namespace disconnect');
      }
    });

    test('has namespaces and middleware', async () => {
      const other = connect({}, 'other').heard('welcome');
      const wrong = connect({ auth: { token: 'wrong' } }).heard('connect_error');

      assert.deepEqual(await other.next(), ['/other']);
      assert.deepEqual(await wrong.next(), ['not you']);
    });

    test('hears that a client vanishes', async () => {
      const { socket, heard } = connect({ transports: ['websocket'] });
      await heard('welcome').next();

      socket.io.engine.transport.ws.terminate();

      assert.equal(await program.line(), 'gone transport close');
    });

    test('answers what does not fit as its protocol says', async () => {
      const get = (path, init) => fetch(new URL(path, program.url), init);
      const answers = await Promise.all(
        ['transport=carrier', 'transport=polling&EIO=4&sid=none', 'transport=polling&EIO=3'].map((query) => get(`/socket.io/?${query}`)),
      );
      const cors = await get('/socket.io/?EIO=4&transport=polling', { headers: { origin: 'http://a.test' } });

      assert.deepEqual(await Promise.all(answers.map(async (answer) => [answer.status, (await answer.json()).message])), [
        [400, 'Transport unknown'],
        [400, 'Session ID unknown'],
        [400, 'Unsupported protocol version'],
      ]);
      assert.equal(cors.headers.get('access-control-allow-origin'), 'http://a.test');
      assert.match(await cors.text(), /^0\{"sid":/);
      assert.equal((await get('/elsewhere')).status, 404);
    });
  });
}
