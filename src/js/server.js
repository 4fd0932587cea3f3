// @ts-check
// serve() and its Server.

'use strict';

const { isPromise } = require('node:util/types');

const { captureContext } = require('./context.js');
const { engine, events } = require('./engine.js');
const { coded, invalidArgument, invalidThis, missingArguments, toText } = require('./errors.js');
const { checkObject, checkSupported, parseDevelopment, parseHandlers, parseListen, parseWebSocket } = require('./options.js');
const { Exchange, IncomingRequest, exchangeOf, splitFields, watchedOf } = require('./request.js');
const { isResponse, sendResponse, sendText, unsendable } = require('./response.js');
const { createSocket, runOpen, shutDown, socketsOf } = require('./socket.js');

const kState = Symbol('server');

/** Running servers by their native number. */
const servers = /** @type {Map<number, ServerState>} */ (new Map());

/**
 * A handler of HTTP, called in the async context it was given in.
 * @typedef {(thisArg: unknown, ...args: unknown[]) => any} Handler
 */

/**
 * @param {Function | undefined} handler
 * @returns {Handler | undefined}
 */
function inContext(handler) {
  if (handler === undefined) return undefined;
  const enter = captureContext();
  return (thisArg, ...args) => enter(handler, thisArg, ...args);
}

/** What a server is, behind its object. */
class ServerState {
  /** Its object. @type {any} */
  server;
  /** @type {Handler | undefined} */
  fetch;
  /** @type {Handler | undefined} */
  error;
  /** WebSocket handlers and how they are called; undefined without WebSockets. @type {Record<string, Function | undefined> | undefined} */
  handlers;
  /** @type {{ address: string, family: string, port: number } | string | null} */
  address = null;
  /** @type {URL | undefined} */
  url;
  /** @type {Promise<void> | undefined} */
  stopping;
  /** @type {() => void} */
  hasStopped = () => {};
  pendingWebSockets = 0;
  /** Nothing is connected to it any more, or about to be cut off. */
  isOver = false;
  /** Whoever has read the address keeps reading it after stop(), as in Bun. */
  hasShownAddress = false;
  scheme = 'http';

  /** @param {any} options */
  constructor(options) {
    this.development = parseDevelopment(options);
    this.id = options.id === undefined || options.id === null ? '' : toText(options.id);
    this.key = -1;
    /** @type {string | undefined} */
    this.hostname = undefined;
    /** @type {number | undefined} */
    this.port = undefined;
    /** @type {string | undefined} */
    this.unix = undefined;
  }

  /** @param {NonNullable<ReturnType<typeof parseWebSocket>>} websocket */
  configure({ handlers, limits }) {
    this.handlers = { ...handlers, enter: captureContext() };
    engine().configure(
      this.key,
      limits.maxPayloadLength,
      limits.backpressureLimit,
      limits.closeOnBackpressureLimit,
      limits.publishToSelf,
      limits.idleTimeout,
      limits.sendPings,
    );
  }
}

/**
 * Starts a server. See index.d.ts.
 * @param {any} options
 */
function serve(options) {
  checkObject(options);
  checkSupported(options);
  const { fetch, error } = parseHandlers(options);
  if (fetch === undefined) throw invalidArgument(NEEDS_FETCH);
  const websocket = parseWebSocket(options.websocket);
  const listen = parseListen(options);
  const state = new ServerState(options);
  state.fetch = inContext(fetch);
  state.error = inContext(error);
  bind(state, listen);
  servers.set(state.key, state);
  if (websocket !== undefined) state.configure(websocket);
  state.server = state.development ? new DebugHTTPServer(state) : new HTTPServer(state);
  return state.server;
}

const NEEDS_FETCH = `Bun.serve() needs either:

  - A routes object:
      routes: { "/path": (req) => new Response("Hello") }  (not supported by mantou yet)

  - Or a fetch handler:
      fetch(req) { return new Response("Hello") }
`;

/**
 * @param {ServerState} state
 * @param {ReturnType<typeof parseListen>} listen
 */
function bind(state, listen) {
  const native = engine();
  if ('unix' in listen) {
    try {
      [state.key] = native.listenUnix(listen.unix);
    } catch (error) {
      throw unixError(error, listen.unix);
    }
    state.unix = state.address = listen.unix;
    unlinkAtExit();
    return;
  }
  const { hostname, port, reusePort, ipv6Only } = listen;
  try {
    const [key, address, boundPort, isIPv6] = native.listen(hostname, port, reusePort, ipv6Only);
    state.key = key;
    state.hostname = hostname ?? 'localhost';
    state.port = boundPort;
    state.address = {
      address,
      family: isIPv6 ? 'IPv6' : 'IPv4',
      port: boundPort,
    };
  } catch (error) {
    throw listenError(error, hostname, port);
  }
}

