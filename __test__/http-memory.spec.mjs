// Bodies that are larger than memory should be: what is not asked for stays with its sender, in both directions.
//
// Each server is a process of its own, so that nothing else is measured.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { killPrograms, run } from './support/program.mjs';

const MEGABYTE = 1024 * 1024;
const GIGABYTE = 1024 * MEGABYTE;
/** How much more memory a server may take for a gigabyte than for a quarter of it: the garbage collector lets some pile up in any case. */
const GROWTH = 32 * MEGABYTE;
const WARM_UP = GIGABYTE / 4;
const timeout = 120_000;

const folder = mkdtempSync(join(tmpdir(), 'mantou-memory-'));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'gigabyte');
writeFileSync(file, '');
truncateSync(file, GIGABYTE);

/** Sockets of clients that a failed test has left behind. */
const sockets = new Set();
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  killPrograms();
});

/** What the server says of itself: it counts what its handlers read and make, and notes the most memory it has taken since `/reset`. */
const PRELUDE = `
  import { openAsBlob } from 'node:fs';
  const turn = () => new Promise(setImmediate);
  let count = 0;
  let most = 0;
  const look = () => { most = Math.max(most, process.memoryUsage.rss()); };
  setInterval(look, 5).unref();
  let go;
  const gate = () => new Promise((resolve) => { go = resolve; });
  const Response = mantou.Response ?? globalThis.Response;
  const size = (req) => Number(new URL(req.url).searchParams.get('size'));
  const handlers = {
    '/go': () => { go(); return new Response('gone'); },
    '/count': () => new Response(String(count)),
    '/most': () => { look(); return new Response(String(most)); },
    '/reset': () => { most = count = 0; look(); return new Response(String(most)); },
`;

/** A server with one more handler, at \`/\`. */
async function start(handler) {
  const program = run(`${PRELUDE} '/': ${handler} };
    const server = serve({ development: false, idleTimeout: 0, maxRequestBodySize: 4 * ${GIGABYTE}, fetch: (req) => handlers[new URL(req.url).pathname](req) });
    print(server.port);`);
  const port = Number(await program.line());
  const ask = async (path) => Number(await (await fetch(`http://127.0.0.1:${port}${path}`)).text());
  return { port, ask };
}

function open(port, allowHalfOpen = false) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen });
  sockets.add(socket);
  return socket;
}

/** A number that no longer changes while the server answers twenty others. */
async function settled(number, ask) {
  for (let before = -1; ; ) {
    const now = await number();
    if (now === before) return now;
    before = now;
    for (let others = 0; others < 20; others++) await ask('/count');
  }
}

/**
 * Sends a body as fast as the server takes it, also behind the answer and its FIN: `answer` comes with the end of both, `sent()` is what has
 * left this process.
 */
function upload(port, size) {
  const socket = open(port, true);
  const piece = Buffer.alloc(MEGABYTE, 'a');
  socket.write(`POST /?size=${size} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`);
  let text = '';
  socket.setEncoding('latin1').on('data', (data) => {
    text += data;
  });
  const sending = async () => {
    for (let left = size; left > 0; left -= piece.length) {
      if (!socket.write(piece)) await once(socket, 'drain');
    }
    if (!socket.readableEnded) await once(socket, 'end');
    socket.end();
    return text;
  };
  return { answer: sending(), sent: () => socket.bytesWritten - socket.writableLength };
}

