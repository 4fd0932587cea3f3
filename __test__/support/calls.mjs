// @ts-check
// Records the calls of a handler and lets a test wait for them.
//
//   const closes = calls('close');
//   websocket: { close: (ws, code, reason) => closes(code, reason) }
//   assert.deepEqual(await closes.next(), [1006, '']);

const PATIENCE_MS = 10_000;

/**
 * A function that keeps the arguments of its calls: `all`, `next()` for the first one not yet asked for, `count(n)` for all once there are n.
 * @template {unknown[]} [Args=unknown[]]
 * @typedef {((...args: Args) => void) & { all: Args[], next(): Promise<Args>, count(wanted: number): Promise<Args[]> }} Calls
 */

/**
 * @template {unknown[]} [Args=unknown[]]
 * @param {string} [what]
 * @param {{ patience?: number }} [options] milliseconds that a wait may take
 * @returns {Calls<Args>}
 */
export function calls(what = 'a call', { patience = PATIENCE_MS } = {}) {
  const all = /** @type {Args[]} */ ([]);
  const waits = /** @type {Set<{ wanted: number, resolve(): void }>} */ (new Set());
  let read = 0;

  /** @param {Args} args */
  function record(...args) {
    all.push(args);
    for (const wait of waits) {
      if (all.length < wait.wanted) continue;
      waits.delete(wait);
      wait.resolve();
    }
  }

  /**
   * @param {number} wanted
   * @returns {Promise<void>}
   */
  function reached(wanted) {
    if (all.length >= wanted) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waits.delete(wait);
        reject(new Error(`waited ${patience / 1000} s for call ${wanted} of ${what}; there were ${all.length}: ${summary(all)}`));
      }, patience);
      const wait = {
        wanted,
        resolve() {
          clearTimeout(timer);
          resolve();
        },
      };
      waits.add(wait);
    });
  }

  return Object.assign(record, {
    all,
    async next() {
      const at = read++;
      await reached(at + 1);
      return all[at];
    },
    async count(/** @type {number} */ wanted) {
      await reached(wanted);
      return [...all];
    },
  });
}

/** @param {unknown[][]} all */
function summary(all) {
  return all.map((args) => `(${args.map((arg) => String(arg).slice(0, 80)).join(', ')})`).join(' ');
}
