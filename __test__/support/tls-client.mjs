// A RawClient whose bytes go through TLS, and the programs that speak TLS by themselves.
//
//   const { client, socket } = await connectTls(server, { ca: ca.cert, servername: 'a.test' });
//   client.write(request('GET', '/'));

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { calls } from './calls.mjs';
import { handshake, RawClient } from './raw-client.mjs';

/** Shakes hands; rejects with the client's error if that fails. `socket` is the TLSSocket behind `client`. */
export async function connectTls(server, options) {
  const place = typeof server.address === 'string' ? { path: server.address } : { port: server.port, host: '127.0.0.1' };
  const socket = connect({ ...place, servername: 'localhost', allowHalfOpen: true, ...options });
  const client = new RawClient(socket);
  await once(socket, 'secureConnect');
  return { client, socket };
}

/** The name in the certificate that the server shows. */
export async function nameShown(server, options) {
  const { client, socket } = await connectTls(server, { rejectUnauthorized: false, ...options });
  const { subject } = socket.getPeerCertificate();
  client.destroy();
  return subject.CN;
}

/** A WebSocket over TLS, its opening handshake done. */
export async function openTls(server, options) {
  const { client, socket } = await connectTls(server, options);
  client.write(handshake());
  const response = await client.response();
  if (response.status !== 101) throw new Error(`the handshake was answered with: ${response.raw}`);
  return { client, socket };
}

/** For `skip`: why a test that needs this program cannot run, or false. Where everything must run (CI), nothing is skipped. */
export function without(program, versionFlag) {
  const isMissing = spawnSync(program, [versionFlag]).error !== undefined;
  return isMissing && !process.env.CI && `${program} is not installed`;
}

const running = new Set();

/** `afterEach(killTools)`: no program outlives its test. */
export function killTools() {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
}

/** Starts a program to talk with: `write(text)`, `until(name, pattern, times)` for what it has printed on "stdout" or "stderr", `ended()`. */
export function startTool(program, args) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  running.add(child);
  const printed = calls(`something from ${program}`);
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('latin1').on('data', (text) => {
      output[name] += text;
      printed();
    });
  }
  // A program that ends early does not read the rest.
  child.stdin.on('error', () => {});
  const closed = once(child, 'close');
  return {
    write: (text) => child.stdin.write(text),
    end: (text) => child.stdin.end(text),
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

/** Runs a program with `input` until it ends: `{ code, stdout, stderr }`. */
export function runTool(program, args, input = '') {
  const tool = startTool(program, args);
  tool.end(input);
  return tool.ended();
}