/** Takes an answer of \`size\` bytes of content, and no faster than it is read. */
async function download(port, size, { isPaused = false } = {}) {
  const socket = open(port);
  socket.write(`GET /?size=${size} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  let received = 0;
  let head = '';
  const count = (bytes) => {
    if (head.includes('\r\n\r\n')) {
      received += bytes.length;
      return;
    }
    const text = bytes.toString('latin1');
    const end = (head + text).indexOf('\r\n\r\n');
    if (end >= 0) received += head.length + text.length - end - 4;
    head += text;
  };
  if (isPaused) socket.pause();
  socket.on('data', count);
  return { socket, closed: once(socket, 'close').then(() => received), head: () => head };
}

/** The memory that a gigabyte took beyond what the warm-up did. */
async function growth({ ask }, transfer) {
  await transfer(WARM_UP);
  const before = await ask('/most');
  await ask('/reset');
  await transfer(GIGABYTE);
  return (await ask('/most')) - before;
}

describe('a request of a gigabyte', { timeout }, () => {
  const READERS = {
    'that is read piece by piece':
      'async (req) => { for await (const piece of req.body) { count += piece.length; await turn(); } return new Response(String(count)); }',
    'that is not read': 'async () => { await turn(); return new Response("not read"); }',
  };
  for (const [what, handler] of Object.entries(READERS)) {
    test(`${what} takes no more than 32 MB`, async () => {
      const server = await start(handler);

      const grown = await growth(server, async (size) => {
        assert.match(await upload(server.port, size).answer, handler.includes('not read') ? /not read$/ : new RegExp(`\\r\\n${size}$`));
      });

      assert.ok(grown < GROWTH, `${(grown / MEGABYTE).toFixed(1)} MB`);
    });
  }

  test('waits with its sender while the handler does not read', async () => {
    const server = await start(
      'async (req) => { const reader = req.body.getReader(); await reader.read(); await gate(); let total = 1; for (;;) { const { done, value } = await reader.read(); if (done) break; total += value.length; } return new Response("all"); }',
    );
    const before = await server.ask('/reset');
    const { answer, sent } = upload(server.port, GIGABYTE);
    answer.catch(() => {});

    const taken = await settled(sent, server.ask);
    const grown = (await server.ask('/most')) - before;
    await server.ask('/go');

    assert.match(await answer, /all$/);
    assert.ok(taken > 0 && taken < GROWTH, `${(taken / MEGABYTE).toFixed(1)} MB were taken`);
    assert.ok(grown < GROWTH, `${(grown / MEGABYTE).toFixed(1)} MB`);
  });
});

describe('a response of a gigabyte', { timeout }, () => {
  const PIECE = 'const piece = new Uint8Array(64 * 1024).fill(97); const end = size(req);';
  const MAKERS = {
    'that is a stream': `(req) => { ${PIECE} return new Response(new ReadableStream({ pull(controller) { if (count >= end) controller.close(); else { count += piece.length; controller.enqueue(piece); } } })); }`,
    'that is a byte stream': `(req) => { ${PIECE} return new Response(new ReadableStream({ type: 'bytes', pull(controller) { if (count >= end) controller.close(); else { count += piece.length; controller.enqueue(piece.slice()); } } })); }`,
    'that is an async generator': `(req) => { ${PIECE} return new Response((async function* () { while (count < end) { count += piece.length; yield piece; } })()); }`,
    'that is a file': `async (req) => new Response((await openAsBlob(${JSON.stringify(file)})).slice(0, size(req)))`,
  };
  for (const [what, handler] of Object.entries(MAKERS)) {
    test(`${what} takes no more than 32 MB`, async () => {
      const server = await start(handler);

      const grown = await growth(server, async (size) => {
        const { closed, head } = await download(server.port, size);
        const received = await closed;
        const isChunked = /transfer-encoding: chunked/i.test(head());
        if (isChunked) assert.ok(received > size);
        else assert.equal(received, size);
      });

      assert.ok(grown < GROWTH, `${(grown / MEGABYTE).toFixed(1)} MB`);
    });

    test(`${what} is not made while nobody takes it`, async () => {
      const server = await start(handler);
      const before = await server.ask('/reset');
      const { socket, closed } = await download(server.port, GIGABYTE, { isPaused: true });
      await once(socket, 'connect');

      const made = await settled(() => server.ask('/count'), server.ask);
      const grown = (await server.ask('/most')) - before;

      assert.ok(made < GROWTH, `${(made / MEGABYTE).toFixed(1)} MB were made`);
      assert.ok(grown < GROWTH, `${(grown / MEGABYTE).toFixed(1)} MB`);
      socket.resume();
      assert.ok((await closed) >= GIGABYTE);
    });
  }
});
