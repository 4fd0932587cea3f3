// @ts-check
// A RawClient whose bytes go through TLS, and the programs that speak TLS by themselves.
//
//   const { client, socket } = await connectTls(server, { ca: ca.cert, servername: 'a.test' });
//   client.write(request('GET', '/'));

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { calls } from './calls.mjs';
import { handshake, RawClient } from './raw-client.mjs';

/** @typedef {import('./raw-http.mjs').Address} Address */
/** @typedef {import('node:tls').ConnectionOptions} TlsOptions */

/**
 * Shakes hands; rejects with the client's error if that fails. `socket` is the TLSSocket behind `client`.
 * @param {Address} server
 * @param {TlsOptions} [options]
 */
export async function connectTls(server, options) {
  const place = typeof server.address === 'string' ? { path: server.address } : { port: server.port, host: '127.0.0.1' };
  /** @type {TlsOptions & { allowHalfOpen: boolean }} */
  const settings = { ...place, servername: 'localhost', allowHalfOpen: true, ...options };
  const socket = connect(settings);
  const client = new RawClient(socket);
  await once(socket, 'secureConnect');
  return { client, socket };
}

/**
 * The name in the certificate that the server shows.
 * @param {Address} server
 * @param {TlsOptions} [options]
 */
export async function nameShown(server, options) {
  const { client, socket } = await connectTls(server, { rejectUnauthorized: false, ...options });
  const { subject } = socket.getPeerCertificate();
  client.destroy();
  return subject.CN;
}

/**
 * A WebSocket over TLS, its opening handshake done.
 * @param {Address} server
 * @param {TlsOptions} [options]
 */
export async function openTls(server, options) {
  const { client, socket } = await connectTls(server, options);
  client.write(handshake());
  const response = await client.response();
  if (response.status !== 101) throw new Error(`the handshake was answered with: ${response.raw}`);
  return { client, socket };
}

/** Of programs to talk with. What is loaded into Node under AddressSanitizer is not for them: curl would wait for a lock of its own for ever. */
const env = { ...process.env, LD_PRELOAD: undefined };

/**
 * For `skip`: why a test that needs this program cannot run, or false. Where everything must run (CI), nothing is skipped.
 * @param {string} program
 * @param {string} versionFlag
 */
export function without(program, versionFlag) {
  const isMissing = spawnSync(program, [versionFlag], { env }).error !== undefined;
  return isMissing && !process.env.CI && `${program} is not installed`;
}

const running = /** @type {Set<import('node:child_process').ChildProcess>} */ (new Set());

/** `afterEach(killTools)`: no program outlives its test. */
export function killTools() {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
}

/**
 * Starts a program to talk with: `write(text)`, `until(name, pattern, times)` for what it has printed on "stdout" or "stderr", `ended()`.
 * @param {string} program
 * @param {string[]} args
 */
export function startTool(program, args) {
  const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  running.add(child);
  const printed = calls(`something from ${program}`);
  const output = { stdout: '', stderr: '' };
  for (const name of /** @type {const} */ (['stdout', 'stderr'])) {
    child[name].setEncoding('latin1').on('data', (text) => {
      output[name] += text;
      printed();
    });
  }
  // A program that ends early does not read the rest.
  child.stdin.on('error', () => {});
  const closed = once(child, 'close');
  return {
    write: (/** @type {string | Uint8Array} */ text) => child.stdin.write(text),
    end: (/** @type {string | Uint8Array} */ text) => child.stdin.end(text),
    /** @param {'stdout' | 'stderr'} name @param {RegExp} pattern */
    async until(name, pattern, times = 1) {
      while ((output[name].match(pattern)?.length ?? 0) < times) await printed.next();
    },
    async ended() {
      const [code] = await closed;
      running.delete(child);
      return { code, ...output };
    },
  };
}

/**
 * Runs a program with `input` until it ends: `{ code, stdout, stderr }`.
 * @param {string} program
 * @param {string[]} args
 * @param {string | Uint8Array} [input]
 */
export function runTool(program, args, input = '') {
  const tool = startTool(program, args);
  tool.end(input);
  return tool.ended();
}
