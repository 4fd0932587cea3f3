// @ts-check
// The options of serve() and reload(), checked as Bun checks them. What comes out is never checked again.

'use strict';

const { sharesPort } = require('./cluster.js');
const { coded, invalidArgument, toText } = require('./errors.js');

/** What Bun's types know and mantou does not do (yet): accepted-and-ignored would be a lie. */
const UNSUPPORTED = ['http2', 'http3'];
/** What `development` may have for a value, beside a boolean. */
const DEVELOPMENT = ['hmr', 'console', 'chromeDevToolsAutomaticWorkspaceFolders'];

/** The environment at start: setting a variable later has no effect, as in Bun. */
const environmentPort = [process.env.BUN_PORT, process.env.PORT, process.env.NODE_PORT].find((value) => value !== undefined);
const DEFAULT_PORT = 3000;

/**
 * @param {any} options
 * @param {string} [method]
 */
function checkObject(options, method = 'Bun.serve') {
  if ((typeof options !== 'object' && typeof options !== 'function') || options === null) {
    throw invalidArgument(`${method} expects an object`);
  }
}

/** @param {any} options */
function checkSupported(options) {
  for (const name of UNSUPPORTED) if (options[name]) throw new TypeError(`mantou does not support the option '${name}' yet`);
  const { http1, development } = options;
  if (http1 !== undefined && !http1) throw invalidArgument('Cannot disable http1 without enabling http2 or http3');
  if ((typeof development !== 'object' && typeof development !== 'function') || development === null) return;
  for (const name of DEVELOPMENT) {
    const value = development[name];
    if (value === undefined || typeof value === 'boolean') continue;
    throw invalidArgument(`The "${name}" property must be of type boolean, got ${typeof value}`);
  }
  // The others say how Bun's development server looks; without one they mean nothing.
  if (development.hmr) throw new TypeError("mantou does not support 'development.hmr': it has no development server");
}

/**
 * @param {any} value
 * @param {string} message
 * @returns {Function | undefined}
 */
function optionalFunction(value, message) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'function') throw invalidArgument(message);
  return value;
}

/**
 * The handlers of HTTP: fetch and error.
 * @param {any} options
 */
function parseHandlers(options) {
  return {
    fetch: optionalFunction(options.fetch, 'Expected fetch() to be a function'),
    error: optionalFunction(options.error, 'Expected error to be a function'),
  };
}

const IDLE_TIMEOUT = 10;
const MAX_REQUEST_BODY_SIZE = 128 * 1024 * 1024;

/**
 * The limits of HTTP: seconds, of which 0 and less mean none, whether nobody chose them, and bytes.
 * @param {any} options
 * @returns {{ idleTimeout: number, isDefault: boolean, maxRequestBodySize: number }}
 */
function parseHttp({ idleTimeout, maxRequestBodySize }) {
  const isDefault = idleTimeout === undefined || idleTimeout === null;
  if (!isDefault && !isInteger(idleTimeout)) throw invalidArgument('Bun.serve expects idleTimeout to be an integer');
  return {
    idleTimeout: isDefault ? IDLE_TIMEOUT : idleTimeout,
    isDefault,
    // Bun takes whatever is no number for none given, and NaN for 0.
    maxRequestBodySize: typeof maxRequestBodySize === 'number' ? maxRequestBodySize : MAX_REQUEST_BODY_SIZE,
  };
}

/**
 * @param {any} options
 * @returns {{ unix: string } | { hostname: string | null, port: number, reusePort: boolean, ipv6Only: boolean }}
 */
function parseListen(options) {
  const hostname = parsePlace(options.hostname, 'hostname');
  const unix = parsePlace(options.unix, 'unix');
  if (unix !== null) {
    if (hostname !== null) throw invalidArgument('Cannot specify both hostname and unix');
    parsePort(options.port);
    return { unix };
  }
  return {
    hostname,
    port: parsePort(options.port),
    // As in Bun, null is an answer.
    reusePort: options.reusePort === undefined ? sharesPort() : Boolean(options.reusePort),
    ipv6Only: Boolean(options.ipv6Only),
  };
}

/**
 * The text of an option, null when it was not given.
 * @param {unknown} value
 * @param {string} name
 */
