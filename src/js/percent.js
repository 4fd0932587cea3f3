// @ts-check
// Percent-encoding undone (RFC 3986 §2.1) for what a peer may have encoded badly: nothing throws.

'use strict';

const REPLACEMENT = '\ufffd';

/**
 * The text that `text` encodes. What is no escape, or no UTF-8, becomes U+FFFD, the way Bun cuts it: an escape without hexadecimal
 * digits is one, as is a sequence that is cut short or means no character.
 * @param {string} text
 */
function decodePercent(text) {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return decodeBroken(text);
  }
}

/** @param {string} text */
function decodeBroken(text) {
  let decoded = '';
  let at = 0;
  while (at < text.length) {
    const next = text.indexOf('%', at);
    if (next < 0) return decoded + text.slice(at);
    decoded += text.slice(at, next);
    const length = sequenceLength(byteAt(text, next));
    at = next + (next + 3 > text.length ? 1 : 3);
    if (length === 0) {
      decoded += REPLACEMENT;
      continue;
    }
    while (at < next + 3 * length && isContinuation(byteAt(text, at))) at += 3;
    decoded += decodeSequence(text.slice(next, at));
  }
  return decoded;
}

/**
 * The byte that an escape stands for; -1 where there is none.
 * @param {string} text
 * @param {number} at
 */
function byteAt(text, at) {
  const match = /^%([0-9a-f]{2})$/i.exec(text.slice(at, at + 3));
  return match === null ? -1 : Number.parseInt(match[1], 16);
}

/**
 * How many bytes a UTF-8 sequence has that begins with `byte`; 0 where none does.
 * @param {number} byte
 */
function sequenceLength(byte) {
  if (byte < 0) return 0;
  if (byte < 0x80) return 1;
  if (byte < 0xc0 || byte > 0xf7) return 0;
  return byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

/** @param {number} byte */
function isContinuation(byte) {
  return byte >= 0x80 && byte < 0xc0;
}

/** @param {string} escapes of one sequence, perhaps cut short */
function decodeSequence(escapes) {
  try {
    return decodeURIComponent(escapes);
  } catch {
    return REPLACEMENT;
  }
}

module.exports = { decodePercent };
