// @ts-check
// Requests: from a native exchange to a host `Request`, whose body and signal come to life when they are touched.

'use strict';

const { engine, events } = require('./engine.js');
const { connectionClosed } = require('./errors.js');
const { Socket } = require('./socket.js');

/** Exchanges that wait for an event, by their native number. */
const waiting = /** @type {Map<number, Exchange>} */ (new Map());

/**
 * What comes of reading a body: bytes, null at its end, undefined when the client has left, false when there are more bytes than
 * `maxRequestBodySize`.
 * @typedef {ArrayBuffer | null | undefined | false} BodyPiece
 */

/** One request and its answer, as JavaScript sees it. */
class Exchange {
  /** The `Request`'s signal, once touched. @type {AbortController | undefined} */
  controller;
  /** The WebSocket it became. @type {any} */
  socket;
  /** The answer being streamed. @type {{ cancel(reason: unknown): void, resume(): void } | undefined} */
  answer;
  /** The request's body being read. @type {((piece: BodyPiece) => void) | undefined} */
  onBody;
  /** `req.cookies`, once touched. @type {InstanceType<typeof import('./cookies.js').CookieMap> | undefined} */
  cookies;
  /** No answer is possible any more. */
  isOver = false;
  /** An answer was given. */
  isAnswered = false;
  /** The client left in the middle of the body. */
  isBroken = false;

  /**
   * @param {any} server the state of its server (`server.js`)
   * @param {number} key
   * @param {string} method
   */
  constructor(server, key, method) {
    this.server = server;
    this.key = key;
    this.method = method;
  }

  /** Asks the native side to tell how it ends. */
  watch() {
    if (this.isOver || waiting.has(this.key)) return;
    waiting.set(this.key, this);
    if (!engine().watch(this.key)) this.isOver = true;
  }

  /**
   * Whether nobody waits for an answer: the client is gone, was refused in the middle of its body, or broke it off. A client that has
   * only closed its half behind a whole request still waits.
   */
  isForsaken() {
    if (this.isBroken) engine().failBody(this.key);
    return this.isBroken || !engine().watch(this.key);
  }

  /** The signal of its request. */
  get signal() {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.socket !== undefined) Socket.abortWith(this.socket, this.controller);
      else this.watch();
      // The client had left before anybody asked.
      if (this.isOver && !this.isAnswered) this.controller.abort(connectionClosed());
    }
    return this.controller.signal;
  }

  /** The request became `socket`: its signal lives as long. */
  upgradeTo(/** @type {any} */ socket) {
    this.socket = socket;
    waiting.delete(this.key);
    if (this.controller !== undefined) Socket.abortWith(socket, this.controller);
  }

  /** The client is gone, or the server was told to cut. */
  abort() {
    waiting.delete(this.key);
    if (this.isOver) return;
    this.isOver = true;
    const reason = connectionClosed();
    this.controller?.abort(reason);
    this.answer?.cancel(reason);
    this.onBody?.(undefined);
  }
}

/** Whether the host's `Request` can be made with a method; a peer can send any token, so only so many are remembered. */
const acceptedMethods = /** @type {Map<string, boolean>} */ (new Map());
const MAX_METHODS = 64;

/** @param {string} method */
function isAccepted(method) {
  const known = acceptedMethods.get(method);
  if (known !== undefined) return known;
  let accepted = true;
  try {
    accepted = new globalThis.Request(PLACEHOLDER, { method }).method === method;
  } catch {
    accepted = false;
  }
  if (acceptedMethods.size < MAX_METHODS) acceptedMethods.set(method, accepted);
  return accepted;
}

