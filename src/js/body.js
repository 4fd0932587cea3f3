// @ts-check
// The body of a request, read from the connection as it is asked for.

'use strict';

const { connectionClosed } = require('./errors.js');

/** @typedef {InstanceType<typeof import('./exchange.js').Exchange>} Exchange */

/**
 * The body as a stream: a piece is taken from the connection when somebody reads.
 * @param {Exchange} exchange
 */
function bodyStream(exchange) {
  return new ReadableStream(
    {
      type: 'bytes',
      async pull(controller) {
        const piece = await exchange.readBody();
        if (piece === undefined || piece === false) {
          controller.error(failure(piece));
        } else if (piece === null) {
          controller.close();
          controller.byobRequest?.respond(0);
        } else {
          controller.enqueue(new Uint8Array(piece));
        }
      },
      cancel: () => exchange.discardBody(),
    },
    { highWaterMark: 0 },
  );
}

/**
 * The whole body.
 * @param {Exchange} exchange
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
async function wholeBody(exchange) {
  const pieces = [];
  let size = 0;
  for (;;) {
    const piece = await exchange.readBody();
    if (piece === undefined || piece === false) throw failure(piece);
    if (piece === null) break;
    pieces.push(piece);
    size += piece.byteLength;
  }
  if (pieces.length === 1) return new Uint8Array(pieces[0]);
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const piece of pieces) {
    whole.set(new Uint8Array(piece), offset);
    offset += piece.byteLength;
  }
  return whole;
}

/**
 * The whole body as bytes; at once, if it has come.
 * @param {Exchange} exchange
 */
function bytesOf(exchange) {
  const whole = exchange.takeBody(false);
  return whole === undefined ? wholeBody(exchange) : new Uint8Array(whole);
}

/**
 * The whole body as text; at once, if it has come.
 * @param {Exchange} exchange
 */
function textOf(exchange) {
  return exchange.takeBody(true) ?? wholeBody(exchange).then(decode);
}

/** @param {undefined | false} piece */
function failure(piece) {
  return piece === false ? new Error('Request body exceeded maxRequestBodySize') : connectionClosed();
}

const decoder = new TextDecoder();

/**
 * Bytes as text: without a byte order mark, and with U+FFFD for what is no UTF-8.
 * @param {Uint8Array} bytes
 */
function decode(bytes) {
  return decoder.decode(bytes);
}

module.exports = { bodyStream, bytesOf, textOf };
