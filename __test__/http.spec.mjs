// HTTP: what a handler gets, what it may return, and what then goes over the wire.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp } from './support/connect.mjs';
import { held } from './support/held.mjs';
import { killPrograms, run } from './support/program.mjs';
import { RawClient } from './support/raw-client.mjs';
import { connectTo, exchange, isChunked, readChunk, readResponse, request } from './support/raw-http.mjs';
import { isBunRuntime, notYetInBun, serve } from './support/target.mjs';

afterEach(cleanUp);
afterEach(killPrograms);

const MEGABYTE = 1024 * 1024;
const BIG = randomBytes(20 * MEGABYTE);
const start = (fetch, options) => serve({ development: false, fetch, ...options });
const bytes = (words) => new TextEncoder().encode(words);
const sha1 = (data) => createHash('sha1').update(data).digest('hex');
/** A later turn of the event loop: what comes after was not there at once. */
const later = () => new Promise((resolve) => setTimeout(resolve));

/** What a server with this handler answers to one request. */
async function answer(fetch, sent = request('GET', '/'), options = {}) {
  return (await exchange(start(fetch, options), sent)).response;
}

/** What a handler saw: `look(req)` runs inside it, its (awaited) result comes back. */
async function seenBy(look, sent) {
  const looks = calls('a look at the request');
  await answer(async (req) => {
    looks(await look(req));
    return new Response();
  }, sent);
  return looks.all[0][0];
}

describe('the request', () => {
  test('is a Request, the second argument and `this` are the server', async () => {
    const seen = [];
    const server = start(function (req, own) {
      seen.push(Object.prototype.toString.call(req), req instanceof Request, this === server, own === server);
      return new Response();
    });

    await exchange(server, request('GET', '/'));

    assert.deepEqual(seen, ['[object Request]', true, true, true]);
  });

  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'PROPFIND', 'PURGE']) {
    test(`has the method ${method}`, async () => {
      assert.equal(await seenBy((req) => req.method, request(method, '/')), method);
    });
  }

  test('has a method nobody registered', async () => {
    const server = start((req) => new Response(req.method));
    const client = await connectTo(server);

    client.write(request('FROBNICATE', '/'));

    if (differs('any-method')) {
      assert.equal((await readResponse(client)).text, 'FROBNICATE');
    } else {
      assert.equal(await client.ended(), 'FIN');
      assert.equal(client.bytes.length, 0);
    }
  });

  for (const [what, sent, url] of [
    ['host and path', request('GET', '/path', { Host: 'example.org' }), 'http://example.org/path'],
    ['the port of the Host header', request('GET', '/', { Host: 'example.org:8080' }), 'http://example.org:8080/'],
    ['the host in lower case', request('GET', '/Path', { Host: 'Example.ORG' }), 'http://example.org/Path'],
    ['the query', request('GET', '/p?x=1&y=%20'), 'http://localhost/p?x=1&y=%20'],
    ['the fragment', request('GET', '/p?x=1#there'), 'http://localhost/p?x=1#there'],
    ['dot segments resolved', request('GET', '/a/../b/./c'), 'http://localhost/b/c'],
    ['encoded dot segments resolved', request('GET', '/%2e%2e/a%2Fb'), 'http://localhost/a%2Fb'],
    ['doubled slashes', request('GET', '//x//y'), 'http://localhost//x//y'],
    ['raw bytes percent-encoded', request('GET', '/é?q=é'), 'http://localhost/%C3%A9?q=%C3%A9'],
    ['the Host header before an absolute target', request('GET', 'http://other.example:81/p?q', { Host: 'mine' }), 'http://mine/p?q'],
    ['only the path without a Host header', 'GET /p?q HTTP/1.0\r\n\r\n', '/p?q'],
    ['only the path with an empty Host header', request('GET', '/p', { Host: '' }), '/p'],
    ['only the path with an invalid Host header', request('GET', '/p', { Host: 'a b' }), '/p'],
    ['only the path with credentials in the Host header', request('GET', '/p', { Host: 'user:secret@a' }), '/p'],
    ['only the path with a path in the Host header', request('GET', '/p', { Host: 'a/b?c#d' }), '/p'],
  ]) {
    test(`has a url with ${what}`, async () => {
      assert.equal(await seenBy((req) => req.url, sent), url);
    });
  }

  test('has headers in lower case, in order, with repeated ones joined', async () => {
    const sent = request('GET', '/', { 'X-B': '1', 'x-a': ['1', '2'], Cookie: ['a=1', 'b=2'], 'X-Space': '  a b \t', 'X-Empty': '' });

    assert.deepEqual(await seenBy((req) => [...req.headers], sent), [
      ['cookie', 'a=1; b=2'],
      ['host', 'localhost'],
      ['x-a', '1, 2'],
      ['x-b', '1'],
      ['x-empty', ''],
      ['x-space', 'a b'],
    ]);
  });

  test('has header values of any byte as Latin-1', async () => {
    const sent = Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nX-Name: caf\xe9\r\n\r\n', 'latin1');

    assert.equal(await seenBy((req) => req.headers.get('x-name'), sent), 'café');
  });

  test('has 90 header fields and one of 8000 bytes', async () => {
    const fields = Object.fromEntries(Array.from({ length: 90 }, (_, index) => [`x-${index}`, index]));

    assert.equal(await seenBy((req) => [...req.headers].length, request('GET', '/', fields)), 91);
    assert.equal(await seenBy((req) => req.headers.get('x').length, request('GET', '/', { x: 'a'.repeat(8000) })), 8000);
  });

  test('has the defaults of a Request, and no params or cookies', async () => {
    const seen = await seenBy(({ mode, cache, redirect, bodyUsed, params, cookies, signal }) => [
      mode,
      cache,
      redirect,
      bodyUsed,
      params,
      cookies,
      signal.aborted,
    ]);

    assert.deepEqual(seen, ['cors', 'default', 'follow', false, undefined, undefined, false]);
  });

  test('gives the same headers and signal each time', async () => {
    const twice = await seenBy((req) => [
      [req.headers, req.signal],
      [req.headers, req.signal],
    ]);

    for (const index of [0, 1]) assert.equal(twice[0][index], twice[1][index]);
  });

  test('can be cloned and copied', async () => {
    const sent = request('POST', '/path', { 'x-mine': '1' }, 'body');

    assert.deepEqual(
      await seenBy(async (req) => {
        const clone = req.clone();
        const copy = new Request('http://elsewhere/', req);
        return [clone.url, clone.method, await clone.text(), copy.url, copy.method, copy.headers.get('x-mine'), await copy.text()];
      }, sent),
      ['http://localhost/path', 'POST', 'body', 'http://elsewhere/', 'POST', '1', 'body'],
    );
  });

  test('has a url, method and headers that can be read after an await and after the body', async () => {
    const seen = await seenBy(
      async (req) => {
        await later();
        await req.text();
        return [req.method, req.url, req.headers.get('x-mine')];
      },
      request('POST', '/path', { 'x-mine': '1' }, 'body'),
    );

    assert.deepEqual(seen, ['POST', 'http://localhost/path', '1']);
  });
});

