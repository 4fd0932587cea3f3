// @ts-check
// node:http by itself, over HTTP only.

import { createServer } from 'node:http';
import { announce, HELLO, MEGABYTE } from './common.mjs';

/** @typedef {import('node:http').IncomingMessage} Request */
/** @typedef {import('node:http').ServerResponse} Response */

/** @type {Record<string, (request: Request, response: Response) => void>} */
const pages = {
  '/hello': (_, response) => answer(response, 'text/plain;charset=utf-8', HELLO),
  '/download': (_, response) => answer(response, 'application/octet-stream', MEGABYTE),
  '/json': (request, response) => {
    /** @type {Buffer[]} */
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => answer(response, 'application/json', JSON.stringify(JSON.parse(Buffer.concat(pieces).toString()))));
  },
};

/** @type {(response: Response, type: string, content: string | Uint8Array) => void} */
function answer(response, type, content) {
  response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(content) }).end(content);
}

const server = createServer((request, response) => {
  const page = pages[request.url ?? ''];
  if (page === undefined) response.writeHead(404).end();
  else page(request, response);
});

server.listen(0, '127.0.0.1', 4096, () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  announce({ plain: port }, 'node:http');
});
