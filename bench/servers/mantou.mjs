// @ts-check
// Run by Node and by Bun.

import { createRequire } from 'node:module';
import { start } from './app.mjs';
import { announce } from './common.mjs';

const require = createRequire(import.meta.url);
/** @type {any} */
const mantou = require('../../index.js');
const { version } = require('../../package.json');

announce(start(mantou.serve, mantou.Response), `mantou ${version}`);
