// What every program here imports first: in Node `mantou/register` and nothing else. In Bun its own `serve` gives way to mantou's, unless it is
// the oracle, which shows that the tests are right.

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
if (process.versions.bun === undefined) require('../../register.js');
else if (process.env.MANTOU_TEST_TARGET !== 'oracle') Bun.serve = require('../../index.js').serve;
