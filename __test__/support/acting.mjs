// @ts-check
// Something done from inside a handler, whichever one: how to make each of them run, and a server that acts in it.
//
//   const { start, ran, socket } = acting('ping', (ws, server) => server.stop(true));
//   const client = await RawClient.open({ port: start().port });
//   await PROVOKE.ping({ client, ws: socket() });
//   await ran.next();

import assert from 'node:assert/strict';
import { calls } from './calls.mjs';
import { MORE_THAN_A_SOCKET_TAKES, serveSockets } from './connect.mjs';
import { ping, pong, text } from './raw-client.mjs';

/** @typedef {import('./connect.mjs').Socket} Socket */
/** @typedef {import('../../index.js').Server<unknown>} Server */
/** @typedef {'open' | 'message' | 'close' | 'drain' | 'ping' | 'pong' | 'error' | 'fetch'} Handler */

/** @type {Handler[]} */
export const HANDLERS = ['open', 'message', 'close', 'drain', 'ping', 'pong', 'error', 'fetch'];

/**
 * Makes the named handler of a connected socket run.
 * @type {Record<Handler, (connection: { client: import('./raw-client.mjs').RawClient, ws: Socket }) => unknown>}
 */
export const PROVOKE = {
  open: () => {},
  message: ({ client }) => client.write(text('a')),
  close: ({ client }) => client.halfClose(),
  ping: ({ client }) => client.write(ping('p')),
  pong: ({ client }) => client.write(pong('p')),
  error: ({ client }) => client.write(text('throw')),
  fetch: () => {},
  async drain({ client, ws }) {
    client.pause();
    assert.equal(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES)), -1);
    client.resume();
  },
};

/**
 * A server with handlers of which the one called `name` runs `act(ws, server)`, once: `{ start(), ran, closes, socket() }`.
 * @param {Handler} name
 * @param {(ws: Socket, server: Server) => void} act
 */
export function acting(name, act) {
  const ran = calls(name);
  /** @type {import('./calls.mjs').Calls<[code: number]>} */
  const closes = calls('close');
  /** @type {Server} */
  let server;
  /** @type {Socket} */
  let opened;
  const once = (/** @type {Handler} */ at, /** @type {Socket} */ ws) => {
    if (at !== name || ran.all.length > 0) return;
    ran();
    act(ws, server);
  };
  /** @type {import('./connect.mjs').Handlers} */
  const websocket = {
    open(ws) {
      opened = ws;
      once('open', ws);
    },
    message(ws, message) {
      once('message', ws);
      if (message === 'throw') throw new Error('for the error handler');
      ws.send(`re:${message}`);
    },
    close(ws, code) {
      closes(code);
      once('close', ws);
    },
    drain: (ws) => once('drain', ws),
    ping: (ws) => once('ping', ws),
    pong: (ws) => once('pong', ws),
    error: (_error, ws) => once('error', ws),
  };
  const start = () => {
    server = serveSockets(websocket, {
      fetch(req, own) {
        if (!own.upgrade(req)) return new Response('plain');
        once('fetch', opened);
      },
    });
    return server;
  };
  return { start, ran, closes, socket: () => opened };
}
