// @ts-check
// Foreign WebSocket clients, each a program of clients/ in a process of its own: told what to do by a line of stdin, it answers with a line of stdout.
//
//   const client = startClient('node', [clientFile('ws.mjs')]);
//   await client.say('open', 'ws://127.0.0.1:1234/');       // 'open permessage-deflate; …', 'open -', 'closed 1006'
//   await client.say('echo', 'text', 16, 1);                 // 'same'
//   await client.say('close', 4000, 'bye');                  // 'closed 4000 bye'

import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { calls } from './calls.mjs';

/** Milliseconds for an answer: a message of 16 MiB both ways, on a loaded machine. */
const PATIENCE = 60_000;
/** Milliseconds for building the Rust client. */
const BUILD_TIMEOUT = 10 * 60_000;

/** The path of a file in clients/. */
export const clientFile = (/** @type {string} */ name) => fileURLToPath(new URL(`../clients/${name}`, import.meta.url));

/**
 * Starts a client.
 * @param {string} program
 * @param {string[]} args
 */
export function startClient(program, args) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  /** @type {import('./calls.mjs').Calls<[answer: string]>} */
  const answers = calls(`an answer of ${program} ${args.join(' ')}`, { patience: PATIENCE });
  let unfinished = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (data) => {
    const lines = (unfinished + data).split('\n');
    unfinished = /** @type {string} */ (lines.pop());
    for (const line of lines) answers(line.trimEnd());
  });
  child.stderr.setEncoding('utf8').on('data', (data) => {
    stderr += data;
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const failed = ended.then((code) => [`the program ended with ${code}: ${stderr}`]);
  child.stdin.on('error', () => {}); // `failed` says why it reads no more
  return {
    /**
     * Says a command and returns the answer.
     * @param {(string | number)[]} words
     */
    async say(...words) {
      child.stdin.write(`${words.join(' ')}\n`);
      const [answer] = await Promise.race([answers.next(), failed]);
      return answer;
    },
    /** Ends it at once, as a crash would. */
    kill() {
      child.kill('SIGKILL');
      return ended;
    },
    /** Lets it end by itself. */
    end() {
      child.stdin.end();
      return ended;
    },
  };
}

/**
 * Builds the Rust client: its path, or the reason why there is none.
 * @returns {import('./python.mjs').Found}
 */
export function rustClient() {
  const folder = fileURLToPath(new URL('../../target/clients', import.meta.url));
  const args = ['build', '--locked', '--release', '--manifest-path', clientFile('tungstenite/Cargo.toml'), '--target-dir', folder];
  const { status, error, stderr } = spawnSync('cargo', args, { encoding: 'utf8', timeout: BUILD_TIMEOUT });
  if (status !== 0) return { reason: `"cargo ${args.join(' ')}" failed: ${error?.message ?? stderr}` };
  return { path: `${folder}/release/mantou-tungstenite${process.platform === 'win32' ? '.exe' : ''}` };
}
