// @ts-check
// The async context of handlers: that of the `serve()` call, never that of another handler.

'use strict';

const { AsyncResource } = require('node:async_hooks');

const { runInAsyncScope } = AsyncResource.prototype;

/** Before Node 24, AsyncLocalStorage keeps its stores on the resource that runs. */
const keepsStoresOnResource = process.versions.bun === undefined && Number.parseInt(process.versions.node, 10) < 24;

/**
 * Captures the current async context. The function returned calls another in it:
 * `enter(handler, thisArg, ...args)`.
 *
 * `enterWith()` in one handler must not reach the next: where stores are kept on the resource, each call gets one of its own that
 * inherits from the captured one.
 * @returns {(handler: Function, thisArg: unknown, ...args: unknown[]) => any}
 */
function captureContext() {
  const captured = new AsyncResource('mantou');
  if (!keepsStoresOnResource) {
    return (handler, thisArg, ...args) => captured.runInAsyncScope(/** @type {any} */ (handler), thisArg, ...args);
  }
  return (handler, thisArg, ...args) => runInAsyncScope.call(Object.create(captured), /** @type {any} */ (handler), thisArg, ...args);
}

module.exports = { captureContext };
