// Directory routes: files as they are on the disk, conditions and ranges, and no way out of the directory.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { cleanUp } from './support/connect.mjs';
import { cannotTell, descriptorsOf, settled } from './support/descriptors.mjs';
import { handshake, RawClient } from './support/raw-client.mjs';
import { connectTo, exchange, readResponse, request } from './support/raw-http.mjs';
import { serve } from './support/target.mjs';
import { invalidArgType, throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);

const top = mkdtempSync(join(tmpdir(), 'mantou-directory-'));
after(() => rmSync(top, { recursive: true }));

const root = join(top, 'root');
/** Of every file: 1700000000.5 s, which the fields show without the half. */
const MODIFIED = 'Tue, 14 Nov 2023 22:13:20 GMT';
const EARLIER = 'Tue, 14 Nov 2023 22:13:19 GMT';
const LATER = 'Tue, 14 Nov 2023 22:13:21 GMT';
const ETAG = 'W/"b-6553f100"';

/** @param {string | Uint8Array} content */
function write(path, content, within = root) {
  writeFileSync(join(within, path), content);
  utimesSync(join(within, path), 1_700_000_000.5, 1_700_000_000.5);
}

for (const directory of ['root/sub/deep', 'root/no-index', 'root/odd/index.html', 'out'])
  mkdirSync(join(top, directory), { recursive: true });
for (const [path, content] of Object.entries({
  'a.txt': 'hello world',
  'index.html': '<p>root',
  'sub/index.html': '<p>sub',
  'sub/a.txt': 'sub a',
  'no-index/f.txt': 'f',
  'b b.txt': 'space',
  '%41.txt': 'percent',
  'é.txt': 'accent',
  'h#.txt': 'hash',
  '.hidden': 'hidden',
  '...': 'dots',
  '..x': 'dots and x',
  'empty.txt': '',
  extensionless: 'none',
})) {
  write(path, content);
}
write('secret.txt', 'SECRET', join(top, 'out'));
write('secret.txt', 'SECRET', top);
for (const [path, target] of Object.entries({
  'link-in': 'a.txt',
  'link-dir': 'sub',
  'sub/link-up': '../a.txt',
  'link-out': '../secret.txt',
  'link-out-dir': '../out',
  'link-absolute': join(top, 'secret.txt'),
  'link-root': '/',
  'link-dead': 'nowhere',
  'link-loop': 'link-loop',
})) {
  symlinkSync(target, join(root, path));
}

/** The answer to a request below `/d/`. */
async function get(path, { method = 'GET', headers, body } = {}) {
  const server = serve({ routes: { '/d/*': { dir: root } }, fetch: () => new Response('fetch') });
  return (await exchange(server, request(method, path, headers, body))).response;
}

