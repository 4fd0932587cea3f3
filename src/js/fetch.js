// @ts-check
// The `fetch()` of programs for Bun: the host's, which also passes on what a server was asked, as it was asked.

'use strict';

const { fieldsOf, findField, splitFields } = require('./fields.js');
const { forHost, withMember } = require('./request.js');

const hostFetch = globalThis.fetch;

/**
 * The host's, which also takes a request of ours, a stream without further words, and the fields that a request came with.
 * @type {(...args: any[]) => Promise<globalThis.Response>}
 */
function fetch(_input) {
  return Reflect.apply(hostFetch, globalThis, withoutRefused(forHost([...arguments])));
}

/** Fields for the next server alone (RFC 9110 §7.6.1, §10.1.1): the host fails where it is given one. */
const REFUSED = ['expect', 'keep-alive', 'transfer-encoding', 'upgrade'];

/** @param {any[]} args */
function withoutRefused(args) {
  const [input, init, ...rest] = args;
  const fields = fieldsOf(init?.headers ?? input?.headers) ?? '';
  if (!REFUSED.some((name) => findField(fields, name) !== undefined)) return args;
  const headers = splitFields(fields).filter(([name]) => !REFUSED.includes(name));
  return [input, withMember(init, 'headers', headers), ...rest];
}

module.exports = { fetch };
