// @ts-check
// A program of the fixtures, or any other, in a process of its own, to its end.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** What must not reach a program from the test run around it. */
const unset = ['NODE_OPTIONS', 'NODE_TEST_CONTEXT'];

/**
 * Waits until it has ended, or kills it after `timeout` milliseconds. `env` is laid over the environment.
 * @param {string} path of the runtime
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, timeout: number }} options
 */
export async function runToEnd(path, args, { env = {}, timeout }) {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !unset.includes(name)));
  const child = spawn(path, args, {
    env: { ...inherited, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout,
    killSignal: 'SIGKILL',
  });
  const output = { stdout: '', stderr: '' };
  for (const name of /** @type {const} */ (['stdout', 'stderr'])) {
    child[name].setEncoding('utf8').on('data', (text) => {
      output[name] += text;
    });
  }
  const [code, signal] = await once(child, 'close');
  return { code, signal, ...output };
}
