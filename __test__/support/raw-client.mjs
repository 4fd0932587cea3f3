// @ts-check
// A TCP client that speaks HTTP and WebSocket by the byte: what a test writes is what goes out, what arrives is shown as it came.
//
//   const client = await RawClient.open({ port: server.port });              // handshake done, 101 checked
//   client.write(hex('81 81 00000000 61'));                                  // or client.text('a'), client.frames(ping('p'), close(1000))
//   await client.expect('TEXT re:a', 'PONG p', 'CLOSE 1000', 'FIN');
//
// Nothing here sleeps. Every wait ends with the event it names, or rejects after 10 s saying what it waited for and what it saw.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';

/** How long a wait may take unless a client is told otherwise: far more than a loaded machine needs, because reaching it is a failure. */
const PATIENCE_MS = 10_000;
/** The masking key of the examples in RFC 6455 §5.7. */
export const MASKING_KEY = hex('37fa213d');
/** The key of the example in RFC 6455 §1.3 and its answer. */
export const HANDSHAKE_KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
export const HANDSHAKE_ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

export const CONTINUATION = 0x0;
export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;
/** @type {Record<number, string>} */
const OPCODE_NAMES = {
  [CONTINUATION]: 'CONTINUATION',
  [TEXT]: 'TEXT',
  [BINARY]: 'BINARY',
  [CLOSE]: 'CLOSE',
  [PING]: 'PING',
  [PONG]: 'PONG',
};

/** @typedef {string | Uint8Array} Bytes as they are, or a string in UTF-8 */
/** @typedef {{ fin?: boolean, rsv?: number, mask?: Uint8Array | null, lengthBytes?: 0 | 2 | 8, length?: number | bigint }} FrameOptions */
/** Header fields: one that is undefined is left out, an array is written as that many lines. @typedef {Record<string, Field | Field[]>} Fields */
/** @typedef {string | number | undefined} Field */
/** @typedef {{ method?: string, path?: string, version?: string, headers?: Fields }} Handshake */
/** @typedef {{ port?: number, host?: string, unix?: string }} Place where a server listens */

/**
 * @typedef {{ status: number, reason: string, headers: [name: string, value: string][], header(name: string): string | undefined, raw: string }} Head
 * @typedef {Head & { body: Buffer }} Response
 * @typedef {{
 *   fin: boolean, rsv1: boolean, rsv2: boolean, rsv3: boolean, opcode: number, masked: boolean, header: Buffer, payload: Buffer,
 *   text: string, code: number | undefined, reason: string | undefined,
 * }} PlainFrame
 * @typedef {PlainFrame & { notation: string }} Frame
 * @typedef {string} Ending of a connection: 'FIN', 'RST', 'closed', or the text of an error
 */

/**
 * Bytes from hex digits; spaces and line breaks are ignored.
 * @param {string} digits
 */
export function hex(digits) {
  const compact = digits.replace(/\s+/g, '');
  const bytes = Buffer.from(compact, 'hex');
  if (bytes.length * 2 !== compact.length) throw new Error(`not hex: ${digits}`);
  return bytes;
}

/**
 * A client frame. `mask: null` leaves it unmasked; `lengthBytes` (0, 2 or 8) forces a length encoding, `length` a false one.
 * @param {number} opcode
 * @param {Bytes} [payload]
 * @param {FrameOptions} [options]
 */
export function frame(opcode, payload = '', { fin = true, rsv = 0, mask = MASKING_KEY, lengthBytes, length } = {}) {
  const body = Buffer.from(payload);
  const claimed = BigInt(length ?? body.length);
  const size = lengthBytes ?? (claimed < 126n ? 0 : claimed < 65536n ? 2 : 8);
  const header = Buffer.alloc(2 + size);
  header[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  header[1] = (mask ? 0x80 : 0) | (size === 0 ? Number(claimed) : size === 2 ? 126 : 127);
  if (size === 2) header.writeUInt16BE(Number(claimed), 2);
  if (size === 8) header.writeBigUInt64BE(claimed, 2);
  if (!mask) return Buffer.concat([header, body]);
  return Buffer.concat([header, mask, body.map((byte, index) => byte ^ mask[index % 4])]);
}

/** @typedef {(payload?: Bytes, options?: FrameOptions) => Buffer} FrameOf */

/** @type {FrameOf} */
export const text = (payload, options) => frame(TEXT, payload, options);
/** @type {FrameOf} */
export const binary = (payload, options) => frame(BINARY, payload, options);
/** @type {FrameOf} */
export const continuation = (payload, options) => frame(CONTINUATION, payload, options);
/** @type {FrameOf} */
export const ping = (payload, options) => frame(PING, payload, options);
/** @type {FrameOf} */
export const pong = (payload, options) => frame(PONG, payload, options);
/**
 * A close frame; without a code its payload is empty.
 * @param {number} [code]
 * @param {Bytes} [reason]
 * @param {FrameOptions} [options]
 */
export function close(code, reason = '', options) {
  return frame(CLOSE, code === undefined ? '' : closePayload(code, reason), options);
}

/**
 * The payload of a close frame: two bytes of code, then the reason (a string or bytes).
 * @param {number} code
 * @param {Bytes} [reason]
 */
export function closePayload(code, reason = '') {
  return Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]);
}

