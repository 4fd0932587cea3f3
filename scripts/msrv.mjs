// @ts-check
// Whether the crate builds with the oldest Rust that Cargo.toml promises (`rust-version`). Where that toolchain is installed, it builds the crate.
// Where it is not: no package in Cargo.lock asks for a newer one, and clippy's `incompatible_msrv` finds nothing newer used in our own code.

import { spawnSync } from 'node:child_process';
import { root, step } from './steps.mjs';

const { packages } = JSON.parse(output('cargo', ['metadata', '--locked', '--format-version', '1']));
const { rust_version: oldest } = packages.find((/** @type {{ name: string }} */ { name }) => name === 'mantou');
const newer = packages.filter(
  (/** @type {{ rust_version: string | null }} */ { rust_version: own }) => own !== null && compare(own, oldest) > 0,
);
if (newer.length > 0) {
  for (const { name, version, rust_version: own } of newer)
    console.error(`> ${name} ${version} needs Rust ${own}, Cargo.toml promises ${oldest}`);
  process.exit(1);
}
console.log(`> no package in Cargo.lock needs more than Rust ${oldest}`);

const toolchains = spawnSync('rustup', ['toolchain', 'list'], { encoding: 'utf8' }).stdout ?? '';
const toolchain = toolchains.split('\n').find((line) => line === oldest || line.startsWith(`${oldest}.`) || line.startsWith(`${oldest}-`));
if (toolchain !== undefined) {
  step(`building with ${toolchain}`, 'cargo', [`+${toolchain.split(' ')[0]}`, 'check', '--locked', '--target-dir', 'target/msrv']);
} else {
  const lint = ['-D', 'clippy::incompatible_msrv'];
  step(`no toolchain of Rust ${oldest} is installed: linting instead`, 'cargo', ['clippy', '--locked', '--all-targets', '--', ...lint]);
}

/**
 * @param {string} program
 * @param {string[]} args
 */
function output(program, args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status === 0) return stdout;
  console.error(`> ${program} ${args.join(' ')} failed: ${error?.message ?? stderr}`);
  process.exit(1);
}

/**
 * Of two versions, like 1.88 and 1.88.0: negative, 0 or positive.
 * @param {string} one
 * @param {string} other
 */
function compare(one, other) {
  const [left, right] = [one, other].map((version) => version.split('.').map(Number));
  for (let at = 0; at < 3; at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
