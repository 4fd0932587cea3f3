// @ts-check
// The program of `bench/core`: the core's work without sockets.

import { spawnSync } from 'node:child_process';
import { root } from '../scripts/steps.mjs';

/** Builds `bench/core` as the addon is built and returns its path. */
export function build() {
  console.log('> building bench/core in release mode');
  const args = [
    'build',
    '--release',
    '--locked',
    '--bench',
    'core',
    '--features',
    'internals',
    '--message-format',
    'json-render-diagnostics',
  ];
  const messages = output('cargo', args)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const { executable } = messages.find(({ reason, target }) => reason === 'compiler-artifact' && target.name === 'core');
  return /** @type {string} */ (executable);
}

/**
 * What a program prints; it ends this one if it fails.
 * @param {string} program
 * @param {string[]} args
 */
export function output(program, args) {
  const { status, stdout, error } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed: ${error?.message ?? `exit code ${status}`}`);
  return stdout;
}
