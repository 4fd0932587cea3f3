// @ts-check
// One binary for every runtime: the file that was built here serves the oldest Node there is support for, each line since, and Bun.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bunBinary } from './support/bun.mjs';
import { runToEnd } from './support/child.mjs';
import { nodeBinary, nodesRequired } from './support/nodes.mjs';

const program = fileURLToPath(new URL('fixtures/smoke.mjs', import.meta.url));
const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
/** The oldest one that package.json promises, and the newest of each line. */
const versions = [engines.node.replace('>=', ''), '20', '22', '24', '26'];
const drivers = ['polled', 'watched'];
/** Milliseconds; it takes a tenth of a second. */
const timeout = 60_000;

const betweenInNode = ['one', 'tick after one', 'microtask after one', 'two', 'tick after two', 'microtask after two'];
/** In Bun microtasks come first. */
const betweenInBun = ['one', 'microtask after one', 'tick after one', 'two', 'microtask after two', 'tick after two'];

/** What the program sees on every runtime. */
const expected = {
  http: [201, 'yes', 'POST a body ✓'],
  socket: ['some data', 'text ✓', [1, 0, 255], 'server: 4001 enough', 'client: 4001 enough true'],
  context: ['of serve(), of a request', 'of serve(), of a request', 'undefined'],
  workers: ['hello from the first', 'hello from the second', 'exit code 0'],
  disposal: ['0', 'false', 'undefined', '0', 'true', 'undefined'],
};

for (const version of versions) {
  const { path, reason } = nodeBinary(version);
  if (path === undefined && nodesRequired) throw new Error(`Node ${version} must be tested here: ${reason}`);
  if (path === undefined) console.error(`\n# NODE ${version} IS NOT TESTED. ${reason}\n`);

  describe(`Node ${version}`, { skip: reason, timeout }, () => {
    for (const driver of drivers) {
      test(`serves, ${driver}, and ends by itself`, async () => {
        const { runtime, ...seen } = await play(/** @type {string} */ (path), driver);

        assert.match(runtime, new RegExp(`^Node ${version.replaceAll('.', '\\.')}(\\.|$)`));
        assert.deepEqual(seen, { ...expected, order: betweenInNode });
      });
    }
  });
}

test('Bun serves and ends by itself', { timeout }, async () => {
  const { runtime, ...seen } = await play(bunBinary() ?? assert.fail('Bun is not installed: npm install'), 'watched');

  assert.equal(runtime, 'Bun');
  assert.deepEqual(seen, { ...expected, order: betweenInBun });
});

/**
 * Runs the program to its end, which is its own, and returns what it saw.
 * @param {string} path
 * @param {string} driver
 */
async function play(path, driver) {
  const { stdout, ...end } = await runToEnd(path, [program], { env: { MANTOU_DRIVER: driver }, timeout: 30_000 });
  assert.deepEqual(end, { code: 0, signal: null, stderr: '' });
  return JSON.parse(stdout);
}
