// @ts-check
// `npm run build`: installs what is missing and builds the native binary in release mode. `--if-needed`: only when a source is newer.

import { build, install } from './steps.mjs';

install();
build({ ifNeeded: process.argv.includes('--if-needed') });
