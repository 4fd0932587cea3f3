// @ts-check
// The engine of this JavaScript environment: the native functions, and where its events go.

'use strict';

const { createEngine } = require('./binary.js');

/**
 * What the native side calls. `socket.js`, `request.js` and `server.js` fill it in before the first server starts.
 * @type {Record<string, (...args: any[]) => void>}
 */
const events = {};

/**
 * What the native side says in numbers of the messages or requests that come in one call, at most 64. Of a message it is the socket it is for;
 * of a request its server, itself, the number of its route, and a sum: 1 with a body, 2 when its client has ended its side already.
 */
const numbers = new Float64Array(4 * 64 + 2);

/** Where in `numbers` the socket of `sendText` and `sendBinary` stands, and their status after. Behind it, whether to compress: 0, 1, or -1. */
const SEND = 4 * 64;

/** How the native side is to go about its work; settled before the first server starts. */
const manner = {
  /** It tells how each request ends, without being asked to `watch` it. */
  followsRequests: false,
};

const isBun = process.versions.bun !== undefined;

/**
 * Runs what is due between two handlers: ticks, then microtasks. Node does it for its timers with this function, which has no public name;
 * without it (undefined) the native side has to leave JavaScript after each handler, which is slower. In Bun, microtasks go first.
 * @type {(() => void) | undefined}
 */
const runTicks = isBun ? require('bun:jsc').drainMicrotasks : /** @type {any} */ (process)._tickCallback;

/** @type {any} */
let native;
/** @type {NodeJS.Timeout | undefined} */
let timer;

/** Starts the engine, once. Returns the native functions (`src/binding/functions.rs`). */
function engine() {
  if (native !== undefined) return native;
  const callbacks = {
    ...events,
    runTicks: runTicks ?? null,
    settleSoon: () => queueMicrotask(native.settle),
    setTimer: (/** @type {number} */ milliseconds) => {
      clearTimeout(timer);
      timer = setTimeout(native.wake, milliseconds);
      timer.unref();
    },
  };
  const { MANTOU_DRIVER, MANTOU_IO_URING } = process.env;
  // What was said right before is not lost: nobody comes back from there.
  process.on('exit', () => native.flush());
  native = createEngine(callbacks, numbers, isBun, manner.followsRequests, MANTOU_DRIVER === 'watched', MANTOU_IO_URING !== '0');
  return native;
}

module.exports = { engine, events, manner, numbers, runTicks, SEND };
