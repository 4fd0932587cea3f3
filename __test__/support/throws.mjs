// @ts-check
// assert.throws for errors whose code matters also when there is none.

import assert from 'node:assert/strict';

/** @typedef {{ name?: 'Error' | 'TypeError' | 'RangeError', code?: string, message: string }} Expected */

/**
 * `act` throws an error of class `name` with exactly this message and code (undefined: no code).
 * @param {() => unknown} act
 * @param {Expected} expected
 */
export function throwsExactly(act, { name = 'Error', code, message }) {
  /** @type {unknown} */
  let thrown;
  try {
    act();
  } catch (error) {
    thrown = error;
  }
  assert.ok(thrown instanceof Error, `nothing was thrown, expected ${name} ${message}`);
  const seen = /** @type {Error & { code?: string }} */ (thrown);
  assert.deepEqual({ name: seen.name, code: seen.code, message: seen.message }, { name, code, message });
  assert.ok(thrown instanceof globalThis[name], `a real ${name}`);
}

/** @type {(message: string) => Expected} */
export const invalidArgType = (message) => ({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message });
/** @type {(message: string) => Expected} */
export const missingArgs = (message) => ({ name: 'TypeError', code: 'ERR_MISSING_ARGS', message });