describe('a directory route', () => {
  test('answers with a file and what is known of it', async () => {
    const response = await get('/d/a.txt');

    assert.deepEqual([response.status, response.text], [200, 'hello world']);
    assert.deepEqual(
      ['content-type', 'last-modified', 'etag', 'accept-ranges', 'content-length'].map((name) => response.header(name)),
      ['text/plain;charset=utf-8', MODIFIED, ETAG, 'bytes', '11'],
    );
    assert.ok(response.header('date'));
  });

  for (const [path, text] of [
    ['/d/sub/a.txt', 'sub a'],
    ['/d/a.txt?query=/x', 'hello world'],
    ['/d/b%20b.txt', 'space'],
    ['/d/%2541.txt', 'percent'],
    ['/d/%C3%A9.txt', 'accent'],
    ['/d/h%23.txt', 'hash'],
    ['/d/.hidden', 'hidden'],
    ['/d/...', 'dots'],
    ['/d/..x', 'dots and x'],
    ['/d/empty.txt', ''],
    ['/d/', '<p>root'],
    ['/d/sub/', '<p>sub'],
    ['/d/sub/index.html', '<p>sub'],
    ['/d/link-in', 'hello world'],
    ['/d/link-dir/a.txt', 'sub a'],
    ['/d/link-dir/', '<p>sub'],
    ['/d/sub/link-up', 'hello world'],
  ]) {
    test(`has ${path}`, async () => {
      const response = await get(path);

      assert.deepEqual([response.status, response.text, response.header('content-length')], [200, text, String(text.length)]);
    });
  }

  test('has a file whose name is a raw byte or a fragment', async () => {
    assert.equal((await get('/d/h#.txt')).text, 'hash');
    assert.equal((await get('/d/é.txt')).text, 'accent');
  });

  for (const [path, location] of [
    ['/d/sub', '/d/sub/'],
    ['/d/sub?x=/1', '/d/sub/?x=/1'],
    ['/d/sub/deep', '/d/sub/deep/'],
    ['/d/link-dir', '/d/link-dir/'],
    ['/d/odd/index.html', '/d/odd/index.html/'],
  ]) {
    test(`redirects ${path} to ${location}`, async () => {
      const response = await get(path);

      assert.deepEqual([response.status, response.header('location'), response.text], [301, location, '']);
      assert.equal(response.header('content-length'), '0');
    });
  }

  test('has no way round the route of a path below it', async () => {
    const server = serve({ routes: { '/d/*': { dir: join(top, 'root') }, '/d/sub/*': () => new Response('guarded') } });

    assert.equal((await exchange(server, request('GET', '/d/sub/a.txt'))).response.text, 'guarded');
    for (const path of ['/d/s%75b/a.txt', '/d/%73%75%62/a.txt', '/d//sub/a.txt', '/d/./sub/a.txt', '/d/sub%2Fa.txt'])
      assert.equal((await exchange(server, request('GET', path))).response.status, 404, path);
  });

  test('leaves the path without its slash to others', async () => {
    assert.equal((await get('/d')).text, 'fetch');
  });

  for (const path of [
    '/d/missing',
    '/d/missing/',
    '/d/a.txt/',
    '/d/a.txt/b',
    '/d/no-index/',
    '/d/odd/',
    '/d/A.TXT',
    `/d/${'n'.repeat(300)}`,
  ]) {
    test(`has no ${path.slice(0, 40)}`, async () => {
      const response = await get(path);

      assert.deepEqual([response.status, response.header('content-length'), response.text], [404, '0', '']);
    });
  }

  // Each would be the secret, or a file of the root by another name, if it named anything.
  for (const path of [
    '/d/../secret.txt',
    '/d/..%2fsecret.txt',
    '/d/..%2Fsecret.txt',
    '/d/%2e%2e/secret.txt',
    '/d/%2E%2E/secret.txt',
    '/d/.%2e/secret.txt',
    '/d/sub/../../secret.txt',
    '/d/sub/%2e%2e/%2e%2e/secret.txt',
    '/d/..%5csecret.txt',
    '/d/..\\secret.txt',
    '/d/..%00/secret.txt',
    '/d/.%00./secret.txt',
    '/d/%2fetc/passwd',
    '/d//etc/passwd',
    '/d///etc/passwd',
    '/d/link-out',
    '/d/link-out-dir',
    '/d/link-out-dir/',
    '/d/link-out-dir/secret.txt',
    '/d/link-absolute',
    '/d/link-root/etc/passwd',
    '/d/link-dead',
    '/d/link-loop',
    '/d/%61.txt',
    '/d/a%2Etxt',
    '/d/%2ehidden',
    '/d/s%75b/a.txt',
    '/d/sub/../a.txt',
    '/d/./a.txt',
    '/d/%2e/a.txt',
    '/d/sub%2fa.txt',
    '/d//a.txt',
    '/d/sub//a.txt',
    '/d//',
    '/d/sub/.',
    '/d/sub/..',
    '/d/..',
    '/d/a.txt%00',
    '/d/a.txt%00.html',
    '/d/C:/a.txt',
    '/d/a.txt:stream',
    '/d/a.txt%',
    '/d/%zz',
  ]) {
    test(`has nothing at ${path}`, async () => {
      const response = await get(path);

      assert.deepEqual([response.status, response.text], [404, '']);
    });
  }

  test('has nothing at a FIFO, without waiting for its other side', { skip: process.platform === 'win32' && 'no FIFOs' }, async () => {
    execFileSync('mkfifo', [join(root, 'fifo')]);

    assert.equal((await get('/d/fifo')).status, 404);
  });

  test('at the root of the server does not redirect to another host', async () => {
    const server = serve({ routes: { '/*': { dir: root } } });
    const statusOf = async (path) => (await exchange(server, request('GET', path))).response.status;

    assert.deepEqual(
      [await statusOf('//sub'), await statusOf('/\\sub'), await statusOf('//'), await statusOf('/sub')],
      [404, 404, 404, 301],
    );
  });

  for (const [name, type] of [
    ['x.html', 'text/html;charset=utf-8'],
    ['x.HTM', 'text/html;charset=utf-8'],
    ['x.js', 'text/javascript;charset=utf-8'],
    ['x.mjs', 'text/javascript;charset=utf-8'],
    ['x.css', 'text/css;charset=utf-8'],
    ['x.json', 'application/json;charset=utf-8'],
    ['x.svg', 'image/svg+xml'],
    ['x.png', 'image/png'],
    ['x.wasm', 'application/wasm'],
    ['x.woff2', 'font/woff2'],
    ['x.webmanifest', 'application/manifest+json'],
    ['x.tar.gz', 'application/gzip'],
    ['x.mp4', 'video/mp4'],
    ['x.unknown', 'application/octet-stream'],
    ['.html', 'application/octet-stream'],
    ['extensionless', 'application/octet-stream'],
  ]) {
    test(`says that ${name} is ${type}`, async () => {
      write(name, 'x');

      assert.equal((await get(`/d/${name}`)).header('content-type'), type);
    });
  }

  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PURGE']) {
    test(`answers ${method} with the file, whatever it asks for`, async () => {
      const headers = { Range: 'bytes=0-4', 'If-None-Match': '*', 'If-Match': '"z"' };
      const response = await get('/d/a.txt', { method, headers, body: 'x'.repeat(100_000) });

      assert.deepEqual([response.status, response.text], [200, 'hello world']);
    });
  }

  test('answers HEAD with the fields alone', async () => {
    const { status, header, text } = await get('/d/a.txt', { method: 'HEAD' });

    assert.deepEqual([status, header('content-length'), header('etag'), text], [200, '11', ETAG, '']);
    assert.deepEqual([header('content-type'), header('date') !== undefined], ['text/plain;charset=utf-8', true]);
    assert.equal((await get('/d/missing', { method: 'HEAD' })).header('content-length'), '0');
    assert.equal((await get('/d/sub', { method: 'HEAD' })).header('location'), '/d/sub/');
  });

  test('lets other routes below it go first', async () => {
    const server = serve({
      routes: {
        '/d/*': { dir: root },
        '/d/a.txt': { GET: () => new Response('handler') },
        '/d/:x': { POST: () => new Response('posted') },
      },
    });
    const text = async (method, path) => (await exchange(server, request(method, path))).response.text;

    assert.deepEqual(
      [await text('GET', '/d/a.txt'), await text('POST', '/d/a.txt'), await text('PUT', '/d/a.txt')],
      ['handler', 'posted', 'hello world'],
    );
  });

  test('leaves handshakes to fetch', async () => {
    const server = serve({ routes: { '/d/*': { dir: root } }, fetch: (req, own) => void own.upgrade(req), websocket: {} });
    const client = await RawClient.connect({ port: server.port });
    client.write(handshake({ path: '/d/a.txt' }));

    assert.equal((await client.response()).status, 101);
  });

  test('shows what is on the disk at each request', async () => {
    const server = serve({ routes: { '/d/*': { dir: root } } });
    const { client } = await exchange(server, request('GET', '/d/changing.txt'));
    const next = async () => {
      client.write(request('GET', '/d/changing.txt'));
      const { status, text, header } = await readResponse(client);
      return [status, text, header('etag')?.split('-')[0]];
    };
    write('changing.txt', 'one');
    assert.deepEqual(await next(), [200, 'one', 'W/"3']);
    write('changing.txt', 'seven');
    assert.deepEqual(await next(), [200, 'seven', 'W/"5']);
    rmSync(join(root, 'changing.txt'));
    assert.deepEqual(await next(), [404, '', undefined]);
  });

  test('stays the directory it was when that is moved', { skip: process.platform !== 'linux' && 'only Linux holds it open' }, async () => {
    const [before, moved] = [join(top, 'before'), join(top, 'moved')];
    mkdirSync(before);
    write('a.txt', 'mine', before);
    const server = serve({ routes: { '/d/*': { dir: before } } });
    renameSync(before, moved);
    mkdirSync(before);
    write('a.txt', 'other', before);

    assert.equal((await exchange(server, request('GET', '/d/a.txt'))).response.text, 'mine');
  });

  test('may be relative', async () => {
    const server = serve({ routes: { '/*': { dir: relative(process.cwd(), root), statCache: true } } });

    assert.equal((await exchange(server, request('GET', '/a.txt'))).response.text, 'hello world');
  });

  test('goes with its routes in a reload', async () => {
    const server = serve({ routes: { '/d/*': { dir: root } }, fetch: () => new Response('fetch') });
    server.reload({ routes: { '/e/*': { dir: join(root, 'sub') } } });
    const text = async (path) => (await exchange(server, request('GET', path))).response.text;

    assert.deepEqual([await text('/d/a.txt'), await text('/e/a.txt')], ['fetch', 'sub a']);
  });
});

