// @ts-check
// Answers: from a host `Response` (or one of the same shape) to the native side.

'use strict';

const { engine } = require('./engine.js');
const { coded } = require('./errors.js');

/**
 * Whether a value can be sent as a response: the host's, or another implementation's of the same shape.
 * @param {any} value
 */
function isResponse(value) {
  if (value instanceof Response) return true;
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof value.status === 'number' &&
    typeof value.headers?.forEach === 'function' &&
    'body' in value &&
    'bodyUsed' in value
  );
}

/**
 * Why a response cannot be sent, if it cannot.
 * @param {any} response
 * @returns {Error | undefined}
 */
function unsendable(response) {
  if (response.bodyUsed) {
    return coded(
      TypeError,
      'ERR_BODY_ALREADY_USED',
      'Response body already used. A Response body can only be sent once; create a new Response for each request.',
    );
  }
  // Bun forgets the type of a body that is looked at: it is not looked at where it is no stream.
  if (!isBuffered(response) && response.body?.locked)
    return coded(Error, 'ERR_STREAM_CANNOT_PIPE', 'Stream already used, please create a new one');
  if (response.status === 0) {
    return new Error('Cannot send a Response with status 0. Response.error() is for fetch() and cannot be sent to a client.');
  }
  return undefined;
}

/**
 * The fields of a response as `name LF value LF …`, `set-cookie` lines first.
 * @param {any} headers
 */
function joinFields(headers) {
  let cookies = '';
  let fields = '';
  headers.forEach((/** @type {string} */ value, /** @type {string} */ name) => {
    if (name.toLowerCase() === 'set-cookie') cookies += `${name}\n${value}\n`;
    else fields += `${name}\n${value}\n`;
  });
  return cookies + fields;
}

/**
 * What the handler of a route has set and deleted in `req.cookies`, as fields.
 * @param {InstanceType<typeof import('./request.js').Exchange>} exchange
 */
function cookieFields({ cookies }) {
  if (cookies === undefined) return '';
  return cookies
    .toSetCookieHeaders()
    .map((line) => `set-cookie\n${line}\n`)
    .join('');
}

/**
 * Sends a response.
 * @param {InstanceType<typeof import('./request.js').Exchange>} exchange
 * @param {any} response
 */
function sendResponse(exchange, response) {
  const native = engine();
  const { key } = exchange;
  exchange.isAnswered = true;
  const fields = joinFields(response.headers) + cookieFields(exchange);
  const head = /** @type {const} */ ([key, response.status, response.statusText ?? '', fields]);
  if (isBuffered(response)) {
    sendBuffered(exchange, head, response);
    return;
  }
  const stream = response.body;
  if (stream === null || stream === undefined) native.respond(...head, null);
  else sendBody(exchange, head, stream);
}

/**
 * Whether Bun's own `Response` holds its body as a whole: its type and length are known to Bun alone, which tells them only when it
 * shows the response. Elsewhere, or if it ever shows it differently, the body is read as a stream.
 * @param {any} response
 */
