// @ts-check
// A program in a process of its own, on the runtime and the target of the test, written where it is used: for what a test can't do to itself
// (exit, die of an exception, start with other environment variables).
//
//   const program = run(`const server = serve({ fetch() {} }); print(server.port);`);
//   const port = Number(await program.line());
//   const { code, stderr } = await program.exited();

import { spawn } from 'node:child_process';
import { calls } from './calls.mjs';
import { isBunRuntime } from './target.mjs';

const flags = isBunRuntime ? ['-e'] : ['--input-type=module', '-e'];

/** What every program finds in scope: `print` writes a line for the test. */
const bare = `
import { writeSync } from 'node:fs';
const print = (value) => writeSync(1, value + '\\n');
`;
/** And what it finds beside that, unless it is to load mantou itself. */
const prelude = `
import { mantou, serve } from ${location('./target.mjs')};
import { binary, RawClient, text } from ${location('./raw-client.mjs')};
import { connectTo, exchange, request } from ${location('./raw-http.mjs')};
`;

/** What must not reach a program from the test run around it. */
const unset = ['NODE_TEST_CONTEXT', 'NODE_ENV', 'BUN_PORT', 'PORT', 'NODE_PORT'];

const running = /** @type {Set<import('node:child_process').ChildProcess>} */ (new Set());

/** @typedef {{ code: number | null, signal: NodeJS.Signals | null, stderr: string, lines: string[] }} End of a program */

/** `afterEach(killPrograms)`: no program outlives its test. */
export function killPrograms() {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
}

/**
 * Starts `source` as a module; `env` is laid over the environment. `{ line(), exited() }` wait at most 10 s. With `descriptors` it can have
 * so many open, and no more.
 * @param {string} source
 * @param {NodeJS.ProcessEnv} [env]
 * @param {{ descriptors?: number }} [limits]
 */
export function run(source, env = {}, limits = {}) {
  return start(prelude + bare + source, env, limits);
}

/**
 * The same with nothing loaded.
 * @param {string} source
 * @param {NodeJS.ProcessEnv} [env]
 */
export function runBare(source, env = {}) {
  return start(bare + source, env, {});
}

/**
 * @param {string} source
 * @param {NodeJS.ProcessEnv} env
 * @param {{ descriptors?: number }} limits
 */
function start(source, env, { descriptors }) {
  const inherited = Object.entries(process.env).filter(([name]) => !unset.includes(name));
  const command = [process.execPath, ...flags, source];
  if (descriptors !== undefined) command.unshift('sh', '-c', 'ulimit -n "$0" && exec "$@"', String(descriptors));
  const child = spawn(command[0], command.slice(1), {
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  /** @type {import('./calls.mjs').Calls<[line: string]>} */
  const lines = calls('a line of a program');
  /** @type {import('./calls.mjs').Calls<[end: End]>} */
  const ends = calls('the end of a program');
  let unfinished = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (data) => {
    const pieces = (unfinished + data).split('\n');
    unfinished = pieces.pop() ?? '';
    for (const piece of pieces) lines(piece);
  });
  child.stderr.setEncoding('utf8').on('data', (data) => {
    stderr += data;
  });
  child.once('close', (code, signal) => {
    running.delete(child);
    ends({ code, signal, stderr, lines: lines.all.flat() });
  });

  let read = 0;
  return {
    /** The next line it prints. */
    async line() {
      const wanted = ++read;
      await Promise.race([lines.count(wanted), ends.count(1)]);
      if (lines.all.length < wanted) throw new Error(`the program ended instead of printing: ${JSON.stringify(ends.all[0][0])}`);
      return lines.all[wanted - 1][0];
    },
    /** Its end: `{ code, signal, stderr, lines }`. */
    async exited() {
      return (await ends.count(1))[0][0];
    },
  };
}

/** @param {string} path */
function location(path) {
  return JSON.stringify(new URL(path, import.meta.url).href);
}
