// `mantou/register`: what it puts in place, and that nothing else changes a global.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import module from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { killPrograms, runBare } from './support/program.mjs';
import { isBunRuntime } from './support/target.mjs';

afterEach(killPrograms);

const index = JSON.stringify(new URL('../index.js', import.meta.url).href);
const register = JSON.stringify(new URL('../register.js', import.meta.url).href);
const inNode = { skip: isBunRuntime && 'in Bun there is nothing to put in place' };

/** What a program prints, as JSON; it must end well. Node warns of some globals when they are read. */
async function printed(source) {
  const { code, stderr, lines } = await runBare(source, { NODE_NO_WARNINGS: '1' }).exited();
  assert.deepEqual([code, stderr], [0, '']);
  return lines.map((line) => JSON.parse(line));
}

const WATCHED = `['Request', 'Response', 'Headers', 'Blob', 'ReadableStream', 'URL', 'AbortController', 'WebSocket', 'CloseEvent', 'fetch', 'Bun']`;

test('importing mantou changes no global', async () => {
  const [same] = await printed(`
    const names = [...new Set([...Object.getOwnPropertyNames(globalThis), ...${WATCHED}])];
    const read = () => new Map(names.map((name) => [name, globalThis[name]]));
    const before = read();
    const prototypes = [Request, Response, Headers].map(({ prototype }) => JSON.stringify(Object.keys(Object.getOwnPropertyDescriptors(prototype))));
    const { serve } = await import(${index});
    const server = serve({ port: 0, fetch: () => new Response('x') });
    await (await fetch(server.url)).text();
    await server.stop(true);
    const after = read();
    const changed = names.filter((name) => !Object.is(before.get(name), after.get(name)));
    const added = Object.getOwnPropertyNames(globalThis).filter((name) => !names.includes(name));
    const members = [Request, Response, Headers].map(({ prototype }) => JSON.stringify(Object.keys(Object.getOwnPropertyDescriptors(prototype))));
    print(JSON.stringify({ changed, added, isSame: String(members) === String(prototypes) }));
  `);

  assert.deepEqual(same, { changed: [], added: [], isSame: true });
});

