// Bun.file() and Bun.write() of `mantou/register`, beside Bun's.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { differs } from './differences.mjs';
import { cannotTell, descriptorsOf, settled } from './support/descriptors.mjs';
import { exchange, request } from './support/raw-http.mjs';
import { bun, isOracle, mantou, serve, stopAll } from './support/target.mjs';

const { file, write } = isOracle ? bun : createRequire(import.meta.url)('../src/js/file.js');
/** The class that a program has with `mantou/register`. */
const Response = isOracle ? globalThis.Response : mantou.Response;

const folder = mkdtempSync(join(tmpdir(), 'mantou-file-'));
after(() => rmSync(folder, { recursive: true }));
afterEach(stopAll);

let count = 0;
/** The path of a file that nobody else uses. */
const fresh = (content, extension = 'txt') => {
  const path = join(folder, `${count++}.${extension}`);
  if (content !== undefined) writeFileSync(path, content);
  return path;
};

describe('a file', () => {
  test('is a Blob, and says what it is', async () => {
    const path = fresh('héllo');
    const one = file(path);

    assert.ok(one instanceof Blob);
    assert.equal(one.constructor, Blob);
    assert.deepEqual([one.name, one.size, one.type, await one.exists()], [path, 6, 'text/plain;charset=utf-8', true]);
    assert.equal(one.lastModified, Math.trunc(statSync(path).mtimeMs));
    assert.equal((await one.stat()).size, 6);
  });

  test('says what the disk says now', { skip: isOracle && 'it remembers the size' }, async () => {
    const path = fresh('before');
    const one = file(path);
    assert.equal(one.size, 6);

    writeFileSync(path, 'longer than before');

    assert.deepEqual([one.size, await one.text()], [18, 'longer than before']);
  });

  for (const [extension, type] of [
    ['html', 'text/html;charset=utf-8'],
    ['js', 'text/javascript;charset=utf-8'],
    ['json', 'application/json;charset=utf-8'],
    ['PNG', 'image/png'],
    ['nothing', 'application/octet-stream'],
  ]) {
    test(`that ends in .${extension} is ${type}`, () => assert.equal(file(`/tmp/a.${extension}`).type, type));
  }

  test('may be given a type, and may be named by a URL', () => {
    assert.equal(file('/tmp/a', { type: 'X/y' }).type, 'x/y');
    assert.equal(file(pathToFileURL('/tmp/a b')).name, '/tmp/a b');
  });

  test('can be read in every way', async () => {
    const one = file(fresh('{"a":"é"}', 'json'));

    assert.equal(await one.text(), '{"a":"é"}');
    assert.deepEqual(await one.json(), { a: 'é' });
    assert.equal((await one.arrayBuffer()).byteLength, 10);
    assert.equal((await one.bytes()).length, 10);
    let size = 0;
    for await (const piece of one.stream()) size += piece.length;
    assert.equal(size, 10);
  });

  test('has parts, and parts of parts', async () => {
    const one = file(fresh('0123456789'));
    assert.equal(one.size, 10);

    for (const [start, end, text] of [
      [2, 5, '234'],
      [8, 99, '89'],
      [-3, undefined, '789'],
      [-3, -1, '78'],
      [5, 2, ''],
      [20, 30, ''],
      [2.7, 5.9, '234'],
      [Number.NaN, 3, '012'],
      [Number.NEGATIVE_INFINITY, 3, '012'],
      [-1e17, 3, '012'],
      [2, Number.NaN, ''],
      [Number.POSITIVE_INFINITY, undefined, ''],
      [1e17, undefined, ''],
    ]) {
      const part = one.slice(start, end);
      assert.equal(await part.text(), text, `${start} to ${end}`);
      // There the end of a part is not cut to that of its file.
      if (!isOracle) assert.equal(part.size, text.length, `${start} to ${end}`);
    }
    assert.equal(await one.slice(2, 8).slice(1, 3).text(), '34');
    assert.equal(await one.slice(2, 8).slice(-2).text(), '67');
    assert.equal(one.slice(0, 1, 'a/b').type, 'a/b');
  });

  test('has parts that are told their type alone', async () => {
    const one = file(fresh('0123456789'));

    for (const [part, text] of [
      [one.slice('A/b'), '0123456789'],
      [one.slice(8, 'A/b'), '89'],
    ]) {
      assert.deepEqual([part.type, await part.text()], ['a/b', text]);
    }
  });

  test('has no type that a field cannot carry', async () => {
    const path = fresh('x');
    for (const type of ['a/b\r\nx-evil: 1', 'a/b\0', 'é', '', 5, null]) {
      const one = file(path, { type });
      assert.equal(one.type, 'text/plain;charset=utf-8', JSON.stringify(type));
      assert.equal(one.slice(0, 1, type).type, 'text/plain;charset=utf-8', JSON.stringify(type));
    }
  });

  test('is let go of by a reader that leaves, whenever it does', { skip: cannotTell }, async () => {
    const path = fresh('x'.repeat(1_000_000));
    const early = file(path).stream().getReader();
    const reading = early.read();
    // It has begun to open the file, and no event has told it yet that it has.
    for (let turn = 0; turn < 5; turn++) await null;
    await early.cancel();
    await reading;
    const later = file(path).stream().getReader();
    await later.read();
    await later.cancel();
    const never = file(path).stream();
    await never.cancel();

    if (isOracle) await settled(() => descriptorsOf(path) === 0);
    assert.equal(descriptorsOf(path), 0);
  });

  test('that is not there is empty, and cannot be read', async () => {
    const none = file(fresh());

    assert.deepEqual([none.size, await none.exists()], [0, false]);
    await assert.rejects(none.text(), { code: 'ENOENT' });
    await assert.rejects(async () => none.stream().getReader().read(), { code: 'ENOENT' });
  });

  test('has its bytes in what it is made a part of', {
    skip: isOracle && 'a file whose size nobody has asked for is empty there',
  }, async () => {
    const one = file(fresh('0123'));

    for (const [whole, text] of [
      [new Blob(['a', one, 'b']), 'a0123b'],
      [new Blob([new Blob([one]), one.slice(1, 3), one.slice(-1)]), '0123123'],
      [new File([one], 'name'), '0123'],
      [structuredClone(one), '0123'],
    ]) {
      assert.deepEqual([whole.size, await whole.text()], [text.length, text]);
    }
  });

  test('that cannot be read is made a part of nothing', { skip: isOracle && 'it is empty there' }, () => {
    assert.throws(() => new Blob([file(fresh())]), { code: 'ENOENT' });
    assert.throws(() => new Blob([file(folder)]), { code: 'EISDIR' });
  });

  test('is not a folder', async () => {
    assert.equal(await file(folder).exists(), false);
    await assert.rejects(file(folder).text(), { code: 'EISDIR' });
  });

  test('can be deleted', async () => {
    const one = file(fresh('gone'));

    await one.delete();

    assert.equal(await one.exists(), false);
    await assert.rejects(one.unlink(), { code: 'ENOENT' });
  });

  for (const wrong of [undefined, null, {}, true]) {
    test(`is not ${JSON.stringify(wrong)}`, () => assert.throws(() => file(wrong), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }));
  }

  test('is not a descriptor', { skip: isOracle && 'there it may be one' }, () => {
    assert.throws(() => file(1), /takes a path here/);
  });
});

