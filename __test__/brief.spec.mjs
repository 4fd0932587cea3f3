// Every code block of the documentation this package follows, as it stands there, with `Bun` bound to the package and its effect watched by a real
// client. Only the slips are corrected (an `await` in a plain function, a `const` declared twice); each block gets no more around it than it needs.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { constants, inflateRawSync } from 'node:zlib';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair } from './support/connect.mjs';
import { ping, pong, RawClient } from './support/raw-client.mjs';
import { exchange, request } from './support/raw-http.mjs';
import { serve } from './support/target.mjs';

/** What the blocks call `Bun` and `console`. */
const Bun = { serve };
const logged = [];
const console = { log: (...args) => void logged.push(args) };

afterEach(cleanUp);
afterEach(() => void logged.splice(0));

describe('Basic WebSocket Server', () => {
  const start = () =>
    Bun.serve({
      websocket: {
        open(ws) {
          console.log('Client connected');
        },
        message(ws, message) {
          console.log('Received:', message);
          ws.send(message); // Echo back
        },
        close(ws, code, reason) {
          console.log('Client disconnected', code, reason);
        },
      },
      fetch(req, server) {
        const url = new URL(req.url);
        if (url.pathname === '/chat') {
          const upgraded = server.upgrade(req);
          if (upgraded) return; // Don't return a Response
        }
        return new Response('Hello HTTP');
      },
    });

  test('echoes messages and logs what happens', async () => {
    const client = await RawClient.open({ port: start().port, path: '/chat' });

    client.text('hello');
    client.binary(Buffer.from([1, 2]));
    await client.expect('TEXT hello', 'BINARY 0102');
    client.halfClose();
    await client.ended();

    assert.deepEqual(logged, [
      ['Client connected'],
      ['Received:', 'hello'],
      ['Received:', Buffer.from([1, 2])],
      ['Client disconnected', 1006, ''],
    ]);
  });

  test('answers HTTP, also on the path of the chat', async () => {
    const server = start();

    for (const path of ['/', '/chat']) assert.equal((await exchange(server, request('GET', path))).response.text, 'Hello HTTP');
  });
});

test('Message Handler', async () => {
  const { client } = await pair({
    message(ws, message) {
      // message type depends on binaryType
      if (typeof message === 'string') {
        console.log('Text message:', message);
      } else {
        console.log('Binary message:', message);
      }
      ws.send('seen');
    },
  });

  client.text('text');
  client.binary(Buffer.from([7]));

  await client.expect('TEXT seen', 'TEXT seen');
  assert.deepEqual(logged, [
    ['Text message:', 'text'],
    ['Binary message:', Buffer.from([7])],
  ]);
});

for (const [binaryType, Type] of [
  ['nodebuffer', Buffer],
  ['arraybuffer', ArrayBuffer],
  ['uint8array', Uint8Array],
]) {
  test(`Binary Type: ${binaryType}`, async () => {
    const messages = calls('message');
    const { client } = await pair({
      open(ws) {
        // Set how binary data is returned
        ws.binaryType = binaryType;
      },
      message(ws, message) {
        messages(message);
      },
    });

    client.binary(Buffer.from([1, 2, 3]));

    const [message] = await messages.next();
    assert.equal(message.constructor, Type);
    assert.deepEqual([...new Uint8Array(message)], [1, 2, 3]);
  });
}

test('Binary Type: nodebuffer is the default', async () => {
  const { ws } = await pair();

  assert.equal(ws.binaryType, 'nodebuffer');
});

test('Basic Upgrade', async () => {
  const server = Bun.serve({
    fetch(req, server) {
      const success = server.upgrade(req);
      if (success) {
        // WebSocket upgrade successful, don't return a Response
        return;
      }
      return new Response('Upgrade failed', { status: 400 });
    },
    websocket: {},
  });

  await RawClient.open({ port: server.port });
  const { response } = await exchange(server, request('GET', '/'));

  assert.equal(server.pendingWebSockets, 1);
  assert.deepEqual([response.status, response.text], [400, 'Upgrade failed']);
});

