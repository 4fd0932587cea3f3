// @ts-check
// The benchmark's application, once for `Bun.serve` and mantou: echo at /, a chat room at /chat?name=…, and over HTTP /hello and /gc.

import { collectGarbage, HELLO } from './common.mjs';

/**
 * The options of `serve()`.
 * @param {typeof globalThis.Response} Response the server's own, if it has one
 */
export function application(Response) {
  return {
    port: 0,
    hostname: '127.0.0.1',
    /** @type {(request: Request, server: any) => Response | undefined} */
    fetch(request, server) {
      const url = new URL(request.url);
      if (url.pathname === '/hello') return new Response(HELLO);
      if (url.pathname === '/gc') {
        collectGarbage();
        return new Response('done');
      }
      const name = url.pathname === '/chat' ? url.searchParams.get('name') : null;
      if (server.upgrade(request, { data: { name } })) return undefined;
      return new Response('a WebSocket server', { status: 400 });
    },
    websocket: {
      publishToSelf: true,
      perMessageDeflate: false,
      /** @param {any} ws */
      open(ws) {
        if (ws.data.name !== null) ws.subscribe('room');
      },
      /** @type {(ws: any, message: string | Uint8Array) => void} */
      message(ws, message) {
        if (ws.data.name === null) ws.send(message);
        else ws.publish('room', `${ws.data.name}: ${message}`);
      },
    },
  };
}