describe('the body of a request', () => {
  const post = (body, headers) => request('POST', '/', headers, body);

  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    test(`reaches a ${method} handler`, async () => {
      assert.deepEqual(await seenBy(async (req) => [req.body === null, await req.text()], request(method, '/', {}, 'hello')), [
        false,
        'hello',
      ]);
    });
  }

  for (const method of ['GET', 'HEAD']) {
    test(`of a ${method} is discarded, and the next request is understood`, async () => {
      const server = start(async (req) => new Response(`${req.body} ${await req.text()}`, { headers: { 'x-body': String(req.body) } }));
      const { client, response } = await exchange(server, request(method, '/', {}, 'hello'));

      client.write(request('GET', '/'));

      assert.equal(response.header('x-body'), 'null');
      assert.equal((await readResponse(client)).text, 'null ');
    });
  }

  for (const [what, sent] of [
    ['with Content-Length: 0', post('', { 'Content-Length': 0 })],
    ['without framing', post('')],
  ]) {
    test(`${what} is null`, async () => {
      assert.deepEqual(await seenBy(async (req) => [req.body, await req.text()], sent), [null, '']);
    });
  }

  test('as text is decoded from UTF-8', async () => {
    assert.equal(await seenBy((req) => req.text(), post('häß😀')), 'häß😀');
  });

  test('as json', async () => {
    assert.deepEqual(await seenBy((req) => req.json(), post('{"a":[1,"é"]}')), { a: [1, 'é'] });
  });

  test('as json that is none rejects with a SyntaxError', async () => {
    assert.equal(await seenBy((req) => req.json().catch(({ name }) => name), post('{"a":')), 'SyntaxError');
  });

  test('as arrayBuffer', async () => {
    const body = await seenBy((req) => req.arrayBuffer(), post(Buffer.from([0, 255, 128])));

    assert.ok(body instanceof ArrayBuffer);
    assert.deepEqual([...new Uint8Array(body)], [0, 255, 128]);
  });

  test('as blob', async () => {
    const body = await seenBy((req) => req.blob(), post('abc', { 'Content-Type': 'text/plain;charset=utf-8' }));

    assert.deepEqual([body instanceof Blob, body.size, await body.text()], [true, 3, 'abc']);
  });

  test('as formData, URL-encoded', async () => {
    const sent = post('a=1&b=%C3%A9+x&a=2', { 'Content-Type': 'application/x-www-form-urlencoded' });

    assert.deepEqual(await seenBy(async (req) => [...(await req.formData())], sent), [
      ['a', '1'],
      ['b', 'é x'],
      ['a', '2'],
    ]);
  });

  test('as formData, multipart', async () => {
    const sent = post(
      [
        '--XX',
        'Content-Disposition: form-data; name="field"',
        '',
        'value',
        '--XX',
        'Content-Disposition: form-data; name="upload"; filename="name.txt"',
        'Content-Type: text/plain',
        '',
        'contents',
        '--XX--',
        '',
      ].join('\r\n'),
      { 'Content-Type': 'multipart/form-data; boundary=XX' },
    );

    const form = await seenBy((req) => req.formData(), sent);

    const file = form.get('upload');
    assert.deepEqual([form.get('field'), file.name, await file.text()], ['value', 'name.txt', 'contents']);
  });

  test('as a stream arrives chunk by chunk', async () => {
    const parts = calls('a part of the body');
    const server = start(async (req) => {
      for await (const part of req.body) parts(part);
      return new Response('done');
    });
    const client = await connectTo(server);

    client.write(request('POST', '/', { 'Content-Length': 9 }));
    for (const sent of ['one', 'two', 'six']) {
      client.write(sent);
      const [part] = await parts.next();
      assert.ok(part instanceof Uint8Array);
      assert.equal(Buffer.from(part).toString(), sent);
    }

    assert.equal((await readResponse(client)).text, 'done');
  });

  test('may be chunked', async () => {
    const sent = post('3\r\nabc\r\n2;extension=1\r\nde\r\n0\r\n\r\n', { 'Transfer-Encoding': 'chunked' });

    assert.equal(await seenBy((req) => req.text(), sent), 'abcde');
  });

  test('may arrive byte by byte', async () => {
    const server = start(async (req) => new Response(await req.text()));
    const client = await connectTo(server);

    await client.dribble(post('3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n', { 'Transfer-Encoding': 'chunked' }));

    assert.equal((await readResponse(client)).text, 'abcde');
  });

  test('can be read once', async () => {
    const seen = await seenBy(async (req) => {
      await req.text();
      return [req.bodyUsed, await req.text().catch(({ name }) => name)];
    }, post('abc'));

    assert.deepEqual(seen, [true, 'TypeError']);
  });

  test('can be the body of the response', async () => {
    assert.equal((await answer((req) => new Response(req.body), post('echo'))).text, 'echo');
  });

  test('may be left unread', async () => {
    const server = start(() => new Response('not interested'));
    const { client, response } = await exchange(server, post('x'.repeat(100_000)));

    client.write(request('GET', '/'));

    assert.deepEqual([response.text, (await readResponse(client)).text], ['not interested', 'not interested']);
  });

  test('may still be on its way when the response goes out', async () => {
    const server = start(() => new Response('early'));
    const { client, response } = await exchange(server, post('abc', { 'Content-Length': 6 }));

    client.write('def', request('GET', '/'));

    assert.deepEqual([response.text, (await readResponse(client)).text], ['early', 'early']);
  });

  test('is asked for with 100 Continue when the client expects that', async () => {
    const server = start(async (req) => new Response(await req.text()));
    const client = await connectTo(server);

    client.write(post('', { Expect: '100-continue', 'Content-Length': 3 }));
    assert.equal((await client.response()).raw, 'HTTP/1.1 100 Continue');
    client.write('abc');

    assert.equal((await readResponse(client)).text, 'abc');
  });

  test('rejects when the client leaves in the middle of it', async () => {
    const failures = calls('a failure');
    const reading = calls('reading');
    const server = start(async (req) => {
      const text = req.text();
      reading();
      failures(await text.catch(({ name, message }) => [name, message, req.signal.aborted]));
      return new Response();
    });
    const client = await connectTo(server);

    client.write(post('abc', { 'Content-Length': 100 }));
    await reading.next();
    client.destroy();

    assert.deepEqual(await failures.next(), [['AbortError', 'The connection was closed.', true]]);
  });

  for (const how of ['destroy', 'halfClose', 'reset']) {
    test(`that breaks off is no error of the handler's (${how})`, async () => {
      const child = run(`
        const server = serve({
          development: false,
          fetch(req, own) {
            own.stop();
            print('fetch');
            return req.text();
          },
        });
        print(server.port);
      `);
      const client = await connectTo({ port: Number(await child.line()) });

      client.write(post('abc', { 'Content-Length': 100 }));
      await child.line();
      client[how]();

      const { code, stderr } = await child.exited();
      assert.deepEqual([code, stderr], [0, '']);
    });
  }
});

