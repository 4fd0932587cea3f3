// @ts-check
// permessage-deflate by the byte, for the client's side of a test: messages as RFC 7692 §7.2 makes them, and what the server's say.

import { constants, createDeflateRaw, deflateRawSync, inflateRawSync } from 'node:zlib';

/** What §7.2.1 removes from the end of a message, and §7.2.2 puts back. */
export const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);
/** The header bits of a compressed message: `text(compress('a'), COMPRESSED)`. */
export const COMPRESSED = { rsv: 4 };

/** @typedef {import('node:zlib').ZlibOptions} ZlibOptions */

/**
 * The payload of a compressed message that stands alone.
 * @param {string | Uint8Array} message
 * @param {ZlibOptions} [options]
 */
export function compress(message, options) {
  return deflateRawSync(message, { finishFlush: constants.Z_SYNC_FLUSH, ...options }).subarray(0, -TAIL.length);
}

/** A client's compressor that keeps its context from message to message. */
export class Compressor {
  #stream;

  /** @param {ZlibOptions} [options] */
  constructor(options) {
    this.#stream = createDeflateRaw(options);
  }

  /**
   * The payload of the next message.
   * @param {string | Uint8Array} message
   */
  async compress(message) {
    this.#stream.write(message);
    await new Promise((resolve) => this.#stream.flush(constants.Z_SYNC_FLUSH, () => resolve(undefined)));
    const chunks = [];
    for (let chunk = this.#stream.read(); chunk !== null; chunk = this.#stream.read()) chunks.push(chunk);
    return Buffer.concat(chunks).subarray(0, -TAIL.length);
  }
}

/**
 * What these payloads say together, each in the context of those before it. Throws where one needs a context that is not there.
 * `windowBits`: how far back they may look. zlib sees everything that is in its output buffer, so that is kept small: to 64 bytes exact.
 * @param {Uint8Array[]} payloads
 */
export function inflate(payloads, { windowBits = 15 } = {}) {
  const chunks = windowBits === 15 ? {} : { windowBits, chunkSize: 64 };
  const stream = Buffer.concat(payloads.flatMap((payload) => [payload, TAIL]));
  return inflateRawSync(stream, { finishFlush: constants.Z_SYNC_FLUSH, ...chunks });
}
