// @ts-check
// ServerWebSocket: the object of one connection. It refers to the native socket by number; identity, data and handlers are here.

'use strict';

const { engine, events } = require('./engine.js');
const { coded, connectionClosed, invalidArgument, invalidThis, missingArguments, received, toText } = require('./errors.js');
const { binary, binaryTypeName, checkCompress, control, message, receivedAs, text, topicName } = require('./payload.js');

// Symbol-keyed properties rather than private fields: they can be read through a Proxy, so methods work there too.
const kKey = Symbol('key');
const kServer = Symbol('server');
const kState = Symbol('readyState');
const kData = Symbol('data');
const kBinaryType = Symbol('binaryType');
const kAddress = Symbol('remoteAddress');
const kAbort = Symbol('abort');

const OPEN = 1;
const CLOSED = 3;
/** A number no socket has. */
const NO_KEY = -1;

/** Open sockets by their place: the low bits of the native number. */
const sockets = /** @type {any[]} */ ([]);
const PLACE = 2 ** 22 - 1;

/** @type {any} */
let native;

/** The exported class; only the server makes instances. */
function ServerWebSocket() {
  if (new.target) throw new Error('Cannot construct ServerWebSocket');
  throw coded(TypeError, 'ERR_ILLEGAL_CONSTRUCTOR', "ServerWebSocket constructor cannot be invoked without 'new'");
}

const hidden = (/** @type {unknown} */ value) => ({
  value,
  writable: true,
  enumerable: false,
  configurable: false,
});

/**
 * Makes the object of a native socket that has just been opened.
 * @param {number} key
 * @param {any} server the state of its server (`server.js`)
 * @param {unknown} data
 */
function createSocket(key, server, data) {
  native ??= engine();
  const ws = Object.create(ServerWebSocket.prototype, {
    [kKey]: hidden(key),
    [kServer]: hidden(server),
    [kState]: hidden(OPEN),
    [kData]: hidden(data),
    [kBinaryType]: hidden('nodebuffer'),
    [kAddress]: hidden(undefined),
    [kAbort]: hidden(undefined),
  });
  sockets[key & PLACE] = ws;
  server.pendingWebSockets++;
  return ws;
}

/**
 * The open sockets of a server.
 * @param {any} server
 */
function socketsOf(server) {
  return sockets.filter((ws) => ws !== undefined && ws[kServer] === server && ws[kState] === OPEN);
}

/**
 * Ends a socket of a server that is being cut off.
 * @param {any} ws
 */
function shutDown(ws) {
  end(ws, native.shutDown, 1001, 'Server closed');
}

/**
 * Aborts `controller` when the socket closes.
 * @param {any} ws
 * @param {AbortController} controller
 */
function abortWithSocket(ws, controller) {
  if (ws[kState] === OPEN) ws[kAbort] = controller;
  else controller.abort(connectionClosed());
}

/**
 * Calls a handler in the async context it was given in. What it throws goes to the `error` handler, or is uncaught.
 * @param {any} ws
 * @param {Function | undefined} handler
 * @param {unknown[]} args
 */
function call(ws, handler, ...args) {
  if (handler === undefined) return;
  try {
    ws[kServer].handlers.enter(handler, undefined, ws, ...args);
  } catch (error) {
    reportError(ws, error);
  }
}

/**
 * @param {any} ws
 * @param {unknown} error
 */
function reportError(ws, error) {
  const { handlers } = ws[kServer];
  if (handlers.error === undefined) throw error;
  handlers.enter(handlers.error, undefined, error, ws);
}

/**
 * Runs `open`. A handler that throws drops the socket without a Close frame.
 * @param {any} ws
 */
function runOpen(ws) {
  const { open, enter } = ws[kServer].handlers;
  if (open === undefined) return;
  try {
    enter(open, undefined, ws);
  } catch (error) {
    end(ws, native.terminate, 1006, '');
    reportUncaught(() => reportError(ws, error));
  }
}

/**
 * Runs `report`; what it throws is an uncaught exception, not one of whoever called into the server.
 * @param {() => void} report
 */
function reportUncaught(report) {
  try {
    report();
  } catch (error) {
    // A throw from a fresh task of its own reaches `uncaughtException` and nobody else.
    process.nextTick(() => {
      throw error;
    });
  }
}

/**
 * Ends a socket that JavaScript closes: the native side first, then the `close` handler, synchronously.
 * @param {any} ws
 * @param {(key: number, code: number, reason: string) => boolean} endNative
 * @param {number} code
 * @param {string} reason
 */
function end(ws, endNative, code, reason) {
  if (ws[kState] !== OPEN) return;
  ws[kAddress] ??= native.remoteAddress(ws[kKey]);
  if (endNative(ws[kKey], code, reason)) reportUncaught(() => ended(ws, code, reason));
}

/**
 * The native socket is closed: runs the `close` handler and lets go of it.
 * @param {any} ws
 * @param {number} code
 * @param {string} reason
 */
