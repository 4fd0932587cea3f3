// Servers in worker threads: several at once, and ended at any moment, their worker or the whole process. Nothing crashes, hangs or stays
// behind. Each play runs in a process of its own (fixtures/workers.mjs): on Node, polled and watched, and on Bun.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bunBinary } from './support/bun.mjs';
import { runToEnd } from './support/child.mjs';
import { PLACES } from './support/traffic.mjs';

const program = fileURLToPath(new URL('fixtures/workers.mjs', import.meta.url));
const hosts = [
  { name: 'Node, polled', path: process.execPath, driver: 'polled' },
  { name: 'Node, watched', path: process.execPath, driver: 'watched' },
  { name: 'Bun', path: bunBinary() ?? assert.fail('Bun is not installed: npm install'), driver: 'watched' },
];
/** Milliseconds for one process, which takes a tenth of it: only a hang takes longer. */
const LIMIT = 120_000;

for (const { name, path, driver } of hosts) {
  describe(`servers in workers (${name})`, { timeout: 4 * LIMIT, skip: process.platform !== 'linux' && 'needs /proc' }, () => {
    const play = (what, { place = '', seed = 0 } = {}) =>
      runToEnd(path, [program], { env: { MANTOU_DRIVER: driver, PLAY: what, PLACE: place, SEED: String(seed) }, timeout: LIMIT });
    /** Plays to the end and returns what was seen. */
    const playWell = async (what, how) => {
      const { stdout, ...end } = await play(what, how);
      assert.deepEqual(end, { code: 0, signal: null, stderr: '' });
      return JSON.parse(stdout);
    };

    test('several serve HTTP and WebSockets at once', async () => {
      assert.deepEqual(await playWell('serve'), { ports: 5 });
    });

    test('one that ends in the middle of traffic, from within or without, takes its connections with it and harms no other', async () => {
      const { rounds, ...held } = await playWell('end');

      assert.equal(rounds, 4 * Object.keys(PLACES).length);
      leavesNothing(held);
    });

    test('one that is terminated while it starts leaves nothing behind', async () => {
      const { rounds, ...held } = await playWell('start');

      assert.equal(rounds, 30);
      leavesNothing(held);
    });

    test('process.exit() in the middle of traffic ends them all', async () => {
      for (const [index, place] of Object.keys(PLACES).entries()) {
        assert.deepEqual(await play('exit', { place, seed: index * 7 }), { code: 7, signal: null, stdout: '', stderr: '' }, place);
      }
    });
  });
}

/** The process holds no more than after its first rounds: when that was counted, the last clients may still have been on their way out. */
function leavesNothing({ before, after }) {
  for (const what of Object.keys(before)) assert.ok(after[what] <= before[what], `${after[what]} ${what}, ${before[what]} before`);
}
