// @ts-check
// Run by Node and by Bun.

import { createRequire } from 'node:module';
import { application } from './app.mjs';
import { announce } from './common.mjs';

const require = createRequire(import.meta.url);
/** @type {any} */
const mantou = require('../../index.js');
const { version } = require('../../package.json');

const server = mantou.serve(application(mantou.Response ?? Response));
announce(server.port, `mantou ${version}`);
