// @ts-check
// `npm test`: installs what is missing, builds, and runs every spec on every target it is for.
//
//     npm test                          everything
//     npm test -- send close            these specs
//     npm test -- --target node send    on one target: node, watched, bun or oracle

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { bunBinary } from '../__test__/support/bun.mjs';
import { build, install, root } from './steps.mjs';

install();
build();

/** Specs that start what they test by themselves: they run in Node only. */
const NODE_ONLY = new Set(['chat', 'workers']);
/** Specs that measure time or load: nothing else runs beside them. */
const ALONE = new Set(['chat', 'idle-timeout']);
/** How long one spec may take, in milliseconds. */
const LIMIT = 240_000;
const PARALLEL = 2;

const bun = bunBinary();
/** @type {Record<string, { command: string | undefined, args: (file: string) => string[], env: Record<string, string> }>} */
const TARGETS = {
  node: { command: process.execPath, args: (file) => ['--test', '--test-reporter=tap', file], env: { MANTOU_DRIVER: 'polled' } },
  watched: { command: process.execPath, args: (file) => ['--test', '--test-reporter=tap', file], env: { MANTOU_DRIVER: 'watched' } },
  bun: { command: bun, args: (file) => ['test', '--timeout', '30000', `./${file}`], env: {} },
  oracle: { command: bun, args: (file) => ['test', '--timeout', '30000', `./${file}`], env: { MANTOU_TEST_TARGET: 'oracle' } },
};

const args = process.argv.slice(2);
const at = args.indexOf('--target');
const only = at < 0 ? undefined : args.splice(at, 2)[1];
const specs = readdirSync(join(root, '__test__'))
  .filter((name) => name.endsWith('.spec.mjs'))
  .map((name) => name.slice(0, -'.spec.mjs'.length))
  .filter((name) => args.length === 0 || args.includes(name));

const total = { passed: 0, failed: 0, skipped: 0 };
const runs = specs.flatMap((spec) =>
  Object.keys(TARGETS)
    .filter((target) => (only === undefined || target === only) && (target === 'node' || !NODE_ONLY.has(spec)))
    .map((target) => ({ spec, target })),
);
const together = runs.filter(({ spec }) => !ALONE.has(spec));
await Promise.all(
  Array.from({ length: PARALLEL }, async () => {
    for (let next = together.shift(); next !== undefined; next = together.shift()) await run(next.spec, next.target);
  }),
);
for (const { spec, target } of runs.filter((each) => ALONE.has(each.spec))) await run(spec, target);

console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);

/**
 * Runs one spec on one target and prints a line about it, and everything it said when it failed.
 * @param {string} spec
 * @param {string} target
 */
async function run(spec, target) {
  const { command, args: argsOf, env } = TARGETS[target];
  if (command === undefined) {
    console.log(`FAILED ${spec} on ${target}: no Bun is installed (devDependency "bun")`);
    total.failed++;
    return;
  }
  const began = Date.now();
  const child = spawn(command, argsOf(`__test__/${spec}.spec.mjs`), { cwd: root, env: { ...process.env, ...env } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  const timer = setTimeout(() => {
    output += `\nkilled after ${LIMIT / 1000} s`;
    child.kill('SIGKILL');
  }, LIMIT);
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearTimeout(timer);
  const counts = count(output);
  const isBroken = code !== 0 && counts.failed === 0;
  if (isBroken || counts.passed + counts.skipped === 0) counts.failed++;
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
  const verdict = counts.failed > 0 ? 'FAILED' : 'ok';
  console.log(
    `${verdict} ${spec} on ${target}: ${counts.passed} passed, ${counts.skipped} skipped, ${((Date.now() - began) / 1000).toFixed(1)} s`,
  );
  if (counts.failed > 0) console.log(output.replaceAll(/^/gm, '    '));
}

/**
 * The counts in the closing lines of node's TAP reporter or of `bun test`.
 * @param {string} output
 */
function count(output) {
  const of = (/** @type {string[]} */ ...words) => {
    for (const word of words) {
      const match = new RegExp(`^# ${word} (\\d+)$`, 'm').exec(output) ?? new RegExp(`^ *(\\d+) ${word}$`, 'm').exec(output);
      if (match !== null) return Number(match[1]);
    }
    return 0;
  };
  return { passed: of('pass'), failed: of('fail') + of('cancelled'), skipped: of('skipped', 'skip') };
}
