// How long HTTP waits: idleTimeout, the first head, timeout(req, seconds), in real time. All cases run at once, from the moment this file is loaded.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES } from './support/connect.mjs';
import { killPrograms, run } from './support/program.mjs';
import { handshake } from './support/raw-client.mjs';
import { connectTo, readChunk, readResponse, request } from './support/raw-http.mjs';
import { serve } from './support/target.mjs';

after(cleanUp);
after(killPrograms);

const exact = differs('exact-timers');
/** The timeout most cases have, in seconds: on Bun two ticks of its clock. */
const T = exact ? 2 : 8;
/** How long the first head of a connection may take, and the default of idleTimeout. */
const FIRST = exact ? 10 : 12;
/** Bun's clock ticks every 4 s, so a span that begins at any time may be that much shorter; and a busy client sees late that one has begun. */
const EARLY = exact ? 0.5 : 4;
/** Both may be late on a busy machine. */
const LATE = exact ? 1 : 2;
const PATIENCE_MS = 60_000;
const GET = request('GET', '/');
const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;

/** What has begun. */
const runs = [];

/** Begins now, is judged by its test. */
function meanwhile(name, run) {
  const result = run();
  // Its test reports a failure; until then it is not an unhandled one.
  result.catch(() => {});
  runs.push(result);
  test(name, { timeout: 90_000 }, () => result);
}

/** Begins when all that began before is over, because it would hold that up. */
function afterwards(name, run) {
  const before = [...runs];
  meanwhile(name, () => Promise.allSettled(before).then(run));
}

const seconds = () => performance.now() / 1000;
const sleep = (duration) => new Promise((resolve) => setTimeout(resolve, duration * 1000));
const never = () => new Promise(() => {});
const hello = () => new Response('x');
const bytes = (words) => new TextEncoder().encode(words);
const start = (fetch, options) => serve({ development: false, idleTimeout: T, fetch, ...options });

async function connected(server) {
  const client = await connectTo(server);
  client.patience = PATIENCE_MS;
  return client;
}

/** Resolves when the client sees FIN, which must be `expected` seconds after `since`. */
async function endsAfter(client, expected, since) {
  assert.equal(await client.ended(), 'FIN');
  const elapsed = seconds() - since;
  assert.ok(elapsed >= expected - EARLY && elapsed <= expected + LATE, `FIN after ${elapsed.toFixed(2)} s, expected about ${expected} s`);
}

/** Resolves when a handler that hangs has been given up, told by an event: more than T seconds later. */
async function timeoutPassed() {
  const client = await connected(start(never));
  client.write(GET);
  await client.ended();
  if (!exact) await sleep(1);
}

/** Sends a piece every so many seconds until the connection has ended or there are `count`. */
async function pace(client, interval, piece, count = Infinity) {
  let isOver = false;
  client.ended().then(
    () => {
      isOver = true;
    },
    () => {},
  );
  for (let sent = 0; sent < count && !isOver; sent++) {
    client.write(piece);
    await sleep(interval);
  }
}

for (const [what, options] of [
  ['', {}],
  [', whatever idleTimeout says', { idleTimeout: 1 }],
  [', also without idleTimeout', { idleTimeout: 0 }],
]) {
  meanwhile(`a connection that sends nothing ends${what}`, async () => {
    const since = seconds();
    const client = await connected(start(hello, options));

    await endsAfter(client, FIRST, since);

    assert.equal(client.bytes.length, 0);
  });
}

meanwhile('a first head that comes byte by byte does not come for ever', async () => {
  const server = start(() => assert.fail('fetch was called'));
  const since = seconds();
  const client = await connected(server);

  pace(client, 0.3, 'X');

  await endsAfter(client, FIRST, since);
  assert.equal(server.pendingRequests, 0);
});

meanwhile('a connection that waits for another request ends', async () => {
  const client = await connected(start(hello));
  client.write(GET);
  assert.equal((await readResponse(client)).text, 'x');

  await endsAfter(client, T, seconds());
});

meanwhile('another request starts the time anew', async () => {
  const client = await connected(start(hello));
  client.write(GET);
  await readResponse(client);

  await sleep(T * 0.6);
  client.write(GET);
  assert.equal((await readResponse(client)).text, 'x');

  await endsAfter(client, T, seconds());
});

