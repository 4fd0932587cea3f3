// @ts-check
// What `npm start` and `npm test` have in common: installing what is missing and building, with a word about each step.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Runs a command and ends the process when it fails.
 * @param {string} what
 * @param {string} command
 * @param {string[]} args
 */
export function step(what, command, args) {
  console.log(`> ${what}: ${command} ${args.join(' ')}`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', shell: process.platform === 'win32' });
  if (error) console.error(error.message);
  if (status !== 0) process.exit(status ?? 1);
}

/** Installs the npm packages when they are not there. */
export function install() {
  if (!existsSync(join(root, 'node_modules', '@napi-rs', 'cli'))) step('installing packages', 'npm', ['install', '--no-save']);
}

/** Builds the addon in release mode, unless it is newer than every source. */
export function build() {
  if (addonTime() > newest(['src', 'Cargo.toml', 'Cargo.lock', 'build.rs'])) {
    console.log('> the addon is up to date');
    return;
  }
  step('building the addon', 'npm', ['run', '--silent', 'build']);
}

function addonTime() {
  const addons = readdirSync(root).filter((name) => /^mantou\..*\.node$/.test(name));
  return existsSync(join(root, 'binding.js')) ? Math.max(0, ...addons.map((name) => statSync(join(root, name)).mtimeMs)) : 0;
}

/**
 * @param {string[]} paths
 * @returns {number}
 */
function newest(paths) {
  const times = paths.map((path) => {
    const absolute = join(root, path);
    const stat = statSync(absolute);
    return stat.isDirectory() ? newest(readdirSync(absolute).map((name) => join(path, name))) : stat.mtimeMs;
  });
  return Math.max(0, ...times);
}
