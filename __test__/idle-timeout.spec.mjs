// idleTimeout and the automatic pings, in real time. All cases run at once, from the moment this file is loaded.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair } from './support/connect.mjs';
import { killPrograms, run } from './support/program.mjs';
import { ping, pong, text } from './support/raw-client.mjs';

after(cleanUp);
after(killPrograms);

const TIMED_OUT = [1006, 'WebSocket timed out from inactivity'];
const exact = differs('exact-timers');
/** The shortest timeout of the target, in seconds, and when its ping goes out. */
const T = exact ? 2 : 8;
const PING_AT = exact ? 1 : 4;
/** Bun's clock ticks every 4 s, so a span that begins at any time may be that much shorter. */
const EARLY = exact ? 0.1 : 4;
/** Both may be late on a busy machine. */
const LATE = exact ? 0.6 : 2;
const PATIENCE_MS = 30_000;

/** Begins now, is judged by its test. */
function meanwhile(name, run) {
  const result = run();
  // Its test reports a failure; until then it is not an unhandled one.
  result.catch(() => {});
  test(name, { timeout: 60_000 }, () => result);
}

const seconds = () => performance.now() / 1000;

function isAbout(elapsed, expected, what) {
  assert.ok(
    elapsed >= expected - EARLY && elapsed <= expected + LATE,
    `${what} after ${elapsed.toFixed(2)} s, expected about ${expected} s`,
  );
}

/** A connection whose client is patient, with the time it opened and its close calls. */
async function timed(handlers, options) {
  const closes = calls('close', { patience: PATIENCE_MS });
  const connection = await pair({ idleTimeout: T, ...handlers, close: (_, code, reason) => closes(code, reason) }, options);
  connection.client.patience = PATIENCE_MS;
  return { ...connection, closes, opened: seconds() };
}

/** Resolves when a silent connection has timed out: T seconds later, told by an event. */
async function silentSocketTimedOut(idleTimeout = T) {
  const { client } = await timed({ sendPings: false, idleTimeout });
  await client.expect('FIN');
}

const sleep = (duration) => new Promise((resolve) => setTimeout(resolve, duration * 1000));

meanwhile('a silent client gets an empty PING, and at the timeout FIN without a close frame; the handler says why', async () => {
  const { client, closes, opened } = await timed({});

  await client.expect('PING');
  isAbout(seconds() - opened, PING_AT, 'PING');
  await client.expect('FIN');
  isAbout(seconds() - opened, T, 'FIN');

  assert.deepEqual(await closes.next(), TIMED_OUT);
});

meanwhile('with sendPings: false it gets no ping, only the end', async () => {
  const { client, closes, opened } = await timed({ sendPings: false });

  await client.expect('FIN');

  isAbout(seconds() - opened, T, 'FIN');
  assert.deepEqual(await closes.next(), TIMED_OUT);
});

meanwhile('the ping of a timeout of 8 s goes out at 4 s', async () => {
  const { client, opened } = await timed({ idleTimeout: 8 });

  await client.expect('PING');

  isAbout(seconds() - opened, 4, 'PING');
});

for (const idleTimeout of [0, -1]) {
  meanwhile(`idleTimeout: ${idleTimeout} means no timeout and no pings`, async () => {
    const { client, ws } = await timed({ idleTimeout });

    await silentSocketTimedOut();
    ws.send('still here');

    await client.expect('TEXT still here');
  });
}

meanwhile('the idleTimeout of HTTP has no part in an upgraded connection', async () => {
  const { client, ws } = await timed({ idleTimeout: 0 }, { idleTimeout: 1 });

  await silentSocketTimedOut();
  ws.send('still here');

  await client.expect('TEXT still here');
});

