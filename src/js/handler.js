// @ts-check
// What becomes of a request: the handler that is called, what it returns, and what happens when it fails.

'use strict';

const { isPromise } = require('node:util/types');

const { isResponse, send, sendPlain, sendText } = require('./answer.js');
const { engine } = require('./engine.js');
const { IncomingRequest } = require('./request.js');
const { Response } = require('./response.js');
const { RoutedRequest } = require('./routed-request.js');

/** @typedef {InstanceType<typeof import('./exchange.js').Exchange>} Exchange */
/** @typedef {InstanceType<typeof import('./server.js').ServerState>} ServerState */

/**
 * A request has arrived.
 * @param {ServerState} state
 * @param {Exchange} exchange
 * @param {ReturnType<ServerState['routeOf']>} route where it goes, if not to `fetch`
 */
function receive(state, exchange, route) {
  const request = /** @type {any} */ (route === undefined ? new IncomingRequest(exchange) : new RoutedRequest(route, exchange));
  handle(state, exchange, request, route?.handler ?? state.fetch ?? notFound);
}

/** Two reloads in a row have taken the route away, and there is no `fetch`. */
const notFound = () => new Response(null, { status: 404 });

/**
 * Runs the handler of a request and sends what it returns.
 * @param {ServerState} state
 * @param {Exchange} exchange
 * @param {Request} request
 * @param {NonNullable<ServerState['fetch']>} handler
 */
function handle(state, exchange, request, handler) {
  let result;
  try {
    result = handler(state.server, request, state.server);
  } catch (error) {
    handleError(state, exchange, error);
    return;
  }
  // The most common case first.
  if (sendPlain(exchange, result, handleError)) return;
  if (isPromise(result)) {
    exchange.defer();
    result.then(
      (/** @type {unknown} */ value) => finish(state, exchange, value, false),
      (/** @type {unknown} */ error) => {
        if (exchange.socket === undefined) return handleError(state, exchange, error);
        // There is nothing left to answer: as with the handlers of WebSockets, it is one that nobody has handled.
        throw error;
      },
    );
  } else {
    finish(state, exchange, result, isError(result));
  }
}

/** @param {unknown} value maybe a Proxy, which may throw */
function isError(value) {
  try {
    return value instanceof Error;
  } catch {
    return false;
  }
}

/**
 * The handler has returned `value`.
 * @param {ServerState} state
 * @param {Exchange} exchange
 * @param {any} value
 * @param {boolean} isError an Error returned, not resolved: as good as thrown
 */
function finish(state, exchange, value, isError) {
  if (sendPlain(exchange, value, handleError)) return;
  if (exchange.socket !== undefined) {
    engine().forget(exchange.key);
  } else if (isResponse(value)) {
    send(exchange, value, handleError);
  } else if (isError) {
    handleError(state, exchange, value);
  } else if (!exchange.isForsaken()) {
    if (state.development) sendText(exchange, 200, 'text/plain', WELCOME);
    else sendText(exchange, 204, null, null);
    console.error(`error: Expected a Response object, but received '${shown(() => value)}'`);
  }
}

const WELCOME = 'Welcome to Bun! To get started, return a Response object.';

/**
 * What can be shown of a value that is anybody's.
 * @param {() => unknown} read
 */
function shown(read) {
  try {
    return String(read());
  } catch {
    return 'what cannot be shown';
  }
}

/**
 * The handler has thrown `error`: the `error` handler answers, if there is somebody to answer to.
 * @param {ServerState} state
 * @param {Exchange} exchange
 * @param {unknown} error
 */
function handleError(state, exchange, error) {
  if (exchange.isForsaken(error)) return;
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
 * @param {Exchange} exchange
 * @param {unknown} value
 * @param {unknown} error
 */
function finishError(state, exchange, value, error) {
  if (sendPlain(exchange, value, sendErrorPage)) return;
  if (exchange.socket !== undefined) {
    engine().forget(exchange.key);
  } else if (isResponse(value)) {
    send(exchange, value, sendErrorPage);
  } else {
    sendErrorPage(state, exchange, error);
  }
}

/**
 * Nobody has an answer: sends a 500 and prints the error. In this order: to show it may run code of anybody's.
 * @param {ServerState} state
 * @param {Exchange} exchange
 * @param {unknown} error
 */
function sendErrorPage(state, exchange, error) {
  process.exitCode = 1;
  if (exchange.socket !== undefined) {
    engine().forget(exchange.key);
  } else if (state.development) {
    sendText(exchange, 500, 'text/html;charset=utf-8', errorPage(error));
  } else {
    sendText(exchange, 500, 'text/plain', 'Something went wrong!');
  }
  console.error(error);
  if (state.development) console.error(`${exchange.method} - ${exchange.target} failed`);
}

/** @param {unknown} error */
function errorPage(error) {
  const title = escapeHtml(shown(() => (error instanceof Error ? `${error.name}: ${error.message}` : error)));
  const stack = escapeHtml(shown(() => (error instanceof Error ? (error.stack ?? '') : '')));
  return `<!doctype html><meta charset="utf-8"><title>500</title><h1>${title}</h1><pre>${stack}</pre>`;
}

/** @param {string} text */
function escapeHtml(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

module.exports = { receive };
