// @ts-check
// Other Nodes than the one that runs the tests: each is a package of the npm registry, installed on demand into node_modules/.cache.
// Where a Node is required (CI), a missing one is a failure and never a skip.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { npm } from '../../scripts/steps.mjs';
import { once } from './once.mjs';

const cache = fileURLToPath(new URL('../../node_modules/.cache/mantou-nodes', import.meta.url));
const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
/** Milliseconds: a Node is some 100 MB. */
const PATIENCE = 180_000;

/** True where every Node must be tested, whatever it takes. */
export const nodesRequired = !['', '0', 'false', undefined].includes(process.env.CI);

/**
 * The path of the Node of this version ("22", "20.3.0"), or why there is none.
 * @param {string} version
 * @returns {{ path: string, reason?: undefined } | { path?: undefined, reason: string }}
 */
export function nodeBinary(version) {
  const home = join(cache, version);
  const path = join(home, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  try {
    once(home, (folder) => install(version, folder));
  } catch (error) {
    return { reason: /** @type {Error} */ (error).message };
  }
  const { status, error, signal } = spawnSync(path, ['--version'], { timeout: PATIENCE });
  return status === 0 ? { path } : { reason: `${path} does not run here: ${error?.message ?? signal ?? status}` };
}

/** @param {string} version @param {string} folder */
function install(version, folder) {
  const [program, args] = npm([
    'install',
    '--no-save',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    `${name}@${version}`,
  ]);
  console.error(`# Node ${version} is not here yet: npm install ${name}@${version}`);
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  const { status, error, stderr } = spawnSync(program, args, { cwd: folder, encoding: 'utf8', timeout: PATIENCE });
  if (status !== 0) throw new Error(`npm install ${name}@${version} failed: ${error?.message ?? stderr.trim().split('\n').at(-1)}`);
}
