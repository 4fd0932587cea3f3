// Servers and sockets at the edges of their lives: used after the end, ended from inside any handler, forgotten.
// Whatever is done, the answer is a value or an exception.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { acting, HANDLERS, PROVOKE } from './support/acting.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, pair, serveSockets } from './support/connect.mjs';
import { collectGarbage, survivors } from './support/gc.mjs';
import { handshake, ping, RawClient, text } from './support/raw-client.mjs';
import { connectTo, exchange, readResponse, request } from './support/raw-http.mjs';
import { mantou, serve } from './support/target.mjs';

afterEach(cleanUp);

/** What ends a socket or a server, called with the server's end of the connection. */
const ENDINGS = {
  'ws.close()': (ws) => ws.close(),
  'ws.close(4000, "bye")': (ws) => ws.close(4000, 'bye'),
  'ws.terminate()': (ws) => ws.terminate(),
  'server.stop()': (_ws, server) => server.stop(),
  'server.stop(true)': (_ws, server) => server.stop(true),
};

describe('from inside a handler', () => {
  for (const name of HANDLERS) {
    for (const [ending, end] of Object.entries(ENDINGS)) {
      // A graceful stop waits for the socket, so the client closes it; in `close` that has happened.
      test(`${name}: ${ending} ends it with one close event`, async () => {
        const { start, ran, closes, socket } = acting(name, end);
        const server = start();
        const client = await RawClient.open({ port: server.port });

        await PROVOKE[name]({ client, ws: socket() });
        await ran.next();
        if (ending === 'server.stop()') client.halfClose();
        await client.ended();
        await server.stop();

        assert.equal(closes.all.length, 1);
        assert.equal(socket().readyState, 3);
        assert.equal(server.pendingWebSockets, 0);
      });
    }

    test(`${name}: reload() takes effect and harms nothing`, async () => {
      const { start, ran, socket } = acting(name, (_ws, server) => server.reload({ fetch: () => new Response('reloaded'), websocket: {} }));
      const server = start();
      const client = await RawClient.open({ port: server.port });

      await PROVOKE[name]({ client, ws: socket() });
      await ran.next();

      assert.equal((await exchange(server, request('GET', '/'))).response.text, 'reloaded');
    });
  }

  test('a socket may be closed from the handler of another', async () => {
    const sockets = [];
    const closes = calls('close');
    const { client, connect } = await pair({
      open: (ws) => void sockets.push(ws),
      message: () => sockets[0].close(4001, 'by the other'),
      close: (ws, code) => closes(sockets.indexOf(ws), code, ws.readyState),
    });
    const second = await connect();

    second.client.text('close the first');

    await client.expect('CLOSE 4001 by the other', 'FIN');
    assert.deepEqual(closes.all, [[0, 4001, 3]]);
    assert.equal(second.ws.readyState, 1);
  });

  test('messages of the segment in which a socket ends are dropped', async () => {
    const seen = [];
    const { client } = await pair({
      message(ws, message) {
        seen.push(message);
        if (message === 'b') ws.terminate();
      },
    });

    client.write(text('a'), text('b'), text('c'), ping('p'));

    assert.deepEqual(await client.rest(), []);
    assert.deepEqual(seen, ['a', 'b']);
  });

  test('a server may be started, used and stopped', async () => {
    const server = serve({
      async fetch() {
        const inner = serve({ fetch: () => new Response('from within') });
        const { response } = await exchange(inner, request('GET', '/'));
        await inner.stop();
        return new Response(response.text);
      },
    });

    assert.equal((await exchange(server, request('GET', '/'))).response.text, 'from within');
  });

  test('another server may be stopped, with sockets of its own', async () => {
    const closes = [];
    const other = await pair({ close: (_ws, code) => closes.push(code) });
    const { client } = await pair({
      message(ws) {
        other.server.stop(true);
        ws.send(`closed ${closes}`);
      },
    });

    client.text('stop the other');

    await client.expect('TEXT closed 1001');
    await other.client.expect('CLOSE 1001 Server closed', 'FIN');
  });
});

