// @ts-check
// One request and its answer, as JavaScript sees them: what the native side tells of them arrives here.

'use strict';

const { engine, events, manner } = require('./engine.js');
const { connectionClosed } = require('./errors.js');
const { findField } = require('./fields.js');
const { Socket } = require('./socket.js');
const { urlOf } = require('./url.js');

/** Exchanges that wait for an event, by their native number. */
const waiting = /** @type {Map<number, Exchange>} */ (new Map());

/**
 * What comes of reading a body: bytes, null at its end, undefined when the client has left, false when there are more bytes than
 * `maxRequestBodySize`.
 * @typedef {ArrayBuffer | null | undefined | false} BodyPiece
 */

/**
 * What hears that a signal has aborted, and whether there is anybody whom it tells.
 * @typedef {{ abort(reason: unknown): void, readonly isFollowed: boolean }} Follower
 */

class Exchange {
  /** The request's signal, once touched. @type {AbortController | undefined} */
  controller;
  /** What follows the signal without its being touched. @type {Follower | undefined} */
  follower;
  /** The WebSocket it became. @type {any} */
  socket;
  /** The answer being streamed. @type {{ abort(reason: unknown): void, resume(): void } | undefined} */
  answer;
  /** Takes the next piece of the request's body. @type {((piece: BodyPiece) => void) | undefined} */
  onBody;
  /** `req.cookies`, once touched. @type {InstanceType<typeof import('./cookies.js').CookieMap> | undefined} */
  cookies;
  /** An answer was given. */
  isAnswered = false;
  /** Its handler has returned a promise. */
  isDeferred = false;
  /** The client has left, or been cut off, before it had its answer. */
  isAborted;
  /** The client left in the middle of the body. */
  isBroken = false;
  /** The native side has been asked to tell how it ends. */
  isWatched = false;
  /** @type {string | undefined} */
  #url;

  /**
   * @param {any} server the state of its server (`server.js`)
   * @param {number} key
   * @param {string} head the request line without its version, and the fields as text (`fields.js`)
   * @param {boolean} hasBody whether the request has a body that its handler may read
   * @param {boolean} hasLeft the client has ended its side already; only told where requests are followed
   */
  constructor(server, key, head, hasBody, hasLeft) {
    this.server = server;
    this.key = key;
    this.head = head;
    this.hasBody = hasBody;
    this.isAborted = hasLeft;
    if (manner.followsRequests) {
      this.isWatched = true;
      waiting.set(key, this);
    }
  }

  /** The request line's method. */
  get method() {
    return this.head.startsWith('GET ') ? 'GET' : this.head.slice(0, this.head.indexOf(' '));
  }

  /** The request line's target. */
  get target() {
    return this.head.slice(this.head.indexOf(' ') + 1, this.head.indexOf('\r'));
  }

  /** The URL of its request. */
  get url() {
    this.#url ??= urlOf(this.server.scheme, this.field('host'), this.target);
    return this.#url;
  }

  /** The fields as text. */
  get fields() {
    return this.head.slice(this.head.indexOf('\n') + 1);
  }

  /**
   * A field of the request.
   * @param {string} name in lower case
   */
  field(name) {
    return findField(this.head, name);
  }

  /** Asks the native side to tell how it ends. */
  watch() {
    if (this.isWatched) return;
    this.isWatched = true;
    waiting.set(this.key, this);
    const hasLeft = engine().watch(this.key);
    if (hasLeft === undefined) this.end();
    if (hasLeft ?? !this.isAnswered) this.isAborted = true;
  }

  /**
   * Whether nobody waits for an answer: the client is gone, was refused in the middle of its body, broke it off, or left and so brought
   * about the handler's `error`. A client that has only closed its half behind a whole request still waits.
   * @param {any} [error]
   */
  isForsaken(error) {
    const isLeft = this.isBroken || (this.isAborted && error?.name === 'AbortError');
    if (isLeft) engine().failBody(this.key);
    return isLeft || engine().watch(this.key) === undefined;
  }

