// server.upgrade(): what it returns and throws, which handshakes it accepts, the bytes of the answer, `data`, early frames, routes.

import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, pair, serveSockets } from './support/connect.mjs';
import { killPrograms, run } from './support/program.mjs';
import { acceptFor, close, HANDSHAKE_ACCEPT, handshake, ping, RawClient, randomKey, text } from './support/raw-client.mjs';
import { isBunRuntime, serve } from './support/target.mjs';
import { invalidArgType, throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);
afterEach(killPrograms);

const echo = { message: (ws, message) => ws.send(`re:${message}`) };
const greet = { ...echo, open: (ws) => ws.send('hello') };

/** Sends one handshake to a server with this `fetch` and returns the client; the answer is not read yet. */
async function shake(fetch, { websocket = echo, bytes = [], ...request } = {}) {
  const server = serve({ fetch, websocket });
  const client = await RawClient.connect({ port: server.port });
  client.write(handshake(request), ...bytes);
  return client;
}

/** The answer to a handshake at a server that upgrades with these options. */
async function answerTo(upgrade, request) {
  const client = await shake((req, server) => {
    if (!server.upgrade(req, upgrade)) return new Response('refused');
  }, request);
  return client.response();
}

/** The names of the response's header lines, lower-case, in order. */
const namesOf = ({ headers }) => headers.map(([name]) => name.toLowerCase());

describe('upgrade() returns', () => {
  test('true for a valid handshake, after the open handler has run', async () => {
    const order = [];
    const client = await shake(
      (req, server) => {
        order.push('fetch');
        order.push(server.upgrade(req));
      },
      { websocket: { open: () => order.push('open'), message: (ws) => ws.send(order.join()) } },
    );

    assert.equal((await client.response()).status, 101);
    client.text('order?');
    await client.expect('TEXT fetch,open,true');
  });

  test('false the second time', async () => {
    const results = calls('upgrade()');
    const client = await shake((req, server) => {
      results(server.upgrade(req));
      results(server.upgrade(req));
    });

    assert.equal((await client.response()).status, 101);
    assert.deepEqual(results.all, [[true], [false]]);
  });

  test('false once a Response was sent', async () => {
    const requests = calls('a request');
    const server = serve({
      fetch(req, own) {
        requests(req, own);
        return new Response('sent');
      },
      websocket: echo,
    });
    const client = await RawClient.connect({ port: server.port });
    client.write(handshake());
    assert.equal(String((await client.response()).body), 'sent');

    const [req] = await requests.next();

    assert.equal(server.upgrade(req), false);
  });

  test('false when the client has gone', async () => {
    const results = calls('upgrade()');
    const client = await shake(async (req, server) => {
      const gone = new Promise((resolve) => req.signal.addEventListener('abort', resolve));
      client.destroy();
      await gone;
      results(server.upgrade(req));
    });

    assert.deepEqual(await results.next(), [false]);
  });

  test('false for a Request of the user and for a clone', async () => {
    const results = calls('upgrade()');
    const client = await shake((req, server) => {
      results(server.upgrade(new Request('http://127.0.0.1/', { headers: req.headers })));
      results(server.upgrade(req.clone()));
      results(server.upgrade(req));
    });

    assert.equal((await client.response()).status, 101);
    assert.deepEqual(results.all, [[false], [false], [true]]);
  });

  const unusable = [5, 'x', { headers: 5 }, { headers: { 'bad name': 'x' } }];
  for (const options of unusable) {
    test(`false for what cannot be upgraded, whatever the options: ${JSON.stringify(options)}`, async () => {
      const requests = calls('a request');
      const server = serve({
        fetch(req) {
          requests(req);
          return new Response('sent');
        },
        websocket: echo,
      });
      const client = await RawClient.connect({ port: server.port });
      client.write(handshake());
      assert.equal(String((await client.response()).body), 'sent');
      const [answered] = await requests.next();

      assert.equal(server.upgrade(answered, options), false);
      assert.equal(server.upgrade(new Request('http://127.0.0.1/'), options), false);
    });
  }

  for (const options of unusable) {
    test(`false for a request that is no handshake, whatever the options: ${JSON.stringify(options)}`, async () => {
      const response = await answerTo(options, { headers: { 'Sec-WebSocket-Key': undefined } });
      assert.deepEqual([response.status, String(response.body)], [200, 'refused']);

      const outdated = await answerTo(options, { headers: { 'Sec-WebSocket-Version': '12' } });
      assert.equal(outdated.status, 426);
    });
  }

  test('true after an await', async () => {
    const client = await shake(
      async (req, server) => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        assert.equal(server.upgrade(req), true);
      },
      { websocket: greet },
    );

    assert.equal((await client.response()).status, 101);
    client.text('a');
    await client.expect('TEXT hello', 'TEXT re:a');
  });

  test('true inside the error handler', async () => {
    const server = serve({
      fetch(req) {
        throw Object.assign(new Error('upgrade me'), { req });
      },
      error(error) {
        assert.equal(this.upgrade(error.req), true);
      },
      websocket: echo,
    });
    const client = await RawClient.open({ port: server.port });

    client.text('a');

    await client.expect('TEXT re:a');
  });

  test('true after a graceful stop() began, which then waits for that socket', async () => {
    const fetches = calls('fetch');
    const server = serve({
      fetch(req, own) {
        return new Promise((resolve) => fetches(() => resolve(own.upgrade(req) ? undefined : new Response('refused'))));
      },
      websocket: echo,
    });
    const client = await RawClient.connect({ port: server.port });
    client.write(handshake());
    const [upgradeNow] = await fetches.next();
    const stops = calls('the end of stop()');

    server.stop().then(() => stops());
    upgradeNow();
    assert.equal((await client.response()).status, 101);
    client.text('a');
    await client.expect('TEXT re:a');
    assert.equal(stops.all.length, 0);
    client.write(close(1000));

    await client.expect('CLOSE 1000', 'FIN');
    await stops.next();
  });
});

