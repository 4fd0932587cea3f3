// @ts-check
// README.md says what is so: its programs run as they stand there, and its tables have what the code has.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, afterEach, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { differences } from './differences.mjs';
import { createClient, io, treaty } from './frameworks/clients.mjs';
import { bunBinary } from './support/bun.mjs';
import { calls } from './support/calls.mjs';
import { destroyClients, RawClient } from './support/raw-client.mjs';
import { request } from './support/raw-http.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);
const { checkSupported, parseDevelopment, parseFarewell, parseListen, parseWebSocket } = require('../src/js/options.js');
const { parseTls } = require('../src/js/tls.js');
const { serve, ServerWebSocket } = /** @type {typeof import('../index.js')} */ (require('../index.js'));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const typings = readFileSync(join(root, 'index.d.ts'), 'utf8');

/** What stands under each heading of README.md. */
const sections = new Map(
  readFileSync(join(root, 'README.md'), 'utf8')
    .split(/^##+ /m)
    .map((text) => [text.slice(0, text.indexOf('\n')), text.slice(text.indexOf('\n'))]),
);

/** @param {string} heading */
const section = (heading) => sections.get(heading) ?? assert.fail(`README.md has no section "${heading}"`);

/**
 * The rows of the table whose first column is called `column`, cell by cell.
 * @param {string} heading of the section it stands in
 * @param {string} column
 */
function table(heading, column) {
  const lines = section(heading)
    .split('\n\n')
    .map((paragraph) => paragraph.trim().split('\n'))
    .find(([header]) => header.startsWith(`| ${column} `));
  assert.ok(lines !== undefined, `"${heading}" has no table of "${column}"`);
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** The name that a cell begins with: `send` of "`send(data, compress?)`". */
const nameIn = (/** @type {string} */ cell) => /^`(\w+)/.exec(cell)?.[1] ?? assert.fail(`no name: ${cell}`);
/** @param {string[][]} rows */
const namesIn = (rows) => rows.map(([cell]) => nameIn(cell)).sort();
/** The codes of a text: each `between backticks`. */
const codesIn = (/** @type {string} */ text) => [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code);

/**
 * The members that index.d.ts declares between a line and the brace that ends its block.
 * @param {string} start
 */
function declaredIn(start) {
  const [, indent, block] = new RegExp(`^( *)${start}[^\\n]*\\{\\n(.*?)\\n\\1\\}`, 'ms').exec(typings) ?? assert.fail(`no ${start}`);
  const members = block.matchAll(new RegExp(`^${indent}  (?:readonly )?(\\w+)\\??[(<:]`, 'gm'));
  // One that is declared several times, for different arguments, is one.
  return [...new Set([...members].map(([, name]) => name))].filter((name) => name !== 'constructor');
}

describe('the programs', () => {
  /** Each program by its heading, with what makes sure that it does what is said there. @type {Record<string, (program: Program) => Promise<void>>} */
  const scenarios = {
    async 'Quick start'(program) {
      assert.equal(await fetch(program.url).then((response) => response.text()), 'Hello HTTP');
      const client = await connect(program, '/chat');

      client.socket.send('hi');

      assert.equal(await client.message(), 'hi');
      client.socket.close(1000, 'bye');
      for (const line of ['Client connected', 'Received: hi', 'Client disconnected 1000 bye']) assert.equal(await program.line(), line);
    },

    async Routes(program) {
      const get = (/** @type {string} */ path, /** @type {RequestInit} */ init = {}) => fetch(new URL(path, program.url), init);
      assert.equal(await get('/').then((response) => response.text()), 'Hello');
      assert.deepEqual(await get('/users/7').then((response) => response.json()), { id: '7' });
      const login = await get('/login', { method: 'POST' });
      assert.equal(await login.text(), 'Welcome');
      assert.match(login.headers.get('set-cookie') ?? '', /^session=[0-9a-f-]{36}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/);
      assert.equal((await get('/login')).status, 404);
      assert.equal(
        await get('/package/routes.js').then((response) => response.text()),
        readFileSync(join(root, 'src/js/routes.js'), 'utf8'),
      );
      assert.equal((await get('/package/..%2f..%2fpackage.json')).status, 404);
    },

    async 'Data and topics'(program) {
      const ada = await connect(program, '/?user=ada&room=tea');
      const bob = await connect(program, '/?user=bob&room=tea');
      assert.equal(await ada.message(), 'bob is here');
      const cyd = await connect(program, '/');
      await connect(program, '/?user=dan');
      assert.equal(await fetch(new URL('/?room=tea', program.url)).then((response) => response.text()), '2 in tea');

      ada.socket.send('hello');

      assert.equal(await bob.message(), 'ada: hello');
      assert.equal(await cyd.message(), 'dan is here');
    },

    async 'Slow clients'(program) {
      const client = await connect(program, '/');

      const [code, reason] = await client.closed();

      assert.deepEqual([code, reason], [1000, 'that was all']);
      assert.equal(client.received(), 200 * 64 * 1024);
      assert.equal((await fetch(program.url)).status, 426);
    },

    async 'Speed of HTTP'(program) {
      const text = await fetch(program.url);
      const json = await fetch(new URL('/json', program.url));

      assert.deepEqual([text.headers.get('content-type')?.toLowerCase(), await text.text()], ['text/plain;charset=utf-8', 'Hello HTTP']);
      assert.deepEqual(await json.json(), { hello: 'HTTP' });
    },

    async Hono(program) {
      assert.equal(await fetch(program.url).then((response) => response.text()), 'Hello Hono');
      const file = await fetch(new URL('/package.json', program.url)).then((response) => response.json());
      assert.equal(file.name, 'hono');
      const client = await connect(program, '/ws');

      client.socket.send('hi');

      assert.equal(await client.message(), 'You said: hi');
    },

    async Elysia(program) {
      // Its types are those of the program, which is not one of ours.
      const client = /** @type {any} */ (treaty)(program.url.slice(0, -1));

      assert.equal((await client.get()).data, 'Hello Elysia');
      assert.deepEqual((await client.users({ id: 7 }).get()).data, { id: 7 });
      assert.equal((await client.users({ id: 'x' }).get()).status, 422);
      const { socket, message } = await connect(program, '/ws');
      socket.send('hi');
      assert.equal(await message(), 'hi');
    },

    async 'graphql-ws'(program) {
      const client = createClient({ url: program.url.replace('http', 'ws'), webSocketImpl: WebSocket, retryAttempts: 0 });
      const results = async (/** @type {string} */ query) => {
        const all = [];
        for await (const { data } of client.iterate({ query })) all.push({ ...data });
        return all;
      };

      assert.deepEqual(await results('{ hello }'), [{ hello: 'Hello GraphQL' }]);
      assert.deepEqual(await results('subscription { count(to: 3) }'), [{ count: 1 }, { count: 2 }, { count: 3 }]);
      await client.dispose();
      assert.equal((await fetch(program.url)).status, 426);
    },

    async 'Socket.IO'(program) {
      for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
        const socket = io(program.url, { forceNew: true, transports });
        assert.equal(await socket.emitWithAck('hello', 'Ada'), 'Hello Ada');
        socket.close();
      }
    },

    async 'Shutting down'(program) {
      const inFlight = await RawClient.connect({ port: Number(new URL(program.url).port) });
      inFlight.write(request('POST', '/', { 'Content-Length': 7 }, 'good'));
      const client = await connect(program, '/');
      client.socket.send('still there?');
      // By now it has read the half of the request, too.
      assert.equal(await client.message(), 'still there?');

      program.child.kill('SIGTERM');

      assert.deepEqual(await client.closed(), [1001, 'The server restarts']);
      inFlight.write('bye');
      assert.equal(String((await inFlight.response()).body), 'You said goodbye');
      assert.equal(await inFlight.ended(), 'FIN');
      assert.equal(await program.line(), 'Nobody is connected any more');
      assert.deepEqual(await program.exited(), [0, null]);
    },
  };

  const programs = [...sections].flatMap(([heading, text]) =>
    [...text.matchAll(/```(js|ts)\n(.*?)```/gs)].map(([, language, source]) => ({ heading, language, source })),
  );

  test('have a scenario each', () => {
    assert.deepEqual(
      programs.map(({ heading }) => heading),
      Object.keys(scenarios),
    );
  });

  const folder = mkdtempSync(join(tmpdir(), 'mantou-readme-'));
  after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'node_modules'));
  const frameworks = fileURLToPath(new URL('frameworks/node_modules', import.meta.url));
  for (const name of readdirSync(frameworks)) symlinkSync(join(frameworks, name), join(folder, 'node_modules', name), 'junction');
  symlinkSync(root, join(folder, 'node_modules/mantou'), 'junction');

  /** @type {Set<import('node:child_process').ChildProcess>} */
  const running = new Set();
  afterEach(destroyClients);
  afterEach(() => {
    for (const child of running) child.kill('SIGKILL');
    running.clear();
  });

  /** What README.md says a program is started with in Node. */
  const flags = (/** @type {string} */ heading) =>
    [...section(heading).matchAll(/`(?:node )?(--[^`]+)`/g)]
      .flatMap(([, text]) => text.split(' '))
      // Another Node says that it does not know it, or that it is of no use.
      .filter((flag) => flag !== '--experimental-websocket' || !('WebSocket' in globalThis));

  const runtimes = { Node: process.execPath, Bun: bunBinary() ?? assert.fail('Bun is not installed: npm install') };
  for (const { heading, language, source } of programs) {
    const file = join(folder, `${heading.toLowerCase().replaceAll(/[ .]/g, '-')}${/\brequire\(/.test(source) ? '.cjs' : '.mjs'}`);
    before(() => (language === 'ts' ? compile(file.replace(/mjs$/, 'mts'), source) : writeFileSync(file, source)));

    for (const [name, runtime] of Object.entries(runtimes)) {
      test(`"${heading}" runs in ${name}`, { timeout: 30_000 }, async () =>
        scenarios[heading](await start(runtime, [...(name === 'Node' ? flags(heading) : []), file])),
      );
    }
  }

  /**
   * Checks the types of a module, strictly, and makes JavaScript of it.
   * @param {string} file
   * @param {string} source
   */
  function compile(file, source) {
    writeFileSync(file, source);
    const flags = ['--strict', '--target', 'ES2022', '--lib', 'ES2022', '--module', 'NodeNext', '--rootDir', folder];
    const libraries = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')];
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const { status, stdout } = spawnSync(process.execPath, [tsc, ...flags, ...libraries, file], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(status, 0, stdout);
  }

  /** @typedef {{ url: string, child: import('node:child_process').ChildProcess, line(): Promise<string>, exited(): Promise<unknown[]> }} Program */

  /**
   * Starts a program on a free port and waits until it says where it listens.
   * @param {string} runtime
   * @param {string[]} args
   * @returns {Promise<Program>}
   */
  async function start(runtime, args) {
    const child = spawn(runtime, args, { cwd: folder, env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] });
    running.add(child);
    const exit = once(child, 'exit');
    const died = exit.then(([code]) => assert.fail(`it ended with ${code}`));
    /** @type {import('./support/calls.mjs').Calls<[line: string]>} */
    const lines = calls('a line of the program');
    createInterface(child.stdout).on('line', lines);
    const line = async () => (await Promise.race([lines.next(), died]))[0];
    const [, url] = /^Listening on (http:\S+)$/.exec(await line()) ?? assert.fail(`it says: ${lines.all}`);
    return { url, child, line, exited: () => exit };
  }

  /**
   * A client of a program.
   * @param {Program} program
   * @param {string} path
   */
  async function connect({ url }, path) {
    const socket = new WebSocket(new URL(path, url));
    /** @type {import('./support/calls.mjs').Calls<[message: Buffer]>} */
    const messages = calls('a message');
    /** @type {import('./support/calls.mjs').Calls<[code: number, reason: string]>} */
    const closes = calls('the end');
    socket.on('message', messages);
    socket.on('close', (code, reason) => closes(code, String(reason)));
    await once(socket, 'open');
    return {
      socket,
      closed: closes.next,
      message: async () => String((await messages.next())[0]),
      received: () => messages.all.reduce((sum, [message]) => sum + message.length, 0),
    };
  }
});

/** Every name that `parse` looks up in its options. @param {(options: any) => void} parse */
function namesReadBy(parse) {
  const names = /** @type {Set<string>} */ (new Set());
  parse(new Proxy({}, { get: (_, name) => void names.add(String(name)) }));
  return names;
}

/** The options of `tls`, which also count beside it. */
const tlsNames = namesReadBy(parseTls);
tlsNames.delete('tls');

describe('the options of tls', () => {
  const rows = table('Options of `tls`', 'option');
  const unsupported = [...tlsNames].filter((name) =>
    [1, 'x'].some((value) => {
      try {
        parseTls({ [name]: value });
        return false;
      } catch (error) {
        return /does not support/.test(String(error));
      }
    }),
  );

  test('are those that the code reads, and those that the typings have', () => {
    const supported = [...tlsNames].filter((name) => !unsupported.includes(name)).sort();
    assert.deepEqual(namesIn(rows), supported);
    assert.deepEqual(declaredIn('export interface TLSOptions').sort(), supported);
  });

  test('that are refused are listed', () => {
    assert.ok(unsupported.length > 0);
    const [, listed] = /A TypeError says so for ([^.]+)\./.exec(section('Options of `tls`')) ?? assert.fail('no list');
    assert.deepEqual(codesIn(listed).sort(), unsupported.sort());
  });
});

describe('the options of serve()', () => {
  const rows = table('Options of `serve()`', 'option');
  /** Every name that is looked up in the options. */
  const known = /** @type {Set<string>} */ (new Set());
  const options = new Proxy(/** @type {import('../index.js').Serve.Options} */ ({ port: 0, fetch: () => new Response('') }), {
    get(target, name) {
      known.add(String(name));
      return Reflect.get(target, name);
    },
  });
  serve(options).stop(true);
  for (const name of tlsNames) known.delete(name);

  const unsupported = [...known].filter((name) => {
    try {
      checkSupported({ [name]: 'something' });
      return false;
    } catch (error) {
      return /does not support the option/.test(String(error));
    }
  });

  test('are those that the code reads', () => {
    assert.ok(known.size > 0);
    assert.deepEqual(namesIn(rows), [...known].filter((name) => !unsupported.includes(name)).sort());
  });

  test('are those that the typings have', () => {
    const blocks = ['BaseOptions', 'HostnamePortOptions', 'UnixOptions', 'WithWebSocket'];
    assert.deepEqual(namesIn(rows), blocks.flatMap((name) => declaredIn(`interface ${name}`)).sort());
  });

  test('that are not supported yet are listed', () => {
    assert.ok(unsupported.length > 0);
    const listed = codesIn(section('Not supported yet')).filter((code) => !code.endsWith('()'));
    assert.deepEqual(listed.sort(), unsupported.sort());
  });

  test('have these defaults: to give one is to leave it out', () => {
    const settings = (/** @type {object} */ given) => ({ ...parseListen(given), development: parseDevelopment(given) });
    const given = rows.flatMap(([name, text]) => (text.startsWith('`') ? [[nameIn(name), JSON.parse(codesIn(text)[0])]] : []));
    assert.deepEqual(
      given.map(([name]) => name),
      ['port', 'reusePort', 'ipv6Only', 'http1', 'development', 'id'],
    );
    for (const [name, value] of given) {
      checkSupported({ [name]: value });
      assert.deepEqual(settings({ [name]: value }), settings({}), name);
    }
    assert.notDeepEqual(settings({ port: 3001, reusePort: true }), settings({}));
  });
});

describe('the options of stop()', () => {
  const rows = table('Shutting down', 'option of `stop()`');

  test('are those that the code reads, and those that the typings have', () => {
    const names = namesIn(rows);
    assert.deepEqual(names, [...namesReadBy(parseFarewell)].sort());
    assert.deepEqual(names, declaredIn('export interface StopOptions').sort());
  });

  test('have these defaults', () => {
    const defaults = Object.fromEntries(rows.map(([name, text]) => [nameIn(name), JSON.parse(text.replaceAll('`', ''))]));
    for (const name of namesIn(rows)) assert.deepEqual(parseFarewell({ [name]: defaults[name] }), defaults);
  });
});

describe('the options of websocket', () => {
  const handlers = table('Options of `websocket`', 'handler');
  const rows = table('Options of `websocket`', 'option');
  const names = [...namesIn(handlers), ...namesIn(rows)].sort();

  test('are those that the typings have', () => {
    assert.deepEqual(names, declaredIn('export interface WebSocketHandler').sort());
  });

  test('are those that the code reads, and the one that is there for its type', () => {
    const known = /** @type {Set<string | symbol>} */ (new Set());
    parseWebSocket(new Proxy({}, { get: (_, name) => void known.add(name) }));
    assert.deepEqual(
      names.filter((name) => name !== 'data'),
      [...known].sort(),
    );
  });

  for (const [cell, text] of rows.filter(([cell]) => cell !== '`data`')) {
    const name = nameIn(cell);
    test(`${name} is ${text} by default: to give that is to leave it out`, () => {
      const mebibytes = /^(\d+) MiB$/.exec(text)?.[1];
      const value = mebibytes === undefined ? JSON.parse(codesIn(text)[0]) : Number(mebibytes) * 1024 * 1024;
      assert.deepEqual(parseWebSocket({ [name]: value }), parseWebSocket({}));
      assert.throws(() => assert.deepEqual(parseWebSocket({ [name]: typeof value === 'number' ? value - 1 : !value }), parseWebSocket({})));
    });
  }

  test('of compression have every level', () => {
    const [, levels] = /^export type WebSocketCompressor =([^;]+);/m.exec(typings) ?? assert.fail('no WebSocketCompressor');
    const listed = codesIn(section('Options of `websocket`')).filter((code) => /^"\w+"$/.test(code));
    assert.deepEqual([...new Set(listed)].sort(), [...levels.matchAll(/'(\w+)'/g)].map(([, level]) => `"${level}"`).sort());
  });
});

describe('the members', () => {
  test('of ServerWebSocket are those that it has, and those that the typings have', () => {
    const names = namesIn(table('`ServerWebSocket`', 'member'));
    assert.deepEqual(names, Object.keys(ServerWebSocket.prototype).sort());
    assert.deepEqual(names, declaredIn('export declare class ServerWebSocket').sort());
  });

  test('of Server are those that it has, and those that the typings have', () => {
    const server = serve({ port: 0, fetch: () => new Response('') });
    server.stop(true);
    const names = namesIn(table('`Server`', 'member'));
    assert.deepEqual(names, Object.keys(Object.getPrototypeOf(server)).sort());
    assert.deepEqual(names, declaredIn('export interface Server<').sort());
    for (const method of codesIn(section('Not supported yet')).filter((code) => /^server\.\w+\(\)$/.test(code))) {
      assert.ok(!(method.slice('server.'.length, -'()'.length) in server), `${method} is there`);
    }
  });
});

test('the differences from Bun are those that the specs accept', () => {
  const expected = Object.entries(differences).map(([name, { bun, mantou, why }]) => [name.replaceAll('-', ' '), bun, mantou, why]);
  assert.deepEqual(
    table('Differences from Bun', 'about'),
    expected,
    `the table should be\n\n${expected.map((row) => `| ${row.join(' | ')} |`).join('\n')}\n`,
  );
});

test('the platforms are those of package.json', () => {
  const listed = codesIn(section('Platforms')).filter((code) => code.includes('-'));
  const folders = manifest.napi.targets.map((/** @type {string} */ target) => {
    const [arch, , system, abi] = target.split('-');
    const name = { linux: 'linux', darwin: 'darwin', windows: 'win32' }[system];
    return [name, arch === 'x86_64' ? 'x64' : 'arm64', ...(abi === undefined ? [] : [abi])].join('-');
  });
  assert.deepEqual(listed, folders);
});

test('the oldest Node.js is that of package.json', () => {
  assert.equal(`>=${/Node\.js (\S+) or newer/.exec(section('Install'))?.[1]}.0`, manifest.engines.node);
});

test('the commands are those of package.json', () => {
  const commands = [...section('Development').matchAll(/`npm (?:run )?(\w+)`/g)].map(([, command]) => command);
  assert.ok(commands.length > 0);
  for (const command of commands) assert.ok(command in manifest.scripts, `npm run ${command}`);
});
