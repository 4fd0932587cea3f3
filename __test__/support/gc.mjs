// @ts-check
// The garbage collector on demand, on both runtimes and without a flag on the command line.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { bun, isBunRuntime } from './target.mjs';

const collect = isBunRuntime ? () => bun.gc(true) : exposedGc();

/** Collects, letting finalizers and deferred releases run, a few times over. */
export async function collectGarbage(rounds = 5) {
  for (let round = 0; round < rounds; round++) {
    collect();
    await new Promise(setImmediate);
  }
}

/**
 * How many of these WeakRefs still hold something after collecting until nothing more goes.
 * @param {WeakRef<WeakKey>[]} references
 */
export async function survivors(references) {
  const alive = () => references.filter((reference) => reference.deref() !== undefined).length;
  for (let before = Number.POSITIVE_INFINITY, now = alive(); now > 0 && now < before; now = alive()) {
    before = now;
    await collectGarbage();
  }
  return alive();
}

/** @returns {() => void} */
function exposedGc() {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc');
}
