// @ts-check
// Measures: every workload against every peer that speaks it, in interleaved rounds, one server process at a time.

import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build, install, npm } from '../scripts/steps.mjs';
import { describe, machine } from './machine.mjs';
import { adopt, peersOn, pinned, start, stop, TITLES } from './peers.mjs';
import { Progress } from './progress.mjs';
import { count, significant } from './tables.mjs';
import { WORKLOADS } from './workloads.mjs';

/** @typedef {import('./statistics.mjs').Run} Run */
/** @typedef {import('./results.mjs').Result} Result */

const here = fileURLToPath(new URL('.', import.meta.url));
const generator = join(here, 'load/target/release/mantou-load');
const tls = join(here, 'load/target/certificate');

/** In seconds, on top of a run's own time: connecting, a garbage collection, a last slow round. */
const PATIENCE = 120;
/** What a server lacks that announces no such port. */
const NEEDED = { plain: 'anything', compressed: 'compression', routed: 'static routes', tls: 'TLS' };
/** The generator's exit status when a server does not have what a workload asks for. */
const NOT_OFFERED = 3;

/**
 * @typedef {object} Plan
 * @property {string[]} workloads
 * @property {string[] | undefined} peers undefined for all that start
 * @property {('node' | 'bun')[]} runtimes of mantou
 * @property {string} node
 * @property {number} rounds
 * @property {number} seconds
 * @property {number} warmUp
 * @property {[server: string | undefined, generator: string | undefined]} cores
 */

/**
 * @param {Plan} plan
 * @returns {Promise<Result>}
 */
export async function measure(plan) {
  if (process.platform !== 'linux') throw new Error('the load generator needs Linux (epoll)');
  prepare();
  const before = machine();
  console.log(`\n${describe(before)}`);
  if (before.load > before.cores / 4) {
    console.log('Other programs are busy on this machine: rates and latencies suffer from them; CPU times and ratios hardly.');
  }
  const peers = await startable(plan);
  const titles = Object.fromEntries(Object.entries(peers).map(([name, { server, runtime }]) => [name, { server, runtime }]));
  const { runs, missing, failures } = await allRounds(plan, peers);
  return {
    date: new Date().toISOString(),
    machine: before,
    rounds: plan.rounds,
    seconds: plan.seconds,
    peers: titles,
    missing,
    failures,
    runs,
  };
}

/** Builds what is missing and installs the peers. */
function prepare() {
  install();
  build({ ifNeeded: true });
  console.log('> building the load generator');
  execFileSync('cargo', ['build', '--release', '--locked', '--quiet', '--manifest-path', join(here, 'load/Cargo.toml')], {
    stdio: 'inherit',
  });
  if (!existsSync(join(tls, 'cert.pem'))) execFileSync(generator, ['certificate', tls]);
  if (!['@hono/node-server', 'hono', 'uwebsockets', 'ws'].every((name) => existsSync(join(here, 'node_modules', name)))) {
    console.log('> installing the peers');
    // No scripts: uwebsockets brings its binaries in the package.
    const [program, args] = npm(['ci', '--ignore-scripts', '--no-audit', '--no-fund']);
    execFileSync(program, args, { cwd: here, stdio: 'inherit' });
  }
}

/** @typedef {{ command: string[], speaks: string[], server: string, runtime: string }} Startable */

/**
 * The peers that were asked for, all of which must start; by default those that do.
 * @param {Plan} plan
 */
async function startable({ peers: asked, runtimes, node, workloads, cores }) {
  const all = peersOn(node);
  const isWanted = {
    mantou: runtimes.includes('node'),
    'mantou-register': runtimes.includes('node'),
    'mantou-bun': runtimes.includes('bun'),
  };
  const speaks = new Set(workloads.flatMap((name) => [WORKLOADS[name].kind, ...(WORKLOADS[name].hasFloor ? ['floor'] : [])]));
  const names = (asked ?? Object.keys(all)).filter((name) => {
    if (!(name in all)) throw new Error(`no peer ${name}; there are ${Object.keys(all).join()}`);
    return all[name].speaks.some((kind) => speaks.has(kind)) && isWanted[/** @type {keyof typeof isWanted} */ (name)] !== false;
  });
  /** @type {Record<string, Startable>} */
  const found = {};
  for (const name of names) {
    let reason = '';
    for (const command of all[name].commands) {
      if (name in found) break;
      try {
        const { child, server, runtime } = await start(command, { core: cores[0], tls });
        await stop(child);
        found[name] = { command, speaks: all[name].speaks, server, runtime };
        console.log(`${TITLES[name]}: ${server} on ${runtime}`);
      } catch (error) {
        reason = `${TITLES[name]} does not start: ${messageOf(error)}`;
      }
    }
    if (name in found) continue;
    if (asked !== undefined) throw new Error(reason);
    console.error(`${reason}\n  … going on without it`);
  }
  if (Object.keys(found).length === 0) throw new Error('no server starts');
  return found;
}

