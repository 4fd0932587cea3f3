// @ts-check
// Clients that keep every handler of a server busy until the server is gone.
//
//   const over = traffic(server, ['echo', 'get']);    // the server answers `respond` and `websocket` below, or alike
//   ...
//   await over;                                       // it has gone; rejects when a client waited in vain instead

import { MORE_THAN_A_SOCKET_TAKES } from './connect.mjs';
import { ping, pong, RawClient, text } from './raw-client.mjs';
import { connectTo, readResponse, request } from './raw-http.mjs';

const LONG = 'x'.repeat(10);

/** @typedef {import('./raw-http.mjs').Address} Address */
/** @typedef {'echo' | 'visit' | 'fill' | 'get' | 'post' | 'stream' | 'fail'} Kind of client */
/** @typedef {keyof typeof PLACES} Place in a handler */
/** @typedef {import('../../index.js').Serve.BaseOptions<unknown>} BaseOptions */
/** @typedef {Required<Pick<import('../../index.js').Serve.WithWebSocket<unknown>, 'fetch' | 'websocket'>>} Handlers */

/**
 * What a client does, again and again.
 * @type {Record<Kind, (server: Address) => Promise<never>>}
 */
const CLIENTS = {
  async echo(server) {
    const client = await RawClient.open(server);
    for (;;) {
      client.write(text(LONG), ping('p'), pong('p'), text('throw'));
      await client.expect(`TEXT ${LONG}`, 'PONG p', 'TEXT throw');
    }
  },
  async visit(server) {
    for (;;) {
      const client = await RawClient.open(server);
      client.text('a');
      await client.expect('TEXT a');
      client.halfClose();
      await client.ended();
      client.destroy();
    }
  },
  /** Reads too late, so that the server has to wait for it. */
  async fill(server) {
    const client = await RawClient.open(server);
    for (;;) {
      client.pause().text('fill');
      await new Promise((resolve) => setTimeout(resolve, 20));
      await client.resume().take(MORE_THAN_A_SOCKET_TAKES);
    }
  },
  get: (server) => ask(server, request('GET', '/')),
  post: (server) => ask(server, request('POST', '/body', {}, 'x'.repeat(100_000))),
  stream: (server) => ask(server, request('GET', '/stream')),
  fail: (server) => ask(server, request('GET', '/fail')),
};

/**
 * @param {Address} server
 * @param {Buffer} bytes
 * @returns {Promise<never>}
 */
async function ask(server, bytes) {
  const client = await connectTo(server);
  for (;;) {
    client.write(bytes);
    await readResponse(client);
  }
}

/**
 * Runs these clients at once until each has lost the server.
 * @param {Address} server
 * @param {Kind[]} kinds
 */
export async function traffic(server, kinds) {
  await Promise.all(kinds.map((kind) => CLIENTS[kind](server).catch(unlessGone)));
}

/** How it shows that a server is gone. */
const GONE = ['ENDED', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'];

/** @param {Error & { code?: string }} error */
function unlessGone(error) {
  if (!GONE.includes(String(error.code))) throw error;
}

/**
 * Handlers for such clients. `at(place)` is called in each of them, with its name.
 * @param {(place: Place) => void} at
 * @returns {BaseOptions & Handlers}
 */
export function handlers(at) {
  return {
    development: false,
    async fetch(req, server) {
      const { pathname } = new URL(req.url);
      if (req.headers.has('upgrade')) {
        const isUpgraded = server.upgrade(req);
        at('upgrade');
        return isUpgraded ? undefined : new Response('no upgrade', { status: 400 });
      }
      at('fetch');
      if (pathname === '/fail') throw new Error('for the error handler');
      if (pathname === '/body') {
        const { length } = await req.text();
        at('body');
        return new Response(String(length));
      }
      if (pathname === '/stream') return new Response(new ReadableStream({ pull: (controller) => pull(controller, at) }));
      await new Promise(setImmediate);
      at('await');
      return new Response('hello');
    },
    error() {
      at('fetch error');
      return new Response('failed', { status: 500 });
    },
    websocket: {
      open: () => at('open'),
      message(ws, message) {
        ws.send(message === 'fill' ? Buffer.alloc(MORE_THAN_A_SOCKET_TAKES) : message);
        at('message');
        process.nextTick(() => at('tick'));
        queueMicrotask(() => at('microtask'));
        setTimeout(() => at('timer'));
        if (message === 'throw') throw new Error('for the error handler');
      },
      ping: () => at('ping'),
      pong: () => at('pong'),
      drain: () => at('drain'),
      error: () => at('error'),
      close: () => at('close'),
    },
  };
}

let pulls = 0;

/** @param {ReadableStreamDefaultController} controller @param {(place: Place) => void} at */
async function pull(controller, at) {
  await null;
  controller.enqueue(Buffer.from('piece'));
  at('pull');
  if (pulls++ % 4 === 3) controller.close();
}

/**
 * Every place that `handlers` names, and the clients that make it run.
 * @satisfies {Record<string, Kind[]>}
 */
export const PLACES = {
  fetch: ['get', 'echo'],
  await: ['get', 'visit'],
  body: ['post', 'echo'],
  pull: ['stream', 'echo'],
  'fetch error': ['fail', 'visit'],
  upgrade: ['visit', 'get'],
  open: ['visit', 'echo'],
  message: ['echo', 'get'],
  tick: ['echo', 'visit'],
  microtask: ['echo', 'stream'],
  timer: ['echo', 'post'],
  ping: ['echo', 'fail'],
  pong: ['echo', 'echo'],
  error: ['echo', 'get'],
  drain: ['fill', 'echo'],
  close: ['visit', 'visit'],
};
