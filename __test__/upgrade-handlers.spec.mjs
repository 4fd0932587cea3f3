// upgrade(req, { websocket }): handlers and limits of one connection instead of those of its server. Not in Bun.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, describe, test } from 'node:test';
import { calls } from './support/calls.mjs';
import { cleanUp } from './support/connect.mjs';
import { handshake, ping, RawClient, text } from './support/raw-client.mjs';
import { exchange, request } from './support/raw-http.mjs';
import { serve } from './support/target.mjs';
import { invalidArgType, throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);

/** Handlers that say who they are. */
const saying = (name, more = {}) => ({ message: (ws, message) => void ws.send(`${name} ${message}`), ...more });

/** A server whose routes upgrade with these options each, and has these handlers itself. */
const serveWith = (upgrades, websocket) =>
  serve({
    routes: Object.fromEntries(Object.entries(upgrades).map(([path, options]) => [path, (req, own) => void own.upgrade(req, options)])),
    fetch: (req, own) => void own.upgrade(req),
    websocket,
  });

const open = (server, path = '/', headers = {}) => RawClient.open({ port: server.port, path, headers });

describe('a connection', () => {
  test('has its own handlers, others those of the server', async () => {
    const server = serveWith({ '/tea': { websocket: saying('tea') }, '/cake': { websocket: saying('cake') } }, saying('server'));
    for (const [path, name] of Object.entries({ '/tea': 'tea', '/cake': 'cake', '/other': 'server' })) {
      const client = await open(server, path);
      client.write(text('hi'));

      await client.expect(`TEXT ${name} hi`);
    }
  });

  test('has all of them, and its data', async () => {
    const notes = calls('a note');
    const note =
      (name) =>
      (ws, ...args) =>
        void notes(name, ws.data, ...args.map(String));
    const handlers = Object.fromEntries(['open', 'message', 'ping', 'close'].map((name) => [name, note(name)]));
    const server = serveWith({ '/': { websocket: handlers, data: 'mine' } }, { message: () => assert.fail('the handler of the server') });
    const client = await open(server);
    client.write(text('a'), ping('p')).halfClose();

    assert.deepEqual(await notes.next(), ['open', 'mine']);
    assert.deepEqual(await notes.next(), ['message', 'mine', 'a']);
    assert.deepEqual(await notes.next(), ['ping', 'mine', 'p']);
    assert.deepEqual(await notes.next(), ['close', 'mine', '1006', '']);
  });

  test('has none of the handlers of the server that its own do not have', async () => {
    const opened = [];
    const server = serveWith({ '/': { websocket: {} } }, { open: () => void opened.push('server'), ping: () => void opened.push('ping') });
    const client = await open(server);
    client.write(ping('p'));

    await client.expect('PONG p');
    assert.deepEqual(opened, []);
  });

  test('reports what they throw to their own error handler', async () => {
    const errors = calls('an error');
    const fails = {
      message() {
        throw new Error('failed');
      },
      error: (error, ws) => void errors(error.message, ws.data),
    };
    const server = serveWith({ '/': { websocket: fails, data: 1 } }, { error: () => assert.fail('the handler of the server') });
    const client = await open(server);
    client.write(text('a'));

    assert.deepEqual(await errors.next(), ['failed', 1]);
  });

  test('can be had on a server without websocket, with topics and all', async () => {
    const chat = {
      open: (ws) => void ws.subscribe('all'),
      message: (ws, message) => void ws.publish('all', message),
    };
    const server = serve({
      fetch(req, own) {
        if (own.upgrade(req, { websocket: chat })) return;
        return new Response(String(own.publish('all', 'from the server')));
      },
    });
    const [ada, bob] = [await open(server), await open(server)];
    ada.write(text('hello'));
    await bob.expect('TEXT hello');

    assert.equal(server.pendingWebSockets, 2);
    assert.equal(server.subscriberCount('all'), 2);
    assert.equal((await exchange(server, request('GET', '/'))).response.text, '15');
    await ada.expect('TEXT from the server');
    await bob.expect('TEXT from the server');
  });

  test('of a server without websocket needs them', async () => {
    const server = serve({
      fetch(req, own) {
        for (const options of [undefined, {}, { websocket: undefined }, { websocket: null }])
          throwsExactly(
            () => own.upgrade(req, options),
            invalidArgType('To enable websocket support, set the "websocket" object in Bun.serve({})'),
          );
        return new Response('refused');
      },
    });

    assert.equal((await exchange(server, handshake())).response.text, 'refused');
  });
});

