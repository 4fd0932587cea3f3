// Many sockets with something to say in the same turn: everybody gets what is theirs, whoever is beside them.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair } from './support/connect.mjs';
import { killPrograms, run } from './support/program.mjs';

afterEach(cleanUp);
afterEach(killPrograms);

const MEBIBYTE = 2 ** 20;
/** More than go into one system call. */
const MANY = 300;

/** A server with so many connections, all of them subscribed to "room". */
async function room(count, handlers, options) {
  const { server, connect, ...first } = await pair(handlers, options);
  const members = [first, ...(await Promise.all(Array.from({ length: count - 1 }, () => connect())))];
  for (const { ws } of members) ws.subscribe('room');
  return { server, members };
}

test('one that sends without end keeps nobody else from being heard', async () => {
  const MOST = 128 * MEBIBYTE;
  let flooded = 0;
  const heard = calls('the other one');
  const begun = calls('the flood at its height');
  const { server, client } = await pair({
    message(_ws, message) {
      if (typeof message === 'string') {
        heard(flooded);
        return;
      }
      flooded += message.length;
      if (flooded === MOST / 4) begun();
      // Slower than the other side sends.
      for (const end = performance.now() + 0.2; performance.now() < end; );
    },
  });
  run(`
    const client = await RawClient.open({ port: ${server.port} });
    const frames = Buffer.concat(Array.from({ length: 16 }, () => binary(new Uint8Array(65_536))));
    for (let sent = 0; sent < ${MOST}; sent += 16 * 65_536) {
      client.write(frames);
      while (client.writableLength > 4 * frames.length) await new Promise(setImmediate);
    }
    await client.ended();
  `);
  await begun.next();

  client.text('me too');

  const [before] = await heard.next();
  assert.ok(before < MOST / 2, `${before / MEBIBYTE} MiB of the flood came first`);
});

describe('of many who hear something in one turn', () => {
  test('everybody hears all of it, in order', async () => {
    const { server, members } = await room(MANY);
    const texts = [0, 1, 125, 126, 4000, 5000, 70_000].map((length, n) => String(n).repeat(length));

    for (const text of texts) server.publish('room', text);

    for (const { client } of members) await client.expect(...texts.map((text) => `TEXT ${text}`.trimEnd()));
  });

  test('everybody hears something else, turn after turn', async () => {
    const { members } = await room(MANY);

    for (let turn = 0; turn < 5; turn++) {
      for (const [index, { ws }] of members.entries()) ws.send(`${turn} for ${index}`);
      await new Promise(setImmediate);
    }

    for (const [index, { client }] of members.entries()) {
      await client.expect(...[0, 1, 2, 3, 4].map((turn) => `TEXT ${turn} for ${index}`));
    }
  });

  test('one that does not read keeps nobody waiting, and hears all of it when it does', async () => {
    const drains = calls('drain');
    const { server, members } = await room(20, { drain: drains });
    const [slow, ...others] = members;
    slow.client.pause();
    const big = 'x'.repeat(100_000);
    let count = 0;

    while (slow.ws.getBufferedAmount() === 0) {
      assert.ok(count * big.length < MORE_THAN_A_SOCKET_TAKES);
      server.publish('room', big);
      count++;
      for (const { client } of others) await client.expect(`TEXT ${big}`);
    }
    server.publish('room', 'the last');
    for (const { client } of others) await client.expect('TEXT the last');
    slow.client.resume();

    await slow.client.expect(...Array(count).fill(`TEXT ${big}`), 'TEXT the last');
    const [drained] = await drains.next();
    assert.equal(drained, slow.ws);
    assert.equal(slow.ws.getBufferedAmount(), 0);
  });

  test('one that has taken its backlog by then hears of the drain all the same', async () => {
    const opens = calls('open');
    const drains = calls('drain');
    const { server, members } = await room(20, { open: (ws) => opens(ws), drain: drains });
    const done = new Int32Array(new SharedArrayBuffer(4));
    const reader = new Worker(new URL('fixtures/reader.mjs', import.meta.url), { workerData: { port: server.port, done } });
    await new Promise((resolve) => reader.once('message', resolve));
    const [slow] = opens.all.at(-1);
    let sent = 0;
    while (slow.getBufferedAmount() === 0) {
      assert.ok(sent < MORE_THAN_A_SOCKET_TAKES);
      slow.send(new Uint8Array(100_000));
      // A frame is as long as its payload and a head of 10 bytes.
      sent += 100_010;
      // Until the next turn it is not known that there was no room.
      await new Promise(setImmediate);
    }

    // While this thread waits the kernel gets room for the rest, and nobody here hears of that.
    reader.postMessage(sent - slow.getBufferedAmount());
    assert.notEqual(Atomics.wait(done, 0, 0, 10_000), 'timed-out');
    for (const { ws } of [...members, { ws: slow }]) ws.send('more');

    assert.deepEqual(await drains.next(), [slow]);
    assert.equal(slow.getBufferedAmount(), 0);
    await reader.terminate();
  });

  test('one that is gone is closed, and the others hear what was said', async () => {
    const closes = calls('close');
    const { server, members } = await room(20, { close: (ws, code) => closes(ws, code) });
    const [gone, ...others] = members;
    gone.client.reset();
    await gone.client.ended();

    server.publish('room', 'without you');

    for (const { client } of others) await client.expect('TEXT without you');
    assert.deepEqual(await closes.next(), [gone.ws, 1006]);
    assert.equal(closes.all.length, 1);
  });

  test('those that are closed behind it hear it first', async () => {
    const { server, members } = await room(20);

    server.publish('room', 'good night');
    for (const { ws } of members) ws.close(1000, 'late');

    for (const { client } of members) await client.expect('TEXT good night', 'CLOSE 1000 late', 'FIN');
  });
});
