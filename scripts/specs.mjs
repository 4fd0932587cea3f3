// @ts-check
// Which specs run on which targets. A spec that is not in the table runs on all of them, beside others, within `LIMIT`.

import { bunBinary } from '../__test__/support/bun.mjs';

/**
 * How to run a spec on a target: what the environment adds, and the program with its arguments. Bun is undefined where it is not installed.
 * @typedef {{ name: string, program: string | undefined, args: string[], env: Record<string, string> }} Target
 */

const inNode = { program: process.execPath, args: ['--test-reporter=tap'] };
/** Bun's own limit for a test is 5 s, `node:test` has none; the limits that are meant are those of the specs and of their files. */
const inBun = { program: bunBinary(), args: ['test', '--timeout', '30000'] };

/** Where mantou runs: the targets of what Bun does not have. */
const own = ['node', 'watched', 'bun'];

/** What a spec of a framework takes: it starts the framework on every host itself, and may have to download a Node. */
const framework = { on: ['node'], limit: 300, needs: ['__test__/frameworks'] };

/** Watched is what Node does where it cannot do better; there it also sends to one socket at a time, as a kernel without io_uring makes it. */
/** @type {Target[]} */
export const targets = [
  { name: 'node', ...inNode, env: {} },
  { name: 'watched', ...inNode, env: { MANTOU_DRIVER: 'watched', MANTOU_IO_URING: '0' } },
  { name: 'bun', ...inBun, env: {} },
  { name: 'oracle', ...inBun, env: { MANTOU_TEST_TARGET: 'oracle' } },
];

/** Seconds that a file may take on a target: many times what it does take, so that only a hang reaches it. */
const LIMIT = 120;

/**
 * `on`: only these targets. `alone`: nothing runs beside it, because it measures time or memory, or loads the machine. `limit`: seconds.
 * `needs`: folders whose npm packages it takes beside those of the root.
 * @type {Record<string, { on?: string[], alone?: boolean, limit?: number, needs?: string[] }>}
 */
const table = {
  accept: { on: own }, // asks the kernel how it was asked
  autobahn: { on: ['node'], alone: true, limit: 900 }, // waits for what must happen within a second; may have to install the suite
  bench: { on: ['node'] }, // what the benchmark makes of its numbers
  'bun-file': { on: ['node', 'oracle'] }, // what `mantou/register` has for Node
  chat: { on: ['node'], alone: true, limit: 600 }, // starts Chromium, and the chat on every host; may have to install the browser
  clients: { on: ['node', 'bun', 'oracle'], limit: 900 }, // starts a browser and four runtimes; may have to install or build them
  classes: { on: ['node'], limit: 600 }, // starts every supported Node; downloads Nodes
  'close-cause': { on: own },
  dropped: { on: own },
  elysia: framework,
  farewell: { on: own },
  'graphql-ws': framework,
  hono: framework,
  // Starts a browser; may have to install it.
  'http-clients': { limit: 900, needs: framework.needs },
  'http-idle': { alone: true }, // real time, to 100 ms
  'http-memory': { on: own, alone: true, limit: 600 }, // gigabytes, and looks at memory
  'idle-timeout': { alone: true }, // real time, to 100 ms
  loader: { on: ['node'] },
  memory: { on: ['node'], alone: true, limit: 600 },
  overload: { on: own, alone: true, limit: 300 }, // floods a server and looks at its memory
  package: { on: ['node'], limit: 300 }, // installs a package, starts Node and Bun
  readme: { on: ['node'], needs: framework.needs }, // starts Node and Bun itself
  register: { on: own },
  runtimes: { on: ['node'], limit: 600 }, // starts every supported Node and Bun; downloads Nodes
  semver: { on: ['node', 'oracle'] }, // as bun-file
  serial: { on: own },
  subprotocol: { on: own },
  'upgrade-handlers': { on: own },
  'socket-io': framework,
  stress: { on: ['node', 'watched', 'bun'], alone: true, limit: 600 },
  workers: { on: ['node'], alone: true, limit: 600 },
};

/**
 * The rules for a spec, by its name without `.spec.mjs`.
 * @param {string} spec
 */
export function rulesOf(spec) {
  const { on = targets.map((target) => target.name), alone = false, limit = LIMIT, needs = [] } = table[spec] ?? {};
  return { on, alone, limit, needs };
}
