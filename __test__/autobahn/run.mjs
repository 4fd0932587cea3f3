// @ts-check
// `npm run test:autobahn`: the whole Autobahn suite, on mantou in Node and in Bun, with compressors per socket and with shared ones.
//
//   npm run test:autobahn                                   517 cases, four times
//   npm run test:autobahn -- --host node --deflate dedicated
//   npm run test:autobahn -- --deflate off quick '9.*'      a choice of cases
//   npm run test:autobahn -- --host oracle --known bun-1.4.5
//
// The last line says `N passed, N failed, N skipped` of all runs together.

import { parseArgs } from 'node:util';
import { autobahn, deflates, hosts } from './suite.mjs';

const { values: options, positionals: cases } = parseArgs({
  allowPositionals: true,
  options: {
    host: { type: 'string', default: 'node,bun' },
    deflate: { type: 'string', default: 'dedicated,true' },
    known: { type: 'string' },
  },
});

const total = { passed: 0, failed: 0, skipped: 0 };
for (const host of chosen(options.host, 'host', hosts)) {
  for (const deflate of chosen(options.deflate, 'deflate', deflates)) {
    console.log(`> ${host}, perMessageDeflate ${JSON.stringify(deflates[deflate].perMessageDeflate)}`);
    const { code, output } = await autobahn({ host, deflate, cases: cases.length === 0 ? ['full'] : cases, known: options.known }).catch(
      (error) => ({
        code: 2,
        output: `${error.message}\n`,
      }),
    );
    console.log(output);
    const counted = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/m.exec(output);
    total.passed += Number(counted?.[1] ?? 0);
    total.failed += Number(counted?.[2] ?? 0);
    total.skipped += Number(counted?.[3] ?? 0);
    // A run that cannot be trusted is a failure, whatever it counted.
    if (code !== 0 && !(Number(counted?.[2]) > 0)) total.failed += 1;
  }
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;

/**
 * @param {string} names
 * @param {string} what
 * @param {object} known
 */
function chosen(names, what, known) {
  const list = names.split(',');
  const unknown = list.filter((name) => !Object.hasOwn(known, name));
  if (unknown.length === 0) return list;
  console.error(`no ${what} ${unknown.join(', ')}; there are ${Object.keys(known).join(', ')}`);
  process.exit(2);
}
