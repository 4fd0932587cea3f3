// @ts-check
// What a spec tests: mantou in Node, mantou in Bun, or real Bun.serve (the oracle). Specs import `serve` from here and nowhere else.
//
// MANTOU_TEST_TARGET: "mantou" (default) or "oracle" (Bun only). MANTOU_TEST_REGISTER: with `mantou/register`.

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const inBun = process.versions.bun !== undefined;
const oracle = process.env.MANTOU_TEST_TARGET === 'oracle';

if (oracle && !inBun) throw new Error('the oracle is real Bun.serve: run this spec with bun');

if (process.env.MANTOU_TEST_REGISTER) require('../../register.js');

/** Which of the three targets this process is. */
export const target = oracle ? 'bun' : inBun ? 'mantou in Bun' : 'mantou in Node';
/** True on real Bun: what it shows is how things are, not how they should be. */
export const isOracle = oracle;
/** True for mantou on either runtime. */
export const isMantou = !oracle;
/** True when the JavaScript runtime is Bun, whoever serves. */
export const isBunRuntime = inBun;

/** @template [D=undefined] @typedef {import('../../index.js').Server<D>} Server */
/** @template [D=undefined] @typedef {import('../../index.js').Serve.Options<D>} Options */

/**
 * What only Bun has, in Bun.
 * @type {Pick<typeof import('../../index.js'), 'serve' | 'Cookie' | 'CookieMap'> & { gc(force: boolean): void, file(path: string): Blob }}
 */
export const bun = Reflect.get(globalThis, 'Bun');

/**
 * The module under test, or its stand-in on the oracle.
 * @type {Pick<typeof import('../../index.js'), 'serve' | 'Cookie' | 'CookieMap'> & Partial<typeof import('../../index.js')>}
 */
export const mantou = oracle ? { serve: bun.serve, Cookie: bun.Cookie, CookieMap: bun.CookieMap } : require('../../index.js');

const running = /** @type {Set<{ stop(force: true): Promise<void> }>} */ (new Set());

/**
 * `serve()` of the target on a free port; every server a test leaves behind is stopped by `stopAll`.
 * @template [D=undefined]
 * @param {Options<D>} options
 * @returns {Server<D>}
 */
export function serve(options) {
  const server = mantou.serve(options.unix === undefined && options.port === undefined ? { ...options, port: 0 } : options);
  running.add(server);
  return server;
}

/** Stops whatever is still running: `afterEach(stopAll)`. */
export async function stopAll() {
  const servers = [...running];
  running.clear();
  await Promise.all(servers.map((server) => server.stop(true)));
}
