// What peers can make the server hold: readers that do not read, clients that are faster than the handlers, pings that nobody wants answered.
// The server is a process of its own, which reports its resident memory.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { calls } from './support/calls.mjs';
import { killPrograms, run } from './support/program.mjs';
import { binary, destroyClients, HANDSHAKE_KEY, handshake, ping, RawClient, text } from './support/raw-client.mjs';

const MEBIBYTE = 2 ** 20;
const LIMIT = 16 * MEBIBYTE;
/** What a process may grow by for reasons of its own: the heap of the runtime, and the allocator's reserves. */
const SLACK = 48 * MEBIBYTE;

/** @type {Set<import('node:net').Socket>} */
const sockets = new Set();

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  destroyClients();
  killPrograms();
});

/** Starts a server whose `fetch` upgrades all but /memory, which tells the process's resident memory, and /path that `answers` knows. */
async function start(handlers) {
  const program = run(`
    const server = serve({
      hostname: '127.0.0.1',
      fetch(req, server) {
        const { pathname } = new URL(req.url);
        if (pathname === '/memory') return new Response(String(process.memoryUsage().rss));
        if (!server.upgrade(req, { data: pathname.slice(1) })) return new Response('no', { status: 400 });
      },
      websocket: ${handlers},
    });
    print(server.port);
  `);
  const port = Number(await program.line());
  const memory = async () => Number(await (await fetch(`http://127.0.0.1:${port}/memory`)).text());
  return { program, port, memory };
}

describe('a reader that stops reading while 100,000 messages are published', () => {
  const COUNT = 100_000;
  const SIZE = 1024;

  test('holds its limit and one message, and delays nobody', { timeout: 120_000 }, async () => {
    const { port, memory } = await start(`{
      idleTimeout: 0,
      open: (ws) => void ws.subscribe('news'),
      message(ws, next) {
        // The one that reads asks for the next 100.
        let status;
        for (let n = 0; n < 100; n++) status = server.publish('news', String(Number(next) + n).padEnd(${SIZE}, '.'));
        if (Number(next) % 10_000 === 0) ws.send('status ' + status);
      },
    }`);
    const stalled = await RawClient.open({ port, path: '/stalled' });
    stalled.pause();
    const reader = await RawClient.open({ port, path: '/reader' });
    const before = await memory();

    const statuses = [];
    const began = performance.now();
    let slowest = 0;
    for (let next = 0; next < COUNT; next += 100) {
      const asked = performance.now();
      reader.text(String(next));
      for (let n = 0; n < 100; n++) assert.equal(Number((await reader.frame()).text.replaceAll('.', '')), next + n);
      if (next % 10_000 === 0) statuses.push((await reader.frame()).text);
      slowest = Math.max(slowest, performance.now() - asked);
    }
    console.log(`# ${COUNT} messages in ${Math.round(performance.now() - began)} ms, the slowest 100 in ${Math.round(slowest)} ms`);

    // The first fit the kernel's buffers, the last were dropped.
    assert.equal(statuses.at(0), `status ${SIZE}`);
    assert.equal(statuses.at(-1), 'status 0');
    const grown = (await memory()) - before;
    assert.ok(grown < LIMIT + SIZE + SLACK, `grown by ${grown / MEBIBYTE} MiB`);
    // Nobody waited for the one that does not read: it would have been for ever.
    assert.ok(slowest < 5000, `the slowest 100 messages took ${slowest} ms`);
  });
});

