// @ts-check
// The server that Autobahn tests: it sends every message back, compressed where that was agreed. Runs on mantou in Node and in Bun, and on real
// Bun.serve (MANTOU_TEST_TARGET=oracle). MANTOU_ECHO_DEFLATE is `perMessageDeflate` as JSON. Prints its address, and ends when its stdin does.

import { serve } from '../support/target.mjs';

/** @typedef {import('../../index.js').ServerWebSocket} ServerWebSocket */
/** @typedef {import('../../index.js').Server} Server */

const server = serve({
  hostname: '127.0.0.1',
  fetch(/** @type {Request} */ req, /** @type {Server} */ own) {
    if (!own.upgrade(req)) return new Response('echo\n');
  },
  websocket: {
    perMessageDeflate: JSON.parse(process.env.MANTOU_ECHO_DEFLATE ?? 'false'),
    // Group 9 has messages of 16 MiB, several on the way at once.
    maxPayloadLength: 64 * 1024 * 1024,
    backpressureLimit: 128 * 1024 * 1024,
    message(/** @type {ServerWebSocket} */ ws, /** @type {string | Buffer} */ message) {
      ws.send(message, true);
    },
  },
});
console.log(`ws://127.0.0.1:${server.port}/`);
process.stdin.resume().once('end', () => process.exit());
