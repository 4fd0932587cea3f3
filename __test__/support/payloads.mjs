// @ts-check
// Every kind of value one can hand to a sending method, and what each method does with it. One table for send, ping, pong and publish.

import assert from 'node:assert/strict';
import { openAsBlob } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { differs } from '../differences.mjs';
import { BINARY, PING, PONG, TEXT } from './raw-client.mjs';
import { bun, isBunRuntime } from './target.mjs';
import { throwsExactly } from './throws.mjs';

/** @type {(value: ArrayBuffer | Uint8Array<ArrayBuffer>) => unknown} */
const detached = (value) => {
  const buffer = ArrayBuffer.isView(value) ? value.buffer : value;
  structuredClone(buffer, { transfer: [buffer] });
  return value;
};
const resizable = () => {
  const buffer = new ArrayBuffer(2, { maxByteLength: 8 });
  new Uint8Array(buffer).set([1, 2]);
  buffer.resize(4);
  return buffer;
};

/**
 * `kind` decides what a method does; `bytes` is the payload where it is sent, `thrown` what making a string of it throws.
 * @typedef {{ kind: 'string' | 'bytes' | 'other' | 'missing', bytes: string | number[] } | { kind: 'unprintable', thrown: Thrown }} Payload
 * @typedef {RegExp | (new () => Error)} Thrown
 */

/** @type {(Payload & { what: string, make(): unknown })[]} */
const PAYLOADS = [
  { what: 'a string', kind: 'string', make: () => 'abc', bytes: 'abc' },
  { what: 'an empty string', kind: 'string', make: () => '', bytes: '' },
  {
    what: 'a string beyond ASCII',
    kind: 'string',
    make: () => 'h\u00e9\u20ac\ud83d\ude00\u0000',
    bytes: 'h\u00e9\u20ac\ud83d\ude00\u0000',
  },
  { what: 'a latin1 string', kind: 'string', make: () => '\u00ff\u00e9', bytes: '\u00ff\u00e9' },
  { what: 'a string with lone surrogates', kind: 'string', make: () => 'a\ud800b\udc00', bytes: 'a\ufffdb\ufffd' },
  { what: 'a String object', kind: 'string', make: () => new String('abc'), bytes: 'abc' },

  { what: 'a Buffer', kind: 'bytes', make: () => Buffer.from([0, 255, 7]), bytes: [0, 255, 7] },
  { what: 'a slice of a Buffer', kind: 'bytes', make: () => Buffer.from('abcdef').subarray(2, 4), bytes: 'cd' },
  { what: 'an empty Buffer', kind: 'bytes', make: () => Buffer.alloc(0), bytes: '' },
  { what: 'a Uint8Array', kind: 'bytes', make: () => new Uint8Array([1, 2]), bytes: [1, 2] },
  { what: 'a Uint8ClampedArray', kind: 'bytes', make: () => new Uint8ClampedArray([300]), bytes: [255] },
  { what: 'an Int8Array', kind: 'bytes', make: () => new Int8Array([-1]), bytes: [255] },
  { what: 'a Uint16Array with an offset', kind: 'bytes', make: () => new Uint16Array([1, 2, 3]).subarray(1), bytes: [2, 0, 3, 0] },
  { what: 'a Float64Array', kind: 'bytes', make: () => new Float64Array([1]), bytes: [0, 0, 0, 0, 0, 0, 240, 63] },
  { what: 'a BigInt64Array', kind: 'bytes', make: () => new BigInt64Array([1n]), bytes: [1, 0, 0, 0, 0, 0, 0, 0] },
  { what: 'a DataView with an offset', kind: 'bytes', make: () => new DataView(new Uint8Array([1, 2, 3, 4]).buffer, 1, 2), bytes: [2, 3] },
  { what: 'an ArrayBuffer', kind: 'bytes', make: () => new Uint8Array([1, 2]).buffer, bytes: [1, 2] },
  { what: 'a SharedArrayBuffer', kind: 'bytes', make: () => new SharedArrayBuffer(2), bytes: [0, 0] },
  { what: 'a view of a SharedArrayBuffer', kind: 'bytes', make: () => new Uint8Array(new SharedArrayBuffer(2), 1), bytes: [0] },
  { what: 'a resizable ArrayBuffer', kind: 'bytes', make: resizable, bytes: [1, 2, 0, 0] },
  { what: 'a view that grew with its ArrayBuffer', kind: 'bytes', make: () => new Uint8Array(resizable(), 1), bytes: [2, 0, 0] },
  { what: 'a detached ArrayBuffer', kind: 'bytes', make: () => detached(new ArrayBuffer(2)), bytes: '' },
  { what: 'a detached view', kind: 'bytes', make: () => detached(new Uint8Array(2)), bytes: '' },

  { what: 'a number', kind: 'other', make: () => -1.5, bytes: '-1.5' },
  { what: 'NaN', kind: 'other', make: () => NaN, bytes: 'NaN' },
  { what: 'zero', kind: 'other', make: () => 0, bytes: '0' },
  { what: 'true', kind: 'other', make: () => true, bytes: 'true' },
  { what: 'false', kind: 'other', make: () => false, bytes: 'false' },
  { what: 'a bigint', kind: 'other', make: () => 10n, bytes: '10' },
  { what: 'an array', kind: 'other', make: () => [1, [2, 'x']], bytes: '1,2,x' },
  { what: 'an empty array', kind: 'other', make: () => [], bytes: '' },
  { what: 'a plain object', kind: 'other', make: () => ({ a: 1 }), bytes: '[object Object]' },
  { what: 'an object with toString', kind: 'other', make: () => ({ toString: () => 'own', valueOf: () => 'not this' }), bytes: 'own' },
  { what: 'a Date', kind: 'other', make: () => new Date(0), bytes: String(new Date(0)) },
  { what: 'a function', kind: 'other', make: () => String.prototype.at, bytes: String(String.prototype.at) },
  { what: 'a URL', kind: 'other', make: () => new URL('http://a/b'), bytes: 'http://a/b' },
  { what: 'a regular expression', kind: 'other', make: () => /a/g, bytes: '/a/g' },
  { what: 'a Promise', kind: 'other', make: () => Promise.resolve('x'), bytes: '[object Promise]' },

  { what: 'undefined', kind: 'missing', make: () => undefined, bytes: '' },
  { what: 'null', kind: 'missing', make: () => null, bytes: '' },
  { what: 'a Symbol', kind: 'unprintable', make: () => Symbol('s'), thrown: TypeError },
  { what: 'an object without toString', kind: 'unprintable', make: () => Object.create(null), thrown: TypeError },
  {
    what: 'an object whose toString throws',
    kind: 'unprintable',
    make: () => ({
      toString() {
        throw new RangeError('from toString');
      },
    }),
    thrown: /^RangeError: from toString$/,
  },
];

