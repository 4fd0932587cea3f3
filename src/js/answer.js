// @ts-check
// Answers: from a response - ours, the host's, or another implementation's of the same shape - to the native side.

'use strict';

const { engine } = require('./engine.js');
const { coded } = require('./errors.js');
const { field, findField, isField, joinFields } = require('./fields.js');
const { startOfPart } = require('./file.js');
const { hasContent, plain, take } = require('./response.js');
const { discard, StreamedAnswer } = require('./streamed-answer.js');

const bun = process.versions.bun === undefined ? undefined : /** @type {any} */ (globalThis).Bun;

/** @typedef {InstanceType<typeof import('./exchange.js').Exchange>} Exchange */
/** @typedef {import('./streamed-answer.js').Head} Head */

/**
 * Whether a value has what is sent of a response. A Proxy of one has not: its parts cannot be read.
 * @param {any} value
 */
function isResponse(value) {
  if (typeof value !== 'object' || value === null) return false;
  try {
    const { status, headers, bodyUsed } = value;
    return typeof status === 'number' && typeof headers?.forEach === 'function' && bodyUsed !== undefined && 'body' in value;
  } catch {
    return false;
  }
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
  // A body that is looked at becomes a stream, and Bun forgets its type: it is not looked at where it is none.
  if (plain(response) === undefined && heldAs(response) === undefined && response.body?.locked)
    return coded(Error, 'ERR_STREAM_CANNOT_PIPE', 'Stream already used, please create a new one');
  const { status } = response;
  if (status === 0) {
    return new Error(
      'Cannot send a Response with status 0. HTTP status codes must be between 100 and 999 (Response.error() returns status 0).',
    );
  }
  // What the classes of hosts make is among these.
  if (!Number.isInteger(status) || (status < 200 && status !== 101) || status > 999)
    return new Error(`Cannot send a Response with status ${status}. The status of an answer is 101, or between 200 and 999.`);
  return undefined;
}

/**
 * What takes an error over while a response can still be another one: for a Blob that cannot be read.
 * @typedef {(state: any, exchange: Exchange, error: unknown) => void} Fail
 */

/**
 * Sends a response. `fail` hears why it cannot be sent, if it cannot.
 * @param {Exchange} exchange
 * @param {any} response
 * @param {Fail} fail
 */
function send(exchange, response, fail) {
  try {
    const problem = unsendable(response);
    if (problem !== undefined) throw problem;
    sendResponse(exchange, response, fail);
  } catch (error) {
    fail(exchange.server, exchange, error);
  }
}

/**
 * @param {Exchange} exchange
 * @param {any} response
 * @param {Fail} fail
 */
function sendResponse(exchange, response, fail) {
  exchange.isAnswered = true;
  const fields = joinFields(response.headers) + cookieFields(exchange);
  const head = /** @type {Head} */ ([response.status, response.statusText || undefined, fields]);
  const held = heldAs(response);
  if (!hasContent(response.status)) {
    exchange.respond(...head, null);
    // What is held can be sent again.
    if (held === undefined && response.body) discard(response.body, fields);
    return;
  }
  if (held !== undefined) {
    sendHeld(exchange, head, response, held === 'FileRef', fail);
    return;
  }
  const stream = response.body;
  if (stream === null || stream === undefined) exchange.respond(...head, null);
  else new StreamedAnswer(exchange, head, stream);
}

/**
 * Sends a response of ours whose content is at hand. Returns false for any other value.
 * @param {Exchange} exchange
 * @param {unknown} value
 * @param {Fail} fail
 */
function sendPlain(exchange, value, fail) {
  const response = exchange.socket === undefined ? take(value) : undefined;
  if (response === undefined) return false;
  exchange.isAnswered = true;
  const { status, statusText, content } = response;
  const fields = exchange.cookies === undefined ? response.fields : response.fields + cookieFields(exchange);
  if (content instanceof Blob) {
    sendBlob(exchange, [status, statusText || undefined, fields], content, fail);
    return true;
  }
  const isUntyped = content instanceof Uint8Array && content.length > 0 && findField(fields, 'content-type') === undefined;
  exchange.respond(status, statusText || undefined, isUntyped ? fields + OCTETS : fields, content);
  if (content instanceof Uint8Array && content.length >= LARGE) engine().freeBytes(content.buffer);
  return true;
}

/**
 * Sends a Blob, which may be a file: as much of it as is asked for, if it is asked for at all. A part of a file is what is asked for, and says
 * which part it is.
 * @param {Exchange} exchange
 * @param {Head} head
 * @param {Blob} blob
 * @param {Fail} fail
 */
