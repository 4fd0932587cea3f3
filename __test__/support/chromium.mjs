// @ts-check
// A headless Chromium for the browser tests: finds one, installs it on Debian where that is possible, or says how to get it.
// Where a browser is required (CI, MANTOU_REQUIRE_BROWSER), a missing one is a failure and never a skip.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];
const ELSEWHERE = [
  '/usr/bin',
  '/usr/local/bin',
  '/snap/bin',
  '/Applications/Chromium.app/Contents/MacOS',
  '/Applications/Google Chrome.app/Contents/MacOS',
];
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const APT = ['-o', 'DPkg::Lock::Timeout=120'];
/** Milliseconds; a slow mirror is waited for, a dead one is not waited for all night. */
const INSTALL_TIMEOUT = 10 * 60_000;

/** True where the browser tests must run, whatever it takes. */
export const browserRequired = isSet(process.env.CI) || isSet(process.env.MANTOU_REQUIRE_BROWSER);

/**
 * The browser's path, or why there is none and how to get one.
 * @typedef {{ path: string, reason?: undefined } | { path?: undefined, reason: string }} Found
 */

/**
 * Finds Chromium, installing it first if it must. Throws where a browser is required and none can be had.
 * @returns {Found}
 */
export function chromiumForTests() {
  const found = findChromium();
  if (found.path !== undefined) return found;
  // A path given by hand is taken at its word: nothing is installed beside it.
  const installed = isDebianRoot() && !isSet(process.env.CHROMIUM_PATH) ? installChromium() : found;
  if (installed.path === undefined && browserRequired) throw new Error(`the browser tests must run here: ${installed.reason}`);
  return installed;
}

/**
 * Starts Chromium with a profile of its own: playwright makes an empty directory for every launch, and removes it.
 * @param {string} path
 */
export function launchChromium(path) {
  return chromium.launch({ executablePath: path, headless: true, args: FLAGS });
}

/** @returns {Found} */
function findChromium() {
  const named = process.env.CHROMIUM_PATH;
  if (isSet(named)) return isExecutable(named) ? { path: named } : { reason: `CHROMIUM_PATH is ${named}, which is not a program` };
  const folders = [...new Set([...(process.env.PATH ?? '').split(delimiter), ...ELSEWHERE])];
  for (const name of [...NAMES, 'Chromium', 'Google Chrome']) {
    for (const folder of folders) {
      const path = join(folder, name);
      if (isExecutable(path)) return { path };
    }
  }
  return { reason: 'Chromium was not found. Install it (Debian: apt-get install chromium), or set CHROMIUM_PATH to a Chromium or Chrome' };
}

/** @returns {Found} */
function installChromium() {
  for (const args of [
    [...APT, 'update'],
    [...APT, 'install', '-y', '--no-install-recommends', 'chromium'],
  ]) {
    console.error(`# Chromium is missing, the browser tests need it: apt-get ${args.join(' ')}`);
    const { status, error, stderr } = spawnSync('apt-get', args, {
      encoding: 'utf8',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: INSTALL_TIMEOUT,
    });
    if (status !== 0) {
      const why = error?.message ?? stderr.trim().split('\n').at(-1);
      return { reason: `"apt-get ${args.join(' ')}" failed (${why}). Install Chromium by hand, or set CHROMIUM_PATH` };
    }
  }
  return findChromium();
}

/** Ubuntu is left alone: its package of this name is a stub for a snap, which containers cannot run. */
function isDebianRoot() {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !existsSync('/etc/os-release')) return false;
  return /^ID="?debian"?$/m.test(readFileSync('/etc/os-release', 'utf8'));
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param {string | undefined} value @returns {value is string} */
function isSet(value) {
  return value !== undefined && value !== '' && value !== '0' && value !== 'false';
}