meanwhile('half of another request does not', async () => {
  const client = await connected(start(hello));
  client.write(GET);
  await readResponse(client);
  const since = seconds();

  pace(client, T / 10, 'X');

  await endsAfter(client, T, since);
});

meanwhile('a request whose handler hangs is aborted and gets no answer', async () => {
  const aborts = calls('abort', { patience: PATIENCE_MS });
  const server = start((req) => {
    req.signal.addEventListener('abort', () => aborts(req.signal.reason.name, req.signal.reason.message));
    return never();
  });
  const client = await connected(server);
  client.write(GET);

  await endsAfter(client, T, seconds());

  assert.equal(client.bytes.length, 0);
  assert.deepEqual(await aborts.next(), ['AbortError', 'The connection was closed.']);
  assert.equal(server.pendingRequests, 0);
});

meanwhile('a request whose handler hangs has ten seconds unless the server says otherwise', async () => {
  const client = await connected(serve({ development: false, fetch: never }));
  client.write(GET);

  await endsAfter(client, FIRST, seconds());

  assert.equal(client.bytes.length, 0);
});

meanwhile('a timeout of one second is one, or a tick', async () => {
  const client = await connected(start(never, { idleTimeout: 1 }));
  client.write(GET);

  await endsAfter(client, exact ? 1 : 4, seconds());
});

meanwhile('a response that falls silent breaks off', async () => {
  const cancels = calls('cancel', { patience: PATIENCE_MS });
  const silent = new ReadableStream({
    start: (controller) => void sleep(0.1).then(() => controller.enqueue(bytes('piece'))),
    cancel: (reason) => cancels(reason.name),
  });
  const client = await connected(start(() => new Response(silent)));
  client.write(GET);
  await client.response();
  assert.equal(String(await readChunk(client)), 'piece');

  await endsAfter(client, T, seconds());

  assert.ok(!client.bytes.toString().endsWith('0\r\n\r\n'));
  assert.deepEqual(await cancels.next(), ['AbortError']);
});

meanwhile('a response that comes piece by piece goes on', async () => {
  let left = 5;
  const pull = async (controller) => {
    await sleep(T * 0.45);
    controller.enqueue(bytes('piece '));
    if (--left === 0) controller.close();
  };
  const client = await connected(start(() => new Response(new ReadableStream({ pull }))));
  client.write(GET);

  assert.equal((await readResponse(client)).text, 'piece '.repeat(5));
});

meanwhile('a body that stops on its way fails', async () => {
  const failures = calls('a failure', { patience: PATIENCE_MS });
  const client = await connected(
    start(async (req) => {
      await req.text().catch((error) => failures(error.name, error.message, req.signal.aborted));
      return hello();
    }),
  );
  client.write(request('POST', '/', { 'Content-Length': 10 }, 'abc'));

  await endsAfter(client, T, seconds());

  assert.deepEqual(await failures.next(), ['AbortError', 'The connection was closed.', true]);
  assert.equal(client.bytes.length, 0);
});

meanwhile('a body that stops on its way ends its connection, also when nobody reads it', async () => {
  const server = start(never);
  const client = await connected(server);
  client.write(request('POST', '/', { 'Content-Length': 100_000 }, 'x'.repeat(50_000)));

  await endsAfter(client, T, seconds());

  assert.equal(server.pendingRequests, 0);
});

for (const [what, handler] of [
  ['', (req) => req.text()],
  [', also when nobody reads it', never],
]) {
  meanwhile(`a body that never begins ends its connection${what}`, async () => {
    const server = start(handler);
    const client = await connected(server);
    client.write(request('POST', '/', { 'Content-Length': 10 }));

    await endsAfter(client, T, seconds());

    assert.equal(server.pendingRequests, 0);
  });
}

meanwhile('a body that never begins ends its connection, also with a field of a handshake', async () => {
  const client = await connected(start((req) => req.text(), { websocket: { message() {} } }));
  client.write(request('POST', '/', { 'Sec-WebSocket-Key': 'x', 'Content-Length': 10 }));

  await endsAfter(client, T, seconds());
});

