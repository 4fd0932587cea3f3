// @ts-check
// The async context of handlers: that of the `serve()` call, never that of another handler.

'use strict';

const { AsyncResource } = require('node:async_hooks');

/** Before Node 24, AsyncLocalStorage keeps its stores on the resource that runs. */
const keepsStoresOnResource = process.versions.bun === undefined && Number.parseInt(process.versions.node, 10) < 24;

/** The async context of now, for calls to come. */
const captureContext = () => new AsyncResource('mantou');

/**
 * What one call runs in: `scopeOf(context).runInAsyncScope(handler, thisArg, ...args)`.
 *
 * `enterWith()` in one handler must not reach the next: where stores are kept on the resource, each call gets one of its own that
 * inherits from the captured one.
 * @type {(context: AsyncResource) => AsyncResource}
 */
const scopeOf = keepsStoresOnResource ? (context) => Object.create(context) : (context) => context;

module.exports = { captureContext, scopeOf };
