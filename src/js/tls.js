// @ts-check
// The tls option, checked in Bun's order and with its errors. What comes out is what the native side takes (`src/binding/tls.rs`).

'use strict';

const { readFileSync } = require('node:fs');

const { engine } = require('./engine.js');
const { coded, invalidArgument } = require('./errors.js');

/**
 * Name, keys, certificates, authorities, revocations, whether clients are asked for a certificate, whether a bad one turns them away, protocols.
 * @typedef {[string | null, Bytes[], Bytes[], Bytes[], Bytes[], boolean, boolean, Bytes[]]} Entry
 * @typedef {ArrayBuffer | ArrayBufferView} Bytes
 */

/**
 * The `tls` option, or the same options beside it, where older code has them. Null for plain http.
 * @param {any} options
 * @returns {Entry[] | null}
 */
function parseTls(options) {
  const { tls } = options;
  const given = !tls ? [] : Array.isArray(tls) ? tls : [tls];
  const entries = [];
  for (const each of given) {
    if (!isObject(each)) throw invalidArgument('TLSOptions must be an object');
    const entry = parseEntry(each);
    if (entry === undefined) continue;
    if (entries.length > 0 && !entry[0]) throw invalidArgument('SNI tls object must have a serverName');
    entries.push(entry);
  }
  if (entries.length > 0) return entries;
  const entry = parseEntry(options);
  return entry === undefined ? null : [entry];
}

/** @param {unknown} value */
function isObject(value) {
  return (typeof value === 'object' && value !== null && !Array.isArray(value)) || typeof value === 'function';
}

/** What Bun knows, rustls has no such thing, and ignoring it would make a server weaker than it was meant to be, or not what it was meant to be. */
const UNSUPPORTED = [
  'minVersion',
  'maxVersion',
  'keyFile',
  'certFile',
  'caFile',
  'allowPartialTrustChain',
  'sessionTimeout',
  'sigalgs',
  'ecdhCurve',
];

/**
 * @param {any} options
 * @returns {Entry | undefined} undefined when nothing is given
 */
function parseEntry(options) {
  const passphrase = string(options.passphrase, 'passphrase');
  const dhParamsFile = string(options.dhParamsFile, 'dhParamsFile');
  if (dhParamsFile !== undefined) throw unsupported('TLSOptions.dhParamsFile');
  const serverName = string(options.serverName ?? options.servername, 'serverName');
  const lowMemoryMode = boolean(options.lowMemoryMode, 'lowMemoryMode');
  const rejectUnauthorized = boolean(options.rejectUnauthorized ?? undefined, 'rejectUnauthorized');
  const requestCert = boolean(options.requestCert, 'requestCert');
  const ca = files(options.ca, 'ca');
  const cert = files(options.cert, 'cert');
  const key = files(options.key, 'key');
  if (number(options.secureOptions, 'secureOptions') > 0) throw unsupported('TLSOptions.secureOptions');
  const protocols = parseProtocols(options.ALPNProtocols);
  const ciphers = string(options.ciphers, 'ciphers');
  if (ciphers) throw unsupported('TLSOptions.ciphers');
  // Nothing to limit: rustls never renegotiates.
  const limit = number(options.clientRenegotiationLimit, 'clientRenegotiationLimit');
  const window = number(options.clientRenegotiationWindow, 'clientRenegotiationWindow');
  const crl = files(options.crl, 'crl');
  for (const name of UNSUPPORTED) if (options[name]) throw unsupported(`TLSOptions.${name}`);

  const isGiven =
    [passphrase, serverName, rejectUnauthorized, protocols, ciphers].some((value) => value !== undefined) ||
    [lowMemoryMode, requestCert, limit, window].some(Boolean) ||
    [ca, cert, key, crl].some((list) => list.length > 0);
  if (!isGiven) return undefined;
  const keys = key.map((pem) => decrypted(pem, passphrase));
  return [serverName ?? null, keys, cert, ca, crl, requestCert === true, rejectUnauthorized !== false, protocols ?? []];
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {string | undefined}
 */
function string(value, name) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw invalidArgument(`TLSOptions.${name} must be a string`);
  return value;
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {boolean | undefined}
 */
function boolean(value, name) {
  if (value !== undefined && typeof value !== 'boolean') throw invalidArgument(`TLSOptions.${name} must be a boolean`);
  return value;
}

const MAX_NUMBER = 2 ** 32 - 1;

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {number} 0 when it is not given
 */
function number(value, name) {
  if (value === undefined) return 0;
  if (typeof value !== 'number') throw invalidArgument(`TLSOptions.${name} must be a number`);
  if (!Number.isInteger(value)) throw outOfRange(`TLSOptions.${name} must be an integer (received ${value})`);
  if (value < 0 || value > MAX_NUMBER) {
    throw outOfRange(`TLSOptions.${name} must be in the range [0, ${MAX_NUMBER}] (received ${value})`);
  }
  return value;
}

/** @param {string} message */
function outOfRange(message) {
  return coded(RangeError, 'ERR_OUT_OF_RANGE', message);
}

/**
 * What is in a file: text, bytes, or the file.
 * @param {unknown} value
 * @param {string} name
 * @returns {Bytes[]}
 */
function files(value, name) {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) {
    return value.map((element) => {
      const bytes = contentOf(element, name);
      if (bytes === undefined) throw invalidArgument(`element of TLSOptions.${name} must be of type string, ArrayBuffer, or Blob`);
      return bytes;
    });
  }
  const bytes = contentOf(value, name);
  if (bytes !== undefined) return [bytes];
  throw invalidArgument(`TLSOptions.${name} must be of type string, ArrayBuffer, Blob, array of <string, ArrayBuffer, or Blob>, or null`);
}

