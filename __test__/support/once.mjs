// @ts-check
// Folders that are installed once and kept: several test files may want the same one at the same moment.

import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes the folder `home` unless it is there: `install` fills another one beside it, which takes that name when it is whole. Of several processes
 * that do so at once, one wins.
 * @param {string} home
 * @param {(folder: string) => void} install throws what is in the way
 */
export function once(home, install) {
  if (existsSync(home)) return;
  mkdirSync(dirname(home), { recursive: true });
  const folder = mkdtempSync(`${home}-`);
  try {
    install(folder);
    renameSync(folder, home);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    if (!existsSync(home)) throw error;
  }
}
