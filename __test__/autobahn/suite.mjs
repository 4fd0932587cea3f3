// @ts-check
// One run of the Autobahn suite: starts an echo server on one of the hosts, and run.sh against it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { bunBinary } from '../support/bun.mjs';
import { pythonForTests } from '../support/python.mjs';

/** Who serves: the program is undefined where Bun is not installed. @typedef {{ program: string | undefined, env?: Record<string, string> }} Host */
/** What the server is told, and the outcomes that are good enough for it. @typedef {{ perMessageDeflate: unknown, known: string }} Deflate */

/** @type {Record<string, Host>} */
export const hosts = {
  node: { program: process.execPath },
  bun: { program: bunBinary() },
  // Real Bun.serve, which shows that the suite itself is right.
  oracle: { program: bunBinary(), env: { MANTOU_TEST_TARGET: 'oracle' } },
};

/** @type {Record<string, Deflate>} */
export const deflates = {
  dedicated: { perMessageDeflate: { compress: 'dedicated', decompress: 'dedicated' }, known: 'none' },
  true: { perMessageDeflate: true, known: 'bun-1.4.5' },
  /** Groups 12 and 13 are UNIMPLEMENTED then: a run without them. */
  off: { perMessageDeflate: false, known: 'none' },
};

/** What no run may leave behind. @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * Runs `cases` ("quick", "full", "6.*"), and returns what run.sh printed and its exit code: 0 when every case is as good as it must be.
 * @param {{ host: string, deflate: string, cases?: string[], known?: string }} what `known`: a file in known/, instead of the one for `deflate`
 * @returns {Promise<{ code: number, output: string }>}
 */
export async function autobahn({ host, deflate, cases = ['full'], known = deflates[deflate].known }) {
  const { path, reason } = pythonForTests();
  if (path === undefined) throw new Error(reason);
  const server = await startEcho(host, deflate);
  try {
    const suite = start(
      'bash',
      [file('run.sh'), '--agent', `${host}-${deflate}`, '--known', file(`known/${known}.txt`), server.url, ...cases],
      {
        PYTHON: path,
      },
    );
    const [code, signal] = await suite.closed;
    return { code: code ?? 2, output: `${suite.output()}${signal === null ? '' : `run.sh was ended by ${signal}\n`}${server.output()}` };
  } finally {
    server.end();
  }
}

/**
 * @param {string} host
 * @param {string} deflate
 */
async function startEcho(host, deflate) {
  const { program, env } = hosts[host];
  if (program === undefined) throw new Error('Bun is not installed: npm install');
  const MANTOU_ECHO_DEFLATE = JSON.stringify(deflates[deflate].perMessageDeflate);
  const { child, output, closed } = start(program, [file('echo.mjs')], { ...env, MANTOU_ECHO_DEFLATE });
  for await (const url of createInterface(child.stdout)) {
    const before = output();
    return { url, output: () => output().slice(before.length), end: () => child.kill() };
  }
  await closed;
  throw new Error(`the echo server on ${host} did not start with perMessageDeflate "${deflate}":\n${output()}`);
}

/**
 * A program whose output is kept, stdout and stderr together.
 * @param {string} program
 * @param {string[]} args
 * @param {Record<string, string>} env
 */
function start(program, args, env) {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  running.add(child);
  const closed = once(child, 'close').finally(() => running.delete(child));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  return { child, output: () => output, closed };
}

/** @param {string} name */
function file(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}
