// @ts-check
// The benchmark's application for everybody whose handler is a `fetch`: Bun, mantou and @hono/node-server.

import { collectGarbage, HELLO, MEGABYTE, tls } from './common.mjs';

/** @typedef {{ port: number, publish(topic: string, message: string | Uint8Array): number, upgrade(request: Request, options: object): boolean }} Server */

/**
 * What there is over HTTP, by path.
 * @param {typeof globalThis.Response} Response the server's own, if it has one
 * @returns {Record<string, (request: Request) => Response | Promise<Response>>}
 */
export function pages(Response) {
  return {
    '/hello': () => new Response(HELLO),
    '/host': () => new globalThis.Response(HELLO),
    '/json': async (request) => Response.json(await request.json()),
    '/download': () => new Response(MEGABYTE),
    '/gc': () => {
      collectGarbage();
      return new Response('done');
    },
  };
}

/** The path of a URL that has nothing behind it. @param {string} url */
export const pathOf = (url) => url.slice(url.indexOf('/', 'https://'.length));

/**
 * Starts the servers of a `serve()` like Bun's and returns where they listen.
 * @param {(options: any) => Server} serve
 * @param {typeof globalThis.Response} Response
 */
export function start(serve, Response) {
  const paths = pages(Response);
  const notFound = () => new Response('', { status: 404 });

  /** What becomes of a message, by the path of the WebSocket; without an entry it goes back. @type {Record<string, (ws: any, message: any) => void>} */
  const hear = {
    '/chat': (ws, message) => ws.publish('room', `${ws.data.name}: ${message}`),
    '/publish': (_, message) => plain.publish('news', message),
  };
  /** @type {Record<string, string>} */
  const topics = { '/chat': 'room', '/subscribe': 'news' };
  /** @param {boolean} compress */
  const echo = (compress) => (/** @type {any} */ ws, /** @type {any} */ message) => ws.send(message, compress);

  const options = (compress = false) => ({
    port: 0,
    hostname: '127.0.0.1',
    /** @type {(request: Request, server: Server) => Response | Promise<Response> | undefined} */
    fetch(request, server) {
      const page = paths[pathOf(request.url)];
      if (page !== undefined) return page(request);
      if (request.headers.get('upgrade') === null) return notFound();
      const { pathname, searchParams } = new URL(request.url);
      const data = { hear: hear[pathname] ?? echo(compress), topic: topics[pathname], name: searchParams.get('name') };
      return server.upgrade(request, { data }) ? undefined : new Response('', { status: 400 });
    },
    websocket: {
      publishToSelf: true,
      perMessageDeflate: compress,
      /** @param {any} ws */
      open(ws) {
        if (ws.data.topic !== undefined) ws.subscribe(ws.data.topic);
      },
      /** @type {(ws: any, message: string | Uint8Array) => void} */
      message(ws, message) {
        ws.data.hear(ws, message);
      },
    },
  });

  const plain = serve(options());
  return {
    plain: plain.port,
    compressed: serve(options(true)).port,
    routed: serve({ ...options(), routes: { '/static': new Response(HELLO) } }).port,
    tls: tls && serve({ ...options(), tls: { key: tls.key, cert: tls.cert } }).port,
  };
}