describe('upgrade() throws', () => {
  /** Throws what `attempt(req, server)` threw inside fetch; the request stays answerable. */
  async function outcomeOf(attempt) {
    let outcome = () => {};
    const client = await shake((req, server) => {
      try {
        attempt(req, server);
      } catch (error) {
        outcome = () => {
          throw error;
        };
      }
      return new Response('still answerable');
    });
    assert.equal(String((await client.response()).body), 'still answerable');
    return outcome;
  }
  /** The same for `upgrade()` with the arguments that `args(req)` makes. */
  const refusal = (args) => outcomeOf((req, server) => server.upgrade(...args(req)));

  test('without an argument', async () => {
    throwsExactly(await refusal(() => []), invalidArgType('Missing argument'));
  });

  for (const value of [null, undefined, {}, 'x', 5, new Response('x')]) {
    test(`when the request is ${typeof value === 'string' ? `"${value}"` : value}`, async () => {
      throwsExactly(await refusal(() => [value]), invalidArgType('upgrade requires a Request object'));
    });
  }

  for (const value of [5, 'x', true]) {
    test(`when the options are ${JSON.stringify(value)}`, async () => {
      throwsExactly(await refusal((req) => [req, value]), invalidArgType('upgrade options must be an object'));
    });

    test(`when options.headers are ${JSON.stringify(value)}`, async () => {
      throwsExactly(
        await refusal((req) => [req, { headers: value }]),
        invalidArgType('upgrade options.headers must be a Headers or an object'),
      );
    });
  }

  test('for a request of another server', async () => {
    const other = serveSockets({});

    const act = await outcomeOf((req) => other.upgrade(req));

    throwsExactly(act, invalidArgType('upgrade() must be called on the same server that received the request'));
  });

  for (const [what, headers, message] of [
    ['name', { 'bad name': 'x' }, "Invalid header name: 'bad name'"],
    ['value with a line break', { x: 'a\r\nb: c' }, "Header 'x' has invalid value"],
    ['value beyond latin1', { x: 'a\u0100' }, "Header 'x' has invalid value"],
  ]) {
    test(`for an invalid header ${what}`, async () => {
      const act = await refusal((req) => [req, { headers }]);

      // Headers of the host does the check, and words it.
      if (differs('host-classes') && !isBunRuntime) assert.throws(act, TypeError);
      else throwsExactly(act, { name: 'TypeError', message });
    });
  }

  test('what a getter of the options throws', async () => {
    const options = {
      get data() {
        throw new RangeError('from the getter');
      },
    };

    throwsExactly(await refusal((req) => [req, options]), { name: 'RangeError', message: 'from the getter' });
  });

  for (const options of [null, undefined, {}, [], { headers: null }, { headers: undefined }, { headers: {} }, { unknown: 1 }]) {
    test(`nothing for the options ${JSON.stringify(options)}`, async () => {
      assert.equal((await answerTo(options)).status, 101);
    });
  }
});

