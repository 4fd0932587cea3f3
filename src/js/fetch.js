// @ts-check
// The `fetch()` of programs for Bun: the host's, which also passes on what a server was asked, as it was asked, and what it gets in return.

'use strict';

const { fieldsOf, findField, splitFields } = require('./fields.js');
const { forHost, withMember } = require('./request.js');

const hostFetch = globalThis.fetch;
const hostClone = globalThis.Response.prototype.clone;

/**
 * The host's, which also takes a request of ours, a stream without further words, and the fields that a request came with. The fields of the
 * response can be changed.
 * @type {(...args: any[]) => Promise<globalThis.Response>}
 */
async function fetch(_input) {
  return changeable(await Reflect.apply(hostFetch, globalThis, withoutRefused(forHost([...arguments]))));
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

/**
 * Lets the fields of a response be changed, as far as a program can see: those that the host keeps cannot be (the guard "immutable",
 * https://fetch.spec.whatwg.org/#concept-headers-guard).
 * @param {globalThis.Response} response
 * @param {Headers} [given] in place of its own
 */
function changeable(response, given = response.headers) {
  /** @type {Headers | undefined} */
  let headers;
  return Object.defineProperties(response, {
    headers: {
      configurable: true,
      get: () => {
        headers ??= new Headers(given);
        return headers;
      },
    },
    clone: {
      configurable: true,
      writable: true,
      value: () => changeable(hostClone.call(response), new Headers(response.headers)),
    },
  });
}

module.exports = { fetch };