function sendBlob(exchange, head, blob, fail) {
  const onFailure = (/** @type {unknown} */ error) => fail(exchange.server, exchange, error);
  const [status, , fields] = head;
  // A form has another boundary each time: there are no parts of it to put together.
  const isForm = findField(fields, 'content-type')?.startsWith('multipart/form-data');
  const isWhole = status === 200 && findField(fields, 'content-range') === undefined && !isForm;
  const first = status === 200 || status === 206 ? startOfPart(blob) : undefined;
  if (first !== undefined && exchange.method !== 'HEAD') {
    const range = field('content-range', `bytes ${first}-${first + blob.size - 1}/*`);
    const ranged = findField(fields, 'content-range') === undefined ? fields + range : fields;
    new StreamedAnswer(exchange, [206, undefined, ranged], blob.stream(), blob.size, onFailure);
    return;
  }
  const validator = (/** @type {string} */ name) => findField(fields, name) ?? '';
  const [selected, start, end] = isWhole ? engine().select(exchange.key, validator('etag'), validator('last-modified'), blob.size) : [200];
  switch (selected) {
    case 206: {
      const range = field('content-range', `bytes ${start}-${end - 1}/${blob.size}`);
      const part = blob.slice(start, end);
      new StreamedAnswer(exchange, [206, undefined, withRange(fields, range)], part.stream(), part.size, onFailure);
      break;
    }
    case 416:
      exchange.respond(416, undefined, withRange(fields, field('content-range', `bytes */${blob.size}`)), null);
      break;
    case 304:
    case 412:
      exchange.respond(selected, undefined, fields, null);
      break;
    default:
      new StreamedAnswer(exchange, head, blob.stream(), blob.size, onFailure);
  }
}

/**
 * @param {string} fields
 * @param {string} range
 */
function withRange(fields, range) {
  return fields + range + field('accept-ranges', 'bytes');
}

/**
 * What the handler of a route has set and deleted in `req.cookies`, as fields.
 * @param {Exchange} exchange
 */
function cookieFields({ cookies }) {
  if (cookies === undefined) return '';
  return cookies
    .toSetCookieHeaders()
    .map((line) => (isField('set-cookie', line) ? field('set-cookie', line) : ''))
    .join('');
}

/**
 * Bytes of a content from which on its memory is given back at once: to wait for the garbage collector, and to have other memory for the
 * next one, costs more than to send them.
 */
const LARGE = 16 * 1024;

/** What bytes are when nobody says. */
const OCTETS = field('content-type', 'application/octet-stream');

/**
 * How Bun's own `Response` holds a body that is no stream: 'Blob' as a whole, 'FileRef' as a file. Its type and length are known to Bun alone,
 * which tells them only when it shows the response. Elsewhere, or if it ever shows it differently, the body is read as a stream.
 * @param {any} response
 * @returns {string | undefined}
 */
function heldAs(response) {
  if (bun === undefined || !(response instanceof Response)) return undefined;
  return /\n {2}(Blob|FileRef) \(/.exec(bun.inspect(response))?.[1];
}

/**
 * Whether Bun's own `Response` holds its body as a whole. One that is empty, or still on its way to `fetch()`, it does not show at all.
 * @param {any} response
 */
function isBuffered(response) {
  return bun !== undefined && response instanceof Response && /\n {2}(?:Blob \(|bodyUsed: false\n\}$)/.test(bun.inspect(response));
}

/**
 * Sends a body of Bun's that is no stream.
 * @param {Exchange} exchange
 * @param {Head} head
 * @param {Response} response
 * @param {boolean} isFile
 * @param {Fail} fail
 */
function sendHeld(exchange, [status, phrase, fields], response, isFile, fail) {
  response
    .blob()
    .then(async (blob) => {
      const type = blob.type === '' || findField(fields, 'content-type') !== undefined ? '' : field('content-type', blob.type);
      if (isFile) sendBlob(exchange, [status, phrase, fields + type], blob, fail);
      else exchange.respond(status, phrase, fields + type, await blob.arrayBuffer());
    })
    .catch((error) => fail(exchange.server, exchange, error));
}

/**
 * Sends a text without a `Response`.
 * @param {Exchange} exchange
 * @param {number} status
 * @param {string | null} type
 * @param {string | null} body
 */
function sendText(exchange, status, type, body) {
  exchange.respond(status, undefined, type === null ? '' : field('content-type', type), body);
}

module.exports = { cookieFields, isBuffered, isResponse, send, sendPlain, sendText, unsendable };
