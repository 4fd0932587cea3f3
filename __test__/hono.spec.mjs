// Hono as it comes from npm, with what it has for Bun: routes, cookies, streams, files, WebSockets. Its clients are `hc`, fetch and ws.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hc, WebSocket } from './frameworks/clients.mjs';
import { eventsOf, hosts, startFramework, stopFrameworks } from './support/frameworks.mjs';

const folder = mkdtempSync(join(tmpdir(), 'mantou-hono-'));
writeFileSync(join(folder, 'page.html'), '<p>a page');
writeFileSync(join(folder, 'index.html'), '<p>the index');
writeFileSync(join(folder, 'big.bin'), Buffer.alloc(3_000_000, 'mantou'));
after(() => rmSync(folder, { recursive: true }));

for (const host of hosts) {
  describe(`Hono on ${host.name}`, { skip: host.reason, timeout: 30_000 }, () => {
    let program;
    before(async () => {
      program = await startFramework(host, 'hono.mjs', { args: [folder] });
    });
    after(stopFrameworks);

    const get = (path, init) => fetch(new URL(path, program.url), init);
    const typeOf = (response) => response.headers.get('content-type')?.toLowerCase().replace('; ', ';');

    test('answers its client', async () => {
      const client = hc(program.url);

      const text = await client.index.$get();
      const json = await client.json[':id'].$get({ param: { id: 'ä b' }, query: { q: '1&2' } });

      assert.deepEqual([text.status, typeOf(text), await text.text()], [200, 'text/plain;charset=utf-8', 'Hello Hono']);
      assert.deepEqual([json.status, json.headers.get('x-own'), await json.json()], [201, 'yes', { id: 'ä b', q: '1&2' }]);
    });

    test('validates what it is sent', async () => {
      const client = hc(program.url);

      const good = await client.users.$post({ json: { name: 'ada' } });
      const bad = await client.users.$post({ json: { name: 1 } });

      assert.deepEqual([good.status, await good.json()], [200, { name: 'ada' }]);
      assert.deepEqual([bad.status, await bad.json()], [422, { error: 'a name, please' }]);
    });

    test('reads a form with a file', async () => {
      const body = new FormData();
      body.set('file', new File(['content ✓'], 'a.txt'));
      body.set('text', 'words');

      const response = await get('/form', { method: 'POST', body });

      assert.deepEqual(await response.json(), { name: 'a.txt', content: 'content ✓', text: 'words' });
    });

    test('sets cookies and gets them back', async () => {
      const login = await get('/login');
      const cookie = login.headers.getSetCookie().map((line) => line.split(';', 1)[0]);
      const who = await get('/who', { headers: { cookie: cookie.join('; ') } });

      assert.equal(login.status, 204);
      assert.deepEqual(login.headers.getSetCookie(), ['session=a%20b; Max-Age=60; Path=/; HttpOnly', 'theme=dark; Path=/']);
      assert.deepEqual(await who.json(), { session: 'a b', theme: 'dark', address: '127.0.0.1' });
    });

    test('streams text and events', async () => {
      const text = await get('/text');
      const events = await get('/sse');

      assert.equal(await text.text(), 'one two three');
      assert.equal(typeOf(events), 'text/event-stream');
      assert.deepEqual(
        eventsOf(await events.text()),
        [0, 1, 2].map((id) => ({ event: 'tick', data: `tick ${id}`, id: String(id) })),
      );
    });

    test('hears that a client leaves a stream', async () => {
      const leave = new AbortController();
      const response = await get('/endless', { signal: leave.signal });
      const { value } = await response.body.getReader().read();
      assert.equal(Buffer.from(value).toString(), 'first');

      leave.abort();

      assert.equal(await program.line(), 'aborted');
    });

    test('sends back a megabyte as it comes', async () => {
      const body = Buffer.alloc(1_000_000, 'mantou');

      const response = await get('/echo', { method: 'POST', body });

      assert.ok(Buffer.from(await response.arrayBuffer()).equals(body));
    });

    test('serves files', async () => {
      const page = await get('/files/page.html');
      const index = await get('/files/');
      const big = await get('/files/big.bin');
      const none = await get('/files/none.html');
      const outside = await get('/files/..%2f..%2fetc/passwd');

      assert.deepEqual([page.status, typeOf(page), await page.text()], [200, 'text/html;charset=utf-8', '<p>a page']);
      assert.equal(await index.text(), '<p>the index');
      assert.ok(Buffer.from(await big.arrayBuffer()).equals(Buffer.alloc(3_000_000, 'mantou')));
      assert.deepEqual([none.status, await none.text()], [404, 'nothing at /files/none.html']);
      assert.equal(outside.status, 404);
    });

    test('compresses, redirects and fails as it says', async () => {
      const zipped = await get('/zipped', { headers: { 'accept-encoding': 'gzip' } });
      const moved = await get('/moved', { redirect: 'manual' });
      const refused = await get('/refused');
      const broken = await get('/broken');
      const head = await get('/', { method: 'HEAD' });

      assert.deepEqual([zipped.headers.get('content-encoding'), await zipped.text()], ['gzip', 'zip '.repeat(300)]);
      assert.deepEqual([moved.status, moved.headers.get('location')], [302, '/']);
      assert.deepEqual([refused.status, await refused.text()], [403, 'not you']);
      assert.deepEqual([broken.status, await broken.text()], [500, 'broken']);
      assert.deepEqual([head.status, await head.text()], [200, '']);
    });

    test('speaks WebSocket', async () => {
      const socket = new WebSocket(new URL('/ws/tea', program.url.replace('http', 'ws')));
      const [welcome] = await once(socket, 'message');
      assert.equal(String(welcome), 'welcome to tea');

      socket.send('hello');
      assert.equal(String((await once(socket, 'message'))[0]), 'hello');
      socket.send(Buffer.from([1, 2, 3]));
      const [bytes, isBinary] = await once(socket, 'message');
      assert.deepEqual([[...bytes], isBinary], [[1, 2, 3], true]);

      const closed = once(socket, 'close');
      socket.send('close');
      const [code, reason] = await closed;
      assert.deepEqual([code, String(reason)], [4000, 'as you say']);
      assert.equal(await program.line(), 'closed 4000 as you say');
    });

    test('speaks WebSocket with its client', { skip: host.path !== process.execPath && 'a matter of the client' }, async () => {
      const socket = hc(program.url, { webSocket: (url) => new WebSocket(url) }).ws[':room'].$ws({ param: { room: 'tea' } });
      const [{ data }] = await new Promise((resolve) => socket.addEventListener('message', (...args) => resolve(args), { once: true }));
      assert.equal(data, 'welcome to tea');

      socket.close(1000, 'bye');

      assert.equal(await program.line(), 'closed 1000 bye');
    });

    test('has said nothing on stderr', () => assert.equal(program.stderr(), ''));
  });
}
