// @ts-check
// Whether the global Request, Response and fetch are ours: `mantou/register` says so before anything else is loaded.

'use strict';

module.exports = { areOurs: false };
