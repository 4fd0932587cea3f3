// What connections cost while they are open, and that nothing of them is left afterwards: resident memory, descriptors, objects.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, serveSockets } from './support/connect.mjs';
import { descriptors, settled } from './support/descriptors.mjs';
import { survivors } from './support/gc.mjs';
import { killPrograms, run } from './support/program.mjs';
import { binary, close, destroyClients, handshake, hex, RawClient, text } from './support/raw-client.mjs';
import { connectTo, exchange, readResponse, request } from './support/raw-http.mjs';
import { mantou } from './support/target.mjs';

afterEach(cleanUp);
afterEach(killPrograms);

const KIB = 1024;
const MIB = 1024 * KIB;
const skip = process.platform !== 'linux' && 'reads /proc';

describe('a server in a process of its own', { skip }, () => {
  /** Starts it and returns `{ port, memory() }`. */
  async function start(env) {
    const program = run(`import ${JSON.stringify(new URL('./fixtures/memory.mjs', import.meta.url).href)};`, env);
    const port = Number(await program.line());
    const memory = async () => {
      const { client, response } = await exchange({ port }, request('GET', '/memory'));
      client.destroy();
      return JSON.parse(response.text);
    };
    return { port, memory };
  }

  /** Opens so many connections and has `request` answered on each, a few at a time so that no queue of the system overflows. Returns the sockets. */
  async function openMany(port, count, request) {
    const sockets = [];
    while (sockets.length < count) {
      const some = Array.from({ length: Math.min(100, count - sockets.length) }, () => openIdle(port, request));
      sockets.push(...(await Promise.all(some)));
    }
    return sockets;
  }

  function openIdle(port, request) {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(request));
      socket.once('data', () => resolve(socket)).once('error', reject);
    });
  }

  const IDLE = 10_000;
  const FIRST = 2_000;
  /** What stays open, the request it begins with, and the most of resident memory that one more may take. */
  const KINDS = [
    ['an idle WebSocket', handshake(), 2],
    ['an idle HTTP connection', request('GET', '/'), 3],
  ];

  for (const driver of ['polled', 'watched']) {
    for (const [what, first, kib] of KINDS) {
      test(`${what} costs less than ${kib} KiB (${driver})`, { timeout: 120_000 }, async () => {
        needDescriptors(FIRST + IDLE + 500);
        const { port, memory } = await start({ MANTOU_DRIVER: driver });
        // The first connections pay for compiled code and grown heaps; they stay open and do not count.
        const uncounted = await openMany(port, FIRST, first);
        const before = await memory();

        const counted = await openMany(port, IDLE, first);
        const after = await memory();

        assert.equal(after.descriptors - before.descriptors, IDLE, 'all are open');
        const each = (after.rss - before.rss) / IDLE;
        for (const socket of [...uncounted, ...counted]) socket.destroy();
        assert.ok(each < kib * KIB, `${Math.round(each)} bytes each`);
      });
    }
  }

  test('100 rounds of 1,000 connections, used and closed, leave memory flat', { timeout: 500_000 }, async () => {
    const ROUNDS = 100;
    /** In the first rounds everything grows to its size: compiled code, pools of the allocators. */
    const FIRST = 30;
    const VISITORS = 1_000;
    /** Memory is read after every other round. */
    const EVERY = 2;
    /** The readings are looked at in so many parts, and in each as many at its end are compared with as many at its beginning. */
    const PARTS = 3;
    /** 63 bytes for each of the 16,000 connections between the two: whatever of a connection could be forgotten is more. */
    const MOST = 1 * MIB;

    needDescriptors(VISITORS + 500);
    // The young generation would grow by megabytes at any time.
    const { port, memory } = await start({ NODE_OPTIONS: '--max-semi-space-size=2' });
    const readings = [];
    for (let round = 0; round < ROUNDS; round++) {
      // An address of its own: the system keeps a port it has closed for a minute.
      const from = `127.0.0.${2 + round}`;
      // All are there at once in every round, which is what the heap grows to.
      const visitors = await Promise.all(Array.from({ length: VISITORS }, (_, index) => come(port, from, index)));
      await Promise.all(visitors.map(leave));
      if (round >= FIRST && round % EVERY === 0) readings.push(await memory());
    }
    // The lowest: what is above it is garbage that has not been collected, and more of that where the machine is busy.
    const lowest = (some) => Math.min(...some.map(({ rss }) => rss));
    const size = Math.floor(readings.length / PARTS);
    const growths = Array.from({ length: PARTS }, (_, part) => {
      const some = readings.slice(part * size, (part + 1) * size);
      return lowest(some.slice(-PARTS)) - lowest(some.slice(0, PARTS));
    });

    // The heap grows now and then, to what was needed at once; what is forgotten makes it grow all the time.
    assert.ok(Math.min(...growths) < MOST, `MiB: ${growths.map((bytes) => (bytes / MIB).toFixed(1)).join(', ')}`);
    const end = await memory();
    assert.deepEqual([end.descriptors, end.webSockets], [readings[0].descriptors, 0]);
  });

  const LEAVES = {
    close: close(1000),
    'is closed': text('close'),
    'is terminated': text('terminate'),
    resets: null,
  };

  /** Comes, subscribes, is heard, and publishes to those in the same room. */
  function come(port, localAddress, index) {
    const room = `room${index % 100}`;
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress }, () => {
        const messages = [text(`subscribe ${room}`), binary('came and went'), text(`publish ${room}`), text('done')];
        socket.write(Buffer.concat([Buffer.from(handshake()), ...messages]));
      });
      let received = '';
      socket.on('data', (data) => {
        received += data.toString('latin1');
        if (!received.includes('\x81\x04done')) return;
        if (!received.includes('\x82\x0dcame and went')) reject(new Error('the binary message did not come back'));
        received = '';
        resolve(socket);
      });
      socket.once('error', reject);
    });
  }

  /** Leaves in one of four ways. */
  function leave(socket, index) {
    const last = Object.values(LEAVES)[index % 4];
    return new Promise((resolve, reject) => {
      socket.once('end', resolve).once('error', reject);
      if (last !== null) {
        socket.write(last);
      } else {
        socket.resetAndDestroy();
        resolve();
      }
    });
  }
});

