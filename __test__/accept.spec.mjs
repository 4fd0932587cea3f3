// How connections are accepted: what the kernel is told of sockets, connections that come while nobody looks, and no descriptor left for them.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { cleanUp } from './support/connect.mjs';
import { killPrograms, run } from './support/program.mjs';
import { pythonForTests } from './support/python.mjs';
import { RawClient } from './support/raw-client.mjs';
import { connectTo, exchange, readResponse, request } from './support/raw-http.mjs';
import { LISTEN, socketsAt, TIME_WAIT } from './support/sockets.mjs';
import { serve } from './support/target.mjs';

afterEach(cleanUp);
afterEach(killPrograms);

const isLinux = process.platform === 'linux';
const skip = !isLinux && 'Linux only';
const HOST = '127.0.0.1';
const hello = () => new Response('hello');
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

describe('a port', { skip }, () => {
  test('can be listened on again at once, although the system remembers connections of it (SO_REUSEADDR)', async () => {
    const first = serve({ hostname: HOST, fetch: hello });
    const { port } = first;
    const { client } = await exchange(first, request('GET', '/', { Connection: 'close' }));
    assert.equal(await client.ended(), 'FIN');
    client.halfClose();
    await first.stop();
    // The side that ends first waits: it is the server's.
    assert.equal(socketsAt(port, TIME_WAIT).length, 1);

    const second = serve({ hostname: HOST, port, fetch: () => new Response('the next one') });

    assert.equal((await exchange(second, request('GET', '/'))).response.text, 'the next one');
  });
});

describe('a connection', { skip }, () => {
  const { path: python, reason } = isLinux ? pythonForTests() : {};
  /** Prints an option of the socket that it gets as descriptor 3. */
  const OPTION = `
import socket
print(socket.socket(fileno=3).getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
`;

  test('sends small pieces at once (TCP_NODELAY)', { skip: python === undefined && reason }, async () => {
    // The server asks a program about the descriptor that it has for the connection it serves.
    const program = run(
      `
      import { spawnSync } from 'node:child_process';
      import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
      const server = serve({
        hostname: '${HOST}',
        fetch(req, own) {
          const local = own.port.toString(16).toUpperCase().padStart(4, '0');
          const columns = readFileSync('/proc/net/tcp', 'latin1').split('\\n').map((line) => line.trim().split(/\\s+/));
          const [established] = columns.filter(([, address, , state]) => address?.endsWith(':' + local) && state === '01');
          const fd = readdirSync('/proc/self/fd').find((name) => {
            try {
              return readlinkSync('/proc/self/fd/' + name) === 'socket:[' + established[9] + ']';
            } catch {
              return false; // the one that listed them
            }
          });
          const { stdout, stderr } = spawnSync(process.env.PYTHON_PATH, ['-c', process.env.OPTION], {
            stdio: ['ignore', 'pipe', 'pipe', Number(fd)],
            encoding: 'utf8',
          });
          return new Response(stdout + stderr);
        },
      });
      print(server.port);
      `,
      { PYTHON_PATH: python, OPTION },
    );

    const { response } = await exchange({ port: Number(await program.line()) }, request('GET', '/'));

    assert.equal(response.text, '1\n');
  });
});

