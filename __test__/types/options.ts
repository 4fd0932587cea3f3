// The options of serve() and reload(): which go together, and what `fetch` may return.

import { type ErrorLike, type PEM, type Serve, type Server, serve, type TLSOptions, type WebSocketHandler } from 'mantou';
import { same } from './same.js';

const fetch = () => new Response('hello');

same<
  Serve.BaseOptions<string>,
  {
    error?: (this: Server<string>, error: ErrorLike) => Response | void | undefined | Promise<Response | void | undefined>;
    development?: boolean;
    tls?: TLSOptions | TLSOptions[];
    maxRequestBodySize?: number;
    id?: string | null;
  }
>();
same<
  Serve.HostnamePortOptions,
  { hostname?: string; port?: string | number; reusePort?: boolean; ipv6Only?: boolean; idleTimeout?: number; http1?: true }
>();
same<Serve.UnixOptions, { unix: string }>();
type Files = PEM | PEM[] | null;
same<PEM, string | ArrayBufferView | ArrayBuffer>();
same<
  TLSOptions,
  {
    key?: Files;
    cert?: Files;
    ca?: Files;
    crl?: Files;
    passphrase?: string | null;
    serverName?: string | null;
    servername?: string | null;
    requestCert?: boolean;
    rejectUnauthorized?: boolean | null;
    ALPNProtocols?: string | ArrayBufferView | ArrayBuffer | null;
    lowMemoryMode?: boolean;
    clientRenegotiationLimit?: number;
    clientRenegotiationWindow?: number;
  }
>();
same<
  Serve.WithoutWebSocket<string>,
  {
    fetch?: (this: Server<string>, request: Request, server: Server<string>) => Response | Promise<Response>;
    routes?: Serve.Routes<string, string, Response>;
    static?: Serve.Routes<string, string, Response>;
  }
>();
same<
  Serve.WithWebSocket<string>,
  {
    fetch?: (
      this: Server<string>,
      request: Request,
      server: Server<string>,
    ) => Response | void | undefined | Promise<Response | void | undefined>;
    routes?: Serve.Routes<string, string, Response | void | undefined>;
    static?: Serve.Routes<string, string, Response | void | undefined>;
    websocket: WebSocketHandler<string>;
  }
>();
same<Serve.ReloadOptions<string>['fetch'], Serve.WithWebSocket<string>['fetch']>();
same<Serve.ReloadOptions<string>['routes'], Serve.WithWebSocket<string>['routes']>();
same<Serve.ReloadOptions<string>['error'], Serve.BaseOptions<string>['error']>();
same<Serve.ReloadOptions<string>['websocket'], WebSocketHandler<string> | undefined>();
// Comparing functions leaves `this` out: it is compared by itself.
same<ThisParameterType<NonNullable<Serve.WithoutWebSocket<string>['fetch']>>, Server<string>>();
same<ThisParameterType<NonNullable<Serve.WithWebSocket<string>['fetch']>>, Server<string>>();
same<ThisParameterType<NonNullable<Serve.BaseOptions<string>['error']>>, Server<string>>();
same<
  typeof serve,
  <WebSocketData = undefined, Path extends string = string>(options: Serve.Options<WebSocketData, Path>) => Server<WebSocketData>
>();

/** Where it listens: an address, or a Unix socket. */
export function listens() {
  serve({ fetch });
  serve({ fetch, port: 3000, hostname: '127.0.0.1', reusePort: true, ipv6Only: false, http1: true, development: false, id: 'one' });
  serve({ fetch, port: '3000', id: null });
  serve({ fetch, idleTimeout: 30, maxRequestBodySize: 1024 });
  serve({ fetch, unix: '/tmp/socket', development: true });
  // @ts-expect-error
  serve({ fetch, unix: '/tmp/socket', hostname: 'localhost' });
  // @ts-expect-error
  serve({ fetch, unix: '/tmp/socket', port: 3000 });
  // @ts-expect-error
  serve({ fetch, unix: '/tmp/socket', reusePort: true });
  // @ts-expect-error
  serve({ fetch, unix: '/tmp/socket', ipv6Only: true });
  // @ts-expect-error
  serve({ fetch, unix: '/tmp/socket', http1: true });
  // @ts-expect-error
  serve({ fetch, unix: '/tmp/socket', idleTimeout: 10 });
  // @ts-expect-error
  serve({ fetch, unix: 5 });
  const both = { fetch, unix: '/tmp/socket', port: 3000 };
  // @ts-expect-error
  serve(both);
  // @ts-expect-error
  serve({ fetch, port: {} });
  // @ts-expect-error
  serve({ fetch, http1: false });
  // @ts-expect-error
  serve({ fetch, development: { hmr: true } });
  // @ts-expect-error a slip of the pen
  serve({ fetch, hostnam: 'localhost' });
}

