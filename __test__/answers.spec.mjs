// Answers that are ready in the same turn of the event loop go out together: in their order, before whatever else the connection has to say, and not
// later than they must.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { cleanUp } from './support/connect.mjs';
import { killPrograms, run } from './support/program.mjs';
import { handshake, RawClient } from './support/raw-client.mjs';
import { connectTo, readResponse, request } from './support/raw-http.mjs';
import { isBunRuntime, isOracle, serve } from './support/target.mjs';

afterEach(cleanUp);
afterEach(killPrograms);

const folder = mkdtempSync(join(tmpdir(), 'mantou-answers-'));
after(() => rmSync(folder, { recursive: true }));

/** So much that it is sent at once. */
const GREETING = 'hello'.padEnd(20_000);

/** A server that answers with the path, in every way there is. */
const start = () =>
  serve({
    development: false,
    routes: { '/static': new Response('/static') },
    fetch(req, own) {
      const { pathname } = new URL(req.url);
      if (own.upgrade(req)) return;
      if (pathname === '/stream') return new Response(new Blob([pathname]).stream());
      if (pathname === '/later') return Promise.resolve().then(() => new Response(pathname));
      return new Response(pathname.padEnd(pathname === '/big' ? 1_000_000 : 0));
    },
    websocket: { open: (ws) => void ws.send(GREETING), message() {} },
  });

const CANNOT_PIPELINE = !differs('pipelined-requests') && 'there requests are not pipelined';

describe('answers of one connection', { skip: CANNOT_PIPELINE }, () => {
  test('go out in the order of the requests, however each is made', async () => {
    const client = await connectTo(start());
    const kinds = ['/static', '/plain', '/stream', '/big', '/later', '/head', '/post'];
    const paths = Array.from({ length: 500 }, (_, index) => kinds[(index * 31 + (index >> 3)) % kinds.length]);
    const method = (path) => ({ '/head': 'HEAD', '/post': 'POST' })[path] ?? 'GET';

    client.write(...paths.map((path) => request(method(path), path, {}, path === '/post' ? 'content' : '')));

    for (const path of paths) {
      const { status, text } = await readResponse(client, method(path));
      assert.deepEqual([status, text.trimEnd()], [200, path === '/head' ? '' : path]);
    }
  });

  test('go out before an upgrade behind them', async () => {
    const client = await connectTo(start());

    client.write(request('GET', '/plain'), request('GET', '/static'), handshake());

    assert.equal((await readResponse(client)).text, '/plain');
    assert.equal((await readResponse(client)).text, '/static');
    assert.equal((await client.response()).status, 101);
    assert.equal((await client.frame()).payload.toString(), GREETING);
  });

  test('go out before the refusal of what is behind them', async () => {
    const client = await connectTo(start());

    client.write(request('GET', '/static'), request('GET', '/plain'), 'GET\r\n\r\n');

    assert.equal((await readResponse(client)).text, '/static');
    assert.equal((await readResponse(client)).text, '/plain');
    assert.equal((await readResponse(client)).status, 400);
    assert.equal(await client.ended(), 'FIN');
  });
});

test('an answer goes out before FIN to a client that has ended its side', async () => {
  const client = await connectTo(start());

  client.write(request('GET', '/plain'));
  client.halfClose();

  assert.equal((await readResponse(client)).text, '/plain');
  assert.equal(await client.ended(), 'FIN');
});

describe('answers that the kernel refuses at the end of their turn are waited for', {
  skip: CANNOT_PIPELINE || process.platform === 'win32',
}, () => {
  /** Longer than a finished connection waits for its peer, in milliseconds. */
  const LONG = 2500;
  /** As many bytes as one read takes: then the next one follows before the end of the turn. */
  const READ = 8192;
  const ANSWER = 2000;
  /** More than a client of Node takes although it is paused. */
  const BIG = 80 * 1024;
  /** What is sent behind the requests, and what is done then. */
  const endings = {
    'before a refusal': ['GET\r\n\r\n', () => {}],
    'before FIN to a client that has ended its side': ['', (client) => client.halfClose()],
    'when the server stops': ['', (_, other) => other.write(request('GET', '/stop'))],
  };

  for (const [when, [last, end]] of Object.entries(endings)) {
    test(when, async () => {
      // Eight of them leave at once. Whatever the kernel takes, it is the last four of some client that it refuses first.
      const clients = Array.from({ length: 25 }, async (_, index) => {
        const count = 8 * index + 12;
        const unix = join(folder, `${when.split(' ')[1]}-${count}.sock`);
        const stop = (_, own) => new Response(`${own.stop()}`);
        const [answer, big] = [ANSWER, BIG].map((length) => new Response('x'.repeat(length)));
        const server = serve({ unix, routes: { '/': answer, '/big': big, '/stop': stop } });
        const [client, other] = [await connectTo(server), await connectTo(server)];
        client.pause();
        client.write(request('GET', '/big'));
        other.write(request('GET', '/'));
        await readResponse(other);
        const rest = Buffer.concat([...Array(count - 1).fill(request('GET', '/')), Buffer.from(last)]);
        const padding = 'x'.repeat(READ - rest.length - request('GET', '/', { Padding: '' }).length);
        client.write(Buffer.concat([request('GET', '/', { Padding: padding }), rest]));
        end(client, other);
        await new Promise((resolve) => setTimeout(resolve, LONG));

        client.resume();
        assert.equal((await readResponse(client)).text.length, BIG);
        for (let left = count; left > 0; left--) assert.equal((await readResponse(client)).text.length, ANSWER, `${left} of ${count}`);
      });
      await Promise.all(clients);
    });
  }
});