/** What a Host is made of (RFC 9110 §7.2): no credentials, no path. */
const HOST = /^[\w!$%&'()*+,.:;=[\]~-]+$/;

/** Stands in where there is no host to make an absolute URL of. */
const PLACEHOLDER = 'http://localhost';

/** The host's `Request` with what a server adds. Its name is the host's: nobody is to tell the difference by it. */
const IncomingRequest = class Request extends globalThis.Request {
  /** @type {Exchange | undefined} */
  #exchange;
  /** @type {string | undefined} */
  #url;
  /** @type {string | undefined} */
  #method;

  /**
   * @param {Exchange} exchange
   * @param {string} method
   * @param {string} target
   * @param {[string, string][]} fields
   * @param {boolean} hasBody
   */
  constructor(exchange, method, target, fields, hasBody) {
    const { url, isAbsolute } = resolveTarget(target, fields, exchange.server.scheme);
    const isRefused = !isAccepted(method);
    super(isAbsolute ? url : PLACEHOLDER + (url.startsWith('/') ? url : ''), {
      method: isRefused ? 'POST' : method,
      headers: fields,
      credentials: 'include',
      referrer: '',
      ...(hasBody && { body: bodyOf(exchange), duplex: 'half' }),
    });
    this.#exchange = exchange;
    if (!isAbsolute) this.#url = url;
    if (isRefused) this.#method = method;
  }

  get url() {
    return this.#url ?? super.url;
  }

  get method() {
    return this.#method ?? super.method;
  }

  get signal() {
    return this.#exchange === undefined ? super.signal : this.#exchange.signal;
  }

  /**
   * The exchange of a request that a server of ours received; undefined for any other value.
   * @param {any} request
   * @returns {Exchange | undefined}
   */
  static exchangeOf(request) {
    return typeof request === 'object' && request !== null && #exchange in request ? request.#exchange : undefined;
  }
};

/**
 * The URL of a request (§8.1): absolute when there is a usable Host, otherwise the path alone. The target of CONNECT, which has none,
 * stays as it came.
 * @param {string} target
 * @param {[string, string][]} fields
 * @param {string} scheme
 */
function resolveTarget(target, fields, scheme) {
  const path = pathOf(target);
  if (path === undefined) return { url: target, isAbsolute: false };
  const host = fields.find(([name]) => name === 'host')?.[1];
  if (host && HOST.test(host)) {
    const url = `${scheme}://${host}${path}`;
    if (URL.canParse(url)) return { url, isAbsolute: true };
  }
  return { url: path, isAbsolute: false };
}

/**
 * The path, query and fragment of a target in origin-form or absolute-form, or of the asterisk; other forms have none.
 * @param {string} target
 */
function pathOf(target) {
  if (target.startsWith('/')) return target;
  if (target === '*') return '/';
  const path = /^https?:\/\/[^/?#]*(.*)$/i.exec(target)?.[1];
  return path === undefined || path.startsWith('/') ? path : `/${path}`;
}

/**
 * The body of a request, read from the connection as it is read from the stream.
 * @param {Exchange} exchange
 */
function bodyOf(exchange) {
  const native = engine();
  return new ReadableStream(
    {
      type: 'bytes',
      pull: (controller) =>
        new Promise((resolve) => {
          exchange.onBody = (piece) => {
            exchange.onBody = undefined;
            bodies.delete(exchange.key);
            if (piece === undefined) {
              exchange.isBroken = true;
              exchange.abort();
              controller.error(connectionClosed());
            } else if (piece === false) {
              // With 413, unless there is an answer already.
              exchange.isAnswered = true;
              controller.error(new Error('Request body exceeded maxRequestBodySize'));
            } else if (piece === null) {
              controller.close();
              controller.byobRequest?.respond(0);
            } else {
              controller.enqueue(new Uint8Array(piece));
            }
            resolve(undefined);
          };
          bodies.set(exchange.key, exchange);
          if (!native.readBody(exchange.key)) exchange.onBody(undefined);
        }),
      cancel: () => native.discardBody(exchange.key),
    },
    { highWaterMark: 0 },
  );
}

/** Exchanges whose body is being read. */
const bodies = /** @type {Map<number, Exchange>} */ (new Map());

/**
 * The exchanges of a server that are being watched.
 * @param {any} server
 */
function watchedOf(server) {
  return [...waiting.values()].filter((exchange) => exchange.server === server);
}

/**
 * `name LF value LF …` as pairs.
 * @param {string} text
 * @returns {[string, string][]}
 */
function splitFields(text) {
  const lines = text.split('\n');
  /** @type {[string, string][]} */
  const fields = [];
  for (let index = 0; index + 1 < lines.length; index += 2) fields.push([lines[index], lines[index + 1]]);
  return fields;
}

events.body = (/** @type {number} */ key, /** @type {BodyPiece} */ piece) => {
  bodies.get(key)?.onBody?.(piece);
};

events.writable = (/** @type {number} */ key) => {
  waiting.get(key)?.answer?.resume();
};

events.ended = (/** @type {number} */ key, /** @type {boolean} */ aborted) => {
  const exchange = waiting.get(key);
  if (exchange === undefined) return;
  if (aborted) {
    exchange.abort();
  } else {
    waiting.delete(key);
    exchange.isOver = true;
  }
};

const { exchangeOf } = IncomingRequest;

module.exports = {
  Exchange,
  IncomingRequest,
  exchangeOf,
  pathOf,
  splitFields,
  watchedOf,
};
