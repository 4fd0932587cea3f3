// @ts-check
// The `routes` option (§9): checked here, matched by the native side, which answers by itself what needs no handler.

'use strict';

const { createHash } = require('node:crypto');
const { statSync } = require('node:fs');
const { resolve } = require('node:path');

const { isBuffered, isResponse, unsendable } = require('./answer.js');
const { engine } = require('./engine.js');
const { coded, invalidArgument } = require('./errors.js');
const { field, findField, joinFields } = require('./fields.js');
const { decodePercent } = require('./percent.js');
const { hasContent, plain } = require('./response.js');

/** The methods that an object of handlers is known by. */
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'CONNECT', 'TRACE'];

/**
 * A handler of HTTP, called in the async context it was given in (`server.js`).
 * @typedef {(thisArg: unknown, ...args: unknown[]) => any} Handler
 */

/** @typedef {(handler: Function) => Handler | undefined} InContext */

/**
 * What the native side calls by a number: a handler, its path, and the names of the parameters in that.
 * @typedef {{ handler: Handler, path: string, names: string[] }} HandlerRoute
 */

/** The numbers of handlers are never used again: one that comes after a reload still means what it meant. */
let lastNumber = 0;

/** The routes of a server, until a reload brings others. */
class RouteTable {
  /** By their numbers. @type {Map<number, HandlerRoute>} */
  #handlers = new Map();
  /** How the native side learns of each route, given the number of the server. @type {((server: number) => void)[]} */
  #additions = [];
  /** Static responses whose bodies are being read: each is added once it is. @type {{ body: Promise<Copy>, add: AddStatic }[]} */
  #pending = [];
  /** Whether there is anything but `false`. */
  hasAnswers = false;

  /**
   * @param {string} path
   * @param {string} methods separated by spaces; '' for all
   * @param {Handler} handler
   * @param {boolean} [isPending] it stands in for a static response
   */
  addHandler(path, methods, handler, isPending = false) {
    const number = ++lastNumber;
    this.hasAnswers = true;
    this.#handlers.set(number, { handler, path, names: parameterNames(path) });
    this.#additions.push((server) => engine().addHandlerRoute(server, path, methods, number, isPending));
  }

  /**
   * @param {string} path
   * @param {string} methods
   * @param {any} response
   */
  addStatic(path, methods, response) {
    const { status, statusText = '' } = response;
    const fields = joinFields(response.headers);
    /** @type {AddStatic} */
    const add = (server, { bytes, type }) => {
      const all = fields + typeField(fields, type) + etagField(fields, bytes);
      engine().addStaticRoute(server, path, methods, status, statusText, all, bytes);
    };
    const body = copyBody(response);
    if (body instanceof Promise) {
      const init = { status, statusText, headers: new Headers(response.headers) };
      this.addHandler(path, methods, () => body.then(({ bytes }) => new Response(bytes, init)), true);
      this.#pending.push({ body, add });
    } else {
      this.hasAnswers = true;
      this.#additions.push((server) => add(server, body));
    }
  }

  /**
   * @param {string} path
   * @param {string} directory
   */
  addDirectory(path, directory) {
    this.hasAnswers = true;
    this.#additions.push((server) => engine().addDirectoryRoute(server, path, '', directory));
  }

  /** @param {string} path what is for `fetch`, whatever other routes say */
  addFetch(path) {
    this.#additions.push((server) => engine().addFetchRoute(server, path, ''));
  }