describe('conditions on a file', () => {
  for (const [headers, status] of [
    [{ 'If-None-Match': ETAG }, 304],
    [{ 'If-None-Match': ETAG.slice(2) }, 304],
    [{ 'If-None-Match': `"z", ${ETAG}` }, 304],
    [{ 'If-None-Match': '*' }, 304],
    [{ 'If-None-Match': '"z"' }, 200],
    [{ 'If-None-Match': ETAG.slice(0, -1) }, 200],
    [{ 'If-Modified-Since': MODIFIED }, 304],
    [{ 'If-Modified-Since': LATER }, 304],
    [{ 'If-Modified-Since': 'Tuesday, 14-Nov-23 22:13:20 GMT' }, 304],
    [{ 'If-Modified-Since': 'Tue Nov 14 22:13:20 2023' }, 304],
    [{ 'If-Modified-Since': EARLIER }, 200],
    [{ 'If-Modified-Since': 'yesterday' }, 200],
    [{ 'If-None-Match': '"z"', 'If-Modified-Since': LATER }, 200],
    [{ 'If-Match': '*' }, 200],
    [{ 'If-Match': '' }, 200],
    [{ 'If-Match': '"z"' }, 412],
    [{ 'If-Match': ETAG }, 412],
    [{ 'If-Match': ETAG, 'If-None-Match': ETAG }, 412],
    [{ 'If-Match': '*', 'If-None-Match': '*' }, 304],
    [{ 'If-Unmodified-Since': EARLIER }, 412],
    [{ 'If-Unmodified-Since': MODIFIED }, 200],
    [{ 'If-Unmodified-Since': MODIFIED, 'If-None-Match': '*' }, 304],
    [{ 'If-Unmodified-Since': 'yesterday' }, 200],
    [{ Range: 'bytes=20-30', 'If-None-Match': '*' }, 304],
    [{ Range: 'bytes=0-4', 'If-Unmodified-Since': EARLIER }, 412],
  ]) {
    test(`${JSON.stringify(headers)} get ${status}`, async () => {
      const response = await get('/d/a.txt', { headers });
      const isWhole = status === 200;

      assert.deepEqual([response.status, response.text], [status, isWhole ? 'hello world' : '']);
      assert.deepEqual([response.header('etag'), response.header('last-modified')], [ETAG, MODIFIED]);
      assert.equal(response.header('accept-ranges'), isWhole ? 'bytes' : undefined);
      assert.equal(response.header('content-length'), isWhole ? '11' : status === 304 ? undefined : '0');
    });
  }

  test('count for HEAD, too', async () => {
    assert.equal((await get('/d/a.txt', { method: 'HEAD', headers: { 'If-None-Match': ETAG } })).status, 304);
  });
});

