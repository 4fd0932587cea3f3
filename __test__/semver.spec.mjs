// Bun.semver of `mantou/register`, beside Bun's.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { bun, isOracle } from './support/target.mjs';

const { satisfies, order } = isOracle ? bun.semver : createRequire(import.meta.url)('../src/js/semver.js').semver;

for (const [version, range, expected] of [
  ['1.4.5', '>=1.2.14', true],
  ['1.4.5', '>= 1.2.0 <2', true],
  ['1.4.5', '>=1.2.0 <1.4.5', false],
  ['1.4.5', '^1.2', true],
  ['2.0.0', '^1.2', false],
  ['0.2.5', '^0.2.1', true],
  ['0.3.0', '^0.2.1', false],
  ['0.0.3', '^0.0.3', true],
  ['0.0.4', '^0.0.3', false],
  ['0.9.0', '^0', true],
  ['0.0.9', '^0.0', true],
  ['0.1.0', '^0.0', false],
  ['1.4.5', '~1.4', true],
  ['1.5.0', '~1.4', false],
  ['1.4.9', '~1.4.5', true],
  ['1.4.4', '~1.4.5', false],
  ['1.9.0', '~1', true],
  ['1.2.3', '~> 1.2', true],
  ...['>x', '<*', '> *', '<x.x'].map((range) => ['1.2.3', range, false]),
  ...['>=*', '<=*', '^*', '~x', '=*'].map((range) => ['1.2.3', range, true]),
  ['1.4.5', '1.x', true],
  ['1.4.5', '1.3.X', false],
  ['1.4.5', '*', true],
  ['1.4.5', '', true],
  ['1.4.5', '>1.4', false],
  ['1.5.0', '>1.4', true],
  ['1.4.5', '<=1.4', true],
  ['1.5.0', '<=1.4', false],
  ['1.4.5', '<1.4', false],
  ['1.3.9', '<1.4', true],
  ['1.4.5', '1.4.0 - 1.5', true],
  ['1.5.9', '1.4.0 - 1.5', true],
  ['1.6.0', '1.4.0 - 1.5', false],
  ['1.4.5', '<1 || >=1.4', true],
  ['1.4.5', '<1 || >=1.5', false],
  ['1.4.5-beta.1', '>=1.4', false],
  ['1.4.5-beta.1', '^1.4.5-alpha', true],
  ['1.2.3+build', '1.2.3', true],
  ['v1.0.0', '=1.0.0', true],
  ['1.0', '1.0.0', false],
  ['x', '1', false],
]) {
  test(`${version} is ${expected ? '' : 'not '}in "${range}"`, () => assert.equal(satisfies(version, range), expected));
}

test('versions have an order', () => {
  const ascending = ['0.9.9', '1.0.0-1', '1.0.0-2', '1.0.0-10', '1.0.0-a', '1.0.0-a.1', '1.0.0-b', '1.0.0', '1.0.1', '1.1.0', '10.0.0'];

  for (const [n, version] of ascending.entries()) {
    for (const [m, other] of ascending.entries()) assert.equal(order(version, other), Math.sign(n - m), `${version} and ${other}`);
  }
  assert.equal(order('1.0.0+a', '1.0.0+b'), 0);
});

test('what is no version has none', { skip: isOracle && 'it takes it for some version' }, () => {
  assert.throws(() => order('x', '1.0.0'), new TypeError('Invalid SemVer: x'));
  assert.throws(() => order('1.0.0', '1'), new TypeError('Invalid SemVer: 1'));
});
