// What a handler returns and what then goes over the wire, with the host's Response and with mantou's own.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp } from './support/connect.mjs';
import { killPrograms, run } from './support/program.mjs';
import { connectTo, exchange, isChunked, readChunk, readResponse, request } from './support/raw-http.mjs';
import { isBunRuntime, isOracle, mantou, serve } from './support/target.mjs';

afterEach(cleanUp);
afterEach(killPrograms);

const MEGABYTE = 1024 * 1024;
const start = (fetch, options) => serve({ development: false, fetch, ...options });
const bytes = (words) => new TextEncoder().encode(words);
/** A later turn of the event loop: what comes after was not there at once. */
const later = () => new Promise((resolve) => setTimeout(resolve));

/** What a server with this handler answers to one request. */
async function answer(fetch, sent = request('GET', '/'), options = {}) {
  return (await exchange(start(fetch, options), sent)).response;
}

const classes = { "the host's Response": globalThis.Response };
if (mantou.Response !== undefined && mantou.Response !== globalThis.Response) classes["mantou's Response"] = mantou.Response;

describe('a response of another implementation', { skip: isOracle && 'Bun takes its own alone' }, () => {
  /** What any of them has: no class, but a shape. */
  const shaped = ({ status = 200, statusText = '', fields = [], body = null, bodyUsed = false }) => ({
    status,
    statusText,
    headers: {
      forEach(callback) {
        for (const [name, value] of fields) callback(value, name);
      },
    },
    body,
    bodyUsed,
  });
  const streamOf = (text) => new globalThis.Response(text).body;

  test('is sent', async () => {
    const fields = [
      ['Content-Type', 'text/mine'],
      ['X-Mine', '1'],
      ['Set-Cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ];

    const response = await answer(() => shaped({ status: 201, statusText: 'Made', fields, body: streamOf('theirs') }));

    assert.deepEqual([response.status, response.reason, response.text], [201, 'Made', 'theirs']);
    const lines = response.headers
      .filter(([name]) => !/^(date|content-length)$/i.test(name))
      .map(([name, value]) => `${name.toLowerCase()}: ${value}`);
    assert.deepEqual(lines, ['set-cookie: a=1', 'set-cookie: b=2', 'content-type: text/mine', 'x-mine: 1']);
  });

  test('without a body is sent', async () => {
    const response = await answer(() => shaped({ status: 404 }));

    assert.deepEqual([response.status, response.text, response.header('content-length')], [404, '', '0']);
  });

  test('is not sent when its body was read', async () => {
    const response = await answer(() => shaped({ bodyUsed: true }), request('GET', '/'), {
      error: ({ code }) => new globalThis.Response(code),
    });

    assert.equal(response.text, 'ERR_BODY_ALREADY_USED');
  });

  for (const status of [0, -1, 99, 100, 103, 199, 200.5, 1000, 65736, Number.NaN]) {
    test(`is not sent when its status is ${status}`, async () => {
      const response = await answer(() => shaped({ status }), request('GET', '/'), {
        error: ({ message }) => new globalThis.Response(message),
      });

      assert.ok(response.text.startsWith(`Cannot send a Response with status ${status}.`), response.text);
    });
  }

  for (const status of [200, 599, 600, 999]) {
    test(`is sent when its status is ${status}`, async () => {
      assert.equal((await answer(() => shaped({ status }))).status, status);
    });
  }

  for (const [name, value] of [
    ['x-bad', 'a\r\nx-injected: 1'],
    ['x-bad', 'a\nb'],
    ['x-bad', 'a\0b'],
    ['x bad', 'a'],
    ['x-bad: 1\r\nx-injected', '1'],
    ['', 'a'],
  ]) {
    test(`has no field that HTTP cannot carry: ${JSON.stringify([name, value])}`, async () => {
      const fields = [
        [name, value],
        ['x-good', '1'],
      ];

      const response = await answer(() => shaped({ fields }));

      assert.equal(response.status, 200);
      assert.equal(response.header('x-good'), '1');
      assert.ok(
        response.headers.every(([name]) => ['x-good', 'date', 'content-length'].includes(name.toLowerCase())),
        String(response.headers),
      );
    });
  }
});

for (const [whose, Response] of Object.entries(classes)) {
  const isHosts = Response === globalThis.Response;
  describe(whose, () => {
    describe('the body of a response', () => {
      const OCTETS = 'application/octet-stream';
      const TEXT = 'text/plain;charset=utf-8';
      /** Bun takes them for text in `blob().type` too. */
      const typeOfHostBytes = isBunRuntime ? TEXT : undefined;
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
        test(`may be ${what}`, async () => {
          const response = await answer(() => new Response(make()));

          assert.deepEqual(
            [response.status, response.text, response.header('content-length')],
            [200, content, String(Buffer.byteLength(content))],
          );
          // Ours knows that it was made from bytes.
          if (type === OCTETS && isHosts && differs('host-classes'))
            assert.equal(response.header('content-type')?.toLowerCase(), typeOfHostBytes);
          else assert.equal(response.header('content-type')?.toLowerCase(), type);
        });
      }

      // Node's Response does not tell how long a Blob or a form is: row 'host-classes'.
      const assertLength = (response) => {
        const length = String(response.body.length);
        if (isHosts && !isBunRuntime) assert.ok(isChunked(response) || response.header('content-length') === length);
        else assert.equal(response.header('content-length'), length);
      };

      test('may be a Blob, whose type is the content type', async () => {
        const response = await answer(() => new Response(new Blob(['hel', 'lo'], { type: 'text/x-mine' })));

        assert.deepEqual([response.text, response.header('content-type')], ['hello', 'text/x-mine']);
        assertLength(response);
      });

      test('may be a Blob whose type would be another field, which is not sent', async () => {
        class Odd extends Blob {
          get type() {
            return 'a/b\r\nx-evil: 1';
          }
        }
        const response = await answer(() => new Response(new Odd(['odd'])));

        assert.deepEqual([response.text, response.header('x-evil')], ['odd', undefined]);
        assert.ok(!response.header('content-type')?.startsWith('a/b'));
      });

      test('may be a Blob of nothing, of a part of another, or of much', async () => {
        const big = new Blob([new Uint8Array(MEGABYTE).fill(97)]);
        for (const [blob, length] of [
          [new Blob([]), 0],
          [big.slice(5, 10), 5],
          [big, MEGABYTE],
        ]) {
          const response = await answer(() => new Response(blob));

          assert.equal(response.text, 'a'.repeat(length));
          assertLength(response);
        }
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
        assert.equal(response.header('content-type'), isBunRuntime ? 'application/json;charset=utf-8' : 'application/json');
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
        assert.deepEqual([response.header('content-length'), response.header('content-type')], [undefined, undefined]);
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
        [
          'that comes late, but at once,',
          () =>
            new ReadableStream({
              async pull(controller) {
                await later();
                controller.enqueue(bytes('ab'));
                await null;
                controller.enqueue(bytes('cd'));
                controller.close();
              },
            }),
          'abcd',
        ],
        [
          'that is a generator and comes late, but at once,',
          () =>
            (async function* () {
              await later();
              yield 'ab';
              await null;
              yield 'cd';
            })(),
          'abcd',
        ],
      ]) {
        test(`${what} is sent with its length`, async () => {
          const response = await answer(() => new Response(make()));

          assert.deepEqual(
            [response.text, response.header('content-length'), response.header('content-type'), isChunked(response)],
            [content, String(content.length), undefined, false],
          );
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

      test('may be a direct one', { skip: !isBunRuntime && 'a stream of Bun' }, async () => {
        const response = await answer(
          () =>
            new Response(
              new ReadableStream({
                type: 'direct',
                async pull(controller) {
                  controller.write('one ');
                  await controller.flush();
                  await later();
                  controller.write(bytes('two'));
                  controller.close();
                },
              }),
            ),
        );

        assert.deepEqual(response.chunks.map(String), ['one ', 'two']);
      });

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
        assert.ok(reason instanceof DOMException);
        assert.deepEqual([reason.name, reason.code, reason.message], ['AbortError', 20, 'The connection was closed.']);
        assert.equal(signal.aborted, true);
        assert.throws(() => controller.enqueue(bytes('late')), TypeError);
      });

      test('that is returned to a client that has ended its half is sent whole', async () => {
        const server = start(
          (req) =>
            new Promise((resolve) => {
              const chunks = Array.from({ length: 50 }, () => 'x'.repeat(100_000));
              req.signal.addEventListener('abort', () => resolve(new Response(trickle(chunks))));
            }),
        );
        const client = await connectTo(server);
        client.write(request('GET', '/'));
        while (server.pendingRequests === 0) await later();

        client.halfClose();

        if (differs('half-close')) assert.equal((await readResponse(client)).body.length, 5_000_000);
        assert.equal(await client.ended(), 'FIN');
      });

      test('is cancelled when the client ends its half in the middle of it, and the connection ends', async () => {
        const cancels = calls('cancel');
        const server = start(
          () =>
            new Response(
              new ReadableStream({
                async pull(controller) {
                  await later();
                  controller.enqueue(bytes('first'));
                  await new Promise(() => {});
                },
                cancel: cancels,
              }),
            ),
        );
        const client = await connectTo(server);
        client.write(request('GET', '/'));
        await client.response();
        await readChunk(client);

        client.halfClose();

        const [reason] = await cancels.next();
        assert.equal(reason.name, 'AbortError');
        await client.ended();
        assert.equal(server.pendingRequests, 0);
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
          test(`resets the connection when ${what} ${early ? 'before' : 'after'} the first byte, and tells nobody`, async () => {
            const program = run(`
          let firsts = ${early ? 0 : 1};
          const first = () => firsts-- > 0;
          let go;
          const told = new Promise((resolve) => { go = resolve; });
          const later = () => (${early} || firsts > 0 ? new Promise((resolve) => setTimeout(resolve, 20)) : told);
          const server = serve({
            development: false,
            fetch(req, own) {
              if (req.url.endsWith('/fails')) {
                req.signal.addEventListener('abort', () => print('the signal aborted'));
                return new Response(${stream});
              }
              if (req.url.endsWith('/go')) go();
              if (req.url.endsWith('/last')) own.stop();
              return new Response('others are served');
            },
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
              // Only now: of RST that comes together with data, Node 20 makes an end like any other.
              await exchange({ port }, request('GET', '/go'));
            }

            assert.equal(await client.ended(), 'RST');
            const received = client.bytes.toString();
            assert.ok(early ? !received.includes('\r\n\r\n') : !received.endsWith('0\r\n\r\n'), received);
            assert.equal((await exchange({ port }, request('GET', '/last'))).response.text, 'others are served');
            assert.deepEqual((await program.exited()).lines.slice(1), []);
          });
        }
      }
    });

    describe('the head of a response', () => {
      for (const [status, reason] of [
        [200, 'OK'],
        [201, 'Created'],
        [203, 'Non-Authoritative Information'],
        [206, 'Partial Content'],
        [301, 'Moved Permanently'],
        [306, 'Switch Proxy'],
        [400, 'Bad Request'],
        [404, 'Not Found'],
        [418, "I'm a Teapot"],
        [422, 'Unprocessable Entity'],
        [500, 'Internal Server Error'],
        [503, 'Service Unavailable'],
      ]) {
        test(`has the status ${status} ${reason}`, async () => {
          const response = await answer(() => new Response('body', { status }));

          assert.deepEqual([response.status, response.reason, response.text], [status, reason, 'body']);
        });

        test(`has the status ${status} ${reason} with a stream for a body`, async () => {
          const body = new ReadableStream({ start: (controller) => controller.close() });
          const response = await answer(() => new Response(body, { status }));

          assert.deepEqual([response.status, response.reason], [status, reason]);
        });
      }

      for (const status of [299, 599]) {
        test(`has a status nobody registered: ${status}`, async () => {
          const response = await answer(() => new Response('body', { status }));

          assert.deepEqual([response.status, response.reason, response.text], [status, differs('reason-phrase') ? '' : 'HM', 'body']);
        });
      }

      test('has the status 101 and no length', { skip: isHosts && !isBunRuntime && 'no status for a Response here' }, async () => {
        for (const method of ['GET', 'HEAD']) {
          for (const options of [{}, { routes: { '/': new Response(null, { status: 101 }) } }]) {
            const { status, reason, header } = await answer(() => new Response(null, { status: 101 }), request(method, '/'), options);

            assert.deepEqual([status, reason, header('content-length')], [101, 'Switching protocols', undefined], method);
          }
        }
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

      describe('of a status without content', { skip: isHosts && !isBunRuntime && 'no body for a Response with it here' }, () => {
        for (const status of [204, 205, 304]) {
          test(`${status} leaves out the body that the handler gives, each time it does`, async () => {
            const length = status === 205 ? '0' : undefined;
            for (const body of ['', 'text', new Uint8Array(3), new Blob(['text'])]) {
              const response = new Response(body, { status });
              // To mantou in Bun an empty text is a stream.
              const again = () => (body === '' && isBunRuntime ? new Response(body, { status }) : response);
              const server = start(again, { routes: { '/static': new Response(body, { status }) } });
              for (const path of ['/', '/static']) {
                const { client, response } = await exchange(server, request('GET', path));

                assert.deepEqual([response.status, response.header('content-length')], [status, length]);
                // There a static one has the type of the body that it has not.
                if (path === '/' || !isOracle) assert.equal(response.header('content-type'), undefined, path);
                // What a body that was sent all the same would be read as.
                client.write(request('GET', path));
                assert.equal((await readResponse(client)).status, status);
              }
            }
          });
        }

        test('cancels a stream, of which nothing is read', async () => {
          const asked = calls('the source of the stream');
          const source = { pull: () => asked('pull'), cancel: () => asked('cancel') };
          const server = start(() => new Response(new ReadableStream(source, { highWaterMark: 0 }), { status: 204 }));

          const { response } = await exchange(server, request('GET', '/'));

          assert.deepEqual([response.status, response.header('content-length')], [204, undefined]);
          assert.deepEqual(await asked.count(1), [['cancel']]);
        });

        test('lets an iterable end that is being read', async () => {
          let end;
          const ended = new Promise((resolve) => {
            end = resolve;
          });
          // biome-ignore lint/correctness/useYield: it is to end without a piece
          const iterable = (async function* () {
            await ended;
          })();
          const server = start(async () => {
            const response = new Response(iterable, { status: 204 });
            assert.ok(response.body);
            await later();
            return response;
          });

          assert.equal((await exchange(server, request('GET', '/'))).response.status, 204);
          end();
          await later();
        });
      });

      test('of a redirect has its location', async () => {
        const response = await answer(() => Response.redirect('http://example.org/there', 302));

        assert.deepEqual(
          [response.status, response.header('location'), response.header('content-length')],
          [302, 'http://example.org/there', '0'],
        );
      });

      const MANY = [
        ['set-cookie', 'a=1; Path=/'],
        ['x-many', '1'],
        ['set-cookie', 'b=2'],
        ['X-Many', '2'],
      ];
      for (const [what, headers] of [
        ['Headers', new Headers(MANY)],
        ['pairs', MANY],
      ]) {
        test(`has one line for each cookie, and one for all values of another name, of ${what}`, async () => {
          const response = await answer(() => new Response('x', { headers }));

          const values = (wanted) => response.headers.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value);
          assert.deepEqual(values('set-cookie'), ['a=1; Path=/', 'b=2']);
          assert.deepEqual(values('x-many'), ['1, 2']);
        });
      }

      test('has its cookies before the fields, whose names Bun writes as they were given', async () => {
        const response = await answer(() => new Response('x', { headers: { 'X-Mine': '1', 'Set-Cookie': 'a=1' } }));

        const names = response.headers.map(([name]) => name);
        assert.equal(names[0], 'set-cookie');
        assert.ok(names.includes(differs('host-classes') ? 'x-mine' : 'X-Mine'), String(names));
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

      test('has the date and the type of the answer to GET', async () => {
        const response = await head(() => new Response('hello'));

        assert.equal(response.header('date') !== undefined, differs('head-fields'));
        assert.equal(response.header('content-type') !== undefined, differs('head-fields'));
      });

      for (const [what, init, length] of [
        ['204', { status: 204 }, undefined],
        ['204, whatever the handler says', { status: 204, headers: { 'content-length': '5' } }, undefined],
        ['304', { status: 304 }, undefined],
        ['304, but that of the handler', { status: 304, headers: { 'content-length': '5' } }, '5'],
        ['404', { status: 404 }, '0'],
        ['a chunked 204', { status: 204, headers: { 'transfer-encoding': 'chunked' } }, undefined],
        ['a chunked 205', { status: 205, headers: { 'transfer-encoding': 'chunked' } }, '0'],
        ['a chunked 304', { status: 304, headers: { 'transfer-encoding': 'chunked' } }, undefined],
      ]) {
        test(`has the length that belongs to ${what}`, async () => {
          const response = await head(() => new Response(null, init));

          assert.deepEqual([response.status, response.header('content-length')], [init.status, length]);
          assert.equal(isChunked(response), false);
        });
      }

      test('has no length for a handler that returns nothing', async () => {
        const response = await head(() => undefined);

        assert.deepEqual([response.status, response.header('content-length')], [204, undefined]);
      });

      // Frameworks answer HEAD with the headers of what would answer GET, and no body.
      for (const [what, body, more] of [
        ['nothing', null, {}],
        ['nothing with a length', null, { 'content-length': '5' }],
        ['an empty string', '', {}],
      ]) {
        test(`has no length for ${what} that the handler says is chunked`, async () => {
          const server = start(() => new Response(body, { headers: { 'transfer-encoding': 'chunked', ...more } }));
          const { client, response } = await exchange(server, request('HEAD', '/'));

          client.write(request('HEAD', '/'));

          assert.deepEqual([response.header('content-length'), isChunked(response)], [undefined, true]);
          assert.equal((await readResponse(client, 'HEAD')).status, 200); // nothing was between the two
        });
      }

      test('has no length for a stream, also where the handler gives one', async () => {
        const pull = (controller) => later().then(() => controller.close());
        const response = await head(() => new Response(new ReadableStream({ pull }), { headers: { 'content-length': '2' } }));

        assert.deepEqual([response.header('content-length'), isChunked(response)], [undefined, true]);
      });

      test('has no length for a stream, which is pulled once and cancelled', async () => {
        const cancels = calls('cancel');
        const pulls = calls('pull');
        const pull = (controller) => {
          pulls();
          // When it is known that it takes its time.
          return new Promise((resolve) => setImmediate(() => setImmediate(resolve))).then(() => controller.enqueue(bytes('x')));
        };

        const response = await head(() => new Response(new ReadableStream({ pull, cancel: cancels })));

        assert.deepEqual([response.header('content-length'), isChunked(response)], [undefined, true]);
        await cancels.next();
        assert.equal(pulls.all.length, 1);
      });
    });

    describe('of bytes', () => {
      const pattern = (length) => Uint8Array.from({ length }, (_, index) => index * 31 + (index >> 8));

      for (const length of [4096, 20_000, MEGABYTE, 20 * MEGABYTE]) {
        test(`reaches a client that takes its time, all ${length} of them, and so does the next`, async () => {
          const sent = pattern(length);
          const arrived = calls('a request');
          const server = start((req) => {
            arrived();
            return new Response(req.url.endsWith('/next') ? 'next' : sent);
          });
          const client = await connectTo(server);
          client.pause();
          client.write(request('GET', '/'));
          await arrived.next();
          client.resume();

          const { body } = await readResponse(client);
          assert.ok(sent.every((byte, index) => byte === body[index]) && body.length === length);
          client.write(request('GET', '/next'));
          assert.equal((await readResponse(client)).text, 'next');
        });
      }

      test('is what they were when it was made', async () => {
        const given = pattern(100_000);
        const response = await answer(() => {
          const made = new Response(given);
          given.fill(0);
          return made;
        });

        assert.ok(pattern(100_000).every((byte, index) => byte === response.body[index]));
      });

      test('leaves its clone its own, and is used', async () => {
        const made = new Response(pattern(100_000));
        const clone = made.clone();

        const response = await answer(() => made);

        assert.deepEqual([response.body.length, made.bodyUsed, clone.bodyUsed], [100_000, true, false]);
        assert.deepEqual(new Uint8Array(await clone.arrayBuffer()), pattern(100_000));
        await assert.rejects(made.arrayBuffer(), TypeError);
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

      test('hands what a Response throws that cannot be read to error', { skip: isOracle && 'there it is no Response' }, async () => {
        const thrown = new Error('x');
        const forEach = () => {
          throw thrown;
        };

        assert.equal(await errorOf(() => ({ status: 200, headers: { forEach }, body: null, bodyUsed: false })), thrown);
      });

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

      test('in development is answered with a page that tells the error, escaped', async () => {
        const child = program(
          `development: true, fetch(_req, own) { own.stop(); throw new RangeError('<script>alert("boom")</script> & more'); }`,
        );

        const { response } = await exchange({ port: Number(await child.line()) }, request('GET', '/'));

        assert.equal(response.status, 500);
        assert.equal(response.header('content-type').toLowerCase(), 'text/html;charset=utf-8');
        // Bun's page is a program that shows what it finds in itself.
        if (isBunRuntime && isOracle) return assert.match(response.text, /boom/);
        assert.ok(!/<script|alert\("/.test(response.text));
        assert.match(response.text, /RangeError: &#60;script&#62;alert\(&#34;boom&#34;\)&#60;\/script&#62; &#38; more/);
        assert.match(response.text, /\n {4}at /);
      });

      for (const [what, error] of [
        ['there is no error handler', ''],
        ['error gives nothing', 'error() {},'],
        ['error throws', `error() { throw new Error('boom'); },`],
        ['error rejects', `async error() { throw new Error('boom'); },`],
      ]) {
        test(`in development is answered with a page, and the request named, when ${what}`, async () => {
          const child = program(`development: true, ${error} fetch(_req, own) { own.stop(); throw new Error('boom'); }`);

          const { client, response } = await exchange({ port: Number(await child.line()) }, request('GET', '/path?a=b'));
          client.destroy();

          assert.equal(response.status, 500);
          assert.equal(response.header('content-type').toLowerCase(), 'text/html;charset=utf-8');
          assert.match((await child.exited()).stderr, /^GET - \/path\?a=b failed$/m);
        });
      }

      test('is not named outside of development', async () => {
        const child = program(`development: false, fetch(_req, own) { own.stop(); throw new Error('boom'); }`);

        (await exchange({ port: Number(await child.line()) }, request('GET', '/path'))).client.destroy();

        assert.doesNotMatch((await child.exited()).stderr, /failed/);
      });

      test('in development with what is no Error is answered with a page that tells it', async () => {
        const child = program(`development: true, fetch(_req, own) { own.stop(); throw '<b>'; }`);

        const { response } = await exchange({ port: Number(await child.line()) }, request('GET', '/'));

        assert.equal(response.status, 500);
        if (!isOracle) assert.match(response.text, /<h1>&#60;b&#62;<\/h1>/);
      });
    });
  });
}

describe('a client that leaves while the host makes the body', () => {
  /** A program whose handler returns `body`, and the client that has the head of its answer to `sent`. */
  const asked = async (body, sent) => {
    const child = run(`
  const server = serve({
    port: 0,
    fetch(req) {
      const left = new Promise((resolve) => req.signal.addEventListener('abort', resolve));
      return new Response(${body});
    },
  });
  print(server.port);
`);
    const client = await connectTo({ port: Number(await child.line()) });
    client.write(sent);
    const { status } = await client.response({ bodyOf: 'HEAD' });
    assert.equal(status, 200);
    return { child, client };
  };

  test('does not end the process when an iterable ends by itself', async () => {
    const body = `(async function* () {
      yield 'first';
      await left;
      server.stop();
    })()`;
    const { child, client } = await asked(body, request('GET', '/'));

    client.destroy();

    const { code, stderr } = await child.exited();
    assert.deepEqual([code, stderr], [0, '']);
  });

  test('does not end the process when it is a form, of which HEAD has the head alone', async () => {
    const body = `(() => {
      const form = new FormData();
      for (let i = 0; i < 20; i++) form.append('part', new Blob(['text']));
      setTimeout(() => server.stop());
      return form;
    })()`;
    const { child } = await asked(body, request('HEAD', '/'));

    const { code, stderr } = await child.exited();
    assert.deepEqual([code, stderr], [0, '']);
  });
});
