// @ts-check
// What every server of the benchmark shares.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** The answer to GET /hello, GET /host and GET /static. */
export const HELLO = 'Hello, world!';

/** The answer to GET /download, which the load generator makes by the same rule. */
export const MEGABYTE = Uint8Array.from({ length: 1024 * 1024 }, (_, index) => index * 31 + (index >> 8));

/** The content of `key.pem` and `cert.pem` that the runner has made, and where they lie; undefined without. */
export const tls = credentials(process.env.MANTOU_BENCH_TLS);

/** @param {string | undefined} folder */
function credentials(folder) {
  if (folder === undefined) return undefined;
  const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  return { keyFile, certFile, key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') };
}

/**
 * Tells the runner, as the first line of standard output, where the server listens and what it is.
 * @param {{ plain?: number, compressed?: number, routed?: number, tls?: number }} ports where there is none, a workload is left out
 * @param {string} server
 */
export function announce(ports, server) {
  const { versions } = process;
  const runtime = versions.bun === undefined ? `Node ${versions.node}` : `Bun ${versions.bun}`;
  console.log(JSON.stringify({ ports, server, runtime }));
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
