// @ts-check
// `import 'mantou/register'`, before anything else: programs written for Bun find what they expect. See register.d.ts.

'use strict';

const { installed } = require('./src/js/register.js');

// Spelled out for the same reason as in index.js.
module.exports = { installed };
module.exports.default = module.exports;
