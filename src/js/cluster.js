// @ts-check
// node:cluster. Its workers share a port as Bun's do: each listens for itself, and the system spreads the connections (SO_REUSEPORT).

'use strict';

/** Elsewhere the option has another meaning, or is not there. */
const CAN_SHARE = process.platform === 'linux';

/** The worker that this process is, if it is one. */
function worker() {
  const cluster = /** @type {import('node:cluster').Cluster} */ (/** @type {unknown} */ (require('node:cluster')));
  return cluster.isWorker ? cluster.worker : undefined;
}

/** Whether a port is shared unless the options say otherwise. */
function sharesPort() {
  return CAN_SHARE && worker() !== undefined;
}

/** What there is to say about a port that is taken. */
function hintWhenTaken() {
  return CAN_SHARE || worker() === undefined ? '' : ' Workers of node:cluster share a port on Linux alone.';
}

let listens = false;

/**
 * Calls `leave` when this process is told to leave its cluster, as `worker.disconnect()` does: Node closes its own servers then.
 * @param {() => void} leave the same at each call
 */
function onDisconnect(leave) {
  const self = worker();
  if (listens || self === undefined) return;
  listens = true;
  self.once('disconnect', leave);
}

module.exports = { hintWhenTaken, onDisconnect, sharesPort };