test('Upgrade with Custom Data', async () => {
  const server = Bun.serve({
    websocket: {
      message(ws, message) {
        console.log(`${ws.data.username} says: ${message}`);
        ws.send(ws.data.userId);
      },
    },
    fetch(req, server) {
      const url = new URL(req.url);
      const username = url.searchParams.get('name') || 'Anonymous';

      const upgraded = server.upgrade(req, {
        data: {
          userId: crypto.randomUUID(),
          username,
        },
      });

      if (upgraded) return;
      return new Response('Upgrade failed', { status: 400 });
    },
  });
  const ids = [];
  for (const path of ['/?name=Ada', '/']) {
    const client = await RawClient.open({ port: server.port, path });
    client.text('hi');
    ids.push((await client.frame()).text);
  }

  assert.deepEqual(logged, [['Ada says: hi'], ['Anonymous says: hi']]);
  assert.match(ids[0], /^[0-9a-f-]{36}$/);
  assert.notEqual(ids[0], ids[1]);
});

test('Upgrade with Custom Headers', async () => {
  const server = Bun.serve({
    fetch(req, server) {
      server.upgrade(req, {
        headers: {
          'Set-Cookie': 'session=abc123',
        },
      });
    },
    websocket: {},
  });

  const client = await RawClient.open({ port: server.port });

  assert.equal(client.head.header('set-cookie'), 'session=abc123');
});

test('Send Text or Binary', async () => {
  const { ws, client } = await pair();

  // Send text
  ws.send('Hello');

  // Send binary
  ws.send(new Uint8Array([1, 2, 3, 4]));

  // With compression
  ws.send('Compress this message', true);

  await client.expect('TEXT Hello', 'BINARY 01020304', 'TEXT Compress this message');
});

test('Explicit Text/Binary', async () => {
  const { ws, client } = await pair();
  const compress = false;
  const statuses = [];

  {
    // Always send as text
    const status = ws.sendText('Hello', compress);
    statuses.push(status);
  }
  {
    // Always send as binary
    const status = ws.sendBinary(new Uint8Array([1, 2, 3]), compress);
    statuses.push(status);
  }

  await client.expect('TEXT Hello', 'BINARY 010203');
  assert.deepEqual(statuses, [5, 3]);
});

test('Send Status', async () => {
  const { ws, client } = await pair();
  const sends = () => {
    const status = ws.send('Hello');

    if (status === 0) {
      console.log('Message was dropped');
    } else if (status === -1) {
      console.log('Backpressure applied');
    } else {
      console.log(`Sent ${status} bytes`);
    }
  };

  sends();
  await client.expect('TEXT Hello');
  client.pause();
  while (ws.send(Buffer.alloc(1024 * 1024)) > 0);
  sends();
  ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES));
  sends();

  assert.deepEqual(logged, [['Sent 5 bytes'], ['Backpressure applied'], ['Message was dropped']]);
});

test('Subscribe to Topics', async () => {
  const { client, ws, connect } = await pair({
    open(ws) {
      // Subscribe to topics
      ws.subscribe('chat');
      ws.subscribe('notifications');
    },
    message(ws, message) {
      // Publish to all subscribers in a topic
      ws.publish('chat', message);
    },
  });
  const second = await connect();

  client.text('to the others');
  await second.client.expect('TEXT to the others');
  ws.send('nothing before this');

  await client.expect('TEXT nothing before this');
});

describe('Check Subscriptions', () => {
  test('isSubscribed', async () => {
    const { ws } = await pair();
    const check = () => {
      if (ws.isSubscribed('chat')) {
        console.log('Subscribed to chat');
      }
    };

    check();
    ws.subscribe('chat');
    check();

    assert.deepEqual(logged, [['Subscribed to chat']]);
  });

  test('subscriptions', async () => {
    const { ws } = await pair();
    ws.subscribe('chat');
    ws.subscribe('notifications');

    // Get all subscriptions
    const topics = ws.subscriptions;
    console.log('Subscribed to:', topics); // ["chat", "notifications"]

    assert.equal(logged[0][0], 'Subscribed to:');
    assert.deepEqual(differs('subscriptions-order') ? topics : topics.sort(), ['chat', 'notifications']);
  });
});

test('Unsubscribe', async () => {
  const { ws, server } = await pair();
  ws.subscribe('chat');

  ws.unsubscribe('chat');

  assert.equal(ws.isSubscribed('chat'), false);
  assert.equal(server.publish('chat', 'x'), 0);
});