/**
 * @param {any} error
 * @param {string | null} hostname
 * @param {number} port
 */
function listenError(error, hostname, port) {
  switch (error.code) {
    case 'EADDRINUSE':
      return systemError('EADDRINUSE', 'listen', `Failed to start server. Is port ${port} in use?`);
    case 'ENOTFOUND':
      return systemError('ENOTFOUND', 'getaddrinfo', `getaddrinfo ENOTFOUND ${hostname}`);
    case 'EADDRNOTAVAIL':
      return systemError('EADDRNOTAVAIL', 'listen', 'EADDRNOTAVAIL: address not available, listen');
    case 'EACCES':
      return systemError('EACCES', 'listen', `permission denied ${hostname ?? '0.0.0.0'}:${port}`);
    default:
      return error;
  }
}

/** What the system calls the errors of a Unix socket. */
const UNIX_ERRORS = /** @type {Record<string, string>} */ ({
  EADDRINUSE: 'address already in use',
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
  ENAMETOOLONG: 'name too long',
  EACCES: 'permission denied',
});

/**
 * @param {any} error
 * @param {string} path
 */
function unixError(error, path) {
  const text = UNIX_ERRORS[error.code];
  return text === undefined
    ? error
    : Object.assign(systemError(error.code, 'listen', `${error.code}: ${text}, listen '${path}'`), { path });
}

/**
 * @param {string} code
 * @param {string} syscall
 * @param {string} message
 */
function systemError(code, syscall, message) {
  return Object.assign(coded(Error, code, message), { errno: 0, syscall });
}

let unlinksAtExit = false;

/** A process that ends with a server listening leaves no socket file behind. */
function unlinkAtExit() {
  if (unlinksAtExit) return;
  unlinksAtExit = true;
  process.on('exit', () => {
    for (const state of servers.values()) if (state.unix !== undefined) engine().stop(state.key, true);
  });
}

/**
 * The class of what `serve()` returns. There are two, as in Bun: one for production and one for development.
 * @param {string} className
 */