function parsePlace(value, name) {
  if (value === undefined || value === null || value === false) return null;
  if (typeof value === 'symbol') throw invalidArgument(`The "${name}" property must be of type string. Received a symbol`);
  const text = String(value);
  return text === '' ? null : text;
}

/** @param {any} value */
function parsePort(value) {
  if (value === undefined || value === null || value === '') {
    const port = environmentPort === undefined || environmentPort.trim() === '' ? Number.NaN : Number(environmentPort);
    return isPort(port) ? port : DEFAULT_PORT;
  }
  const port = Number(value);
  // `Number` throws for a symbol but takes a BigInt, which Bun does not.
  if (typeof value === 'bigint') throw new TypeError("Conversion from 'BigInt' to 'number' is not allowed.");
  if (isPort(port)) return port;
  const rule = Number.isInteger(port) ? 'It must be >= 0 and <= 65535' : 'It must be an integer';
  throw outOfRange('port', `${rule}. Received ${port}`);
}

/** @param {number} port */
function isPort(port) {
  return Number.isInteger(port) && port >= 0 && port <= 65535;
}

/** @param {any} options */
function parseId({ id }) {
  return id === undefined || id === null ? '' : toText(id);
}

/** @param {any} options */
function parseDevelopment(options) {
  if (options.development === undefined) return process.env.NODE_ENV !== 'production';
  return Boolean(options.development);
}

const CALLBACKS = /** @type {const} */ (['open', 'message', 'close', 'drain', 'ping', 'pong', 'error', 'dropped']);

const MEBIBYTE = 1024 * 1024;
const MAX_IDLE_TIMEOUT = 960;
const MAX_PAYLOAD = 2 ** 32 - 1;

/**
 * The `websocket` option: handlers, read once, and limits. Undefined when there is none.
 * @param {any} websocket
 */
function parseWebSocket(websocket) {
  if (websocket === undefined || websocket === null) return undefined;
  if (typeof websocket !== 'object' && typeof websocket !== 'function') {
    throw invalidArgument('Expected websocket to be an object');
  }
  /** @type {Record<string, Function | undefined>} */
  const handlers = {};
  for (const name of CALLBACKS) {
    const handler = websocket[name];
    if (handler !== undefined && handler !== null && typeof handler !== 'function') {
      throw invalidArgument(`websocket expects a function for the '${name}' option`);
    }
    handlers[name] = handler ?? undefined;
  }
  const idleTimeout = integer(websocket, 'idleTimeout', 120);
  if (idleTimeout > MAX_IDLE_TIMEOUT) {
    throw invalidArgument(`websocket expects idleTimeout to be ${MAX_IDLE_TIMEOUT} or less`);
  }
  const limits = {
    maxPayloadLength: Math.min(integer(websocket, 'maxPayloadLength', 16 * MEBIBYTE), MAX_PAYLOAD),
    backpressureLimit: integer(websocket, 'backpressureLimit', 16 * MEBIBYTE),
    closeOnBackpressureLimit: boolean(websocket, 'closeOnBackpressureLimit', false),
    publishToSelf: boolean(websocket, 'publishToSelf', false),
    idleTimeout,
    sendPings: boolean(websocket, 'sendPings', true),
    serial: parseSerial(websocket.serial),
  };
  return { handlers, limits, deflate: parseDeflate(websocket.perMessageDeflate) };
}

/**
 * The levels of both directions; an undefined one was not given.
 * @param {any} deflate
 * @returns {{ compress: string | undefined, decompress: string | undefined }}
 */
function parseDeflate(deflate) {
  if (deflate === undefined || deflate === null || deflate === false) return { compress: undefined, decompress: undefined };
  if (deflate === true) return { compress: 'shared', decompress: 'shared' };
  if (typeof deflate !== 'object' && typeof deflate !== 'function') {
    throw invalidArgument('websocket expects perMessageDeflate to be a boolean or an object');
  }
  return { compress: parseLevel(deflate.compress, 'compress'), decompress: parseLevel(deflate.decompress, 'decompress') };
}

const LEVELS = ['disable', 'shared', 'dedicated', '3KB', '4KB', '8KB', '16KB', '32KB', '64KB', '128KB', '256KB'];

/**
 * @param {unknown} level
 * @param {'compress' | 'decompress'} name
 * @returns {string | undefined}
 */
