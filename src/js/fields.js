// @ts-check
// Header fields between JavaScript and the native side: one text in the form they have on the wire, `name: value CR LF …`.

'use strict';

/**
 * Fields as text, `set-cookie` lines first. What HTTP cannot carry is left out: headers may not be the host's, and those of the host take the type
 * of any Blob.
 * @param {{ forEach(callback: (value: string, name: string) => void): void }} headers
 */
function joinFields(headers) {
  let cookies = '';
  let fields = '';
  headers.forEach((value, name) => {
    if (!isField(name, value)) return;
    const lower = name.toLowerCase();
    if (lower === 'set-cookie') cookies += field(lower, value);
    else fields += field(lower, value);
  });
  return cookies + fields;
}

/**
 * @param {string} fields
 * @returns {[string, string][]}
 */
function splitFields(fields) {
  const lines = fields.split('\r\n');
  lines.pop();
  return lines.map((line) => {
    const colon = line.indexOf(': ');
    return [line.slice(0, colon), line.slice(colon + 2)];
  });
}

/**
 * Adds fields to `headers`, one by one: as pairs for its constructor the host goes through each of them twice.
 * @param {Headers} headers
 * @param {string} fields
 */
function appendFields(headers, fields) {
  for (let start = 0; start < fields.length; ) {
    const colon = fields.indexOf(': ', start);
    const end = fields.indexOf('\r', colon);
    headers.append(fields.slice(start, colon), fields.slice(colon + 2, end));
    start = end + 2;
  }
  return headers;
}

/**
 * @param {string} name
 * @param {string} value
 */
function field(name, value) {
  return `${name}: ${value}\r\n`;
}

/**
 * Whether HTTP can carry a field: nothing in it ends the line or the name.
 * @param {unknown} name
 * @param {unknown} value
 */
function isField(name, value) {
  return typeof name === 'string' && typeof value === 'string' && NAME.test(name) && VALUE.test(value);
}

/**
 * The first field of this name.
 * @param {string} fields
 * @param {string} name in lower case, as the names of the fields are
 * @returns {string | undefined}
 */
function findField(fields, name) {
  const key = `${name}: `;
  const start = fields.startsWith(key) ? 0 : fields.indexOf(`\n${key}`) + 1;
  if (start === 0 && !fields.startsWith(key)) return undefined;
  return fields.slice(start + key.length, fields.indexOf('\r', start));
}

/**
 * Gives `headers` the fields of `by`, and no other.
 * @param {Headers} headers
 * @param {Headers} by
 */
function replaceFields(headers, by) {
  for (const name of [...headers.keys()]) headers.delete(name);
  for (const [name, value] of by) headers.append(name, value);
}

/**
 * The fields of a HeadersInit. Undefined for one that needs the host's judgement or conversion.
 * @param {any} init
 * @returns {string | undefined}
 */
function fieldsOf(init) {
  if (typeof init !== 'object' || init === null) return undefined;
  if (init instanceof Headers) return joinFields(init);
  if (Array.isArray(init)) return joinPairs(init);
  const prototype = Object.getPrototypeOf(init);
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  return Object.getOwnPropertySymbols(init).length === 0 ? joinPairs(Object.entries(init)) : undefined;
}

/**
 * @param {any[]} pairs
 * @returns {string | undefined}
 */
function joinPairs(pairs) {
  let cookies = '';
  let fields = '';
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length !== 2) return undefined;
    const [name, value] = pair;
    if (!isField(name, value)) return undefined;
    const lower = name.toLowerCase();
    if (lower === 'set-cookie') cookies += field(lower, value);
    // Several of a name are one, as the host has it.
    else if (findField(fields, lower) !== undefined) return joinFields(new Headers(pairs));
    else fields += field(lower, value);
  }
  return cookies + fields;
}

/** RFC 9110 §5.6.2: a token. */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** §5.5: a field value, without white space around it. */
const VALUE = /^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?$/;

module.exports = { appendFields, field, fieldsOf, findField, isField, joinFields, replaceFields, splitFields };
