// HTTP clients that others wrote: curl, undici and the fetch of Node, Chromium, wrk.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { Client } from './frameworks/clients.mjs';
import { calls } from './support/calls.mjs';
import { chromiumForTests } from './support/chromium.mjs';
import { clientFile, startClient } from './support/client-program.mjs';
import { isBunRuntime, serve, stopAll } from './support/target.mjs';
import { killTools, runTool, startTool, without } from './support/tls-client.mjs';

afterEach(stopAll);
afterEach(killTools);

/** The Node that runs a client; Bun may run this file. */
const node = isBunRuntime ? (process.env.npm_node_execpath ?? 'node') : process.execPath;
const MEGABYTE = 1024 * 1024;
const folder = mkdtempSync(join(tmpdir(), 'mantou-clients-'));
after(() => rmSync(folder, { recursive: true }));
const NUMBERS = Array.from({ length: 20_000 }, (_, n) => n).join(' ');
const fileOf = (name, content) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const numbers = fileOf('numbers.txt', NUMBERS);

/** Says what it was asked, and takes bodies of every kind. */
const echo = {
  async fetch(req, server) {
    const { pathname } = new URL(req.url);
    if (pathname === '/port') return new Response(String(server.requestIP(req).port));
    if (pathname === '/back') return new Response(req.body);
    if (pathname === '/cookie') return new Response(req.headers.get('cookie'), { headers: { 'Set-Cookie': 'a=b; Path=/' } });
    const body = await req.text();
    return new Response(`${req.method} ${pathname} ${body.length}`);
  },
  routes: { '/files/*': { dir: folder } },
};

