// @ts-check
// serve() and its Server.

'use strict';

const { constants } = require('node:os');

const { hintWhenTaken, onDisconnect } = require('./cluster.js');
const { captureContext, scopeOf } = require('./context.js');
const { engine, events, numbers, runTicks } = require('./engine.js');
const { coded, invalidArgument, invalidThis, missingArguments, toText } = require('./errors.js');
const { cookieFields } = require('./answer.js');
const { Exchange } = require('./exchange.js');
const { field } = require('./fields.js');
const { receive } = require('./handler.js');
const { enumerable } = require('./members.js');
const {
  checkObject,
  checkSupported,
  parseDevelopment,
  parseFarewell,
  parseHandlers,
  parseHttp,
  parseId,
  parseListen,
  parseWebSocket,
} = require('./options.js');
const { exchangeOf } = require('./request.js');
const { parseRoutes } = require('./routes.js');
const { Socket, createSocket } = require('./socket.js');
const { parseTls, replaceTls, tlsError } = require('./tls.js');

const kState = Symbol('server');

/** Running servers by their native number. */
const servers = /** @type {Map<number, ServerState>} */ (new Map());

/**
 * A handler of HTTP, called in the async context it was given in.
 * @typedef {(thisArg: unknown, ...args: unknown[]) => any} Handler
 */

/** @typedef {NonNullable<ReturnType<typeof parseWebSocket>>} WebSocketOptions */
/** Handlers and limits of sockets that do not have those of their server. @typedef {{ handlers: Record<string, any>, limits: unknown[] }} OwnWebSocket */

/**
 * @param {Function | undefined} handler
 * @returns {Handler | undefined}
 */
function inContext(handler) {
  if (handler === undefined) return undefined;
  const context = captureContext();
  return (thisArg, ...args) => scopeOf(context).runInAsyncScope(/** @type {any} */ (handler), thisArg, ...args);
}

/** What a server is, behind its object. */
class ServerState {
  /** Its object. @type {any} */
  server;
  /** @type {Handler | undefined} */
  fetch;
  /** @type {Handler | undefined} */
  error;
  /** @type {ReturnType<typeof parseRoutes>} */
  routes;
  /** Those before the last reload: a request may have found its way by them just before. @type {ReturnType<typeof parseRoutes>} */
  formerRoutes;
  /** WebSocket handlers and the async context they run in; undefined without WebSockets. @type {Record<string, any> | undefined} */
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
  /** What WebSockets are told that open although it stops. @type {{ code: number, reason: string } | undefined} */
  farewell;
  /** When it is cut off, by the clock of `performance`. */
  deadline = Number.POSITIVE_INFINITY;
  /** Rings then. @type {NodeJS.Timeout | undefined} */
  alarm;
  /** Nothing is connected to it any more, or about to be cut off. */
  isOver = false;
  /** Whoever has read the address keeps reading it after stop(), as in Bun. */
  hasShownAddress = false;
  scheme = 'http';

  /** Of `serve()`, for what is to run in no request's: handlers that an upgrade brings, sources of streams. */
  #context = captureContext();
  /** What upgrades have brought. @type {WeakMap<object, OwnWebSocket>} */
  #ownWebSockets = new WeakMap();

  /** @param {any} options */
  constructor(options) {
    this.development = parseDevelopment(options);
    this.id = parseId(options);
    this.key = -1;
    /** @type {string | undefined} */
    this.hostname = undefined;
    /** @type {number | undefined} */
    this.port = undefined;
    /** @type {string | undefined} */
    this.unix = undefined;
  }

  /** @param {NonNullable<ReturnType<typeof parseRoutes>>} routes in place of those before */
  route(routes) {
    routes.install(this.key, this.fetch !== undefined, () => this.routes === routes);
    this.formerRoutes = this.routes;
    this.routes = routes;
  }

  /**
   * The route of a request.
   * @param {number} number of its handler; -1 for `fetch`
   */
  routeOf(number) {
    return number < 0 ? undefined : (this.routes?.handlerOf(number) ?? this.formerRoutes?.handlerOf(number));
  }

