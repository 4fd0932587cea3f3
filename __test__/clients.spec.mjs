// Clients that others wrote, each in a process of its own: ws, Node's and Bun's WebSocket, Chromium, tokio-tungstenite, Python's websockets.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { bunBinary } from './support/bun.mjs';
import { calls } from './support/calls.mjs';
import { chromiumForTests } from './support/chromium.mjs';
import { clientFile, rustClient, startClient } from './support/client-program.mjs';
import { cleanUp, serveSockets } from './support/connect.mjs';
import { nodeBinary } from './support/nodes.mjs';
import { pythonWith } from './support/python.mjs';
import { isBunRuntime } from './support/target.mjs';

afterEach(cleanUp);

/** Milliseconds for a test, which takes seconds. */
const timeout = 120_000;
const MEGABYTE = 1024 * 1024;
/** The Node that runs the clients; Bun may run this file. */
const node = isBunRuntime ? (process.env.npm_node_execpath ?? 'node') : process.execPath;
const isRequired = !['', '0', 'false', undefined].includes(process.env.CI);

const newNode = nodeBinary('24');
const bun = bunBinary();
const chromium = chromiumForTests();
const python = pythonWith(['websockets==17.4']);
const rust = rustClient();

/**
 * `can`: beyond what every client does. "fragment" a message, "ping", "compress", close with "no code", be "killed" without a chance to say anything.
 */
const clients = [
  {
    name: 'ws',
    program: { path: node },
    args: [clientFile('ws.mjs')],
    can: ['fragment', 'ping', 'compress', 'no code', 'be killed'],
  },
  {
    name: "Node's WebSocket",
    program: newNode,
    args: [clientFile('web-socket.mjs')],
    can: ['compress', 'no code', 'be killed'],
  },
  {
    name: "Bun's WebSocket",
    program: bun === undefined ? { reason: 'Bun is not installed: npm install' } : { path: bun },
    args: [clientFile('web-socket.mjs')],
    can: ['compress', 'no code', 'be killed'],
  },
  {
    name: 'Chromium',
    program: chromium.path === undefined ? chromium : { path: node },
    args: [clientFile('chromium.mjs'), chromium.path],
    can: ['compress', 'no code', 'leave'],
  },
  {
    name: 'tokio-tungstenite',
    program: rust,
    args: [],
    can: ['fragment', 'ping', 'no code', 'be killed'],
  },
  {
    name: "Python's websockets",
    program: python,
    args: [clientFile('websockets_client.py')],
    can: ['fragment', 'ping', 'compress', 'be killed'],
  },
];

const deflates = {
  'no compression': undefined,
  'shared compressors': true,
  'dedicated compressors': { compress: 'dedicated', decompress: 'dedicated' },
  'compressors of 3KB': { compress: '3KB', decompress: '3KB' },
};

/** A server that sends back what it gets, compressed where that was agreed, and a page to whoever wants none of it. */
function echo(websocket) {
  const [opens, closes, pongs] = [calls('open'), calls('close'), calls('pong')];
  const server = serveSockets(
    {
      ...websocket,
      open: (ws) => opens(ws),
      message: (ws, message) => ws.send(message, true),
      pong: (_, data) => pongs(String(data)),
      close: (_, code, reason) => closes(code, reason),
    },
    {
      fetch(req, own) {
        if (!own.upgrade(req)) return new Response('<!doctype html>', { headers: { 'Content-Type': 'text/html' } });
      },
    },
  );
  return { opens, closes, pongs, url: `ws://127.0.0.1:${server.port}/` };
}