  /**
   * Has the native side match these routes, and no others.
   * @param {number} server
   * @param {boolean} hasFetch
   * @param {() => boolean} isCurrent whether they still stand
   */
  install(server, hasFetch, isCurrent) {
    const native = engine();
    native.newRoutes(server, hasFetch);
    let isWhole = false;
    try {
      for (const add of this.#additions) add(server);
      isWhole = true;
    } finally {
      // A directory may have gone since it was looked at.
      native.useRoutes(server, isWhole);
    }
    for (const { body, add } of this.#pending) {
      body.then((copy) => isCurrent() && add(server, copy), ignore);
    }
    // The native side has its own copies.
    this.#additions = [];
    this.#pending = [];
  }

  /** @param {number} number */
  handlerOf(number) {
    return this.#handlers.get(number);
  }
}

/**
 * The `routes` option, or `static`, which is an older name for it. Undefined when neither is given.
 * @param {any} options
 * @param {InContext} inContext
 */
function parseRoutes(options, inContext) {
  const routes = options.routes === undefined ? options.static : options.routes;
  if (routes === undefined) return undefined;
  if ((typeof routes !== 'object' && typeof routes !== 'function') || routes === null) throw invalidArgument(NEEDS_OBJECT);
  const table = new RouteTable();
  for (const [path, value] of Object.entries(routes)) {
    if (value !== undefined) parseRoute(table, path, value, inContext);
  }
  return table;
}

const EXAMPLE = `
  {
    "/path": {
      GET: (req) => new Response("Hello"),
      POST: (req) => new Response("Hello"),
    },
    "/path2/:param": new Response("Hello"),
    "/path3/:param1/:param2": (req) => new Response("Hello")
  }
`;
const NEEDS_OBJECT = `Bun.serve() expects 'routes' to be an object shaped like:\n${EXAMPLE}`;
const NEEDS_ROUTE = `'routes' expects a Record<string, Response | false | { dir: string } | {[method: string]: (req: BunRequest) => Response|Promise<Response>}>, shaped like:
${EXAMPLE}
A method is one of ${METHODS.join(', ')}.`;

/**
 * @param {RouteTable} table
 * @param {string} path
 * @param {any} value
 * @param {InContext} inContext
 */
function parseRoute(table, path, value, inContext) {
  checkPath(path);
  if (value === false) {
    table.addFetch(path);
  } else if (typeof value === 'function' || isResponse(value)) {
    addAnswer(table, path, '', value, inContext);
  } else if (value?.dir !== undefined && value?.dir !== null) {
    table.addDirectory(path, parseDirectory(path, value.dir));
  } else if (typeof value === 'object' && value !== null && METHODS.some((method) => Object.hasOwn(value, method))) {
    const given = METHODS.filter((method) => Object.hasOwn(value, method) && isAnswer(value[method]));
    for (const method of given) {
      const methods = method === 'GET' && !given.includes('HEAD') ? 'GET HEAD' : method;
      addAnswer(table, path, methods, value[method], inContext);
    }
  } else {
    throw invalidArgument(NEEDS_ROUTE);
  }
}

/** @param {unknown} value */
function isAnswer(value) {
  return typeof value === 'function' || isResponse(value);
}

/**
 * @param {RouteTable} table
 * @param {string} path
 * @param {string} methods
 * @param {any} answer
 * @param {InContext} inContext
 */
function addAnswer(table, path, methods, answer, inContext) {
  if (typeof answer === 'function') table.addHandler(path, methods, /** @type {Handler} */ (inContext(answer)));
  else table.addStatic(path, methods, answer);
}

/** @param {string} path */
function checkPath(path) {
  if (path !== '' && !path.startsWith('/')) throw invalidArgument(`Invalid route ${JSON.stringify(path)}. Path must start with '/'`);
  if (/[^\0-\x7f]/.test(path)) {
    throw invalidArgument(`Invalid route ${JSON.stringify(path)}. Please encode all non-ASCII characters in the path.`);
  }
  const names = namesIn(path);
  if (names.some((name) => /^\d/.test(name))) throw new Error('Route parameter names cannot start with a number.');
  if (new Set(names).size < names.length) {
    throw new Error('Support for duplicate route parameter names is not yet implemented.');
  }
}

/**
 * What follows the last colon of each segment that has one.
 * @param {string} path
 */
function namesIn(path) {
  return path
    .split('/')
    .filter((segment) => segment.includes(':'))
    .map((segment) => segment.slice(segment.lastIndexOf(':') + 1));
}

/**
 * The names of the parameters of a path, in order.
 * @param {string} path
 */
function parameterNames(path) {
  return namesIn(path).filter((name) => name !== '');
}

/**
 * The parameters of a request.
 * @param {HandlerRoute} route
 * @param {string} path as it came, without a query
 */
function parametersOf(route, path) {
  const segments = path.split('/');
  const values = route.path.split('/').flatMap((segment, index) => (segment.startsWith(':') ? [decodePercent(segments[index])] : []));
  const parameters = Object.create(null);
  route.names.forEach((name, index) => {
    parameters[name] = values[index] ?? '';
  });
  return parameters;
}

/**
 * @param {string} path
 * @param {unknown} directory
 */
function parseDirectory(path, directory) {
  if (typeof directory !== 'string') {
    throw invalidArgument(`The "dir" property must be of type string, got ${typeof directory}`);
  }
  if (!path.endsWith('/*')) throw invalidArgument('To mount a directory, make sure the path ends in `/*`');
  if (path.includes('/:')) {
    throw invalidArgument('Directory routes do not support :parameters; use a fixed prefix ending in `/*`');
  }
  const stats = directory === '' ? undefined : statSync(directory, { throwIfNoEntry: false });
  if (stats === undefined) throw directoryError('ENOENT', 'no such file or directory', directory);
  if (!stats.isDirectory()) throw directoryError('ENOTDIR', 'not a directory', directory);
  return resolve(directory);
}

/**
 * @param {string} code
 * @param {string} text
 * @param {string} path
 */
function directoryError(code, text, path) {
  return Object.assign(coded(Error, code, `${code}: ${text}, open '${path}'`), { syscall: 'open', path });
}

/** @typedef {(server: number, copy: Copy) => void} AddStatic */
/** @typedef {{ bytes: ArrayBuffer | Uint8Array<ArrayBuffer>, type: string }} Copy the body of a response, and its type where only the body knows it */

/**
 * The body of a response for a static route. The response keeps its own.
 * @param {any} response
 * @returns {Copy | Promise<Copy>}
 */
function copyBody(response) {
  if (response.bodyUsed) throw invalidArgument('Response body has already been used');
  if (response.status === 0) throw unsendable(response);
  if (!hasContent(response.status)) return { bytes: new Uint8Array(), type: '' };
  const parts = plain(response);
  if (parts !== undefined) {
    const { content } = parts;
    if (content instanceof Blob) return readLater(content.arrayBuffer().then((bytes) => ({ bytes, type: '' })));
    const bytes = typeof content === 'string' ? encoder.encode(content) : (content ?? new Uint8Array());
    return { bytes: /** @type {Uint8Array<ArrayBuffer>} */ (bytes), type: '' };
  }
  const isWhole = isBuffered(response);
  if (!isWhole && (response.body === null || response.body === undefined)) return { bytes: new Uint8Array(), type: '' };
  if (process.versions.bun !== undefined && response instanceof Response && !isWhole) {
    throw invalidArgument(
      'Body must be fully buffered before it can be used in a static route. Consider calling new Response(await response.blob()) to buffer the body.',
    );
  }
  return readLater(
    response
      .clone()
      .blob()
      .then(async (/** @type {Blob} */ blob) => ({ bytes: await blob.arrayBuffer(), type: blob.type })),
  );
}

const encoder = new TextEncoder();

/** @param {Promise<Copy>} copy */
function readLater(copy) {
  copy.catch(ignore);
  return copy;
}

/** A body that cannot be read is an error of each request for it, and of nobody else. */
const ignore = () => {};

/**
 * @param {string} fields
 * @param {string} type
 */
function typeField(fields, type) {
  return type === '' || findField(fields, 'content-type') !== undefined ? '' : field('content-type', type);
}

/**
 * @param {string} fields
 * @param {Copy['bytes']} bytes
 */
function etagField(fields, bytes) {
  if (bytes.byteLength === 0 || findField(fields, 'etag') !== undefined) return '';
  const hash = createHash('sha256').update(new Uint8Array(bytes)).digest('hex').slice(0, ETAG_LENGTH);
  return field('etag', `"${hash}"`);
}

/** Sixty-four bits, as Bun's has. */
const ETAG_LENGTH = 16;

module.exports = { parametersOf, parseRoutes };