meanwhile('a client that answers stays, is pinged again, and its pongs reach the handler', async () => {
  const pongs = [];
  const { client, closes } = await timed({ pong: (_, data) => pongs.push(data.length) });

  for (let round = 0; round < 3; round++) {
    await client.expect('PING');
    client.write(pong());
  }
  client.write(ping('alive'));
  await client.expect('PONG alive');

  assert.deepEqual(pongs, [0, 0, 0]);
  assert.deepEqual(closes.all, []);
});

for (const [what, bytes] of [
  ['a message', text('a')],
  ['a ping', ping()],
  ['a pong', pong()],
]) {
  meanwhile(`${what} from the client starts the time anew`, async () => {
    const { client, closes, opened } = await timed({ sendPings: false });

    await sleep(T * 0.6);
    client.write(bytes);
    const last = seconds();
    await client.ended();

    isAbout(seconds() - last, T, 'FIN');
    assert.ok(seconds() - opened > T);
    assert.deepEqual(await closes.next(), TIMED_OUT);
  });
}

meanwhile('without sendPings a message from the server starts the time anew', async () => {
  const { ws, client } = await timed({ sendPings: false });

  for (let n = 0; n < 4; n++) {
    await sleep(T * 0.4);
    assert.equal(ws.send('x'), 1);
  }
  const last = seconds();
  await client.expect(...Array(4).fill('TEXT x'), 'FIN');

  isAbout(seconds() - last, T, 'FIN');
});

meanwhile('with sendPings a message from the server', async () => {
  const { ws, client, closes, opened } = await timed({});
  const stop = opened + T * 1.6;
  const talking = (async () => {
    while (seconds() < stop && ws.readyState === 1) {
      ws.send('x');
      await sleep(T * 0.1);
    }
  })();

  if (differs('idle-timer-reset')) {
    await client.ended();
    isAbout(seconds() - opened, T, 'FIN');
    const frames = (await client.rest()).map((frame) => frame.notation);
    assert.deepEqual(
      frames.filter((frame) => frame !== 'TEXT x'),
      ['PING'],
    );
    assert.deepEqual(await closes.next(), TIMED_OUT);
  } else {
    await talking;
    assert.equal(ws.readyState, 1);
    assert.deepEqual(closes.all, []);
  }
  await talking;
});

meanwhile('a paused socket does not time out, and does again once resumed', async () => {
  const { ws, client, closes } = await timed({ sendPings: false });
  ws.pause();

  await silentSocketTimedOut();
  assert.deepEqual([ws.readyState, closes.all.length], [1, 0]);
  ws.resume();
  const resumed = seconds();
  await client.expect('FIN');

  assert.ok(seconds() - resumed <= T + LATE);
  assert.deepEqual(await closes.next(), TIMED_OUT);
});

meanwhile('a reader that stalls times out, backlog or not', async () => {
  const { ws, client, closes, opened } = await timed({});
  client.pause();
  assert.equal(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES)), -1);

  assert.deepEqual(await closes.next(), TIMED_OUT);

  isAbout(seconds() - opened, T, 'close');
  assert.equal(ws.getBufferedAmount(), 0);
});

/** In a process of its own, whose setTimeout is early by more than clocks and rounding make it. */
meanwhile(
  'a timer of the host that fires before the time does not stop the clock',
  async () => {
    const program = run(`
    const onTime = setTimeout;
    globalThis.setTimeout = (callback, delay, ...args) => onTime(callback, Math.max(1, delay - 5), ...args);
    const server = serve({
      fetch: (req, own) => void own.upgrade(req),
      websocket: { idleTimeout: ${T}, sendPings: false, close: (_, code) => print(code) },
    });
    const client = await RawClient.open({ port: server.port });
    client.patience = ${PATIENCE_MS};
    print(await client.ended());
    process.exit(0);
  `);

    const { code, lines, stderr } = await program.exited();

    assert.deepEqual({ code, lines: lines.sort(), stderr }, { code: 0, lines: ['1006', 'FIN'], stderr: '' });
  },
  !exact && "the clock of Bun.serve is not JavaScript's",
);