function isBuffered(response) {
  const bun = /** @type {any} */ (globalThis).Bun;
  return bun !== undefined && response instanceof Response && /\n {2}Blob \(/.test(bun.inspect(response));
}

/**
 * Sends a body that is there as a whole.
 * @param {InstanceType<typeof import('./request.js').Exchange>} exchange
 * @param {readonly [number, number, string, string]} head
 * @param {Response} response
 */
function sendBuffered(exchange, [key, status, phrase, fields], response) {
  const native = engine();
  response
    .blob()
    .then(async (blob) => {
      const type = blob.type === '' || /(?:^|\n)content-type\n/i.test(fields) ? '' : `content-type\n${blob.type}\n`;
      native.respond(key, status, phrase, fields + type, await blob.arrayBuffer());
    })
    .catch(() => native.failBody(exchange.key));
}

/**
 * Sends a text without a `Response`.
 * @param {InstanceType<typeof import('./request.js').Exchange>} exchange
 * @param {number} status
 * @param {string | null} type
 * @param {string | null} body
 */
function sendText(exchange, status, type, body) {
  exchange.isAnswered = true;
  engine().respond(exchange.key, status, '', type === null ? '' : `content-type\n${type}\n`, body);
}

/** Bytes read at once before a body counts as one that goes out piece by piece. */
const HELD = 64 * 1024;

/**
 * Sends a body. One that ends before the event loop turns gets a Content-Length, any other goes out piece by piece. The head waits
 * for the first piece: a stream that fails before it leaves the peer without any answer rather than with half of one.
 * @param {InstanceType<typeof import('./request.js').Exchange>} exchange
 * @param {readonly [number, number, string, string]} head
 * @param {ReadableStream} stream
 */
function sendBody(exchange, head, stream) {
  const native = engine();
  const { key } = exchange;
  const reader = stream.getReader();
  /** Pieces read before the head is out. @type {(Uint8Array | ArrayBuffer)[] | undefined} */
  let held = [];
  let heldBytes = 0;
  let isOver = false;
  let isLate = false;

  /** The event loop has turned: this is a body that goes out piece by piece. */
  const late = setImmediate(() => {
    isLate = true;
    if (exchange.method === 'HEAD') sendHeadOnly();
    else if (held !== undefined && heldBytes > 0) begin();
  });

  const begin = () => {
    const pieces = held ?? [];
    held = undefined;
    native.respondStream(...head);
    for (const piece of pieces) native.writeBody(key, piece);
  };
  /** The answer to HEAD has the fields of the answer to GET, as far as they are known. */
  const sendHeadOnly = () => {
    native.respondStream(...head);
    cancel(undefined);
    native.endBody(key);
  };
  let isReading = false;
  const read = () => {
    if (isReading) return;
    isReading = true;
    reader.read().then(take, fail);
  };
  /** @param {ReadableStreamReadResult<unknown>} result */
  const take = ({ done, value }) => {
    isReading = false;
    if (isOver) return;
    if (done) {
      finish();
      if (held === undefined) native.endBody(key);
      else native.respond(...head, join(held));
      return;
    }
    const piece = typeof value === 'string' ? Buffer.from(value) : value;
    if (!ArrayBuffer.isView(piece) && !(piece instanceof ArrayBuffer)) {
      const error = new TypeError('The body of a Response yields strings and bytes only');
      reader.cancel(error).catch(ignore);
      fail();
      return;
    }
    if (held === undefined) {
      if (native.writeBody(key, piece) === 1) read();
      return;
    }
    held.push(/** @type {Uint8Array} */ (piece));
    heldBytes += piece.byteLength;
    // One big piece may be all there is.
    if ((isLate && heldBytes > 0) || (heldBytes > HELD && held.length > 1)) begin();
    read();
  };
  const finish = () => {
    isOver = true;
    exchange.answer = undefined;
    clearImmediate(late);
  };
  const fail = () => {
    if (isOver) return;
    finish();
    native.failBody(key);
  };
  /** @param {unknown} reason */
  const cancel = (reason) => {
    finish();
    // What the source's cancel() throws is its own affair: nobody waits for the body any more.
    reader.cancel(reason).catch(ignore);
  };
  exchange.answer = { resume: read, cancel };
  exchange.watch();
  read();
}

const ignore = () => {};

/**
 * @param {(Uint8Array | ArrayBuffer)[]} pieces
 */
function join(pieces) {
  if (pieces.length === 1) return pieces[0];
  return Buffer.concat(pieces.map((piece) => (ArrayBuffer.isView(piece) ? asBuffer(piece) : Buffer.from(piece))));
}

/** @param {ArrayBufferView} view */
function asBuffer(view) {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

module.exports = { cookieFields, isBuffered, isResponse, joinFields, sendResponse, sendText, unsendable };
