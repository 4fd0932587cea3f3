// @ts-check
// `npm run fuzz -- session 600`: fuzzes a target of `fuzz/` for so many seconds, 600 unless it is said. Needs nightly Rust and cargo-fuzz.
// What the corpus does not have yet is kept in fuzz/target/grown; what is found goes to fuzz/artifacts, and ends the run.

import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root, step } from './steps.mjs';

const targets = readdirSync(join(root, 'fuzz/targets')).map((file) => file.replace('.rs', ''));
const [target = '', seconds = '600'] = process.argv.slice(2);
if (!targets.includes(target)) {
  console.error(`no target ${target}; there are ${targets.join(', ')}`);
  process.exit(2);
}

/** Of the targets whose inputs are sequences: long ones from the beginning. */
const long = ['-len_control=0', '-max_len=1500'];
const options = { session: long, timers: long, topics: long }[target] ?? [];
const grown = `fuzz/target/grown/${target}`;
mkdirSync(join(root, grown), { recursive: true });
step(`fuzzing ${target} for ${seconds} s`, 'cargo', [
  ...['+nightly', 'fuzz', 'run', target, grown, `fuzz/corpus/${target}`],
  ...['--', `-max_total_time=${seconds}`, '-timeout=20', '-print_final_stats=1', ...options],
]);