describe('nothing is left', { skip }, () => {
  const MANY = 20;
  /** An engine may keep a few on its stack or in its caches; a leak keeps them all. */
  const FEW = MANY / 4;
  /** Sockets that were there before any test: what this process reads and writes. */
  const ours = skip ? 0 : openSockets();

  /** Plays `end` many times and fails when objects that it names, or sockets, are left. */
  async function leavesNothing(play) {
    const references = [];
    const keep = (...objects) => references.push(...objects.map((object) => new WeakRef(object)));
    // Once for what is made once.
    await play(keep);
    destroyClients();
    const before = await downTo(ours);
    references.length = 0;

    for (let count = 0; count < MANY; count++) await play(keep);
    destroyClients();

    assert.equal(await downTo(before), before, 'sockets of this process');
    const kinds = references.length / MANY;
    assert.ok(kinds >= 1 && (await survivors(references)) <= FEW * kinds, 'objects');
  }

  const ENDINGS = {
    'the peer closes': ({ client }) => client.write(close(1000)),
    'the peer ends without a Close frame': ({ client }) => client.halfClose(),
    'the peer resets the connection': ({ client }) => client.reset(),
    'the peer breaks the protocol': ({ client }) => client.write(hex('ff 80 00000000')),
    'a message is too big': ({ client }) => client.binary(Buffer.alloc(2000)),
    'close()': ({ ws }) => ws.close(),
    'terminate()': ({ ws }) => ws.terminate(),
    'stop(true)': ({ server }) => server.stop(true),
    'the backpressure limit is passed': ({ client, ws }) => {
      client.pause();
      for (let sends = 0; sends < 2; sends++) ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES));
    },
    'nobody hears of it for idleTimeout seconds': () => {},
  };
  for (const [what, end] of Object.entries(ENDINGS)) {
    const idleTimeout = what.includes('idleTimeout') ? 1 : 0;

    test(`of WebSockets and their server when ${what}`, { timeout: 60_000 }, () =>
      leavesNothing(async (keep) => {
        const opens = calls('open');
        const closes = calls('close');
        const limits = { idleTimeout, maxPayloadLength: 1000, backpressureLimit: 1000, closeOnBackpressureLimit: true };
        const handlers = {
          open(ws) {
            ws.data = { mine: true };
            ws.subscribe('topic');
            opens(ws);
          },
          message() {},
          close: () => closes(),
        };
        // Not the target's serve(), which keeps its servers for cleanUp.
        const fetch = (req, own) => void own.upgrade(req);
        const server = mantou.serve({ port: 0, fetch, websocket: { ...limits, ...handlers } });
        const client = await RawClient.open(server);
        const [ws] = await opens.next();
        keep(ws, ws.data, server, fetch, handlers.open);

        await end({ client, ws, server });
        await closes.next();
        await server.stop(true);
        client.destroy();
      }),
    );
  }

  const ANSWERS = {
    'is answered': { fetch: () => new Response('x') },
    'is answered after its body was read': { fetch: async (req) => new Response(await req.text()) },
    'is answered and its signal was listened to': {
      async fetch(req) {
        req.signal.addEventListener('abort', () => assert.fail('it was answered'));
        await new Promise(setImmediate);
        return new Response('x');
      },
    },
    'is answered by a stream': {
      fetch: () =>
        new Response(new ReadableStream({ pull: (controller) => void controller.enqueue(Buffer.from('x')) || controller.close() })),
    },
    'is answered by the error handler': {
      fetch() {
        throw new Error('x');
      },
      error: () => new Response('x'),
    },
    'is left by its client before the answer': {
      async fetch(req) {
        await new Promise((resolve) => {
          req.signal.addEventListener('abort', resolve);
          arrived?.();
        });
        return new Response('nobody gets this');
      },
      play: async (client) => {
        await new Promise((resolve) => {
          arrived = resolve;
        });
        client.destroy();
      },
    },
    'is left by its client in the middle of a stream': {
      fetch: () =>
        new Response(new ReadableStream({ pull: (controller) => controller.enqueue(Buffer.alloc(64 * KIB)), cancel: () => left() })),
      async play(client) {
        const cancelled = new Promise((resolve) => {
          left = resolve;
        });
        await client.response();
        client.destroy();
        await cancelled;
      },
    },
    'is cut off by stop(true)': {
      fetch(_req, own) {
        setImmediate(() => own.stop(true));
        return new Promise(() => {});
      },
      play: (client) => client.ended(),
    },
    'is answered and cut off in the same turn': {
      fetch(_req, own) {
        queueMicrotask(() => own.stop(true));
        return new Response(null); // given at once: no body has to be read first
      },
      play: (client) => client.ended(),
    },
  };
  let arrived;
  let left;
  for (const [what, { fetch, error, play = (client) => readResponse(client, 'POST') }] of Object.entries(ANSWERS)) {
    test(`of a Request that ${what}`, { timeout: 60_000 }, () =>
      leavesNothing(async (keep) => {
        const own = (req, server) => {
          keep(req, req.headers);
          return fetch(req, server);
        };
        const server = mantou.serve({ port: 0, development: false, fetch: own, error });
        keep(server, own);
        const client = await connectTo(server);

        client.write(request('POST', '/', {}, 'body'));
        await play(client);
        await server.stop(true);
        client.destroy();
      }),
    );
  }

  test('of a Request that became a WebSocket', { timeout: 60_000 }, () =>
    leavesNothing(async (keep) => {
      const closes = calls('close');
      const server = serveSockets(
        { close: () => closes() },
        {
          fetch(req, own) {
            keep(req, req.signal);
            own.upgrade(req);
          },
        },
      );
      const client = await RawClient.open(server);

      client.halfClose();
      await closes.next();
      await server.stop(true);
    }),
  );
});

function openSockets() {
  return descriptors().filter((link) => link.startsWith('socket:')).length;
}

/** The number of open sockets of this process once it is down to `wanted`, or after 5 s. */
async function downTo(wanted) {
  await settled(() => openSockets() <= wanted);
  return openSockets();
}

/** Fails, saying what to do, where this process, or the server it starts, may not have so many descriptors. Node itself raises its limit to the hard one. */
function needDescriptors(count) {
  const limit = /^Max open files +\S+ +(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  if (limit !== 'unlimited' && Number(limit) < count)
    assert.fail(`needs ${count} descriptors, and ${limit} are allowed: ulimit -Hn ${count}`);
}
