// @ts-check
// Checks the types of the project with tsc, and that tsc looks at every file: without `// @ts-check` in its first line it passes over one in silence.
// Specs may do without, because they hand wrong things to the package on purpose, and so may what is generated, and what needs packages that are not
// always installed.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './steps.mjs';

/** @param {string} path */
const mayBeUnchecked = (path) => path.endsWith('.spec.mjs') || path === 'binding.js' || path.startsWith('__test__/frameworks/');

const files = tsc('--listFilesOnly')
  .stdout.split('\n')
  .map((path) => relative(root, path))
  .filter((path) => /\.[cm]?js$/.test(path) && !/^(\.\.|node_modules)[\\/]/.test(path));
const unchecked = files.filter((path) => !mayBeUnchecked(path) && !/^\/\/ @ts-check\r?\n/.test(readFileSync(join(root, path), 'utf8')));
for (const path of unchecked) console.error(`${path}: its first line is not // @ts-check`);
if (files.length === 0) console.error('tsc names no files');

const { status, stdout, stderr } = tsc();
process.stdout.write(stdout);
process.stderr.write(stderr);
process.exit(unchecked.length > 0 || files.length === 0 ? 1 : (status ?? 1));

/** @param {string[]} args */
function tsc(...args) {
  const program = join(root, 'node_modules/typescript/bin/tsc');
  return spawnSync(process.execPath, [program, '--project', root, ...args], { encoding: 'utf8', maxBuffer: 2 ** 26 });
}
