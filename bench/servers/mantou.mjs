// @ts-check
// Run by Node and by Bun.

import { createRequire } from 'node:module';
import { start } from './app.mjs';
import { announce } from './common.mjs';

const require = createRequire(import.meta.url);
/** @type {any} */
const mantou = require('../../index.js');
const { version } = require('../../package.json');

announce(start(serve, mantou.Response ?? Response), `mantou ${version}`);

/**
 * A server, or nothing where an option is still to come. TODO: `mantou.serve` itself, when there are `tls` and `routes`.
 * @param {any} options
 */
function serve(options) {
  try {
    return mantou.serve(options);
  } catch (error) {
    if (/does not support the option/.test(String(error))) return undefined;
    throw error;
  }
}