const takeTime = (/** @type {number} */ milliseconds) => {
  for (const end = performance.now() + milliseconds; performance.now() < end; );
};
/** Lets nothing else happen here. Whether it comes to be. */
const waitFor = (/** @type {string} */ file) => {
  for (const end = performance.now() + 10_000; performance.now() < end; ) if (existsSync(file)) return true;
  return false;
};

test('an answer does not wait for more than one of the handlers that take their time', { timeout: 30_000 }, async () => {
  const [asked, answered] = ['asked', 'answered'].map((name) => join(folder, name));
  const server = serve({
    development: false,
    fetch(req) {
      const { pathname } = new URL(req.url);
      if (pathname === '/first') waitFor(asked);
      if (pathname === '/last') return new Response(`the others have theirs: ${waitFor(answered)}`);
      takeTime(40);
      return new Response(pathname);
    },
  });

  const program = run(`
    import { once } from 'node:events';
    import { writeFileSync } from 'node:fs';
    import { connect } from 'node:net';
    const clients = ['/first', '/slow', '/slower', '/last'].map((path) => ({ path, socket: connect(${server.port}, '127.0.0.1') }));
    await Promise.all(clients.map(({ socket }) => once(socket, 'connect')));
    // The first keeps the server busy until all have asked.
    for (const { path, socket } of clients) {
      await new Promise((resolve) => socket.write(request('GET', path), resolve));
    }
    writeFileSync(${JSON.stringify(asked)}, '');
    await once(clients[1].socket, 'data');
    writeFileSync(${JSON.stringify(answered)}, '');
    const [answer] = await once(clients[3].socket, 'data');
    print(String(answer).split('\\r\\n\\r\\n')[1]);
    process.exit();
  `);

  assert.equal(await program.line(), 'the others have theirs: true');
});

test('nor does a message', { timeout: 30_000 }, async () => {
  const [asked, heard] = ['messages-asked', 'heard'].map((name) => join(folder, name));
  const server = serve({
    fetch: (req, own) => void own.upgrade(req),
    websocket: {
      message(ws, message) {
        if (message === 'first') waitFor(asked);
        if (message === 'last') ws.send(`the others have theirs: ${waitFor(heard)}`);
        else {
          takeTime(40);
          ws.send(message);
        }
      },
    },
  });

  const program = run(`
    import { writeFileSync } from 'node:fs';
    const words = ['first', 'slow', 'slower', 'last'];
    const clients = await Promise.all(words.map(() => RawClient.open({ port: ${server.port} })));
    // The first keeps the server busy until all have asked.
    words.forEach((word, index) => clients[index].text(word));
    writeFileSync(${JSON.stringify(asked)}, '');
    await clients[1].frame();
    writeFileSync(${JSON.stringify(heard)}, '');
    print((await clients[3].frame()).text);
    process.exit();
  `);

  assert.equal(await program.line(), 'the others have theirs: true');
});

// There it is gone.
describe('what was said right before process.exit() goes out', { skip: isOracle }, () => {
  test('an answer', { skip: isBunRuntime && 'there the microtask comes first' }, async () => {
    const program = run(`
      const server = serve({
        fetch() {
          queueMicrotask(() => process.exit(7));
          return new mantou.Response('so long');
        },
      });
      print(server.port);
    `);
    const client = await RawClient.connect({ port: Number(await program.line()) });

    client.write(request('GET', '/'));

    assert.equal((await readResponse(client)).text, 'so long');
    assert.equal((await program.exited()).code, 7);
  });

  test('a message', async () => {
    const program = run(`
      const server = serve({
        fetch: (req, own) => void own.upgrade(req),
        websocket: {
          message(ws) {
            ws.send('so long');
            process.exit(7);
          },
        },
      });
      print(server.port);
    `);
    const client = await RawClient.open({ port: Number(await program.line()) });

    client.text('exit');

    assert.equal((await client.frame()).payload.toString(), 'so long');
    assert.equal((await program.exited()).code, 7);
  });
});
