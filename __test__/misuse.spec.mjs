// Every member of a socket, a server and a request, in every state and from inside every handler, with the wrong `this` and with arguments that
// do something: the answer is a value or an exception, the same as anywhere else.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { acting, HANDLERS, PROVOKE } from './support/acting.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, pair, serveSockets } from './support/connect.mjs';
import { killPrograms, run } from './support/program.mjs';
import { handshake, RawClient } from './support/raw-client.mjs';
import { connectTo, exchange, readResponse, request } from './support/raw-http.mjs';
import { isOracle, serve } from './support/target.mjs';

afterEach(cleanUp);
afterEach(killPrograms);

/** MANTOU_MISUSE_SEED: other calls than the usual ones. */
const SEED = Number(process.env.MANTOU_MISUSE_SEED ?? 20250102);

/** What `ask` gives: its value, or the exception as text. */
function answer(ask) {
  try {
    return ask();
  } catch (error) {
    return `${error.name} ${error.code}`;
  }
}

const answers = (questions, ...subjects) =>
  Object.fromEntries(Object.entries(questions).map(([name, ask]) => [name, answer(() => ask(...subjects))]));

/** Bytes, or the -1 of a socket that has not got rid of earlier ones. */
const taken = (status) => (status > 0 || status === -1 ? 'taken' : status);

/** Every method of a socket, used well and badly, but those that end it. */
const SOCKET = {
  send: (ws) => taken(ws.send('x')),
  sendText: (ws) => taken(ws.sendText('x')),
  sendBinary: (ws) => taken(ws.sendBinary(Buffer.from('x'))),
  'send without data': (ws) => ws.send(),
  'send of a symbol': (ws) => ws.send(Symbol('s')),
  'sendBinary of a string': (ws) => ws.sendBinary('x'),
  ping: (ws) => taken(ws.ping('x')),
  pong: (ws) => taken(ws.pong('x')),
  publish: (ws) => ws.publish('nobody', 'x'),
  publishText: (ws) => ws.publishText('nobody', 'x'),
  publishBinary: (ws) => ws.publishBinary('nobody', Buffer.from('x')),
  'publish without data': (ws) => ws.publish('nobody'),
  subscribe: (ws) => ws.subscribe('room'),
  isSubscribed: (ws) => ws.isSubscribed('room'),
  subscriptions: (ws) => ws.subscriptions,
  unsubscribe: (ws) => ws.unsubscribe('room'),
  'unsubscribe again': (ws) => ws.unsubscribe('room'),
  'subscribe to no string': (ws) => ws.subscribe(5),
  cork: (ws) => ws.cork((own) => own === ws),
  'cork with a throw': (ws) =>
    ws.cork(() => {
      throw new RangeError('mine');
    }),
  'cork of nothing': (ws) => ws.cork(),
  getBufferedAmount: (ws) => typeof ws.getBufferedAmount(),
  pause: (ws) => [ws.pause(), ws.isPaused],
  resume: (ws) => [ws.resume(), ws.isPaused],
  readyState: (ws) => ws.readyState,
  remoteAddress: (ws) => typeof ws.remoteAddress,
  binaryType(ws) {
    ws.binaryType = 'uint8array';
    return ws.binaryType;
  },
  'a wrong binaryType'(ws) {
    ws.binaryType = 'text';
  },
  data(ws) {
    ws.data = 'mine';
    return ws.data;
  },
  'close with no number': (ws) => ws.close('no number'),
};
const OPEN = {
  send: 'taken',
  sendText: 'taken',
  sendBinary: 'taken',
  'send without data': 'Error undefined',
  'send of a symbol': 'TypeError undefined',
  'sendBinary of a string': 'Error undefined',
  ping: 'taken',
  pong: 'taken',
  publish: 0,
  publishText: 0,
  publishBinary: 0,
  'publish without data': 'Error undefined',
  subscribe: true,
  isSubscribed: true,
  subscriptions: ['room'],
  unsubscribe: true,
  'unsubscribe again': false,
  'subscribe to no string': 'TypeError ERR_INVALID_ARG_TYPE',
  cork: true,
  'cork with a throw': 'RangeError undefined',
  'cork of nothing': 'TypeError ERR_MISSING_ARGS',
  getBufferedAmount: 'number',
  pause: [undefined, true],
  resume: [undefined, false],
  readyState: 1,
  remoteAddress: 'string',
  binaryType: 'uint8array',
  'a wrong binaryType': 'Error undefined',
  data: 'mine',
  'close with no number': 'TypeError ERR_INVALID_ARG_TYPE',
};
const CLOSED = {
  ...OPEN,
  ...Object.fromEntries(['send', 'sendText', 'sendBinary', 'ping', 'pong'].map((name) => [name, 0])),
  ...Object.fromEntries(['subscribe', 'isSubscribed', 'unsubscribe', 'subscribe to no string'].map((name) => [name, false])),
  'send without data': 0,
  'send of a symbol': 0,
  'sendBinary of a string': 0,
  subscriptions: [],
  pause: [undefined, false],
  readyState: 3,
  remoteAddress: differs('remote-address-kept') ? 'string' : 'undefined',
  'close with no number': undefined,
};

