// @ts-check
// `Bun.file()` and `Bun.write()`: what of them a server needs. A file is a Blob that is read when it is asked for.

'use strict';

const { readFileSync, statSync } = require('node:fs');
const { mkdir, open, stat, unlink, writeFile } = require('node:fs/promises');
const { dirname, extname } = require('node:path');
const { fileURLToPath } = require('node:url');
const { engine } = require('./engine.js');
const { invalidArgument, received } = require('./errors.js');

/** Bytes of a piece: as many as a read costs little to ask for. */
const PIECE = 64 * 1024;

/** The host's, which reads streams: the global one may become another. */
const HostResponse = globalThis.Response;

/** Under what Node keeps the bytes of a Blob, and their number: it looks there when a Blob becomes a part of another, of a form or of a copy. */
const [BYTES, LENGTH] = ['kHandle', 'kLength'].map(
  (name) => Object.getOwnPropertySymbols(new Blob([])).find(({ description }) => description === name) ?? Symbol(name),
);

/**
 * Where a part of a file begins, in bytes: undefined for a file as a whole, for a part without bytes, and for any other Blob.
 * @type {(blob: Blob) => number | undefined}
 */
let startOfPart;

/**
 * A file, or a part of one. Nothing is opened before it is read; what it says of itself is what the disk says at that moment.
 */
class BunFile extends Blob {
  #path;
  #type;
  #start;
  #end;

  /**
   * @param {string} path
   * @param {string} type
   * @param {number} start
   * @param {number} end Infinity for the end of the file
   */
  constructor(path, type, start = 0, end = Number.POSITIVE_INFINITY) {
    super([]);
    this.#path = path;
    this.#type = type;
    this.#start = start;
    this.#end = end;
  }

  get name() {
    return this.#path;
  }

  get type() {
    return this.#type;
  }