for (const [what, head, piece] of [
  ['', { 'Content-Length': 100_000 }, 'x'],
  [' in chunks', { 'Transfer-Encoding': 'chunked' }, '1\r\nx\r\n'],
]) {
  meanwhile(`a body that trickles${what} fails, although there is always a byte`, async () => {
    const failures = calls('a failure', { patience: PATIENCE_MS });
    const client = await connected(start((req) => req.text().catch((error) => failures(error.name))));
    client.write(request('POST', '/', head));
    const since = seconds();

    pace(client, T / 20, piece);

    await endsAfter(client, T, since);
    assert.deepEqual(await failures.next(), ['AbortError']);
  });
}

meanwhile('a body that trickles behind its answer ends the connection too', async () => {
  const client = await connected(start(hello));
  client.write(request('POST', '/', { 'Content-Length': 100_000 }));
  assert.equal((await readResponse(client)).text, 'x');
  const since = seconds();

  pace(client, T / 20, 'x');

  await endsAfter(client, T, since);
});

for (const [what, target] of [
  ['', '/'],
  [' of a static response', '/static'],
]) {
  meanwhile(`a connection whose body comes behind its answer${what} waits no longer than others for another request`, async () => {
    const client = await connected(start(hello, { routes: { '/static': hello() } }));
    client.write(request('POST', target, { 'Content-Length': 100_000 }));
    assert.equal((await readResponse(client)).text, 'x');

    client.write('x'.repeat(100_000));

    await endsAfter(client, T, seconds());
  });
}

meanwhile('a body that comes at 64 KiB a second may take longer than the timeout', async () => {
  const client = await connected(start(async (req) => new Response(String((await req.arrayBuffer()).byteLength))));
  const count = T * 8;
  client.write(request('POST', '/', { 'Content-Length': count * 16 * KIBIBYTE }));

  pace(client, 0.25, 'x'.repeat(16 * KIBIBYTE), count);

  assert.equal((await readResponse(client)).text, String(count * 16 * KIBIBYTE));
});

meanwhile('a handler that has the whole body may take its time, and the connection its timeout after that', async () => {
  const client = await connected(
    start(async (req) => {
      const words = await req.text();
      await timeoutPassed();
      return new Response(words);
    }),
  );
  client.write(request('POST', '/', {}, 'abc'));

  assert.equal((await readResponse(client)).text, 'abc');

  await endsAfter(client, T, seconds());
});

for (const [what, late] of Object.entries({
  'with content': request('POST', '/', {}, 'abc'),
  'that may become a WebSocket': handshake(),
})) {
  if (!differs('pipelined-requests')) break;
  meanwhile(`the handler of a request ${what} may take its time, also behind an answer of the same turn`, async () => {
    const answer = () => timeoutPassed().then(() => new Response('late'));
    const client = await connected(start(answer, { routes: { '/early': new Response('early') }, websocket: { message() {} } }));
    client.write(request('GET', '/early'), late);

    assert.equal((await readResponse(client)).text, 'early');
    assert.equal((await readResponse(client)).text, 'late');
  });
}

if (differs('pipelined-requests') && process.platform !== 'win32') {
  meanwhile('a client that takes no answers is given up, whatever request it is that waits for them', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mantou-idle-'));
    after(() => rmSync(folder, { recursive: true }));
    const answer = () => new Response('x'.repeat(2000));
    const server = start((req) => req.text().then(answer), { unix: join(folder, 'socket'), routes: { '/static': answer() } });
    const post = request('POST', '/', {}, 'abc');
    for (let index = 0; index < 20; index++) {
      const client = await connected(server);
      client.pause();
      client.write(
        Buffer.concat(
          Array(400)
            .fill([...Array(index).fill(request('GET', '/static')), post])
            .flat(),
        ),
      );
    }

    while (server.pendingRequests === 0) await sleep(0.01);
    await server.stop();

    assert.equal(server.pendingRequests, 0);
  });
}

meanwhile('a handler that has the whole body and hangs is given up when the client has closed its half', async () => {
  const server = start(never);
  const client = await connected(server);
  client.write(request('POST', '/', {}, 'abc'));
  const since = seconds();

  client.halfClose();

  await endsAfter(client, differs('half-close') ? T : 0, since);
  assert.equal(server.pendingRequests, 0);
});

meanwhile('a handler that has read some of the content and hangs is given up when the client has gone behind it', async () => {
  const server = start(async (req) => {
    const reader = req.body.getReader();
    const { value } = await reader.read();
    for (let size = value.length; size < 40; size += (await reader.read()).value.length);
    return never();
  });
  const client = await connected(server);
  client.write(request('POST', '/', { 'Content-Length': KIBIBYTE }, 'x'.repeat(40)));
  const since = seconds();

  client.halfClose();

  await endsAfter(client, differs('half-close') ? T : 0, since);
  assert.equal(server.pendingRequests, 0);
});

