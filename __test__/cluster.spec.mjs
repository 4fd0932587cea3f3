// Servers in the workers of node:cluster. Each play runs in processes of its own (fixtures/cluster.mjs).

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runToEnd } from './support/child.mjs';
import { isOracle } from './support/target.mjs';

const program = fileURLToPath(new URL('fixtures/cluster.mjs', import.meta.url));
/** Milliseconds; it takes a second. */
const LIMIT = 60_000;
const IN_USE = ['EADDRINUSE', 'Failed to start server. Is port N in use?'];

/** Plays to the end and returns what was seen. */
async function play(what) {
  const { stdout, ...end } = await runToEnd(process.execPath, [program], { env: { PLAY: what }, timeout: LIMIT });
  assert.deepEqual(end, { code: 0, signal: null, stderr: '' });
  return JSON.parse(stdout);
}

describe('workers of a cluster', { skip: process.platform !== 'linux' && 'Linux only', timeout: LIMIT }, () => {
  test('share a port without asking for it; one that dies is no problem for the others', async () => {
    assert.deepEqual(await play('share'), {
      workers: 3,
      answered: 100,
      survivors: true,
      answeredByThem: 100,
      echoes: ['still there?'],
    });
  });

  test('get EADDRINUSE for a port that somebody else has, or that is not to be shared', async () => {
    assert.deepEqual(await play('taken'), { foreign: IN_USE, primary: IN_USE, first: true, second: IN_USE, third: IN_USE });
  });

  test('have a port each when they ask for a free one, and share it with one that asks for the same', async () => {
    assert.deepEqual(await play('free'), { ports: 3, taken: true, shared: true });
  });

  // Bun's go on listening, without a cluster.
  test('answer what has begun and end when they are told to disconnect', { skip: isOracle }, async () => {
    assert.deepEqual(await play('disconnect'), { answer: 'abcdef', code: 0, signal: null, rest: true });
  });
});
