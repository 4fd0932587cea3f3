// @ts-check
// An answer whose body is a stream: read as fast as the client takes it, and no faster.

'use strict';

const { engine } = require('./engine.js');
const { connectionClosed } = require('./errors.js');
const { findField } = require('./fields.js');

/** @typedef {InstanceType<typeof import('./exchange.js').Exchange>} Exchange */
/** Status, reason phrase and fields of an answer. @typedef {readonly [number, string | undefined, string]} Head */

/** Bytes read at once before a body counts as one that goes out piece by piece. */
const HELD = 64 * 1024;

/**
 * A body of unknown length that is all there before the event loop turns gets a Content-Length, any other is chunked; so does one that comes
 * later, but then at once. The head waits for the first piece: a stream that fails before it leaves the peer without any answer rather than
 * with half of one.
 */
class StreamedAnswer {
  #exchange;
  #head;
  #stream;
  #reader;
  #length;
  #onFailure;
  /** Pieces read before the head is out. @type {(Uint8Array | ArrayBuffer)[] | undefined} */
  #held = [];
  #heldBytes = 0;
  #isReading = false;
  #isOver = false;
  /** The event loop has turned without a piece, or the length is known. */
  #isLate;

  /**
   * Sends a body. `length` is that of the whole, if it is known; with it `onFailure` hears of a body that fails before anything is sent.
   * @param {Exchange} exchange
   * @param {Head} head
   * @param {ReadableStream} stream
   * @param {number} [length] in bytes
   * @param {(error: unknown) => void} [onFailure]
   */
  constructor(exchange, head, stream, length, onFailure) {
    this.#exchange = exchange;
    this.#head = head;
    this.#stream = stream;
    this.#reader = stream.getReader();
    this.#length = length;
    this.#onFailure = onFailure;
    this.#isLate = length !== undefined;
    exchange.answer = this;
    exchange.watch();
    if (length === undefined) StreamedAnswer.#awaitTurn(this);
    if (length !== undefined && exchange.method === 'HEAD') this.#sendHeadOnly();
    else this.#read();
  }

  /** The client takes more. */
  resume() {
    this.#read();
  }

  /** Nobody waits for the body any more. */
  abort(/** @type {unknown} */ reason) {
    this.#cancel(reason);
    engine().failBody(this.#exchange.key);
  }

  /** @param {unknown} reason */
  #cancel(reason) {
    this.#finish();
    forgiveMaker(this.#stream, this.#head[2]);
    const cancelled = /** @type {Promise<void>} */ (this.#exchange.server.run(() => this.#reader.cancel(reason), undefined));
    // What the source's cancel() throws is its own affair.
    cancelled.catch(ignore);
  }

  /** Those that the event loop has not turned for; one immediate is for all of them, because each costs a call into the host. @type {StreamedAnswer[]} */
  static #early = [];

  static #awaitTurn(/** @type {StreamedAnswer} */ answer) {
    if (StreamedAnswer.#early.push(answer) > 1) return;
    setImmediate(() => {
      const answers = StreamedAnswer.#early;
      StreamedAnswer.#early = [];
      for (const early of answers) early.#turned();
    });
  }

  #turned() {
    if (this.#isOver) return;
    this.#isLate = true;
    if (this.#exchange.method === 'HEAD') this.#sendHeadOnly();
    else if (this.#held !== undefined && this.#heldBytes > 0) this.#begin();
  }

  #begin() {
    const pieces = this.#held ?? [];
    this.#held = undefined;
    engine().respondStream(this.#exchange.key, ...this.#head, this.#length);
    for (const piece of pieces) engine().writeBody(this.#exchange.key, piece);
  }

  /** The answer to HEAD has the fields of the answer to GET, as far as they are known. */
  #sendHeadOnly() {
    engine().respondStream(this.#exchange.key, ...this.#head, this.#length);
    this.#cancel(undefined);
    engine().endBody(this.#exchange.key);
  }

  #read() {
    if (this.#isReading || this.#isOver) return;
    this.#isReading = true;
    const { server } = this.#exchange;
    // A source that is pulled finds itself where the handler was, whoever asks for more.
    const read = /** @type {Promise<ReadableStreamReadResult<unknown>>} */ (server.run(this.#reader.read, this.#reader));
    read.then(
      (result) => this.#take(result),
      (error) => this.#fail(error),
    );
  }

  /** @param {ReadableStreamReadResult<unknown>} result */
  #take({ done, value }) {
    this.#isReading = false;
    if (this.#isOver) return;
    if (done) this.#end();
    else this.#takePiece(typeof value === 'string' ? Buffer.from(value) : value);
  }

  /** @param {unknown} piece */
  #takePiece(piece) {
    if (!ArrayBuffer.isView(piece) && !(piece instanceof ArrayBuffer)) {
      const error = new TypeError('The body of a Response yields strings and bytes only');
      this.#reader.cancel(error).catch(ignore);
      this.#fail(error);
      return;
    }
    if (this.#held === undefined) {
      const room = engine().writeBody(this.#exchange.key, piece);
      if (room > 0) this.#read();
      else if (room < 0) this.#cancel(connectionClosed());
      return;
    }
    this.#held.push(/** @type {Uint8Array} */ (piece));
    this.#heldBytes += piece.byteLength;
    // One big piece may be all there is.
    const isPartial = this.#heldBytes > HELD && this.#held.length > 1;
    if (isPartial || (this.#length !== undefined && this.#heldBytes > 0)) this.#begin();
    // So may a late one: whoever made it may have more to say, or that this was all, before anybody else has a turn.
    else if (this.#isLate) process.nextTick(() => this.#turned());
    this.#read();
  }

  #end() {
    this.#finish();
    if (this.#held === undefined) engine().endBody(this.#exchange.key);
    else this.#exchange.respond(...this.#head, join(this.#held));
  }

  /** @param {unknown} error */
  #fail(error) {
    if (this.#isOver) return;
    this.#finish();
    if (this.#held !== undefined && this.#onFailure !== undefined) {
      this.#onFailure(error);
      return;
    }
    // It is not the client who has left.
    this.#exchange.end();
    engine().failBody(this.#exchange.key);
  }

  #finish() {
    this.#isOver = true;
    this.#exchange.answer = undefined;
  }
}

/**
 * Cancels a body of which nothing is to be sent.
 * @param {ReadableStream} stream
 * @param {string} fields of its answer
 */
function discard(stream, fields) {
  forgiveMaker(stream, fields);
  // What the source's cancel() throws is its own affair.
  stream.cancel().catch(ignore);
}

/**
 * Lets the host go on with a body that is about to be cancelled. Node closes the stream that it has made of an iterable, and from 24 on writes
 * to that of a form, without asking whether somebody has cancelled it; what this throws nobody can catch, so that a client could end the
 * process by leaving.
 * @param {ReadableStream} stream
 * @param {string} fields of its answer
 */
function forgiveMaker(stream, fields) {
  const state = Object.getOwnPropertySymbols(stream).find(({ description }) => description === 'kState');
  const controller = state === undefined ? undefined : Reflect.get(stream, state).controller;
  if (controller === undefined) return;
  controller.close = ignore;
  if (findField(fields, 'content-type')?.startsWith('multipart/form-data')) controller.enqueue = ignore;
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

module.exports = { discard, StreamedAnswer };
