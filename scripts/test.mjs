// @ts-check
// `npm test`: installs what is missing, builds, checks the types, and runs every spec on every target it is for.
//
//   npm test                                 everything
//   npm test -- send close                   these specs
//   npm test -- send --target node,oracle    on these targets: types, node (polled), watched, bun, oracle (real Bun.serve)
//   npm test -- --jobs 1                     so many files at a time
//   npm test -- --no-build                   with the binary as it is
//
// The last line says `N passed, N failed, N skipped`. What each file printed stands in target/test-logs.

import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { build, install, root } from './steps.mjs';

const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    target: { type: 'string', multiple: true },
    jobs: { type: 'string', default: String(Math.max(2, Math.min(4, availableParallelism()))) },
    'no-build': { type: 'boolean', default: false },
    patience: { type: 'string', default: '1' },
  },
});

install();
if (!options['no-build']) build({ ifNeeded: true });
// Only now: it looks for Bun among the packages.
const { rulesOf, targets } = await import('./specs.mjs');

/** @typedef {{ name: string, program: string | undefined, args: string[], env: Record<string, string>, alone: boolean, limit: number, needs: string[] }} Run */
/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/** What must not reach a spec from the environment of whoever runs the tests. */
const UNSET = [
  'MANTOU_DRIVER',
  'MANTOU_IO_URING',
  'MANTOU_TEST_TARGET',
  'MANTOU_TEST_REGISTER',
  'MANTOU_CHAT_SERVE',
  'NODE_OPTIONS',
  'NODE_ENV',
  'FORCE_COLOR',
  'BUN_PORT',
  'PORT',
  'NODE_PORT',
  'HOST',
];
/** Lines of a failed file on the screen: of one that failed a test the first, of one that broke the last. */
const SHOWN = 200;
const logs = join(root, 'target/test-logs');

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
process.on('exit', () => running.forEach(killGroup));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));

const patience = positive(options.patience);
const runs = planned();
for (const folder of new Set(runs.flatMap((run) => run.needs))) install(folder);
const began = performance.now();
/** @type {Counts} */
const total = { passed: 0, failed: 0, skipped: 0 };
/** @type {string[]} */
const failures = [];
let done = 0;

mkdirSync(logs, { recursive: true });
console.log(`> ${runs.length} runs of spec files, ${options.jobs} at a time`);
const together = runs.filter((run) => !run.alone);
await Promise.all(
  Array.from({ length: positive(options.jobs) }, async () => {
    for (let run = together.shift(); run !== undefined; run = together.shift()) await perform(run);
  }),
);
for (const run of runs.filter((run) => run.alone)) await perform(run);

if (failures.length > 0) console.log(`\nFailed: ${failures.join(', ')}. What they printed stands in ${relative(process.cwd(), logs)}/`);
console.log(`\nin ${seconds(began)} s`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);

/** What there is to run, in this order. @returns {Run[]} */
function planned() {
  const specs = readdirSync(join(root, '__test__'))
    .filter((file) => file.endsWith('.spec.mjs'))
    .map((file) => file.slice(0, -'.spec.mjs'.length));
  const names = ['types', ...targets.map((target) => target.name)];
  const chosen = options.target?.flatMap((value) => value.split(',')) ?? names;
  refuse(
    'spec',
    wanted.filter((name) => !specs.includes(name)),
    specs,
  );
  refuse(
    'target',
    chosen.filter((name) => !names.includes(name)),
    names,
  );
  const types = {
    name: 'types',
    program: process.execPath,
    args: [join(root, 'scripts/types.mjs')],
    env: {},
    alone: false,
    limit: 120,
    needs: [],
  };
  return [
    ...(wanted.length === 0 && chosen.includes('types') ? [types] : []),
    ...specs
      .filter((spec) => wanted.length === 0 || wanted.includes(spec))
      .flatMap((spec) => {
        const { on, ...rules } = rulesOf(spec);
        return targets
          .filter(({ name }) => on.includes(name) && chosen.includes(name))
          .map(({ name, program, args, env }) => ({
            name: `${spec} on ${name}`,
            program,
            args: [...args, `./__test__/${spec}.spec.mjs`],
            env,
            ...rules,
          }));
      }),
  ];
}

/**
 * Runs one file to its end and prints a line about it, with what failed.
 * @param {Run} run
 */