describe('req.signal', () => {
  for (const [how, leave] of [
    ['closes the connection', (client) => client.destroy()],
    ['resets the connection', (client) => client.reset()],
  ]) {
    test(`aborts when the client ${how} before the response`, async () => {
      const { client, req } = await held();
      const aborts = calls('abort');
      req.signal.addEventListener('abort', () => aborts(req.signal.reason));

      leave(client);

      const [reason] = await aborts.next();
      assert.ok(reason instanceof DOMException);
      assert.deepEqual([reason.name, reason.code, reason.message], ['AbortError', 20, 'The connection was closed.']);
    });
  }

  test('aborts when the client leaves in the middle of a big answer', async () => {
    const aborts = calls('abort');
    const server = start((req) => {
      req.signal.addEventListener('abort', () => aborts(req.signal.reason.name));
      return new Response(BIG);
    });
    const client = await connectTo(server);
    client.pause();

    client.write(request('GET', '/'));
    while (client.bytes.length === 0) {
      client.resume();
      await later();
      client.pause();
    }
    client.reset();

    assert.deepEqual(await aborts.next(), ['AbortError']);
  });

  test('stays quiet after a normal response, also when the connection is closed then', async () => {
    const aborts = calls('abort');
    const signals = [];
    const server = start((req) => {
      signals.push(req.signal);
      req.signal.addEventListener('abort', () => aborts(req.url));
      return req.url.endsWith('/hangs') ? new Promise(() => {}) : new Response('x');
    });
    const { client } = await exchange(server, request('GET', '/answered'));

    client.write(request('GET', '/hangs'));
    while (signals.length < 2) await later();
    client.destroy();

    assert.deepEqual(await aborts.next(), ['http://localhost/hangs']);
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [false, true],
    );
  });

  test('aborts when the client closes its half; whether it can still be answered is another matter', async () => {
    const { client, req, answer: finish } = await held();
    const aborts = calls('abort');
    req.signal.addEventListener('abort', () => aborts());

    client.halfClose();
    await aborts.next();
    finish(new Response('late'));

    if (differs('half-close')) assert.equal((await readResponse(client)).text, 'late');
    assert.equal(await client.ended(), 'FIN');
    if (!differs('half-close')) assert.equal(client.bytes.length, 0);
  });

  test('of a WebSocket aborts when it closes', async () => {
    const events = calls('an event');
    const server = start(
      (req, own) => {
        req.signal.addEventListener('abort', () => events('abort'));
        own.upgrade(req);
      },
      { websocket: { close: () => events('close') } },
    );
    const client = await RawClient.open({ port: server.port });

    client.halfClose();

    assert.deepEqual(await events.count(2), [['abort'], ['close']]);
  });
});