meanwhile('a handler that reads nothing and hangs is given up when the client has gone behind its content', async () => {
  const server = start(never);
  const client = await connected(server);
  client.write(request('POST', '/', {}, 'x'.repeat(KIBIBYTE * KIBIBYTE)));
  const since = seconds();

  client.halfClose();

  await endsAfter(client, differs('half-close') ? T : 0, since);
  assert.equal(server.pendingRequests, 0);
});

// Bun does not notice that the client has gone while nobody reads so much.
if (differs('slow-readers')) {
  meanwhile('a handler that goes on reading when the client has gone, and then hangs, has no more time for that', async () => {
    const aborts = calls('abort', { patience: PATIENCE_MS });
    const server = start(async (req) => {
      await new Promise((resolve) => req.signal.addEventListener('abort', resolve));
      aborts(seconds());
      await sleep(T / 2);
      await req.text();
      return never();
    });
    const client = await connected(server);
    // More than is taken in unread, and less than that and the buffers of sockets.
    client.write(request('POST', '/', {}, 'x'.repeat((3 * KIBIBYTE * KIBIBYTE) / 2)));
    client.halfClose();
    const [since] = await aborts.next();

    await endsAfter(client, T, since);

    assert.equal(server.pendingRequests, 0);
  });
}

meanwhile('a handshake may take its time', async () => {
  const server = start(
    async (req, own) => {
      await timeoutPassed();
      own.upgrade(req);
    },
    { websocket: {} },
  );
  const client = await connected(server);
  client.write(handshake());

  assert.equal((await client.response()).status, 101);
});

for (const idleTimeout of [0, -1]) {
  meanwhile(`idleTimeout: ${idleTimeout} is none`, async () => {
    const server = start((req) => (req.url.endsWith('/hangs') ? timeoutPassed().then(hello) : hello()), { idleTimeout });
    const client = await connected(server);

    client.write(request('GET', '/hangs'));
    assert.equal((await readResponse(client)).text, 'x');
    await timeoutPassed();
    client.write(GET);

    assert.equal((await readResponse(client)).text, 'x');
  });
}

meanwhile('idleTimeout stays what it was after a reload', async () => {
  const server = start(never);
  server.reload({ fetch: never, idleTimeout: 100 });
  const client = await connected(server);
  client.write(GET);

  await endsAfter(client, T, seconds());
});

meanwhile('timeout() gives a request more time', async () => {
  const client = await connected(
    start((req, own) => {
      own.timeout(req, 2 * T);
      return never();
    }),
  );
  client.write(GET);

  await endsAfter(client, 2 * T, seconds());
});

meanwhile('timeout() gives a request less time', async () => {
  const client = await connected(
    start(
      (req, own) => {
        own.timeout(req, T);
        return never();
      },
      { idleTimeout: 100 },
    ),
  );
  client.write(GET);

  await endsAfter(client, T, seconds());
});

meanwhile('timeout() counts from the call', async () => {
  const times = calls('a time', { patience: PATIENCE_MS });
  const client = await connected(
    start(async (req, own) => {
      await sleep(T * 0.4);
      own.timeout(req, T);
      times(seconds());
      return never();
    }),
  );
  client.write(GET);

  await endsAfter(client, T, (await times.next())[0]);
});

for (const value of [0, -1, Number.NaN, Infinity]) {
  meanwhile(`timeout(req, ${value}) gives it all the time there is`, async () => {
    const client = await connected(
      start(async (req, own) => {
        own.timeout(req, value);
        await timeoutPassed();
        return hello();
      }),
    );
    client.write(GET);

    assert.equal((await readResponse(client)).text, 'x');
  });
}

meanwhile('timeout() of a request that is over is none of its connection', async () => {
  const requests = calls('a request', { patience: PATIENCE_MS });
  const server = start(
    (req) => {
      requests(req);
      return hello();
    },
    { idleTimeout: 100 },
  );
  const client = await connected(server);
  client.write(GET);
  await readResponse(client);

  const [req] = await requests.next();
  server.timeout(req, 1);
  await timeoutPassed();

  client.write(GET);
  assert.equal((await readResponse(client)).text, 'x');
});

