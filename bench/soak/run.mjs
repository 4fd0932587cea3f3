// @ts-check
// `npm run soak`: the chat under HTTP load and a crowd whose clients are killed at random, for as long as it is told. It fails on a wrong answer,
// on a message that a client which stayed has missed, on anything the server says on stderr, and on memory or descriptors that grow.
//
//   npm run soak -- [--minutes 30] [--steadfast 40] [--mortal 60] [--rooms 10] [--pause 500] [--connections 16] [--delay 0] [--node <path>]
//
// `pause`: milliseconds between the messages of a client. `connections`: of wrk. `delay`: milliseconds that each of them rests after an answer.
// Every number, and a graph, stand in results/soak-<date>/.

import { fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build, install } from '../../scripts/steps.mjs';
import { graph } from './graph.mjs';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    steadfast: { type: 'string', default: '40' },
    mortal: { type: 'string', default: '60' },
    rooms: { type: 'string', default: '10' },
    pause: { type: 'string', default: '500' },
    connections: { type: 'string', default: '16' },
    delay: { type: 'string', default: '0' },
    node: { type: 'string', default: process.execPath },
  },
});

/** Seconds between samples, of a round of wrk, and in which everything must be gone at the end. */
const [INTERVAL, ROUND, PATIENCE] = [2, 10, 30];
/** Milliseconds from one SIGKILL of the mortal to the next, at most. */
const LIFE = 20_000;
/** Seconds after which memory is looked at. */
const WARM_UP = 60;
/** How much the memory may grow from the second quarter to the last: what the heap does by itself. */
const GROWTH = { factor: 1.1, bytes: 16 * 1024 * 1024 };

/** @typedef {import('./server.mjs').Sample & { second: number, requests: number }} Point */

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));

const here = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url));
/** What is heard from here on is no failure any more. */
let isOver = false;
/** @type {string[]} */
const failures = [];
const fail = (/** @type {string} */ what) => {
  if (failures.push(what) <= 20) console.error(`FAILED: ${what}`);
};