describe('curl', { skip: without('curl', '--version'), timeout: 60_000 }, () => {
  /** What curl prints, which must end well. `-w` asks it for what it knows of the exchange. */
  async function curl(...args) {
    const { code, stdout, stderr } = await runTool('curl', ['-sS', '-g', '--max-time', '30', ...args]);
    assert.deepEqual({ code, stderr: args.includes('-v') ? '' : stderr }, { code: 0, stderr: '' });
    return { stdout, stderr };
  }
  const printed = async (...args) => (await curl(...args)).stdout;

  test('asks in HTTP/1.0, and the connection ends', async () => {
    const { url } = serve(echo);

    const { stdout, stderr } = await curl('-0', '-v', `${url}a`, `${url}b`);

    assert.equal(stdout, 'GET /a 0GET /b 0');
    assert.equal(stderr.match(/^\* Connected to/gm)?.length, 2);
  });

  test('keeps a connection', async () => {
    const { url } = serve(echo);

    const stdout = await printed('-w', ' %{http_version} %{http_code} %{num_connects}\n', ...['a', 'b', 'c'].map((path) => url + path));

    assert.equal(stdout, 'GET /a 0 1.1 200 1\nGET /b 0 1.1 200 0\nGET /c 0 1.1 200 0\n');
  });

  test('asks for HTTP/2 in vain, and gets an answer all the same', async () => {
    const { url } = serve(echo);

    assert.equal(await printed('--http2', '-w', ' %{http_version}', `${url}a`), 'GET /a 0 1.1');
  });

  test('waits for 100 Continue with a large body', async () => {
    const { url } = serve(echo);
    const file = fileOf('large', Buffer.alloc(5 * MEGABYTE, 'm'));

    const { stdout, stderr } = await curl(
      '-v',
      '-H',
      'Expect: 100-continue',
      '--expect100-timeout',
      '30',
      '--data-binary',
      `@${file}`,
      `${url}a`,
    );

    assert.equal(stdout, `POST /a ${5 * MEGABYTE}`);
    assert.match(stderr, /^> Expect: 100-continue\r?$/m);
    assert.match(stderr, /^< HTTP\/1\.1 100 Continue\r?$/m);
  });

  test('uploads what it does not know the length of', async () => {
    const { url } = serve(echo);
    const tool = startTool('curl', ['-sS', '--max-time', '30', '-T', '-', `${url}a`]);

    tool.write('x'.repeat(100_000));
    tool.end('y'.repeat(100_000));

    assert.deepEqual(await tool.ended(), { code: 0, stdout: 'PUT /a 200000', stderr: '' });
  });

  test('gets back what it sends', async () => {
    const { url } = serve(echo);
    const to = join(folder, 'back');

    await curl('--data-binary', `@${numbers}`, '-o', to, `${url}back`);

    assert.equal(readFileSync(to, 'utf8'), NUMBERS);
  });

  test('downloads a file, parts of it, and what is left of it', async () => {
    const { url } = serve(echo);
    const to = fileOf('partial', NUMBERS.slice(0, 1000));

    assert.equal(await printed(`${url}files/numbers.txt`), NUMBERS);
    assert.equal(await printed('-r', '0-4', '-w', ' %{http_code}', `${url}files/numbers.txt`), '0 1 2 206');
    assert.equal(await printed('-r', '-5', `${url}files/numbers.txt`), '19999');
    await curl('-C', '-', '-o', to, `${url}files/numbers.txt`);

    assert.equal(readFileSync(to, 'utf8'), NUMBERS);
  });

  test('downloads no file that it has', async () => {
    const { url } = serve(echo);
    const etag = join(folder, 'etag');
    const format = ['-w', '%{http_code} %{size_download}', '-o', '/dev/null'];

    assert.equal(await printed(...format, '--etag-save', etag, `${url}files/numbers.txt`), `200 ${NUMBERS.length}`);
    assert.equal(await printed(...format, '--etag-compare', etag, `${url}files/numbers.txt`), '304 0');
    assert.equal(await printed(...format, '-z', numbers, `${url}files/numbers.txt`), '304 0');
  });

  test('asks for the head alone', async () => {
    const { url } = serve(echo);

    const head = await printed('-I', `${url}files/numbers.txt`);

    assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(head, new RegExp(`^content-length: ${NUMBERS.length}\r$`, 'im'));
    assert.match(head, /\r\n\r\n$/);
  });

  test('keeps cookies', async () => {
    const { url } = serve(echo);
    const jar = join(folder, 'jar');

    assert.equal(await printed('-c', jar, '-b', jar, `${url}cookie`, `${url}cookie`), 'a=b');
  });

  test('sends a form with a file', async () => {
    const { url } = serve({
      async fetch(req) {
        const form = await req.formData();
        return Response.json({ text: form.get('text'), name: form.get('file').name, size: form.get('file').size });
      },
    });

    const stdout = await printed('-F', 'text=ü & é', '-F', `file=@${numbers}`, url.href);

    assert.deepEqual(JSON.parse(Buffer.from(stdout, 'latin1').toString()), { text: 'ü & é', name: 'numbers.txt', size: NUMBERS.length });
  });

  test('asks 300 times at once', async () => {
    const { url } = serve(echo);

    const stdout = await runTool('curl', [
      '-sS',
      '--no-progress-meter',
      '-Z',
      '--parallel-max',
      '50',
      '-w',
      '%{http_code}\n',
      '-o',
      '/dev/null',
      `${url}[1-300]`,
    ]);

    assert.deepEqual(stdout, { code: 0, stdout: '200\n'.repeat(300), stderr: '' });
  });

  test('asks over a Unix socket', { skip: process.platform === 'win32' && 'no Unix sockets' }, async () => {
    const unix = join(folder, 'socket');
    serve({ ...echo, fetch: (req) => new Response(new URL(req.url).host), unix });

    assert.equal(await printed('--unix-socket', unix, 'http://a.test/'), 'a.test');
  });
});

