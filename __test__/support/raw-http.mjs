// HTTP/1.1 by the byte, on top of RawClient: requests as they go out, responses with their framing taken apart.
//
//   const { client, response } = await exchange(server, request('GET', '/'));
//   response.status, response.header('content-type'), response.body, response.chunks (null unless chunked), response.raw

import { RawClient } from './raw-client.mjs';

/** The bytes of a request. A body gets its Content-Length unless `headers` say how it is framed. */
export function request(method, path, headers = {}, body = '') {
  const fields = { Host: 'localhost', ...headers };
  const framed = Object.keys(fields).some((name) => /^(content-length|transfer-encoding)$/i.test(name));
  if (body.length > 0 && !framed) fields['Content-Length'] = Buffer.byteLength(body);
  const lines = Object.entries(fields).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}\r\n`));
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), Buffer.from(body)]);
}

/** A connection to the server's port or unix socket. */
export function connectTo(server, host = '127.0.0.1') {
  return RawClient.connect(typeof server.address === 'string' ? { unix: server.address } : { port: server.port, host });
}

/** One request on a connection of its own, and its response. */
export async function exchange(server, bytes) {
  const client = await connectTo(server);
  client.write(bytes);
  return { client, response: await readResponse(client, String(bytes).split(' ', 1)[0]) };
}

/** The next response on the connection, its body whole. */
export async function readResponse(client, method = 'GET') {
  const response = await client.response({ bodyOf: method });
  response.chunks = null;
  if (isChunked(response) && method !== 'HEAD') {
    response.chunks = [];
    for (let chunk = await readChunk(client); chunk.length > 0; chunk = await readChunk(client)) response.chunks.push(chunk);
    response.body = Buffer.concat(response.chunks);
  }
  response.text = response.body.toString();
  return response;
}

/** The next chunk of a chunked body; the last one is empty. */
export async function readChunk(client) {
  const size = Number.parseInt(await readLine(client), 16);
  const chunk = await client.take(size);
  await readLine(client);
  return chunk;
}

export const isChunked = (response) => response.header('transfer-encoding') === 'chunked';

async function readLine(client) {
  let line = '';
  while (!line.endsWith('\r\n')) line += await client.take(1);
  return line.slice(0, -2);
}