async function perform(run) {
  const start = performance.now();
  const { output, ending } = await outputOf(run);
  const log = join(logs, `${run.name.replaceAll(' ', '-')}.txt`);
  writeFileSync(log, output);

  const counts = run.name === 'types' ? { passed: ending === '' ? 1 : 0, failed: 0, skipped: 0 } : countsOf(output);
  // Killed, died, or ended without running a test: a failure whatever it counted.
  const isBroken = (ending !== '' && counts.failed === 0) || counts.passed + counts.failed + counts.skipped === 0;
  if (isBroken) counts.failed += 1;
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;

  const isGood = counts.failed === 0;
  const failed = isGood ? '' : `${counts.failed} FAILED${isBroken ? ` (${ending || 'no test ran'})` : ''}, `;
  const skipped = counts.skipped === 0 ? '' : `${counts.skipped} skipped, `;
  const progress = `[${String(++done).padStart(String(runs.length).length)}/${runs.length}]`;
  console.log(`${progress} ${isGood ? 'ok    ' : 'FAILED'} ${run.name}: ${failed}${counts.passed} passed, ${skipped}${seconds(start)} s`);
  if (isGood) return;
  failures.push(run.name);
  const lines = isBroken ? output.split('\n').slice(-SHOWN) : withoutPassed(output.split('\n')).slice(0, SHOWN);
  console.log(lines.map((line) => `    ${line}`).join('\n'));
}

/**
 * Everything a run prints, and how it ended: '' when well.
 * @param {Run} run
 * @returns {Promise<{ output: string, ending: string }>}
 */
function outputOf({ program, args, env, limit }) {
  if (program === undefined) return Promise.resolve({ output: '', ending: 'Bun is not installed: npm install' });
  return new Promise((resolve) => {
    const inherited = Object.entries(process.env).filter(([name]) => !UNSET.includes(name));
    const child = spawn(program, args, {
      cwd: root,
      env: { ...Object.fromEntries(inherited), NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own: what the spec started ends with it.
      detached: process.platform !== 'win32',
    });
    running.add(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    let isLate = false;
    const timer = setTimeout(
      () => {
        isLate = true;
        killGroup(child);
      },
      patience * limit * 1000,
    );
    let end = '';
    child.once('error', (error) => {
      end = error.message;
    });
    child.once('exit', (code, signal) => {
      if (code !== 0) end = isLate ? `not done after ${patience * limit} s` : signal === null ? `exit code ${code}` : signal;
      // Whoever is left would hold the pipes open.
      killGroup(child);
    });
    child.once('close', () => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ output, ending: end });
    });
  });
}

/** @param {import('node:child_process').ChildProcess} child */
function killGroup({ pid }) {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
}

/**
 * The counts in the closing lines of node's TAP reporter (`# pass 3`) or of `bun test` (` 3 pass`).
 * @param {string} output
 * @returns {Counts}
 */
function countsOf(output) {
  const count = (/** @type {string} */ word) => {
    const found = [...output.matchAll(new RegExp(`^(?:# ${word} (\\d+)| +(\\d+) ${word})$`, 'gm'))].at(-1);
    return found === undefined ? 0 : Number(found[1] ?? found[2]);
  };
  return {
    passed: count('pass'),
    failed: count('fail') + count('cancelled') + count('error') + count('errors'),
    skipped: count('skipped') + count('skip') + count('todo'),
  };
}

/**
 * What is left of the lines of a report when all that passed is taken out.
 * @param {string[]} lines
 */
function withoutPassed(lines) {
  let isPassed = false;
  return lines.filter((line) => {
    if (/^\s*(not )?ok \d/.test(line)) isPassed = /^\s*ok/.test(line);
    else if (isPassed && /^\s*(---|\.\.\.|duration_ms:|type:)/.test(line)) return false;
    else isPassed = false;
    return !isPassed && !/^\s*(\(pass\)|\(skip\)|# Subtest:|1\.\.\d+$)/.test(line);
  });
}

/**
 * @param {string} what
 * @param {string[]} unknown
 * @param {string[]} known
 */
function refuse(what, unknown, known) {
  if (unknown.length === 0) return;
  console.error(`no ${what} ${unknown.join(', ')}; there are ${known.join(', ')}`);
  process.exit(2);
}

/** @param {string} value */
function positive(value) {
  const number = Number(value);
  if (Number.isInteger(number) && number > 0) return number;
  console.error(`--jobs and --patience take a positive integer, not ${value}`);
  process.exit(2);
}

/** @param {number} since */
function seconds(since) {
  return ((performance.now() - since) / 1000).toFixed(1);
}