describe('fetch of Node and undici', { skip: isBunRuntime && 'clients in Node', timeout: 60_000 }, () => {
  test('keep their connections', async () => {
    const server = serve(echo);
    const ports = [];

    for (let n = 0; n < 10; n++) ports.push(await fetch(new URL('/port', server.url)).then((response) => response.text()));

    // fetch has two of them at first.
    assert.ok(new Set(ports).size <= 2, `${ports}`);
  });

  test('stream both ways at once', async () => {
    const { url } = serve(echo);
    let controller;
    const body = new ReadableStream({
      start(own) {
        controller = own;
      },
    });
    const answers = fetch(new URL('/back', url), { method: 'POST', body, duplex: 'half' });

    controller.enqueue(Buffer.from('ping 0'));
    const reader = (await answers).body.getReader();
    for (let n = 1; n < 5; n++) {
      assert.equal(Buffer.from((await reader.read()).value).toString(), `ping ${n - 1}`);
      controller.enqueue(Buffer.from(`ping ${n}`));
    }
    controller.close();

    assert.equal(Buffer.from((await reader.read()).value).toString(), 'ping 4');
    assert.equal((await reader.read()).done, true);
  });

  test('abort a download, an upload, and a wait', async () => {
    const [aborts, uploads, waits] = [calls('an abort'), calls('an upload'), calls('a request that waits')];
    const { url } = serve({
      async fetch(req) {
        const { pathname } = new URL(req.url);
        req.signal.addEventListener('abort', () => aborts(pathname));
        if (pathname === '/wait') return new Promise(() => waits());
        if (pathname === '/download') return new Response(new ReadableStream({ start: (stream) => stream.enqueue('first') }));
        uploads();
        await assert.rejects(req.text(), { name: 'AbortError' });
        return new Response('');
      },
    });
    const control = { download: new AbortController(), upload: new AbortController(), wait: new AbortController() };
    const ask = (what, init) => fetch(new URL(what, url), { ...init, signal: control[what].signal });

    const { body } = await ask('download');
    await body.getReader().read();
    control.download.abort();
    assert.deepEqual(await aborts.next(), ['/download']);

    const uploading = ask('upload', {
      method: 'POST',
      duplex: 'half',
      body: new ReadableStream({ start: (stream) => stream.enqueue(new Uint8Array(MEGABYTE)) }),
    });
    await uploads.next();
    control.upload.abort();
    await assert.rejects(uploading, { name: 'AbortError' });
    assert.deepEqual(await aborts.next(), ['/upload']);

    const waiting = ask('wait');
    await waits.next();
    control.wait.abort();
    await assert.rejects(waiting, { name: 'AbortError' });
    assert.deepEqual(await aborts.next(), ['/wait']);
  });

  test('pipeline, and get their answers in order', async () => {
    const { url } = serve(echo);
    const client = new Client(url.origin, { pipelining: 10 });

    const answers = await Promise.all(
      Array.from({ length: 500 }, async (_, n) => {
        const { statusCode, body } = await client.request({ method: 'GET', path: `/${n}` });
        return `${statusCode} ${await body.text()}`;
      }),
    );
    await client.close();

    assert.deepEqual(
      answers,
      Array.from({ length: 500 }, (_, n) => `200 GET /${n} 0`),
    );
  });
});

describe('wrk', { skip: without('wrk', '--version'), timeout: 60_000 }, () => {
  const script = fileOf(
    'pipeline.lua',
    `init = function() local all = {}; for i = 1, 16 do all[i] = wrk.format('GET', '/' .. i) end; requests = table.concat(all) end
     request = function() return requests end`,
  );
  for (const [what, args, options] of [
    ['a handler', [], { fetch: () => new Response('hello') }],
    ['a handler, requests in a row', ['-s', script], { fetch: () => new Response('hello') }],
    ['a handler that waits', [], { fetch: () => new Promise((resolve) => setImmediate(() => resolve(new Response('hello')))) }],
    ['a static route', [], { routes: { '/': new Response('hello') }, fetch: () => new Response('', { status: 404 }) }],
    ['a stream', [], { fetch: () => new Response(new Blob(['hello']).stream()) }],
  ]) {
    test(`gets nothing but answers from ${what}`, async () => {
      const { url } = serve(options);

      const { code, stdout, stderr } = await runTool('wrk', ['-t', '1', '-c', '32', '-d', '1s', ...args, url.href]);

      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
      // It has a line for each kind of failure, when there was any.
      assert.doesNotMatch(stdout, /Non-2xx|Socket errors/);
      assert.ok(Number(/(\d+) requests in/.exec(stdout)?.[1]) > 100, stdout);
    });
  }
});

const chromium = chromiumForTests();
if (chromium.path === undefined) console.error(`\n# CHROMIUM IS NOT TESTED. ${chromium.reason}\n`);