function parseLevel(level, name) {
  if (level === undefined || level === null || level === '') return undefined;
  if (typeof level === 'boolean') return level ? 'shared' : 'disable';
  const text = level instanceof String ? String(level) : level;
  if (LEVELS.includes(/** @type {string} */ (text))) return /** @type {string} */ (text);
  const names = LEVELS.slice(0, -1).map((each) => `"${each}"`);
  throw invalidArgument(`websocket expects a valid ${name} option, either ${names.join(' ')} or "${LEVELS.at(-1)}"`);
}

/**
 * How many messages of a socket may be in the hands of `message` at once; 0 for any number.
 * @param {unknown} serial
 * @returns {number}
 */
function parseSerial(serial) {
  if (serial === undefined || serial === null || serial === false) return 0;
  if (serial === true) return 1;
  if (typeof serial === 'number' && Number.isSafeInteger(serial) && serial > 0) return serial;
  throw invalidArgument('websocket expects serial to be a boolean or a positive integer');
}

/**
 * @param {any} websocket
 * @param {string} name
 * @param {number} byDefault
 * @returns {number} never negative
 */
function integer(websocket, name, byDefault) {
  const value = websocket[name];
  if (value === undefined || value === null) return byDefault;
  if (!isInteger(value)) throw invalidArgument(`websocket expects ${name} to be an integer`);
  return Math.max(0, value);
}

/** Seconds. Docker kills what has not ended after 10, Kubernetes after 30. */
const FAREWELL_TIMEOUT = 5;
/** RFC 6455 §5.5: a control frame carries 125 bytes, of which the code takes two. */
const MAX_REASON = 123;

/**
 * How `stop()` is to take leave of WebSockets, and how many seconds everybody has; undefined when it is not asked to. Bun takes any object
 * for a graceful stop, so one that says nothing of this stays one.
 * @param {any} options
 * @returns {{ code: number, reason: string, timeout: number } | undefined}
 */
function parseFarewell(options) {
  if (typeof options !== 'object' || options === null) return undefined;
  const { code, reason, timeout } = options;
  if (code === undefined && reason === undefined && timeout === undefined) return undefined;
  if (code !== undefined && typeof code !== 'number') throw invalidArgument('stop expects code to be a number');
  if (reason !== undefined && typeof reason !== 'string') throw invalidArgument('stop expects reason to be a string');
  if (timeout !== undefined && typeof timeout !== 'number') throw invalidArgument('stop expects timeout to be a number');
  const size = reason === undefined ? 0 : Buffer.byteLength(reason);
  if (size > MAX_REASON) throw outOfRange('reason', `It must be at most ${MAX_REASON} bytes. Received ${size} bytes`);
  // NaN is none either.
  if (timeout !== undefined && !(timeout >= 0)) throw outOfRange('timeout', `It must be >= 0. Received ${timeout}`);
  return { code: code === undefined ? 1001 : code | 0, reason: reason ?? 'Server closed', timeout: timeout ?? FAREWELL_TIMEOUT };
}

/**
 * @param {string} option
 * @param {string} rule
 */
function outOfRange(option, rule) {
  return coded(RangeError, 'ERR_OUT_OF_RANGE', `The value of "options.${option}" is out of range. ${rule}`);
}

/** What Bun takes for an integer: -2^51 to 2^51 - 1, and no negative zero. */
const INTEGER_LIMIT = 2 ** 51;

/** @param {unknown} value */
function isInteger(value) {
  return Number.isInteger(value) && !Object.is(value, -0) && Number(value) >= -INTEGER_LIMIT && Number(value) < INTEGER_LIMIT;
}

/**
 * @param {any} websocket
 * @param {string} name
 * @param {boolean} byDefault
 * @returns {boolean}
 */
function boolean(websocket, name, byDefault) {
  const value = websocket[name];
  if (value === undefined || value === null) return byDefault;
  if (typeof value !== 'boolean') throw invalidArgument(`websocket expects ${name} to be a boolean`);
  return value;
}

module.exports = {
  checkObject,
  checkSupported,
  parseDevelopment,
  parseFarewell,
  parseHandlers,
  parseHttp,
  parseId,
  parseListen,
  parseWebSocket,
};