const serverClass = (className) =>
  class Server {
    /** @param {ServerState} state */
    constructor(state) {
      Object.defineProperty(this, kState, { value: state });
    }

    get address() {
      const state = viewOf(this, className, 'address');
      state.hasShownAddress = true;
      return state.address;
    }

    get development() {
      return viewOf(this, className, 'development').development;
    }

    get hostname() {
      return viewOf(this, className, 'hostname').hostname;
    }

    get id() {
      return viewOf(this, className, 'id').id;
    }

    get pendingRequests() {
      return engine().pendingRequests(viewOf(this, className, 'pendingRequests').key);
    }

    get pendingWebSockets() {
      return viewOf(this, className, 'pendingWebSockets').pendingWebSockets;
    }

    get port() {
      return viewOf(this, className, 'port').port;
    }

    get protocol() {
      return viewOf(this, className, 'protocol').scheme;
    }

    get url() {
      const state = viewOf(this, className, 'url');
      state.url ??= urlOf(state);
      return state.url;
    }

    /** Calls the fetch handler without a connection. */
    fetch(/** @type {any} */ input) {
      const state = stateOf(this, className);
      if (arguments.length === 0) throw new Error('fetch() expects a string but received no arguments.');
      const request = fetchArgument(state, input);
      return new Promise((resolve, reject) => {
        try {
          resolve(/** @type {Handler} */ (state.fetch)(this, request, undefined));
        } catch (error) {
          reject(error);
        }
      });
    }

    // biome-ignore lint/correctness/noUnusedFunctionParameters: the parameters make the function's length
    publish(/** @type {any} */ topic, /** @type {any} */ data, /** @type {any} */ compress = true) {
      const state = stateOf(this, className);
      if (arguments.length < 2) throw invalidArgument('Missing argument');
      if (topic === undefined || topic === null) throw invalidArgument('Expected string');
      if (state.handlers === undefined) return 0;
      const name = toText(topic);
      if (name === '') throw new Error('publish requires a topic string');
      if (data instanceof Blob) throw new TypeError('publish cannot send a Blob synchronously; await blob.bytes() first');
      const native = engine();
      if (ArrayBuffer.isView(data) || data instanceof ArrayBuffer || isSharedMemory(data)) {
        return native.publishBinary(state.key, name, ownBytes(data), undefined);
      }
      return native.publishText(state.key, name, toText(data), undefined);
    }

    ref() {
      engine().setReferenced(stateOf(this, className).key, true);
      return this;
    }

    reload(/** @type {any} */ options) {
      const state = stateOf(this, className);
      if (arguments.length === 0) throw missingArguments('reload', 1, 0);
      if (typeof options !== 'object' || options === null) throw invalidArgument('Bun.serve expects an object');
      checkSupported(options);
      const { fetch, error } = parseHandlers(options);
      const websocket = parseWebSocket(options.websocket);
      if (fetch !== undefined) state.fetch = inContext(fetch);
      if (error !== undefined) state.error = inContext(error);
      if (websocket !== undefined) state.configure(websocket);
      return this;
    }

    requestIP(/** @type {any} */ request) {
      stateOf(this, className);
      if (arguments.length === 0) throw invalidArgument('Missing Request object');
      if (!(request instanceof Request)) throw invalidArgument('Expected Request object');
      const exchange = exchangeOf(request);
      const peer = exchange === undefined ? null : engine().peerOf(exchange.key);
      if (peer === null) return null;
      const [address, port, isIPv6] = peer;
      return { address, family: isIPv6 ? 'IPv6' : 'IPv4', port };
    }

    stop(/** @type {any} */ closeActiveConnections) {
      return stopServer(stateOf(this, className), closeActiveConnections === true);
    }

    subscriberCount(/** @type {any} */ topic) {
      const state = stateOf(this, className);
      if (arguments.length === 0) throw missingArguments('subscriberCount', 1, 0);
      if (topic === undefined || topic === null) {
        throw invalidArgument('subscriberCount requires a topic name as a string');
      }
      return engine().subscriberCount(state.key, toText(topic));
    }

    unref() {
      engine().setReferenced(stateOf(this, className).key, false);
      return this;
    }

    upgrade(/** @type {any} */ request, /** @type {any} */ options) {
      const state = stateOf(this, className);
      if (arguments.length === 0) throw invalidArgument('Missing argument');
      if (state.handlers === undefined) {
        throw invalidArgument('To enable websocket support, set the "websocket" object in Bun.serve({})');
      }
      if (state.isOver) return false;
      if (!(request instanceof Request)) throw invalidArgument('upgrade requires a Request object');
      if (options !== undefined && options !== null && typeof options !== 'object') {
        throw invalidArgument('upgrade options must be an object');
      }
      const exchange = exchangeOf(request);
      if (exchange !== undefined && exchange.server !== state) {
        throw invalidArgument('upgrade() must be called on the same server that received the request');
      }
      const data = options?.data;
      const fields = upgradeFields(options?.headers);
      if (exchange === undefined) return false;
      const key = engine().upgrade(exchange.key, fields);
      if (key === undefined) return false;
      const ws = createSocket(key, state, data);
      exchange.upgradeTo(ws);
      runOpen(ws);
      return true;
    }

    [Symbol.dispose ?? Symbol.for('Symbol.dispose')]() {
      stopServer(stateOf(this, className), true);
    }

    get [Symbol.toStringTag]() {
      return className;
    }
  };

const HTTPServer = enumerable(serverClass('HTTPServer'));
const DebugHTTPServer = enumerable(serverClass('DebugHTTPServer'));

/**
 * Makes the members of a class enumerable, as Bun's are.
 * @template {{ prototype: object }} C
 * @param {C} Class
 * @returns {C}
 */
function enumerable(Class) {
  const members = Object.getOwnPropertyDescriptors(Class.prototype);
  for (const [name, member] of Object.entries(members)) {
    if (name !== 'constructor')
      Object.defineProperty(Class.prototype, name, {
        ...member,
        enumerable: true,
      });
  }
  return Class;
}

/**
 * Stops listening; with `isForced`, ends every connection too.
 * @param {ServerState} state
 * @param {boolean} isForced
 * @returns {Promise<void>} settles when the last connection is gone
 */
