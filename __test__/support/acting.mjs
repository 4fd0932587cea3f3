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

export const HANDLERS = ['open', 'message', 'close', 'drain', 'ping', 'pong', 'error', 'fetch'];

/** Makes the named handler of a connected socket run. */
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

/** A server with handlers of which the one called `name` runs `act(ws, server)`, once: `{ start(), ran, closes, socket() }`. */
export function acting(name, act) {
  const ran = calls(name);
  const closes = calls('close');
  let server;
  let opened;
  const once = (at, ws) => {
    if (at !== name || ran.all.length > 0) return;
    ran();
    act(ws, server);
  };
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
