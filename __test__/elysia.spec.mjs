// Elysia as it comes from npm, on its adapter for Bun, which finds `mantou/register`'s. Its clients are the treaty of Eden, fetch and ws.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { treaty, WebSocket } from './frameworks/clients.mjs';
import { calls } from './support/calls.mjs';
import { eventsOf, hosts, startFramework, stopFrameworks } from './support/frameworks.mjs';

const folder = mkdtempSync(join(tmpdir(), 'mantou-elysia-'));
const file = join(folder, 'page.html');
writeFileSync(file, '<p>a page');
after(() => rmSync(folder, { recursive: true }));

for (const host of hosts) {
  describe(`Elysia on ${host.name}`, { skip: host.reason, timeout: 30_000 }, () => {
    let program;
    let client;
    before(async () => {
      program = await startFramework(host, 'elysia.mjs', { args: [file] });
      client = treaty(program.url.slice(0, -1));
    });
    after(stopFrameworks);

    const get = (path, init) => fetch(new URL(path, program.url), init);
    const socket = async (name) => {
      const ws = new WebSocket(new URL(`/ws/tea?name=${name}`, program.url.replace('http', 'ws')));
      const messages = calls('a message');
      ws.on('message', (data) => messages(String(data)));
      await once(ws, 'open');
      const message = async () => (await messages.next())[0];
      assert.equal(await message(), `{"welcome":"${name}"}`);
      return { ws, message };
    };

    test('answers its client', async () => {
      const text = await client.get();
      const json = await client.json.get();
      const user = await client.users({ id: 7 }).get({ query: { page: 2 } });

      assert.deepEqual([text.status, text.data], [200, 'Hello Elysia']);
      assert.deepEqual(json.data, { a: 1 });
      assert.deepEqual(user.data, { id: 7, page: 2 });
    });

    test('answers a static route only for its method', async () => {
      const posted = await get('/json', { method: 'POST' });
      const head = await get('/', { method: 'HEAD' });

      assert.equal(posted.status, 404);
      assert.deepEqual([head.status, await head.text()], [200, '']);
    });

    test('validates params, bodies and responses', async () => {
      const good = await client.users.post({ name: 'ada' });
      const wrongParam = await client.users({ id: 'x' }).get();
      const wrongBody = await client.users.post({ name: '' });
      const noJson = await get('/users', { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } });
      const wrongResponse = await client.wrong.get();

      assert.deepEqual([good.status, good.data, good.headers.get('x-own')], [201, { hello: 'ada' }, 'yes']);
      assert.deepEqual([wrongParam.status, wrongParam.error.value], [422, { invalid: 'params' }]);
      assert.deepEqual([wrongBody.status, wrongBody.error.value], [422, { invalid: 'body' }]);
      assert.equal(noJson.status, 400);
      assert.deepEqual([wrongResponse.status, wrongResponse.error.value], [422, { invalid: 'response' }]);
    });

    test('reads a form with a file', async () => {
      const { data } = await client.form.post({ file: new File(['content ✓'], 'a.txt'), text: 'words' });

      assert.deepEqual(data, { name: 'a.txt', content: 'content ✓', text: 'words' });
    });

    test('sets cookies, signs them and gets them back', async () => {
      const login = await get('/login');
      const cookies = login.headers.getSetCookie();
      const cookie = cookies.map((line) => line.split(';', 1)[0]).join('; ');
      const who = await get('/who', { headers: { cookie } });
      const forged = await get('/who', { headers: { cookie: 'signed=you.bad' } });

      assert.match(cookies[0], /^session=abc; .*HttpOnly/);
      assert.match(cookies[1], /^signed=me\./);
      assert.deepEqual(await who.json(), { session: 'abc', signed: 'me' });
      assert.equal(forged.status, 400);
    });

    test('redirects to a path', async () => {
      const moved = await get('/moved', { redirect: 'manual' });

      assert.deepEqual([moved.status, moved.headers.get('location'), moved.headers.get('x-own')], [303, '/who', 'yes']);
    });

    for (const path of ['/file', '/bun-file']) {
      test(`sends a file, and the range of it that is asked for: ${path}`, async () => {
        const whole = await get(path);
        const part = await get(path, { headers: { range: 'bytes=3-5' } });

        assert.match(whole.headers.get('content-type'), /^text\/html/);
        assert.equal(whole.headers.get('accept-ranges'), 'bytes');
        assert.equal(await whole.text(), '<p>a page');
        assert.deepEqual([part.status, part.headers.get('content-range'), await part.text()], [206, 'bytes 3-5/9', 'a p']);
      });
    }

    test('streams text and events', async () => {
      const text = await get('/stream');
      const events = await get('/sse');

      assert.equal(await text.text(), 'one two three');
      assert.match(events.headers.get('content-type'), /^text\/event-stream/);
      assert.deepEqual(
        eventsOf(await events.text()),
        [0, 1, 2].map((id) => ({ id: String(id), event: 'tick', data: `{"id":${id}}` })),
      );
    });

    test('knows the server, and fails as it says', async () => {
      assert.equal(await get('/ip').then((response) => response.text()), '127.0.0.1');
      const broken = await get('/broken');
      const none = await get('/none');

      assert.deepEqual([broken.status, await broken.text()], [500, 'broken']);
      assert.deepEqual([none.status, await none.text()], [404, 'nothing here']);
    });

    test('speaks WebSocket, with topics', async () => {
      const ada = await socket('ada');
      const bob = await socket('bob');
      assert.equal(await ada.message(), '{"joined":"bob"}');

      ada.ws.send('{"text":"hello"}');
      assert.equal(await ada.message(), '{"sent":"hello"}');
      assert.equal(await bob.message(), '{"from":"ada","text":"hello"}');
      ada.ws.send('{"text":1}');
      assert.equal(await ada.message(), '{"refused":"message"}');

      const closed = once(bob.ws, 'close');
      bob.ws.send('{"text":"close"}');
      assert.deepEqual((await closed).map(String), ['4000', 'as you say']);
      assert.equal(await program.line(), 'closed bob 4000 as you say');
      ada.ws.terminate();
      assert.equal(await program.line(), 'closed ada 1006 ');
    });

    test('refuses a WebSocket that does not fit', async () => {
      const ws = new WebSocket(new URL('/ws/tea', program.url.replace('http', 'ws')));

      const [, response] = await once(ws, 'unexpected-response');

      assert.equal(response.statusCode, 422);
      response.destroy();
    });

    test('stops, and the process ends by itself', async () => {
      assert.equal(await program.end('SIGTERM'), 0);

      assert.equal(await program.line(), 'stopped');
      assert.equal(program.stderr(), '');
    });
  });
}