/**
 * The request of an opening handshake.
 * @param {Handshake} [request]
 */
export function handshake({ method = 'GET', path = '/', version = 'HTTP/1.1', headers = {} } = {}) {
  /** @type {Fields} */
  const fields = {
    Host: '127.0.0.1',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': HANDSHAKE_KEY,
    'Sec-WebSocket-Version': '13',
    ...headers,
  };
  const lines = [`${method} ${path} ${version}`];
  for (const [name, value] of Object.entries(fields)) {
    for (const one of [value].flat()) if (one !== undefined) lines.push(`${name}: ${one}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/**
 * The Sec-WebSocket-Accept that answers `key` (RFC 6455 §4.2.2).
 * @param {string} key
 */
export function acceptFor(key) {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** A fresh, valid Sec-WebSocket-Key. */
export const randomKey = () => randomBytes(16).toString('base64');

const clients = /** @type {Set<RawClient>} */ (new Set());

/** Cuts whatever connection a test left behind. */
export function destroyClients() {
  for (const client of clients) client.destroy();
  clients.clear();
}

/**
 * Someone who waits: `take` looks at the unread bytes and gives what it wants of them, or null; without it the wait is for the end.
 * @typedef {{
 *   what: string, take: ((bytes: Buffer) => Taken<unknown> | null) | null,
 *   done(settle: 'resolve' | 'reject', value: unknown): void,
 * }} Wait
 */
/** @template T @typedef {{ value: T, used: number }} Taken what was wanted, and of how many bytes it was made */

export class RawClient {
  #socket;
  /** @type {Buffer[]} */
  #unread = [];
  #unreadLength = 0;
  /** With fewer unread bytes than this, the next wait can't be met: saves joining pieces of a long frame again and again. */
  #needed = 0;
  /** @type {Wait[]} */
  #waits = [];
  /** @type {Ending | null} */
  #ending = null;

  /** How long each wait of this client may take, in milliseconds. */
  patience = PATIENCE_MS;
  /** Every piece received, in the order and the pieces of the 'data' events. @type {Buffer[]} */
  chunks = [];
  /** The head of the last HTTP response that was read with `response()`. @type {Head | null} */
  head = null;

  /**
   * Connects to `port` on `host` (127.0.0.1), or to the socket file `unix`.
   * @param {Place} [place]
   */
  static async connect({ port, host = '127.0.0.1', unix } = {}) {
    const place = unix === undefined ? { host, port: Number(port) } : { path: unix };
    const socket = connect({ ...place, allowHalfOpen: true, noDelay: true });
    const client = new RawClient(socket);
    await new Promise((resolve, reject) => {
      socket.once('connect', () => resolve(undefined));
      socket.once('error', reject);
    });
    return client;
  }

  /**
   * Connects and completes the opening handshake; fails unless the answer is 101.
   * @param {Place & Handshake} request
   */
  static async open({ port, host, unix, ...request }) {
    const client = await RawClient.connect({ port, host, unix });
    client.write(handshake(request));
    const response = await client.response();
    assert.equal(response.status, 101, `the handshake was answered with: ${response.raw}`);
    return client;
  }

  /** @param {import('node:net').Socket} socket */
  constructor(socket) {
    clients.add(this);
    this.#socket = socket;
    socket.on('data', (chunk) => {
      this.chunks.push(chunk);
      this.#unread.push(chunk);
      this.#unreadLength += chunk.length;
      this.#settle();
    });
    socket.on('end', () => this.#end('FIN'));
    socket.on('error', (/** @type {NodeJS.ErrnoException} */ error) =>
      this.#end(error.code === 'ECONNRESET' || error.code === 'EPIPE' ? 'RST' : String(error)),
    );
    socket.on('close', () => this.#end('closed'));
  }

  /** Everything received so far, head and frames. */
  get bytes() {
    return Buffer.concat(this.chunks);
  }

  /** The client's own port, as the server sees it. */
  get localPort() {
    return this.#socket.localPort;
  }

  /** Bytes written that the kernel has not taken yet. */
  get writableLength() {
    return this.#socket.writableLength;
  }

  /**
   * Sends bytes or a string as they are, in one write.
   * @param {Bytes[]} parts
   */
  write(...parts) {
    this.#socket.write(Buffer.concat(parts.map((part) => Buffer.from(part))));
    return this;
  }

  /** Sends a masked text message. */
  text(/** @type {Bytes} */ payload) {
    return this.write(text(payload));
  }

  /** Sends a masked binary message. */
  binary(/** @type {Bytes} */ payload) {
    return this.write(binary(payload));
  }

  /**
   * Sends bytes one at a time; each piece is handed to the kernel before the next.
   * @param {Bytes} bytes
   */
  async dribble(bytes, size = 1) {
    const buffer = Buffer.from(bytes);
    for (let at = 0; at < buffer.length; at += size) {
      await new Promise((resolve) => this.#socket.write(buffer.subarray(at, at + size), resolve));
      await new Promise(setImmediate);
    }
  }

  /** Stops reading: the kernel's buffers fill up and the server meets backpressure. */
  pause() {
    this.#socket.pause();
    return this;
  }

  resume() {
    this.#socket.resume();
    return this;
  }

  /** Half-close: sends FIN, reading goes on. */
  halfClose() {
    this.#socket.end();
    return this;
  }

  /** Sends RST. */
  reset() {
    this.#socket.resetAndDestroy();
    return this;
  }

  destroy() {
    this.#socket.destroy();
  }

  /**
   * The next HTTP response: `{ status, reason, headers: [[name, value]], header(name), raw, body }`.
   * @returns {Promise<Response>}
   */
  async response({ bodyOf = 'GET' } = {}) {
    const raw = await this.#wait('the head of an HTTP response', (bytes) => {
      const end = bytes.indexOf('\r\n\r\n');
      return end < 0 ? null : { value: bytes.toString('latin1', 0, end), used: end + 4 };
    });
    const [statusLine, ...lines] = raw.split('\r\n');
    const [, status, reason] = /^HTTP\/1\.1 (\d{3}) ?(.*)$/.exec(statusLine) ?? assert.fail(`not a status line: ${statusLine}`);
    const headers = lines.map(
      (line) => /** @type {[string, string]} */ ([line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const header = (/** @type {string} */ name) => headers.find(([own]) => own.toLowerCase() === name.toLowerCase())?.[1];
    const head = { status: Number(status), reason, headers, header, raw };
    this.head = head;
    const length =
      bodyOf === 'HEAD' || Number(status) < 200 || status === '204' || status === '304' ? 0 : Number(header('content-length') ?? 0);
    return { ...head, body: await this.take(length) };
  }

  /**
   * The next `length` bytes.
   * @param {number} length
   */
  take(length) {
    return this.#wait(`${length} bytes`, (bytes) => {
      this.#needed = length;
      if (bytes.length < length) return null;
      this.#needed = 0;
      return { value: Buffer.from(bytes.subarray(0, length)), used: length };
    });
  }

  /**
   * The next frame: `{ fin, rsv1, rsv2, rsv3, opcode, masked, header, payload, text, code, reason, notation }`.
   * @returns {Promise<Frame>}
   */
  frame(what = 'a frame') {
    return this.#wait(what, (bytes) => this.#parseFrame(bytes));
  }

  /**
   * Reads frames or the end of the connection, and fails where they differ: 'TEXT a', 'PING', 'BINARY 00ff', 'CLOSE 1000 bye', 'FIN', 'RST'.
   * @param {string[]} expected
   */
  async expect(...expected) {
    const seen = [];
    for (const one of expected) {
      if (one === 'FIN' || one === 'RST') {
        const rest = await this.rest();
        seen.push(...rest.map((each) => each.notation), await this.ended());
      } else {
        const next = await this.frame(`${one}, after ${JSON.stringify(seen)}`);
        seen.push(next.notation);
      }
      assert.deepEqual(seen, expected.slice(0, seen.length));
    }
  }

  /** Every frame up to the end of the connection. */
  async rest() {
    await this.ended();
    const frames = [];
    while (this.#unreadLength > 0) frames.push(await this.frame());
    return frames;
  }

  /**
   * 'FIN' when the server has closed its half, 'RST' when it has reset the connection.
   * @returns {Promise<Ending>}
   */
  ended() {
    if (this.#ending) return Promise.resolve(this.#ending);
    return this.#wait('the end of the connection', null);
  }

  /**
   * @param {Buffer} bytes
   * @returns {Taken<Frame> | null}
   */
  #parseFrame(bytes) {
    this.#needed = 2;
    if (bytes.length < 2) return null;
    const size = bytes[1] & 0x7f;
    const masked = (bytes[1] & 0x80) !== 0;
    const start = 2 + (size === 126 ? 2 : size === 127 ? 8 : 0) + (masked ? 4 : 0);
    this.#needed = start;
    if (bytes.length < start) return null;
    const length = size === 126 ? bytes.readUInt16BE(2) : size === 127 ? Number(bytes.readBigUInt64BE(2)) : size;
    this.#needed = start + length;
    if (bytes.length < start + length) return null;
    this.#needed = 0;
    return {
      value: parsed(Buffer.from(bytes.subarray(0, start)), masked, Buffer.from(bytes.subarray(start, start + length))),
      used: start + length,
    };
  }

  /**
   * @template T
   * @param {string} what
   * @param {((bytes: Buffer) => Taken<T> | null) | null} take
   * @returns {Promise<T>}
   */
  #wait(what, take) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waits.splice(this.#waits.indexOf(wait), 1);
        reject(new Error(`waited ${this.patience / 1000} s for ${what}; ${this.#seen()}`));
      }, this.patience);
      /** @type {Wait} */
      const wait = {
        what,
        take,
        done(settle, value) {
          clearTimeout(timer);
          if (settle === 'resolve') resolve(/** @type {T} */ (value));
          else reject(value);
        },
      };
      this.#waits.push(wait);
      this.#needed = 0;
      this.#settle();
    });
  }

  /** Meets the waits that can be met, in the order in which they were made. */
  #settle() {
    for (const wait of this.#waits.filter((each) => each.take === null)) {
      if (!this.#ending) break;
      this.#waits.splice(this.#waits.indexOf(wait), 1);
      wait.done('resolve', this.#ending);
    }
    for (;;) {
      const wait = this.#waits.find((each) => each.take !== null);
      if (wait?.take == null) return;
      const took = this.#unreadLength < this.#needed ? null : wait.take(this.#joined());
      if (took === null && !this.#ending) return;
      this.#waits.splice(this.#waits.indexOf(wait), 1);
      if (took === null) {
        const error = new Error(`the connection ended (${this.#ending}) instead of ${wait.what}; ${this.#seen()}`);
        wait.done('reject', Object.assign(error, { code: 'ENDED' }));
        continue;
      }
      this.#unread = [this.#joined().subarray(took.used)];
      this.#unreadLength -= took.used;
      this.#needed = 0;
      wait.done('resolve', took.value);
    }
  }

  #joined() {
    if (this.#unread.length !== 1) this.#unread = [Buffer.concat(this.#unread)];
    return this.#unread[0];
  }

  #end(/** @type {Ending} */ how) {
    this.#ending ??= how;
    this.#settle();
  }

  #seen() {
    const unread = this.#joined();
    const shown = unread.length === 0 ? 'nothing unread' : `${unread.length} bytes unread, beginning ${unread.toString('hex', 0, 64)}`;
    return `${shown}, ${this.#ending ?? 'connection open'}, ${this.chunks.length} pieces received in all`;
  }
}

