// stop(): gracefully, by force, from inside handlers, and what is left of a stopped server.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES, pair, serveSockets } from './support/connect.mjs';
import { held } from './support/held.mjs';
import { handshake, RawClient, text } from './support/raw-client.mjs';
import { connectTo, exchange, readChunk, readResponse, request } from './support/raw-http.mjs';
import { isOracle, mantou, serve } from './support/target.mjs';

afterEach(cleanUp);

const hello = () => new Response('hello');

/** A promise with a look at it: `settled()` is true once it is no longer pending. */
function watched(promise) {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  promise.then(settle, settle);
  return { promise, settled: () => settled };
}

describe('a graceful stop', () => {
  for (const argument of [undefined, null, false, 0, 1, 'true', {}]) {
    test(`is what stop(${JSON.stringify(argument)}) is: a running request is answered, then its connection closed`, async () => {
      const { server, client, answer } = await held();
      const { port } = server;

      const stop = watched(server.stop(argument));
      await assert.rejects(RawClient.connect({ port }), { code: 'ECONNREFUSED' });
      assert.equal(stop.settled(), false);
      answer(hello());

      assert.equal((await readResponse(client)).text, 'hello');
      assert.equal(await client.ended(), 'FIN');
      assert.equal(await stop.promise, undefined);
    });
  }

  test('closes idle keep-alive connections and resolves to undefined', async () => {
    const server = serve({ fetch: hello });
    const { client } = await exchange(server, request('GET', '/'));

    const stopped = server.stop();

    assert.equal(await client.ended(), 'FIN');
    assert.equal(await stopped, undefined);
  });

  test('resolves at once when there is no connection', async () => {
    assert.equal(await serve({ fetch: hello }).stop(), undefined);
  });

  test('resolves although a connection never sent a request', async () => {
    const server = serve({ fetch: hello });
    const silent = await connectTo(server);
    await exchange(server, request('GET', '/')); // proves that the server knows the connection before

    await server.stop();

    if (differs('silent-connections-on-stop')) {
      assert.equal(await silent.ended(), 'FIN');
    } else {
      silent.write(request('GET', '/'));
      assert.equal(await silent.ended(), 'RST');
    }
    assert.equal(silent.bytes.length, 0);
  });

  test('waits for a request whose head is half sent, and answers it', async () => {
    const server = serve({ fetch: hello });
    const client = await connectTo(server);
    client.write('GET / HTTP/1.1\r\nHo');
    await exchange(server, request('GET', '/')); // the server has read the half by now

    const stop = watched(server.stop());
    client.write('st: a\r\n\r\n');

    assert.equal((await readResponse(client)).text, 'hello');
    assert.equal(await client.ended(), 'FIN');
    await stop.promise;
  });

  test('waits for a request whose body is half sent', async () => {
    const read = calls('the first half of the body');
    const server = serve({
      async fetch(req) {
        const parts = [];
        for await (const part of req.body) {
          parts.push(Buffer.from(part));
          read();
        }
        return new Response(Buffer.concat(parts));
      },
    });
    const client = await connectTo(server);
    client.write(request('POST', '/', { 'Content-Length': 6 }, 'abc'));
    await read.next();

    const stopped = server.stop();
    client.write('def');

    assert.equal((await readResponse(client)).text, 'abcdef');
    assert.equal(await client.ended(), 'FIN');
    await stopped;
  });

  test('does not wait for the half of a body that nobody has read when its request was answered', async () => {
    const { server, client, answer } = await held({ idleTimeout: 0 }, request('POST', '/', { 'Content-Length': 6 }, 'abc'));

    const stopped = server.stop();
    answer(hello());

    assert.equal((await readResponse(client)).text, 'hello');
    assert.equal(await client.ended(), 'FIN');
    await stopped;
  });

  test('lets a streaming response come to its end', async () => {
    const { server, client, controller } = await streaming();

    const stop = watched(server.stop());
    controller.enqueue(Buffer.from('second'));
    assert.equal(String(await readChunk(client)), 'second');
    assert.equal(stop.settled(), false);
    controller.close();

    assert.equal((await readChunk(client)).length, 0);
    assert.equal(await client.ended(), 'FIN');
    await stop.promise;
  });

  test('leaves WebSockets as they are and waits for the last of them', async () => {
    const { server, client, ws } = await pair({
      open: (own) => void own.subscribe('topic'),
      message: (own, message) => own.send(`re:${message}`),
    });

    const stop = watched(server.stop());
    client.text('a');
    await client.expect('TEXT re:a');
    assert.deepEqual([server.publish('topic', 'news'), server.subscriberCount('topic'), server.pendingWebSockets], [4, 1, 1]);
    await client.expect('TEXT news');
    assert.equal(stop.settled(), false);
    ws.close();

    await client.expect('CLOSE 1000', 'FIN');
    assert.equal(await stop.promise, undefined);
  });

  test('does not keep a running handler from upgrading', async () => {
    const { server, client, req, answer } = await held(
      { websocket: { message: (ws, message) => ws.send(message) } },
      Buffer.from(handshake()),
    );

    const stop = watched(server.stop());
    assert.equal(server.upgrade(req), true);
    answer();
    assert.equal((await client.response()).status, 101);
    client.text('still here');
    await client.expect('TEXT still here');
    assert.equal(stop.settled(), false);
    client.halfClose();

    await stop.promise;
  });

  test('twice is the same as once', async () => {
    const { server, client, answer } = await held();

    const stops = [server.stop(), server.stop()];
    answer(hello());
    await readResponse(client);

    assert.deepEqual(await Promise.all(stops), [undefined, undefined]);
    assert.equal(await server.stop(), undefined);
  });

  test('inside fetch still delivers the response', async () => {
    const server = serve({
      fetch(_req, own) {
        own.stop();
        return new Response('goodbye');
      },
    });

    const { client, response } = await exchange(server, request('GET', '/'));

    assert.equal(response.text, 'goodbye');
    assert.equal(await client.ended(), 'FIN');
  });
});

