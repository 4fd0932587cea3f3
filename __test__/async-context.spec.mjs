// AsyncLocalStorage: handlers run in the async context of serve(), and what one of them puts into a store is never seen in another's.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, serveSockets } from './support/connect.mjs';
import { ping, pong, RawClient, text } from './support/raw-client.mjs';
import { connectTo, exchange, readResponse, request } from './support/raw-http.mjs';
import { isBunRuntime, serve } from './support/target.mjs';

afterEach(cleanUp);

const later = () => new Promise((resolve) => setTimeout(resolve));

describe('handlers run in the async context of serve()', () => {
  test('fetch and error, and what they await', async () => {
    const store = new AsyncLocalStorage();
    const seen = [];
    const note = (where) => seen.push(`${where}: ${store.getStore()}`);
    const server = store.run('serve', () =>
      serve({
        async fetch(req) {
          note('fetch');
          await later();
          note('after an await');
          if (req.url.endsWith('/fails')) throw new Error('x');
          const pull = (controller) => {
            note('pull');
            controller.close();
          };
          return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
        },
        error() {
          note('error');
          return new Response('handled');
        },
      }),
    );

    await store.run('client', async () => {
      await exchange(server, request('GET', '/'));
      await exchange(server, request('GET', '/fails'));
    });

    assert.deepEqual(seen, [
      'fetch: serve',
      'after an await: serve',
      'pull: serve',
      'fetch: serve',
      'after an await: serve',
      'error: serve',
    ]);
  });

  test('the handlers of a WebSocket, also open inside upgrade() and close inside stop(true)', async () => {
    const store = new AsyncLocalStorage();
    const notes = calls('a note');
    const note = (where) => notes(`${where}: ${store.getStore()}`);
    const server = store.run('serve', () =>
      serveSockets(
        {
          open: () => note('open'),
          message(ws) {
            note('message');
            throw ws;
          },
          error: () => note('error'),
          ping: () => note('ping'),
          pong: () => note('pong'),
          close: () => note('close'),
        },
        { fetch: (req, own) => void store.run('upgrade', () => own.upgrade(req)) },
      ),
    );

    await store.run('client', async () => {
      const client = await RawClient.open({ port: server.port });
      client.write(text('a'), ping(), pong());
      await notes.count(5);
    });
    store.run('stop', () => server.stop(true));

    assert.deepEqual(
      notes.all.flat(),
      ['open', 'message', 'error', 'ping', 'pong', 'close'].map((where) => `${where}: serve`),
    );
  });

  test('drain', async () => {
    const store = new AsyncLocalStorage();
    const drains = calls('drain');
    let ws;
    const server = store.run('serve', () =>
      serveSockets({
        open(own) {
          ws = own;
        },
        drain: () => drains(store.getStore()),
      }),
    );
    const client = await RawClient.open({ port: server.port });
    client.pause();

    store.run('send', () => ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES)));
    client.resume();

    assert.deepEqual(await drains.next(), ['serve']);
  });

  test('those given to reload() run in the context of reload()', async () => {
    const store = new AsyncLocalStorage();
    const notes = calls('a note');
    const handlers = (where) => ({
      fetch(req, own) {
        notes(`${where} fetch: ${store.getStore()}`);
        return own.upgrade(req) ? undefined : new Response('x');
      },
      websocket: { message: () => notes(`${where} message: ${store.getStore()}`) },
    });
    const server = store.run('serve', () => serve(handlers('old')));
    const client = await RawClient.open({ port: server.port });

    store.run('reload', () => server.reload(handlers('new')));
    await exchange(server, request('GET', '/'));
    client.text('a');

    assert.deepEqual((await notes.count(3)).flat(), ['old fetch: serve', 'new fetch: reload', 'new message: reload']);
  });

  test('and in none when serve() was called in none', async () => {
    const store = new AsyncLocalStorage();
    const stores = calls('a store');
    const server = serveSockets({ message: () => stores(store.getStore()) });

    await store.run('client', async () => {
      const client = await RawClient.open({ port: server.port });
      client.text('a');
      await stores.count(1);
    });

    assert.deepEqual(stores.all, [[undefined]]);
  });
});