describe('the body of a response', () => {
  const OCTETS = 'application/octet-stream';
  const TEXT = 'text/plain;charset=utf-8';
  const view = (View, ...items) => new View(items);

  // Of Node's Response an empty string is text too, and no host's tells that it was made from bytes: row 'host-classes'.
  for (const [what, make, content, type] of [
    ['a string', () => 'hé', 'hé', TEXT],
    ['an empty string', () => '', '', isBunRuntime ? undefined : TEXT],
    ['null', () => null, '', undefined],
    ['nothing', () => undefined, '', undefined],
    ['a number', () => 5, '5', TEXT],
    ['a Uint8Array', () => view(Uint8Array, 97, 98), 'ab', OCTETS],
    ['an empty Uint8Array', () => new Uint8Array(0), '', undefined],
    ['part of a Uint8Array', () => bytes('abcd').subarray(1, 3), 'bc', OCTETS],
    ['an ArrayBuffer', () => bytes('ab').buffer, 'ab', OCTETS],
    ['a DataView', () => new DataView(bytes('abcd').buffer, 1, 2), 'bc', OCTETS],
    ['a Buffer', () => Buffer.from('ab'), 'ab', OCTETS],
    ['an Int8Array', () => view(Int8Array, 97), 'a', OCTETS],
    ['a Uint8ClampedArray', () => view(Uint8ClampedArray, 97), 'a', OCTETS],
    ['a Uint16Array', () => view(Uint16Array, 97), 'a\0', OCTETS],
    ['an Int16Array', () => view(Int16Array, 97), 'a\0', OCTETS],
    ['a Uint32Array', () => view(Uint32Array, 97), 'a\0\0\0', OCTETS],
    ['an Int32Array', () => view(Int32Array, 97), 'a\0\0\0', OCTETS],
    ['a Float32Array', () => view(Float32Array, 0), '\0\0\0\0', OCTETS],
    ['a Float64Array', () => view(Float64Array, 0), '\0\0\0\0\0\0\0\0', OCTETS],
    ['a BigInt64Array', () => view(BigInt64Array, 97n), 'a\0\0\0\0\0\0\0', OCTETS],
    ['a BigUint64Array', () => view(BigUint64Array, 97n), 'a\0\0\0\0\0\0\0', OCTETS],
    [
      'URLSearchParams',
      () => new URLSearchParams({ a: '1', b: 'é &' }),
      'a=1&b=%C3%A9+%26',
      'application/x-www-form-urlencoded;charset=utf-8',
    ],
  ]) {
    test(`may be ${what}`, { skip: type === OCTETS && notYetInBun('the content type of bytes') }, async () => {
      const response = await answer(() => new Response(make()));

      assert.deepEqual(
        [response.status, response.text, response.header('content-length')],
        [200, content, String(Buffer.byteLength(content))],
      );
      if (type === OCTETS && differs('host-classes')) assert.ok([undefined, OCTETS].includes(response.header('content-type')));
      else assert.equal(response.header('content-type')?.toLowerCase(), type);
    });
  }

  // Node's Response does not tell how long a Blob or a form is: row 'host-classes'.
  const assertLength = (response) => {
    if (isBunRuntime) assert.equal(response.header('content-length'), String(response.body.length));
    else assert.ok(isChunked(response) || response.header('content-length') === String(response.body.length));
  };

  test('may be a Blob, whose type is the content type', async () => {
    const response = await answer(() => new Response(new Blob(['hel', 'lo'], { type: 'text/x-mine' })));

    assert.deepEqual([response.text, response.header('content-type')], ['hello', 'text/x-mine']);
    assertLength(response);
  });

  test('may be FormData', async () => {
    const form = new FormData();
    form.append('field', 'value');
    form.append('upload', new File(['contents'], 'name.txt', { type: 'text/plain' }));

    const response = await answer(() => new Response(form));

    const received = await new Response(response.body, { headers: { 'content-type': response.header('content-type') } }).formData();
    assert.match(response.header('content-type'), /^multipart\/form-data; boundary=/);
    assert.deepEqual(
      [received.get('field'), received.get('upload').name, await received.get('upload').text()],
      ['value', 'name.txt', 'contents'],
    );
    assertLength(response);
  });

  test('may be JSON', async () => {
    const response = await answer(() => Response.json({ a: 1 }));

    assert.equal(response.text, '{"a":1}');
    assert.match(response.header('content-type'), /^application\/json/);
    assert.equal(response.header('content-length'), '7');
  });

  test('is cut from the moment it is given: later changes to the bytes do not show', async () => {
    const source = bytes('before');

    const response = await answer(() => {
      const made = new Response(source);
      source.set(bytes('AFTER!'));
      return made;
    });

    assert.equal(response.text, 'before');
  });

  test('keeps the content type the handler gave', async () => {
    const response = await answer(() => new Response('<p>', { headers: { 'content-type': 'text/html' } }));

    assert.deepEqual(
      response.headers.filter(([name]) => /^content-type$/i.test(name)).map(([, value]) => value),
      ['text/html'],
    );
  });

  test('has the true length, whatever the handler says', async () => {
    const response = await answer(() => new Response('abc', { headers: { 'content-length': '10', 'transfer-encoding': 'chunked' } }));

    assert.deepEqual([response.text, response.header('content-length'), isChunked(response)], ['abc', '3', false]);
  });
});