/**
 * @param {any} value
 * @param {string} name
 * @returns {Bytes | undefined}
 */
function contentOf(value, name) {
  if (typeof value === 'string') return Buffer.from(value);
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return value;
  if (!(value instanceof Blob)) return undefined;
  const path = pathOf(value);
  if (path !== undefined) return readFileSync(path);
  throw invalidArgument(
    `TLSOptions.${name} is not a valid BunFile (non-BunFile \`Blob\`s are not supported): a Blob cannot be read synchronously, pass await blob.bytes()`,
  );
}

/**
 * The path of what `Bun.file()` makes, a Blob that can be written to; undefined for any other.
 * @param {any} blob
 * @returns {string | undefined}
 */
function pathOf(blob) {
  const isBunFile = process.versions.bun !== undefined && typeof blob.writer === 'function' && !(blob instanceof File);
  return isBunFile ? blob.name : undefined;
}

/** Other versions of HTTP, which a client must not begin to speak. */
const NOT_SPOKEN = ['h2', 'h2c', 'h3'];

/**
 * The names of ALPN: separated by commas, or each behind its length in a byte, as TLS has them (RFC 7301 §3.1).
 * @param {any} value
 * @returns {Bytes[] | undefined}
 */
function parseProtocols(value) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string' && !(value instanceof ArrayBuffer) && !ArrayBuffer.isView(value)) {
    throw invalidArgument('TLSOptions.ALPNProtocols must be of type string, ArrayBuffer, or null');
  }
  const list = typeof value === 'string' ? Buffer.from(value) : asBuffer(value);
  const names = namesWithLengths(list) ?? list.toString('latin1').split(',');
  return names
    .filter((name) => name.length > 0 && name.length < 256 && !NOT_SPOKEN.includes(name))
    .map((name) => Buffer.from(name, 'latin1'));
}

/**
 * @param {Buffer} list
 * @returns {string[] | undefined} undefined when it is no such list
 */
function namesWithLengths(list) {
  const names = [];
  for (let at = 0; at < list.length; at += list[at] + 1) {
    const name = list.toString('latin1', at + 1, at + 1 + list[at]);
    if (name.length !== list[at]) return undefined;
    names.push(name);
  }
  return names;
}

/** RFC 7468 §11, and what OpenSSL had before (RFC 1421 §4.6.1.1). */
const ENCRYPTED = /^-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: *4, *ENCRYPTED/m;

/** What OpenSSL 3 says of bytes that none of its decoders takes for a key. How they are encrypted has other codes. */
const NO_KEY_WITHIN = 'ERR_OSSL_UNSUPPORTED';

