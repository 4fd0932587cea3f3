// @ts-check
// The engine of this JavaScript environment: the native functions, and where its events go.

'use strict';

const { createEngine } = require('./binary.js');

/**
 * What the native side calls. `sockets.js` and `requests.js` fill it in before the first server starts.
 * @type {Record<string, (...args: any[]) => void>}
 */
const events = {};

/** @type {any} */
let native;
/** @type {NodeJS.Timeout | undefined} */
let timer;

/** Starts the engine, once. Returns the native functions (`src/binding/functions.rs`). */
function engine() {
  if (native !== undefined) return native;
  const isBun = process.versions.bun !== undefined;
  const callbacks = {
    ...events,
    settleSoon: () => queueMicrotask(native.settle),
    setTimer: (/** @type {number} */ milliseconds) => {
      clearTimeout(timer);
      timer = setTimeout(native.wake, milliseconds);
      timer.unref();
    },
    // Bun drains nothing between two calls from native code; this does. Bun alone has the module.
    drainMicrotasks: isBun ? require('bun:jsc').drainMicrotasks : undefined,
  };
  native = createEngine(callbacks, isBun, process.env.MANTOU_DRIVER === 'watched');
  return native;
}

module.exports = { engine, events };