describe('a streamed response', () => {
  /** A stream that gives these chunks, one per turn of the event loop. */
  const trickle = (chunks, source = {}) =>
    new ReadableStream({
      ...source,
      async pull(controller) {
        await later();
        if (chunks.length === 0) controller.close();
        else controller.enqueue(bytes(chunks.shift()));
      },
    });

  test('is chunked, one chunk for each enqueue', async () => {
    const response = await answer(() => new Response(trickle(['a', 'bc', 'def'])));

    assert.ok(isChunked(response));
    assert.equal(response.header('content-length'), undefined);
    assert.deepEqual(response.chunks.map(String), ['a', 'bc', 'def']);
  });

  test('arrives while it is made', async () => {
    let controller;
    const server = start(
      () =>
        new Response(
          new ReadableStream({
            start(own) {
              controller = own;
              setTimeout(() => controller.enqueue(bytes('first')));
            },
          }),
        ),
    );
    const client = await connectTo(server);
    client.write(request('GET', '/'));
    await client.response();

    assert.equal(String(await readChunk(client)), 'first');
    controller.enqueue(bytes('second'));
    assert.equal(String(await readChunk(client)), 'second');
    controller.close();
    assert.equal(String(await readChunk(client)), '');
  });

  for (const [what, make, content] of [
    [
      'that is finished at once',
      () =>
        new ReadableStream({
          start(controller) {
            controller.enqueue(bytes('ab'));
            controller.enqueue(bytes('cd'));
            controller.close();
          },
        }),
      'abcd',
    ],
    ['that is empty', () => new ReadableStream({ start: (controller) => controller.close() }), ''],
  ]) {
    test(`${what} is sent with its length`, async () => {
      const response = await answer(() => new Response(make()));

      assert.deepEqual([response.text, response.header('content-length'), isChunked(response)], [content, String(content.length), false]);
    });
  }

  test('is chunked whatever content-length the handler gave', async () => {
    for (const length of ['4', '10', '2']) {
      const response = await answer(() => new Response(trickle(['ab', 'cd']), { headers: { 'content-length': length } }));

      assert.deepEqual([response.text, response.header('content-length'), isChunked(response)], ['abcd', undefined, true]);
    }
  });

  for (const [what, make] of [
    [
      'an async generator',
      () =>
        (async function* () {
          yield 'one ';
          await later();
          yield bytes('two');
        })(),
    ],
    [
      'an async iterable',
      () => ({
        async *[Symbol.asyncIterator]() {
          yield 'one ';
          await later();
          yield 'two';
        },
      }),
    ],
    ['the readable half of a TransformStream', () => trickle(['one ', 'two']).pipeThrough(new TransformStream())],
    ['a byte stream', () => trickle(['one ', 'two'], { type: 'bytes' })],
  ]) {
    test(`may be ${what}`, async () => {
      const response = await answer(() => new Response(make()));

      assert.equal(response.text, 'one two');
      assert.ok(isChunked(response));
    });
  }

  test('may have empty pieces, which do not end it', async () => {
    assert.equal((await answer(() => new Response(trickle(['', 'a', '', 'b'])))).text, 'ab');
  });

  test('may be the response of another server', async () => {
    const upstream = start(() => new Response(trickle(['up', 'stream']), { headers: { 'x-from': 'upstream' } }));

    const response = await answer(() => fetch(`http://127.0.0.1:${upstream.port}/`));

    assert.deepEqual([response.text, response.header('x-from')], ['upstream', 'upstream']);
  });

  test('is cancelled when the client leaves', async () => {
    const cancels = calls('cancel');
    let signal;
    let controller;
    const server = start((req) => {
      signal = req.signal;
      return new Response(
        new ReadableStream({
          async pull(own) {
            await later();
            controller = own;
            own.enqueue(bytes('first'));
            await new Promise(() => {});
          },
          cancel: cancels,
        }),
      );
    });
    const client = await connectTo(server);
    client.write(request('GET', '/'));
    await client.response();
    await readChunk(client);

    client.destroy();

    const [reason] = await cancels.next();
    assert.deepEqual([reason.name, reason.message, signal.aborted], ['AbortError', 'The connection was closed.', true]);
    assert.throws(() => controller.enqueue(bytes('late')), TypeError);
  });

  test('that is an async generator is returned from when the client leaves', async () => {
    const ends = calls('finally');
    const server = start(
      () =>
        new Response(
          (async function* () {
            try {
              for (;;) {
                yield 'again ';
                await later();
              }
            } finally {
              ends();
            }
          })(),
        ),
    );
    const client = await connectTo(server);
    client.write(request('GET', '/'));
    await client.response();
    await readChunk(client);

    client.destroy();

    await ends.next();
  });

  test('is not pulled any further while the client does not read', async () => {
    const LIMIT = 100;
    let pulled = 0;
    const server = start((req) =>
      req.url.endsWith('/endless')
        ? new Response(
            new ReadableStream({
              async pull(controller) {
                await null;
                if (++pulled > LIMIT) controller.close();
                else controller.enqueue(new Uint8Array(MEGABYTE));
              },
            }),
          )
        : new Response('others are served'),
    );
    const client = await connectTo(server);
    client.pause();
    client.write(request('GET', '/endless'));

    // Until nothing was pulled while twenty others were served.
    for (let before = -1; before !== pulled || pulled === 0; ) {
      before = pulled;
      for (let others = 0; others < 20; others++) (await exchange(server, request('GET', '/'))).client.destroy();
    }

    assert.ok(pulled < LIMIT, `${pulled} MB were pulled`);
    client.destroy();
  });

  // In processes of their own: the errors are printed, or thrown by the test runner.
  for (const [what, stream] of [
    [
      'a stream errors',
      'new ReadableStream({ async pull(controller) { await later(); if (first()) controller.enqueue(Buffer.from("first")); else controller.error(new Error("x")); } })',
    ],
    [
      'a stream throws',
      'new ReadableStream({ async pull(controller) { await later(); if (first()) controller.enqueue(Buffer.from("first")); else throw new Error("x"); } })',
    ],
    ['an async generator throws', '(async function* () { if (first()) yield "first"; await later(); throw new Error("x"); })()'],
  ]) {
    for (const early of [true, false]) {
      test(`resets the connection when ${what} ${early ? 'before' : 'after'} the first byte, without calling error`, async () => {
        const program = run(`
          let firsts = ${early ? 0 : 1};
          const first = () => firsts-- > 0;
          const later = () => new Promise((resolve) => setTimeout(resolve, 20));
          const server = serve({
            development: false,
            fetch: (req) => new Response(req.url.endsWith('/fails') ? ${stream} : 'others are served'),
            error() { print('error was called'); },
          });
          print(server.port);
        `);
        const port = Number(await program.line());
        const client = await connectTo({ port });

        client.write(request('GET', '/fails'));
        if (!early) {
          await client.response();
          assert.equal(String(await readChunk(client)), 'first');
        }

        assert.equal(await client.ended(), 'RST');
        const received = client.bytes.toString();
        assert.ok(early ? !received.includes('\r\n\r\n') : !received.endsWith('0\r\n\r\n'), received);
        assert.equal((await exchange({ port }, request('GET', '/'))).response.text, 'others are served');
      });
    }
  }
});

