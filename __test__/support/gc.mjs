// The garbage collector on demand, on both runtimes and without a flag on the command line.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isBunRuntime } from './target.mjs';

const collect = isBunRuntime ? () => globalThis.Bun.gc(true) : exposedGc();

/** Collects, letting finalizers and deferred releases run, a few times over. */
export async function collectGarbage(rounds = 5) {
  for (let round = 0; round < rounds; round++) {
    collect();
    await new Promise(setImmediate);
  }
}

/** How many of these WeakRefs still hold something after collecting until nothing more goes. */
export async function survivors(references) {
  const alive = () => references.filter((reference) => reference.deref() !== undefined).length;
  for (let before = Number.POSITIVE_INFINITY, now = alive(); now > 0 && now < before; now = alive()) {
    before = now;
    await collectGarbage();
  }
  return alive();
}

function exposedGc() {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc');
}