describe('a range of a file', () => {
  for (const [range, contentRange, text] of [
    ['bytes=0-4', '0-4', 'hello'],
    ['bytes=6-', '6-10', 'world'],
    ['bytes=-3', '8-10', 'rld'],
    ['bytes=-1000', '0-10', 'hello world'],
    ['bytes=0-0', '0-0', 'h'],
    ['bytes=10-10', '10-10', 'd'],
    ['bytes=0-1000', '0-10', 'hello world'],
    ['bytes=0-18446744073709551615', '0-10', 'hello world'],
    ['BYTES = 00 - 01', '0-1', 'he'],
  ]) {
    test(`${range} is ${contentRange}`, async () => {
      const response = await get('/d/a.txt', { headers: { Range: range } });

      assert.deepEqual([response.status, response.text], [206, text]);
      assert.deepEqual(
        [response.header('content-range'), response.header('content-length')],
        [`bytes ${contentRange}/11`, String(text.length)],
      );
      assert.deepEqual([response.header('etag'), response.header('accept-ranges')], [ETAG, 'bytes']);
    });
  }

  for (const range of ['bytes=11-', 'bytes=20-30', 'bytes=-0', 'bytes=18446744073709551615-']) {
    test(`${range} cannot be had`, async () => {
      const response = await get('/d/a.txt', { headers: { Range: range } });

      assert.deepEqual([response.status, response.text, response.header('content-length')], [416, '', '0']);
      assert.equal(response.header('content-range'), 'bytes */11');
    });
  }

  for (const range of [
    'bytes=5-2',
    'bytes=0-1,3-4',
    'bytes=0-1,',
    'items=0-1',
    'bytes=a-b',
    'bytes=',
    'bytes=-',
    'bytes=1',
    'bytes=+1-2',
    'bytes=0x1-2',
    'bytes=--5',
    'bytes=1-1-1',
    'bytes=0-1;x',
    'bytes=99999999999999999999-',
  ]) {
    test(`${range} is none, which gets the whole`, async () => {
      const response = await get('/d/a.txt', { headers: { Range: range } });

      assert.deepEqual([response.status, response.text, response.header('content-range')], [200, 'hello world', undefined]);
    });
  }

  for (const [validator, status] of [
    [MODIFIED, 206],
    ['', 206],
    [EARLIER, 200],
    [LATER, 200],
    [ETAG, 200],
    [ETAG.slice(2), 200],
    ['"z"', 200],
    ['x', 200],
  ]) {
    test(`is ${status === 206 ? '' : 'not '}for If-Range ${validator}`, async () => {
      assert.equal((await get('/d/a.txt', { headers: { Range: 'bytes=0-4', 'If-Range': validator } })).status, status);
    });
  }

  test('of nothing cannot be had, but its end is the whole', async () => {
    assert.equal((await get('/d/empty.txt', { headers: { Range: 'bytes=0-4' } })).status, 416);
    assert.equal((await get('/d/empty.txt', { headers: { Range: 'bytes=-4' } })).status, 200);
  });

  test('is of the index of a directory, too', async () => {
    const response = await get('/d/sub/', { headers: { Range: 'bytes=0-1' } });

    assert.deepEqual([response.status, response.text], [206, '<p']);
  });

  test('is told of in the answer to HEAD', async () => {
    const { status, header, text } = await get('/d/a.txt', { method: 'HEAD', headers: { Range: 'bytes=0-4' } });

    assert.deepEqual([status, header('content-range'), header('content-length'), text], [206, 'bytes 0-4/11', '5', '']);
  });
});