describe('the head of a response', () => {
  for (const [status, reason] of [
    [200, 'OK'],
    [201, 'Created'],
    [206, 'Partial Content'],
    [301, 'Moved Permanently'],
    [400, 'Bad Request'],
    [404, 'Not Found'],
    [422, 'Unprocessable Entity'],
    [500, 'Internal Server Error'],
    [503, 'Service Unavailable'],
  ]) {
    test(`has the status ${status} ${reason}`, async () => {
      const response = await answer(() => new Response('body', { status }));

      assert.deepEqual([response.status, response.reason, response.text], [status, reason, 'body']);
    });
  }

  test('has a status nobody registered', async () => {
    const response = await answer(() => new Response('body', { status: 599 }));

    assert.deepEqual([response.status, response.reason, response.text], [599, differs('reason-phrase') ? '' : 'HM', 'body']);
  });

  test('has the statusText of the handler', async () => {
    const response = await answer(() => new Response('body', { status: 200, statusText: 'Quite Fine' }));

    assert.equal(response.reason, differs('reason-phrase') ? 'Quite Fine' : 'OK');
  });

  for (const status of [204, 304]) {
    test(`of a ${status} has no length and no body, and the connection goes on`, async () => {
      const server = start(() => new Response(null, { status }));
      const { client, response } = await exchange(server, request('GET', '/'));

      client.write(request('GET', '/'));

      assert.deepEqual(
        [response.status, response.header('content-length'), response.header('transfer-encoding')],
        [status, undefined, undefined],
      );
      assert.equal((await readResponse(client)).status, status);
    });
  }

  test('of a 205 has the length 0', async () => {
    assert.equal((await answer(() => new Response(null, { status: 205 }))).header('content-length'), '0');
  });

  test('of a redirect has its location', async () => {
    const response = await answer(() => Response.redirect('http://example.org/there', 302));

    assert.deepEqual(
      [response.status, response.header('location'), response.header('content-length')],
      [302, 'http://example.org/there', '0'],
    );
  });

  test('has one line for each cookie, and one for all values of another name', async () => {
    const headers = new Headers([
      ['set-cookie', 'a=1; Path=/'],
      ['x-many', '1'],
      ['set-cookie', 'b=2'],
      ['x-many', '2'],
    ]);

    const response = await answer(() => new Response('x', { headers }));

    const values = (wanted) => response.headers.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value);
    assert.deepEqual(values('set-cookie'), ['a=1; Path=/', 'b=2']);
    assert.deepEqual(values('x-many'), ['1, 2']);
  });

  test('has the date of now, or the one of the handler', async () => {
    const before = Math.floor(Date.now() / 1000) * 1000;
    const date = Date.parse((await answer(() => new Response('x'))).header('date'));

    // A server may make the Date line once a second.
    assert.ok(date >= before - 2000 && date <= Date.now(), `${date} is not about ${before}`);
    const headers = { date: 'Thu, 01 Jan 1970 00:00:00 GMT' };
    const own = await answer(() => new Response('x', { headers }));
    assert.deepEqual(
      own.headers.filter(([name]) => /^date$/i.test(name)).map(([, value]) => value),
      [headers.date],
    );
  });

  test('has header values of any byte as Latin-1', async () => {
    assert.equal((await answer(() => new Response('x', { headers: { 'x-name': 'café' } }))).header('x-name'), 'café');
  });
});

describe('the response to HEAD', () => {
  const head = (make) => answer(() => make(), request('HEAD', '/'));

  for (const [what, make, length] of [
    ['a string', () => new Response('hello'), '5'],
    ['null', () => new Response(null), '0'],
    ['null with a length of the handler', () => new Response(null, { headers: { 'content-length': '1234' } }), '1234'],
  ]) {
    test(`has the length of ${what} and no body`, async () => {
      const server = start(make);
      const { client, response } = await exchange(server, request('HEAD', '/'));

      client.write(request('HEAD', '/'));

      assert.deepEqual([response.status, response.header('content-length')], [200, length]);
      assert.equal((await readResponse(client, 'HEAD')).status, 200); // nothing was between the two
    });
  }

  test('has the headers of the handler', async () => {
    assert.equal((await head(() => new Response('x', { headers: { 'x-mine': '1' } }))).header('x-mine'), '1');
  });

  test('has no length for a stream, which is cancelled', async () => {
    const cancels = calls('cancel');
    const pull = (controller) => later().then(() => controller.enqueue(bytes('x')));
    const stream = new ReadableStream({ pull, cancel: cancels });

    const response = await head(() => new Response(stream));

    assert.deepEqual([response.header('content-length'), isChunked(response)], [undefined, true]);
    await cancels.next();
  });
});

