// @ts-check
// Where the native binary is missing or not for this platform: the error says what is supported, what this is, what was tried and how to build.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bunBinary } from './support/bun.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const folder = mkdtempSync(join(tmpdir(), 'mantou-loader-'));
after(() => rmSync(folder, { recursive: true }));

/** The names of the platforms' packages, as napi-rs makes them of Rust's targets. */
const PLATFORMS = /** @type {Record<string, string>} */ ({
  'x86_64-unknown-linux-gnu': 'linux-x64-gnu',
  'aarch64-unknown-linux-gnu': 'linux-arm64-gnu',
  'x86_64-unknown-linux-musl': 'linux-x64-musl',
  'aarch64-unknown-linux-musl': 'linux-arm64-musl',
  'x86_64-apple-darwin': 'darwin-x64',
  'aarch64-apple-darwin': 'darwin-arm64',
  'x86_64-pc-windows-msvc': 'win32-x64-msvc',
});
const supported = manifest.napi.targets.map((/** @type {string} */ target) => PLATFORMS[target]);

/** How each runtime is started with a module on its command line. */
const runtimes = [
  { name: 'Node', program: process.execPath, args: ['--input-type=module', '-e'] },
  { name: 'Bun', program: bunBinary() ?? assert.fail('Bun is not installed: npm install'), args: ['-e'] },
];

/**
 * The package as it is without its binary, in a folder of its own, with these files beside it. Returns the path of its entry.
 * @param {string} name
 * @param {Record<string, string>} files
 */
function packageWith(name, files) {
  const home = join(folder, name);
  mkdirSync(home);
  for (const file of ['index.js', 'package.json', 'src/js']) cpSync(join(root, file), join(home, file), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(home, file), text);
  return join(home, 'index.js');
}

/**
 * The error of loading the package, with `before` run first.
 * @param {{ program: string, args: string[] }} runtime
 * @param {string} entry
 * @param {string} [before]
 * @returns {{ name: string, code: string, message: string, cause: string }}
 */
function errorOf({ program, args }, entry, before = '') {
  const source = `
    ${before}
    const error = await import(${JSON.stringify(entry)}).then(() => null, (error) => error);
    console.log(JSON.stringify({ name: error.name, code: error.code, message: error.message, cause: error.cause.message }));
  `;
  const { status, stdout, stderr } = spawnSync(program, [...args, source], { cwd: folder, encoding: 'utf8', timeout: 30_000 });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

const loader = readFileSync(join(root, 'binding.js'), 'utf8');
const missing = packageWith('missing', { 'binding.js': loader });
const unbuilt = packageWith('unbuilt', {});
const foreign = packageWith('foreign', {
  'binding.js': loader,
  ...Object.fromEntries(supported.map((/** @type {string} */ platform) => [`mantou.${platform}.node`, 'not a library of this platform'])),
});

for (const runtime of runtimes) {
  describe(`the error of a binary that cannot be loaded, in ${runtime.name}`, () => {
    test('has a code, lists the platforms, and says how to build', () => {
      const { name, code, message, cause } = errorOf(runtime, missing);

      assert.deepEqual({ name, code }, { name: 'Error', code: 'ERR_MANTOU_BINARY' });
      assert.match(message, /^mantou could not load its native binary\.\n/);
      assert.ok(message.includes(`Supported:     ${supported.join(', ')}\n`), message);
      assert.match(message, new RegExp(`This platform: ${process.platform}-${process.arch}(-\\w+)?\n`));
      assert.match(message, /npm install mantou\n/);
      assert.match(message, /npm run build\n/);
      assert.match(cause, /^Cannot find native binding/);
    });

    test('names the places where it was looked for, each once', () => {
      const { message } = errorOf(runtime, missing);

      const [, platform] = /This platform: (\S+)\n/.exec(message) ?? assert.fail(message);
      const tried = message.split('\n').filter((line) => line.startsWith('    - '));
      assert.equal(tried.length, 2, message);
      assert.ok(tried[0].includes(`./mantou.${platform}.node`), tried[0]);
      assert.ok(tried[1].includes(`mantou-${platform}`), tried[1]);
    });

    test('says so in a checkout that has not been built', () => {
      const { code, message } = errorOf(runtime, unbuilt);

      assert.equal(code, 'ERR_MANTOU_BINARY');
      assert.match(message, / {2}Tried:\n {4}- .*binding\.js/);
    });

    test("has the system's words about a file that is not for this platform", () => {
      const { code, message } = errorOf(runtime, foreign);

      assert.equal(code, 'ERR_MANTOU_BINARY');
      assert.match(message, /invalid ELF header|file too short|not a mach-o file|slice is not valid|not a valid Win32 application/);
    });
  });
}

test('a platform that is not supported is told so', () => {
  const [node] = runtimes;
  const { code, message } = errorOf(node, missing, `Object.defineProperty(process, 'platform', { value: 'sunos' });`);

  assert.equal(code, 'ERR_MANTOU_BINARY');
  assert.ok(message.includes(`This platform: sunos-${process.arch}, which is not supported\n`), message);
  assert.ok(message.includes(`    - Unsupported OS: sunos, architecture: ${process.arch}\n`), message);
});

test('the versions it asks for are those of Cargo.toml and package.json', () => {
  const { message } = errorOf(runtimes[0], missing);

  const [, rust] = /^rust-version = "(.+)"$/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8')) ?? assert.fail('no rust-version');
  assert.ok(message.includes(`Rust ${rust} or newer`), message);
  assert.equal(manifest.engines.node, `>=${/Node\.js (\S+) or newer/.exec(message)?.[1]}.0`);
});

test('every supported platform has its package in npm/', () => {
  for (const platform of supported) {
    const { name, version, main } = JSON.parse(readFileSync(join(root, 'npm', platform, 'package.json'), 'utf8'));
    assert.deepEqual({ name, version, main }, { name: `mantou-${platform}`, version: manifest.version, main: `mantou.${platform}.node` });
  }
});

test('npm/ is what `napi create-npm-dirs` makes of package.json', () => {
  const home = join(folder, 'platforms');
  mkdirSync(home);
  cpSync(join(root, 'package.json'), join(home, 'package.json'));
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'node_modules/@napi-rs/cli/dist/cli.js'), 'create-npm-dirs'], {
    cwd: home,
    encoding: 'utf8',
    timeout: 30_000,
  });
  assert.equal(status, 0, stderr);
  assert.deepEqual(filesIn(join(root, 'npm')), filesIn(join(home, 'npm')));
});

/**
 * The texts of the files in a folder, by their paths in it. Binaries, which a release puts there, do not count.
 * @param {string} home
 * @returns {Record<string, string>}
 */
function filesIn(home) {
  const paths = readdirSync(home, { recursive: true, encoding: 'utf8' }).sort();
  const files = paths.filter((path) => statSync(join(home, path)).isFile() && !path.endsWith('.node'));
  return Object.fromEntries(files.map((path) => [path, readFileSync(join(home, path), 'utf8')]));
}
