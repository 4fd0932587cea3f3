// Every member of Server.

import type { BufferSource, Serve, Server, SocketAddress, StopOptions, WebSocketHandler } from 'mantou';
import { same } from './same.js';

type Session = { user: string };
type Sessions = Server<Session>;

same<
  keyof Sessions,
  | 'stop'
  | 'reload'
  | 'fetch'
  | 'upgrade'
  | 'publish'
  | 'subscriberCount'
  | 'requestIP'
  | 'timeout'
  | 'closeIdleConnections'
  | 'ref'
  | 'unref'
  | 'pendingRequests'
  | 'pendingWebSockets'
  | 'url'
  | 'port'
  | 'hostname'
  | 'address'
  | 'protocol'
  | 'development'
  | 'id'
  | typeof Symbol.dispose
  | typeof Symbol.asyncDispose
>();

same<Sessions['stop'], (how?: boolean | StopOptions) => Promise<void>>();
same<StopOptions, { code?: number; reason?: string; timeout?: number }>();
same<Sessions[typeof Symbol.dispose], () => void>();
same<Sessions[typeof Symbol.asyncDispose], () => Promise<void>>();
same<Sessions['reload'], <Path extends string = string>(options: Serve.ReloadOptions<Session, Path>) => Sessions>();
same<Sessions['fetch'], (request: Request | string) => Promise<Response>>();
same<Sessions['publish'], (topic: string, data: string | BufferSource, compress?: boolean) => number>();
same<Sessions['subscriberCount'], (topic: string) => number>();
same<Sessions['requestIP'], (request: Request) => SocketAddress | null>();
same<Sessions['timeout'], (request: Request, seconds: number) => void>();
same<Sessions['closeIdleConnections'], () => number>();
same<Sessions['ref'], () => Sessions>();
same<Sessions['unref'], () => Sessions>();
same<Pick<Sessions, 'pendingRequests'>, { readonly pendingRequests: number }>();
same<Pick<Sessions, 'pendingWebSockets'>, { readonly pendingWebSockets: number }>();
same<Pick<Sessions, 'url'>, { readonly url: URL }>();
same<Pick<Sessions, 'port'>, { readonly port: number | undefined }>();
same<Pick<Sessions, 'hostname'>, { readonly hostname: string | undefined }>();
same<Pick<Sessions, 'address'>, { readonly address: { address: string; family: 'IPv4' | 'IPv6'; port: number } | string | null }>();
same<Pick<Sessions, 'protocol'>, { readonly protocol: 'http' | 'https' }>();
same<Pick<Sessions, 'development'>, { readonly development: boolean }>();
same<Pick<Sessions, 'id'>, { readonly id: string }>();

type Headings = Headers | Record<string, string> | Iterable<readonly [string, string]>;
same<Parameters<Server['upgrade']>, [request: Request, options?: { headers?: Headings; protocol?: string | false; data?: undefined }]>();
same<Parameters<Sessions['upgrade']>, [request: Request, options: { headers?: Headings; protocol?: string | false; data: Session }]>();
same<ReturnType<Sessions['upgrade']>, boolean>();

/** Handlers of an upgrade go with its data, whatever the server's are. */
export function upgradesWithHandlers(server: Server, sessions: Sessions, req: Request) {
  const chat: WebSocketHandler<{ room: string }> = { message: (ws) => void ws.send(ws.data.room) };
  server.upgrade(req, { websocket: {} });
  server.upgrade(req, { websocket: chat, data: { room: 'tea' }, headers: {}, protocol: false });
  sessions.upgrade(req, { websocket: chat, data: { room: 'tea' } });
  // @ts-expect-error
  server.upgrade(req, { websocket: chat });
  // @ts-expect-error
  server.upgrade(req, { websocket: chat, data: { user: 'ada' } });
  // @ts-expect-error
  server.upgrade(req, { websocket: 5 });
  server.upgrade(req, {
    data: { user: 'ada' },
    websocket: {
      open: (ws) => {
        same<typeof ws.data, { user: string }>();
      },
    },
  });
}

/** A server without data upgrades without. */
export function upgrades(server: Server, req: Request) {
  server.upgrade(req);
  server.upgrade(req, {});
  server.upgrade(req, { headers: new Headers(), data: undefined });
  server.upgrade(req, { headers: [['Set-Cookie', 'a=1']] });
  server.upgrade(req, { headers: new Map([['x-own', 'yes']]) });
  // @ts-expect-error no data of any kind
  server.upgrade(req, { data: { user: 'ada' } });
  // @ts-expect-error
  server.upgrade(req, { headers: 'x-own: yes' });
  // @ts-expect-error
  server.upgrade('/chat');
  // @ts-expect-error
  server.upgrade();
}

/** One with data always with. */
export function upgradesWithData(server: Sessions, req: Request) {
  server.upgrade(req, { data: { user: 'ada' } });
  // @ts-expect-error
  server.upgrade(req);
  // @ts-expect-error
  server.upgrade(req, {});
  // @ts-expect-error
  server.upgrade(req, { headers: {} });
  // @ts-expect-error
  server.upgrade(req, { data: {} });
  // @ts-expect-error
  server.upgrade(req, { data: { user: 'ada', role: 'none' } });
  // @ts-expect-error
  server.upgrade(req, { data: undefined });
}

/** Data may be a union, and may be left out where its type allows undefined. */
export function upgradesWithOddData(
  union: Server<{ kind: 'guest' } | { kind: 'member'; id: number }>,
  optional: Server<Session | undefined>,
  flag: Server<boolean>,
  unknown: Server<unknown>,
  req: Request,
  data: { kind: 'guest' } | { kind: 'member'; id: number },
) {
  union.upgrade(req, { data });
  union.upgrade(req, { data: { kind: 'guest' } });
  // @ts-expect-error
  union.upgrade(req, { data: { kind: 'member' } });
  // @ts-expect-error
  union.upgrade(req);
  optional.upgrade(req);
  optional.upgrade(req, { data: { user: 'ada' } });
  // @ts-expect-error
  optional.upgrade(req, { data: 5 });
  flag.upgrade(req, { data: req.method === 'GET' });
  unknown.upgrade(req);
  unknown.upgrade(req, { data: 5 });
}

export function uses(server: Server, req: Request) {
  const chained = server.unref().ref().port;
  same<typeof chained, number | undefined>();
  const { address, port, family } = server.requestIP(req) ?? { address: '', port: 0, family: 'IPv4' };
  // @ts-expect-error there may be none
  server.requestIP(req).address;
  // @ts-expect-error read-only
  server.port = 1;
  // @ts-expect-error read-only
  server.url = new URL('http://localhost/');
  // @ts-expect-error
  server.publish('room');
  // @ts-expect-error a URL is given as a string
  server.fetch(new URL('http://localhost/'));
  // @ts-expect-error
  server.stop('now');
  // @ts-expect-error a reason is text
  server.stop({ reason: 1001 });
  return [address, port, family];
}

/** It ends with its block. */
export async function disposes(started: Server) {
  using server = started;
  await server.fetch('/');
}

/** Or is waited for there. */
export async function disposesAndWaits(started: Server) {
  await using server = started;
  await server.fetch('/');
}