describe('a handler that fails', () => {
  /** What `error` was called with: its arguments and `this`, as told by the response it gave. */
  async function errorOf(fetch) {
    const errors = calls('error');
    const server = start(fetch, {
      error(...args) {
        errors(this === server, ...args);
        return new Response('handled', { status: 503 });
      },
    });
    const { response } = await exchange(server, request('GET', '/'));
    assert.deepEqual([response.status, response.text], [503, 'handled']);
    assert.equal(errors.all.length, 1);
    const [own, error, ...rest] = errors.all[0];
    assert.deepEqual([own, rest], [true, []]);
    return error;
  }

  for (const value of [new TypeError('boom'), 'a string', undefined, null, 5, { plain: true }, new Response('thrown')]) {
    const name = value instanceof Error ? 'an Error' : Object.prototype.toString.call(value);
    test(`hands ${name} it threw to error, as it is`, async () => {
      const error = await errorOf(() => {
        throw value;
      });

      assert.equal(error, value);
    });

    test(`hands ${name} it rejected with to error, as it is`, async () => {
      const error = await errorOf(async () => {
        await later();
        throw value;
      });

      assert.equal(error, value);
    });
  }

  test('hands an Error it returned to error', async () => {
    const returned = new RangeError('returned');

    assert.equal(await errorOf(() => returned), returned);
  });

  const USED = {
    name: 'TypeError',
    code: 'ERR_BODY_ALREADY_USED',
    message: 'Response body already used. A Response body can only be sent once; create a new Response for each request.',
  };
  const shown = ({ name, code, message }) => ({ name, code, message });

  test('by returning a Response that was read', async () => {
    const error = await errorOf(async () => {
      const response = new Response('x');
      await response.text();
      return response;
    });

    assert.deepEqual(shown(error), USED);
  });

  test('by returning the same Response twice', async () => {
    const same = new Response('once');
    const errors = calls('error');
    const server = start(() => same, {
      error(error) {
        errors(shown(error));
        return new Response('handled');
      },
    });

    const texts = [];
    for (let count = 0; count < 2; count++) texts.push((await exchange(server, request('GET', '/'))).response.text);

    assert.deepEqual([texts, errors.all, same.bodyUsed], [['once', 'handled'], [[USED]], true]);
  });

  test('not by returning the same Response without a body twice', async () => {
    const same = new Response(null, { status: 201 });
    const server = start(() => same);

    for (let count = 0; count < 2; count++) assert.equal((await exchange(server, request('GET', '/'))).response.status, 201);
  });

  test('not by cloning the Response it returns', async () => {
    const response = await answer(() => {
      const made = new Response('whole');
      made.clone();
      return made;
    });

    assert.equal(response.text, 'whole');
  });

  test('by returning a Response whose stream is locked', async () => {
    const error = await errorOf(() => {
      const response = new Response(new ReadableStream({ pull: (controller) => controller.enqueue(bytes('x')) }));
      response.body.getReader();
      return response;
    });

    assert.ok(error instanceof Error);
    assert.deepEqual([error.code, error.message], ['ERR_STREAM_CANNOT_PIPE', 'Stream already used, please create a new one']);
  });

  test('by returning Response.error()', async () => {
    const { message } = await errorOf(() => Response.error());

    assert.match(message, /^Cannot send a Response with status 0\./);
  });

  for (const [what, error] of [
    ['a Response', () => new Response('handled')],
    ['a promise of a Response', async () => later().then(() => new Response('handled'))],
  ]) {
    test(`is answered with ${what} from error`, async () => {
      const response = await answer(
        () => {
          throw new Error('x');
        },
        request('GET', '/'),
        { error },
      );

      assert.deepEqual([response.status, response.text], [200, 'handled']);
    });
  }

  // In processes of their own: these errors are printed and leave their mark on the exit status.
  const program = (options) => run(`const server = serve({ ${options} }); print(server.port);`);
  const THROWS = 'fetch(_req, own) { own.stop(); throw new Error("boom"); }';

  for (const [what, options, printed] of [
    ['there is no error handler', THROWS, /boom/],
    ['it rejects and there is no error handler', `async ${THROWS}`, /boom/],
    ['error gives undefined', `${THROWS}, error() {}`, /boom/],
    ['error gives null', `${THROWS}, error: () => null`, /boom/],
    ['error gives a string', `${THROWS}, error: () => 'x'`, /boom/],
    ['error gives a promise of nothing', `${THROWS}, error: async () => {}`, /boom/],
    ['error throws', `${THROWS}, error() { throw new Error('worse'); }`, /worse/],
    ['error rejects', `${THROWS}, async error() { throw new Error('worse'); }`, /worse/],
    [
      'error gives a Response that was read',
      `${THROWS}, async error() { const used = new Response('x'); await used.text(); return used; }`,
      /already used/,
    ],
  ]) {
    test(`is answered with a 500, printed, and makes the exit status 1 when ${what}`, async () => {
      const child = program(`development: false, ${options}`);
      const { client, response } = await exchange({ port: Number(await child.line()) }, request('GET', '/'));
      client.destroy();

      assert.deepEqual([response.status, response.header('content-type'), response.text], [500, 'text/plain', 'Something went wrong!']);
      const { code, stderr } = await child.exited();
      assert.equal(code, 1);
      assert.match(stderr, printed);
    });
  }

  test('neither stops the server nor is an uncaughtException or unhandledRejection', async () => {
    const child = program(`
      development: false,
      fetch(req) {
        process.on('uncaughtException', () => print('uncaughtException'));
        process.on('unhandledRejection', () => print('unhandledRejection'));
        if (req.url.endsWith('/throws')) throw new Error('boom');
        if (req.url.endsWith('/rejects')) return Promise.reject(new Error('boom'));
        process.exitCode = 3;
        server.stop();
        return new Response('still here');
      }`);
    const client = await connectTo({ port: Number(await child.line()) });

    const seen = [];
    for (const path of ['/throws', '/rejects', '/']) {
      client.write(request('GET', path));
      seen.push((await readResponse(client)).status);
    }

    assert.deepEqual(seen, [500, 500, 200]);
    assert.deepEqual((await child.exited()).lines.slice(1), []);
  });

  test('in development is answered with a page that tells the error', async () => {
    const child = program(`development: true, ${THROWS}`);

    const { response } = await exchange({ port: Number(await child.line()) }, request('GET', '/'));

    assert.equal(response.status, 500);
    assert.match(response.header('content-type'), /^text\/html/);
    assert.match(response.text, /boom/);
  });
});