describe('stop(true)', () => {
  test('closes every WebSocket with 1001 and calls their close handlers before it returns', async () => {
    const events = [];
    const { server, client, connect } = await pair({
      close: (ws, code, reason) => events.push([code, reason, ws.readyState, ws.send('late'), server.pendingWebSockets]),
    });
    const { client: second } = await connect();

    const stopped = server.stop(true);

    assert.deepEqual(events, [
      [1001, 'Server closed', 3, 0, 2],
      [1001, 'Server closed', 3, 0, 1],
    ]);
    assert.equal(server.pendingWebSockets, 0);
    for (const each of [client, second]) await each.expect('CLOSE 1001 Server closed', 'FIN');
    assert.equal(await stopped, undefined);
  });

  test('aborts the signals of running requests before it returns and cuts them without a response', async () => {
    const { server, client, req } = await held();
    const reasons = [];
    req.signal.addEventListener('abort', () => reasons.push(req.signal.reason));

    const stopped = server.stop(true);

    assert.deepEqual(
      reasons.map(({ name, code, message }) => [name, code, message]),
      [['AbortError', 20, 'The connection was closed.']],
    );
    assert.equal(server.pendingRequests, 0);
    assert.equal(await client.ended(), 'FIN');
    assert.equal(client.bytes.length, 0);
    assert.equal(await stopped, undefined);
  });

  test('does not abort the signal of a request whose answer the client has', async () => {
    const { server, client, req, answer } = await held();
    const { signal } = req;

    answer(hello());
    assert.equal((await readResponse(client)).text, 'hello');
    await server.stop(true);

    assert.equal(signal.aborted, false);
  });

  const isLate = process.versions.bun !== undefined && "the answer is lost: Bun's own Response is read first, or sent later";
  test('sends an answer that was given before it, and does not abort its signal', { skip: isLate }, async () => {
    const signals = [];
    const server = serve({
      fetch(req, own) {
        signals.push(req.signal);
        queueMicrotask(() => own.stop(true));
        return new mantou.Response('hello');
      },
    });
    const client = await connectTo(server);

    client.write(request('GET', '/'));

    assert.equal((await readResponse(client)).text, 'hello');
    assert.equal(await client.ended(), 'FIN');
    await server.stop(true);
    assert.equal(signals[0].aborted, false);
  });

  test('cancels the stream of a running response', async () => {
    const { server, client, cancels } = await streaming();

    const stopped = server.stop(true);

    const [reason] = await cancels.next();
    assert.equal(reason.message, 'The connection was closed.');
    assert.equal(await client.ended(), 'FIN');
    await stopped;
  });

  test('after stop() settles both', async () => {
    const { server, client } = await held();

    const stops = [server.stop(), server.stop(true)];

    assert.equal(await client.ended(), 'FIN');
    assert.deepEqual(await Promise.all(stops), [undefined, undefined]);
  });

  test('drops what a WebSocket with backpressure has not sent, its close frame too', async () => {
    const closes = calls('close');
    const { server, client, ws } = await pair({ close: (_ws, code, reason) => closes(code, reason) });
    client.pause();
    assert.equal(ws.send(Buffer.alloc(MORE_THAN_A_SOCKET_TAKES)), -1);

    await server.stop(true);

    assert.deepEqual(closes.all, [[1001, 'Server closed']]);
    client.resume();
    await client.ended();
    assert.ok(client.bytes.length < MORE_THAN_A_SOCKET_TAKES);
  });

  test('is what server[Symbol.dispose]() is', async () => {
    const { server, client } = await pair();

    assert.equal(server[Symbol.dispose](), undefined);

    assert.equal(server.pendingWebSockets, 0);
    await client.expect('CLOSE 1001 Server closed', 'FIN');
  });

  test('is what server[Symbol.asyncDispose]() is, awaited; not in Bun', { skip: isOracle }, async () => {
    const { server, client } = await pair();
    const { port } = server;

    const disposed = server[Symbol.asyncDispose]();

    assert.equal(server.pendingWebSockets, 0);
    assert.equal(await disposed, undefined);
    await client.expect('CLOSE 1001 Server closed', 'FIN');
    await assert.rejects(RawClient.connect({ port }), { code: 'ECONNREFUSED' });
  });

  test('inside message closes the socket for its handler, which gets no message of the same segment any more', async () => {
    const seen = [];
    const { server, client } = await pair({
      message(ws, message) {
        server.stop(true);
        seen.push(message, ws.readyState, ws.send('late'));
      },
    });

    client.write(text('a'), text('b'), text('c'));

    await client.expect('CLOSE 1001 Server closed', 'FIN');
    await server.stop();
    assert.deepEqual(seen, ['a', 3, 0]);
  });

  test('inside fetch cuts the requests that have come with it', async () => {
    const urls = [];
    const server = serve({
      fetch(req, own) {
        urls.push(req.url);
        own.stop(true);
        return new Response('nobody gets this');
      },
    });
    const clients = await Promise.all([1, 2, 3].map(() => connectTo(server)));

    for (const client of clients) client.write(request('GET', '/'));

    for (const client of clients) {
      await client.ended();
      assert.equal(client.bytes.length, 0);
    }
    assert.equal(urls.length, 1);
  });

  test('inside fetch cuts the request it is called in', async () => {
    const server = serve({
      fetch(_req, own) {
        own.stop(true);
        return new Response('nobody gets this');
      },
    });
    const client = await connectTo(server);

    client.write(request('GET', '/'));

    assert.equal(await client.ended(), 'FIN');
    assert.equal(client.bytes.length, 0);
  });
});

