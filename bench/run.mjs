// @ts-check
// Runs the benchmarks: every scenario against every server, in interleaved rounds, one server process at a time. See README.md.
//
//   node bench/run.mjs [--rounds 5] [--seconds 3] [--warm-up 1] [--scenarios echo-1,chat-256] [--servers bun,mantou]
//                      [--node <path>] [--pin <server core>,<generator core> | none]

import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { bunBinary } from '../__test__/support/bun.mjs';
import { summarize, table } from './summary.mjs';

/** @typedef {import('./summary.mjs').Run} Run */

const here = fileURLToPath(new URL('.', import.meta.url));
const generator = join(here, 'load/target/release/mantou-load');

/** The arguments of the load generator; `most` limits the rounds of what hardly varies. */
const SCENARIOS = /** @type {Record<string, { args: string, most?: number }>} */ ({
  'echo-1': { args: 'echo --clients 64 --size 20 --inflight 1' },
  'echo-16': { args: 'echo --clients 64 --size 20 --inflight 16' },
  'echo-128': { args: 'echo --clients 64 --size 20 --inflight 128' },
  'echo-16k': { args: 'echo --clients 64 --size 16384 --inflight 1' },
  'echo-alone': { args: 'echo --clients 1 --size 20 --inflight 1' },
  'rate-5k': { args: 'rate --clients 64 --size 20 --rate 5000' },
  'rate-20k': { args: 'rate --clients 64 --size 20 --rate 20000' },
  'chat-32': { args: 'chat --clients 32 --burst 1' },
  'chat-256': { args: 'chat --clients 256 --burst 1' },
  'chat-32-burst': { args: 'chat --clients 32 --burst 1600' },
  'chat-256-burst': { args: 'chat --clients 256 --burst 32' },
  idle: { args: 'idle --clients 10000', most: 3 },
  hello: { args: 'hello --clients 64' },
});

/** In seconds: for starting a server, and on top of a run's own time (connecting, a garbage collection, a last slow round). */
const PATIENCE = 30;

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    'warm-up': { type: 'string', default: '1' },
    scenarios: { type: 'string', default: Object.keys(SCENARIOS).join() },
    servers: { type: 'string' },
    node: { type: 'string', default: process.execPath },
    // One core for the server, with all its helper threads, and another for the generator.
    pin: { type: 'string', default: availableParallelism() > 1 ? '1,0' : 'none' },
  },
});
const rounds = positive('rounds');
const seconds = positive('seconds');
const warmUp = positive('warm-up');
const [serverPin, generatorPin] = options.pin === 'none' ? [[], []] : options.pin.split(',').map((core) => ['taskset', '-c', core]);

const SERVERS = /** @type {Record<string, string[]>} */ ({
  bun: [bunBinary() ?? 'bun', 'bun.mjs'],
  mantou: [options.node, 'mantou.mjs'],
  'mantou-bun': [bunBinary() ?? 'bun', 'mantou.mjs'],
  // Its binaries for Node 22 and later want a newer C library than many systems have: it runs on the runner's own Node.
  uws: [process.execPath, 'uws.cjs'],
  ws: [options.node, 'ws.mjs'],
});

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));

await main();

async function main() {
  const scenarios = options.scenarios.split(',');
  const unknown = scenarios.filter((name) => !(name in SCENARIOS));
  if (unknown.length > 0) fail(`no scenario ${unknown.join()}; there are ${Object.keys(SCENARIOS).join()}`);
  prepare();
  const servers = await startable();
  const runCount = (/** @type {string} */ name) => Math.min(rounds, SCENARIOS[name].most ?? rounds) * servers.length;
  const total = scenarios.reduce((sum, name) => sum + runCount(name), 0);
  // Half a second to start; idle runs and slow rounds of chat take longer, so this is a floor.
  console.log(`${total} runs, about ${Math.ceil((total * (seconds + warmUp + 0.5)) / 60)} min or a little more\n`);

  /** @type {Run[]} */
  const runs = [];
  let failures = 0;
  for (const scenario of scenarios) {
    for (let round = 0; round < Math.min(rounds, SCENARIOS[scenario].most ?? rounds); round++) {
      for (const server of rotated(servers, round)) {
        try {
          const run = await measure(scenario, server, round);
          runs.push(run);
          console.log(`${scenario} round ${round + 1} ${server}: ${describe(run)}`);
        } catch (error) {
          failures++;
          console.error(`${scenario} round ${round + 1} ${server} FAILED: ${error instanceof Error ? error.message : error}`);
        }
      }
    }
    const own = runs.filter((run) => run.scenario === scenario);
    if (own.length > 0) console.log(`\n### ${scenario}\n\n${table(summarize(own))}\n`);
  }
  save(runs, scenarios);
  if (failures > 0) fail(`${failures} of ${total} runs failed`);
}