describe('a large file', () => {
  const LARGE = 40_000_000;
  const size = 8_000_000;
  const content = new Uint8Array(size).map((_, index) => index % 251);

  /** A client that has asked for more than the kernel takes, and does not read. */
  async function stalled() {
    write('large', new Uint8Array(LARGE));
    const server = serve({ routes: { '/d/*': { dir: root } } });
    const client = await connectTo(server);
    client.pause();
    client.write(request('GET', '/d/large'));
    // By then the server has had the other request, and has sent of the file what the kernel takes.
    await exchange(server, request('GET', '/d/a.txt'));
    return { server, client };
  }

  test('arrives whole', async () => {
    write('large', content);
    const response = await get('/d/large');

    assert.equal(response.header('content-length'), String(size));
    assert.ok(response.body.equals(content));
  });

  test('arrives from the middle', async () => {
    write('large', content);
    const response = await get('/d/large', { headers: { Range: `bytes=1000000-${size - 2}` } });

    assert.ok(response.body.equals(content.subarray(1_000_000, size - 1)));
  });

  test('that grows on its way has the length that was promised', async () => {
    write('large', content);
    const server = serve({ routes: { '/d/*': { dir: root } } });
    const client = await connectTo(server);
    client.write(request('GET', '/d/large'));
    await client.response({ bodyOf: 'HEAD' });
    client.pause();
    appendFileSync(join(root, 'large'), 'more');
    client.resume();
    await client.take(size);
    client.write(request('GET', '/d/a.txt'));

    assert.equal((await readResponse(client)).text, 'hello world');
  });

  test('that shrinks on its way ends the connection', {
    skip: !differs('file-that-shrinks') && 'Bun leaves the client waiting',
  }, async () => {
    const { client } = await stalled();
    truncateSync(join(root, 'large'), 1000);
    client.resume();

    assert.match(await client.ended(), /^(FIN|RST)$/);
    assert.ok(client.bytes.length < LARGE);
  });

  test('does not keep a client waiting that asks for another', async () => {
    const { server, client: slow } = await stalled();

    for (let index = 0; index < 10; index++)
      assert.equal((await exchange(server, request('GET', '/d/a.txt'))).response.text, 'hello world');
    slow.resume();
    assert.equal((await readResponse(slow)).body.length, LARGE);
  });

  test('is let go of when its client leaves', { skip: cannotTell }, async () => {
    const { server, client } = await stalled();
    const path = join(realpathSync(root), 'large');
    assert.equal(descriptorsOf(path), 1);

    client.reset();

    await server.stop();
    assert.equal(server.pendingRequests, 0);
    await settled(() => descriptorsOf(path) === 0);
    assert.equal(descriptorsOf(path), 0);
  });

  test('arrives whole when the server stops meanwhile', async () => {
    const { server, client } = await stalled();
    const stopped = server.stop();
    client.resume();

    assert.equal((await readResponse(client)).body.length, LARGE);
    await stopped;
  });
});

