// @ts-check
// The client of npm's ws, which sends fragments and pings too.

import { once } from 'node:events';
import { WebSocket } from 'ws';
import { obey } from './commands.mjs';
import { Session } from './session.mjs';

const session = new Session(/** @type {typeof globalThis.WebSocket} */ (/** @type {unknown} */ (WebSocket)));
const socket = () => /** @type {WebSocket} */ (/** @type {unknown} */ (session.socket));
await obey({
  open: (url) => session.open(url),
  echo: (kind, size, parts) =>
    session.echo(kind, size, parts, (pieces) => {
      for (const [n, piece] of pieces.entries()) socket().send(piece, { fin: n === pieces.length - 1, binary: kind === 'binary' });
    }),
  async ping(data) {
    socket().ping(data);
    const [answer] = await once(socket(), 'pong');
    return `pong ${answer}`;
  },
  close: (...args) => session.close(...args),
  wait: () => session.wait(),
});