/** Payloads whose bytes only the host can read. */
const BLOBS = [
  { what: 'a Blob', make: () => new Blob(['xyz']), bytes: 'xyz' },
  { what: 'a slice of a Blob', make: () => new Blob(['abc', 'def']).slice(2, 5), bytes: 'cde' },
];

/** A Blob whose bytes are still in a file. */
const blobOfFile = (path = fileURLToPath(import.meta.url)) => (isBunRuntime ? bun.file(path) : openAsBlob(path));

/** Which of four families a method belongs to. @typedef {'any' | 'text' | 'binary' | 'control'} Family */

/** @typedef {'send' | 'publish' | 'sendText' | 'publishText' | 'sendBinary' | 'publishBinary' | 'ping' | 'pong'} Method */

/** @type {Record<Method, Family>} */
const METHODS = {
  send: 'any',
  publish: 'any',
  sendText: 'text',
  publishText: 'text',
  sendBinary: 'binary',
  publishBinary: 'binary',
  ping: 'control',
  pong: 'control',
};

/**
 * A frame, an error to the letter, or one of a class or pattern.
 * @typedef {{ opcode: number, bytes: Buffer, error?: undefined, thrown?: undefined }} Sent
 * @typedef {{ error: import('./throws.mjs').Expected, bytes?: undefined }} Refused
 * @typedef {{ thrown: Thrown, error?: undefined, bytes?: undefined }} Failed
 * @typedef {Sent | Refused | Failed} Outcome
 */

