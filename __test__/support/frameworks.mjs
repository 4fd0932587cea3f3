// @ts-check
// Starts the programs of frameworks/, each in a process of its own: `mantou/register` changes globals.
//
//   for (const host of hosts) {
//     const program = await startFramework(host, 'hono.mjs');
//     await fetch(program.url);
//     await program.line();                 // what it prints
//   }

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { bunBinary } from './bun.mjs';
import { calls } from './calls.mjs';
import { nodeBinary, nodesRequired } from './nodes.mjs';

/** @typedef {{ name: string, path?: string, reason?: string, env: Record<string, string>, isBun: boolean, isOracle: boolean }} Host */

const newest = nodeBinary('26');
const bun = bunBinary();
const inBun = bun === undefined ? { reason: 'Bun is not installed: npm install' } : { path: bun };
const inNode = { isBun: false, isOracle: false, env: {} };

/** Where the programs run: on mantou everywhere, and on real Bun, which shows that the tests themselves are right. @type {Host[]} */
export const hosts = [
  { ...inNode, name: `Node ${process.versions.node.split('.', 1)}`, path: process.execPath },
  { ...inNode, name: 'Node 26', ...newest },
  { ...inNode, name: 'Node, watched', path: process.execPath, env: { MANTOU_DRIVER: 'watched' } },
  { ...inBun, name: 'mantou in Bun', env: {}, isBun: true, isOracle: false },
  { ...inBun, name: 'real Bun', env: { MANTOU_TEST_TARGET: 'oracle' }, isBun: true, isOracle: true },
];
for (const { name, path, reason } of hosts) {
  if (path === undefined && nodesRequired) throw new Error(`${name} must be tested here: ${reason}`);
  if (path === undefined) console.error(`\n# ${name} IS NOT TESTED. ${reason}\n`);
}

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
process.once('exit', stopFrameworks);

/** `after(stopFrameworks)`: no program outlives its tests. */
export function stopFrameworks() {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
}

/**
 * Starts a program on a host and waits until it says where it listens. `flags` are for Node.
 * @param {Host} host
 * @param {string} file
 * @param {{ flags?: string[], args?: string[] }} [options]
 */
export async function startFramework(host, file, { flags = [], args = [] } = {}) {
  const folder = fileURLToPath(new URL('../frameworks/', import.meta.url));
  const child = spawn(/** @type {string} */ (host.path), [...(host.isBun ? [] : flags), file, ...args], {
    cwd: folder,
    env: { ...process.env, NODE_ENV: 'test', ...host.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const exit = once(child, 'close');
  /** @type {import('./calls.mjs').Calls<[line: string]>} */
  const lines = calls(`a line of ${file}`);
  createInterface(child.stdout).on('line', lines);
  let read = 0;
  /** The next line that it prints. */
  const line = async () => {
    const wanted = ++read;
    await Promise.race([lines.count(wanted), exit]);
    if (lines.all.length < wanted) throw new Error(`${file} ended with ${child.exitCode ?? child.signalCode}: ${stderr}`);
    return lines.all[wanted - 1][0];
  };
  const first = await line();
  const url = /^Listening on (http:\S+)$/.exec(first)?.[1];
  if (url === undefined) throw new Error(`${file} says: ${first}`);
  return {
    url,
    line,
    /** What it has written to stderr. */
    stderr: () => stderr,
    /** Sends the signal and waits for the end. @param {NodeJS.Signals} signal */
    async end(signal) {
      child.kill(signal);
      const [code] = await exit;
      running.delete(child);
      return code;
    },
  };
}

/**
 * The events of an EventSource, from the body of its response.
 * @param {string} text
 */
export function eventsOf(text) {
  return text
    .split('\n\n')
    .filter((block) => block !== '')
    .map((block) =>
      Object.fromEntries(block.split('\n').map((row) => [row.slice(0, row.indexOf(':')), row.slice(row.indexOf(':') + 1).trim()])),
    );
}