function ended(ws, code, reason) {
  ws[kState] = CLOSED;
  const key = ws[kKey];
  ws[kAddress] ??= native.remoteAddress(key);
  try {
    ws[kAbort]?.abort(connectionClosed());
    call(ws, ws[kServer].handlers.close, code, reason);
  } finally {
    ws[kKey] = NO_KEY;
    ws[kAbort] = undefined;
    sockets[key & PLACE] = undefined;
    ws[kServer].pendingWebSockets--;
    native.release(key);
  }
}

/**
 * The number of the native socket behind `ws`, which may be a Proxy of one.
 * @param {any} ws
 * @returns {number}
 */
function keyOf(ws) {
  const key = ws?.[kKey];
  // An open socket is found in its place. A closed one, or a Proxy, has the number itself; what only inherits it has not.
  if (key === undefined || (sockets[key & PLACE] !== ws && !Object.hasOwn(ws, kKey))) throw invalidThis('ServerWebSocket', ws);
  return key;
}

/**
 * Whether `ws` is open; throws when it is no socket.
 * @param {any} ws
 */
function isOpen(ws) {
  keyOf(ws);
  return ws[kState] === OPEN;
}

/**
 * @param {string} method
 * @param {number} count
 */
function needArgument(method, count) {
  if (count === 0) throw new Error(`${method} requires at least 1 argument`);
}

/**
 * The common part of `send`, `sendText` and `sendBinary`.
 * @param {any} ws
 * @param {string} method
 * @param {ArrayLike<unknown>} args
 * @param {(data: unknown, method: string) => string | ArrayBuffer | ArrayBufferView} convert
 */
function send(ws, method, args, convert) {
  if (!isOpen(ws)) return 0;
  needArgument(method, args.length);
  checkCompress(args[1], method);
  const data = convert(args[0], method);
  return typeof data === 'string' ? native.sendText(ws[kKey], data) : native.sendBinary(ws[kKey], data);
}

/**
 * The common part of `publish`, `publishText` and `publishBinary`. A closed socket still publishes, to others.
 * @param {any} ws
 * @param {string} method
 * @param {ArrayLike<unknown>} args
 * @param {(data: unknown, method: string) => string | ArrayBuffer | ArrayBufferView} convert
 */
function publish(ws, method, args, convert) {
  const publisher = keyOf(ws);
  needArgument(method, args.length);
  // As in Bun, `publishText` alone takes a topic that nobody can subscribe to.
  const topic = method === 'publishText' && args[0] === '' ? '' : topicName(args[0], method);
  checkCompress(args[2], method);
  const data = convert(args[1], method);
  const { key } = ws[kServer];
  return typeof data === 'string' ? native.publishText(key, topic, data, publisher) : native.publishBinary(key, topic, data, publisher);
}

/**
 * The common part of `subscribe`, `unsubscribe` and `isSubscribed`.
 * @param {any} ws
 * @param {'subscribe' | 'unsubscribe' | 'isSubscribed'} method
 * @param {ArrayLike<unknown>} args
 * @returns {boolean}
 */
function withTopic(ws, method, args) {
  if (!isOpen(ws)) return false;
  needArgument(method, args.length);
  return native[method](ws[kKey], topicName(args[0], method));
}

