// @ts-check
// What every server of the benchmark shares.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** The answer to GET /hello. */
export const HELLO = 'Hello, world!';

/**
 * Tells the runner, as the first line of standard output, where the server listens and what it is.
 * @param {number} port
 * @param {string} server
 */
export function announce(port, server) {
  const { versions } = process;
  const runtime = versions.bun === undefined ? `node ${versions.node}` : `bun ${versions.bun}`;
  console.log(JSON.stringify({ port, server, runtime }));
}

/** A full collection, so that memory is compared without garbage. */
export function collectGarbage() {
  if (process.versions.bun !== undefined) {
    /** @type {any} */ (globalThis).Bun.gc(true);
    return;
  }
  // Only now, so that the flag is off while speed is measured.
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}
