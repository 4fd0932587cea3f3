// Files as bodies of responses: sent piece by piece with their length, as much of them as is asked for.

import assert from 'node:assert/strict';
import { mkdtempSync, openAsBlob, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp } from './support/connect.mjs';
import { exchange, isChunked, readResponse, request } from './support/raw-http.mjs';
import { bun, isBunRuntime, isOracle, mantou, serve } from './support/target.mjs';

afterEach(cleanUp);

const folder = mkdtempSync(join(tmpdir(), 'mantou-file-'));
after(() => rmSync(folder, { recursive: true }));

/** A Blob of the file, whose bytes are read when they are sent. */
const blobOf = (path, options) => (isBunRuntime ? bun.file(path, options) : openAsBlob(path, options));
const Response = mantou.Response ?? globalThis.Response;

function write(name, content) {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const digits = write('digits.txt', '0123456789');
const empty = write('empty.txt', '');
const big = write('big.bin', Buffer.alloc(5 * 1024 * 1024, 'abcdefgh'));
const TYPE = 'text/x-digits';

/** What a server answers that sends this file. */
async function answer(sent, { path = digits, init, make = (blob) => new Response(blob, init), ...options } = {}) {
  const server = serve({ development: false, fetch: async () => make(await blobOf(path, { type: TYPE })), ...options });
  const { client, response } = await exchange(server, sent);
  // Nothing of the answer is left on the connection.
  client.write(request('GET', '/'));
  await readResponse(client);
  return response;
}

const get = (headers) => request('GET', '/', headers);
const shown = (response) => [response.status, response.text, response.header('content-length'), response.header('content-range')];

describe('a file', () => {
  test('is sent with its type and length', async () => {
    const response = await answer(get());

    assert.deepEqual(shown(response), [200, '0123456789', '10', undefined]);
    assert.equal(response.header('content-type'), TYPE);
  });

  test('of any size is sent whole', async () => {
    const response = await answer(get(), { path: big });

    assert.equal(response.header('content-length'), String(5 * 1024 * 1024));
    assert.ok(response.body.equals(Buffer.alloc(5 * 1024 * 1024, 'abcdefgh')));
  });

  test('that is empty is sent', async () => {
    assert.deepEqual(shown(await answer(get(), { path: empty })), [200, '', '0', undefined]);
  });

  test('is not read for HEAD', async () => {
    const response = await answer(request('HEAD', '/'));

    assert.deepEqual([response.status, response.header('content-length'), isChunked(response)], [200, '10', false]);
  });

  test('keeps the type, the status and the fields that the handler gives', async () => {
    const response = await answer(get(), { init: { status: 201, headers: { 'content-type': 'text/mine', 'x-mine': '1' } } });

    assert.deepEqual([response.status, response.header('content-type'), response.header('x-mine')], [201, 'text/mine', '1']);
  });

  test('has its own length, whatever the handler says', async () => {
    assert.deepEqual(shown(await answer(get(), { init: { headers: { 'content-length': '3' } } })), [200, '0123456789', '10', undefined]);
  });

  test('can be a part of one', async () => {
    const response = await answer(get(), { make: (blob) => new Response(blob.slice(2, 6, TYPE)) });

    assert.deepEqual([response.text, response.header('content-length')], ['2345', '4']);
  });

  test('that is gone when it is to be read is an error of the handler', async () => {
    const errors = calls('error');
    const path = write('gone.txt', 'here today');
    const blob = await blobOf(path);
    rmSync(path);
    const server = serve({
      development: false,
      fetch: () => new Response(blob),
      error(error) {
        errors(error);
        return new globalThis.Response('handled', { status: 503 });
      },
    });

    const { response } = await exchange(server, get());

    assert.deepEqual([response.status, response.text, errors.all.length], [503, 'handled', 1]);
    assert.ok(errors.all[0][0] instanceof Error);
    if (isBunRuntime) assert.equal(errors.all[0][0].code, 'ENOENT');
  });

  test('can be sent to many at once', async () => {
    const server = serve({ fetch: async () => new Response(await blobOf(big)) });

    const responses = await Promise.all(Array.from({ length: 10 }, () => exchange(server, get())));

    for (const { response } of responses) assert.equal(response.body.length, 5 * 1024 * 1024);
  });
});

describe('a range', () => {
  for (const [range, text, contentRange] of [
    ['bytes=2-4', '234', 'bytes 2-4/10'],
    ['bytes=0-0', '0', 'bytes 0-0/10'],
    ['bytes=0-', '0123456789', 'bytes 0-9/10'],
    ['bytes=5-100', '56789', 'bytes 5-9/10'],
    ['bytes=-3', '789', 'bytes 7-9/10'],
    ['bytes=-100', '0123456789', 'bytes 0-9/10'],
    ['BYTES=2-4', '234', 'bytes 2-4/10'],
    ['bytes= 2 - 4', '234', 'bytes 2-4/10'],
  ]) {
    test(`of ${range} is answered with 206`, async () => {
      const response = await answer(get({ Range: range }));

      assert.deepEqual(shown(response), [206, text, String(text.length), contentRange]);
      assert.deepEqual([response.header('accept-ranges'), response.header('content-type')], ['bytes', TYPE]);
    });
  }

  for (const range of ['bytes=10-', 'bytes=20-30', 'bytes=-0']) {
    test(`of ${range} is answered with 416`, async () => {
      const response = await answer(get({ Range: range }), { init: { headers: { 'x-mine': '1' } } });

      assert.deepEqual(shown(response), [416, '', '0', 'bytes */10']);
      assert.equal(response.header('x-mine'), '1');
    });
  }

  for (const range of ['bytes=1-2,4-5', 'bytes=4-2', 'lines=1-2', 'bytes=a-b', 'bytes', 'bytes=-', 'bytes=99999999999999999999-', '']) {
    test(`of ${JSON.stringify(range)} is ignored`, async () => {
      assert.deepEqual(shown(await answer(get({ Range: range }))), [200, '0123456789', '10', undefined]);
    });
  }

  for (const method of ['HEAD', 'POST', 'PUT']) {
    test(`is ignored with ${method}`, async () => {
      const response = await answer(request(method, '/', { Range: 'bytes=2-4' }));

      assert.deepEqual([response.status, response.header('content-length')], [200, '10']);
    });
  }

  for (const init of [{ status: 201 }, { status: 404 }, { headers: { 'content-range': 'bytes 0-9/10' } }]) {
    test(`is ignored in a response with ${JSON.stringify(init)}`, async () => {
      const response = await answer(get({ Range: 'bytes=2-4' }), { init });

      assert.deepEqual([response.status, response.text], [init.status ?? 200, '0123456789']);
    });
  }

  test('of nothing in nothing is answered', async () => {
    assert.equal((await answer(get({ Range: 'bytes=0-' }), { path: empty })).status, 416);
    assert.equal((await answer(get({ Range: 'bytes=-1' }), { path: empty })).status, 200);
  });

  test('of a Blob in memory', { skip: isBunRuntime && !isOracle && "of Bun's class, as there" }, async () => {
    const response = await answer(get({ Range: 'bytes=2-4' }), { make: () => new Response(new Blob(['0123456789'])) });

    assert.deepEqual(shown(response).slice(0, 2), differs('blob-ranges') ? [206, '234'] : [200, '0123456789']);
  });

  test('of a big file is sent alone', async () => {
    const response = await answer(get({ Range: 'bytes=4000000-4000015' }), { path: big });

    assert.deepEqual(shown(response), [206, 'abcdefghabcdefgh', '16', `bytes 4000000-4000015/${5 * 1024 * 1024}`]);
  });

  const DATE = 'Wed, 21 Oct 2015 07:28:00 GMT';
  for (const [fields, ifRange, status] of [
    [{ etag: '"a"' }, '"a"', 206],
    [{ etag: '"a"' }, '"b"', 200],
    [{ etag: 'W/"a"' }, 'W/"a"', 200],
    [{ 'last-modified': DATE }, DATE, 206],
    [{ 'last-modified': DATE }, 'Wed, 21 Oct 2015 07:28:01 GMT', 200],
    [{}, '"a"', 200],
  ]) {
    test(`for ${ifRange} of a file with ${JSON.stringify(fields)} is ${status === 206 ? 'honoured' : 'ignored'}`, async () => {
      const response = await answer(get({ Range: 'bytes=2-4', 'If-Range': ifRange }), { init: { headers: fields } });

      assert.equal(response.status, status);
    });
  }
});

describe('a condition', () => {
  const DATE = 'Wed, 21 Oct 2015 07:28:00 GMT';
  const LATER = 'Wed, 21 Oct 2015 07:28:01 GMT';
  const EARLIER = 'Wed, 21 Oct 2015 07:27:59 GMT';
  for (const [fields, condition, status] of [
    [{ etag: '"a"' }, { 'If-None-Match': '"a"' }, 304],
    [{ etag: 'W/"a"' }, { 'If-None-Match': '"x", "a"' }, 304],
    [{ etag: '"a"' }, { 'If-None-Match': '*' }, 304],
    [{ etag: '"a"' }, { 'If-None-Match': '"b"' }, 200],
    [{}, { 'If-None-Match': '"a"' }, 200],
    [{ 'last-modified': DATE }, { 'If-Modified-Since': DATE }, 304],
    [{ 'last-modified': DATE }, { 'If-Modified-Since': LATER }, 304],
    [{ 'last-modified': DATE }, { 'If-Modified-Since': EARLIER }, 200],
    [{}, { 'If-Modified-Since': LATER }, 200],
    [{ etag: '"a"', 'last-modified': DATE }, { 'If-None-Match': '"b"', 'If-Modified-Since': DATE }, 200],
    [{ etag: '"a"' }, { 'If-Match': '"b"' }, 412],
    [{ etag: '"a"' }, { 'If-Match': '"a"' }, 200],
    [{ 'last-modified': DATE }, { 'If-Unmodified-Since': EARLIER }, 412],
    [{ etag: '"a"' }, { 'If-None-Match': '"a"', Range: 'bytes=2-4' }, 304],
  ]) {
    const name = `${JSON.stringify(condition)} on a file with ${JSON.stringify(fields)}`;
    test(`${name} is answered with ${status}`, async () => {
      const response = await answer(get(condition), { init: { headers: fields } });

      const expected = differs('file-conditions') ? status : condition.Range === undefined ? 200 : 206;
      assert.equal(response.status, expected);
      assert.equal(response.text, { 200: '0123456789', 206: '234' }[expected] ?? '');
    });
  }

  test('does not count with POST', async () => {
    const response = await answer(request('POST', '/', { 'If-None-Match': '"a"' }), { init: { headers: { etag: '"a"' } } });

    assert.equal(response.status, 200);
  });
});

describe('a file of a route', () => {
  const DATE = 'Tue, 14 Nov 2023 22:13:20 GMT';
  const GONE = 'the next route';
  const fresh = (name) => {
    const path = write(name, '0123456789');
    utimesSync(path, 1_700_000_000, 1_700_000_000);
    return path;
  };
  const routed = (route) => serve({ development: false, routes: { '/': route, '/*': () => new Response(GONE) } });
  const asked = async (server, headers) => shown((await exchange(server, get(headers))).response);

  for (const [what, routeOf] of [
    ['itself', (blob) => blob],
    ['in a Response', (blob) => new Response(blob)],
    ['in a Response for GET', (blob) => ({ GET: new Response(blob) })],
  ]) {
    const isRefused = differs('file-routes') && (what === 'itself' || isBunRuntime);
    test(`${what} is ${isRefused ? 'refused' : differs('file-routes') ? 'what it was at the start' : 'read for each request'}`, async () => {
      const path = fresh('routed.txt');
      const route = routeOf(await blobOf(path));
      if (isRefused) {
        assert.throws(() => routed(route), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
        return;
      }
      const server = routed(route);
      const whole = [200, '0123456789', '10', undefined];

      assert.deepEqual(await asked(server), whole);
      assert.deepEqual(await asked(server, { Range: 'bytes=1-2,4-5' }), whole);
      if (differs('file-routes')) {
        rmSync(path);
        assert.deepEqual(await asked(server, { Range: 'bytes=2-4' }), whole);
        return;
      }
      assert.deepEqual(await asked(server, { Range: 'bytes=2-4' }), [206, '234', '3', 'bytes 2-4/10']);
      assert.deepEqual(await asked(server, { Range: 'bytes=20-' }), [416, '', '0', 'bytes */10']);
      assert.deepEqual(await asked(server, { 'If-Modified-Since': DATE }), [304, '', undefined, undefined]);
      assert.equal((await exchange(server, get())).response.header('last-modified'), DATE);
      write('routed.txt', 'changed');
      assert.deepEqual(await asked(server), [200, 'changed', '7', undefined]);
      rmSync(path);
      assert.deepEqual(await asked(server), [200, GONE, String(GONE.length), undefined]);
    });
  }
});

describe('a file that changes', () => {
  test('while it is sent ends the connection: the client does not take the part for the whole', {
    skip: isBunRuntime && 'Bun sends what is there',
  }, async () => {
    const path = write('changing.bin', Buffer.alloc(20 * 1024 * 1024));
    const server = serve({ development: false, fetch: async () => new Response(await blobOf(path)) });
    const socket = connect({ port: server.port, host: '127.0.0.1' });
    socket.write(get());
    await new Promise((resolve) => {
      socket.once('data', () => resolve(socket.pause()));
    });

    // Most of it has not been read: it is more than sockets hold.
    writeFileSync(path, 'short');
    utimesSync(path, 1, 1);
    let size = 0;
    socket.on('data', (data) => {
      size += data.length;
    });
    // A reset behind bytes that nobody has read yet is an end to some, an error to others.
    socket.on('error', () => {});
    socket.resume();
    await new Promise((resolve) => socket.on('close', resolve));

    assert.ok(size < 20 * 1024 * 1024, `${size} bytes`);
  });
});
