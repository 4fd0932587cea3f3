// @ts-check
// HTTP/1.1 by the byte, on top of RawClient: requests as they go out, responses with their framing taken apart.
//
//   const { client, response } = await exchange(server, request('GET', '/'));
//   response.status, response.header('content-type'), response.body, response.chunks (null unless chunked), response.raw

import { RawClient } from './raw-client.mjs';

/**
 * A response whole: `chunks` are those of a chunked body, null for any other.
 * @typedef {import('./raw-client.mjs').Response & { chunks: Buffer[] | null, text: string }} WholeResponse
 */

/** @typedef {{ address?: import('../../index.js').Server['address'], port: number | undefined }} Address of a server */

/**
 * The bytes of a request. A body gets its Content-Length unless `headers` say how it is framed.
 * @param {string} method
 * @param {string} path
 * @param {import('./raw-client.mjs').Fields} [headers]
 * @param {string | Uint8Array} [body]
 */
export function request(method, path, headers = {}, body = '') {
  /** @type {import('./raw-client.mjs').Fields} */
  const fields = { Host: 'localhost', ...headers };
  const framed = Object.keys(fields).some((name) => /^(content-length|transfer-encoding)$/i.test(name));
  if (body.length > 0 && !framed) fields['Content-Length'] = Buffer.byteLength(body);
  const lines = Object.entries(fields).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}\r\n`));
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), Buffer.from(body)]);
}

/**
 * A connection to the server's port or unix socket.
 * @param {Address} server
 */
export function connectTo(server, host = '127.0.0.1') {
  return RawClient.connect(typeof server.address === 'string' ? { unix: server.address } : { port: server.port, host });
}

/**
 * One request on a connection of its own, and its response.
 * @param {Address} server
 * @param {string | Uint8Array} bytes
 */
export async function exchange(server, bytes) {
  const client = await connectTo(server);
  client.write(bytes);
  return { client, response: await readResponse(client, String(bytes).split(' ', 1)[0]) };
}

/**
 * The next response on the connection, its body whole.
 * @param {RawClient} client
 * @returns {Promise<WholeResponse>}
 */
export async function readResponse(client, method = 'GET') {
  const response = await client.response({ bodyOf: method });
  if (!isChunked(response) || method === 'HEAD') return { ...response, chunks: null, text: response.body.toString() };
  const chunks = [];
  for (let chunk = await readChunk(client); chunk.length > 0; chunk = await readChunk(client)) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  return { ...response, body, chunks, text: body.toString() };
}

/**
 * The next chunk of a chunked body; the last one is empty.
 * @param {RawClient} client
 */
export async function readChunk(client) {
  const size = Number.parseInt(await readLine(client), 16);
  const chunk = await client.take(size);
  await readLine(client);
  return chunk;
}

export const isChunked = (/** @type {import('./raw-client.mjs').Head} */ response) => response.header('transfer-encoding') === 'chunked';

/** @param {RawClient} client */
async function readLine(client) {
  let line = '';
  while (!line.endsWith('\r\n')) line += await client.take(1);
  return line.slice(0, -2);
}