describe('after upgrade()', () => {
  test('a returned Response is ignored', async () => {
    const client = await shake((req, server) => {
      server.upgrade(req);
      return new Response('ignored');
    });

    client.text('a');

    assert.equal((await client.response()).status, 101);
    await client.expect('TEXT re:a');
  });

  test('a promise of a Response is ignored', async () => {
    const answered = calls('the end of fetch');
    const client = await shake(async (req, server) => {
      server.upgrade(req);
      await new Promise((resolve) => setTimeout(resolve, 5));
      answered();
      return new Response('ignored');
    });
    assert.equal((await client.response()).status, 101);

    await answered.next();
    client.text('a');

    await client.expect('TEXT re:a');
  });

  test('an exception goes to the error handler, whose Response is discarded', async () => {
    const errors = calls('error');
    const server = serve({
      fetch(req, own) {
        own.upgrade(req);
        throw new Error('too late');
      },
      error(error) {
        errors(error.message);
        return new Response('discarded');
      },
      websocket: echo,
    });
    const client = await RawClient.open({ port: server.port });

    client.text('a');

    await client.expect('TEXT re:a');
    assert.deepEqual(errors.all, [['too late']]);
  });

  for (const [what, before] of [
    ['at once', ''],
    ['later', 'await new Promise(setImmediate);'],
  ]) {
    test(`a rejection ${what} is an unhandledRejection, which the error handler does not hear of`, async () => {
      const program = run(`
        process.on('unhandledRejection', (error) => print(['unhandledRejection', error.message, server.pendingRequests]));
        const server = serve({
          async fetch(req, own) {
            own.upgrade(req);
            ${before}
            throw new Error('too late');
          },
          error: () => print('error'),
          websocket: { message: (ws, message) => ws.send(message) },
        });
        print(server.port);
      `);
      const client = await RawClient.open({ port: Number(await program.line()) });

      assert.equal(await program.line(), 'unhandledRejection,too late,0');

      client.text('still here');
      await client.expect('TEXT still here');
    });
  }

  test('the socket can be used before fetch returns', async () => {
    let ws;
    const client = await shake(
      (req, server) => {
        server.upgrade(req);
        ws.send('from fetch');
        ws.close(4000, 'from fetch too');
      },
      { websocket: { open: (own) => (ws = own) } },
    );

    assert.equal((await client.response()).status, 101);
    await client.expect('TEXT from fetch', 'CLOSE 4000 from fetch too', 'FIN');
  });

  test('close() in open shows the client 101 and then the close frame', async () => {
    const client = await shake((req, server) => void server.upgrade(req), { websocket: { open: (ws) => ws.close(4001, 'no') } });

    assert.equal((await client.response()).status, 101);
    await client.expect('CLOSE 4001 no', 'FIN');
  });

  test('url, method and headers of the request stay readable', async () => {
    const requests = calls('a request');
    const client = await shake(
      (req, server) => {
        const { url } = req;
        const agent = req.headers.get('user-agent');
        server.upgrade(req);
        requests(req, url, agent);
      },
      { path: '/chat?room=1', headers: { 'User-Agent': 'raw' } },
    );
    await client.response();

    const [req, url, agent] = await requests.next();

    assert.equal(url, 'http://127.0.0.1/chat?room=1');
    assert.deepEqual([req.url, req.method, req.headers.get('user-agent')], [url, 'GET', agent]);
  });

  test('requestIP() is null and timeout() does nothing', async () => {
    const seen = calls('fetch');
    const client = await shake((req, server) => {
      const before = server.requestIP(req);
      server.upgrade(req);
      seen(before.port, server.requestIP(req), server.timeout(req, 1));
    });

    assert.equal((await client.response()).status, 101);
    assert.deepEqual(await seen.next(), [client.localPort, null, undefined]);
  });

  test('req.signal aborts when the socket closes, before the close handler', async () => {
    const order = calls('a step');
    const client = await shake(
      (req, server) => {
        req.signal.addEventListener('abort', () => order('abort', req.signal.reason.name));
        server.upgrade(req);
        order('upgraded', req.signal.aborted);
      },
      { websocket: { ...echo, close: () => order('close') } },
    );
    assert.equal((await client.response()).status, 101);

    client.text('a');
    await client.expect('TEXT re:a');
    assert.equal(order.all.length, 1);
    client.write(close(1000));

    assert.deepEqual(await order.count(3), [['upgraded', false], ['abort', 'AbortError'], ['close']]);
  });

  for (const when of ['before', 'behind']) {
    test(`the signal of a copy that is made ${when} the upgrade aborts when the socket closes`, async () => {
      const aborts = calls('an abort');
      const kept = [];
      const client = await shake((req, server) => {
        const copy = () => {
          const made = new Request(req);
          made.signal.addEventListener('abort', () => aborts(made.signal.reason.name));
          kept.push(req, made);
        };
        if (when === 'before') copy();
        server.upgrade(req);
        if (when === 'behind') copy();
      });
      assert.equal((await client.response()).status, 101);

      client.write(close(1000));

      assert.deepEqual(await aborts.next(), ['AbortError']);
      assert.equal(kept[0].signal.aborted, true);
    });
  }

  test('pendingWebSockets is 1 in open, message and close, and 0 afterwards', async () => {
    const counts = calls('a handler');
    const count = (ws) => counts(ws.readyState, server.pendingWebSockets);
    const server = serveSockets({ open: count, message: count, close: count });
    const client = await RawClient.open({ port: server.port });

    client.write(text('a'), close(1000));
    await client.expect('CLOSE 1000', 'FIN');

    assert.deepEqual(counts.all, [
      [1, 1],
      [1, 1],
      [3, 1],
    ]);
    assert.equal(server.pendingWebSockets, 0);
  });
});

