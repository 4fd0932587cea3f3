// @ts-check
// Runs examples/chat/server.mjs as its users do: a process of its own, which a test may kill and start again.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { bunBinary } from './bun.mjs';

const file = fileURLToPath(new URL('../../examples/chat/server.mjs', import.meta.url));

/**
 * A test that fails halfway leaves no server behind.
 * @type {Set<import('node:child_process').ChildProcess>}
 */
const running = new Set();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
// The test runner ends a file by a signal, which skips "exit" unless someone asks for it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

/** @typedef {{ name: string, program: string | undefined, env: Record<string, string> }} Host */

/**
 * The servers the chat is tested on: mantou in Node and in Bun, or with MANTOU_CHAT_SERVE=bun the real Bun.serve, which shows that the test itself is right.
 * @type {Host[]}
 */
export const hosts =
  process.env.MANTOU_CHAT_SERVE === 'bun'
    ? [{ name: 'Bun.serve', program: bunBinary(), env: { MANTOU_CHAT_SERVE: 'bun' } }]
    : [
        { name: 'mantou in Node', program: process.execPath, env: {} },
        { name: 'mantou in Bun', program: bunBinary(), env: {} },
      ];

/**
 * Starts the chat and waits until it has printed its address.
 * @param {Host} host
 * @param {number} [port]
 */
export async function startChatServer({ program, env }, port = 0) {
  if (program === undefined) throw new Error('the runtime is not installed');
  const child = spawn(program, [file], {
    env: { ...process.env, ...env, HOST: '127.0.0.1', PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const exited = once(child, 'exit');
  child.once('exit', () => running.delete(child));
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text;
  });

  /** @type {URL | undefined} */
  let url;
  const lines = createInterface(child.stdout);
  for await (const line of lines) {
    const address = /^Chat is running at (http:\S+)/.exec(line)?.[1];
    if (address === undefined) continue;
    url = new URL(address);
    break;
  }
  if (url === undefined) {
    const [code, signal] = await exited;
    throw new Error(`the chat did not start (exit ${code ?? signal}):\n${errors}`);
  }
  child.stdout.resume();

  return {
    url: url.href,
    port: Number(url.port),
    /** What the server has written to stderr: nothing, if all is well. */
    errors: () => errors,
    /**
     * Sends the signal and waits for the end.
     * @param {NodeJS.Signals} signal
     * @returns {Promise<{ code: number | null, signal: NodeJS.Signals | null }>}
     */
    async end(signal = 'SIGTERM') {
      child.kill(signal);
      const [code, by] = await exited;
      return { code, signal: by };
    },
  };
}
