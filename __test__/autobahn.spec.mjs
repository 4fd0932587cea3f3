// @ts-check
// The Autobahn suite: the cases that are quick and need no extension, and of those for permessage-deflate the smallest of each kind.
// `npm run test:autobahn` runs all 517. Node drives; the server is a process of its own.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { autobahn } from './autobahn/suite.mjs';
import { pythonForTests } from './support/python.mjs';

/** Milliseconds: the quick cases take 12 s, the first run installs the suite. */
const timeout = 300_000;
/** 1000 messages of 16 bytes for each of 5 kinds of data, then for each of 7 offers. */
const COMPRESSED = [...kinds(12, 5), ...kinds(13, 7)];

const { reason } = pythonForTests();
if (reason !== undefined) console.error(`\n# AUTOBAHN DOES NOT RUN. ${reason}\n`);

/** @param {number} group @param {number} count */
function kinds(group, count) {
  return Array.from({ length: count }, (_, n) => `${group}.${n + 1}.1`);
}

/** @param {Parameters<typeof autobahn>[0]} what @param {number} count of cases */
async function expectAllGood(what, count) {
  const { code, output } = await autobahn(what);

  assert.equal(code, 0, output);
  assert.match(output, new RegExp(`^${count} passed, 0 failed$`, 'm'));
}

for (const host of ['node', 'bun']) {
  describe(`mantou in ${host === 'node' ? 'Node' : 'Bun'}`, { timeout }, () => {
    test('passes the quick cases without an extension', { skip: reason }, () =>
      expectAllGood({ host, deflate: 'off', cases: ['quick'] }, 247),
    );

    test('passes the smallest compressed cases with compressors per socket', { skip: reason }, () =>
      expectAllGood({ host, deflate: 'dedicated', cases: COMPRESSED }, 12),
    );

    test('passes the smallest compressed cases with shared compressors, but for the offers they cannot meet', {
      skip: reason,
    }, async () => {
      const { code, output } = await autobahn({ host, deflate: 'true', cases: COMPRESSED });

      assert.equal(code, 0, output);
      assert.match(output, /^10 passed, 0 failed, 2 skipped$/m);
    });
  });
}
