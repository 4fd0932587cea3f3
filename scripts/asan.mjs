// @ts-check
// `npm run asan`: the specs in Node with the native part under AddressSanitizer, which ends the process where memory is used that is not
// there. Needs Linux, nightly Rust, and GCC, whose runtime is loaded into Node.
//
//   npm run asan                  all but those of `FOREIGN` and `MEASURING`
//   npm run asan -- send close    these specs
//
// It does not look for leaks: Node leaves too much behind.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { install, root, step } from './steps.mjs';

/** Specs that start Bun, a browser, other Nodes or loaders, or install: nothing for a runtime that only this Node can have. */
const FOREIGN = [
  'chat',
  'classes',
  'clients',
  'elysia',
  'graphql-ws',
  'hono',
  'http-clients',
  'loader',
  'package',
  'readme',
  'runtimes',
  'socket-io',
  'workers',
];
/** Specs that measure: time to 100 ms, and memory, of which it keeps 256 MB that are free, to see who still uses them. */
const MEASURING = ['http-idle', 'http-memory', 'idle-timeout', 'memory', 'overload'];

const rust = output('rustc', ['+nightly', '-vV']);
const host = /^host: (.+)$/m.exec(rust)?.[1] ?? '';
const libasan = output('gcc', ['-print-file-name=libasan.so']).trim();
const folder = join(root, 'target/asan');
const binary = join(folder, 'mantou.node');
const reports = join(folder, 'reports');

install();
process.env.RUSTFLAGS = '-Zsanitizer=address';
// Debug assertions, at a speed that the specs can wait for.
process.env.CARGO_PROFILE_DEV_OPT_LEVEL = '1';
const place = ['--target', host, '--target-dir', folder];
step('building the native binary with AddressSanitizer', 'cargo', ['+nightly', 'build', '--locked', '--lib', ...place]);
copyFileSync(join(folder, host, 'debug/libmantou.so'), binary);
rmSync(reports, { recursive: true, force: true });
mkdirSync(reports);

const chosen = process.argv.slice(2);
const specs = readdirSync(join(root, '__test__'))
  .filter((file) => file.endsWith('.spec.mjs'))
  .map((file) => file.slice(0, -'.spec.mjs'.length))
  .filter((spec) => (chosen.length === 0 ? ![...FOREIGN, ...MEASURING].includes(spec) : chosen.includes(spec)));
const { status } = spawnSync(
  process.execPath,
  [join(root, 'scripts/test.mjs'), ...specs, '--target', 'node,watched', '--no-build', '--patience', '5'],
  {
    stdio: 'inherit',
    env: {
      ...process.env,
      LD_PRELOAD: libasan,
      ASAN_OPTIONS: `detect_leaks=0:log_path=${join(reports, 'report')}`,
      NAPI_RS_NATIVE_LIBRARY_PATH: binary,
    },
  },
);
const found = readdirSync(reports).map((file) => readFileSync(join(reports, file), 'utf8'));
console.log(found.length === 0 ? '> AddressSanitizer has nothing to report' : `> AddressSanitizer reports:\n${found.join('\n')}`);
process.exit(found.length === 0 ? (status ?? 1) : 1);

/**
 * What a program prints.
 * @param {string} program
 * @param {string[]} args
 */
function output(program, args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status === 0) return stdout;
  console.error(`> ${program} ${args.join(' ')} failed: ${error?.message ?? stderr}`);
  process.exit(1);
}
