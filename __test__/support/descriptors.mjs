// @ts-check
// What this process has open, as Linux tells it.

import { readdirSync, readlinkSync } from 'node:fs';

/** Why a test that asks cannot run here, if it cannot. */
export const cannotTell = process.platform !== 'linux' && 'looks into /proc';

/** What each descriptor of this process is of. */
export function descriptors() {
  return readdirSync('/proc/self/fd').flatMap((fd) => linkOf(`/proc/self/fd/${fd}`) ?? []);
}

/**
 * How many descriptors of a file this process has.
 * @param {string} path absolute
 */
export function descriptorsOf(path) {
  return descriptors().filter((link) => link === path).length;
}

/**
 * Waits until a condition of the descriptors holds: those that a thread has in hand are closed when it is done, which nobody is told of.
 * @param {() => boolean} holds
 */
export async function settled(holds) {
  for (let tries = 0; tries < 500 && !holds(); tries++) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** It may be gone by now, as the one that lists them is. @param {string} path */
function linkOf(path) {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
