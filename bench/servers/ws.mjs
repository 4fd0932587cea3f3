// @ts-check
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { WebSocketServer } from 'ws';
import { announce, collectGarbage, HELLO } from './common.mjs';

const { version } = createRequire(import.meta.url)('ws/package.json');

const server = createServer((request, response) => {
  if (request.url === '/hello') return response.end(HELLO);
  if (request.url === '/gc') {
    collectGarbage();
    return response.end('done');
  }
  response.writeHead(400).end('a WebSocket server');
});

/** @type {Set<import('ws').WebSocket>} */
const room = new Set();

const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on('connection', (ws, request) => {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  if (url.pathname !== '/chat') {
    ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
    return;
  }
  const name = url.searchParams.get('name');
  room.add(ws);
  ws.on('close', () => room.delete(ws));
  ws.on('message', (data) => {
    const line = `${name}: ${data}`;
    for (const member of room) member.send(line);
  });
});

server.listen(0, '127.0.0.1', 4096, () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  announce(port, `ws ${version}`);
});