test('Publish from HTTP Handler', async () => {
  const server = Bun.serve({
    websocket: {
      open(ws) {
        ws.subscribe('global');
      },
    },
    async fetch(req, server) {
      if (server.upgrade(req)) return;
      if (req.method === 'POST') {
        const data = await req.text();
        // Publish to all WebSocket subscribers
        server.publish('global', data);
        return new Response('Published');
      }
      return new Response('Send POST to publish');
    },
  });
  const clients = [await RawClient.open({ port: server.port }), await RawClient.open({ port: server.port })];

  const published = await exchange(server, request('POST', '/', {}, 'the news'));
  const hint = await exchange(server, request('GET', '/'));

  assert.deepEqual([published.response.text, hint.response.text], ['Published', 'Send POST to publish']);
  for (const client of clients) await client.expect('TEXT the news');
});

test('Subscriber Count', async () => {
  const { server, connect } = await pair({ open: (ws) => void ws.subscribe('chat') });
  await connect();

  const count = server.subscriberCount('chat');
  console.log(`${count} clients in chat`);

  assert.deepEqual(logged, [['2 clients in chat']]);
});

test('Ping/Pong', async () => {
  const { client, ws } = await pair({
    open(ws) {
      // Manual ping
      ws.ping('optional data');
    },
    ping(ws, data) {
      console.log('Received ping', data);
    },
    pong(ws, data) {
      console.log('Received pong', data);
    },
    message(ws) {
      ws.send('seen');
    },
  });

  await client.expect('PING optional data');
  client.write(pong('optional data'), ping('mine'));
  await client.expect('PONG mine');
  client.text('after both');
  await client.expect('TEXT seen');

  assert.equal(ws.readyState, 1);
  assert.deepEqual(logged, [
    ['Received pong', Buffer.from('optional data')],
    ['Received ping', Buffer.from('mine')],
  ]);
});

test('Automatic Pings', { timeout: 20_000 }, async () => {
  const { client } = await pair({
    idleTimeout: 8, // the default of 120 would send the first ping after 104 s
    sendPings: true, // Default: true
    // Server automatically sends pings
  });

  await client.expect('PING');
});

describe('Closing Connections', () => {
  test('close', async () => {
    const { ws, client } = await pair();

    // Graceful close
    ws.close(1000, 'Normal closure');

    await client.expect('CLOSE 1000 Normal closure', 'FIN');
  });

  test('terminate', async () => {
    const { ws, client } = await pair();

    // Abrupt termination
    ws.terminate();

    await client.expect('FIN');
  });
});

test('Close Codes', async () => {
  for (const code of [1000, 1009, 1011, 1012, 1013, 4000, 4999]) {
    const { ws, client } = await pair();

    ws.close(code);

    await client.expect(`CLOSE ${code}`, 'FIN');
  }
  const { ws, client } = await pair();
  ws.close();
  await client.expect('CLOSE 1000', 'FIN');
});

test('Ready State', async () => {
  const { ws } = await pair();
  const states = [];
  const look = () => {
    const state = ws.readyState;
    // 0 = CONNECTING
    // 1 = OPEN
    // 2 = CLOSING
    // 3 = CLOSED
    states.push(state);
  };

  look();
  ws.close();
  look();

  assert.deepEqual(states, [1, 3]);
});

test('Remote Address', async () => {
  const { ws } = await pair({}, { hostname: '127.0.0.1' });

  console.log(ws.remoteAddress); // "127.0.0.1"

  assert.deepEqual(logged, [['127.0.0.1']]);
});

test('Check Buffered Amount', async () => {
  const { ws, client } = await pair();
  const check = () => {
    const buffered = ws.getBufferedAmount();
    if (buffered > 1024 * 1024) {
      console.log('Too much data buffered');
    }
  };

  check();
  assert.deepEqual(logged, []);
  client.pause();
  ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES));
  check();

  assert.deepEqual(logged, [['Too much data buffered']]);
});

test('Drain Handler', async () => {
  const drains = calls('drain');
  const { ws, client } = await pair({
    drain(ws) {
      console.log('Ready to send more data');
      // Send queued messages
      drains(ws.getBufferedAmount());
    },
  });
  client.pause();
  ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES));

  client.resume();

  for (let left; left !== 0; ) [left] = await drains.next();
  assert.deepEqual(logged[0], ['Ready to send more data']);
});

test('Backpressure Limits', async () => {
  const { ws, client } = await pair({
    backpressureLimit: 1024 * 1024 * 16, // 16 MB (default)
    closeOnBackpressureLimit: false, // Don't auto-close
  });
  client.pause();

  const statuses = [ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES * 2)), ws.send('x')];

  assert.deepEqual([...statuses, ws.readyState], [-1, 0, 1]);
});