/** How the socket gets into a state. */
const STATES = {
  open: () => {},
  'ended by close()': (ws) => ws.close(),
  'ended by terminate()': (ws) => ws.terminate(),
  'ended by stop(true)': (_ws, server) => server.stop(true),
};

describe('a socket', () => {
  for (const place of HANDLERS) {
    for (const [state, reach] of Object.entries(STATES)) {
      const isClosed = place === 'close' || state !== 'open';

      test(`${state}, asked everything in ${place}, answers as anywhere`, async () => {
        const seen = [];
        const { start, ran, socket } = acting(place, (ws, server) => {
          reach(ws, server);
          seen.push(answers(SOCKET, ws), answers(SOCKET, ws));
        });
        const client = await RawClient.open({ port: start().port });

        await PROVOKE[place]({ client, ws: socket() });
        await ran.next();

        const expected = isClosed ? CLOSED : OPEN;
        assert.deepEqual(seen, [expected, expected]);
        assert.deepEqual(answers(SOCKET, socket()), expected);
      });
    }

    test(`whose methods are called on something else in ${place} throws, and goes on`, async () => {
      const seen = new Set();
      const { start, ran, socket } = acting(place, (ws, server) => {
        const prototype = Object.getPrototypeOf(ws);
        for (const [name, { value, get, set }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
          if (name === 'constructor') continue;
          for (const self of [undefined, null, 5, 'text', {}, server, prototype, Object.create(ws)]) {
            // A getter of the prototype's own is asked by whoever prints or copies it.
            for (const member of [value, get, set]) if (typeof member === 'function') seen.add(answer(() => member.call(self, 'a', 'b')));
          }
        }
      });
      const server = start();
      const client = await RawClient.open({ port: server.port });

      await PROVOKE[place]({ client, ws: socket() });
      await ran.next();

      for (const one of seen) assert.match(String(one), /^TypeError /);
      assert.equal((await exchange(server, request('GET', '/'))).response.text, 'plain');
    });
  }

  test('forgotten by everyone but one reference answers as a closed one', async () => {
    const { ws, server } = await pair();

    await server.stop(true);
    await new Promise((resolve) => setTimeout(resolve));

    assert.deepEqual(answers(SOCKET, ws), CLOSED);
  });
});

describe('a server', () => {
  let kept;
  const start = (handlers) =>
    serveSockets(handlers, {
      hostname: '127.0.0.1',
      development: false,
      fetch(req, own) {
        if (own.upgrade(req)) return;
        kept = req;
        return new Response('plain');
      },
    });

  /** Everything but stop(), and fetch(), which answers later. */
  const SERVER = {
    publish: (server) => server.publish('nobody', 'x'),
    'publish without data': (server) => server.publish('nobody'),
    'publish to a symbol': (server) => server.publish(Symbol('s'), 'x'),
    subscriberCount: (server) => server.subscriberCount('nobody'),
    'subscriberCount of nothing': (server) => server.subscriberCount(),
    'upgrade of an answered request': (server) => server.upgrade(kept),
    'upgrade of a request of nobody': (server) => server.upgrade(new Request('http://localhost/')),
    'upgrade of something else': (server) => server.upgrade({}),
    'requestIP of an answered request': (server) => server.requestIP(kept),
    'requestIP of something else': (server) => server.requestIP({}),
    ref: (server) => server.ref() === server,
    unref: (server) => server.unref() === server,
    'ref again': (server) => server.ref() === server,
    reload: (server) => server.reload({ fetch: () => new Response('reloaded') }) === server,
    'reload with nothing': (server) => server.reload(),
    'reload with a wrong handler': (server) => server.reload({ fetch: 5 }),
    pendingRequests: (server) => typeof server.pendingRequests,
    pendingWebSockets: (server) => typeof server.pendingWebSockets,
    hostname: (server) => server.hostname,
    protocol: (server) => server.protocol,
    id: (server) => server.id,
    development: (server) => server.development,
    url: (server) => server.url.hostname,
    port: (server) => server.port > 0,
  };
  const EXPECTED = {
    publish: 0,
    'publish without data': 'TypeError ERR_INVALID_ARG_TYPE',
    'publish to a symbol': 'TypeError undefined',
    subscriberCount: 0,
    'subscriberCount of nothing': 'TypeError ERR_MISSING_ARGS',
    'upgrade of an answered request': false,
    'upgrade of a request of nobody': false,
    'upgrade of something else': 'TypeError ERR_INVALID_ARG_TYPE',
    'requestIP of an answered request': null,
    'requestIP of something else': 'TypeError ERR_INVALID_ARG_TYPE',
    ref: true,
    unref: true,
    'ref again': true,
    reload: true,
    'reload with nothing': 'TypeError ERR_MISSING_ARGS',
    'reload with a wrong handler': 'TypeError ERR_INVALID_ARG_TYPE',
    pendingRequests: 'number',
    pendingWebSockets: 'number',
    hostname: '127.0.0.1',
    protocol: 'http',
    id: '',
    development: false,
    url: '127.0.0.1',
    port: true,
  };
  const SERVER_STATES = {
    running: () => {},
    stopping: (server) => server.stop(),
    stopped: (server) => server.stop(true),
  };

  for (const place of HANDLERS) {
    for (const [state, reach] of Object.entries(SERVER_STATES)) {
      test(`${state}, asked everything in ${place} of another, answers as anywhere`, async () => {
        const asked = start({});
        await exchange(asked, request('GET', '/'));
        const client = await RawClient.open(asked);
        const seen = [];
        const {
          start: startOther,
          ran,
          socket,
        } = acting(place, () => {
          reach(asked);
          seen.push(answers(SERVER, asked), answers(SERVER, asked));
        });
        const other = await RawClient.open({ port: startOther().port });

        await PROVOKE[place]({ client: other, ws: socket() });
        await ran.next();

        const expected = { ...EXPECTED, port: state === 'running' };
        if (state === 'stopped') expected['upgrade of something else'] = false;
        assert.deepEqual(seen, [expected, expected]);
        assert.equal(await asked.fetch('/').then((response) => response.text()), 'reloaded');
        client.halfClose();
        await client.ended();
      });
    }
  }
});

describe('a request', () => {
  /** Everything one can ask of a Request; what is a promise settles. */
  const REQUEST = {
    url: (req) => typeof req.url,
    method: (req) => req.method,
    headers: (req) => req.headers.get('host'),
    signal: (req) => typeof req.signal.aborted,
    clone: (req) => typeof req.clone(),
    text: (req) => req.text(),
    json: (req) => req.json(),
    arrayBuffer: (req) => req.arrayBuffer(),
    body: (req) => typeof req.body,
    bodyUsed: (req) => typeof req.bodyUsed,
    upgrade: (req, server) => server.upgrade(req),
    requestIP: (req, server) => server.requestIP(req),
    'fetch of the server': (req, server) => server.fetch(req).then(({ status }) => status),
  };
  const ENDS = {
    'that was answered': async ({ client, answer }) => {
      answer(new Response('x'));
      await readResponse(client, 'POST');
    },
    'whose client has left': async ({ client, req }) => {
      client.destroy();
      await new Promise((resolve) => req.signal.addEventListener('abort', resolve));
    },
    'whose server was stopped by force': ({ server }) => server.stop(true),
  };

  for (const [what, end] of Object.entries(ENDS)) {
    for (const hasBody of [true, false]) {
      test(`${what}, ${hasBody ? 'with' : 'without'} a body, answers everything, and at once`, async () => {
        const arrivals = calls('a request');
        const server = serve({
          development: false,
          fetch: (req) => (arrivals.all.length > 0 ? new Response('again') : new Promise((answer) => arrivals({ req, answer }))),
          websocket: {},
        });
        const client = await connectTo(server);
        // The half of the body that is missing never comes.
        client.write(hasBody ? request('POST', '/', { 'Content-Length': 10 }, 'half ') : request('GET', '/'));
        const [{ req, answer: give }] = await arrivals.next();

        await end({ server, client, req, answer: give });

        for (const [name, ask] of Object.entries(REQUEST)) {
          const given = answer(() => ask(req, server));
          const settled = calls(name);
          Promise.resolve(given).then(settled, settled);
          await settled.next();
        }
        assert.deepEqual([server.upgrade(req), server.requestIP(req), req.method], [false, null, hasBody ? 'POST' : 'GET']);
      });
    }
  }

  test('can be upgraded once, and never after it was answered', async () => {
    const seen = [];
    const server = serveSockets(
      {},
      {
        fetch(req, own) {
          seen.push(own.upgrade(req), own.upgrade(req), own.requestIP(req));
        },
      },
    );
    const client = await RawClient.open(server);

    client.halfClose();
    await client.ended();

    assert.deepEqual(seen, [true, false, null]);
  });
});

describe('an argument that does something when it is read', () => {
  test('closes the socket: the reason of close()', async () => {
    const closes = calls('close');
    const { client, ws } = await pair({ close: (_ws, code) => closes(code) });

    ws.close(4000, {
      toString() {
        ws.terminate();
        return 'too late';
      },
    });

    assert.deepEqual(closes.all, [[1006]]);
    await client.expect('FIN');
  });

  test('stops the server: the topic of publish() and subscriberCount()', async () => {
    const closes = calls('close');
    const stopping = (server) => ({
      toString() {
        server.stop(true);
        return 'topic';
      },
    });
    for (const use of [(server) => server.publish(stopping(server), 'x'), (server) => server.subscriberCount(stopping(server))]) {
      const { server } = await pair({ open: (ws) => void ws.subscribe('topic'), close: () => closes() });

      assert.equal(use(server), 0);
    }
    assert.equal(closes.all.length, 2);
  });

  for (const [what, options] of [
    [
      'data',
      (act) => ({
        get data() {
          return act();
        },
      }),
    ],
    [
      'headers',
      (act) => ({
        get headers() {
          return act();
        },
      }),
    ],
    ['the value of a header', (act) => ({ headers: { 'x-own': { toString: () => String(act()) } } })],
  ]) {
    test(`upgrades the request itself: ${what} of upgrade()`, async () => {
      const seen = [];
      const opens = calls('open');
      const server = serveSockets(
        { open: (ws) => opens(ws) },
        {
          fetch(req, own) {
            seen.push(
              own.upgrade(
                req,
                options(() => void seen.push(own.upgrade(req))),
              ),
            );
          },
        },
      );
      const client = await RawClient.open(server);

      client.halfClose();
      await client.ended();

      assert.deepEqual(seen, [true, false]);
      assert.equal(opens.all.length, 1);
    });

    test(`stops the server by force: ${what} of upgrade()`, async () => {
      const seen = calls('upgrade()');
      const server = serveSockets(
        {},
        {
          fetch(req, own) {
            const stop = () => void own.stop(true);
            seen(own.upgrade(req, options(stop)));
          },
        },
      );
      const client = await connectTo(server);

      client.write(handshake());

      assert.deepEqual(await seen.next(), [false]);
      await client.ended();
      assert.equal(client.bytes.length, 0);
    });
  }
});

describe('nested', () => {
  test('close() of every socket in the close handler of each gives each one event', async () => {
    const sockets = [];
    const closes = calls('close');
    const { connect } = await pair({
      open: (ws) => void sockets.push(ws),
      close(ws, code) {
        closes(sockets.indexOf(ws), code);
        for (const other of sockets) other.close(4000 + sockets.indexOf(other));
      },
    });
    const clients = [];
    for (let count = 1; count < 20; count++) clients.push((await connect()).client);

    sockets[0].close(4000);

    assert.deepEqual(
      closes.all,
      sockets.map((_, index) => [index, 4000 + index]),
    );
    for (const [index, client] of clients.entries()) await client.expect(`CLOSE ${4001 + index}`, 'FIN');
  });

  test('stop(true) in every close handler of stop(true) ends all the same', async () => {
    const closes = calls('close');
    const { server, connect } = await pair({
      close(_ws, code) {
        closes(code);
        server.stop(true);
      },
    });
    for (let count = 1; count < 5; count++) await connect();

    await server.stop(true);

    assert.deepEqual(closes.all.flat(), Array(5).fill(1001));
    assert.equal(server.pendingWebSockets, 0);
  });

  test('whoever is terminated while a message is published gets none, and those who remain get all', async () => {
    const sockets = [];
    const { client, connect, server } = await pair({
      open(ws) {
        sockets.push(ws);
        ws.subscribe('room');
      },
      close: () => server.publish('room', 'someone left'),
      message() {
        sockets[1].terminate();
        sockets[0].publish('room', 'hello');
      },
    });
    const gone = await connect();
    const stays = await connect();

    client.text('go');

    await client.expect('TEXT someone left');
    await stays.client.expect('TEXT someone left', 'TEXT hello');
    await gone.client.expect('FIN');
  });
});

test(`ten thousand random calls from everywhere neither abort nor hang a process (seed ${SEED})`, {
  skip: isOracle,
  timeout: 120_000,
}, async () => {
  const program = run(`import ${JSON.stringify(new URL('./fixtures/random-calls.mjs', import.meta.url).href)};`, { SEED: String(SEED) });

  let line = '';
  while (!line.startsWith('{')) line = await program.line();

  const { values, exceptions, answers } = JSON.parse(line);
  assert.ok(values > 1000 && exceptions > 1000 && answers > 100, line);
  const { code, signal, stderr } = await program.exited();
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
});
