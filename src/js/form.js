// @ts-check
// A form as the bytes of multipart/form-data (RFC 7578), none of which are read before they are sent: so their number is known.

'use strict';

const { randomBytes } = require('node:crypto');

/**
 * The form as a Blob, whose type names the boundary.
 * @param {FormData} form
 */
function blobOfForm(form) {
  // In lower case, as the type of a Blob is.
  const boundary = `----form-${randomBytes(16).toString('hex')}`;
  const parts = [...form].flatMap(([name, value]) => {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${escaped(withLineBreaks(name))}"`;
    if (typeof value === 'string') return [`${head}\r\n\r\n${withLineBreaks(value)}\r\n`];
    const type = value.type || 'application/octet-stream';
    return [`${head}; filename="${escaped(value.name)}"\r\nContent-Type: ${type}\r\n\r\n`, value, '\r\n'];
  });
  return new Blob([...parts, `--${boundary}--\r\n`], { type: `multipart/form-data; boundary=${boundary}` });
}

/** Every line break becomes CRLF (HTML, "multipart/form-data encoding algorithm"). @param {string} text */
function withLineBreaks(text) {
  return text.replace(/\r\n?|\n/g, '\r\n');
}

/** What would end the name. @param {string} name */
function escaped(name) {
  return name.replace(/\n/g, '%0A').replace(/\r/g, '%0D').replace(/"/g, '%22');
}

module.exports = { blobOfForm };
