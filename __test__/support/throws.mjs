// assert.throws for errors whose code matters also when there is none.

import assert from 'node:assert/strict';

/** `act` throws an error of class `name` with exactly this message and code (undefined: no code). */
export function throwsExactly(act, { name = 'Error', code, message }) {
  let thrown;
  try {
    act();
  } catch (error) {
    thrown = error;
  }
  assert.ok(thrown instanceof Error, `nothing was thrown, expected ${name} ${message}`);
  assert.deepEqual({ name: thrown.name, code: thrown.code, message: thrown.message }, { name, code, message });
  assert.ok(thrown instanceof globalThis[name], `a real ${name}`);
}

export const invalidArgType = (message) => ({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message });
export const missingArgs = (message) => ({ name: 'TypeError', code: 'ERR_MISSING_ARGS', message });
