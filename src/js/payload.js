// @ts-check
// What can be sent, and what a message is received as.

'use strict';

const { invalidArgument, received, toText } = require('./errors.js');

/**
 * Bytes that the native side can read: shared memory is copied, everything else is passed as it is.
 * @param {unknown} data
 * @returns {ArrayBuffer | ArrayBufferView | undefined} undefined when `data` is no buffer source
 */
function asBytes(data) {
  if (ArrayBuffer.isView(data)) {
    return isShared(data.buffer) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice() : data;
  }
  if (data instanceof ArrayBuffer) return data;
  return isShared(data) ? new Uint8Array(/** @type {ArrayBuffer} */ (data)).slice() : undefined;
}

/** @param {unknown} value */
function isShared(value) {
  return typeof SharedArrayBuffer !== 'undefined' && value instanceof SharedArrayBuffer;
}

/**
 * @param {string} method
 * @returns {TypeError}
 */
function blobError(method) {
  return new TypeError(`${method} cannot send a Blob synchronously; await blob.bytes() first`);
}

/**
 * The data of `send` and `publish`: text or bytes.
 * @param {unknown} data
 * @param {string} method
 * @returns {string | ArrayBuffer | ArrayBufferView}
 */
function message(data, method) {
  if (typeof data === 'string') return data;
  if (data === undefined || data === null) throw new Error(`${method} requires a non-empty message`);
  const bytes = asBytes(data);
  if (bytes !== undefined) return bytes;
  if (data instanceof Blob) throw blobError(method);
  return toText(data);
}

/**
 * The data of `sendText` and `publishText`.
 * @param {unknown} data
 * @param {string} method
 * @returns {string}
 */
function text(data, method) {
  if (typeof data === 'string' || data instanceof String) return String(data);
  throw new Error(`${method} expects a string`);
}

/**
 * The data of `sendBinary` and `publishBinary`.
 * @param {unknown} data
 * @param {string} method
 * @returns {ArrayBuffer | ArrayBufferView}
 */
function binary(data, method) {
  const bytes = asBytes(data);
  if (bytes !== undefined) return bytes;
  if (data instanceof Blob) throw blobError(method);
  throw new Error(`${method} expects a Blob or BufferSource`);
}

/** RFC 6455 §5.5: the payload of a control frame. */
const MAX_CONTROL_PAYLOAD = 125;

/**
 * The data of `ping` and `pong`.
 * @param {unknown} data
 * @param {string} method
 * @returns {ArrayBuffer | ArrayBufferView}
 */
function control(data, method) {
  if (data === undefined || data === null) return EMPTY;
  if (data instanceof Blob) throw blobError(method);
  const isText = typeof data === 'string' || data instanceof String;
  const bytes = isText ? Buffer.from(String(data)) : asBytes(data);
  if (bytes === undefined) throw new Error(`${method} expects a string, Blob, or BufferSource`);
  if (bytes.byteLength > MAX_CONTROL_PAYLOAD) {
    throw new RangeError(`The data size must not be greater than ${MAX_CONTROL_PAYLOAD} bytes. Received ${bytes.byteLength} bytes.`);
  }
  return bytes;
}

const EMPTY = new ArrayBuffer(0);

/**
 * @param {unknown} compress
 * @param {string} method
 */
function checkCompress(compress, method) {
  if (compress !== undefined && typeof compress !== 'boolean') {
    throw new Error(`${method} expects compress to be a boolean`);
  }
}

/**
 * The topic of the methods of a socket.
 * @param {unknown} topic
 * @param {string} method
 * @returns {string}
 */
function topicName(topic, method) {
  if (typeof topic !== 'string' && !(topic instanceof String)) {
    throw invalidArgument(`The "topic" argument must be of type string. ${received(topic)}`);
  }
  if (topic.length === 0) throw new Error(`${method} requires a non-empty topic name`);
  return String(topic);
}

/** Canonical names of `binaryType` by every name that is accepted. */
const BINARY_TYPES = new Map([
  ['nodebuffer', 'nodebuffer'],
  ['buffer', 'nodebuffer'],
  ['Buffer', 'nodebuffer'],
  ['arraybuffer', 'arraybuffer'],
  ['ArrayBuffer', 'arraybuffer'],
  ['uint8array', 'uint8array'],
  ['Uint8Array', 'uint8array'],
  ['blob', 'blob'],
]);

/**
 * @param {unknown} value
 * @returns {string}
 */
function binaryTypeName(value) {
  const name = BINARY_TYPES.get(/** @type {string} */ (value));
  if (name === undefined) {
    throw new Error('binaryType must be either "uint8array", "arraybuffer", "nodebuffer" or "blob"');
  }
  return name;
}

/**
 * Received bytes as `binaryType` wants them.
 * @param {ArrayBuffer} bytes
 * @param {string} binaryType
 */
function receivedAs(bytes, binaryType) {
  switch (binaryType) {
    case 'arraybuffer':
      return bytes;
    case 'uint8array':
      return new Uint8Array(bytes);
    case 'blob':
      return new Blob([bytes]);
    default:
      return Buffer.from(bytes);
  }
}

module.exports = {
  binary,
  binaryTypeName,
  checkCompress,
  control,
  message,
  receivedAs,
  text,
  topicName,
};