function stopServer(state, isForced) {
  const native = engine();
  state.stopping ??= new Promise((resolve) => {
    state.hasStopped = resolve;
  });
  // Not those that are over and have yet to hear of it.
  const running = isForced ? watchedOf(state).filter(({ key }) => native.watch(key)) : [];
  // Nobody connects any more; then those who are connected are told.
  native.stop(state.key, isForced);
  if (state.port !== undefined) state.port = 0;
  if (!state.hasShownAddress) state.address = null;
  if (isForced) {
    state.isOver = true;
    for (const ws of socketsOf(state)) shutDown(ws);
    for (const exchange of running) exchange.abort();
  }
  if (!servers.has(state.key)) state.hasStopped();
  return state.stopping;
}

/**
 * The state behind `server`, which may be a Proxy of one, for a method.
 * @param {any} server
 * @param {string} className
 * @returns {ServerState}
 */
function stateOf(server, className) {
  const state = server?.[kState];
  if (state === undefined) throw invalidThis(className, server);
  return state;
}

/**
 * The state behind `server`, for a getter.
 * @param {any} server
 * @param {string} className
 * @param {string} getter
 * @returns {ServerState}
 */
function viewOf(server, className, getter) {
  const state = server?.[kState];
  if (state === undefined) throw new TypeError(`The ${className}.${getter} getter can only be used on instances of ${className}`);
  return state;
}

/** @param {ServerState} state */
function urlOf(state) {
  if (state.unix !== undefined) {
    return new URL(state.unix.startsWith('\0') ? `abstract://${state.unix.slice(1)}/` : `unix://${state.unix}`);
  }
  const { hostname = 'localhost', port } = state;
  const isBareIPv6 = hostname.includes(':') && !hostname.startsWith('[');
  return new URL(`${state.scheme}://${isBareIPv6 ? `[${hostname}]` : hostname}:${port}/`);
}

/**
 * @param {ServerState} state
 * @param {any} input
 * @returns {Request}
 */
function fetchArgument(state, input) {
  if (input instanceof Request) return input;
  if (typeof input !== 'string') {
    const kind = typeof input === 'object' || typeof input === 'function' ? 'Object' : typeof input;
    throw new TypeError(`fetch() expects a string, but received ${kind.charAt(0).toUpperCase()}${kind.slice(1)}`);
  }
  if (input === '') throw new Error('fetch() URL must not be a blank string.');
  return new Request(new URL(input, urlOf(state)));
}

/** @param {unknown} value */
function isSharedMemory(value) {
  return typeof SharedArrayBuffer !== 'undefined' && value instanceof SharedArrayBuffer;
}

/**
 * @param {any} data
 */
function ownBytes(data) {
  if (isSharedMemory(data)) return new Uint8Array(data).slice();
  return ArrayBuffer.isView(data) && isSharedMemory(data.buffer)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice()
    : data;
}

/** What the handshake says by itself. */
const HANDSHAKE_FIELDS = new Set([
  'sec-websocket-accept',
  'upgrade',
  'connection',
  'content-length',
  'transfer-encoding',
  'sec-websocket-extensions',
  'sec-websocket-key',
  'sec-websocket-version',
]);

/**
 * The custom fields of a 101 as `name LF value LF …`.
 * @param {any} headers
 */
function upgradeFields(headers) {
  if (headers === undefined || headers === null) return '';
  if (typeof headers !== 'object' && typeof headers !== 'function') {
    throw invalidArgument('upgrade options.headers must be a Headers or an object');
  }
  let fields = '';
  for (const [name, value] of headerPairs(headers)) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw new TypeError(`Invalid header name: '${name}'`);
    const text = value.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, '');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a field value must not have
    if (/[\0\r\n]|[^\x00-\xff]/.test(text)) throw new TypeError(`Header '${name}' has invalid value`);
    if (!HANDSHAKE_FIELDS.has(name.toLowerCase())) fields += `${name}\n${text}\n`;
  }
  return fields;
}

/**
 * @param {any} headers
 * @returns {[string, string][]}
 */
function headerPairs(headers) {
  if (headers instanceof Headers) return [...headers];
  if (typeof headers[Symbol.iterator] === 'function') {
    return [...headers].map(([name, value]) => [toText(name), toText(value)]);
  }
  return Object.entries(headers).map(([name, value]) => [name, toText(value)]);
}

/**
 * Runs the fetch handler for a request and sends what it returns.
 * @param {ServerState} state
 * @param {InstanceType<typeof Exchange>} exchange
 * @param {Request} request
 */
