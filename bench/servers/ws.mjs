// @ts-check
// WebSockets only.

import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { createRequire } from 'node:module';
import { WebSocketServer } from 'ws';
import { announce, collectGarbage, tls } from './common.mjs';

/** @typedef {import('ws').WebSocket} WebSocket */

const { version } = createRequire(import.meta.url)('ws/package.json');

/** Who gets what is published, by topic. @type {Record<'room' | 'news', Set<WebSocket>>} */
const subscribers = { room: new Set(), news: new Set() };

/**
 * What becomes of a connection, by path; without an entry its messages go back.
 * @type {Record<string, (ws: WebSocket, url: URL) => void>}
 */
const roles = {
  '/chat': (ws, url) => {
    const name = url.searchParams.get('name');
    join('room', ws);
    ws.on('message', (message) => publish('room', `${name}: ${message}`));
  },
  '/subscribe': (ws) => join('news', ws),
  '/publish': (ws) => ws.on('message', (message, isBinary) => publish('news', isBinary ? message : message.toString())),
};

/** @type {(ws: WebSocket) => void} */
const echo = (ws) => ws.on('message', (message, isBinary) => ws.send(message, { binary: isBinary }));

const deflate = { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 };

announce(
  {
    plain: await listen(createServer(collect), false),
    compressed: await listen(createServer(), deflate),
    tls: tls && (await listen(createSecureServer({ key: tls.key, cert: tls.cert }), false)),
  },
  `ws ${version}`,
);

/**
 * @param {import('node:http').IncomingMessage} _
 * @param {import('node:http').ServerResponse} response
 */
function collect(_, response) {
  collectGarbage();
  response.end('done');
}

/**
 * Takes WebSockets on a server and returns its port.
 * @param {import('node:http').Server} server
 * @param {false | object} perMessageDeflate
 */
async function listen(server, perMessageDeflate) {
  new WebSocketServer({ server, perMessageDeflate }).on('connection', (ws, request) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    (roles[url.pathname] ?? echo)(ws, url);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', 4096, () => resolve(undefined)));
  return /** @type {import('node:net').AddressInfo} */ (server.address()).port;
}

/**
 * @param {keyof typeof subscribers} topic
 * @param {WebSocket} ws
 */
function join(topic, ws) {
  subscribers[topic].add(ws);
  ws.on('close', () => subscribers[topic].delete(ws));
}

/**
 * @param {keyof typeof subscribers} topic
 * @param {import('ws').RawData | string} message
 */
function publish(topic, message) {
  for (const subscriber of subscribers[topic]) subscriber.send(message);
}
