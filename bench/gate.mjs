// @ts-check
// The regression gate: how many instructions the core needs for what it does most (`bench/core`), counted by callgrind, against the numbers
// in gate.json. Instructions, not time: they are the same on a busy machine, so 5 % more of them are 5 % more work and no noise.

import { execFile, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, devNull } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build, output } from './core.mjs';
import { count, markdown } from './tables.mjs';

const file = fileURLToPath(new URL('gate.json', import.meta.url));

/** More than this, as a share of the recorded number, is a regression. */
export const TOLERANCE = 0.05;
/** A case does its work so many times in one run and in the other: the difference is free of start and preparation. */
const [FEW, MANY] = [20, 40];

/** @typedef {{ rustc: string, instructions: Record<string, number> }} Recorded the compiler, and instructions per operation by case */

/**
 * Returns the exit status. `update` records the numbers instead of comparing them.
 * @param {{ update: boolean }} options
 */
export async function gate({ update }) {
  const obstacle = missing();
  if (obstacle !== undefined) {
    console.error(`\n*** The regression gate was NOT run: ${obstacle}. ***\n`);
    // Where everything must hold, what cannot be checked does not.
    return ['', '0', 'false', undefined].includes(process.env.CI) && !update ? 0 : 1;
  }
  const rustc = output('rustc', ['--version']).trim();
  const program = build();
  console.log('> counting instructions');
  const now = await countAll(program);
  if (update) {
    writeFileSync(file, `${JSON.stringify({ rustc, instructions: now }, null, 2)}\n`);
    console.log('written: bench/gate.json');
    return 0;
  }
  /** @type {Recorded} */
  const before = JSON.parse(readFileSync(file, 'utf8'));
  const rows = compare(before.instructions, now);
  console.log(`\n${table(rows)}\n`);
  const bad = rows.filter(({ isBad }) => isBad);
  if (bad.length === 0) return 0;
  console.error(
    `${bad.length} of ${rows.length} cases need more than ${TOLERANCE * 100} % more instructions than recorded, or are not recorded.`,
  );
  if (rustc !== before.rustc)
    console.error(`The numbers are of ${before.rustc}, this is ${rustc}: without a change here that may be all there is to it.`);
  console.error('What is meant to be so is recorded with `npm run bench -- --gate --update`.');
  return 1;
}

/** Why nothing can be counted here, or undefined. */
function missing() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'its numbers are those of Linux on x86-64';
  const { status } = spawnSync('valgrind', ['--version']);
  return status === 0 ? undefined : 'valgrind is not installed';
}

/**
 * Instructions per operation, by case.
 * @param {string} program
 */
async function countAll(program) {
  const cases = output(program, [])
    .trim()
    .split('\n')
    .map((line) => /^(.*) (\d+)$/.exec(line) ?? [])
    .map(([, name, operations]) => ({ name, operations: Number(operations) }));
  /** @type {Record<string, number>} */
  const instructions = Object.fromEntries(cases.map(({ name }) => [name, 0]));
  const waiting = [...cases];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { name, operations } = next;
      const difference = (await countOf(program, name, MANY)) - (await countOf(program, name, FEW));
      instructions[name] = Number((difference / (MANY - FEW) / operations).toPrecision(5));
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return instructions;
}

/** @type {(program: string, name: string, times: number) => Promise<number>} */
async function countOf(program, name, times) {
  const args = ['--tool=callgrind', `--callgrind-out-file=${devNull}`, program, name, String(times)];
  const { stderr } = await promisify(execFile)('valgrind', args);
  const [, collected] = /Collected : (\d+)/.exec(stderr) ?? [];
  if (collected === undefined) throw new Error(`callgrind did not tell what it counted:\n${stderr}`);
  return Number(collected);
}

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {number | undefined} before
 * @property {number | undefined} now
 * @property {boolean} isBad
 */

/**
 * A row for each case that was or is. A case that is new has no number to hold to, and one that is gone does not hold its: both are bad.
 * @param {Record<string, number>} before
 * @param {Record<string, number>} now
 * @returns {Row[]}
 */
export function compare(before, now) {
  const names = [...new Set([...Object.keys(now), ...Object.keys(before)])];
  return names.map((name) => {
    const [was, is] = [before[name], now[name]];
    return { name, before: was, now: is, isBad: was === undefined || is === undefined || is > was * (1 + TOLERANCE) };
  });
}

/** @param {Row[]} rows */
function table(rows) {
  const number = (/** @type {number | undefined} */ value) => (value === undefined ? '' : value >= 1000 ? count(value) : value.toFixed(1));
  const cells = rows.map(({ name, before, now, isBad }) => {
    const change = before === undefined || now === undefined ? '' : `${now > before ? '+' : ''}${((now / before - 1) * 100).toFixed(1)} %`;
    return [name, number(before), number(now), change, isBad ? 'FAILED' : ''];
  });
  return markdown([['instructions each', 'recorded', 'now', 'change', ''], ...cells]);
}
