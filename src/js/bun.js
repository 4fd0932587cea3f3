// @ts-check
// What `import 'bun'` and `require('bun')` find under `mantou/register`: the `Bun` of the program.

'use strict';

const { Bun } = /** @type {any} */ (globalThis);
const { serve, Cookie, CookieMap, fetch, file, write, semver, version, env, argv, gc } = Bun;

// Spelled out so that Node sees the names of an `import { serve } from 'bun'`; their values it takes from what is there in the end.
module.exports = { serve, Cookie, CookieMap, fetch, file, write, semver, version, env, argv, gc };
module.exports = Bun;