for (const { name, program, args, can } of clients) {
  const { path, reason } = program;
  if (path === undefined && isRequired) throw new Error(`${name} must be tested here: ${reason}`);
  if (path === undefined) console.error(`\n# ${name} IS NOT TESTED. ${reason}\n`);

  describe(name, () => {
    const options = { timeout, skip: reason };
    let client;
    before(() => {
      if (path !== undefined) client = startClient(path, args);
    });
    after(() => client?.end());

    /** Opens a connection of the client to a server with these options. */
    async function open(websocket) {
      const { url, opens, ...calls } = echo(websocket);
      const answer = await client.say('open', url);
      assert.match(answer, /^open /);
      const [ws] = await opens.next();
      return { ws, extensions: answer.slice('open '.length), ...calls };
    }

    for (const [what, perMessageDeflate] of Object.entries(deflates)) {
      if (perMessageDeflate !== undefined && !can.includes('compress')) continue;

      describe(`with ${what}`, () => {
        const options = { timeout, skip: reason };

        test('agrees on the extension that the server has', options, async () => {
          const { extensions } = await open({ perMessageDeflate });

          assert.match(extensions, perMessageDeflate === undefined ? /^-$/ : /^permessage-deflate/);
          assert.equal(await client.say('close', 1000), 'closed 1000');
        });

        test('gets back texts and binaries of every length', options, async () => {
          const { closes } = await open({ perMessageDeflate });

          for (const size of [0, 16, 112, 128, 65_520, 65_536, MEGABYTE]) {
            for (const kind of ['text', 'binary'])
              assert.equal(await client.say('echo', kind, size, 1), 'same', `a ${kind} of ${size} bytes`);
          }

          assert.equal(await client.say('close', 1000), 'closed 1000');
          assert.deepEqual(await closes.next(), [1000, '']);
        });

        if (can.includes('fragment')) {
          test('gets back messages it sends in fragments', options, async () => {
            await open({ perMessageDeflate });

            for (const [size, parts] of [
              [32, 2],
              [1600, 100],
              [MEGABYTE, 16],
            ]) {
              for (const kind of ['text', 'binary'])
                assert.equal(await client.say('echo', kind, size, parts), 'same', `a ${kind} in ${parts} parts`);
            }
            assert.equal(await client.say('close', 1000), 'closed 1000');
          });
        }

        test('gets back messages of 16 MiB', options, async () => {
          await open({ perMessageDeflate });

          for (const kind of ['text', 'binary']) assert.equal(await client.say('echo', kind, 16 * MEGABYTE, 1), 'same', kind);

          assert.equal(await client.say('close', 1000), 'closed 1000');
        });
      });
    }

    test('closes with a code and a reason, and is answered with the same', options, async () => {
      const { closes } = await open();

      assert.equal(await client.say('close', 3001, 'bye for now, ünïcode €'), 'closed 3001 bye for now, ünïcode €');

      assert.deepEqual(await closes.next(), [3001, 'bye for now, ünïcode €']);
    });

    if (can.includes('no code')) {
      test('closes without a code, and so does the answer', options, async () => {
        const { closes } = await open();

        assert.equal(await client.say('close'), 'closed 1005');

        assert.deepEqual(await closes.next(), [1005, '']);
      });
    }

    for (const [code, text] of [
      [1000, ''],
      [1001, 'going away'],
      [1011, 'ünïcode €'],
      [4999, 'r'.repeat(123)],
    ]) {
      test(`hears the server close with ${code} "${text.slice(0, 20)}"`, options, async () => {
        const { ws, closes } = await open();

        ws.close(code, text);

        assert.equal(await client.say('wait'), `closed ${code} ${text}`.trimEnd());
        assert.deepEqual(closes.all, [[code, text]]);
      });
    }

    test('hears nothing of a reason when the server terminates', options, async () => {
      const { ws } = await open();

      ws.terminate();

      assert.equal(await client.say('wait'), 'closed 1006');
    });

    test('is told that its message was too big', options, async () => {
      const { closes } = await open({ maxPayloadLength: 1024 });
      assert.equal(await client.say('echo', 'binary', 1024, 1), 'same');

      assert.equal(await client.say('echo', 'binary', 1040, 1), 'closed 1009 Received too big message');

      assert.deepEqual(await closes.next(), [1006, 'Received too big message']);
    });

    test('answers a ping of the server', options, async () => {
      const { ws, pongs } = await open();

      ws.ping('are you there?');

      assert.deepEqual(await pongs.next(), ['are you there?']);
      assert.equal(await client.say('close', 1000), 'closed 1000');
    });

    if (can.includes('ping')) {
      test('gets an answer to its own', options, async () => {
        await open();

        assert.equal(await client.say('ping', 'hello'), 'pong hello');

        assert.equal(await client.say('close', 1000), 'closed 1000');
      });
    }

    if (can.includes('leave')) {
      test('leaves the page, which is 1001', options, async () => {
        const { closes } = await open();

        assert.equal(await client.say('leave'), 'left');

        assert.deepEqual(await closes.next(), [1001, '']);
      });
    }

    if (can.includes('be killed')) {
      test('is killed, which is 1006', options, async () => {
        const { closes } = await open();

        await client.kill();
        client = startClient(path, args);

        assert.deepEqual(await closes.next(), [1006, '']);
      });
    }
  });
}