function handle(state, exchange, request) {
  let result;
  try {
    result = /** @type {Handler} */ (state.fetch)(state.server, request, state.server);
  } catch (error) {
    handleError(state, exchange, error);
    return;
  }
  if (isPromise(result)) {
    result.then(
      (/** @type {unknown} */ value) => finish(state, exchange, value, false),
      (/** @type {unknown} */ error) => handleError(state, exchange, error),
    );
  } else {
    finish(state, exchange, result, result instanceof Error);
  }
}

/**
 * The handler has returned `value`.
 * @param {ServerState} state
 * @param {InstanceType<typeof Exchange>} exchange
 * @param {any} value
 * @param {boolean} isError an Error returned, not resolved: as good as thrown
 */
function finish(state, exchange, value, isError) {
  if (exchange.socket !== undefined) {
    engine().forget(exchange.key);
  } else if (isResponse(value)) {
    const problem = unsendable(value);
    if (problem === undefined) sendResponse(exchange, value);
    else handleError(state, exchange, problem);
  } else if (isError) {
    handleError(state, exchange, value);
  } else {
    console.error(`error: Expected a Response object, but received '${describe(value)}'`);
    if (state.development) sendText(exchange, 200, 'text/plain', WELCOME);
    else sendText(exchange, 204, null, null);
  }
}

const WELCOME = 'Welcome to Bun! To get started, return a Response object.';

/** @param {unknown} value */
function describe(value) {
  return typeof value === 'symbol' ? value.toString() : String(value);
}

/**
 * The handler has thrown `error`: the `error` handler answers.
 * @param {ServerState} state
 * @param {InstanceType<typeof Exchange>} exchange
 * @param {unknown} error
 */
function handleError(state, exchange, error) {
  if (state.error === undefined) {
    sendErrorPage(state, exchange, error);
    return;
  }
  let result;
  try {
    result = state.error(state.server, error);
  } catch (again) {
    sendErrorPage(state, exchange, again);
    return;
  }
  if (isPromise(result)) {
    result.then(
      (/** @type {unknown} */ value) => finishError(state, exchange, value, error),
      (/** @type {unknown} */ again) => sendErrorPage(state, exchange, again),
    );
  } else {
    finishError(state, exchange, result, error);
  }
}

/**
 * @param {ServerState} state
 * @param {InstanceType<typeof Exchange>} exchange
 * @param {unknown} value
 * @param {unknown} error
 */
function finishError(state, exchange, value, error) {
  if (exchange.socket !== undefined) {
    engine().forget(exchange.key);
  } else if (isResponse(value)) {
    const problem = unsendable(value);
    if (problem === undefined) sendResponse(exchange, value);
    else sendErrorPage(state, exchange, problem);
  } else {
    sendErrorPage(state, exchange, error);
  }
}

/**
 * Nobody has an answer: prints the error and sends a 500.
 * @param {ServerState} state
 * @param {InstanceType<typeof Exchange>} exchange
 * @param {unknown} error
 */
function sendErrorPage(state, exchange, error) {
  console.error(error);
  process.exitCode = 1;
  if (exchange.socket !== undefined) {
    engine().forget(exchange.key);
  } else if (state.development && state.error === undefined) {
    sendText(exchange, 500, 'text/html;charset=utf-8', errorPage(error));
  } else {
    sendText(exchange, 500, 'text/plain', 'Something went wrong!');
  }
}

/** @param {unknown} error */
function errorPage(error) {
  const title = escapeHtml(error instanceof Error ? `${error.name}: ${error.message}` : describe(error));
  const stack = escapeHtml(error instanceof Error ? (error.stack ?? '') : '');
  return `<!doctype html><meta charset="utf-8"><title>500</title><h1>${title}</h1><pre>${stack}</pre>`;
}

/** @param {string} text */
function escapeHtml(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

events.request = (
  /** @type {number} */ serverKey,
  /** @type {number} */ key,
  /** @type {string} */ method,
  /** @type {string} */ target,
  /** @type {string} */ fields,
  /** @type {boolean} */ hasBody,
) => {
  const state = servers.get(serverKey);
  if (state === undefined) return;
  const exchange = new Exchange(state, key, method);
  const takesBody = hasBody && method !== 'GET' && method !== 'HEAD';
  const request = new IncomingRequest(exchange, method, target, splitFields(fields), takesBody);
  handle(state, exchange, request);
};

events.stopped = (/** @type {number} */ key) => {
  const state = servers.get(key);
  servers.delete(key);
  if (state === undefined) return;
  state.isOver = true;
  state.hasStopped();
};

module.exports = { serve };
