// Records the calls of a handler and lets a test wait for them.
//
//   const closes = calls('close');
//   websocket: { close: (ws, code, reason) => closes(code, reason) }
//   assert.deepEqual(await closes.next(), [1006, '']);

const PATIENCE_MS = 10_000;

/** A function that keeps the arguments of its calls: `all`, `next()` for the first one not yet asked for, `count(n)` for all once there are n. */
export function calls(what = 'a call', { patience = PATIENCE_MS } = {}) {
  const all = [];
  const waits = new Set();
  let read = 0;

  function record(...args) {
    all.push(args);
    for (const wait of waits) {
      if (all.length < wait.wanted) continue;
      waits.delete(wait);
      wait.resolve();
    }
  }

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
    async count(wanted) {
      await reached(wanted);
      return [...all];
    },
  });
}

function summary(all) {
  return all.map((args) => `(${args.map((arg) => String(arg).slice(0, 80)).join(', ')})`).join(' ');
}