  /** Bytes; 0 where there is no file. */
  get size() {
    const { size } = statSync(this.#path, { throwIfNoEntry: false }) ?? { size: 0 };
    return Math.max(0, Math.min(this.#end, size) - this.#start);
  }

  get lastModified() {
    return Math.trunc(statSync(this.#path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  }

  /** Whether it is there and can be read like a file. */
  async exists() {
    try {
      return !(await stat(this.#path)).isDirectory();
    } catch {
      return false;
    }
  }

  /**
   * A type may take the place of either offset, as in Bun.
   * @param {number | string} [start]
   * @param {number | string} [end]
   * @param {string} [type]
   * @returns {BunFile}
   */
  slice(start = 0, end = Number.POSITIVE_INFINITY, type = this.#type) {
    if (typeof start === 'string') return this.slice(undefined, undefined, start);
    if (typeof end === 'string') return this.slice(start, undefined, end);
    const first = Math.min(this.#start + this.#place(start), this.#end, Number.MAX_SAFE_INTEGER);
    const last = Math.max(first, Math.min(this.#start + this.#place(end), this.#end));
    return new BunFile(this.#path, usable(type) ?? this.#type, first, last);
  }

  /** An offset from the start of this part. From its end only where it must be: a file may grow. @param {unknown} offset */
  #place(offset) {
    // NaN is 0.
    const whole = Math.trunc(Number(offset)) || 0;
    return whole < 0 ? Math.max(0, this.size + whole) : whole;
  }

  stream() {
    const path = this.#path;
    const end = this.#end;
    let offset = this.#start;
    let isCancelled = false;
    /** @type {Promise<import('node:fs/promises').FileHandle> | undefined} */
    let opening;
    return new ReadableStream(
      {
        type: 'bytes',
        async pull(controller) {
          opening ??= open(path);
          const handle = await opening;
          const piece = new Uint8Array(PIECE);
          const { bytesRead } = await handle.read(piece, 0, Math.min(PIECE, end - offset), offset).catch(async (error) => {
            await handle.close();
            throw error;
          });
          if (isCancelled) return;
          offset += bytesRead;
          if (bytesRead > 0) {
            controller.enqueue(piece.subarray(0, bytesRead));
            return;
          }
          await handle.close();
          controller.close();
          controller.byobRequest?.respond(0);
        },
        /** What is being opened or read at this moment is closed behind that. */
        async cancel() {
          isCancelled = true;
          const handle = await opening?.catch(() => undefined);
          await handle?.close();
        },
      },
      { highWaterMark: 0 },
    );
  }

  arrayBuffer() {
    return new HostResponse(this.stream()).arrayBuffer();
  }

  async bytes() {
    return new Uint8Array(await this.arrayBuffer());
  }

  text() {
    return new HostResponse(this.stream()).text();
  }

  async json() {
    return JSON.parse(await this.text());
  }

  formData() {
    return new HostResponse(this.stream(), { headers: { 'Content-Type': this.#type } }).formData();
  }

  stat() {
    return stat(this.#path);
  }

  delete() {
    return unlink(this.#path);
  }

  unlink() {
    return unlink(this.#path);
  }

  /** @param {unknown} data */
  write(data) {
    return write(this, data);
  }

  /** The bytes of this moment, read at once: as many as `size` says, or whoever sends what they are a part of promises more than there is. */
  get [BYTES]() {
    return Reflect.get(new Blob([readFileSync(this.#path).subarray(this.#start, this.#end)]), BYTES);
  }

  get [LENGTH]() {
    return this.size;
  }

  /** The host's constructor has those of an empty Blob. @param {unknown} _ */
  set [BYTES](_) {}
  /** @param {unknown} _ */
  set [LENGTH](_) {}

  static {
    // As in Bun: frameworks go by the name of this class.
    Object.defineProperty(BunFile.prototype, 'constructor', { value: Blob });
    startOfPart = (blob) => {
      if (!(#path in blob) || (blob.#start === 0 && blob.#end === Number.POSITIVE_INFINITY)) return undefined;
      const { size } = blob;
      return size > 0 && size < new BunFile(blob.#path, '').size ? blob.#start : undefined;
    };
  }
}

/**
 * @param {unknown} path a path or a `file:` URL
 * @param {{ type?: string }} [options]
 */
function file(path, options) {
  if (typeof path === 'number')
    throw new Error('Bun.file() takes a path here, not a file descriptor: this is mantou (see mantou/register)');
  const name = pathOf(path);
  if (name === undefined) throw invalidArgument('Expected file path string or file descriptor');
  return new BunFile(name, usable(options?.type) ?? engine().mediaType(extname(name).slice(1)));
}

/**
 * A media type as a Blob has it, if it is one that a field can carry.
 * @param {unknown} type
 */
function usable(type) {
  return typeof type === 'string' && /^[\x20-\x7e]+$/.test(type) ? type.toLowerCase() : undefined;
}

/**
 * Replaces what a file holds, making its folder if it must. Returns the number of bytes. The data is read before the file is touched.
 * @param {unknown} destination a path, a `file:` URL or a `Bun.file()`
 * @param {unknown} data a string, bytes, a stream, whatever has an arrayBuffer() (a Blob, a Response, a Request), or an array of what a Blob is
 * made of
 * @param {{ createPath?: boolean }} [options]
 */
async function write(destination, data, { createPath = true } = {}) {
  const path = destination instanceof BunFile ? destination.name : pathOf(destination);
  if (path === undefined) {
    throw invalidArgument(`The "destination" argument must be of type path, file descriptor, or Blob. ${received(destination)}`);
  }
  const bytes = await bytesOf(data);
  if (createPath) await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
  return bytes.byteLength;
}

/** @param {any} data */
async function bytesOf(data) {
  if (data === undefined || data === null) throw invalidArgument('Bun.write(pathOrFdOrBlob, blob) expects a Blob-y thing to write');
  if (typeof data.arrayBuffer === 'function') return new Uint8Array(await data.arrayBuffer());
  if (data instanceof ReadableStream) return bytesOf(new HostResponse(data));
  const isBytes = data instanceof ArrayBuffer || ArrayBuffer.isView(data);
  const parts = Array.isArray(data) ? await Promise.all(data.map(contentOf)) : [isBytes ? data : String(data)];
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** What stands for a part: to the host a file is an empty Blob. @param {any} part */
function contentOf(part) {
  return part instanceof BunFile ? part.arrayBuffer() : part;
}

/** @param {unknown} value @returns {string | undefined} undefined for what names no file */
function pathOf(value) {
  if (value instanceof URL) return fileURLToPath(value);
  return typeof value === 'string' ? value : undefined;
}

module.exports = { file, startOfPart: (/** @type {Blob} */ blob) => startOfPart(blob), write };