/**
 * @param {Plan} plan
 * @param {Record<string, Startable>} peers
 */
async function allRounds(plan, peers) {
  /** @type {Run[]} */
  const runs = [];
  /** @type {Record<string, Record<string, string>>} */
  const missing = {};
  /** @type {string[]} */
  const failures = [];
  const speaking = (/** @type {string} */ workload) => {
    const { kind, hasFloor } = WORKLOADS[workload];
    return Object.keys(peers).filter((name) => peers[name].speaks.some((own) => own === kind || (hasFloor && own === 'floor')));
  };
  const total = plan.workloads.reduce((sum, workload) => sum + plan.rounds * speaking(workload).length, 0);
  const progress = new Progress(total);
  progress.say('');
  for (const workload of plan.workloads) {
    const names = speaking(workload);
    for (let round = 0; round < plan.rounds; round++) {
      for (const peer of rotated(names, round)) {
        if (missing[workload]?.[peer] !== undefined) continue;
        const what = `${workload} round ${round + 1} ${peer}`;
        progress.begin(what);
        try {
          const outcome = await runOnce(plan, workload, peers[peer].command);
          if ('missing' in outcome) {
            missing[workload] = { ...missing[workload], [peer]: outcome.missing };
            progress.end(`${what}: left out, it does not offer ${outcome.missing}`);
            progress.skip(plan.rounds - round - 1);
          } else {
            runs.push({ ...outcome.numbers, workload, peer, round });
            progress.end(`${what}: ${summary(outcome.numbers)}`);
          }
        } catch (error) {
          failures.push(`${what}: ${messageOf(error)}`);
          progress.end(`${what} FAILED: ${messageOf(error)}`);
        }
      }
    }
  }
  progress.finish();
  return { runs, missing, failures };
}

/**
 * One run against a fresh process.
 * @param {Plan} plan
 * @param {string} workload
 * @param {string[]} command
 * @returns {Promise<{ numbers: Record<string, number | string> } | { missing: string }>}
 */
async function runOnce({ seconds, warmUp, cores }, workload, command) {
  const { load, port = 'plain' } = WORKLOADS[workload];
  const { child, ports } = await start(command, { core: cores[0], tls });
  try {
    if (ports[port] === undefined) return { missing: NEEDED[port] };
    const secure = port === 'tls' ? ['--certificate', join(tls, 'cert.pem')] : [];
    const bounds = ['--port', ports[port], '--pid', child.pid, '--seconds', seconds, '--warm-up', warmUp].map(String);
    const [program, ...args] = pinned([generator, ...load.split(' '), ...secure, ...bounds], cores[1]);
    const patience = 1000 * (2 * (seconds + warmUp) + PATIENCE);
    const running = promisify(execFile)(program, args, { timeout: patience, killSignal: 'SIGKILL' });
    adopt(running.child);
    return { numbers: JSON.parse((await running).stdout) };
  } catch (error) {
    const { code, stderr } = /** @type {{ code?: unknown, stderr?: string }} */ (error);
    if (code === NOT_OFFERED) return { missing: String(stderr).trim() };
    throw error;
  } finally {
    await stop(child);
  }
}

/** @param {Record<string, number | string>} numbers */
function summary(numbers) {
  if ('kib_per_connection' in numbers) return `${significant(Number(numbers.kib_per_connection))} KiB per connection`;
  const [server, load] = [numbers.server_cpu_us, numbers.load_cpu_us].map((time) => significant(Number(time)));
  const latency = 'p50_us' in numbers ? `, p50 ${significant(Number(numbers.p50_us))} µs` : '';
  return `${count(Number(numbers.per_second))}/s, CPU ${server} µs each (generator ${load})${latency}`;
}

/** @param {unknown} error */
function messageOf(error) {
  const { stderr, message } = /** @type {{ stderr?: string, message?: string }} */ (error);
  return (stderr?.trim() || message) ?? String(error);
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