describe('Chromium', { skip: chromium.reason, timeout: 60_000 }, () => {
  const page = readFileSync(new URL('fixtures/http-page.html', import.meta.url));
  fileOf('dot.png', png(3, 2));
  fileOf('silence.wav', wav(60));

  const [aborts, ends] = [calls('an abort'), calls('the end of a WebSocket')];
  let more = () => {};
  const options = {
    async fetch(req, server) {
      switch (new URL(req.url).pathname) {
        case '/':
          return new Response(page, { headers: { 'Content-Type': 'text/html' } });
        case '/echo':
          return new Response(await req.text());
        case '/upload': {
          const file = (await req.formData()).get('file');
          return Response.json([file.name, file.size]);
        }
        case '/stream': {
          let left = 3;
          req.signal.addEventListener('abort', () => aborts());
          const give = (controller) => (left-- > 0 ? controller.enqueue(Buffer.from(`piece ${left}`)) : controller.close());
          return new Response(
            new ReadableStream({
              start(controller) {
                more = () => give(controller);
                give(controller);
              },
            }),
          );
        }
        case '/more':
          more();
          return new Response('');
        case '/events': {
          const id = Number(req.headers.get('last-event-id') ?? 0) + 1;
          const headers = { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' };
          return new Response(`retry: 1\nid: ${id}\nevent: tick\ndata: tick ${id}\n\n`, { headers });
        }
        case '/login':
          return new Response('', {
            headers: [
              ['Set-Cookie', 'shown=1; Path=/'],
              ['Set-Cookie', 'hidden=2; Path=/; HttpOnly; SameSite=Strict'],
            ],
          });
        case '/cookies':
          return new Response(req.headers.get('cookie'));
        case '/chat':
          return server.upgrade(req, { data: req.headers.get('cookie') }) ? undefined : new Response('', { status: 426 });
        default:
          return new Response('', { status: 404 });
      }
    },
    routes: { '/files/*': { dir: folder } },
    websocket: {
      message: (ws, message) => ws.send(`${message} ${ws.data}`),
      close: (_, code, reason) => ends(code, reason),
    },
  };

  let client;
  before(() => {
    if (chromium.path !== undefined) client = startClient(node, [clientFile('http-page.mjs'), chromium.path]);
  });
  after(() => client?.end());

  /** What a function of the page says. */
  async function run(name, ...args) {
    assert.equal(await client.say('open', serve(options).url.href), '200 a page');
    return JSON.parse(await client.say('run', name, ...args));
  }

  test('posts, and many times at once', async () => {
    assert.deepEqual(await run('post', 'hällo'), [200, 'hällo']);
    assert.equal(await run('many', 100), true);
  });

  test('uploads a form of 20 MB', async () => assert.deepEqual(await run('upload', 20), ['ü.bin', 20 * MEGABYTE]));

  test('reads a stream as it is made', async () => assert.deepEqual(await run('stream'), ['piece 2', 'piece 1', 'piece 0']));

  test('leaves a stream, which the server hears', async () => {
    assert.equal(await run('leave'), 'left');

    await aborts.next();
  });

  test('listens to events, and comes back with the id of the last', async () => {
    const expected = [1, 2, 3].map((id) => [`tick ${id}`, String(id)]);

    assert.deepEqual(await run('events'), expected);
  });

  test('shows an image of a directory', async () => assert.deepEqual(await run('image'), [3, 2]));

  test('gets a range of a file', async () => {
    assert.deepEqual(await run('range', 4, 8), [206, `bytes 4-8/${NUMBERS.length}`, '2 3 4']);
  });

  test('plays a long recording from its end', async () => assert.deepEqual(await run('seek'), [60, 59]));

  test('keeps cookies, and hides those that are to be hidden', async () => {
    assert.deepEqual(await run('cookies'), ['shown=1', 'shown=1; hidden=2']);
  });

  test('speaks WebSocket, with its cookies', async () => {
    assert.deepEqual(await run('talk'), ['ü shown=1; hidden=2', 4000, 'bye']);

    assert.deepEqual(await ends.next(), [4000, 'bye']);
  });

  test('had nothing to complain about', async () => assert.equal(await client.say('complaints'), '[]'));
});

/** A black PNG (https://www.w3.org/TR/png/). */
function png(width, height) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header[8] = 8; // bits, of grey
  const rows = deflateSync(Buffer.alloc((width + 1) * height));
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', rows),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** So many seconds of nothing, as PCM: 10 MB a minute. */
function wav(seconds) {
  const [rate, width] = [44_100, 4];
  const size = seconds * rate * width;
  const header = Buffer.alloc(44);
  header.write('RIFF');
  header.writeUInt32LE(36 + size, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(2, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * width, 28);
  header.writeUInt16LE(width, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(size, 40);
  return Buffer.concat([header, Buffer.alloc(size)]);
}