  /** The signal of its request. */
  get signal() {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.socket !== undefined) this.#abortWithSocket();
      else this.watch();
      // The client had left before anybody asked.
      if (this.isAborted) this.controller.abort(connectionClosed());
    }
    return this.controller.signal;
  }

  /** The handler goes on later. */
  defer() {
    this.isDeferred = true;
    if (this.socket !== undefined) engine().forget(this.key);
  }

  /** The request became `socket`: its signal lives as long. */
  upgradeTo(/** @type {any} */ socket) {
    this.socket = socket;
    waiting.delete(this.key);
    if (this.controller !== undefined || this.follower?.isFollowed) this.#abortWithSocket();
    else if (this.follower !== undefined) Socket.abortWith(socket, new Forgettable(this.follower));
  }

  /** Has `follower` hear of what aborts the signal, from now on. */
  followBy(/** @type {Follower} */ follower) {
    this.follower = follower;
    if (this.socket === undefined) this.watch();
    else this.#abortWithSocket();
    if (this.isAborted) follower.abort(this.signal.reason);
  }

  /** The socket holds what follows it, not the exchange; an idle one nothing more than that. */
  #abortWithSocket() {
    const signals = [this.controller, this.follower].filter((signal) => signal !== undefined);
    const all = (/** @type {unknown} */ reason) => {
      for (const signal of signals) signal.abort(reason);
    };
    Socket.abortWith(this.socket, signals.length === 1 ? signals[0] : { abort: all });
  }

  #abortSignals(/** @type {unknown} */ reason) {
    this.controller?.abort(reason);
    this.follower?.abort(reason);
  }

  /**
   * All of the request's body, if it has come: then nothing has to be waited for. As text, what is no UTF-8 is U+FFFD and a byte order mark
   * is left out.
   * @template {boolean} T
   * @param {T} asText
   * @returns {(T extends true ? string : ArrayBuffer) | undefined}
   */
  takeBody(asText) {
    return engine().takeBody(this.key, asText);
  }

  /**
   * Answers with a whole body.
   * @param {number} status
   * @param {string | undefined} statusText
   * @param {string} fields
   * @param {string | ArrayBuffer | ArrayBufferView | null} body
   */
  respond(status, statusText, fields, body) {
    this.isAnswered = true;
    const isOver = engine().respond(this.key, status, statusText, fields, body);
    if (isOver && this.isWatched) this.end();
  }

  /** Reads the next piece of the request's body. */
  readBody() {
    return /** @type {Promise<BodyPiece>} */ (
      new Promise((resolve) => {
        this.onBody = resolve;
        waiting.set(this.key, this);
        if (!engine().readBody(this.key)) this.receiveBody(undefined);
      })
    );
  }

  /** Nobody will read the rest of the request's body. */
  discardBody() {
    engine().discardBody(this.key);
  }

  /** @param {BodyPiece} piece */
  receiveBody(piece) {
    const take = this.onBody;
    this.onBody = undefined;
    if (!this.isWatched) waiting.delete(this.key);
    if (piece === undefined && take !== undefined) this.isBroken = true;
    // It has 413 for an answer, unless there is one already.
    if (piece === false) this.isAnswered = true;
    // Who reads behind the end of the answer has been too late; the client has not left.
    const isOver = this.isAnswered && !this.isWatched;
    if (piece === undefined && !this.isAborted && !isOver) this.abort();
    take?.(piece);
  }

  /** There is nothing more to be told of it but what its body's reader waits for. */
  end() {
    this.isWatched = false;
    if (this.onBody === undefined) waiting.delete(this.key);
  }

  /** The client is gone, or the server was told to cut. What waits for it is told so. */
  abort() {
    // Who reads the body is told by what comes of it: all of that may have come before the end.
    const isReading = this.onBody !== undefined && engine().watch(this.key) !== undefined;
    this.end();
    const reason = connectionClosed();
    if (!this.isAborted) this.#abortSignals(reason);
    this.isAborted = true;
    this.answer?.abort(reason);
    if (!isReading) this.receiveBody(undefined);
  }

  /**
   * Those of a server that wait for an event.
   * @param {any} server
   */
  static waitingOf(server) {
    return [...waiting.values()].filter((exchange) => exchange.server === server);
  }
}

/** A follower whom nobody follows yet, as long as somebody has the request that holds it: an idle WebSocket is not to hold all that. */
class Forgettable {
  #follower;

  /** @param {Follower} follower */
  constructor(follower) {
    this.#follower = new WeakRef(follower);
  }

  /** @param {unknown} reason */
  abort(reason) {
    this.#follower.deref()?.abort(reason);
  }
}

events.body = (/** @type {number} */ key, /** @type {BodyPiece} */ piece) => {
  waiting.get(key)?.receiveBody(piece);
};

events.writable = (/** @type {number} */ key) => {
  waiting.get(key)?.answer?.resume();
};

events.ended = (/** @type {number} */ key, /** @type {boolean} */ isAborted) => {
  const exchange = waiting.get(key);
  if (isAborted) exchange?.abort();
  else exchange?.end();
};

module.exports = { Exchange };
