// @ts-check
// ServerWebSocket: the object of one connection. It refers to the native socket by number; identity, data and handlers are here.

'use strict';

const { scopeOf } = require('./context.js');
const { engine, events, numbers, runTicks, SEND } = require('./engine.js');
const { coded, connectionClosed, invalidArgument, invalidThis, missingArguments, received, toText } = require('./errors.js');
const { binary, binaryTypeName, checkCompress, control, message, receivedAs, text, topicName } = require('./payload.js');

const OPEN = 1;
const CLOSED = 3;
/** The native side has dropped a message because of a backpressure limit. */
const DROPPED = -2;
/** A number no socket has. */
const NO_KEY = -1;

/** Open sockets by their place: the low bits of the native number. */
const sockets = /** @type {(Socket | undefined)[]} */ ([]);
const PLACE = 2 ** 22 - 1;

/** Every socket refers to itself by it: what is read through a Proxy of a socket is the socket. */
const kSelf = Symbol('socket');

/** With `serial`: how many messages of a socket its handler has not done with. @type {WeakMap<Socket, number>} */
const inHand = new WeakMap();

/** Sockets whose `dropped` handler runs. @type {Set<Socket>} */
const dropping = new Set();

/** @type {any} */
let native;

/** The exported class; only the server makes instances. */
function ServerWebSocket() {
  if (new.target) throw new Error('Cannot construct ServerWebSocket');
  throw coded(TypeError, 'ERR_ILLEGAL_CONSTRUCTOR', "ServerWebSocket constructor cannot be invoked without 'new'");
}

/** What a handshake agrees to that asks for nothing. */
const NOTHING = { protocol: '', extensions: '' };

/** @typedef {(data: unknown, method: string) => string | ArrayBuffer | ArrayBufferView} Convert */

class Socket {
  /** Of the native socket; `NO_KEY` once that is gone. */
  #key;
  /** The state of its server (`server.js`). @type {any} */
  #server;
  /** Handlers that `upgrade()` was given for it alone. @type {Record<string, any> | undefined} */
  #own;
  /** Why it is closed; undefined while it is open. @type {string | undefined} */
  #cause;
  /** @type {unknown} */
  #data;
  #binaryType = 'nodebuffer';
  /** @type {string | undefined} */
  #address;
  /** Aborts the signal of the request it was. @type {{ abort(reason: unknown): void } | undefined} */
  #abort;
  /** What the handshake agreed to. */
  #agreed = NOTHING;

  /**
   * @param {number | [key: number, protocol: string, extensions: string]} upgraded
   * @param {any} server
   * @param {unknown} data
   * @param {Record<string, any>} [own]
   */
  constructor(upgraded, server, data, own) {
    const key = typeof upgraded === 'number' ? upgraded : upgraded[0];
    if (typeof upgraded !== 'number') this.#agreed = { protocol: upgraded[1], extensions: upgraded[2] };
    this.#key = key;
    this.#server = server;
    this.#data = data;
    this.#own = own;
    Object.defineProperty(this, kSelf, { value: this });
    sockets[key & PLACE] = this;
    server.pendingWebSockets++;
  }

  /**
   * The socket that `self` is, or is a Proxy of.
   * @param {any} self
   * @returns {Socket}
   */
  static #of(self) {
    if (Socket.#is(self)) return self;
    // What only inherits from a socket is none.
    if (typeof self === 'object' && self !== null && Object.hasOwn(self, kSelf)) return self[kSelf];
    throw invalidThis('ServerWebSocket', self);
  }