describe('clients that are faster than the handlers', () => {
  const CLIENTS = 1000;
  const PIECE = Buffer.concat(Array.from({ length: 1000 }, () => binary(Buffer.alloc(1000, 'x'))));

  /** Opens `CLIENTS` connections that send without end and read nothing; returns how many bytes the kernel has taken. */
  async function flood(port) {
    const opened = Array.from({ length: CLIENTS }, async () => {
      const socket = connect(port, '127.0.0.1');
      sockets.add(socket);
      socket.on('error', () => {});
      await once(socket, 'connect');
      socket.write(handshake({ headers: { 'Sec-WebSocket-Key': HANDSHAKE_KEY } }));
      await once(socket, 'data');
      const send = () => {
        while (!socket.destroyed && socket.write(PIECE));
      };
      socket.on('drain', send);
      send();
    });
    await Promise.all(opened);
  }

  for (const [what, handlers] of [
    [
      'a handler that sleeps',
      "{ message() { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0.2); }, open() { print('open'); } }",
    ],
    ['a handler that pauses', "{ message(ws) { ws.pause(); }, open() { print('open'); } }"],
    ['a serial handler that never ends', "{ serial: true, message: () => new Promise(() => {}), open() { print('open'); } }"],
  ]) {
    test(`are held back by TCP: ${what}`, { timeout: 120_000 }, async () => {
      const { program, port, memory } = await start(handlers);
      const before = await memory();

      await flood(port);
      for (let open = 0; open < CLIENTS; open++) await program.line();
      // Each answer takes a turn of the server's loop, in which it reads what it is going to read.
      let grown = 0;
      for (let look = 0; look < 3; look++) grown = Math.max(grown, (await memory()) - before);

      // 1,000 connections take some 4 MiB, events 1 MiB and a read of each.
      assert.ok(grown < 2 * SLACK, `grown by ${grown / MEBIBYTE} MiB`);
    });
  }
});

describe('content that no handler reads', () => {
  const CLIENTS = 400;
  /** So much of it all is read ahead of the handlers. */
  const AHEAD = 64 * MEBIBYTE;
  const head = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${16 * MEBIBYTE}\r\n\r\n`;

  test('stays with its senders, but for what is read ahead of all of them together', { timeout: 120_000 }, async () => {
    const program = run(`
      let requests = 0;
      const server = serve({
        hostname: '127.0.0.1',
        idleTimeout: 0,
        fetch(req) {
          if (req.method === 'GET') return new Response(String(process.memoryUsage().rss));
          if (++requests === ${CLIENTS}) print('all are here');
          return new Promise(() => {});
        },
      });
      print(server.port);
    `);
    const port = Number(await program.line());
    const memory = async () => Number(await (await fetch(`http://127.0.0.1:${port}/`)).text());
    const before = await memory();
    const piece = Buffer.alloc(MEBIBYTE, 'x');

    for (let opened = 0; opened < CLIENTS; opened++) {
      const socket = connect(port, '127.0.0.1');
      sockets.add(socket);
      socket.on('error', () => {});
      socket.write(head);
      socket.write(piece);
      socket.write(piece);
    }
    await program.line();

    const sent = () => [...sockets].reduce((sum, socket) => sum + socket.bytesWritten - socket.writableLength, 0);
    // Until the kernel takes no more of any of them while twenty others are answered.
    let grown = 0;
    for (let taken = -1; taken !== sent(); ) {
      taken = sent();
      for (let others = 0; others < 20; others++) grown = Math.max(grown, (await memory()) - before);
    }
    assert.ok(sent() > AHEAD, `${sent() / MEBIBYTE} MiB were taken`);
    assert.ok(grown < AHEAD + 2 * SLACK, `grown by ${grown / MEBIBYTE} MiB`);
  });
});

test('a client that pings and does not read makes the server hold a bounded number of pongs', { timeout: 120_000 }, async () => {
  const { port, memory } = await start(`{
    idleTimeout: 0,
    backpressureLimit: 0,
    message(ws) { ws.data = 'heard'; },
  }`);
  const before = await memory();
  const client = await RawClient.open({ port });
  const other = await RawClient.open({ port });
  client.pause();
  const pings = Buffer.concat(Array.from({ length: 10_000 }, () => ping(Buffer.alloc(125, 'p'))));

  // 64 MiB of pongs would be owed.
  for (let sent = 0; sent < 64 * MEBIBYTE; sent += pings.length) {
    client.write(pings);
    while (client.writableLength > MEBIBYTE) {
      other.write(ping());
      await other.expect('PONG');
    }
  }

  const grown = (await memory()) - before;
  assert.ok(grown < LIMIT + SLACK, `grown by ${grown / MEBIBYTE} MiB`);
});

test('every ping of a client that reads is answered', { timeout: 60_000 }, async () => {
  const { port } = await start('{ idleTimeout: 0 }');
  const client = await RawClient.open({ port });
  const answered = calls('pongs', { patience: 30_000 });

  const COUNT = 100_000;
  (async () => {
    for (let n = 0; n < COUNT; n++) assert.equal((await client.frame()).notation, `PONG ${n}`);
    answered();
  })();
  for (let n = 0; n < COUNT; n += 1000) client.write(...Array.from({ length: 1000 }, (_, i) => ping(String(n + i))), text('x'));

  await answered.next();
});
