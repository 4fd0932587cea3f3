// reload(): new handlers and limits at once, for open connections too.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { cleanUp, pair } from './support/connect.mjs';
import { held } from './support/held.mjs';
import { ping, pong, RawClient, text } from './support/raw-client.mjs';
import { exchange, readResponse, request } from './support/raw-http.mjs';
import { serve } from './support/target.mjs';
import { invalidArgType, missingArgs, throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);

/** A path at which nothing is, and nothing comes to be. */
const NOBODYS = join(tmpdir(), 'mantou-nobody-listens-here');

const says = (words) => () => new Response(words);

/** What the server answers on a connection of its own. */
const answer = async (server) => (await exchange(server, request('GET', '/'))).response.text;

describe('reload', () => {
  test('returns the same server', () => {
    const server = serve({ fetch: says('old') });

    assert.equal(server.reload({ fetch: says('new') }), server);
  });

  test('needs an object', () => {
    const server = serve({ fetch: says('old') });

    throwsExactly(() => server.reload(), missingArgs("Not enough arguments to 'reload'. Expected 1, got 0."));
    for (const options of [undefined, null, 5, 'x'])
      throwsExactly(() => server.reload(options), invalidArgType('Bun.serve expects an object'));
  });

  for (const [name, message] of [
    ['fetch', 'Expected fetch() to be a function'],
    ['error', 'Expected error to be a function'],
    ['websocket', 'Expected websocket to be an object'],
  ]) {
    test(`refuses a wrong ${name} and changes nothing`, async () => {
      const server = serve({ fetch: says('old') });

      throwsExactly(() => server.reload({ fetch: says('new'), [name]: 5 }), invalidArgType(message));

      assert.equal(await answer(server), 'old');
    });
  }

  for (const [what, options, error] of [
    ['port', { port: 70000 }, { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' }],
    ['hostname beside a unix socket', { hostname: 'localhost', unix: NOBODYS }, { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }],
    ['idleTimeout', { idleTimeout: 'x' }, { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }],
    ['id', { id: Symbol('x') }, { name: 'TypeError' }],
  ]) {
    test(`refuses a wrong ${what}, although it means nothing to it, and changes nothing`, async () => {
      const server = serve({ fetch: says('old') });

      assert.throws(() => server.reload({ fetch: says('new'), ...options }), error);

      assert.equal(await answer(server), 'old');
    });
  }

  test('takes a function for an object', async () => {
    const server = serve({ fetch: says('old') });

    server.reload(Object.assign(() => {}, { fetch: says('new') }));

    assert.equal(await answer(server), 'new');
  });

  for (const options of [{}, { fetch: null }, { fetch: undefined }]) {
    test(`with ${JSON.stringify(options)} changes nothing`, async () => {
      const server = serve({ fetch: says('old') });

      server.reload(options);

      assert.equal(await answer(server), 'old');
    });
  }

  test('switches fetch at once, on connections that are open too', async () => {
    const server = serve({ fetch: says('old') });
    const { client, response } = await exchange(server, request('GET', '/'));

    server.reload({ fetch: says('new') });
    client.write(request('GET', '/'));

    assert.equal(response.text, 'old');
    assert.equal((await readResponse(client)).text, 'new');
  });

  test('lets a request that is running end with its old handler', async () => {
    const { server, client, answer: finish } = await held();

    server.reload({ fetch: says('new') });
    finish(new Response('old'));

    assert.equal((await readResponse(client)).text, 'old');
    assert.equal(await answer(server), 'new');
  });

  test('from inside fetch counts for the next request', async () => {
    const server = serve({
      fetch(_req, own) {
        own.reload({ fetch: says('new') });
        return new Response('old');
      },
    });

    assert.deepEqual([await answer(server), await answer(server)], ['old', 'new']);
  });

  test('switches the error handler', async () => {
    const fails = () => {
      throw new Error('x');
    };
    const server = serve({ fetch: fails, error: says('old') });

    assert.equal(await answer(server), 'old');
    server.reload({ fetch: fails, error: says('new') });
    assert.equal(await answer(server), 'new');
  });

  test('keeps the address and the name, whatever the new options say', () => {
    const server = serve({ fetch: says('old'), hostname: '127.0.0.1', id: 'old', development: false });
    const { port } = server;

    server.reload({ fetch: says('new'), hostname: '0.0.0.0', port: 1, id: 'new', development: true });
    server.reload({ fetch: says('new'), unix: NOBODYS });

    assert.deepEqual([server.port, server.hostname, server.id, server.development], [port, '127.0.0.1', 'old', false]);
    assert.deepEqual(server.address, { address: '127.0.0.1', family: 'IPv4', port });
    assert.equal(existsSync(NOBODYS), false);
  });

  test('keeps the limit of bodies', async () => {
    const server = serve({ fetch: says('old'), maxRequestBodySize: 3 });

    server.reload({ fetch: says('new'), maxRequestBodySize: 100 });
    const [fits, doesNot] = ['abc', 'abcd'].map((body) => exchange(server, request('POST', '/', {}, body)));

    assert.deepEqual([(await fits).response.status, (await doesNot).response.status], [200, 413]);
  });

  test('keeps handlers that are called with the server as `this`', async () => {
    const server = serve({ fetch: says('old') });

    server.reload({
      fetch(_req, own) {
        return new Response(String(this === server && own === server));
      },
    });

    assert.equal(await answer(server), 'true');
  });
});

describe('reload and WebSockets', () => {
  const echoing = (prefix, options) => ({ message: (ws, message) => ws.send(`${prefix}:${message}`), ...options });

  test('open sockets get the new handlers', async () => {
    const closes = [];
    const { server, client, ws } = await pair(echoing('old', { close: () => closes.push('old') }));

    server.reload({
      websocket: {
        message: (own, message) => own.send(`new:${message}:${own === ws}`),
        ping: (own) => own.send('new ping'),
        pong: (own) => own.send('new pong'),
        close: (own, code) => closes.push('new', own === ws, code),
      },
    });
    client.write(ping('p'), pong('q'));
    client.text('a');
    await client.expect('PONG p', 'TEXT new ping', 'TEXT new pong', 'TEXT new:a:true');
    client.halfClose();
    await client.ended();

    assert.deepEqual(closes, ['new', true, 1006]);
  });

  test('open sockets get the new limits', async () => {
    const { server, client } = await pair(echoing('old'));
    client.text('four');
    await client.expect('TEXT old:four');

    server.reload({ websocket: echoing('new', { maxPayloadLength: 3 }) });
    client.text('abc');
    await client.expect('TEXT new:abc');
    client.text('four');

    await client.expect('CLOSE 1009 Received too big message', 'FIN');
  });

  test('from inside message counts for the next message of the same segment', async () => {
    const { server, client } = await pair({
      message(ws, message) {
        ws.send(`old:${message}`);
        server.reload({ websocket: echoing('new') });
      },
    });

    client.write(text('a'), text('b'));

    await client.expect('TEXT old:a', 'TEXT new:b');
  });

  for (const websocket of [undefined, null]) {
    test(`websocket: ${websocket} keeps the old handlers`, async () => {
      const { server, client } = await pair(echoing('old'));

      server.reload({ fetch: says('new'), websocket });
      client.text('a');

      await client.expect('TEXT old:a');
      assert.equal(await answer(server), 'new');
    });
  }

  test('websocket alone keeps fetch', async () => {
    const { server } = await pair(echoing('old'));

    server.reload({ websocket: echoing('new') });

    const client = await RawClient.open({ port: server.port });
    client.text('a');
    await client.expect('TEXT new:a');
  });

  test('a wrong limit is refused and changes nothing', async () => {
    const { server, client } = await pair(echoing('old'));

    throwsExactly(
      () => server.reload({ websocket: echoing('new', { maxPayloadLength: 'x' }) }),
      invalidArgType('websocket expects maxPayloadLength to be an integer'),
    );
    client.text('a');

    await client.expect('TEXT old:a');
  });

  test('a server without websocket may gain it', async () => {
    const server = serve({ fetch: says('plain') });

    server.reload({ fetch: (req, own) => void own.upgrade(req), websocket: echoing('new') });
    const client = await RawClient.open({ port: server.port });
    client.text('a');

    await client.expect('TEXT new:a');
    assert.equal(server.pendingWebSockets, 1);
  });

  test('topics survive', async () => {
    const { server, client } = await pair({ open: (ws) => void ws.subscribe('topic') });

    server.reload({ websocket: echoing('new') });

    assert.equal(server.publish('topic', 'news'), 4);
    await client.expect('TEXT news');
  });

  test('after stop() still reaches the sockets that are open', async () => {
    const { server, client, ws } = await pair(echoing('old'));
    const stopped = server.stop();

    server.reload({ websocket: echoing('new') });
    client.text('a');
    await client.expect('TEXT new:a');
    ws.close();

    await stopped;
  });
});
