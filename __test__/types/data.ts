// How the type of `ws.data` is given, and where it then holds.

import { type Server, type ServerWebSocket, serve, type WebSocketHandler } from 'mantou';
import { same } from './same.js';

type Session = { user: string };

/** As a type argument. */
export const given = serve<Session>({
  fetch(req, server) {
    same<typeof server, Server<Session>>();
    if (server.upgrade(req, { data: { user: 'ada' } })) return;
    // @ts-expect-error data is missing
    server.upgrade(req);
    return new Response('');
  },
  websocket: {
    message(ws) {
      same<typeof ws, ServerWebSocket<Session>>();
      same<typeof ws.data.user, string>();
      // @ts-expect-error
      ws.data.role;
    },
  },
});
same<typeof given, Server<Session>>();

/** Carried by the handlers. */
export const carried = serve({
  fetch(req, server) {
    same<typeof server, Server<Session>>();
    if (server.upgrade(req, { data: { user: 'ada' } })) return;
    // @ts-expect-error data is missing
    server.upgrade(req);
    return new Response('');
  },
  websocket: {
    data: {} as Session,
    open(ws) {
      same<typeof ws, ServerWebSocket<Session>>();
    },
  },
});
same<typeof carried, Server<Session>>();

/** Taken from handlers that were typed elsewhere. */
const handlers: WebSocketHandler<Session> = { message: (ws) => void ws.send(ws.data.user) };
export const taken = serve({
  fetch(req, server) {
    same<typeof server, Server<Session>>();
    server.upgrade(req, { data: { user: 'ada' } });
  },
  websocket: handlers,
});
same<typeof taken, Server<Session>>();

/** Not given: there is none. */
export const none = serve({
  fetch(req, server) {
    same<typeof server, Server<undefined>>();
    server.upgrade(req);
    // @ts-expect-error
    server.upgrade(req, { data: { user: 'ada' } });
  },
  websocket: {
    message(ws) {
      same<typeof ws, ServerWebSocket<undefined>>();
      same<typeof ws.data, undefined>();
    },
  },
});
same<typeof none, Server<undefined>>();

/** Without `websocket`, too. */
export const plain = serve({ fetch: (_, server) => new Response(`${server.port}`) });
same<typeof plain, Server<undefined>>();

export const mixedUp = serve<Session>({
  fetch() {},
  // @ts-expect-error handlers for other data
  websocket: { message(_: ServerWebSocket<number>) {} },
});
