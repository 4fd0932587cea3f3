// @ts-check
// `npm run bench`: measures, or renders what was measured, or compares the core's instruction counts. README.md explains it all.
//
//   npm run bench -- [--only echo,chat-256] [--peers bun,mantou] [--rounds 5] [--seconds 3] [--warm-up 1] [--runtime node,bun]
//                    [--node <path>] [--pin <server core>,<generator core> | none] [--publish]
//   npm run bench -- --from <result.json>,<result.json> [--publish]
//   npm run bench -- --curves [--publish]
//   npm run bench -- --gate [--update]

import { availableParallelism } from 'node:os';
import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { curves } from './curves.mjs';
import { gate } from './gate.mjs';
import { goalTable } from './goals.mjs';
import { measure } from './measure.mjs';
import { load, publish, save } from './results.mjs';
import { overview } from './tables.mjs';
import { chosen, WORKLOADS } from './workloads.mjs';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(WORKLOADS).join() },
    peers: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    'warm-up': { type: 'string', default: '1' },
    runtime: { type: 'string', default: 'node' },
    node: { type: 'string', default: process.execPath },
    // One core for the server, with all its helper threads, and another for the generator.
    pin: { type: 'string', default: availableParallelism() > 1 ? '1,0' : 'none' },
    from: { type: 'string' },
    publish: { type: 'boolean', default: false },
    curves: { type: 'boolean', default: false },
    gate: { type: 'boolean', default: false },
    update: { type: 'boolean', default: false },
  },
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));

try {
  if (options.curves) curves({ publishes: options.publish });
  else process.exitCode = options.gate ? await gate({ update: options.update }) : await bench();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

/** Returns the exit status. */
async function bench() {
  const result = options.from === undefined ? await measure(plan()) : load(options.from.split(','));
  console.log(`\n${overview(result)}\n\n${goalTable(result)}\n\nwritten: ${relative(process.cwd(), save(result))}/`);
  if (options.publish) publish(result);
  if (result.failures.length === 0) return 0;
  console.error(`\n${result.failures.length} runs failed:\n${result.failures.join('\n')}`);
  return 1;
}

/** @returns {import('./measure.mjs').Plan} */
function plan() {
  const [server, generator] = options.pin === 'none' ? [] : options.pin.split(',');
  const runtimes = options.runtime.split(',').map((name) => {
    if (name === 'node' || name === 'bun') return name;
    throw new Error(`--runtime takes node, bun or both, not ${name}`);
  });
  return {
    workloads: chosen(options.only),
    peers: options.peers?.split(','),
    runtimes,
    node: options.node,
    rounds: positive('rounds'),
    seconds: positive('seconds'),
    warmUp: positive('warm-up'),
    cores: [server, generator],
  };
}

/** @param {'rounds' | 'seconds' | 'warm-up'} name */
function positive(name) {
  const value = Number(options[name]);
  if (value > 0) return value;
  throw new Error(`--${name} takes a number above 0`);
}
