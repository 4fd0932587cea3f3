// @ts-check
// Python for the tests that need it: finds one, makes virtual environments in the user's cache folder, never in the repository.
// Where Python is required (CI), a missing one is a failure and never a skip.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { once } from './once.mjs';

/** The only version the tests are made for. */
const VERSION = '3.11';
/** Milliseconds; a slow mirror is waited for. */
const INSTALL_TIMEOUT = 5 * 60_000;

/** True where the tests with Python must run, whatever it takes. */
export const pythonRequired = !['', '0', 'false', undefined].includes(process.env.CI);

/** Where environments and reports are kept between runs. */
export const cacheFolder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'mantou-tests');

/**
 * A program's path, or why there is none and how to get one.
 * @typedef {{ path: string, reason?: undefined } | { path?: undefined, reason: string }} Found
 */

/**
 * Finds Python 3.11 with `venv`. Throws where Python is required and none can be had.
 * @returns {Found}
 */
export function pythonForTests() {
  const candidates = [process.env.PYTHON, `python${VERSION}`, 'python3', 'python'].filter((name) => name !== undefined && name !== '');
  for (const candidate of candidates) {
    const path = pathOf(/** @type {string} */ (candidate));
    if (path !== undefined) return { path };
  }
  return missing(`Python ${VERSION} with venv was not found. Install it (Debian 12: apt-get install python3-venv), or set PYTHON`);
}

/**
 * The Python of a virtual environment with these packages, made when it is not there. Throws where Python is required and it cannot be made.
 * @param {string[]} requirements as pip takes them, pinned
 * @returns {Found}
 */
export function pythonWith(requirements) {
  const python = pythonForTests();
  if (python.path === undefined) return python;
  const stamp = createHash('sha256')
    .update([python.path, ...requirements].join('\n'))
    .digest('hex');
  const home = join(cacheFolder, `venv-${stamp.slice(0, 12)}`);
  const pathIn = (/** @type {string} */ folder) => join(folder, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  try {
    once(home, (folder) => {
      console.error(`# Python packages are not here yet: pip install ${requirements.join(' ')}`);
      must(python.path, ['-m', 'venv', folder]);
      must(pathIn(folder), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', ...requirements]);
    });
  } catch (error) {
    return missing(/** @type {Error} */ (error).message);
  }
  return { path: pathIn(home) };
}

/** @param {string} program @param {string[]} args */
function must(program, args) {
  const { status, error, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: INSTALL_TIMEOUT });
  if (status !== 0) throw new Error(`"${program} ${args.join(' ')}" failed: ${error?.message ?? stderr.trim().split('\n').at(-1)}`);
}

/**
 * @param {string} reason
 * @returns {Found}
 */
function missing(reason) {
  if (pythonRequired) throw new Error(`the tests with Python must run here: ${reason}`);
  return { reason };
}

/**
 * The interpreter's own path, undefined when there is none of the right version or when it cannot make environments.
 * @param {string} name
 */
function pathOf(name) {
  const source = 'import sys, ensurepip, venv; print("%d.%d" % sys.version_info[:2]); print(sys.executable)';
  const { status, stdout } = spawnSync(name, ['-c', source], { encoding: 'utf8' });
  const [version, path] = (stdout ?? '').split(/\r?\n/);
  return status === 0 && version === VERSION ? path : undefined;
}
