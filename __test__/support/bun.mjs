// @ts-check
// Where the real Bun of the devDependency `bun` lies, whether or not its install script was allowed to run.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));

/** The path of the Bun binary, or undefined when the package is not installed for this platform. */
export function bunBinary() {
  const scope = join(modules, '@oven');
  const platforms = existsSync(scope) ? readdirSync(scope).filter((name) => name.startsWith('bun-')) : [];
  const name = process.platform === 'win32' ? 'bun.exe' : 'bun';
  const candidates = [...platforms.map((platform) => join(scope, platform, 'bin', name)), join(modules, 'bun', 'bin', 'bun.exe')];
  // The package ships a small text file in place of the binary until its install script has run.
  return candidates.find((path) => existsSync(path) && statSync(path).size > 1_000_000);
}