/**
 * A private key as it is without its passphrase. The host knows every way to encrypt one.
 * @param {Bytes} pem
 * @param {string} [passphrase]
 * @returns {Bytes}
 */
function decrypted(pem, passphrase = '') {
  const text = asBuffer(pem);
  if (!ENCRYPTED.test(text.toString('latin1'))) return pem;
  // Not before it is needed: loading it takes time, and a host may be built without it.
  const { createPrivateKey } = require('node:crypto');
  try {
    return Buffer.from(createPrivateKey({ key: text, passphrase }).export({ type: 'pkcs8', format: 'pem' }));
  } catch (error) {
    const { code, message } = /** @type {Error & { code?: string }} */ (error);
    // One wrong passphrase in 256 ends in a padding that is right, and the rest is no key then.
    if (code === NO_KEY_WITHIN || code === 'ERR_OSSL_EVP_DECODE_ERROR') throw opensslError('ERR_OSSL_EVP_DECODE_ERROR');
    if (/unsupported|unknown.algorithm/i.test(message)) {
      throw new TypeError(`this host cannot decrypt TLSOptions.key: ${message}`, { cause: error });
    }
    throw opensslError('ERR_OSSL_BAD_DECRYPT');
  }
}

/**
 * The same bytes, not a copy.
 * @param {Bytes} bytes
 */
function asBuffer(bytes) {
  return ArrayBuffer.isView(bytes) ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) : Buffer.from(bytes);
}

/** @param {string} what */
function unsupported(what) {
  return new TypeError(`mantou does not support ${what} (its TLS is rustls)`);
}

/** Number, library and reason of the errors that Bun throws, by their codes. */
const OPENSSL_ERRORS = /** @type {Record<string, [string, string, string]>} */ ({
  ERR_OSSL_PEM_NO_START_LINE: ['0900006e', 'PEM routines', 'NO_START_LINE'],
  ERR_OSSL_PEM_BAD_END_LINE: ['09000066', 'PEM routines', 'BAD_END_LINE'],
  ERR_OSSL_PEM_BAD_BASE64_DECODE: ['09000064', 'PEM routines', 'BAD_BASE64_DECODE'],
  ERR_OSSL_ASN1_DECODE_ERROR: ['0c00006d', 'ASN.1 encoding routines', 'DECODE_ERROR'],
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: ['0b000074', 'X.509 certificate routines', 'KEY_VALUES_MISMATCH'],
  ERR_OSSL_X509_KEY_TYPE_MISMATCH: ['0b000073', 'X.509 certificate routines', 'KEY_TYPE_MISMATCH'],
  ERR_OSSL_EVP_DECODE_ERROR: ['06000066', 'public key routines', 'DECODE_ERROR'],
  ERR_OSSL_BAD_DECRYPT: ['1e000065', 'Cipher functions', 'BAD_DECRYPT'],
});

/** @param {string} code */
function opensslError(code) {
  const [number, library, reason] = OPENSSL_ERRORS[code];
  const error = new Error(`error:${number}:${library}:OPENSSL_internal:${reason}`);
  return Object.assign(error, { library, function: 'OPENSSL_internal', reason, code });
}

/**
 * The error that keys and certificates were refused with; undefined when `error` is about something else.
 * @param {any} error
 * @returns {Error | undefined}
 */
function tlsError(error) {
  if (error.code in OPENSSL_ERRORS) return opensslError(error.code);
  if (error.code === 'ERR_MANTOU_CA') return new Error('Failed to create HTTP server: TLSOptions.ca has something that is no certificate');
  if (error.code === 'ERR_MANTOU_UNSUPPORTED') return unsupported(error.message);
  return undefined;
}

/**
 * Gives a running server other keys and certificates; connections go on with those they began with.
 * @param {{ key: number, scheme: string }} server
 * @param {Entry[] | null} tls
 */
function replaceTls(server, tls) {
  if (tls === null) return;
  if (server.scheme !== 'https') throw new TypeError('reload() cannot make an http server serve https');
  try {
    engine().setTls(server.key, tls);
  } catch (error) {
    throw tlsError(error) ?? error;
  }
}

module.exports = { parseTls, replaceTls, tlsError };