describe('a file as the body of a response', () => {
  const CONTENT = Buffer.from('mantou '.repeat(100_000));

  test('is sent with its type and length, whole or in part', async () => {
    const one = file(fresh(CONTENT));
    const server = serve({ fetch: () => new Response(one) });

    const whole = await exchange(server, request('GET', '/'));
    const part = await exchange(server, request('GET', '/', { Range: 'bytes=7-12' }));

    assert.equal(whole.response.header('content-length'), String(CONTENT.length));
    assert.equal(whole.response.header('content-type'), 'text/plain;charset=utf-8');
    assert.ok(whole.response.body.equals(CONTENT));
    assert.deepEqual([part.response.status, part.response.text], [206, 'mantou']);
    assert.equal(part.response.header('content-range'), `bytes 7-12/${CONTENT.length}`);
  });

  const shown = ({ status, text, header }) => [status, text, header('content-length'), header('content-range')];

  test('may be a part of one, which says so, whatever part of it is asked for', async () => {
    const one = file(fresh(CONTENT));
    const server = serve({ fetch: () => new Response(one.slice(7, 20)) });

    for (const headers of [{}, { Range: 'bytes=7-19' }, { Range: 'bytes=0-1' }]) {
      const { response } = await exchange(server, request('GET', '/', headers));

      assert.deepEqual(shown(response), [206, 'mantou mantou', '13', 'bytes 7-19/*']);
    }
    const { response } = await exchange(server, request('HEAD', '/'));
    assert.deepEqual(shown(response), [200, '', '13', undefined]);
  });

  test('may be a part that goes to the end, and a part of a part', async () => {
    const one = file(fresh('0123456789'));
    const parts = { '/end': one.slice(4), '/beyond': one.slice(4, 1000), '/part': one.slice(2).slice(2, 4) };
    const server = serve({ fetch: (req) => new Response(parts[new URL(req.url).pathname]) });

    for (const [path, text, range] of [
      ['/end', '456789', 'bytes 4-9/*'],
      ['/beyond', '456789', 'bytes 4-9/*'],
      ['/part', '45', 'bytes 4-5/*'],
    ]) {
      assert.deepEqual(shown((await exchange(server, request('GET', path))).response), [206, text, String(text.length), range]);
    }
  });

  test('may be a part that is the whole', async () => {
    const path = fresh('0123456789');
    for (const part of [[], [0], [0, 10], [0, 11]]) {
      const server = serve({ fetch: () => new Response(file(path).slice(...part)) });

      assert.deepEqual(shown((await exchange(server, request('GET', '/'))).response), [200, '0123456789', '10', undefined]);
    }
  });

  test('may be a part that is open at its end and the whole, of which a part is asked for', async () => {
    const path = fresh('0123456789');
    const server = serve({ fetch: () => new Response(file(path).slice(0)) });

    const { response } = await exchange(server, request('GET', '/', { Range: 'bytes=1-2' }));

    assert.deepEqual(shown(response), [206, '12', '2', 'bytes 1-2/10']);
  });

  test('may be a part that the handler has named', async () => {
    const one = file(fresh('0123456789'));
    const headers = { 'content-range': 'bytes 2-3/10' };
    for (const status of [200, 206]) {
      const server = serve({ fetch: () => new Response(one.slice(2, 4), { status, headers }) });

      assert.deepEqual(shown((await exchange(server, request('GET', '/'))).response), [206, '23', '2', 'bytes 2-3/10']);
    }
  });

  test('may be a part without bytes, or of a response with a status of its own, or with other fields', async () => {
    const one = file(fresh('0123456789'));
    const parts = {
      '/nothing': () => new Response(one.slice(3, 3)),
      '/error': () => new Response(one.slice(2, 4), { status: 404 }),
      '/cached': () => new Response(one.slice(2, 4), { headers: { 'cache-control': 'no-store' } }),
    };
    const server = serve({ fetch: (req) => parts[new URL(req.url).pathname]() });
    const seen = await Promise.all(Object.keys(parts).map(async (path) => shown((await exchange(server, request('GET', path))).response)));

    const ours = [
      [200, '', '0', undefined],
      [404, '23', '2', undefined],
      [206, '23', '2', 'bytes 2-3/*'],
    ];
    const theirs = [
      [206, '', '0', 'bytes 3-3/*'],
      [206, '23', '2', 'bytes 2-3/*'],
      [200, '23', '2', undefined],
    ];
    assert.deepEqual(seen, differs('file-parts') ? ours : theirs);
  });

  test('that is not there is an error of the handler', async () => {
    const errors = [];
    const server = serve({
      development: false,
      fetch: () => new Response(file(fresh())),
      error({ code }) {
        errors.push(code);
        return new Response('handled', { status: 503 });
      },
    });

    const { response } = await exchange(server, request('GET', '/'));

    assert.deepEqual([response.status, response.text, errors], [503, 'handled', ['ENOENT']]);
  });

  test('may be in a form', async () => {
    const path = fresh('0123456789');
    const server = serve({
      fetch() {
        const form = new FormData();
        form.set('whole', file(path));
        form.append('part', file(path).slice(2, 5), 'part.txt');
        return new Response(form);
      },
    });

    const { response } = await exchange(server, request('GET', '/'));
    const headers = { 'content-type': response.header('content-type') };
    const form = await new globalThis.Response(response.body, { headers }).formData();

    assert.deepEqual([await form.get('whole').text(), await form.get('part').text()], ['0123456789', '234']);
    assert.equal(form.get('part').name, 'part.txt');
    assert.match(form.get('part').type, /^text\/plain/);
  });

  test('has nothing read of it for HEAD', async () => {
    const one = file(fresh(CONTENT));
    const server = serve({ fetch: () => new Response(one) });

    const { response } = await exchange(server, request('HEAD', '/'));

    assert.deepEqual([response.status, response.header('content-length')], [200, String(CONTENT.length)]);
  });
});