describe('a store does not leak', () => {
  test('from one message into the next of the same segment', async () => {
    const store = new AsyncLocalStorage();
    const seen = [];
    const server = serveSockets({
      message(ws, message) {
        seen.push(`message ${message}: ${store.getStore()}`);
        store.enterWith(message);
        process.nextTick(() => seen.push(`tick ${message}: ${store.getStore()}`));
        queueMicrotask(() => seen.push(`microtask ${message}: ${store.getStore()}`));
        ws.send(message);
      },
    });
    const client = await RawClient.open({ port: server.port });

    client.write(text('a'), text('b'));
    await client.expect('TEXT a', 'TEXT b');

    const after = (message) => {
      const [tick, microtask] = [`tick ${message}: ${message}`, `microtask ${message}: ${message}`];
      return isBunRuntime && differs('microtasks-in-bun') ? [microtask, tick] : [tick, microtask];
    };
    assert.deepEqual(seen, ['message a: undefined', ...after('a'), 'message b: undefined', ...after('b')]);
  });

  test('from one request into the next of the same connection', async () => {
    const store = new AsyncLocalStorage();
    const server = serve({
      fetch(req) {
        const before = store.getStore();
        store.enterWith(req.url);
        return new Response(String(before));
      },
    });
    const client = await connectTo(server);

    client.write(request('GET', '/1'), request('GET', '/2'));

    assert.deepEqual([(await readResponse(client)).text, (await readResponse(client)).text], ['undefined', 'undefined']);
  });

  test('into the caller of a function that calls a handler', async () => {
    const store = new AsyncLocalStorage();
    const seen = [];
    const server = store.run('serve', () =>
      serveSockets(
        { open: () => store.enterWith('open'), close: () => store.enterWith('close') },
        {
          fetch(req, own) {
            store.run('fetch', () => {
              own.upgrade(req);
              seen.push(store.getStore());
            });
          },
        },
      ),
    );
    await RawClient.open({ port: server.port });

    store.run('stop', () => {
      server.stop(true);
      seen.push(store.getStore());
    });

    assert.deepEqual(seen, ['fetch', 'stop']);
  });

  const PLACES = ['open', 'message', 'ping', 'pong', 'error', 'drain', 'fetch', 'fetch error', 'close'];
  /** What is seen in a timer that was started in a context of its own; everything else sees what was entered. */
  const OTHERS = { run: 'inside', exit: undefined };

  for (const first of PLACES) {
    test(`from ${first} into any handler after it, and stays in what ${first} started`, async () => {
      const store = new AsyncLocalStorage();
      const begins = Object.fromEntries(PLACES.map((name) => [name, calls(name)]));
      const continuations = calls('a continuation');
      /** The beginning of a handler. The first one enters a store of its own and goes on in every way there is. */
      const at = (name) => {
        const before = store.getStore();
        if (name === first) goOn();
        begins[name](before);
      };
      function goOn() {
        store.enterWith('entered');
        const note = (how) => continuations(how, store.getStore());
        process.nextTick(note, 'nextTick');
        queueMicrotask(() => note('queueMicrotask'));
        Promise.resolve().then(() => note('then'));
        setImmediate(note, 'setImmediate');
        setTimeout(note, 1, 'setTimeout');
        (async () => {
          await later();
          note('await');
        })();
        store.run('inside', () => setTimeout(note, 1, 'run'));
        store.exit(() => setTimeout(note, 1, 'exit'));
        note('at once');
      }
      const server = store.run('serve', () =>
        serve({
          development: false,
          fetch(req, own) {
            if (own.upgrade(req)) return;
            at('fetch');
            if (req.url.endsWith('/fails')) throw new Error('for the error handler');
            return new Response('x');
          },
          error() {
            at('fetch error');
            return new Response('handled');
          },
          websocket: {
            open: () => at('open'),
            message(ws, message) {
              at('message');
              if (message === 'throw') throw new Error('for the error handler');
              if (message === 'fill') ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES));
            },
            ping: () => at('ping'),
            pong: () => at('pong'),
            drain: () => at('drain'),
            error: () => at('error'),
            close: () => at('close'),
          },
        }),
      );
      /** Does something that makes a handler run, and waits for it. */
      const provoke = async (name, act) => {
        const before = begins[name].all.length;
        await act();
        await begins[name].count(before + 1);
      };
      const round = async (message) => {
        const client = await RawClient.open({ port: server.port });
        client.pause();
        // All in one segment: each handler runs right behind another.
        await provoke('ping', () => client.write(text('a'), pong(), text('throw'), text(message), ping()));
        if (message === 'fill') await provoke('drain', () => client.resume());
        await exchange(server, request('GET', '/'));
        await exchange(server, request('GET', '/fails'));
        await provoke('close', () => client.reset());
      };

      await store.run('client', async () => {
        await round('fill');
        await round('and again');
      });

      for (const name of PLACES) assert.deepEqual(new Set(begins[name].all.flat()), new Set(['serve']), name);
      for (const [how, seen] of await continuations.count(9 * begins[first].all.length)) {
        assert.equal(seen, how in OTHERS ? OTHERS[how] : 'entered', how);
      }
    });
  }

  test('between 50 sockets and 50 HTTP clients at once', { timeout: 60_000 }, async () => {
    const CLIENTS = 50;
    const ROUNDS = 20;
    /** Handlers that run in a round of a socket. */
    const SOCKET_ROUND = ['message', 'message', 'error', 'ping', 'pong'];
    const store = new AsyncLocalStorage();
    const leaks = [];
    /** Notes a leak unless the store holds what it should here. */
    const expect = (wanted, where) => {
      if (store.getStore() !== wanted) leaks.push(`${where}: ${store.getStore()} instead of ${wanted}`);
    };
    /** Everything that continues later, in a context of its own. */
    async function work(own, where) {
      expect('serve', `${where} begins`);
      store.enterWith(own);
      process.nextTick(() => expect(own, `nextTick of ${where}`));
      queueMicrotask(() => expect(own, `microtask of ${where}`));
      setTimeout(() => expect(own, `timeout of ${where}`));
      setImmediate(() => expect(own, `immediate of ${where}`));
      await null;
      expect(own, `${where} after an await`);
      await later();
      expect(own, `${where} after a timer`);
      await store.run(`inside ${own}`, async () => {
        await null;
        expect(`inside ${own}`, `run in ${where}`);
      });
      expect(own, `${where} ends`);
    }
    let unique = 0;
    const server = store.run('serve', () =>
      serve({
        async fetch(req, own) {
          if (own.upgrade(req, { data: { id: new URL(req.url).searchParams.get('id') } })) return;
          const { pathname } = new URL(req.url);
          const body = await req.text();
          expect('serve', 'fetch after the body');
          await work(`${pathname} ${++unique}`, 'fetch');
          return new Response(`${pathname} ${body}`);
        },
        websocket: {
          open: (ws) => work(`${ws.data.id} ${++unique}`, 'open'),
          message(ws, message) {
            const done = work(`${ws.data.id} ${++unique}`, 'message');
            if (message === 'throw') throw new Error('for the error handler');
            return done.then(() => {
              ws.send(`${ws.data.id}:${message}`);
              ws.ping();
            });
          },
          error: (_error, ws) => work(`${ws.data.id} ${++unique}`, 'error'),
          ping: (ws) => work(`${ws.data.id} ${++unique}`, 'ping'),
          pong: (ws) => work(`${ws.data.id} ${++unique}`, 'pong'),
          close: (ws) => work(`${ws.data.id} ${++unique}`, 'close'),
        },
      }),
    );

    const sockets = Array.from({ length: CLIENTS }, async (_, id) => {
      const client = await RawClient.open({ port: server.port, path: `/?id=${id}` });
      for (let round = 0; round < ROUNDS; round++) {
        client.write(text(`${round}`), text('throw'), ping());
        await client.expect('PONG', `TEXT ${id}:${round}`, 'PING');
        client.write(pong());
      }
      client.halfClose();
      await client.ended();
    });
    const https = Array.from({ length: CLIENTS }, async (_, id) => {
      const client = await connectTo(server);
      for (let round = 0; round < ROUNDS; round++) {
        client.write(request('POST', `/${id}`, {}, `${round}`));
        assert.equal((await readResponse(client)).text, `/${id} ${round}`);
      }
    });
    await Promise.all([...sockets, ...https]);

    assert.deepEqual(leaks.slice(0, 5), []);
    assert.equal(unique, CLIENTS * (ROUNDS * (SOCKET_ROUND.length + 1) + 2));
  });
});