describe('connections that come while the event loop is blocked', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'mantou-accept-'));
  after(() => rmSync(folder, { recursive: true }));
  /** More than Node's own servers let wait (511). */
  const MANY = 600;

  test('wait, and are all served', { timeout: 20_000 }, async () => {
    const gate = join(folder, 'gate');
    execFileSync('mkfifo', [gate]);
    const program = run(
      `
      import { readFileSync } from 'node:fs';
      const server = serve({
        hostname: '${HOST}',
        fetch(req) {
          if (!req.url.endsWith('/block')) return new Response('served');
          print('blocked');
          return new Response(readFileSync(process.env.GATE));
        },
      });
      print(server.port);
      `,
      { GATE: gate },
    );
    const port = Number(await program.line());
    const blocker = await connectTo({ port });
    blocker.write(request('GET', '/block'));
    assert.equal(await program.line(), 'blocked');

    const clients = await Promise.all(Array.from({ length: MANY }, () => RawClient.connect({ port })));
    for (const client of clients) client.write(request('GET', '/'));
    writeFileSync(gate, 'on');

    assert.equal((await readResponse(blocker)).text, 'on');
    for (const client of clients) assert.equal((await readResponse(client)).text, 'served');
  });

  test('are as many as the system allows, up to 4096', { skip: spawnSync('ss', ['-V']).status !== 0 && 'needs ss' }, () => {
    const { port } = serve({ hostname: HOST, fetch: hello });
    assert.equal(socketsAt(port, LISTEN).length, 1);

    const [, line] = execFileSync('ss', ['-ltn', `sport = :${port}`], { encoding: 'utf8' })
      .trim()
      .split('\n');

    const most = Number(readFileSync('/proc/sys/net/core/somaxconn', 'latin1'));
    assert.equal(Number(line.split(/\s+/)[2]), Math.min(4096, most));
  });
});

describe('without a free descriptor', { skip }, () => {
  const DESCRIPTORS = 128;
  const FREE = 5;
  const WAITING = 3;

  test('a server does not spin, goes on with its connections, and accepts again when there is one', async () => {
    const program = run(
      `
      import { closeSync, openSync } from 'node:fs';
      const taken = [];
      const answers = {
        // What is to be loaded is loaded by now: takes all but a few descriptors.
        take() {
          for (;;) {
            try {
              taken.push(openSync('/dev/null'));
            } catch (error) {
              if (error.code !== 'EMFILE') throw error;
              break;
            }
          }
          taken.splice(0, ${FREE}).forEach((each) => closeSync(each));
        },
        give: () => closeSync(taken.pop()),
        cpu: () => process.cpuUsage().user + process.cpuUsage().system,
        hello: () => 'hello',
      };
      const server = serve({ hostname: '${HOST}', fetch: (req) => new Response(String(answers[new URL(req.url).pathname.slice(1)]())) });
      print(server.port);
      `,
      {},
      { descriptors: DESCRIPTORS },
    );
    const port = Number(await program.line());
    const first = await connectTo({ port });
    const ask = async (client, what) => {
      client.write(request('GET', `/${what}`));
      return (await readResponse(client)).text;
    };
    await ask(first, 'cpu');
    await ask(first, 'take');

    const served = [];
    for (let count = 0; count < FREE; count++) {
      const client = await connectTo({ port });
      assert.equal(await ask(client, 'hello'), 'hello');
      served.push(client);
    }
    const waiting = [];
    for (let count = 0; count < WAITING; count++) {
      const client = await connectTo({ port });
      client.write(request('GET', '/hello'));
      waiting.push(client);
    }
    // Long enough to tell rest from work: a process that spins would use all of it.
    const before = Number(await ask(first, 'cpu'));
    await sleep(1000);
    const used = Number(await ask(first, 'cpu')) - before;

    assert.ok(used < 250_000, `${used} µs of processor time in a second`);
    assert.equal(Buffer.concat(waiting.map((client) => client.bytes)).length, 0);
    assert.equal(await ask(served[0], 'hello'), 'hello');

    // One by one they are served, whoever gives the descriptor back: a client, or the program itself.
    served[0].destroy();
    assert.equal((await readResponse(waiting[0])).text, 'hello');
    served[1].destroy();
    assert.equal((await readResponse(waiting[1])).text, 'hello');
    await ask(first, 'give');
    assert.equal((await readResponse(waiting[2])).text, 'hello');
    for (const client of [first, ...served.slice(2), ...waiting]) assert.equal(await ask(client, 'hello'), 'hello');
  });
});