describe('after the end', () => {
  const ended = {
    'close()': async ({ ws }) => ws.close(),
    'terminate()': async ({ ws }) => ws.terminate(),
    'stop(true)': async ({ server }) => server.stop(true),
    'the peer closed': async ({ client, closes }) => {
      client.halfClose();
      await closes.next();
    },
    'the peer reset the connection': async ({ client, closes }) => {
      client.reset();
      await closes.next();
    },
  };

  for (const [how, end] of Object.entries(ended)) {
    test(`every method of a socket gives a value (${how})`, async () => {
      const closes = calls('close');
      const { server, client, ws } = await pair({ open: (own) => void own.subscribe('topic'), close: closes });
      ws.data = { mine: 1 };

      await end({ server, client, ws, closes });

      for (const name of ['send', 'sendText', 'sendBinary', 'ping', 'pong'])
        assert.deepEqual([ws[name]('x'), ws[name](undefined), ws[name]()], [0, 0, 0], name);
      for (const name of ['publish', 'publishText', 'publishBinary'])
        assert.equal(ws[name]('topic', name === 'publishBinary' ? Buffer.from('x') : 'x'), 0, name);
      for (const name of ['subscribe', 'unsubscribe', 'isSubscribed']) assert.equal(ws[name]('topic'), false, name);
      for (const name of ['pause', 'resume', 'close', 'terminate']) assert.equal(ws[name](), undefined, name);
      assert.equal(ws.close('not a code'), undefined);
      assert.equal(
        ws.cork(() => 'corked'),
        'corked',
      );
      assert.deepEqual(
        [ws.subscriptions, ws.getBufferedAmount(), ws.readyState, ws.isPaused, ws.binaryType],
        [[], 0, 3, false, 'nodebuffer'],
      );
      ws.binaryType = 'arraybuffer';
      assert.equal(ws.binaryType, 'arraybuffer');
      assert.deepEqual(ws.data, { mine: 1 });
      assert.equal(closes.all.length, 1);
    });
  }

  test('a request that was answered can be neither upgraded nor located', async () => {
    let kept;
    const server = serveSockets(
      {},
      {
        fetch(req) {
          kept = req;
          return new Response('x');
        },
      },
    );
    const client = await connectTo(server);

    client.write(handshake());
    assert.equal((await readResponse(client)).text, 'x');

    assert.equal(server.upgrade(kept), false);
    assert.equal(server.requestIP(kept), null);
  });

  test('a request whose client has left cannot be upgraded, and its late response goes nowhere', async () => {
    const aborted = calls('abort');
    const upgrades = calls('upgrade() after the client left');
    const server = serveSockets(
      {},
      {
        async fetch(req, own) {
          if (!req.url.endsWith('/leaves')) return new Response('others are served');
          req.signal.addEventListener('abort', () => aborted());
          arrived();
          await aborted.next();
          upgrades(own.upgrade(req));
          return new Response('nobody gets this');
        },
      },
    );
    const arrived = calls('a request');
    const client = await connectTo(server);

    client.write(handshake({ path: '/leaves' }));
    await arrived.next();
    client.destroy();

    assert.deepEqual(await upgrades.next(), [false]);
    assert.equal((await exchange(server, request('GET', '/'))).response.text, 'others are served');
  });
});

describe('forgotten', () => {
  const MANY = 40;
  /** An engine may keep a few on its stack or in its caches; a leak keeps them all. */
  const A_FEW = MANY / 4;

  test('a server nobody refers to goes on serving', async () => {
    const at = (() => {
      const { address, port } = mantou.serve({
        port: 0,
        fetch(_req, own) {
          own.stop();
          return new Response('still here');
        },
      });
      return { address, port };
    })();

    await collectGarbage();

    assert.equal((await exchange(at, request('GET', '/'))).response.text, 'still here');
  });

  test('a socket nobody refers to keeps its data, its properties and its handlers', async () => {
    const server = serveSockets(
      {
        open(ws) {
          ws.added = 'property';
        },
        message: (ws, message) => ws.send(`${message} ${ws.data.name} ${ws.added}`),
      },
      { upgrade: { data: { name: 'data' } } },
    );
    const client = await RawClient.open({ port: server.port });

    await collectGarbage();
    client.text('a');

    await client.expect('TEXT a data property');
  });

  test('a response that takes its time is waited for', async () => {
    const releases = calls('a request');
    const server = serve({
      async fetch() {
        await new Promise((resolve) => releases(resolve));
        return new Response('late');
      },
    });
    const client = await connectTo(server);
    client.write(request('GET', '/'));
    const [release] = await releases.next();

    await collectGarbage();
    release();

    assert.equal((await readResponse(client)).text, 'late');
  });

  test('stopped servers and their handlers are collected', async () => {
    const references = [];
    const startAndStop = async () => {
      const fetch = () => new Response('x');
      const server = mantou.serve({ port: 0, fetch }); // not target's serve(), which keeps it for cleanUp
      references.push(new WeakRef(server), new WeakRef(fetch));
      await exchange(server, request('GET', '/'));
      await server.stop(true);
    };

    for (let count = 0; count < MANY / 2; count++) await startAndStop();

    assert.ok((await survivors(references)) <= A_FEW);
  });

  test('requests that were answered are collected', async () => {
    const references = [];
    const server = serve({
      fetch(req) {
        const response = new Response('x');
        references.push(new WeakRef(req), new WeakRef(response));
        return response;
      },
    });
    const client = await connectTo(server);

    for (let count = 0; count < MANY / 2; count++) {
      client.write(request('POST', '/', {}, 'body'));
      await readResponse(client);
    }

    assert.equal(references.length, MANY);
    assert.ok((await survivors(references)) <= A_FEW);
  });

  test('sockets that were closed are collected, with their data', async () => {
    const references = [];
    const server = serveSockets({
      open(ws) {
        ws.data = {};
        ws.subscribe('topic');
        references.push(new WeakRef(ws), new WeakRef(ws.data));
      },
    });

    for (let count = 0; count < MANY / 2; count++) {
      const client = await RawClient.open({ port: server.port });
      client.halfClose();
      await client.ended();
    }

    assert.equal(references.length, MANY);
    assert.ok((await survivors(references)) <= A_FEW);
  });
});