/** Builds the generator and installs the peers where they are missing. */
function prepare() {
  if (process.platform !== 'linux') fail('the load generator needs Linux (epoll)');
  console.log('building the load generator …');
  execFileSync('cargo', ['build', '--release', '--locked', '--quiet', '--manifest-path', join(here, 'load/Cargo.toml')], {
    stdio: 'inherit',
  });
  if (!['uwebsockets', 'ws'].every((name) => existsSync(join(here, 'node_modules', name)))) {
    console.log('installing the peers …');
    // No scripts: uwebsockets brings its binaries in the package.
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: here, stdio: 'inherit' });
  }
}

/** The servers that were asked for, all of which must start; by default those that do. */
async function startable() {
  const asked = options.servers?.split(',');
  const names = [];
  for (const name of asked ?? Object.keys(SERVERS)) {
    if (!(name in SERVERS)) fail(`no server ${name}; there are ${Object.keys(SERVERS).join()}`);
    try {
      const { child, server, runtime } = await start(name);
      await stop(child);
      console.log(`${name}: ${server} on ${runtime}`);
      names.push(name);
    } catch (error) {
      const reason = `${name} does not start: ${error instanceof Error ? error.message : error}`;
      if (asked !== undefined) fail(reason);
      console.error(`${reason}\n  … going on without it`);
    }
  }
  if (names.length === 0) fail('no server starts');
  return names;
}

/**
 * One run against a fresh process.
 * @param {string} scenario
 * @param {string} name
 * @param {number} round
 * @returns {Promise<Run>}
 */
async function measure(scenario, name, round) {
  const { child, port } = await start(name);
  try {
    const args = [...SCENARIOS[scenario].args.split(' '), '--port', port, '--pid', child.pid, '--seconds', seconds, '--warm-up', warmUp];
    const [file, ...rest] = [...generatorPin, generator, ...args.map(String)];
    const running = promisify(execFile)(file, rest, { timeout: 1000 * (2 * (seconds + warmUp) + PATIENCE), killSignal: 'SIGKILL' });
    children.add(running.child);
    running.child.once('exit', () => children.delete(running.child));
    return { ...JSON.parse((await running).stdout), scenario, server: name, round };
  } finally {
    await stop(child);
  }
}

/**
 * Starts a server and waits until it says where it listens.
 * @param {string} name
 */
async function start(name) {
  const [runtime, script] = SERVERS[name];
  const [file, ...args] = [...serverPin, runtime, join(here, 'servers', script)];
  const env = { ...process.env, NODE_ENV: 'production' };
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  children.add(child);
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    complaint += text;
  });
  const lines = createInterface({ input: child.stdout });
  const announced = once(lines, 'line', { signal: AbortSignal.timeout(1000 * PATIENCE) });
  const ended = once(child, 'close').then(([code]) => Promise.reject(new Error(`exit code ${code}\n${complaint}`.trim())));
  // Awaited below, but it also happens, unobserved, when the server is stopped.
  ended.catch(() => {});
  try {
    const [line] = await Promise.race([announced, ended]);
    return { child, .../** @type {{ port: number, server: string, runtime: string }} */ (JSON.parse(line)) };
  } catch (error) {
    announced.catch(() => {});
    await stop(child);
    throw error;
  }
}

/** @param {import('node:child_process').ChildProcess} child */
async function stop(child) {
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  }
  children.delete(child);
}

/**
 * @param {Run[]} runs
 * @param {string[]} scenarios
 */
function save(runs, scenarios) {
  const date = new Date().toISOString();
  const path = join(here, 'results', `${date.slice(0, 19).replaceAll(':', '')}.json`);
  const machine = { cpu: cpus()[0]?.model, cores: availableParallelism(), kernel: release() };
  const summaries = scenarios.map((scenario) => [scenario, summarize(runs.filter((run) => run.scenario === scenario))]);
  const result = { date, machine, options: { ...options, servers: options.servers }, summary: Object.fromEntries(summaries), runs };
  mkdirSync(join(here, 'results'), { recursive: true });
  writeFileSync(path, `${JSON.stringify(result, null, 1)}\n`);
  console.log(`written: ${relative(process.cwd(), path)}`);
}

/** @param {Run} run */
function describe(run) {
  if ('kib_per_connection' in run) return `${Number(run.kib_per_connection).toFixed(2)} KiB/connection`;
  const rate = Math.round(Number(run.per_second)).toLocaleString('en-US');
  const [server, load] = [run.server_cpu_us, run.load_cpu_us].map((time) => Number(time).toPrecision(3));
  return `${rate} msg/s, CPU per message ${server} µs (generator ${load})`;
}

/**
 * Round 1: A B C D, round 2: B C D A, so that nobody always runs first.
 * @template T
 * @param {T[]} list
 * @param {number} by
 */
function rotated(list, by) {
  const first = by % list.length;
  return [...list.slice(first), ...list.slice(0, first)];
}

/** @param {'rounds' | 'seconds' | 'warm-up'} name */
function positive(name) {
  const value = Number(options[name]);
  return value > 0 ? value : fail(`--${name} takes a number above 0`);
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(`bench: ${message}`);
  process.exit(1);
}
