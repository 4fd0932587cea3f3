// @ts-check
// The package as its users get it: packed, installed from the tarball into an empty project, loaded in every way there is, and type-checked.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { npm } from '../scripts/steps.mjs';
import { bunBinary } from './support/bun.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'mantou-package-'));
const project = join(folder, 'project');
const installed = join(project, 'node_modules/mantou');
after(() => rmSync(folder, { recursive: true }));

/** Files of the tarball. @type {string[]} */
let packed = [];
/** What an empty project says of its dependencies after the installation. @type {any} */
let manifest;

before(() => {
  const [{ filename, files }] = JSON.parse(runNpm(root, ['pack', '--json', '--pack-destination', folder]));
  packed = files.map((/** @type {{ path: string }} */ file) => file.path);
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true }\n');
  // Offline: whatever it needs is in the tarball.
  runNpm(project, ['install', '--offline', join(folder, filename)]);
  manifest = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));
});

/**
 * @param {string} cwd
 * @param {string[]} args
 */
function runNpm(cwd, args) {
  const [program, all] = npm([...args, '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error']);
  return run(program, all, cwd);
}

/**
 * What a program prints; it must end well, and say nothing on stderr unless it is npm.
 * @param {string} program
 * @param {string[]} args
 */
function run(program, args, cwd = project) {
  // npm hands its settings to what it starts, and the npm below is to begin from nothing.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_TEST_CONTEXT$|INIT_CWD$)/i.test(name)));
  const { status, signal, error, stdout, stderr } = spawnSync(program, args, { cwd, env, encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${error?.message ?? signal ?? status}\n${stdout}${stderr}`);
  return stdout;
}

/**
 * @param {string} name
 * @param {string} text
 */
function write(name, text) {
  writeFileSync(join(project, name), text);
  return name;
}

/** Serves, asks itself something, and ends by itself after stop(). */
const USE = `
  async function use(serve) {
    const server = serve({
      port: 0,
      fetch: (req) => new Response('hello ' + new URL(req.url).pathname),
    });
    const text = await fetch(new URL('/there', server.url)).then((response) => response.text());
    await server.stop(true);
    console.log(text);
  }
`;

describe('the tarball', () => {
  test('holds what is needed and nothing else', () => {
    const [binary, ...others] = packed.filter((file) => file.endsWith('.node'));
    assert.match(binary, /^mantou\.[a-z0-9-]+\.node$/);
    assert.deepEqual(others, []);
    const sources = readdirSync(join(root, 'src/js')).map((file) => `src/js/${file}`);
    const documents = ['ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'README.md'];
    const example = ['page.html', 'screenshot.png', 'server.mjs'].map((file) => `examples/chat/${file}`);
    assert.deepEqual(
      [...packed].sort(),
      [
        'binding.js',
        binary,
        'index.d.ts',
        'index.js',
        'package.json',
        'register.d.ts',
        'register.js',
        ...sources,
        ...documents,
        ...example,
      ].sort(),
    );
  });

  test('holds what its documents link to', () => {
    const documents = packed.filter((file) => file.endsWith('.md'));
    for (const document of documents) {
      const links = [...readFileSync(join(root, document), 'utf8').matchAll(/\]\((?!#|https?:)([^)#]+)/g)].map(([, link]) => link);
      for (const link of links) assert.ok(packed.includes(link), `${document} links to ${link}`);
    }
  });

  test('installs into an empty project, without another package and without a script', () => {
    assert.deepEqual(Object.keys(manifest.dependencies), ['mantou']);
    const modules = readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.'));
    assert.deepEqual(modules, ['mantou']);
    const { scripts, dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    assert.equal(dependencies, undefined);
    for (const hook of ['preinstall', 'install', 'postinstall', 'prepare']) assert.equal(scripts?.[hook], undefined);
  });
});

const runtimes = { Node: process.execPath, Bun: bunBinary() };

for (const [name, program] of Object.entries(runtimes)) {
  describe(`the installed package in ${name}`, () => {
    assert.ok(program !== undefined, 'Bun is not installed: npm install');

    test('is imported by name', () => {
      const file = write(
        'named.mjs',
        `import { serve, ServerWebSocket } from 'mantou'; ${USE} console.log(typeof ServerWebSocket); await use(serve);`,
      );
      assert.equal(run(program, [file]), 'function\nhello /there\n');
    });

    test('is imported as a default', () => {
      const file = write('default.mjs', `import mantou from 'mantou'; ${USE} await use(mantou.serve);`);
      assert.equal(run(program, [file]), 'hello /there\n');
    });

    test('is imported as a namespace and by import()', () => {
      const file = write(
        'namespace.mjs',
        `import * as mantou from 'mantou';
         const later = await import('mantou');
         console.log(mantou.serve === later.serve, mantou.default.serve === mantou.serve, mantou.default.ServerWebSocket === mantou.ServerWebSocket);`,
      );
      assert.equal(run(program, [file]), 'true true true\n');
    });

    test('is required', () => {
      const file = write(
        'required.cjs',
        `const { serve, ServerWebSocket } = require('mantou'); ${USE} console.log(typeof ServerWebSocket); use(serve);`,
      );
      assert.equal(run(program, [file]), 'function\nhello /there\n');
    });

    test('is registered', () => {
      const file = write(
        'registered.mjs',
        `import { installed } from 'mantou/register'; import mantou from 'mantou';
         console.log(installed.includes('Bun'), Bun.serve === mantou.serve || !installed.includes('Bun'));
         ${USE} await use(Bun.serve);`,
      );
      assert.equal(run(program, [file]), `${name === 'Node'} true\nhello /there\n`);
    });

    test('is one and the same when required and imported', () => {
      const file = write(
        'same.cjs',
        `import('mantou').then(({ serve }) => console.log(serve === require('mantou').serve && serve === require('mantou').default.serve));`,
      );
      assert.equal(run(program, [file]), 'true\n');
    });
  });
}

describe("the installed package's types", () => {
  const typescript = `
    import mantou, { serve, type Server, type ServerWebSocket } from 'mantou';

    type Session = { user: string };
    const server: Server<Session> = serve<Session>({
      port: 0,
      fetch(req, server) {
        if (server.upgrade(req, { data: { user: 'ada' } })) return;
        return new Response('hello');
      },
      websocket: {
        message(ws: ServerWebSocket<Session>, message) {
          const sent: number = ws.send(typeof message === 'string' ? message : message.toString('hex'));
          console.log(sent, ws.data.user.length);
        },
      },
    });
    console.log(server.port, mantou.serve === serve);
    void server.stop(true);
  `;
  const checks = [
    { what: 'in an ES module', file: 'module.mts', text: typescript, module: 'NodeNext' },
    {
      what: 'in a CommonJS module',
      file: 'required.cts',
      text: `import mantou = require('mantou'); mantou.serve({ fetch: () => new Response('hello') });`,
      module: 'NodeNext',
    },
    { what: 'for a bundler', file: 'bundled.ts', text: typescript, module: 'Preserve' },
    { what: 'without the types of browsers', file: 'node.mts', text: typescript, module: 'NodeNext', lib: 'ES2022' },
  ];

  for (const { what, file, text, module, lib } of checks) {
    test(`pass tsc --strict ${what}`, () => {
      write(file, text);
      typeCheck(file, module, lib);
    });
  }

  test('refuse what is wrong', () => {
    const file = write('wrong.mts', `import { serve } from 'mantou'; serve({ port: {}, fetch: () => new Response('hello') });`);
    assert.throws(() => typeCheck(file, 'NodeNext'), /wrong\.mts\(1,\d+\): error TS2\d{3}/);
  });

  /**
   * tsc and the types of Node are the repository's: a project has its own.
   * @param {string} file
   * @param {string} module
   */
  function typeCheck(file, module, lib = 'ES2022,DOM,DOM.Iterable') {
    const flags = ['--strict', '--noEmit', '--target', 'ES2022', '--lib', lib, '--module', module];
    const libraries = ['--skipLibCheck', 'false', '--types', 'node', '--typeRoots', join(root, 'node_modules/@types')];
    run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...flags, ...libraries, file]);
  }
});