/**
 * @param {Buffer} header
 * @param {boolean} masked
 * @param {Buffer} payload
 * @returns {Frame}
 */
function parsed(header, masked, payload) {
  const opcode = header[0] & 0x0f;
  const one = {
    fin: (header[0] & 0x80) !== 0,
    rsv1: (header[0] & 0x40) !== 0,
    rsv2: (header[0] & 0x20) !== 0,
    rsv3: (header[0] & 0x10) !== 0,
    opcode,
    masked,
    header,
    payload,
    text: payload.toString(),
    code: opcode === CLOSE && payload.length >= 2 ? payload.readUInt16BE(0) : undefined,
    reason: opcode === CLOSE ? payload.toString('utf8', 2) : undefined,
  };
  return { ...one, notation: notation(one) };
}

/**
 * A frame as a line: the opcode's name, then what it carries. Bits a plain frame doesn't have are named.
 * @param {PlainFrame} frame
 */
function notation({ fin, rsv1, rsv2, rsv3, opcode, masked, payload, text: readable, code, reason }) {
  const words = [OPCODE_NAMES[opcode] ?? `opcode ${opcode}`];
  if (opcode === CLOSE) words.push(code === undefined ? payload.toString('hex') : String(code), reason ?? '');
  else words.push(opcode === BINARY ? payload.toString('hex') : readable);
  if (!fin) words.push('(FIN=0)');
  if (rsv1) words.push('(RSV1)');
  if (rsv2) words.push('(RSV2)');
  if (rsv3) words.push('(RSV3)');
  if (masked) words.push('(masked)');
  return words.filter((word) => word !== '').join(' ');
}