  /**
   * Calls a method in the async context of `serve()`.
   * @template T
   * @param {() => T} method
   * @param {unknown} thisArg
   */
  run(method, thisArg) {
    return scopeOf(this.#context).runInAsyncScope(method, thisArg);
  }

  /** @param {WebSocketOptions} websocket */
  configure(websocket) {
    this.handlers = handlersOf(websocket, captureContext());
    engine().configure(this.key, ...limitsOf(websocket));
  }

  /**
   * The `websocket` option of an upgrade, read once: the next upgrade with the same object has the same handlers and limits.
   * @param {any} websocket
   * @returns {OwnWebSocket | undefined}
   */
  ownWebSocket(websocket) {
    const known = this.#ownWebSockets.get(websocket);
    if (known !== undefined) return known;
    const options = parseWebSocket(websocket);
    if (options === undefined) return undefined;
    const own = { handlers: handlersOf(options, this.#context), limits: limitsOf(options) };
    this.#ownWebSockets.set(websocket, own);
    return own;
  }
}

/**
 * @param {WebSocketOptions} options
 * @param {ReturnType<typeof captureContext>} context
 */
function handlersOf({ handlers, limits }, context) {
  return { ...handlers, serial: limits.serial, context };
}

/**
 * What the native `configure` takes.
 * @param {WebSocketOptions} options
 */
function limitsOf({ limits, deflate }) {
  return [
    limits.maxPayloadLength,
    limits.backpressureLimit,
    limits.closeOnBackpressureLimit,
    limits.publishToSelf,
    limits.idleTimeout,
    limits.sendPings,
    limits.serial > 0,
    deflate.compress,
    deflate.decompress,
  ];
}

/**
 * Starts a server. See index.d.ts.
 * @param {any} options
 */
function serve(options) {
  checkObject(options);
  checkSupported(options);
  const http = parseHttp(options);
  const { fetch, error } = parseHandlers(options);
  const routes = parseRoutes(options, inContext);
  if (fetch === undefined && !routes?.hasAnswers) throw invalidArgument(NEEDS_FETCH);
  const websocket = parseWebSocket(options.websocket);
  const listen = parseListen(options);
  const tls = parseTls(options);
  const state = new ServerState(options);
  if (tls !== null) state.scheme = 'https';
  state.fetch = inContext(fetch);
  state.error = inContext(error);
  bind(state, http, listen, tls);
  if (routes !== undefined) {
    try {
      state.route(routes);
    } catch (error) {
      engine().stop(state.key, true);
      throw error;
    }
  }
  servers.set(state.key, state);
  onDisconnect(stopAll);
  if (websocket !== undefined) state.configure(websocket);
  const classes = tls === null ? [HTTPServer, DebugHTTPServer] : [HTTPSServer, DebugHTTPSServer];
  state.server = new classes[Number(state.development)](state);
  return state.server;
}

const NEEDS_FETCH = `Bun.serve() needs either:

  - A routes object:
      routes: { "/path": (req) => new Response("Hello") }

  - Or a fetch handler:
      fetch(req) { return new Response("Hello") }
`;

/**
 * @param {ServerState} state
 * @param {ReturnType<typeof parseHttp>} http
 * @param {ReturnType<typeof parseListen>} listen
 * @param {ReturnType<typeof parseTls>} tls
 */
function bind(state, { idleTimeout, isDefault, maxRequestBodySize }, listen, tls) {
  const native = engine();
  const limits = [idleTimeout, isDefault && state.development, maxRequestBodySize];
  if ('unix' in listen) {
    try {
      [state.key] = native.listenUnix(...limits, listen.unix, tls);
    } catch (error) {
      throw tlsError(error) ?? unixError(error, listen.unix);
    }
    state.unix = state.address = listen.unix;
    unlinkAtExit();
    return;
  }
  const { hostname, port, reusePort, ipv6Only } = listen;
  try {
    const [key, address, boundPort, isIPv6] = native.listen(...limits, hostname, port, reusePort, ipv6Only, tls);
    state.key = key;
    state.hostname = hostname ?? 'localhost';
    state.port = boundPort;
    state.address = {
      address,
      family: isIPv6 ? 'IPv6' : 'IPv4',
      port: boundPort,
    };
  } catch (error) {
    throw tlsError(error) ?? listenError(error, hostname, port);
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
      return systemError('EADDRINUSE', 0, 'listen', `Failed to start server. Is port ${port} in use?${hintWhenTaken()}`);
    case 'ENOTFOUND':
      return systemError('ENOTFOUND', NOT_FOUND, 'getaddrinfo', `getaddrinfo ENOTFOUND ${hostname}`);
    case 'EADDRNOTAVAIL':
      return systemError('EADDRNOTAVAIL', errnoOf('EADDRNOTAVAIL'), 'listen', 'EADDRNOTAVAIL: address not available, listen');
    case 'EACCES':
      return systemError('EACCES', errnoOf('EACCES'), 'listen', `permission denied ${hostname ?? '0.0.0.0'}:${port}`);
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
    : Object.assign(systemError(error.code, errnoOf(error.code), 'listen', `${error.code}: ${text}, listen '${path}'`), { path });
}

/** What Bun's resolver calls a name that it does not find. */
const NOT_FOUND = 4;

/** The numbers of this system's errors. */
const SYSTEM = /** @type {Record<string, number | undefined>} */ ({ ...constants.errno });

/** @param {string} code */
function errnoOf(code) {
  return -(SYSTEM[code] ?? 0);
}

/**
 * @param {string} code
 * @param {number} errno
 * @param {string} syscall
 * @param {string} message
 */
function systemError(code, errno, syscall, message) {
  return Object.assign(coded(Error, code, message), { errno, syscall });
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

    closeIdleConnections() {
      return engine().closeIdleConnections(stateOf(this, className).key);
    }

    /** Calls the fetch handler without a connection. */
    fetch(/** @type {any} */ input) {
      const state = stateOf(this, className);
      return arguments.length === 0 ? Promise.reject(new Error(NOTHING_TO_FETCH)) : callFetch(state, this, input);
    }

    publish(/** @type {any} */ topic, /** @type {any} */ data, /** @type {any} */ compress) {
      const state = stateOf(this, className);
      if (arguments.length < 2) throw invalidArgument('Missing argument');
      if (topic === undefined || topic === null) throw invalidArgument('Expected string');
      if (state.handlers === undefined && state.pendingWebSockets === 0) return 0;
      const name = toText(topic);
      if (name === '') throw new Error('publish requires a topic string');
      if (data instanceof Blob) throw new TypeError('publish cannot send a Blob synchronously; await blob.bytes() first');
      const asked = compress === undefined ? undefined : Boolean(compress);
      const native = engine();
      const isBinary = ArrayBuffer.isView(data) || data instanceof ArrayBuffer || isSharedMemory(data);
      const status = isBinary
        ? native.publishBinary(state.key, name, ownBytes(data), asked, undefined)
        : native.publishText(state.key, name, toText(data), asked, undefined);
      return Socket.published(status, data, name);
    }

    ref() {
      engine().setReferenced(stateOf(this, className).key, true);
      return this;
    }

    reload(/** @type {any} */ options) {
      const state = stateOf(this, className);
      if (arguments.length === 0) throw missingArguments('reload', 1, 0);
      checkObject(options);
      checkSupported(options);
      // Checked and ignored, as in Bun: the server keeps its name and its address, and connections the limits that they began with.
      parseHttp(options);
      parseListen(options);
      parseId(options);
      const { fetch, error } = parseHandlers(options);
      const routes = parseRoutes(options, inContext);
      const websocket = parseWebSocket(options.websocket);
      replaceTls(state, parseTls(options));
      if (fetch !== undefined) state.fetch = inContext(fetch);
      if (error !== undefined) state.error = inContext(error);
      if (routes !== undefined) state.route(routes);
      else if (fetch !== undefined) engine().setHasFetch(state.key, true);
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

    stop(/** @type {any} */ how) {
      const state = stateOf(this, className);
      const farewell = parseFarewell(how);
      return farewell === undefined ? stopServer(state, how === true) : takeLeave(state, farewell);
    }

    subscriberCount(/** @type {any} */ topic) {
      const state = stateOf(this, className);
      if (arguments.length === 0) throw missingArguments('subscriberCount', 1, 0);
      if (topic === undefined || topic === null) {
        throw invalidArgument('subscriberCount requires a topic name as a string');
      }
      return engine().subscriberCount(state.key, toText(topic));
    }

    timeout(/** @type {any} */ request, /** @type {any} */ seconds) {
      stateOf(this, className);
      if (arguments.length < 2 || request === undefined || request === null) throw missingArguments('timeout', 2, arguments.length);
      if (typeof seconds !== 'number') throw new Error('timeout() requires a number');
      if (!(request instanceof Request)) throw invalidArgument('timeout() requires a Request object');
      const exchange = exchangeOf(request);
      if (exchange !== undefined) engine().timeout(exchange.key, seconds);
    }

    unref() {
      engine().setReferenced(stateOf(this, className).key, false);
      return this;
    }

    upgrade(/** @type {any} */ request, /** @type {any} */ options = undefined) {
      const state = stateOf(this, className);
      if (arguments.length === 0) throw invalidArgument('Missing argument');
      if (state.handlers === undefined && options?.websocket == null) {
        throw invalidArgument('To enable websocket support, set the "websocket" object in Bun.serve({})');
      }
      if (state.isOver) return false;
      if (!(request instanceof Request)) throw invalidArgument('upgrade requires a Request object');
      const exchange = exchangeOf(request);
      // As in Bun, what the options are does not matter when there is nothing to upgrade.
      if (exchange === undefined || exchange.isAnswered || exchange.socket !== undefined) return false;
      if (exchange.server !== state) {
        throw invalidArgument('upgrade() must be called on the same server that received the request');
      }
      let wanted;
      try {
        wanted = upgradeOptions(state, options);
      } catch (error) {
        if (!engine().isHandshake(exchange.key)) return false;
        throw error;
      }
      const { data, own, fields, protocol } = wanted;
      if (own !== undefined) engine().configureUpgrade(exchange.key, ...own.limits);
      const upgraded = engine().upgrade(exchange.key, fields, protocol, cookieFields(exchange));
      if (upgraded === undefined) return false;
      const ws = createSocket(upgraded, state, data, own?.handlers);
      exchange.upgradeTo(ws);
      Socket.runOpen(ws);
      // As in Bun, it is pending no longer than until its handler returns.
      if (exchange.isDeferred) engine().forget(exchange.key);
      if (state.farewell !== undefined) Socket.dismiss(ws, state.farewell);
      return true;
    }

    // The hosts that lack these symbols get what compilers make of `using` there.
    [Symbol.dispose ?? Symbol.for('Symbol.dispose')]() {
      stopServer(stateOf(this, className), true);
    }

    [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
      return stopServer(stateOf(this, className), true);
    }

    get [Symbol.toStringTag]() {
      return className;
    }
  };

const [HTTPServer, DebugHTTPServer, HTTPSServer, DebugHTTPSServer] = [
  'HTTPServer',
  'DebugHTTPServer',
  'HTTPSServer',
  'DebugHTTPSServer',
].map((className) => {
  const Class = enumerable(serverClass(className));
  // As Bun's, a server does not lead to its class: only serve() makes one.
  Reflect.deleteProperty(Class.prototype, 'constructor');
  return Class;
});

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
  const running = isForced ? Exchange.waitingOf(state).filter(({ key }) => native.watch(key) !== undefined) : [];
  // Nobody connects any more; then those who are connected are told.
  native.stop(state.key, isForced);
  if (state.port !== undefined) state.port = 0;
  if (state.unix === undefined && !state.hasShownAddress) state.address = null;
  if (isForced) {
    state.isOver = true;
    clearTimeout(state.alarm);
    for (const ws of Socket.ofServer(state)) Socket.shutDown(ws);
    for (const exchange of running) exchange.abort();
  }
  if (!servers.has(state.key)) state.hasStopped();
  return state.stopping;
}

/** Stops every server of this environment, gracefully. */
function stopAll() {
  for (const state of servers.values()) stopServer(state, false);
}

/**
 * Stops listening and closes every WebSocket; whoever is still connected after `timeout` seconds is cut off.
 * @param {ServerState} state
 * @param {NonNullable<ReturnType<typeof parseFarewell>>} farewell
 * @returns {Promise<void>} settles when the last connection is gone
 */
function takeLeave(state, farewell) {
  const deadline = performance.now() + 1000 * farewell.timeout;
  state.farewell = farewell;
  // First, or the last WebSocket would be the end before its client has hung up.
  engine().awaitPeers(state.key);
  const stopped = stopServer(state, false);
  for (const ws of Socket.ofServer(state)) Socket.dismiss(ws, farewell);
  cutOff(state, deadline);
  return stopped;
}

/** What a timer can wait, in milliseconds; beyond it would not wait at all. */
const MAX_DELAY = 2 ** 31 - 1;

/**
 * Cuts a server off at `deadline`, if that comes before the one it has.
 * @param {ServerState} state
 * @param {number} deadline
 */
function cutOff(state, deadline) {
  if (state.isOver || deadline > state.deadline) return;
  state.deadline = deadline;
  clearTimeout(state.alarm);
  const left = deadline - performance.now();
  if (left <= 0) {
    stopServer(state, true);
    return;
  }
  // A timer may ring a little early, and the server holds the process by itself, if at all.
  state.alarm = setTimeout(cutOff, Math.min(Math.ceil(left), MAX_DELAY), state, deadline).unref();
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

const NOTHING_TO_FETCH = 'fetch() expects a string but received no arguments.';

/**
 * Calls the `fetch` handler, which is not told of a server.
 * @param {ServerState} state
 * @param {unknown} server
 * @param {any} input
 */
async function callFetch(state, server, input) {
  const request = fetchArgument(state, input);
  if (state.fetch === undefined) throw new Error('fetch() requires the server to have a fetch handler');
  const result = state.fetch(server, request);
  if (result === undefined || result === null) throw new Error('fetch() returned an empty value');
  return result;
}

/**
 * @param {ServerState} state
 * @param {any} input
 * @returns {Request}
 */
function fetchArgument(state, input) {
  if (input instanceof Request) return input;
  if (typeof input !== 'string' && !(input instanceof String)) {
    throw invalidArgument(`fetch() expects a string, but received ${input === null ? 'Null' : KINDS[typeof input]}`);
  }
  const url = String(input);
  if (url === '') throw new Error('fetch() URL must not be a blank string.');
  return new Request(new URL(url, urlOf(state)));
}

/** What `fetch()` calls what is not to be fetched, by its `typeof`. */
const KINDS = {
  undefined: 'Undefined',
  boolean: 'Boolean',
  number: 'Number',
  bigint: 'BigInt',
  string: 'String',
  symbol: 'Symbol',
  object: 'Object',
  function: 'Object',
};

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
 * What an upgrade is to be like.
 * @param {ServerState} state
 * @param {any} options
 */
function upgradeOptions(state, options) {
  if (options !== undefined && options !== null && typeof options !== 'object') {
    throw invalidArgument('upgrade options must be an object');
  }
  return {
    data: options?.data,
    own: state.ownWebSocket(options?.websocket),
    fields: upgradeFields(options?.headers),
    protocol: upgradeProtocol(options?.protocol),
  };
}

/**
 * The custom fields of a 101 as text (`fields.js`).
 * @param {any} headers
 */
function upgradeFields(headers) {
  if (headers === undefined || headers === null) return '';
  if (typeof headers !== 'object' && typeof headers !== 'function') {
    throw invalidArgument('upgrade options.headers must be a Headers or an object');
  }
  let fields = '';
  for (const [name, value] of headerPairs(headers)) {
    if (!TOKEN.test(name)) throw new TypeError(`Invalid header name: '${name}'`);
    const text = value.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, '');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a field value must not have
    if (/[\0\r\n]|[^\x00-\xff]/.test(text)) throw new TypeError(`Header '${name}' has invalid value`);
    if (!HANDSHAKE_FIELDS.has(name.toLowerCase())) fields += field(name, text);
  }
  return fields;
}

/**
 * The subprotocol that is to be picked: a name, `false` for none, undefined to leave it to the client.
 * @param {unknown} protocol
 */
function upgradeProtocol(protocol) {
  if (protocol === undefined || protocol === null) return undefined;
  if (protocol === false) return false;
  // RFC 6455 §4.1: the name of a subprotocol is a token.
  if (typeof protocol === 'string' && TOKEN.test(protocol)) return protocol;
  throw invalidArgument('upgrade options.protocol must be the name of a subprotocol or false');
}

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

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

/** Requests being delivered: the head of each, with more about it in `numbers`. @type {string[]} */
let heads = [];
/** How many of them have been. */
let delivered = 0;

/** As with messages (`socket.js`): what a handler or a tick throws is an uncaught exception, and the native side calls again. */
function deliverRequests() {
  while (delivered < heads.length) {
    const at = delivered++;
    const place = 4 * at;
    const state = servers.get(numbers[place]);
    // A handler before it may have cut it off.
    if (state !== undefined && !state.isOver) {
      const told = numbers[place + 3];
      const exchange = new Exchange(state, numbers[place + 1], heads[at], (told & 1) !== 0, (told & 2) !== 0);
      receive(state, exchange, state.routeOf(numbers[place + 2]));
    }
    runTicks?.();
  }
  heads = [];
}

events.requests = (/** @type {string[]} */ ...arrived) => {
  heads = arrived;
  delivered = 0;
  deliverRequests();
};

events.resumeRequests = () => {
  runTicks?.();
  deliverRequests();
};

events.stopped = (/** @type {number} */ key) => {
  const state = servers.get(key);
  servers.delete(key);
  if (state === undefined) return;
  state.isOver = true;
  clearTimeout(state.alarm);
  state.hasStopped();
};

/** A handler took longer than the timeout that nobody chose. Comes once, in development. */
events.timedOut = () => {
  console.error('warn: Bun.serve() timed out a request after 10 seconds. Pass `idleTimeout` to configure.');
};

module.exports = { ServerState, serve };