export function secured() {
  serve({ fetch, tls: { key: 'PEM', cert: [Buffer.from('PEM'), 'PEM'] } });
  serve({ fetch, unix: '/tmp/s', tls: [{ key: 'PEM', cert: 'PEM' }, { serverName: '*.example.com' }] });
  // @ts-expect-error rustls has no such thing
  serve({ fetch, tls: { ciphers: 'HIGH' } });
  // @ts-expect-error a path is no key
  serve({ fetch, tls: { key: 5 } });
}

/** What mantou does not support yet is not there to be tried. */
export function refuses() {
  // @ts-expect-error
  serve({ fetch, http2: true });
}

/** Without `websocket` every request is answered with a Response. */
export function answers() {
  serve({ fetch: () => new Response('') });
  serve({ fetch: async () => new Response('') });
  // @ts-expect-error there is nothing to answer with
  serve({});
  // @ts-expect-error
  serve({ port: 0 });
  // @ts-expect-error
  serve();
  // @ts-expect-error
  serve({ fetch: 'hello' });
  // @ts-expect-error
  serve({ fetch: () => 'hello' });
  // @ts-expect-error
  serve({ fetch() {} });
  // @ts-expect-error
  serve({ async fetch() {} });
  // @ts-expect-error
  serve({ fetch: (req) => (req.method === 'GET' ? new Response('') : undefined) });
}

/** With it a request may become a WebSocket. */
export function answersOrUpgrades() {
  const websocket = {};
  serve({ websocket, fetch() {} });
  serve({ websocket, async fetch() {} });
  serve({ websocket, fetch: (req, server) => (server.upgrade(req) ? undefined : new Response('')) });
  serve({ websocket, fetch: async (req, server) => (server.upgrade(req) ? undefined : new Response('')) });
  // @ts-expect-error
  serve({ websocket, fetch: () => 'hello' });
  // @ts-expect-error `fetch` upgrades, nobody else does
  serve({ websocket });
  // @ts-expect-error
  serve({ fetch, websocket: true });
  const nonsense = { fetch, websocket: true };
  // @ts-expect-error
  serve(nonsense);
  // @ts-expect-error a slip of the pen
  serve({ fetch, websocket: { mesage() {} } });
}

/** `this`, the request and the server need no types of their own. */
export const inferred = serve<string>({
  fetch(req, server) {
    same<typeof this, Server<string>>();
    same<typeof req, Request>();
    same<typeof server, Server<string>>();
  },
  error(error) {
    same<typeof this, Server<string>>();
    same<typeof error, ErrorLike>();
    return error.code === 'ENOENT' ? new Response('', { status: 404 }) : undefined;
  },
  websocket: {},
});
same<typeof inferred, Server<string>>();

export const unwilling: Serve.Options[] = [
  { fetch, error: async () => new Response('') },
  { fetch, error() {} },
  // @ts-expect-error
  { fetch, error: 'page' },
  // @ts-expect-error
  { fetch, error: () => 'page' },
];

/** reload() takes any part of the options, those without effect included. */
export function reloads(server: Server<string>, options: Serve.Options<string>) {
  server.reload({});
  server.reload({ fetch() {} });
  server.reload({ websocket: { message: (ws) => void ws.data.length } });
  server.reload({ fetch, port: 3000, unix: '/tmp/socket', development: true });
  server.reload(options);
  // @ts-expect-error
  server.reload();
  // @ts-expect-error
  server.reload({ fetch: 5 });
  // @ts-expect-error
  server.reload({ websocket: { idleTimeout: '1' } });
  // @ts-expect-error a slip of the pen
  server.reload({ fetcj() {} });
}
