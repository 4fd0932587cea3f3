// @ts-check
// Request, Response and the async context on every Node that is supported, with and without `mantou/register`: their specs, run on each.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runToEnd } from './support/child.mjs';
import { nodeBinary, nodesRequired } from './support/nodes.mjs';

const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const oldest = engines.node.replace('>=', '');
/** The oldest that package.json promises, one more before the host kept the parts of its requests in private fields, and those since. */
const versions = [oldest, '22', '24', '26'];
const specs = ['request', 'response', 'async-context'];
/** The oldest host keeps a program alive that has cloned a response of a stream and not read it, as that spec does. */
const specsOf = (/** @type {string} */ version) => specs.filter((spec) => version !== oldest || spec !== 'response');
/** Milliseconds; it takes a few seconds. */
const timeout = 120_000;

for (const version of versions) {
  const { path, reason } = nodeBinary(version);
  if (path === undefined && nodesRequired) throw new Error(`Node ${version} must be tested here: ${reason}`);

  describe(`Node ${version}`, { skip: reason, timeout }, () => {
    for (const spec of specsOf(version)) {
      for (const register of ['', '1']) {
        test(`passes the ${spec} spec ${register === '' ? 'without' : 'with'} mantou/register`, async () => {
          await pass(/** @type {string} */ (path), `${spec}.spec.mjs`, { MANTOU_TEST_REGISTER: register });
        });
      }
    }
  });
}

test('this Node passes them with mantou/register', { timeout }, async () => {
  for (const spec of specs) await pass(process.execPath, `${spec}.spec.mjs`, { MANTOU_TEST_REGISTER: '1' });
});

/**
 * @param {string} node
 * @param {string} spec
 * @param {Record<string, string>} env
 */
async function pass(node, spec, env) {
  const file = fileURLToPath(new URL(spec, import.meta.url));
  const { code, signal, stdout, stderr } = await runToEnd(node, ['--test-reporter=tap', file], { env, timeout });
  const failed = stdout.split('\n').filter((line) => /^ *not ok/.test(line));
  process.stderr.write(stderr);
  assert.deepEqual({ code, signal, failed }, { code: 0, signal: null, failed: [] });
  assert.match(stdout, /^# pass [1-9]\d+$/m);
}