describe('the handshake', () => {
  const accepted = {
    'Upgrade in capitals': { Upgrade: 'WebSocket' },
    'Upgrade as the first of a list': { Upgrade: 'websocket, h2c' },
    'Upgrade as the second of a list': { Upgrade: 'h2c, websocket' },
    'Upgrade in a list without spaces': { Upgrade: 'h2c,websocket,x' },
    'Upgrade on two lines': { Upgrade: ['h2c', 'websocket'] },
    'no Connection': { Connection: undefined },
    'Connection: keep-alive': { Connection: 'keep-alive' },
    'Connection: close': { Connection: 'close' },
    'spaces around the version': { 'Sec-WebSocket-Version': '  13  ' },
    'an unknown extension': { 'Sec-WebSocket-Extensions': 'x-unknown; a=1' },
    'an Origin': { Origin: 'http://elsewhere.example' },
  };
  for (const [what, headers] of Object.entries(accepted)) {
    test(`is accepted with ${what}`, async () => {
      const response = await answerTo(undefined, { headers });

      assert.equal(response.status, 101);
      assert.equal(response.header('sec-websocket-accept'), HANDSHAKE_ACCEPT);
      assert.equal(response.header('sec-websocket-extensions'), undefined);
    });
  }

  const refused = {
    'no Upgrade': { Upgrade: undefined },
    'an empty Upgrade': { Upgrade: '' },
    'another Upgrade': { Upgrade: 'h2c' },
    'an Upgrade that only begins right': { Upgrade: 'websocketx' },
    'an Upgrade with a version': { Upgrade: 'websocket/13' },
    'no key': { 'Sec-WebSocket-Key': undefined },
    'an empty key': { 'Sec-WebSocket-Key': '' },
    'a short key': { 'Sec-WebSocket-Key': 'c2hvcnQ=' },
    'a key of 23 characters': { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ=' },
    'a key of 25 characters': { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ===' },
    'a key that is not base64': { 'Sec-WebSocket-Key': '!!hlIHNhbXBsZSBub25jZQ==' },
    'a key of 18 bytes': { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQAA' },
    'two keys': { 'Sec-WebSocket-Key': ['dGhlIHNhbXBsZSBub25jZQ==', 'dGhlIHNhbXBsZSBub25jZQ=='] },
    'a bad key and another version': { 'Sec-WebSocket-Key': 'x', 'Sec-WebSocket-Version': '8' },
  };
  for (const [what, headers] of Object.entries(refused)) {
    test(`is refused with ${what}: upgrade() is false and the Response is sent`, async () => {
      const response = await answerTo(undefined, { headers });

      assert.equal(response.status, 200);
      assert.equal(String(response.body), 'refused');
    });
  }

  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    test(`is refused with the method ${method}`, async () => {
      assert.equal(String((await answerTo(undefined, { method })).body), 'refused');
    });
  }

  test('is refused with the method HEAD', async () => {
    const client = await shake((req, server) => new Response(String(server.upgrade(req))), { method: 'HEAD' });

    const response = await client.response({ bodyOf: 'HEAD' });

    assert.equal(response.status, 200);
    assert.equal(response.header('content-length'), String('false'.length));
  });

  for (const [what, version] of [
    ['no version', undefined],
    ['version 12', '12'],
    ['version 013', '013'],
    ['two versions in a list', '8, 13'],
    ['the version twice', ['13', '13']],
  ]) {
    test(`gets 426 from upgrade() itself with ${what}`, async () => {
      const results = calls('upgrade()');
      const client = await shake(
        (req, server) => {
          results(server.upgrade(req));
          return new Response('ignored', { status: 418 });
        },
        { headers: { 'Sec-WebSocket-Version': version } },
      );

      const response = await client.response();

      assert.deepEqual([response.status, response.reason], [426, 'Upgrade Required']);
      assert.equal(response.header('sec-websocket-version'), '13');
      assert.equal(response.header('connection'), 'close');
      assert.deepEqual(await client.rest(), []);
      assert.deepEqual(results.all, [[false]]);
    });
  }

  test('may be HTTP/1.0, also without a Host', async () => {
    assert.equal((await answerTo(undefined, { version: 'HTTP/1.0' })).status, 101);
    assert.equal((await answerTo(undefined, { version: 'HTTP/1.0', headers: { Host: undefined } })).status, 101);
  });

  test('gets 400 without a Host in HTTP/1.1, fetch is not called', async () => {
    const client = await shake(() => assert.fail('fetch was called'), { headers: { Host: undefined } });

    assert.equal((await client.response()).status, 400);
    assert.equal(await client.ended(), 'FIN');
  });

  test('may have a body, which is no frame', async () => {
    const client = await shake((req, server) => void server.upgrade(req), {
      websocket: greet,
      headers: { 'Content-Length': '3' },
      bytes: ['abc'],
    });
    assert.equal((await client.response()).status, 101);
    await client.expect('TEXT hello');

    client.text('a');

    await client.expect('TEXT re:a');
  });

  test('may be the second request of a connection', async () => {
    const server = serve({
      fetch(req, own) {
        if (!own.upgrade(req)) return new Response('first');
      },
      websocket: echo,
    });
    const client = await RawClient.connect({ port: server.port });

    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal(String((await client.response()).body), 'first');
    client.write(handshake());
    assert.equal((await client.response()).status, 101);
    client.text('a');

    await client.expect('TEXT re:a');
  });

  test('may arrive byte by byte, together with the first frame', async () => {
    const server = serveSockets(echo);
    const client = await RawClient.connect({ port: server.port });

    await client.dribble(Buffer.concat([Buffer.from(handshake()), text('a')]));

    assert.equal((await client.response()).status, 101);
    await client.expect('TEXT re:a');
  });

  test('is answered for each key with its own accept value', async () => {
    for (let n = 0; n < 5; n++) {
      const key = randomKey();
      const response = await answerTo(undefined, { headers: { 'Sec-WebSocket-Key': key } });
      assert.equal(response.header('sec-websocket-accept'), acceptFor(key));
    }
  });

  test('accepts a key whose unused bits are not zero', async () => {
    const response = await answerTo(undefined, { headers: { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZR==' } });

    assert.equal(response.header('sec-websocket-accept'), acceptFor('dGhlIHNhbXBsZSBub25jZR=='));
  });

  test('works over a unix socket', async () => {
    const unix = join(tmpdir(), `mantou-upgrade-${process.pid}.sock`);
    serveSockets(echo, { unix });
    const client = await RawClient.open({ unix });

    client.text('a');

    await client.expect('TEXT re:a');
  });
});

describe('the 101 response', () => {
  test('has exactly these lines in this order', async () => {
    const response = await answerTo(undefined);

    const [statusLine, ...lines] = response.raw.split('\r\n');
    assert.equal(statusLine, 'HTTP/1.1 101 Switching Protocols');
    assert.deepEqual(lines.slice(0, 3), ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${HANDSHAKE_ACCEPT}`]);
    assert.match(lines[3], /^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
    assert.equal(lines.length, 4);
  });

  test('puts set-cookie lines first, then the other custom headers, then its own', async () => {
    const response = await answerTo(
      {
        headers: [
          ['x-alpha', '1'],
          ['set-cookie', 'a=1; Path=/'],
          ['x-beta', '2'],
          ['set-cookie', 'b=2'],
        ],
      },
      { headers: { 'Sec-WebSocket-Protocol': 'chat' } },
    );

    assert.deepEqual(namesOf(response), [
      'set-cookie',
      'set-cookie',
      'x-alpha',
      'x-beta',
      'upgrade',
      'connection',
      'sec-websocket-accept',
      'sec-websocket-protocol',
      'date',
    ]);
    assert.deepEqual(
      response.headers.slice(0, 2).map(([, value]) => value),
      ['a=1; Path=/', 'b=2'],
    );
  });

  test('puts cookies set through req.cookies of a route behind the custom headers', async () => {
    const server = serve({
      routes: {
        '/chat': (req, own) => {
          req.cookies.set('session', 's1');
          own.upgrade(req, { headers: { 'x-custom': '1', 'set-cookie': 'own=1' } });
        },
      },
      websocket: echo,
    });
    const client = await RawClient.open({ port: server.port, path: '/chat' });

    assert.deepEqual(namesOf(client.head).slice(0, 4), ['set-cookie', 'x-custom', 'set-cookie', 'upgrade']);
    assert.deepEqual(client.head.headers[0][1], 'own=1');
    assert.match(client.head.headers[2][1], /^session=s1; Path=\/; SameSite=Lax$/);
  });

  test('takes headers as an object, a Headers and an array of pairs', async () => {
    for (const headers of [
      { 'x-a': '1', 'x-b': '2' },
      new Headers({ 'x-a': '1', 'x-b': '2' }),
      [
        ['x-a', '1'],
        ['x-b', '2'],
      ],
    ]) {
      const response = await answerTo({ headers });

      assert.deepEqual([response.header('x-a'), response.header('x-b')], ['1', '2']);
    }
  });

  test('joins repeated names with a comma, except set-cookie', async () => {
    const headers = new Headers();
    for (const [name, value] of [
      ['x-a', '1'],
      ['x-a', '2'],
      ['set-cookie', 'c=1'],
      ['set-cookie', 'd=2'],
    ])
      headers.append(name, value);

    for (const given of [headers, [...headers]]) {
      const response = await answerTo({ headers: given });

      assert.equal(response.header('x-a'), '1, 2');
      assert.deepEqual(
        response.headers.filter(([name]) => name.toLowerCase() === 'set-cookie').map(([, value]) => value),
        ['c=1', 'd=2'],
      );
    }
  });

  test('turns the values of an object into strings', async () => {
    const response = await answerTo({ headers: { 'x-number': 5, 'x-null': null, 'x-undefined': undefined, 'set-cookie': ['a=1', 'b=2'] } });

    assert.deepEqual(
      ['x-number', 'x-null', 'x-undefined', 'set-cookie'].map((name) => response.header(name)),
      ['5', 'null', 'undefined', 'a=1,b=2'],
    );
  });

  test('sends values as latin1', async () => {
    const response = await answerTo({ headers: { 'x-latin': 'caf\u00e9' } });

    assert.equal(response.header('x-latin'), 'caf\u00e9');
  });

  test('drops custom headers that belong to the handshake or to framing', async () => {
    const response = await answerTo({
      headers: {
        'Sec-WebSocket-Accept': 'mine',
        Upgrade: 'h2c',
        Connection: 'close',
        'Content-Length': '5',
        'Transfer-Encoding': 'chunked',
        'Sec-WebSocket-Extensions': 'permessage-deflate',
        'Sec-WebSocket-Key': 'k',
        'Sec-WebSocket-Version': '9',
        'x-kept': 'yes',
      },
    });

    assert.deepEqual(namesOf(response), ['x-kept', 'upgrade', 'connection', 'sec-websocket-accept', 'date']);
    assert.equal(response.header('sec-websocket-accept'), HANDSHAKE_ACCEPT);
  });

  test('has the given Date instead of its own', async () => {
    const response = await answerTo({ headers: { Date: 'Thu, 01 Jan 1970 00:00:00 GMT' } });

    assert.equal(response.header('date'), 'Thu, 01 Jan 1970 00:00:00 GMT');
    assert.equal(namesOf(response).filter((name) => name === 'date').length, 1);
  });

  for (const [what, offered, given, answered] of [
    ['the first protocol offered', 'one, two', undefined, 'one'],
    ['the only protocol offered', 'one', undefined, 'one'],
    ['the first of two lines', ['a', 'b'], undefined, 'a'],
    ['nothing when nothing was offered', undefined, undefined, undefined],
    ['nothing when the offer is empty', '', undefined, undefined],
    ['an empty value when the offer begins with a comma', ',a', undefined, ''],
    ['the given protocol, offered', 'one, two', 'two', 'two'],
    ['the given protocol, not offered', 'one', 'other', 'other'],
    ['the given protocol when nothing was offered', undefined, 'other', 'other'],
    ['nothing when "" is given', 'one', '', undefined],
  ]) {
    test(`names as protocol ${what}`, async () => {
      const headers = given === undefined ? undefined : { 'Sec-WebSocket-Protocol': given };

      const response = await answerTo({ headers }, { headers: { 'Sec-WebSocket-Protocol': offered } });

      assert.equal(response.status, 101);
      assert.deepEqual(
        response.headers.filter(([name]) => name === 'Sec-WebSocket-Protocol').map(([, value]) => value),
        answered === undefined ? [] : [answered],
      );
    });
  }

  test('comes in one piece with what open sends', async () => {
    const server = serveSockets({
      open(ws) {
        ws.send('one');
        ws.send('two');
      },
    });
    const client = await RawClient.open({ port: server.port });

    await client.expect('TEXT one', 'TEXT two');

    assert.equal(client.chunks.length, 1);
  });
});

describe('data', () => {
  const object = { user: 'ann' };
  for (const [what, value] of [
    ['an object', object],
    ['null', null],
    ['a number', 0],
    ['a string', 'x'],
    ['a function', () => {}],
    ['a symbol', Symbol('s')],
  ]) {
    test(`is the very value that was given: ${what}`, async () => {
      const { ws } = await pair({}, { upgrade: { data: value } });

      assert.equal(ws.data, value);
    });
  }

  test('is undefined when not given', async () => {
    for (const upgrade of [undefined, {}, { headers: {} }, { data: undefined }]) {
      const { ws } = await pair({}, { upgrade });

      assert.equal(ws.data, undefined);
    }
  });

  test('can be set, in open and after close, and is each socket’s own', async () => {
    const closes = calls('close');
    const { ws, client, connect } = await pair({ close: (own) => closes(own.data) }, { upgrade: { data: object } });
    const other = await connect();

    ws.data = { user: 'bob' };
    client.write(close(1000));

    assert.deepEqual(await closes.next(), [{ user: 'bob' }]);
    ws.data = 5;
    assert.equal(ws.data, 5);
    assert.equal(other.ws.data, object);
  });

  test('is not removed by delete', async () => {
    const { ws } = await pair({}, { upgrade: { data: object } });

    assert.equal(delete ws.data, true);

    assert.equal(ws.data, object);
    assert.equal(Object.hasOwn(ws, 'data'), false);
  });
});

describe('frames sent before the 101', () => {
  test('with the handshake are delivered after open and after fetch has returned', async () => {
    const order = [];
    const client = await shake(
      (req, server) => {
        server.upgrade(req);
        order.push('fetch returns');
      },
      {
        websocket: {
          open: () => order.push('open'),
          message(ws, message) {
            order.push(message);
            ws.send(order.join());
          },
        },
        bytes: [text('a'), ping('p'), text('b')],
      },
    );

    assert.equal((await client.response()).status, 101);
    await client.expect('TEXT open,fetch returns,a', 'PONG p', 'TEXT open,fetch returns,a,b');
  });

  test('may be cut anywhere', async () => {
    const client = await shake((req, server) => void server.upgrade(req), { bytes: [text('a'), text('b').subarray(0, 3)] });
    assert.equal((await client.response()).status, 101);
    await client.expect('TEXT re:a');

    client.write(text('b').subarray(3));

    await client.expect('TEXT re:b');
  });

  test('before an upgrade() made after an await', async () => {
    const results = calls('upgrade()');
    const client = await shake(
      async (req, server) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        results(server.upgrade(req));
      },
      { websocket: greet, bytes: [text('a'), text('b')] },
    );

    const response = await client.response();

    if (differs('early-frames-after-await')) {
      assert.equal(response.status, 101);
      assert.deepEqual(results.all, [[true]]);
      await client.expect('TEXT hello', 'TEXT re:a', 'TEXT re:b');
    } else {
      assert.equal(response.status, 400);
      await client.expect('FIN');
      assert.deepEqual(await results.next(), [false]);
    }
  });

  test('after a handshake that is not upgraded are a malformed request', async () => {
    const client = await shake(() => new Response('no'), { bytes: [text('a')] });

    assert.equal(String((await client.response()).body), 'no');
    assert.equal((await client.response()).status, 400);
    assert.equal(await client.ended(), 'FIN');
  });
});

describe('routes', () => {
  const upgradeHere = (req, server) => {
    if (!server.upgrade(req, { data: new URL(req.url).pathname })) return new Response('refused');
  };
  const sayWhere = { open: (ws) => ws.send(ws.data) };

  for (const [what, routes] of [
    ['a function', { '/chat': upgradeHere }],
    ['a function with a parameter', { '/:room': upgradeHere }],
    ['a GET function of a method object', { '/chat': { GET: upgradeHere, POST: () => new Response('posted') } }],
  ]) {
    test(`${what} can upgrade`, async () => {
      const server = serve({ routes, websocket: sayWhere });
      const client = await RawClient.open({ port: server.port, path: '/chat' });

      await client.expect('TEXT /chat');
    });
  }

  for (const [what, route] of [
    ['a static Response', () => new Response('static')],
    ['false', () => false],
    ['a method object without GET', () => ({ POST: () => new Response('posted') })],
  ]) {
    test(`${what} leaves a handshake to fetch`, async () => {
      const server = serve({ routes: { '/chat': route() }, fetch: upgradeHere, websocket: sayWhere });
      const client = await RawClient.open({ port: server.port, path: '/chat' });

      await client.expect('TEXT /chat');
    });
  }

  for (const [what, routes] of [
    ['no route matches', { '/other': () => new Response('other') }],
    ['the route is a static Response', { '/chat': new Response('static') }],
  ]) {
    test(`a handshake gets 403 when there is no fetch and ${what}`, async () => {
      const server = serve({ routes, websocket: sayWhere });
      const client = await RawClient.connect({ port: server.port });

      client.write(handshake({ path: '/chat' }));

      const response = await client.response();
      assert.deepEqual([response.status, response.reason, response.header('connection')], [403, 'Forbidden', 'close']);
      assert.equal(await client.ended(), 'FIN');
    });
  }

  test('a function that returns a Response answers a handshake with it', async () => {
    const server = serve({ routes: { '/chat': () => new Response('plain') }, websocket: sayWhere });
    const client = await RawClient.connect({ port: server.port });

    client.write(handshake({ path: '/chat' }));

    assert.equal(String((await client.response()).body), 'plain');
  });
});