describe('serve() refuses a directory', () => {
  const refused = (routes) => () => serve({ routes, fetch: () => new Response('') });

  for (const dir of [5, true, {}, new URL('file:///tmp')]) {
    test(`that is ${JSON.stringify(dir)}`, () => {
      throwsExactly(refused({ '/d/*': { dir } }), invalidArgType(`The "dir" property must be of type string, got ${typeof dir}`));
    });
  }

  test('at a path that does not end in a wildcard', () => {
    for (const path of ['/d', '/', '/d*'])
      throwsExactly(refused({ [path]: { dir: root } }), invalidArgType('To mount a directory, make sure the path ends in `/*`'));
  });

  test('at a path with parameters', () => {
    throwsExactly(
      refused({ '/:a/*': { dir: root } }),
      invalidArgType('Directory routes do not support :parameters; use a fixed prefix ending in `/*`'),
    );
  });

  test('that is not there, and has not begun to listen', async () => {
    const { port, stop } = serve({ fetch: () => new Response('') });
    assert.ok(stop);
    const dir = join(top, 'nowhere');

    assert.throws(() => serve({ port, routes: { '/d/*': { dir } } }), {
      code: 'ENOENT',
      message: `ENOENT: no such file or directory, open '${dir}'`,
    });
    assert.throws(refused({ '/d/*': { dir: '' } }), { code: 'ENOENT' });
  });

  test('that is a file', () => {
    const dir = join(root, 'a.txt');

    assert.throws(refused({ '/d/*': { dir } }), { code: 'ENOTDIR', message: `ENOTDIR: not a directory, open '${dir}'` });
  });
});