  /** @param {any} self */
  static #is(self) {
    return typeof self === 'object' && self !== null && #key in self;
  }

  /**
   * The open sockets of a server.
   * @param {any} server
   */
  static ofServer(server) {
    return sockets.flatMap((ws) => (ws !== undefined && ws.#server === server && ws.#cause === undefined ? [ws] : []));
  }

  /** Its own, or those that its server has now. */
  get #handlers() {
    return this.#own ?? this.#server.handlers;
  }

  /** Runs `open`. A handler that throws drops the socket without a Close frame. */
  static runOpen(/** @type {Socket} */ ws) {
    const { open, context } = ws.#handlers;
    if (open === undefined) return;
    try {
      scopeOf(context).runInAsyncScope(open, undefined, ws);
    } catch (error) {
      ws.#end('server', native.terminate, 1006, '');
      reportUncaught(() => ws.#report(error));
    }
  }

  /** Ends a socket of a server that is being cut off: what its client has not taken is lost. */
  static shutDown(/** @type {Socket} */ ws) {
    ws.#end('stop', native.shutDown, 1001, 'Server closed');
  }

  /**
   * Ends a socket of a server that takes its leave.
   * @param {Socket} ws
   * @param {{ code: number, reason: string }} farewell
   */
  static dismiss(ws, { code, reason }) {
    ws.#end('stop', native.close, code, reason);
  }

  /**
   * Aborts `controller` when the socket closes.
   * @param {Socket} ws
   * @param {{ abort(reason: unknown): void }} controller
   */
  static abortWith(ws, controller) {
    if (ws.#cause === undefined) ws.#abort = controller;
    else controller.abort(connectionClosed());
  }

  /**
   * Delivers a message to the socket of this number, unless it has closed meanwhile.
   * @param {number} key
   * @param {string | ArrayBuffer} data
   */
  static receive(key, data) {
    const ws = sockets[key & PLACE];
    if (ws === undefined || ws.#key !== key) return;
    const { message, context, serial } = ws.#handlers;
    if (message === undefined) return;
    try {
      const content = typeof data === 'string' ? data : receivedAs(data, ws.#binaryType);
      const result = scopeOf(context).runInAsyncScope(message, undefined, ws, content);
      if (serial > 0 && typeof result?.then === 'function') ws.#await(result, serial);
    } catch (error) {
      ws.#report(error);
    }
  }

  /**
   * With `serial`: when `limit` messages are in the hands of the handler, the next one waits until one of them is done.
   * @param {PromiseLike<unknown>} result
   * @param {number} limit
   */
  #await(result, limit) {
    const count = (inHand.get(this) ?? 0) + 1;
    inHand.set(this, count);
    if (count >= limit) native.hold(this.#key);
    // A rejection stays one that nobody has handled.
    Promise.resolve(result).finally(() => {
      inHand.set(this, /** @type {number} */ (inHand.get(this)) - 1);
      native.letGo(this.#key);
    });
  }

  /**
   * Sends by `sendNative`; what goes by way of `numbers` costs less than an argument.
   * @param {(content: any) => void} sendNative
   * @param {unknown} content
   * @param {unknown} compress
   * @param {unknown} data as `send` was given it
   */
  #sendNative(sendNative, content, compress, data) {
    numbers[SEND] = this.#key;
    numbers[SEND + 1] = compress === undefined ? -1 : Number(compress);
    sendNative(content);
    return this.#sent(numbers[SEND], data);
  }

  /**
   * What `send` returns for a native status, after `dropped` has heard of a message that was.
   * @param {number} status
   * @param {unknown} data
   */
  #sent(status, data) {
    if (status !== DROPPED) return status;
    this.#dropped(data, undefined);
    return 0;
  }

  /**
   * What `publish` returns for a native status, after `dropped` has heard of each socket that did not get it.
   * @param {number} status
   * @param {unknown} data
   * @param {string} topic
   */
  static published(status, data, topic) {
    if (status !== DROPPED) return status;
    for (const place of engine().takeDropped()) socketAt(place).#dropped(data, topic);
    return 0;
  }

  /**
   * Calls `dropped`, but not for what it drops itself.
   * @param {unknown} data
   * @param {string | undefined} topic
   */
  #dropped(data, topic) {
    if (dropping.has(this) || this.#handlers.dropped === undefined) return;
    dropping.add(this);
    reportUncaught(() => this.#call('dropped', data, topic));
    dropping.delete(this);
  }

  /**
   * Delivers a ping or pong.
   * @param {Socket} ws
   * @param {'ping' | 'pong'} name
   * @param {ArrayBuffer} data
   */
  static receiveControl(ws, name, data) {
    ws.#call(name, receivedAs(data, ws.#binaryType));
  }

  static drained(/** @type {Socket} */ ws) {
    ws.#call('drain');
  }

  /**
   * The native socket is closed: runs the `close` handler and lets go of it.
   * @param {Socket} ws
   * @param {number} code
   * @param {string} reason
   * @param {string} cause
   */
  static ended(ws, code, reason, cause) {
    ws.#cause = cause;
    const key = ws.#key;
    ws.#address ??= native.remoteAddress(key);
    try {
      ws.#abort?.abort(connectionClosed());
      ws.#call('close', code, reason);
    } finally {
      ws.#key = NO_KEY;
      ws.#abort = undefined;
      sockets[key & PLACE] = undefined;
      ws.#server.pendingWebSockets--;
      native.release(key);
    }
  }

  /**
   * Calls a handler in the async context it was given in. What it throws goes to the `error` handler, or is uncaught.
   * @param {string} name
   * @param {unknown[]} args
   */
  #call(name, ...args) {
    const { [name]: handler, context } = this.#handlers;
    if (handler === undefined) return;
    try {
      scopeOf(context).runInAsyncScope(handler, undefined, this, ...args);
    } catch (error) {
      this.#report(error);
    }
  }

  /** @param {unknown} thrown */
  #report(thrown) {
    const { error, context } = this.#handlers;
    if (error === undefined) throw thrown;
    scopeOf(context).runInAsyncScope(error, undefined, thrown, this);
  }

  /**
   * Ends a socket that JavaScript closes: the native side first, then the `close` handler, synchronously.
   * @param {'server' | 'stop'} cause
   * @param {(key: number, code: number, reason: string) => boolean} endNative
   * @param {number} code
   * @param {string} reason
   */
  #end(cause, endNative, code, reason) {
    if (this.#cause !== undefined) return;
    this.#address ??= native.remoteAddress(this.#key);
    if (endNative(this.#key, code, reason)) reportUncaught(() => Socket.ended(this, code, reason, cause));
  }

  /**
   * The common part of `send`, `sendText` and `sendBinary`.
   * @param {unknown} self
   * @param {string} method
   * @param {ArrayLike<unknown>} args
   * @param {Convert} convert
   */
  static #send(self, method, args, convert) {
    const ws = Socket.#of(self);
    if (ws.#cause !== undefined) return 0;
    needArgument(method, args.length);
    checkCompress(args[1], method);
    const data = convert(args[0], method);
    return ws.#sendNative(typeof data === 'string' ? native.sendText : native.sendBinary, data, args[1], args[0]);
  }

  /**
   * The common part of `publish`, `publishText` and `publishBinary`. A closed socket still publishes, to others.
   * @param {unknown} self
   * @param {string} method
   * @param {ArrayLike<unknown>} args
   * @param {Convert} convert
   */
  static #publish(self, method, args, convert) {
    const ws = Socket.#of(self);
    needArgument(method, args.length);
    // As in Bun, `publishText` alone takes a topic that nobody can subscribe to.
    const topic = method === 'publishText' && args[0] === '' ? '' : topicName(args[0], method);
    checkCompress(args[2], method);
    const data = convert(args[1], method);
    const { key } = ws.#server;
    const publishNative = typeof data === 'string' ? native.publishText : native.publishBinary;
    return Socket.published(publishNative(key, topic, data, args[2], ws.#key), args[1], topic);
  }

  /**
   * The common part of `subscribe`, `unsubscribe` and `isSubscribed`.
   * @param {unknown} self
   * @param {'subscribe' | 'unsubscribe' | 'isSubscribed'} method
   * @param {ArrayLike<unknown>} args
   * @returns {boolean}
   */
  static #withTopic(self, method, args) {
    const ws = Socket.#of(self);
    if (ws.#cause !== undefined) return false;
    needArgument(method, args.length);
    return native[method](ws.#key, topicName(args[0], method));
  }

  send(/** @type {unknown} */ data, /** @type {unknown} */ compress) {
    // The short way of what nearly every call is.
    if (typeof data === 'string' && (compress === undefined || typeof compress === 'boolean') && Socket.#is(this)) {
      return this.#sendNative(native.sendText, data, compress, data);
    }
    return Socket.#send(this, 'send', arguments, message);
  }

  // biome-ignore lint/correctness/noUnusedFunctionParameters: the parameters make the function's length
  sendText(/** @type {unknown} */ data, /** @type {unknown} */ compress) {
    return Socket.#send(this, 'sendText', arguments, text);
  }

  // biome-ignore lint/correctness/noUnusedFunctionParameters: as above
  sendBinary(/** @type {unknown} */ data, /** @type {unknown} */ compress) {
    return Socket.#send(this, 'sendBinary', arguments, binary);
  }

  // biome-ignore lint/correctness/noUnusedFunctionParameters: as above
  publish(/** @type {unknown} */ topic, /** @type {unknown} */ data, /** @type {unknown} */ compress) {
    return Socket.#publish(this, 'publish', arguments, message);
  }

  // biome-ignore lint/correctness/noUnusedFunctionParameters: as above
  publishText(/** @type {unknown} */ topic, /** @type {unknown} */ data) {
    return Socket.#publish(this, 'publishText', arguments, text);
  }

  // biome-ignore lint/correctness/noUnusedFunctionParameters: as above
  publishBinary(/** @type {unknown} */ topic, /** @type {unknown} */ data) {
    return Socket.#publish(this, 'publishBinary', arguments, binary);
  }

  ping(/** @type {unknown} */ data) {
    const ws = Socket.#of(this);
    return ws.#cause === undefined ? controlStatus(native.ping(ws.#key, control(data, 'ping'))) : 0;
  }

  pong(/** @type {unknown} */ data) {
    const ws = Socket.#of(this);
    return ws.#cause === undefined ? controlStatus(native.pong(ws.#key, control(data, 'pong'))) : 0;
  }

  // Three, as Bun's: the third means nothing.
  // biome-ignore lint/correctness/noUnusedFunctionParameters: as above
  close(/** @type {unknown} */ code, /** @type {unknown} */ reason, /** @type {unknown} */ unused) {
    const ws = Socket.#of(this);
    if (ws.#cause !== undefined) return;
    if (code !== undefined && typeof code !== 'number') {
      throw invalidArgument('close requires a numeric code or undefined');
    }
    const text = reason === undefined ? '' : truncateReason(toText(reason));
    // Converting the reason may have run code that closed the socket.
    ws.#end('server', native.close, code === undefined ? 1000 : code | 0, text);
  }

  terminate() {
    Socket.#of(this).#end('server', native.terminate, 1006, '');
  }

  // biome-ignore lint/correctness/noUnusedFunctionParameters: as above
  subscribe(/** @type {unknown} */ topic) {
    return Socket.#withTopic(this, 'subscribe', arguments);
  }

  // biome-ignore lint/correctness/noUnusedFunctionParameters: as above
  unsubscribe(/** @type {unknown} */ topic) {
    return Socket.#withTopic(this, 'unsubscribe', arguments);
  }

  // biome-ignore lint/correctness/noUnusedFunctionParameters: as above
  isSubscribed(/** @type {unknown} */ topic) {
    return Socket.#withTopic(this, 'isSubscribed', arguments);
  }

  cork(/** @type {unknown} */ callback) {
    Socket.#of(this);
    if (arguments.length === 0) throw missingArguments('cork', 1, 0);
    if (typeof callback !== 'function') {
      throw invalidArgument(`The "callback" argument must be of type function. ${received(callback)}`);
    }
    // Every send of one turn of the event loop leaves together anyway.
    return callback.call(this, this);
  }

  getBufferedAmount() {
    return native.bufferedAmount(Socket.#of(this).#key);
  }

  pause() {
    native.pause(Socket.#of(this).#key);
  }

  resume() {
    native.resume(Socket.#of(this).#key);
  }

  get binaryType() {
    return Socket.#of(this).#binaryType;
  }

  set binaryType(value) {
    Socket.#of(this).#binaryType = binaryTypeName(value);
  }

  get closeCause() {
    return Socket.#of(this).#cause;
  }

  get data() {
    return Socket.#of(this).#data;
  }

  set data(value) {
    Socket.#of(this).#data = value;
  }

  get extensions() {
    return Socket.#of(this).#agreed.extensions;
  }

  get isPaused() {
    return native.isPaused(Socket.#of(this).#key);
  }

  get protocol() {
    return Socket.#of(this).#agreed.protocol;
  }

  get readyState() {
    return Socket.#of(this).#cause === undefined ? OPEN : CLOSED;
  }

  get remoteAddress() {
    const ws = Socket.#of(this);
    ws.#address ??= native.remoteAddress(ws.#key);
    return ws.#address;
  }

  get subscriptions() {
    return native.subscriptions(Socket.#of(this).#key);
  }
}

// Users see the class that cannot be constructed, with enumerable members, as Bun's are.
ServerWebSocket.prototype = Socket.prototype;
for (const [name, member] of Object.entries(Object.getOwnPropertyDescriptors(Socket.prototype))) {
  if (name !== 'constructor') Object.defineProperty(Socket.prototype, name, { ...member, enumerable: true });
}
Object.defineProperties(Socket.prototype, {
  constructor: { value: ServerWebSocket, writable: true, configurable: true },
  [Symbol.toStringTag]: { value: 'ServerWebSocket', configurable: true },
});

/**
 * Makes the object of a native socket that has just been opened.
 * @param {number | [key: number, protocol: string, extensions: string]} upgraded what `native.upgrade` returned
 * @param {any} server
 * @param {unknown} data
 * @param {Record<string, any>} [own] handlers instead of its server's
 */
function createSocket(upgraded, server, data, own) {
  native ??= engine();
  return new Socket(upgraded, server, data, own);
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
 * What `ping` and `pong` return for a native status.
 * @param {number} status
 */
function controlStatus(status) {
  return status === DROPPED ? 0 : status;
}

/**
 * @param {string} method
 * @param {number} count
 */
function needArgument(method, count) {
  if (count === 0) throw new Error(`${method} requires at least 1 argument`);
}

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

/** Messages being delivered, for the sockets in `numbers`. @type {(string | ArrayBuffer)[]} */
let messages = [];
/** How many of them have been. */
let delivered = 0;

/** What a handler or a tick throws leaves here at once: caught, it would not be an uncaught exception. The native side calls again. */
function deliverMessages() {
  while (delivered < messages.length) {
    const at = delivered++;
    Socket.receive(numbers[at], messages[at]);
    runTicks?.();
  }
  messages = [];
}

events.messages = (/** @type {(string | ArrayBuffer)[]} */ ...data) => {
  messages = data;
  delivered = 0;
  deliverMessages();
};

events.resumeMessages = () => {
  runTicks?.();
  deliverMessages();
};

const socketAt = (/** @type {number} */ place) => /** @type {Socket} */ (sockets[place]);

events.ping = (/** @type {number} */ place, /** @type {ArrayBuffer} */ data) => Socket.receiveControl(socketAt(place), 'ping', data);

events.pong = (/** @type {number} */ place, /** @type {ArrayBuffer} */ data) => Socket.receiveControl(socketAt(place), 'pong', data);

events.drain = (/** @type {number} */ place) => Socket.drained(socketAt(place));

events.close = (/** @type {number} */ place, /** @type {number} */ code, /** @type {string} */ reason, /** @type {string} */ cause) =>
  Socket.ended(socketAt(place), code, reason, cause);

module.exports = { ServerWebSocket, Socket, createSocket };