if (spawnSync('wrk', ['--version']).error !== undefined) {
  console.error('wrk was not found (Debian: apt-get install wrk)');
  process.exit(2);
}
install();
build({ ifNeeded: true });
const folder = mkdtempSync(join(tmpdir(), 'mantou-soak-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const server = adopt(fork(here('server.mjs'), { execPath: options.node, stdio: ['ignore', 'inherit', 'pipe', 'ipc'] }));
server.stderr?.setEncoding('utf8').on('data', (text) => fail(`the server says: ${text.trim()}`));
server.once('exit', (code, signal) => isOver || fail(`the server ended with ${code ?? signal}`));
const [{ url }] = await once(server, 'message', { signal: AbortSignal.timeout(PATIENCE * 1000) });
const chat = `${url.replace('http', 'ws')}chat`;
const before = await sample();

const began = performance.now();
const ends = began + positive('minutes') * 60_000;
let requests = 0;
let kills = 0;
/** How many of the mortal died how, beside those who were killed. @type {Record<string, number>} */
const deaths = {};
/** @type {Point[]} */
const points = [];
console.log(`> ${options.minutes} minutes at ${url}`);

const steadfast = crowd('steadfast');
await Promise.all([wrk(), slaughter(), watch()]);
const counts = await ask(steadfast, 'counts');
isOver = true;
steadfast.kill();
const after = await settled();
judge();
const written = save();
console.log(
  `> ${requests} requests, ${counts.sent} messages sent and ${counts.received} received by those who stayed, ${kills} processes of clients killed`,
);
console.log(
  `> ${Object.entries(deaths)
    .map(([death, count]) => `${count} × ${death}`)
    .join(', ')}`,
);
console.log(`> written: ${relative(process.cwd(), written)}/`);
console.log(failures.length === 0 ? '> no failure' : `> ${failures.length} failures`);
server.kill();
process.exit(failures.length === 0 ? 0 : 1);

/** Rounds of HTTP. */
async function wrk() {
  const script = join(folder, 'wrk.lua');
  writeFileSync(script, `function delay() return ${Number(options.delay)} end\n`);
  const pace = Number(options.delay) > 0 ? ['-s', script] : [];
  while (performance.now() < ends) {
    const seconds = Math.max(1, Math.min(ROUND, Math.round((ends - performance.now()) / 1000)));
    const args = ['-t', '1', '-c', options.connections, '-d', `${seconds}s`, '--timeout', '10s', ...pace, url];
    const child = adopt(spawn('wrk', args, { stdio: ['ignore', 'pipe', 'pipe'] }));
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    const [code] = await once(child, 'close').catch((error) => [error.message]);
    const wrong = /^.*(Non-2xx|Socket errors).*$/m.exec(output)?.[0];
    const answered = Number(/(\d+) requests in/.exec(output)?.[1] ?? 0);
    requests += answered;
    if (code !== 0 || answered === 0) return fail(`wrk ended with ${code}: ${output}`);
    if (wrong !== undefined) fail(`wrk: ${wrong.trim()}`);
  }
}

/** Crowds of the mortal, each killed whole after a while. */
async function slaughter() {
  while (performance.now() < ends) {
    const victims = crowd('mortal');
    await sleep(Math.min(ends - performance.now(), 2000 + Math.random() * (LIFE - 2000)));
    for (const [death, count] of Object.entries((await ask(victims, 'counts')).deaths)) deaths[death] = (deaths[death] ?? 0) + count;
    victims.kill('SIGKILL');
    kills += 1;
    await once(victims, 'close');
  }
}

/** Samples of the server. */
async function watch() {
  for (let last = 0; performance.now() < ends; ) {
    await sleep(INTERVAL * 1000);
    const point = { second: (performance.now() - began) / 1000, requests: requests - last, ...(await sample()) };
    last = requests;
    points.push(point);
    if (points.length % 30 === 0) {
      const { second, rss, descriptors, pendingWebSockets } = point;
      console.log(
        `  ${Math.round(second)} s: ${megabytes(rss)}, ${descriptors} descriptors, ${pendingWebSockets} WebSockets, ${requests} requests`,
      );
    }
  }
}

/** What is left when everybody has gone. */
async function settled() {
  const deadline = performance.now() + PATIENCE * 1000;
  for (;;) {
    const last = await sample();
    const isEmpty = last.pendingWebSockets === 0 && last.pendingRequests === 0 && last.descriptors <= before.descriptors;
    if (isEmpty || performance.now() > deadline) return last;
    await sleep(100);
  }
}

function judge() {
  for (const name of /** @type {const} */ (['pendingWebSockets', 'pendingRequests', 'descriptors'])) {
    if (after[name] > before[name]) fail(`${name} was ${before[name]} before all, and is ${after[name]} ${PATIENCE} s after`);
  }
  if (counts.received === 0 || kills === 0 || requests === 0) fail('there was no load');
  // The heap grows to what the load needs first.
  const warm = points.filter(({ second }) => second > WARM_UP);
  const quarter = Math.floor(warm.length / 4);
  if (quarter === 0) return console.log(`> too short to tell whether the memory grows: that is looked at after ${WARM_UP} s`);
  const [early, late] = [warm.slice(quarter, 2 * quarter), warm.slice(-quarter)].map((part) => median(part.map(({ rss }) => rss)));
  if (late > early * GROWTH.factor + GROWTH.bytes) fail(`the memory grew from ${megabytes(early)} to ${megabytes(late)}`);
}

/** Returns the folder. */
function save() {
  const home = join(here('../results'), `soak-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`);
  mkdirSync(home, { recursive: true });
  writeFileSync(
    join(home, 'soak.json'),
    `${JSON.stringify({ options, failures, requests, kills, deaths, counts, before, after, points }, undefined, 1)}\n`,
  );
  const count = (/** @type {number} */ value) => value.toLocaleString('en');
  const panel = (/** @type {string} */ title, /** @type {(point: Point) => number} */ quantity, format = count) => ({
    title,
    values: points.map(quantity),
    format,
  });
  writeFileSync(
    join(home, 'soak.svg'),
    graph({
      title: `The chat under load, clients killed at random: ${failures.length} failures`,
      seconds: points.map(({ second }) => second),
      panels: [
        panel('Resident memory', ({ rss }) => rss, megabytes),
        panel('JavaScript heap', ({ heapUsed }) => heapUsed, megabytes),
        panel('Descriptors', ({ descriptors }) => descriptors),
        panel('WebSockets', ({ pendingWebSockets }) => pendingWebSockets),
      ],
    }),
  );
  return home;
}

/** @param {'steadfast' | 'mortal'} kind */
function crowd(kind) {
  const args = [chat, kind, options[kind], options.rooms, options.pause];
  const child = adopt(fork(here('crowd.mjs'), args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }));
  child.on('message', (/** @type {{ failure?: string }} */ { failure }) => {
    if (failure !== undefined && !isOver) fail(failure);
  });
  child.once('exit', (code, signal) => {
    if (!isOver && signal !== 'SIGKILL') fail(`the ${kind} ended with ${code ?? signal}`);
  });
  return child;
}

/**
 * @template {import('node:child_process').ChildProcess} Child
 * @param {Child} child
 */
function adopt(child) {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** @returns {Promise<import('./server.mjs').Sample>} */
function sample() {
  return ask(server, 'sample');
}

/**
 * What a child says of itself; it must do so in time.
 * @param {import('node:child_process').ChildProcess} child
 * @param {'sample' | 'counts'} what
 */
async function ask(child, what) {
  child.send({});
  for (;;) {
    const [message] = await once(child, 'message', { signal: AbortSignal.timeout(PATIENCE * 1000) });
    if (what in message) return message[what];
  }
}

/** @param {number[]} values */
function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** @param {number} bytes */
function megabytes(bytes) {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** @param {'minutes'} name */
function positive(name) {
  const value = Number(options[name]);
  if (value > 0) return value;
  console.error(`--${name} takes a number above 0`);
  process.exit(2);
}
