// @ts-check
// Who is measured, and the life of a server process: started for one run, bound to its core, ended after it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { bunBinary } from '../__test__/support/bun.mjs';
import { root } from '../scripts/steps.mjs';

const servers = fileURLToPath(new URL('servers', import.meta.url));
const generator = fileURLToPath(new URL('load/target/release/mantou-load', import.meta.url));

/**
 * @typedef {object} Peer
 * @property {('websocket' | 'http' | 'floor')[]} speaks
 * @property {string[][]} commands the first that works is taken
 */

/** What the peers are called. @type {Record<string, string>} */
export const TITLES = {
  bun: 'Bun',
  mantou: 'mantou',
  'mantou-register': 'mantou/register',
  'mantou-bun': 'mantou in Bun',
  uws: 'uWebSockets.js',
  ws: 'ws',
  http: 'node:http',
  hono: '@hono/node-server',
  floor: 'bare send calls',
};
/** What everything is compared to. */
export const REFERENCE = 'bun';
/** In seconds, for a server to start. */
const PATIENCE = 60;

/**
 * @param {string} node the Node of mantou and of the peers on Node
 * @returns {Record<string, Peer>}
 */
export function peersOn(node) {
  const bun = bunBinary() ?? 'bun';
  const script = (/** @type {string} */ name) => join(servers, name);
  const register = join(root, 'register.js');
  return {
    bun: { speaks: ['websocket', 'http'], commands: [[bun, script('bun.mjs')]] },
    mantou: { speaks: ['websocket', 'http'], commands: [[node, script('mantou.mjs')]] },
    // With its Response and Request as the global ones, as @hono/node-server has its own.
    'mantou-register': { speaks: ['http'], commands: [[node, '--require', register, script('mantou.mjs')]] },
    'mantou-bun': { speaks: ['websocket', 'http'], commands: [[bun, script('mantou.mjs')]] },
    uws: {
      speaks: ['websocket', 'http'],
      // Its binaries for Node 22 and later want a newer C library than many systems have.
      commands: [node, process.execPath].map((binary) => [binary, script('uws.cjs')]),
    },
    ws: { speaks: ['websocket'], commands: [[node, script('ws.mjs')]] },
    http: { speaks: ['http'], commands: [[node, script('http.mjs')]] },
    hono: { speaks: ['http'], commands: [[node, script('hono.mjs')]] },
    floor: { speaks: ['floor'], commands: [[generator, 'floor']] },
  };
}

/** @typedef {{ child: import('node:child_process').ChildProcess, ports: Record<string, number>, server: string, runtime: string }} Server */

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/**
 * Makes a process end with this one, if not before.
 * @template {import('node:child_process').ChildProcess} Child
 * @param {Child} child
 */
export function adopt(child) {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/**
 * Starts a server and waits until it says where it listens.
 * @param {string[]} command
 * @param {{ core: string | undefined, tls: string }} options a core of its own, and the folder of its certificate
 * @returns {Promise<Server>}
 */
export async function start(command, { core, tls }) {
  const [program, ...args] = pinned(command, core);
  const env = { ...process.env, NODE_ENV: 'production', MANTOU_BENCH_TLS: tls };
  const child = adopt(spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env }));
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    complaint += text;
  });
  const announced = once(createInterface({ input: child.stdout }), 'line', { signal: AbortSignal.timeout(1000 * PATIENCE) });
  const ended = once(child, 'close').then(([code]) => Promise.reject(new Error(`exit code ${code}\n${complaint}`.trim())));
  // Whichever of the two is not awaited to its end may fail unobserved.
  for (const promise of [announced, ended]) promise.catch(() => {});
  try {
    const [line] = await Promise.race([announced, ended]);
    return { child, ...JSON.parse(line) };
  } catch (error) {
    await stop(child);
    throw error;
  }
}

/** @param {import('node:child_process').ChildProcess} child */
export async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

/**
 * A command that stays on one core, with all its threads.
 * @param {string[]} command
 * @param {string | undefined} core
 */
export function pinned(command, core) {
  return core === undefined ? command : ['taskset', '-c', core, ...command];
}
