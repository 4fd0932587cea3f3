// @ts-check
// Loads the native binary. Where there is none, the error says what this platform is, which ones have one, what was tried, and how to build it.

'use strict';

const { coded } = require('./errors.js');

/** Platforms with a binary, by the names of their packages: `mantou-linux-x64-gnu`. The same as `napi.targets` in package.json. */
const SUPPORTED = [
  'linux-x64-gnu',
  'linux-arm64-gnu',
  'linux-x64-musl',
  'linux-arm64-musl',
  'darwin-x64',
  'darwin-arm64',
  'win32-x64-msvc',
];

/**
 * Loads binding.js, which napi-rs generates at build: it looks for the binary beside itself, then in the platform's package.
 * @returns {{ createEngine(...args: unknown[]): any }}
 */
function load() {
  try {
    return require('../../binding.js');
  } catch (error) {
    throw missingBinary(error);
  }
}

/** @param {unknown} cause */
function missingBinary(cause) {
  const platform = thisPlatform();
  const message = `mantou could not load its native binary.

  This platform: ${platform}${SUPPORTED.includes(platform) ? '' : ', which is not supported'}
  Supported:     ${SUPPORTED.join(', ')}
  Tried:
    - ${attempts(cause).join('\n    - ')}

On a supported platform, install again with optional dependencies (no --omit=optional) and on the machine it is to run on: npm install mantou
In a checkout of mantou's repository, or for another platform, build it: npm run build
That needs Rust 1.88 or newer, with cargo, and Node.js 20.3 or newer, with npm.
`;
  return Object.assign(coded(Error, 'ERR_MANTOU_BINARY', message), { cause });
}

function thisPlatform() {
  const { platform, arch } = process;
  if (platform === 'win32') return `${platform}-${arch}-msvc`;
  if (platform !== 'linux') return `${platform}-${arch}`;
  const { header } = /** @type {any} */ (process.report?.getReport() ?? {});
  return `${platform}-${arch}-${header?.glibcVersionRuntime === undefined ? 'musl' : 'gnu'}`;
}

/**
 * What went wrong at each place, in the order of trying. binding.js chains its errors from the last to the first.
 * @param {unknown} cause
 */
function attempts(cause) {
  const messages = [];
  for (let error = cause; error instanceof Error; error = error.cause) messages.unshift(error.message.split('\n', 1)[0]);
  // The chain's head only sums up, and a WebAssembly build is looked for but does not exist.
  const places = messages.filter((message) => !/wasi|^Cannot find native binding/.test(message));
  return [...new Set(places.length > 0 ? places : messages)];
}

module.exports = load();
