// Clients that vanish at every stage of a handshake, a message and a close: by FIN, by RST, and by being killed. Nothing of them stays.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { afterEach, describe, test } from 'node:test';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair, serveSockets } from './support/connect.mjs';
import { collectGarbage } from './support/gc.mjs';
import { close, continuation, frame, handshake, ping, RawClient, TEXT, text } from './support/raw-client.mjs';
import { connectTo, request } from './support/raw-http.mjs';

afterEach(cleanUp);

const HANDSHAKE = handshake();
const MESSAGE = text('a message of some length');
/** Connections of each kind: as many descriptors would be missed. */
const TIMES = 20;

/** How far a client gets before it vanishes: what it has written, and what it has waited for. */
const STAGES = {
  'before a byte': () => {},
  'in the request line': (client) => client.write(HANDSHAKE.slice(0, 7)),
  'in a header': (client) => client.write(HANDSHAKE.slice(0, 60)),
  'before the last byte of the handshake': (client) => client.write(HANDSHAKE.slice(0, -1)),
  'right behind the handshake': (client) => client.write(HANDSHAKE),
  'with the answer to the handshake': async (client) => {
    client.write(HANDSHAKE);
    await client.response();
  },
  'in the header of a frame': (client) => client.write(HANDSHAKE, MESSAGE.subarray(0, 3)),
  'in the payload of a frame': (client) => client.write(HANDSHAKE, MESSAGE.subarray(0, -1)),
  'behind a message': (client) => client.write(HANDSHAKE, MESSAGE),
  'between two fragments': (client) => client.write(HANDSHAKE, text('begun', { fin: false }), ping('p')),
  'in the last of many fragments': (client) =>
    client.write(HANDSHAKE, text('a', { fin: false }), continuation('b', { fin: false }), continuation('c').subarray(0, -1)),
  'in a message that is too long to have arrived': (client) => client.write(HANDSHAKE, frame(TEXT, 'x', { length: 10_000_000 })),
  'in a Close frame': (client) => client.write(HANDSHAKE, close(1000, 'bye').subarray(0, -1)),
  'behind a Close frame': (client) => client.write(HANDSHAKE, close(1000, 'bye')),
  'behind a violation of the protocol': (client) => client.write(HANDSHAKE, text('a', { mask: null })),
  'with a backlog it never read': async (client) => {
    client.pause();
    client.write(HANDSHAKE, text('fill me'));
  },
  'with a Close frame it never read, behind a backlog': async (client) => {
    client.pause();
    client.write(HANDSHAKE, text('fill me'), text('close me'));
  },
};

const WAYS = {
  FIN: (client) => client.halfClose(),
  RST: (client) => client.reset(),
};

/** A server that subscribes everybody, and fills or closes a socket when it is told to. */
function startServer() {
  const ends = calls('close');
  let opened = 0;
  const server = serveSockets({
    open(ws) {
      opened++;
      ws.subscribe('everybody');
    },
    message(ws, message) {
      if (message === 'fill me') ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES / 10));
      if (message === 'close me') ws.close(4000, 'as you wish');
    },
    close: () => ends(),
  });
  return { server, ends, opened: () => opened };
}

/** Open descriptors of this process, where they can be counted. */
const descriptors = () => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0);

/** Waits for the server to have let go of everybody. */
async function expectNobody({ server, ends, opened }) {
  // A full round trip: whatever came before it has been read.
  const witness = await RawClient.open({ port: server.port });
  await ends.count(opened() - 1);
  assert.equal(server.pendingWebSockets, 1);
  assert.equal(server.subscriberCount('everybody'), 1);
  witness.write(close(1000));
  await witness.expect('CLOSE 1000', 'FIN');
  await ends.count(opened());
  assert.deepEqual([server.pendingWebSockets, server.subscriberCount('everybody'), server.pendingRequests], [0, 0, 0]);
  await server.stop();
}

for (const [way, vanish] of Object.entries(WAYS)) {
  describe(`a client that vanishes by ${way}`, () => {
    for (const [stage, reach] of Object.entries(STAGES)) {
      test(stage, async () => {
        const started = startServer();

        for (let time = 0; time < TIMES; time++) {
          const client = await RawClient.connect({ port: started.server.port });
          await reach(client);
          vanish(client);
          // The kernel has what was written when the handle is gone; a half-closed one ends with the server.
          if (way === 'FIN') client.resume();
        }

        await expectNobody(started);
      });
    }
  });
}

test('requests of clients that have gone do not stand in the way of messages that come with them', async () => {
  const { client, server } = await pair({ message: (ws, message) => ws.send(`re:${message}`) });
  const leaving = await Promise.all(Array.from({ length: TIMES }, () => connectTo(server)));

  // All in one tick: the server finds the requests, their ends and the message together.
  for (const each of leaving) {
    each.write(request('GET', '/'));
    each.reset();
  }
  client.text('a');

  await client.expect('TEXT re:a');
  assert.equal(server.pendingRequests, 0);
});

test('clients that are killed leave nothing behind', async () => {
  const started = startServer();
  const source = `
    const { connect } = require('node:net');
    let open = 0;
    for (let n = 0; n < 100; n++) {
      const socket = connect(${started.server.port}, '127.0.0.1', () => socket.write(${JSON.stringify(HANDSHAKE)}));
      socket.once('data', () => {
        if (n % 2) socket.write(Buffer.from('${MESSAGE.subarray(0, 9).toString('hex')}', 'hex'));
        if (++open === 100) console.log('all open');
      });
    }
  `;
  const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');

  child.kill('SIGKILL');

  await once(child, 'exit');
  await expectNobody(started);
});

test('no descriptor stays open', async () => {
  // One round, so that what is opened once and for all is.
  const round = async () => {
    const started = startServer();
    for (const reach of Object.values(STAGES)) {
      for (const vanish of [WAYS.FIN, WAYS.RST]) {
        const client = await RawClient.connect({ port: started.server.port });
        await reach(client);
        vanish(client);
        client.resume();
      }
    }
    await expectNobody(started);
    await cleanUp();
    await collectGarbage();
  };
  await round();
  const before = descriptors();

  for (let n = 0; n < 3; n++) await round();

  // Sockets in the closing handshake with a client of this process may take another turn.
  for (let turn = 0; turn < 100 && descriptors() > before; turn++) await new Promise(setImmediate);
  assert.ok(descriptors() <= before, `${descriptors()} descriptors after, ${before} before`);
});