const methods = {
  /** @this {any} */
  send(/** @type {unknown} */ data, /** @type {unknown} */ compress) {
    // The short way of what nearly every call is.
    if (typeof data === 'string' && compress === undefined) return native.sendText(keyOf(this), data);
    return send(this, 'send', arguments, message);
  },
  // biome-ignore lint/correctness/noUnusedFunctionParameters: the parameters make the function's length
  sendText(/** @type {unknown} */ data, /** @type {unknown} */ compress) {
    return send(this, 'sendText', arguments, text);
  },
  // biome-ignore lint/correctness/noUnusedFunctionParameters: as above
  sendBinary(/** @type {unknown} */ data, /** @type {unknown} */ compress) {
    return send(this, 'sendBinary', arguments, binary);
  },
  // biome-ignore lint/correctness/noUnusedFunctionParameters: as above
  publish(/** @type {unknown} */ topic, /** @type {unknown} */ data, /** @type {unknown} */ compress) {
    return publish(this, 'publish', arguments, message);
  },
  // biome-ignore lint/correctness/noUnusedFunctionParameters: as above
  publishText(/** @type {unknown} */ topic, /** @type {unknown} */ data) {
    return publish(this, 'publishText', arguments, text);
  },
  // biome-ignore lint/correctness/noUnusedFunctionParameters: as above
  publishBinary(/** @type {unknown} */ topic, /** @type {unknown} */ data) {
    return publish(this, 'publishBinary', arguments, binary);
  },
  /** @this {any} */
  ping(/** @type {unknown} */ data) {
    return isOpen(this) ? native.ping(this[kKey], control(data, 'ping')) : 0;
  },
  /** @this {any} */
  pong(/** @type {unknown} */ data) {
    return isOpen(this) ? native.pong(this[kKey], control(data, 'pong')) : 0;
  },
  // Three, as Bun's: the third means nothing.
  // biome-ignore lint/correctness/noUnusedFunctionParameters: as above
  close(/** @type {unknown} */ code, /** @type {unknown} */ reason, /** @type {unknown} */ unused) {
    if (!isOpen(this)) return;
    if (code !== undefined && typeof code !== 'number') {
      throw invalidArgument('close requires a numeric code or undefined');
    }
    const text = reason === undefined ? '' : truncateReason(toText(reason));
    // Converting the reason may have run code that closed the socket.
    end(this, native.close, code === undefined ? 1000 : code | 0, text);
  },
  terminate() {
    if (isOpen(this)) end(this, native.terminate, 1006, '');
  },
  // biome-ignore lint/correctness/noUnusedFunctionParameters: as above
  subscribe(/** @type {unknown} */ topic) {
    return withTopic(this, 'subscribe', arguments);
  },
  // biome-ignore lint/correctness/noUnusedFunctionParameters: as above
  unsubscribe(/** @type {unknown} */ topic) {
    return withTopic(this, 'unsubscribe', arguments);
  },
  // biome-ignore lint/correctness/noUnusedFunctionParameters: as above
  isSubscribed(/** @type {unknown} */ topic) {
    return withTopic(this, 'isSubscribed', arguments);
  },
  cork(/** @type {unknown} */ callback) {
    keyOf(this);
    if (arguments.length === 0) throw missingArguments('cork', 1, 0);
    if (typeof callback !== 'function') {
      throw invalidArgument(`The "callback" argument must be of type function. ${received(callback)}`);
    }
    // Every send of one turn of the event loop leaves together anyway.
    return callback.call(this, this);
  },
  /** @this {any} */
  getBufferedAmount() {
    return native.bufferedAmount(keyOf(this));
  },
  /** @this {any} */
  pause() {
    native.pause(keyOf(this));
  },
  /** @this {any} */
  resume() {
    native.resume(keyOf(this));
  },
};

const accessors = /** @type {Record<string, any> & ThisType<any>} */ ({
  get binaryType() {
    keyOf(this);
    return this[kBinaryType];
  },
  set binaryType(value) {
    keyOf(this);
    this[kBinaryType] = binaryTypeName(value);
  },
  get data() {
    keyOf(this);
    return this[kData];
  },
  set data(value) {
    keyOf(this);
    this[kData] = value;
  },
  get isPaused() {
    return native.isPaused(keyOf(this));
  },
  get readyState() {
    keyOf(this);
    return this[kState];
  },
  get remoteAddress() {
    const key = keyOf(this);
    this[kAddress] ??= native.remoteAddress(key);
    return this[kAddress];
  },
  get subscriptions() {
    return native.subscriptions(keyOf(this));
  },
});

Object.defineProperties(ServerWebSocket.prototype, {
  ...Object.getOwnPropertyDescriptors(methods),
  ...Object.getOwnPropertyDescriptors(accessors),
  [Symbol.toStringTag]: { value: 'ServerWebSocket', configurable: true },
});

/** RFC 6455 §5.5.1: a Close frame's reason has at most 123 bytes of UTF-8. */
const MAX_REASON = 123;

/**
 * @param {string} reason
 */
function truncateReason(reason) {
  if (reason.length * 3 <= MAX_REASON) return reason.isWellFormed?.() === false ? reason.toWellFormed() : reason;
  const bytes = Buffer.from(reason);
  let end = Math.min(bytes.length, MAX_REASON);
  // Back to the beginning of a character.
  while (end < bytes.length && (bytes[end] & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}

/**
 * @param {any} ws
 * @param {string | ArrayBuffer} data
 */
function incoming(ws, data) {
  return typeof data === 'string' ? data : receivedAs(data, ws[kBinaryType]);
}

events.message = (/** @type {number} */ place, /** @type {string | ArrayBuffer} */ data) => {
  const ws = sockets[place];
  call(ws, ws[kServer].handlers.message, incoming(ws, data));
};

events.ping = (/** @type {number} */ place, /** @type {ArrayBuffer} */ data) => {
  const ws = sockets[place];
  call(ws, ws[kServer].handlers.ping, incoming(ws, data));
};

events.pong = (/** @type {number} */ place, /** @type {ArrayBuffer} */ data) => {
  const ws = sockets[place];
  call(ws, ws[kServer].handlers.pong, incoming(ws, data));
};

events.drain = (/** @type {number} */ place) => {
  const ws = sockets[place];
  call(ws, ws[kServer].handlers.drain);
};

events.close = (/** @type {number} */ place, /** @type {number} */ code, /** @type {string} */ reason) => {
  ended(sockets[place], code, reason);
};

module.exports = {
  ServerWebSocket,
  abortWithSocket,
  createSocket,
  runOpen,
  shutDown,
  socketsOf,
};