describe('a stopped server', () => {
  test('has port 0 in its getters and no address', async () => {
    const server = serve({ hostname: '127.0.0.1', fetch: hello });

    await server.stop();

    assert.deepEqual([server.port, server.hostname, server.address, server.url.href], [0, '127.0.0.1', null, 'http://127.0.0.1:0/']);
  });

  test('keeps the address that was read before', async () => {
    const server = serve({ hostname: '127.0.0.1', fetch: hello });
    const { address } = server;

    await server.stop();

    assert.deepEqual(server.address, address);
  });

  test('answers every method with a value', async () => {
    let kept;
    const server = serveSockets(
      {},
      {
        fetch(req) {
          kept = req;
          return hello();
        },
      },
    );
    await exchange(server, request('GET', '/'));

    await server.stop(true);

    assert.equal(server.publish('topic', 'data'), 0);
    assert.equal(server.subscriberCount('topic'), 0);
    assert.equal(server.upgrade(kept), false);
    assert.equal(server.upgrade(new Request('http://localhost/')), false);
    assert.equal(server.requestIP(kept), null);
    assert.equal(server.reload({ fetch: hello }), server);
    assert.equal(server.ref(), server);
    assert.equal(server.unref(), server);
    assert.deepEqual([server.pendingRequests, server.pendingWebSockets], [0, 0]);
    assert.equal(await (await server.fetch('http://localhost/')).text(), 'hello');
    assert.equal(await server.stop(true), undefined);
  });
});

/** A response in the middle of its stream, which the test drives: its first chunk has arrived. */
async function streaming() {
  const cancels = calls('cancel');
  let controller;
  const start = (own) => {
    controller = own;
    setTimeout(() => controller.enqueue(Buffer.from('first')));
  };
  const server = serve({ fetch: () => new Response(new ReadableStream({ start, cancel: cancels })) });
  const client = await connectTo(server);
  client.write(request('GET', '/'));
  await client.response();
  assert.equal(String(await readChunk(client)), 'first');
  return { server, client, controller, cancels };
}