describe('the limits of a connection', () => {
  test('are its own', async () => {
    const server = serveWith({ '/small': { websocket: saying('small', { maxPayloadLength: 3 }) } }, saying('server'));
    const [small, other] = [await open(server, '/small'), await open(server, '/other')];
    for (const client of [small, other]) client.write(text('abcd'));

    await small.expect('CLOSE 1009 Received too big message', 'FIN');
    await other.expect('TEXT server abcd');
  });

  test('say what it publishes to itself', async () => {
    const chat = (publishToSelf) => ({
      publishToSelf,
      open: (ws) => void ws.subscribe('all'),
      message(ws, message) {
        ws.publish('all', message);
        ws.send('done');
      },
    });
    const server = serveWith({ '/self': { websocket: chat(true) }, '/others': { websocket: chat(false) } }, {});
    const [self, others] = [await open(server, '/self'), await open(server, '/others')];
    self.write(text('a'));
    await self.expect('TEXT a', 'TEXT done');
    await others.expect('TEXT a');
    others.write(text('b'));
    await others.expect('TEXT done');
    await self.expect('TEXT b');
  });

  test('say what is agreed to of compression', async () => {
    const deflate = { perMessageDeflate: true };
    const server = serveWith({ '/compressed': { websocket: deflate }, '/plain': { websocket: {} } }, deflate);
    const extensions = async (path) =>
      (await open(server, path, { 'Sec-WebSocket-Extensions': 'permessage-deflate' })).head.header('Sec-WebSocket-Extensions');

    assert.match(await extensions('/compressed'), /^permessage-deflate/);
    assert.equal(await extensions('/plain'), undefined);
    assert.match(await extensions('/server'), /^permessage-deflate/);
  });
});

describe('reload()', () => {
  test('leaves them to the connection that has them', async () => {
    const server = serveWith({ '/own': { websocket: saying('own') } }, saying('old'));
    const [own, other] = [await open(server, '/own'), await open(server, '/other')];
    server.reload({ websocket: saying('new', { maxPayloadLength: 3 }) });
    for (const client of [own, other]) client.write(text('abcd'));

    await own.expect('TEXT own abcd');
    await other.expect('CLOSE 1009 Received too big message', 'FIN');
  });

  test('gives a server its first websocket, and they stay', async () => {
    const own = saying('own');
    const server = serve({ fetch: (req, self) => void self.upgrade(req, { websocket: own }) });
    const before = await open(server);
    server.reload({ fetch: (req, self) => void self.upgrade(req), websocket: saying('server', { maxPayloadLength: 3 }) });
    const after = await open(server);
    before.write(text('abcd'));
    after.write(text('abc'));

    await before.expect('TEXT own abcd');
    await after.expect('TEXT server abc');
  });
});

describe('the object', () => {
  test('is read once', async () => {
    const websocket = saying('first');
    const server = serveWith({ '/': { websocket } }, {});
    const first = await open(server);
    Object.assign(websocket, saying('second', { maxPayloadLength: 3 }));
    const second = await open(server);
    for (const client of [first, second]) client.write(text('abcd'));

    await first.expect('TEXT first abcd');
    await second.expect('TEXT first abcd');
  });

  for (const [what, websocket, message] of [
    ['a string', 'x', 'Expected websocket to be an object'],
    ['a wrong handler', { message: 5 }, "websocket expects a function for the 'message' option"],
    ['a wrong limit', { idleTimeout: 1.5 }, 'websocket expects idleTimeout to be an integer'],
  ]) {
    test(`is refused when it is ${what}, and the request can still be answered`, async () => {
      const server = serve({
        fetch(req, own) {
          throwsExactly(() => own.upgrade(req, { websocket }), invalidArgType(message));
          return new Response('still here');
        },
        websocket: {},
      });

      assert.equal((await exchange(server, handshake())).response.text, 'still here');
    });
  }
});

test('their async context is that of serve(), not that of the request', async () => {
  const store = new AsyncLocalStorage();
  const seen = calls('a store');
  const websocket = { message: () => void seen(store.getStore()) };
  const server = store.run('serve', () =>
    serve({ fetch: (req, own) => store.run('request', () => void own.upgrade(req, { websocket })), websocket: {} }),
  );
  const client = await open(server);
  client.write(text('a'));

  assert.deepEqual(await seen.next(), ['serve']);
});

test('stop(true) ends connections with handlers of their own', async () => {
  const closes = calls('close');
  const server = serveWith({ '/': { websocket: { close: (_, code, reason) => void closes(code, reason) } } }, undefined);
  const client = await open(server);
  const stopped = server.stop(true);

  assert.deepEqual(await closes.next(), [1001, 'Server closed']);
  await client.expect('CLOSE 1001 Server closed', 'FIN');
  await stopped;
});
