// @ts-check
// The usual beginning of a WebSocket test: a server that upgrades every request, and both ends of a connection to it.

import { calls } from './calls.mjs';
import { destroyClients, RawClient } from './raw-client.mjs';
import { serve, stopAll } from './target.mjs';

/** More than kernel buffers take at once: sending it always leaves a backlog. */
export const MORE_THAN_A_SOCKET_TAKES = 20 * 1024 * 1024;

/** @typedef {import('../../index.js').WebSocketHandler<unknown>} Handlers */
/** @typedef {import('../../index.js').ServerWebSocket<unknown>} Socket */
/** @typedef {{ headers?: HeadersInit, data?: unknown }} UpgradeOptions */
/** @typedef {import('./target.mjs').Options<unknown>} Options */

/**
 * A server whose `fetch` upgrades everything; `upgrade` are the options for it, the rest goes to `serve()`.
 * @param {Handlers} websocket
 * @param {Partial<Options> & { upgrade?: UpgradeOptions }} [options]
 */
export function serveSockets(websocket, { upgrade, ...options } = {}) {
  return serve(
    /** @type {Options} */ ({
      fetch(req, server) {
        if (!server.upgrade(req, upgrade)) return new Response('not upgraded', { status: 400 });
      },
      websocket,
      ...options,
    }),
  );
}

/**
 * A server and one open connection: `{ server, client, ws }`, where `ws` is the server's end. `request` is the handshake of the first one.
 * @param {Handlers} [handlers]
 * @param {Parameters<typeof serveSockets>[1] & { request?: Parameters<typeof import('./raw-client.mjs').handshake>[0] }} [options]
 */
export async function pair(handlers = {}, { request: first, ...options } = {}) {
  /** @type {import('./calls.mjs').Calls<[ws: Socket]>} */
  const opens = calls('open');
  const server = serveSockets(
    {
      ...handlers,
      open(...args) {
        opens(args[0]);
        return handlers.open?.apply(this, args);
      },
    },
    options,
  );
  /**
   * Another connection: `{ client, ws }`.
   * @param {import('./raw-client.mjs').Handshake} [request]
   */
  const connect = async (request) => {
    const client = await RawClient.open({ port: server.port, ...request });
    const [ws] = await opens.next();
    return { client, ws };
  };
  return { server, connect, ...(await connect(first)) };
}

/** `afterEach(cleanUp)`: no client and no server outlives its test. */
export async function cleanUp() {
  destroyClients();
  await stopAll();
}