describe('a handler that returns no Response', () => {
  const VALUES = [
    'undefined',
    'null',
    "'text'",
    '5',
    '{}',
    'Promise.resolve()',
    'Promise.resolve(new Error("x"))',
    '{ then(resolve) { resolve(new Response("x")); } }',
  ];
  const program = (development, value) =>
    run(`const server = serve({ development: ${development}, fetch(_req, own) { own.stop(); return ${value}; } }); print(server.port);`);

  for (const value of VALUES) {
    test(`but ${value} is answered with a 204 and an error is printed`, async () => {
      const child = program(false, value);
      const { client, response } = await exchange({ port: Number(await child.line()) }, request('GET', '/'));
      client.destroy();

      assert.deepEqual([response.status, response.reason, response.header('content-length')], [204, 'No Content', undefined]);
      const { code, stderr } = await child.exited();
      assert.equal(code, 0);
      assert.match(stderr, /Expected a Response object, but received/);
    });
  }

  test('is answered with a hint in development', async () => {
    const child = program(true, 'undefined');

    const { response } = await exchange({ port: Number(await child.line()) }, request('GET', '/'));

    assert.equal(response.status, 200);
    assert.match(response.header('content-type'), /^text\/plain/);
    assert.match(response.text, /To get started, return a Response object\.$/);
  });
});

describe('a connection', () => {
  test('is kept alive for the next request', async () => {
    let count = 0;
    const server = start((_req, own) => new Response(`${++count} ${own.pendingRequests}`));
    const client = await connectTo(server);

    const texts = [];
    for (let index = 0; index < 5; index++) {
      client.write(request('GET', '/'));
      texts.push((await readResponse(client)).text);
    }

    assert.deepEqual(texts, ['1 1', '2 1', '3 1', '4 1', '5 1']);
  });

  for (const [what, sent, headers] of [
    ['the request says Connection: close', request('GET', '/', { Connection: 'close' }), {}],
    ['the response says connection: close', request('GET', '/'), { connection: 'close' }],
    ['the request is HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\n\r\n', {}],
  ]) {
    test(`is closed after the response when ${what}`, async () => {
      const { client, response } = await exchange(
        start(() => new Response('x', { headers })),
        Buffer.from(sent),
      );

      assert.equal(response.text, 'x');
      assert.equal(await client.ended(), 'FIN');
    });
  }

  test('is closed after a streamed response when the request says Connection: close', async () => {
    const body = () =>
      (async function* () {
        await later();
        yield 'streamed';
      })();
    const { client, response } = await exchange(
      start(() => new Response(body())),
      request('GET', '/', { Connection: 'close' }),
    );

    assert.equal(response.text, 'streamed');
    assert.equal(await client.ended(), 'FIN');
  });

  test('may carry requests that do not wait for each other', async () => {
    let count = 0;
    const client = await connectTo(start((req) => new Response(`${++count} ${new URL(req.url).pathname}`)));

    client.write(...['/a', '/b', '/c'].map((path) => request('GET', path)));

    const texts = [];
    for (let index = 0; index < 3; index++) texts.push((await readResponse(client)).text);
    assert.deepEqual(texts, ['1 /a', '2 /b', '3 /c']);
  });

  test('may carry a request behind an unfinished response', async () => {
    const running = [];
    const client = await connectTo(
      start(async (req) => {
        running.push(req.url);
        await later();
        return new Response(`${new URL(req.url).pathname} ${running.length}`);
      }),
    );

    client.write(request('GET', '/a'), request('POST', '/b', {}, 'body'), request('GET', '/c'));

    if (differs('pipelined-requests')) {
      const texts = [];
      for (let index = 0; index < 3; index++) texts.push((await readResponse(client)).text.split(' ')[0]);
      assert.deepEqual(texts, ['/a', '/b', '/c']);
    } else {
      assert.equal(await client.ended(), 'FIN');
      assert.equal(client.bytes.length, 0);
    }
  });

  test('may bring a request in pieces', async () => {
    const client = await connectTo(start((req) => new Response(req.headers.get('x-mine'))));

    await client.dribble(request('GET', '/', { 'x-mine': 'piece by piece' }), 3);

    assert.equal((await readResponse(client)).text, 'piece by piece');
  });
});

describe('much', () => {
  const digest = sha1(BIG);
  const url = (server) => `http://127.0.0.1:${server.port}/`;

  test('a body of 20 MB arrives', { timeout: 30_000 }, async () => {
    const server = start(async (req) => new Response(sha1(Buffer.from(await req.arrayBuffer()))));

    const response = await fetch(url(server), { method: 'POST', body: BIG });

    assert.equal(await response.text(), digest);
  });

  test('a body of 20 MB is sent', { timeout: 30_000 }, async () => {
    const response = await fetch(url(start(() => new Response(BIG))));

    assert.equal(response.headers.get('content-length'), String(BIG.length));
    assert.equal(sha1(Buffer.from(await response.arrayBuffer())), digest);
  });

  test('20 MB are streamed through', { timeout: 30_000 }, async () => {
    const response = await fetch(url(start((req) => new Response(req.body))), { method: 'POST', body: BIG });

    assert.equal(sha1(Buffer.from(await response.arrayBuffer())), digest);
  });

  test('a slow reader gets all of 20 MB', { timeout: 30_000 }, async () => {
    const server = start((req) => new Response(req.url.endsWith('/big') ? BIG : 'others are served'));
    const client = await connectTo(server);
    client.pause();
    client.write(request('GET', '/big'));
    assert.equal((await exchange(server, request('GET', '/'))).response.text, 'others are served');

    client.resume();

    assert.equal(sha1((await readResponse(client)).body), digest);
  });

  test('200 requests at once get their own answers', { timeout: 30_000 }, async () => {
    const server = start(async (req) => {
      const body = await req.text();
      await later();
      return new Response(`${new URL(req.url).pathname} ${body}`);
    });

    const texts = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const response = await fetch(`${url(server)}${index}`, { method: 'POST', body: `body ${index}` });
        return response.text();
      }),
    );

    assert.deepEqual(
      texts,
      Array.from({ length: 200 }, (_, index) => `/${index} body ${index}`),
    );
    assert.equal(server.pendingRequests, 0);
  });
});
