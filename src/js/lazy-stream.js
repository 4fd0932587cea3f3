// @ts-check
// The body of a request as a stream that is made when somebody looks at it: most bodies are read whole, past any stream, and to make one of
// the host's costs more than all the rest of a small request.

'use strict';

const { bodyStream } = require('./body.js');
const { showParts, standInFor } = require('./stand-in.js');

/** @typedef {InstanceType<typeof import('./exchange.js').Exchange>} Exchange */

const HostStream = globalThis.ReadableStream;

/** Where the host keeps what a stream is made of, if it does so under symbols. */
const PARTS = Object.getOwnPropertySymbols(new HostStream());

/** By this the host asks whether a stream has been read from. */
const DISTURBED = Symbol.for('nodejs.stream.disturbed');

class LazyStream {
  #exchange;
  /** The host's, once something is asked that needs it. @type {any} */
  #host;
  /** The body is read past the stream. */
  #isTaken = false;

  /** @param {Exchange} exchange */
  constructor(exchange) {
    this.#exchange = exchange;
  }

  get locked() {
    return this.#host === undefined ? this.#isTaken : this.#host.locked;
  }

  get [DISTURBED]() {
    return this.#isTaken || Boolean(this.#host?.[DISTURBED]);
  }

  /**
   * Takes the body, to read it past the stream. False when somebody has it.
   * @param {LazyStream} stream
   */
  static take(stream) {
    if (stream.#host !== undefined || stream.#isTaken) return false;
    stream.#isTaken = true;
    return true;
  }

  /**
   * The host's stream behind one of ours; any other is itself.
   * @param {any} stream
   * @returns {ReadableStream}
   */
  static hostOf(stream) {
    if (!LazyStream.#isOurs(stream)) return stream;
    if (stream.#host === undefined) {
      const host = bodyStream(stream.#exchange);
      // For good: what is read past it must not be read again.
      if (stream.#isTaken) host.getReader();
      stream.#host = host;
    }
    return stream.#host;
  }

  /** @param {any} value */
  static #isOurs(value) {
    return typeof value === 'object' && value !== null && #isTaken in value;
  }

  static {
    standInFor(LazyStream, HostStream, LazyStream.#isOurs, LazyStream.hostOf);
    showParts(LazyStream, PARTS, LazyStream.#isOurs, LazyStream.hostOf);
  }
}

// Otherwise the host does not take one for a stream.
module.exports = { LazyStream, canStandIn: PARTS.length > 0 };