describe('mantou/register', () => {
  test('says what it puts in place', async () => {
    const [installed, ...rest] = await printed(`
      const before = Object.fromEntries(${WATCHED}.map((name) => [name, globalThis[name]]));
      const { installed } = await import(${register});
      print(JSON.stringify(installed));
      print(JSON.stringify(Object.keys(before).filter((name) => before[name] !== globalThis[name])));
      await import(${register});
      print(JSON.stringify(Object.keys(before).filter((name) => before[name] !== globalThis[name])));
    `);

    const missing = 'CloseEvent' in globalThis ? [] : ['CloseEvent'];
    const wanted = isBunRuntime ? [] : ['Request', 'Response', 'fetch', ...missing, 'Bun'];
    assert.deepEqual([installed, ...rest.map((names) => names.sort())], [wanted, ...[[...wanted].sort(), [...wanted].sort()]]);
  });

  test("makes mantou's classes the global ones", inNode, async () => {
    const [result] = await printed(`
      const Host = { Request, Response };
      await import(${register});
      const mantou = await import(${index});
      print(JSON.stringify([
        Request === mantou.Request, Response === mantou.Response,
        new Response('x') instanceof Host.Response, new Host.Response('x') instanceof Response,
        new Request('http://a') instanceof Host.Request, new Host.Request('http://a') instanceof Request,
        (await fetch('data:,x')) instanceof Response, fetch.name,
      ]));
    `);

    assert.deepEqual(result, [true, true, true, true, true, true, true, 'fetch']);
  });

  test('keeps the fetch of the host, also when it fails', inNode, async () => {
    const [before, after] = await printed(`
      const outcomes = async () => {
        const outcomes = [];
        for (const args of [[], ['no url'], ['data:,x', { method: 'a b' }]]) {
          outcomes.push(await fetch(...args).then((response) => response.status, ({ name, message }) => [name, message]));
        }
        return JSON.stringify(outcomes);
      };
      print(await outcomes());
      await import(${register});
      print(await outcomes());
    `);

    assert.deepEqual(after, before);
  });

  test('leaves enumerability as it was, and lets the globals be replaced', inNode, async () => {
    const [before, after] = await printed(`
      const flags = () => JSON.stringify(['Request', 'Response', 'fetch'].map((name) => {
        const { enumerable, configurable } = Object.getOwnPropertyDescriptor(globalThis, name);
        return { enumerable, configurable };
      }));
      print(flags());
      await import(${register});
      print(flags());
      globalThis.Response = 5;
      if (globalThis.Response !== 5) throw new Error('not replaced');
    `);

    assert.deepEqual(after, before);
  });

  test('gives Bun.serve and little else, and says so', inNode, async () => {
    const [shape, ...errors] = await printed(`
      await import(${register});
      const { serve } = await import(${index});
      print(JSON.stringify([Bun.serve === serve, Bun.env === process.env, Bun.argv === process.argv, Bun.version, Bun.gc(true) ?? null, Object.keys(Bun), 'spawn' in Bun, typeof Bun.nothing, String(Bun)]));
      for (const name of ['sleep', 'hash', 'spawn', 'sql']) {
        try {
          print(JSON.stringify(typeof Bun[name]));
        } catch ({ name, message }) {
          print(JSON.stringify([name, message]));
        }
      }
    `);

    assert.deepEqual(shape, [
      true,
      true,
      true,
      '1.4.5',
      null,
      ['serve', 'Cookie', 'CookieMap', 'fetch', 'file', 'write', 'semver', 'version', 'env', 'argv', 'gc'],
      false,
      'undefined',
      '[object Object]',
    ]);
    assert.deepEqual(
      errors,
      ['sleep', 'hash', 'spawn', 'sql'].map((name) => [
        'Error',
        `Bun.${name} is not there: this is mantou, which has Bun.serve and little else of Bun (see mantou/register)`,
      ]),
    );
  });

  const canHook = 'registerHooks' in module;
  describe("as 'bun'", { skip: inNode.skip || (!canHook && 'this Node cannot be told of a module') }, () => {
    test('can be imported and required', async () => {
      const [shape] = await printed(`
        await import(${register});
        const { createRequire } = await import('node:module');
        const imported = await import('bun');
        const { serve, file, Cookie } = imported;
        const required = createRequire(${register})('bun');
        print(JSON.stringify([imported.default === Bun, required === Bun, serve === Bun.serve, file === Bun.file, Cookie === Bun.Cookie]));
      `);

      assert.deepEqual(shape, [true, true, true, true, true]);
    });

    test('leaves every other module what it was, and missing where it is', async () => {
      const [outcomes] = await printed(`
        await import(${register});
        const { createRequire } = await import('node:module');
        const require = createRequire(${register});
        const outcome = (error) => ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'].includes(error.code);
        print(JSON.stringify([
          await import('bun-that-is-not').catch(outcome),
          (() => { try { return require('bun-that-is-not'); } catch (error) { return outcome(error); } })(),
          (await import(${index})).serve === require(new URL(${index}).pathname).serve,
        ]));
      `);

      assert.deepEqual(outcomes, [true, true, true]);
    });

    test('does not stand before a package of that name', async () => {
      const home = mkdtempSync(join(tmpdir(), 'mantou-register-'));
      try {
        mkdirSync(join(home, 'node_modules/bun'), { recursive: true });
        writeFileSync(join(home, 'node_modules/bun/index.js'), "module.exports = 'theirs';");
        const require = JSON.stringify(join(home, 'a.js'));

        const [found] = await printed(`
          await import(${register});
          print(JSON.stringify((await import('node:module')).createRequire(${require})('bun')));
        `);

        assert.equal(found, 'theirs');
      } finally {
        rmSync(home, { recursive: true });
      }
    });
  });

  test('gives a CloseEvent where there is none', async () => {
    const [event] = await printed(`
      await import(${register});
      const event = new CloseEvent('close', { code: 4000, reason: 'bye', wasClean: true });
      const empty = new CloseEvent('close');
      print(JSON.stringify([event instanceof Event, event.type, event.code, event.reason, event.wasClean, empty.code, empty.reason, empty.wasClean]));
    `);

    assert.deepEqual(event, [true, 'close', 4000, 'bye', true, 0, '', false]);
  });

  test('does not touch a Bun that is there', async () => {
    const [same] = await printed(`
      globalThis.Bun ??= { mine: true };
      const { Bun } = globalThis;
      const { installed } = await import(${register});
      print(JSON.stringify([globalThis.Bun === Bun, installed.includes('Bun')]));
    `);

    assert.deepEqual(same, [true, false]);
  });

  test('runs a program that is written for Bun', async () => {
    const [text] = await printed(`
      await import(${register});
      const server = Bun.serve({
        port: 0,
        routes: undefined,
        async fetch(req, server) {
          if (server.upgrade(req)) return;
          if (new URL(req.url).pathname === '/proxied') return Response.json({ method: req.method, body: await req.text() }, { status: 201 });
          return fetch(new Request(new URL('/proxied', server.url), req));
        },
        websocket: { message(ws, message) { ws.send(message); } },
      });
      const response = await fetch(server.url, { method: 'PUT', body: 'body' });
      print(JSON.stringify([response.status, await response.json()]));
      await server.stop(true);
    `);

    assert.deepEqual(text, [201, { method: 'PUT', body: 'body' }]);
  });

  test('lets the headers of what was fetched be changed, as Bun does', async () => {
    const [changed, sent, blob] = await printed(`
      await import(${register});
      const server = Bun.serve({
        port: 0,
        async fetch(req) {
          if (new URL(req.url).pathname === '/plain') return new Response('plain', { headers: { a: '1', b: '2' } });
          const response = await fetch(new URL('/plain', server.url));
          response.headers.set('c', '3');
          response.headers.delete('a');
          return response;
        },
      });
      const mine = ({ headers }) => ['a', 'b', 'c', 'd'].map((name) => headers.get(name));
      const response = await fetch(new URL('/plain', server.url));
      const untouched = response.clone();
      response.headers.set('c', '3');
      const clone = response.clone();
      clone.headers.set('d', '4');
      const copy = new Response(response.body, response);
      const { url, redirected } = response;
      print(JSON.stringify([...[untouched, response, clone, copy].map(mine), await clone.text(), await copy.text(), new URL(url).pathname, redirected]));
      const passed = await fetch(server.url);
      print(JSON.stringify([mine(passed), await passed.text()]));
      const typed = await fetch('data:text/x-mine,x');
      typed.headers.set('a', '1');
      print(JSON.stringify([(await typed.blob()).type, typed.bodyUsed]));
      await server.stop(true);
    `);

    const [plain, more] = [
      ['1', '2', null, null],
      ['1', '2', '3', null],
    ];
    assert.deepEqual(changed, [plain, more, ['1', '2', '3', '4'], more, 'plain', 'plain', '/plain', false]);
    assert.deepEqual(sent, [[null, '2', '3', null], 'plain']);
    assert.deepEqual(blob, ['text/x-mine', true]);
  });

  test('passes a request on, as programs for Bun do it', async () => {
    const echoes = await printed(`
      await import(${register});
      const ways = {
        '/request': (req) => fetch(new Request(server.url, req)),
        '/init': (req) => fetch(server.url, req),
        '/parts': ({ method, headers, body }) => fetch(server.url, { method, headers, body }),
        '/request-of-parts': ({ method, headers, body }) => fetch(new Request(server.url, { method, headers, body })),
        '/record': ({ method, headers, body }) => fetch(server.url, { method, headers: { ...Object.fromEntries(headers), a: 'b' }, body }),
      };
      const server = Bun.serve({
        port: 0,
        async fetch(req) {
          const way = ways[new URL(req.url).pathname];
          return way === undefined ? Response.json([req.method, await req.text(), req.headers.get('x-mine')]) : way(req);
        },
      });
      const { connect } = await import('node:net');
      for (const path of Object.keys(ways)) {
        const client = connect(server.port, '127.0.0.1');
        client.write(\`PUT \${path} HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\nX-Mine: kept\\r\\nKeep-Alive: timeout=5\\r\\n\`);
        client.write('Expect: 100-continue\\r\\nUpgrade: h2c\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n4\\r\\nbody\\r\\n0\\r\\n\\r\\n');
        let answer = '';
        for await (const piece of client.setEncoding('utf8')) answer += piece;
        print(JSON.stringify([path, ...JSON.parse(/\\[.*\\]/.exec(answer)?.[0] ?? JSON.stringify(answer.split('\\r\\n')))]));
      }
      await server.stop(true);
    `);

    const wanted = ['/request', '/init', '/parts', '/request-of-parts', '/record'].map((path) => [path, 'PUT', 'body', 'kept']);
    assert.deepEqual(echoes, wanted);
  });
});