test('Corking', async () => {
  const { ws, client } = await pair();

  ws.cork((ws) => {
    ws.send('Message 1');
    ws.send('Message 2');
    ws.send('Message 3');
    // All sent together
  });

  await client.expect('TEXT Message 1', 'TEXT Message 2', 'TEXT Message 3');
  assert.equal(client.chunks.length, 2, 'the handshake and one segment');
});

test('Configuration Options', async () => {
  const { ws, client } = await pair({
    open(ws) {
      ws.subscribe('topic');
    },
    message(ws, message) {
      ws.publish('topic', message);
      ws.send(`${message.length}`);
    },

    // Size limits
    maxPayloadLength: 16 * 1024 * 1024, // 16 MB (default)
    backpressureLimit: 16 * 1024 * 1024, // 16 MB (default)
    closeOnBackpressureLimit: false,

    // Timeouts
    idleTimeout: 120, // seconds (default)

    // Pub/sub
    publishToSelf: false, // Don't echo publishes to sender

    // Pings
    sendPings: true, // Auto-send pings

    // Compression
    perMessageDeflate: {
      compress: true,
      decompress: true,
    },
  });

  client.text('x'.repeat(16 * 1024 * 1024));
  await client.expect(`TEXT ${16 * 1024 * 1024}`);
  client.text('x'.repeat(16 * 1024 * 1024 + 1));

  await client.expect('CLOSE 1009 Received too big message', 'FIN');
  assert.equal(ws.readyState, 3);
});

describe('Compression', () => {
  const OFFER = { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' } };
  /** A message of so many bytes that shrinks. */
  const messageOf = (length) => 'compress this '.repeat(length / 14 + 1).slice(0, length);

  /** Whether each of these sends arrived compressed, at a client that offers compression to a server with this option. */
  async function compressed(perMessageDeflate, ...sends) {
    const { ws, connect } = await pair({ perMessageDeflate });
    ws.terminate();
    const { ws: own, client } = await connect(OFFER);
    const seen = [];
    for (const args of sends) {
      assert.equal(own.send(...args), args[0].length);
      const { rsv1, payload } = await client.frame();
      assert.equal((rsv1 ? inflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }) : payload).toString(), args[0]);
      seen.push(rsv1);
    }
    return seen;
  }

  test('Send Text or Binary: with compression', async () => {
    assert.deepEqual(await compressed(true, ['Compress this message', true], ['Not this one', false], ['Nor this']), [true, false, false]);
  });

  test('compress: "3KB" compresses messages > 3KB', { skip: !differs('compression-threshold') }, async () => {
    const perMessageDeflate = {
      compress: '3KB', // Compress messages > 3KB
      decompress: true,
    };
    // Each in a connection of its own: the second would refer to the first.
    for (const [length, compress, expected] of [
      [3 * 1024, undefined, false],
      [3 * 1024 + 1, undefined, true],
      [3 * 1024 + 1, false, false],
      [10, true, true],
    ]) {
      assert.deepEqual(await compressed(perMessageDeflate, [messageOf(length), compress]), [expected], `${length} ${compress}`);
    }
  });

  for (const level of ['disable', 'shared', 'dedicated', '3KB', '4KB', '8KB', '16KB', '32KB', '64KB', '128KB', '256KB']) {
    test(`compression level ${level}`, async () => {
      const perMessageDeflate = { compress: level, decompress: true };
      assert.deepEqual(await compressed(perMessageDeflate, [messageOf(1000), true]), [level !== 'disable']);
    });
  }
});

test('Type Signatures: every member of ServerWebSocket is there', async () => {
  const { ws } = await pair();

  const sending = [
    'send',
    'sendText',
    'sendBinary',
    'publish',
    'publishText',
    'publishBinary',
    'ping',
    'pong',
    'cork',
    'getBufferedAmount',
  ];
  for (const name of [...sending, 'close', 'terminate', 'subscribe', 'unsubscribe', 'isSubscribed'])
    assert.equal(typeof ws[name], 'function', name);
  assert.ok(Array.isArray(ws.subscriptions));
  assert.deepEqual([typeof ws.remoteAddress, ws.readyState, ws.binaryType, ws.data], ['string', 1, 'nodebuffer', undefined]);
  assert.equal(
    ws.cork(() => 'value'),
    'value',
  );
});