describe('write()', () => {
  const bytes = new Uint8Array([104, 105]);
  for (const [what, data, text] of [
    ['a string', 'héllo', 'héllo'],
    ['bytes', bytes, 'hi'],
    ['an ArrayBuffer', bytes.buffer, 'hi'],
    ['a Blob', new Blob(['a', 'b']), 'ab'],
    ['a Response', new Response('answer'), 'answer'],
    ['a Request', new Request('http://a/', { method: 'POST', body: 'asked' }), 'asked'],
    ['a stream', new globalThis.Response('stream').body, 'stream'],
    ['an array of parts', ['a', bytes], 'ahi'],
    ['a number', 5, '5'],
    ['nothing', '', ''],
  ]) {
    test(`takes ${what}, and says how much that was`, async () => {
      const path = fresh('what was there before');

      assert.equal(await write(path, data), Buffer.byteLength(text));

      assert.equal(readFileSync(path, 'utf8'), text);
    });
  }

  test('takes files among the parts', { skip: isOracle && 'a file whose size nobody has asked for is empty there' }, async () => {
    const path = fresh();

    assert.equal(await write(path, ['a ', file(fresh('file')), ' ', file(fresh('0123')).slice(1, 3)]), 9);

    assert.equal(readFileSync(path, 'utf8'), 'a file 12');
  });

  test('copies a file, and makes the folder', async () => {
    const one = file(fresh('content'));
    const other = file(join(folder, 'new', 'folder', 'b.txt'));

    assert.deepEqual([await write(other, one), await other.write(one)], [7, 7]);

    assert.equal(await other.text(), 'content');
  });

  test('copies a file onto itself', { skip: isOracle && 'it is empty then' }, async () => {
    const one = file(fresh('content'));

    await write(one, one);

    assert.equal(await one.text(), 'content');
  });

  test('makes no folder when it is told so', async () => {
    await assert.rejects(write(join(folder, 'none', 'a.txt'), 'x', { createPath: false }), { code: 'ENOENT' });
  });

  test('refuses what is no file, and nothing to write', async () => {
    const refusal = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
    await assert.rejects(async () => write(), refusal);
    await assert.rejects(async () => write(fresh()), refusal);
  });
});
