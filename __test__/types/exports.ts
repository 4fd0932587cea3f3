// What can be imported, and how.

import type Bun from 'mantou';
import type {
  BufferSource,
  ErrorLike,
  Serve,
  Server,
  ServerWebSocket,
  ServerWebSocketSendStatus,
  SocketAddress,
  WebSocketCompressor,
  WebSocketHandler,
  WebSocketReadyState,
} from 'mantou';
import {
  type Cookie as CookieClass,
  type CookieMap as CookieMapClass,
  Request,
  Response,
  ServerWebSocket as SocketClass,
  type serve,
} from 'mantou';
import type { installed } from 'mantou/register';

import mantou = require('mantou');

import { same } from './same.js';

same<typeof Bun.serve, typeof serve>();
same<typeof mantou.serve, typeof serve>();
same<typeof mantou.default, typeof Bun>();
same<typeof Bun.ServerWebSocket, typeof SocketClass>();
same<typeof Bun.Cookie, typeof CookieClass>();
same<typeof Bun.CookieMap, typeof CookieMapClass>();
same<keyof typeof Bun, 'Request' | 'Response' | 'serve' | 'ServerWebSocket' | 'Cookie' | 'CookieMap'>();
same<keyof typeof mantou, 'Request' | 'Response' | 'serve' | 'ServerWebSocket' | 'Cookie' | 'CookieMap' | 'default'>();

// They are classes like the global ones, and their objects of the global types.
same<Request, globalThis.Request>();
same<Response, globalThis.Response>();
export const likeTheHosts: typeof globalThis.Response = Response;
class Teapot extends Response {}
export const answered: globalThis.Response[] = [new Response('x'), Response.json({}), Response.json({}, 404), new Teapot(null)];
export const moved: globalThis.Response[] = [
  Response.redirect('/a'),
  Response.redirect(new URL('http://a'), 307),
  Response.redirect('/a', { status: 303, headers: { a: 'b' } }),
];
export const asked: globalThis.Request = new Request('http://a/');

same<(typeof installed)[number], 'Request' | 'Response' | 'fetch' | 'CloseEvent' | 'Bun'>();

same<ServerWebSocketSendStatus, number>();
same<WebSocketReadyState, 0 | 1 | 2 | 3>();
same<BufferSource, ArrayBufferView | ArrayBuffer | SharedArrayBuffer>();
same<SocketAddress, { address: string; port: number; family: 'IPv4' | 'IPv6' }>();
same<WebSocketCompressor, 'disable' | 'shared' | 'dedicated' | '3KB' | '4KB' | '8KB' | '16KB' | '32KB' | '64KB' | '128KB' | '256KB'>();
same<ErrorLike['code'], string | undefined>();
same<ErrorLike['errno'], number | undefined>();
same<ErrorLike['syscall'], string | undefined>();
same<Exclude<keyof ErrorLike, keyof Error>, 'code' | 'errno' | 'syscall'>();

// Without a type argument there is no data.
same<Server, Server<undefined>>();
same<ServerWebSocket, ServerWebSocket<undefined>>();
same<WebSocketHandler, WebSocketHandler<undefined>>();
same<Serve.Options, Serve.Options<undefined>>();
same<Serve.ReloadOptions, Serve.ReloadOptions<undefined>>();
same<Serve.BaseOptions, Serve.BaseOptions<undefined>>();
same<Serve.WithWebSocket, Serve.WithWebSocket<undefined>>();
same<Serve.WithoutWebSocket, Serve.WithoutWebSocket<undefined>>();

// @ts-expect-error what helps to write the types is not for import
export type { XOR } from 'mantou';

// @ts-expect-error only the server makes sockets
new SocketClass();
export const isSocket = (value: unknown) => (value instanceof SocketClass ? value.send('it is one') : undefined);