meanwhile('timeout() holds until the next request, which has the time of the server', async () => {
  const server = start((req, own) => {
    if (req.url.endsWith('/more')) own.timeout(req, 100);
    return hello();
  });
  const client = await connected(server);
  client.write(request('GET', '/more'));
  await readResponse(client);
  await timeoutPassed();

  client.write(GET);
  assert.equal((await readResponse(client)).text, 'x');

  await endsAfter(client, T, seconds());
});

// In processes of their own: the warning is printed once.
for (const [what, options, warnings] of [
  ['is told once about a handler that took longer than the default', 'development: true', 1],
  ['is told nothing when the timeout was chosen', 'development: true, idleTimeout: 10', 0],
  ['is told nothing in production', 'development: false', 0],
]) {
  meanwhile(`whoever reads the log ${what}`, async () => {
    const child = run(`
      const server = serve({ ${options}, fetch: () => new Promise(() => {}) });
      const clients = await Promise.all([1, 2].map(() => connectTo(server)));
      for (const client of clients) client.write(request('GET', '/'));
      for (const client of clients) client.patience = ${PATIENCE_MS};
      await Promise.all(clients.map((client) => client.ended()));
      process.exit();
    `);
    // Before that nothing can have been printed, and exited() has its own patience.
    await sleep(FIRST);

    const { stderr } = await child.exited();

    const told = stderr.match(/timed out a request after 10 seconds\. Pass `idleTimeout` to configure\./g) ?? [];
    assert.equal(told.length, warnings, stderr);
  });
}

afterwards('a response that is not read breaks off', async () => {
  const aborts = calls('abort', { patience: PATIENCE_MS });
  const client = await connected(
    start((req) => {
      req.signal.addEventListener('abort', () => aborts(seconds()));
      return new Response(new Uint8Array(MORE_THAN_A_SOCKET_TAKES));
    }),
  );
  client.pause();
  client.write(GET);
  const since = seconds();

  const [then] = await aborts.next();

  assert.ok(then - since >= T - EARLY && then - since <= T + LATE, `aborted after ${then - since} s`);
});

for (const [what, targets] of [
  ['', ['/large']],
  [', nor that of another request', ['/large', '/']],
]) {
  afterwards(`content that comes while the response is not read does not hold the connection${what}`, async () => {
    const large = new Response(new Uint8Array(MORE_THAN_A_SOCKET_TAKES));
    const client = await connected(start(never, { routes: { '/large': large } }));
    client.pause();
    for (const target of targets) {
      client.write(request('POST', target, { 'Content-Length': 4 }));
      await pace(client, T / 16, 'x', 4);
    }

    await sleep(T + LATE);

    client.resume();
    await client.ended();
    assert.ok(client.bytes.length < MORE_THAN_A_SOCKET_TAKES, `${client.bytes.length} bytes came`);
  });
}

afterwards('a response that is read slowly goes on', async () => {
  const client = await connected(start(() => new Response(new Uint8Array(MORE_THAN_A_SOCKET_TAKES))));
  client.pause();
  client.write(request('GET', '/', { Connection: 'close' }));
  const since = seconds();

  // A pause is shorter than the timeout, all of them together are longer.
  while (seconds() - since < T * 1.5) {
    await sleep(T * 0.4);
    client.resume();
    await client.take(3 * MEBIBYTE);
    client.pause();
  }
  client.resume();

  assert.equal(await client.ended(), 'FIN');
  const head = client.bytes.indexOf('\r\n\r\n') + 4;
  assert.equal(client.bytes.length - head, MORE_THAN_A_SOCKET_TAKES);
});

// Bun stops reading too, but takes that for silence of the client.
if (differs('slow-readers')) {
  afterwards('a handler may take its time between two pieces of a body', async () => {
    const client = await connected(
      start(async (req) => {
        const sizes = [];
        for await (const piece of req.body) {
          if (sizes.length === 0) await timeoutPassed();
          sizes.push(piece.length);
        }
        return new Response(String(sizes.reduce((sum, size) => sum + size)));
      }),
    );

    client.write(request('POST', '/', {}, 'x'.repeat(4 * KIBIBYTE * KIBIBYTE)));

    assert.equal((await readResponse(client)).text, String(4 * KIBIBYTE * KIBIBYTE));
  });
}
