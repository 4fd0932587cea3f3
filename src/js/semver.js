// @ts-check
// `Bun.semver`: order and ranges of versions, as npm writes them (semver.org 2.0.0, node-semver's ranges).

'use strict';

/** `pre`: the identifiers behind the hyphen. @typedef {{ numbers: number[], pre: string[] }} Version */
/** @typedef {(version: Version) => boolean} Test */
/** What a version has to stand, and the bounds with a prerelease. @typedef {{ tests: Test[], prereleases: Version[] }} Comparator */

const VERSION = /^\s*[v=]?(\d+)\.(\d+)\.(\d+)(?:-([\w.-]+))?(?:\+[\w.-]+)?\s*$/;
const PARTIAL = /^(\^|~>|~|>=|<=|>|<|=|)v?(\d+|[xX*])?(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:-([\w.-]+))?(?:\+[\w.-]+)?$/;

/**
 * -1, 0 or 1: whether `a` comes before, with or after `b`. Throws a TypeError for what is no version.
 * @param {string} a
 * @param {string} b
 */
function order(a, b) {
  const [left, right] = [parse(a), parse(b)];
  if (left === undefined || right === undefined) throw new TypeError(`Invalid SemVer: ${left === undefined ? a : b}`);
  return compare(left, right);
}

/**
 * Whether a version is in a range. False for what is no version; a range that is none has them all, as in Bun.
 * @param {string} version
 * @param {string} range
 */
function satisfies(version, range) {
  const parsed = parse(version);
  if (parsed === undefined || typeof range !== 'string') return false;
  return range.split('||').some((alternative) => isWithin(parsed, alternative));
}

/** @param {Version} version @param {string} alternative of a range, without `||` */
function isWithin(version, alternative) {
  const comparators = alternative
    .replace(/(\S+)\s+-\s+(\S+)/g, '>=$1 <=$2')
    .replace(/(\^|~>|~|>=|<=|>|<|=)\s+/g, '$1')
    .split(/\s+/)
    .map(comparatorOf);
  if (!comparators.every(({ tests }) => tests.every((test) => test(version)))) return false;
  // A prerelease is only for those who name one of the same version.
  const isNamed = (/** @type {Version} */ { numbers }) => numbers.every((number, n) => number === version.numbers[n]);
  return version.pre.length === 0 || comparators.some(({ prereleases }) => prereleases.some(isNamed));
}

/** @param {string} text @returns {Comparator} */
function comparatorOf(text) {
  const [, operator, ...parts] = PARTIAL.exec(text) ?? ['', '', '*'];
  const given = parts.slice(0, 3).map((part) => (part === undefined || /\D/.test(part) ? undefined : Number(part)));
  const length = given.includes(undefined) ? given.indexOf(undefined) : 3;
  // Any version: none is beyond it.
  if (length === 0) return { tests: operator === '<' || operator === '>' ? [() => false] : [], prereleases: [] };
  const numbers = given.map((number, n) => (n < length ? (number ?? 0) : 0));
  const low = { numbers, pre: length === 3 ? (parts[3]?.split('.') ?? []) : [] };

  /** The first version whose number at this place is another. @param {number} place */
  const above = (place) => ({ numbers: numbers.map((number, n) => (n < place ? number : n === place ? number + 1 : 0)), pre: ['0'] });
  const atLeast = (/** @type {Version} */ bound) => (/** @type {Version} */ version) => compare(version, bound) >= 0;
  const below = (/** @type {Version} */ bound) => (/** @type {Version} */ version) => compare(version, bound) < 0;
  /** Past all that the text stands for. */
  const past = length === 3 ? (/** @type {Version} */ version) => compare(version, low) > 0 : atLeast(above(length - 1));
  const upTo = (/** @type {Version} */ version) => !past(version);

  const first = numbers.findIndex((number) => number > 0);
  const tests = {
    '^': [atLeast(low), below(above(first === -1 || first >= length ? length - 1 : first))],
    '~': [atLeast(low), below(above(Math.min(length - 1, 1)))],
    '>=': [atLeast(low)],
    '>': [past],
    '<=': [upTo],
    '<': [below(low)],
    '=': [atLeast(low), upTo],
  }[operator === '' ? '=' : operator === '~>' ? '~' : operator];
  return { tests: /** @type {Test[]} */ (tests), prereleases: low.pre.length > 0 ? [low] : [] };
}

/** @param {unknown} text @returns {Version | undefined} */
function parse(text) {
  const match = VERSION.exec(String(text));
  if (match === null) return undefined;
  const [, major, minor, patch, pre] = match;
  return { numbers: [Number(major), Number(minor), Number(patch)], pre: pre?.split('.') ?? [] };
}

/** semver.org §11. @param {Version} a @param {Version} b @returns {-1 | 0 | 1} */
function compare(a, b) {
  for (const [n, number] of a.numbers.entries()) {
    if (number !== b.numbers[n]) return number < b.numbers[n] ? -1 : 1;
  }
  // A version comes behind its prereleases.
  if (a.pre.length === 0 || b.pre.length === 0) return a.pre.length === b.pre.length ? 0 : a.pre.length === 0 ? 1 : -1;
  for (const [n, left] of a.pre.entries()) {
    const right = b.pre[n];
    if (right === undefined) return 1;
    if (left === right) continue;
    const [isLeftNumber, isRightNumber] = [/^\d+$/.test(left), /^\d+$/.test(right)];
    if (isLeftNumber !== isRightNumber) return isLeftNumber ? -1 : 1;
    return (isLeftNumber ? Number(left) < Number(right) : left < right) ? -1 : 1;
  }
  return a.pre.length === b.pre.length ? 0 : -1;
}

module.exports = { semver: { satisfies, order } };
