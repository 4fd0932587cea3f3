// @ts-check
// Errors as Bun throws them: a class, a code, a message.

'use strict';

const { inspect } = require('node:util');

/**
 * An error with a `code`.
 * @template {ErrorConstructor} E
 * @param {E} Class
 * @param {string} code
 * @param {string} message
 * @returns {Error & { code: string }}
 */
function coded(Class, code, message) {
  return Object.assign(new Class(message), { code });
}

/** @param {string} message */
function invalidArgument(message) {
  return coded(TypeError, 'ERR_INVALID_ARG_TYPE', message);
}

/**
 * @param {string} method
 * @param {number} expected
 * @param {number} got
 */
function missingArguments(method, expected, got) {
  return coded(TypeError, 'ERR_MISSING_ARGS', `Not enough arguments to '${method}'. Expected ${expected}, got ${got}.`);
}

/**
 * @param {string} className
 * @param {unknown} self
 */
function invalidThis(className, self) {
  const got = self === undefined ? '' : `, but ${received(self).replace('R', 'r')}`;
  return coded(TypeError, 'ERR_INVALID_THIS', `Expected this to be instanceof ${className}${got}`);
}

/**
 * How messages name what they got: `undefined`, `type number (1)`, `an instance of Map`.
 * @param {unknown} value
 */
function received(value) {
  if (value === null || value === undefined) return `Received ${value}`;
  if (typeof value === 'function') return `Received function ${value.name}`;
  if (typeof value === 'object') {
    const name = value.constructor?.name;
    return name ? `Received an instance of ${name}` : `Received ${inspect(value, { depth: -1 })}`;
  }
  if (typeof value === 'string') {
    const text = value.length > 28 ? `${value.slice(0, 25)}...` : value;
    return `Received type string (${text.includes("'") ? JSON.stringify(text) : `'${text}'`})`;
  }
  const text = inspect(value, { colors: false });
  return `Received type ${typeof value} (${text.length > 28 ? `${text.slice(0, 25)}...` : text})`;
}

/**
 * The string a value stands for; a symbol stands for none.
 * @param {unknown} value
 * @returns {string}
 */
function toText(value) {
  if (typeof value === 'symbol') throw new TypeError('Cannot convert a symbol to a string');
  return String(value);
}

/** What a request's signal and pending body get when the client is gone. */
function connectionClosed() {
  return new DOMException('The connection was closed.', 'AbortError');
}

module.exports = {
  coded,
  connectionClosed,
  invalidArgument,
  invalidThis,
  missingArguments,
  received,
  toText,
};