/**
 * What `method` does with `payload`.
 * @param {Method} method
 * @param {Payload} payload
 * @returns {Outcome}
 */
export function outcomeOf(method, payload) {
  const error = (/** @type {string} */ message) => ({ error: { message: `${method} ${message}` } });
  switch (METHODS[method]) {
    case 'any':
      if (payload.kind === 'missing') return error('requires a non-empty message');
      if (payload.kind === 'unprintable') return { thrown: payload.thrown };
      return { opcode: payload.kind === 'bytes' ? BINARY : TEXT, bytes: Buffer.from(payload.bytes) };
    case 'text':
      return payload.kind === 'string' ? { opcode: TEXT, bytes: Buffer.from(payload.bytes) } : error('expects a string');
    case 'binary':
      return payload.kind === 'bytes' ? { opcode: BINARY, bytes: Buffer.from(payload.bytes) } : error('expects a Blob or BufferSource');
    default:
      if (payload.kind === 'other' || payload.kind === 'unprintable') return error('expects a string, Blob, or BufferSource');
      return { opcode: method === 'ping' ? PING : PONG, bytes: Buffer.from(payload.bytes) };
  }
}

/**
 * Declares a test for each payload. `prepare()` makes what a test needs: `{ call, client, mark }`, where `call(payload)` is the method, `client` sees
 * the frame, and `mark()` sends it the text "marker" behind that.
 * @typedef {{ client: import('./raw-client.mjs').RawClient, mark(): void }} Seen
 * @param {Method} method
 * @param {() => Promise<Seen & { call(payload: unknown): number }>} prepare
 * @param {(payload: Payload) => Outcome} [outcome]
 */
export function testPayloads(method, prepare, outcome = (payload) => outcomeOf(method, payload)) {
  for (const payload of PAYLOADS) {
    const expected = outcome(payload);
    test(`${expected.bytes ? 'sends' : 'refuses'} ${payload.what}`, async () => {
      const { call, ...seen } = await prepare();

      await expectOutcome(expected, () => call(payload.make()), seen);
    });
  }

  for (const { what, make, bytes } of BLOBS) {
    const expected = outcome({ kind: 'bytes', bytes });
    test(`with ${what}`, async () => {
      const { call, ...seen } = await prepare();
      const act = () => call(make());

      // Where the host can't read a Blob at once, the method throws and says what to do.
      if (expected.error || !differs('blob-send') || !throwsAwaitBytes(act)) await expectOutcome(expected, act, seen);
    });
  }

  test('refuses a Blob whose bytes are in a file', async () => {
    const { call, ...seen } = await prepare();
    const expected = outcome({ kind: 'bytes', bytes: '' });
    const blob = await blobOfFile();

    if (expected.error) throwsExactly(() => call(blob), expected.error);
    else if (differs('blob-send'))
      assert.ok(
        throwsAwaitBytes(() => call(blob)),
        'nothing was thrown',
      );
    else {
      const message = `${method} cannot send a file- or S3-backed Blob synchronously; await blob.bytes() first`;
      throwsExactly(() => call(blob), { message });
    }

    seen.mark();
    await seen.client.expect('TEXT marker');
  });
}

/**
 * `act` does what `outcome` says, as `client` sees it, and sends nothing else.
 * @param {Outcome} outcome
 * @param {() => unknown} act
 * @param {Seen} seen
 */
export async function expectOutcome(outcome, act, { client, mark }) {
  if (outcome.error) throwsExactly(act, outcome.error);
  else if (outcome.thrown) assert.throws(act, outcome.thrown);
  else {
    assert.equal(act(), outcome.bytes.length);
    const frame = await client.frame();
    assert.deepEqual([frame.opcode, frame.payload.toString('hex')], [outcome.opcode, outcome.bytes.toString('hex')]);
  }
  mark();
  await client.expect('TEXT marker');
}

/** @param {() => unknown} act */
function throwsAwaitBytes(act) {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof TypeError);
    assert.match(error.message, /await blob\.bytes\(\) first/);
    return true;
  }
  return false;
}
