// @ts-check
// The steps that `npm start`, `npm test` and `npm run build` share: installing what is missing and building, with a word about each.
// Nothing here needs node_modules.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Runs a program in the root of the project, and ends this process when it fails.
 * @param {string} what
 * @param {string} program
 * @param {string[]} args
 */
export function step(what, program, args) {
  console.log(`> ${what}`);
  const { status, signal, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit' });
  if (status === 0) return;
  console.error(`> ${what} failed: ${error?.message ?? (signal === null ? `exit code ${status}` : signal)}`);
  process.exit(status ?? 1);
}

/**
 * Installs the npm packages of a folder when they are missing or older than its lock.
 * @param {string} [folder] below the root, whose own packages are meant otherwise
 */
export function install(folder = '') {
  const home = join(root, folder);
  const installed = join(home, 'node_modules/.package-lock.json');
  if (time(installed) >= Math.max(time(join(home, 'package-lock.json')), time(join(home, 'package.json')))) return;
  // Not `npm ci`: that refuses a lock without the platform packages that the registry in use does not have.
  const args = ['install', '--no-save', '--no-audit', '--no-fund'];
  // Below, everything that is needed is a dependency, and nothing runs.
  const [program, all] = npm(folder === '' ? args : [...args, '--prefix', home, '--ignore-scripts', '--omit=peer']);
  step(`installing the npm packages${folder === '' ? '' : ` of ${folder}`}`, program, all);
  touch(installed);
}

/**
 * Builds the native binary in release mode, and binding.js, which loads it.
 * @param {{ ifNeeded?: boolean }} [options] `ifNeeded`: not when they are newer than every source
 */
export function build({ ifNeeded = false } = {}) {
  const products = () =>
    ['binding.js', ...readdirSync(root).filter((name) => /^mantou\..+\.node$/.test(name))].map((name) => join(root, name));
  const isBuilt = products().length > 1 && Math.min(...products().map(time)) >= Math.max(...sources().map(time));
  if (ifNeeded && isBuilt) return;
  if (spawnSync('cargo', ['--version']).status !== 0) {
    console.error(
      '> cargo was not found. The native part of mantou is built with Rust (rustup installs it); Cargo.toml names the oldest version.',
    );
    process.exit(1);
  }
  step('building the native binary, which takes a minute or two from scratch', process.execPath, [
    join(root, 'node_modules/@napi-rs/cli/dist/cli.js'),
    ...['build', '--platform', '--release', '--js', 'binding.js', '--dts', 'target/binding.d.ts'],
    ...['--', '--locked'],
  ]);
  for (const product of products()) touch(product);
}

/** Everything the binary and binding.js are made from. */
function sources() {
  const folder = join(root, 'src');
  const rust = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.rs'));
  return [
    ...rust.map((name) => join(folder, name)),
    ...['Cargo.toml', 'Cargo.lock', 'build.rs', 'package.json'].map((name) => join(root, name)),
  ];
}

/**
 * npm as a program and its arguments, without a shell: the one this process was started by, or the one on the path.
 * @param {string[]} args
 * @returns {[program: string, args: string[]]}
 */
export function npm(args) {
  const cli = process.env.npm_execpath;
  return cli?.endsWith('npm-cli.js') && existsSync(cli) ? [process.execPath, [cli, ...args]] : ['npm', args];
}

/**
 * When a file was last changed, 0 when there is none.
 * @param {string} path
 */
function time(path) {
  return existsSync(path) ? statSync(path).mtimeMs : 0;
}

/** @param {string} path */
function touch(path) {
  const now = new Date();
  if (existsSync(path)) utimesSync(path, now, now);
}
