// Where a server listens: ports, host names, unix sockets, the environment's defaults, and the options serve() refuses.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { cleanUp } from './support/connect.mjs';
import { killPrograms, run } from './support/program.mjs';
import { RawClient, text } from './support/raw-client.mjs';
import { exchange, request } from './support/raw-http.mjs';
import { isOracle, mantou, serve } from './support/target.mjs';
import { invalidArgType, throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);
afterEach(killPrograms);

const { errno } = constants;

const hello = () => new Response('hello');

describe('the port', () => {
  for (const port of [0, '0', ' 0 ', '0x0', -0, false, [], [0], new Date(0)]) {
    test(`may be ${JSON.stringify(port)}, which is any free port`, () => {
      assert.ok(serve({ port, fetch: hello }).port > 0);
    });
  }

  test('may be a string with a number in it', async () => {
    const free = serve({ fetch: hello });
    const { port } = free;
    await free.stop(true);

    assert.equal(serve({ port: ` ${port} `, fetch: hello }).port, port);
  });

  for (const [port, received] of [
    [-1, '-1'],
    [65536, '65536'],
    [70000, '70000'],
    ['70000', '70000'],
    [1e10, '10000000000'],
  ]) {
    test(`may not be ${JSON.stringify(port)}`, () => {
      throwsExactly(() => serve({ port, fetch: hello }), outOfRange(`It must be >= 0 and <= 65535. Received ${received}`));
    });
  }

  for (const [port, received] of [
    [3.5, '3.5'],
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
    [Number.NEGATIVE_INFINITY, '-Infinity'],
    ['abc', 'NaN'],
    [{}, 'NaN'],
    [() => 0, 'NaN'],
  ]) {
    test(`may not be ${String(port)}`, () => {
      throwsExactly(() => serve({ port, fetch: hello }), outOfRange(`It must be an integer. Received ${received}`));
    });
  }

  test('may not be a symbol, nor a BigInt', () => {
    assert.throws(() => serve({ port: Symbol('5'), fetch: hello }), TypeError);
    throwsExactly(() => serve({ port: 5n, fetch: hello }), {
      name: 'TypeError',
      message: "Conversion from 'BigInt' to 'number' is not allowed.",
    });
  });

  // Not everybody may have it, and only one at a time.
  test('may be true, which is 1', () => {
    let taken;
    try {
      taken = String(serve({ port: true, hostname: '127.0.0.1', fetch: hello }).port);
    } catch (error) {
      taken = error.message;
    }
    assert.match(taken, /^(1|Failed to start server\. Is port 1 in use\?|permission denied 127\.0\.0\.1:1)$/);
  });

  for (const hostname of [undefined, '127.0.0.1']) {
    test(`that is taken is an error thrown by serve() itself, with the hostname ${hostname}`, () => {
      const { port } = serve({ hostname, fetch: hello });

      const error = thrownBy(() => serve({ port, hostname, fetch: hello }));

      assert.ok(error instanceof Error);
      assert.deepEqual(
        { name: error.name, code: error.code, syscall: error.syscall, errno: error.errno, message: error.message },
        { name: 'Error', code: 'EADDRINUSE', syscall: 'listen', errno: 0, message: `Failed to start server. Is port ${port} in use?` },
      );
    });
  }

  test('is free again as soon as stop() was called', async () => {
    const server = serve({ fetch: hello });
    const { port } = server;

    server.stop();

    const { response } = await exchange(serve({ port, fetch: () => new Response('the next one') }), request('GET', '/'));
    assert.equal(response.text, 'the next one');
  });

  for (const reusePort of [true, 1, 'x', {}]) {
    test(`can be shared by two servers with reusePort: ${JSON.stringify(reusePort)}`, () => {
      const first = serve({ reusePort, fetch: hello });

      assert.equal(serve({ reusePort, port: first.port, fetch: hello }).port, first.port);
    });
  }

  for (const reusePort of [false, null, undefined, 0, '']) {
    test(`cannot with reusePort: ${JSON.stringify(reusePort)}, nor when only one of them has it`, () => {
      const alone = serve({ reusePort, fetch: hello });
      const sharing = serve({ reusePort: true, fetch: hello });

      assert.throws(() => serve({ reusePort, port: alone.port, fetch: hello }), { code: 'EADDRINUSE' });
      assert.throws(() => serve({ reusePort: true, port: alone.port, fetch: hello }), { code: 'EADDRINUSE' });
      assert.throws(() => serve({ reusePort, port: sharing.port, fetch: hello }), { code: 'EADDRINUSE' });
    });
  }
});

describe('the default port', () => {
  /** Starts a server without a port: the port it got, or the one it found taken. */
  const PROGRAM = `
    process.env.PORT = '1';
    try {
      print(mantou.serve({ fetch() {} }).port);
    } catch (error) {
      print(/Is port (\\d+) in use/.exec(error.message)[1]);
    }
    process.exit(0);
  `;

  for (const [what, env] of [
    ['BUN_PORT', (port) => ({ BUN_PORT: port, PORT: '1', NODE_PORT: '1' })],
    ['PORT', (port) => ({ PORT: port, NODE_PORT: '1' })],
    ['NODE_PORT', (port) => ({ NODE_PORT: port })],
  ]) {
    test(`is the one in ${what}`, async () => {
      const { port } = serve({ fetch: hello });

      assert.equal(await run(PROGRAM, env(String(port))).line(), String(port));
    });
  }

  for (const value of [undefined, '', 'abc', '70000']) {
    test(`is 3000 when the environment says ${JSON.stringify(value)}`, async () => {
      assert.equal(await run(PROGRAM, value === undefined ? {} : { PORT: value }).line(), '3000');
    });
  }

  test('is a free one when the environment says 0', async () => {
    const port = Number(await run(PROGRAM, { PORT: '0' }).line());

    assert.ok(port > 0 && port !== 3000);
  });

  for (const port of ['undefined', 'null', "''"]) {
    test(`is meant by ${port} too`, async () => {
      const taken = serve({ fetch: hello });

      const line = await run(PROGRAM.replace('fetch()', `port: ${port}, fetch()`), { PORT: String(taken.port) }).line();

      assert.equal(line, String(taken.port));
    });
  }

  test('development is off by default when NODE_ENV is production', async () => {
    const program = 'const server = serve({ fetch() {} }); print(server.development); process.exit(0);';

    assert.equal(await run(program, { NODE_ENV: 'production' }).line(), 'false');
    assert.equal(await run(program, { NODE_ENV: 'test' }).line(), 'true');
    assert.equal(await run(program).line(), 'true');
  });
});

describe('the hostname', () => {
  test('that is not an address of this machine is an error thrown by serve() itself', () => {
    const error = thrownBy(() => serve({ hostname: '192.0.2.1', fetch: hello }));

    assert.deepEqual(
      { code: error.code, errno: error.errno, syscall: error.syscall, message: error.message },
      { code: 'EADDRNOTAVAIL', errno: -errno.EADDRNOTAVAIL, syscall: 'listen', message: 'EADDRNOTAVAIL: address not available, listen' },
    );
  });

  test('that cannot be resolved is an error thrown by serve() itself', () => {
    const error = thrownBy(() => serve({ hostname: 'not a host name', fetch: hello }));

    assert.deepEqual(
      { code: error.code, errno: error.errno, syscall: error.syscall, message: error.message },
      { code: 'ENOTFOUND', errno: 4, syscall: 'getaddrinfo', message: 'getaddrinfo ENOTFOUND not a host name' },
    );
  });

  for (const [what, hostname] of [
    ['an array', ['127.0.0.1']],
    ['an object', { toString: () => '127.0.0.1' }],
  ]) {
    test(`is what ${what} says as a string`, () => {
      const server = serve({ hostname, fetch: hello });

      assert.deepEqual([server.hostname, server.address.address], ['127.0.0.1', '127.0.0.1']);
    });
  }

  for (const hostname of [undefined, null, false, '', []]) {
    test(`is not asked for by ${JSON.stringify(hostname)}`, () => {
      assert.equal(serve({ hostname, fetch: hello }).hostname, 'localhost');
    });
  }

  test('may not be a symbol', () => {
    throwsExactly(
      () => serve({ hostname: Symbol('x'), fetch: hello }),
      invalidArgType('The "hostname" property must be of type string. Received a symbol'),
    );
  });

  for (const ipv6Only of [true, 1, 'x']) {
    test(`of IPv6 takes no IPv4 clients with ipv6Only: ${JSON.stringify(ipv6Only)}`, async () => {
      const { port, address } = serve({ ipv6Only, fetch: hello });

      assert.equal(address.address, '::');
      (await RawClient.connect({ port, host: '::1' })).destroy();
      await assert.rejects(RawClient.connect({ port, host: '127.0.0.1' }), { code: 'ECONNREFUSED' });
    });
  }

  for (const ipv6Only of [false, null, undefined, 0, '']) {
    test(`takes both with ipv6Only: ${JSON.stringify(ipv6Only)}`, async () => {
      const { port } = serve({ ipv6Only, fetch: hello });

      for (const host of ['::1', '127.0.0.1']) (await RawClient.connect({ port, host })).destroy();
    });
  }

  test('of IPv4 has nothing to do with ipv6Only', async () => {
    const server = serve({ hostname: '127.0.0.1', ipv6Only: true, fetch: hello });

    assert.equal((await exchange(server, request('GET', '/'))).response.text, 'hello');
  });

  test('decides who can connect', async () => {
    const { port } = serve({ hostname: '::1', fetch: hello });

    await assert.rejects(RawClient.connect({ port, host: '127.0.0.1' }), { code: 'ECONNREFUSED' });
  });
});

describe('a unix socket', () => {
  const directory = mkdtempSync(join(tmpdir(), 'mantou-listen-'));
  after(() => rmSync(directory, { recursive: true }));
  const path = (name) => join(directory, name);

  test('has a path in place of hostname and port', () => {
    const unix = path('shape.sock');
    const server = serve({ unix, fetch: hello });

    const { port, hostname, address, protocol } = server;
    assert.deepEqual({ port, hostname, address, protocol }, { port: undefined, hostname: undefined, address: unix, protocol: 'http' });
    assert.equal(server.url.href, `unix://${unix}`);
    assert.ok(statSync(unix).isSocket());
  });

  test('answers requests; their URL is made of the Host header, their requestIP is null', async () => {
    const server = serve({ unix: path('http.sock'), fetch: (req, own) => new Response(`${req.url} ${own.requestIP(req)}`) });

    const { response } = await exchange(server, request('GET', '/path', { Host: 'some.name' }));

    assert.equal(response.text, 'http://some.name/path null');
  });

  test('carries WebSockets', async () => {
    const unix = path('ws.sock');
    serve({ unix, fetch: (req, own) => void own.upgrade(req), websocket: { message: (ws, message) => ws.send(`re:${message}`) } });
    const client = await RawClient.open({ unix });

    client.write(text('a'));

    await client.expect('TEXT re:a');
  });

  for (const [umask, mode] of [
    [0o022, 0o755],
    [0o077, 0o700],
  ]) {
    test(`has the mode that the umask ${umask.toString(8)} leaves`, () => {
      const unix = path(`mode-${mode}.sock`);
      const before = process.umask(umask);
      try {
        serve({ unix, fetch: hello });
      } finally {
        process.umask(before);
      }

      assert.equal(statSync(unix).mode & 0o777, mode);
    });
  }

  test('keeps its address after stop()', async () => {
    const unix = path('stopped.sock');
    const server = serve({ unix, fetch: hello });

    await server.stop();

    assert.deepEqual([server.address, server.port, server.hostname, server.url.href], [unix, undefined, undefined, `unix://${unix}`]);
  });

  test('may not be a symbol', () => {
    throwsExactly(
      () => serve({ unix: Symbol('x'), fetch: hello }),
      invalidArgType('The "unix" property must be of type string. Received a symbol'),
    );
  });

  for (const closeActive of [false, true]) {
    test(`is removed by stop(${closeActive}), and can be listened on again`, () => {
      const unix = path(`removed-${closeActive}.sock`);
      const server = serve({ unix, fetch: hello });

      server.stop(closeActive);

      assert.equal(existsSync(unix), false);
      assert.equal(serve({ unix, fetch: hello }).address, unix);
    });
  }

  test('that somebody removed does not trouble stop()', async () => {
    const unix = path('gone.sock');
    const server = serve({ unix, fetch: hello });
    unlinkSync(unix);

    assert.equal(await server.stop(), undefined);
  });

  test('ignores a port, but not a wrong one', () => {
    assert.equal(serve({ unix: path('port.sock'), port: 0, fetch: hello }).port, undefined);
    throwsExactly(
      () => serve({ unix: path('wrong.sock'), port: -1, fetch: hello }),
      outOfRange('It must be >= 0 and <= 65535. Received -1'),
    );
  });

  test('excludes a hostname', () => {
    throwsExactly(
      () => serve({ unix: path('both.sock'), hostname: 'localhost', fetch: hello }),
      invalidArgType('Cannot specify both hostname and unix'),
    );
  });

  for (const unix of ['', null, undefined, false, []]) {
    test(`is not asked for by ${JSON.stringify(unix)}`, () => {
      assert.ok(mantou.serve({ unix, port: 0, fetch: hello }).unref().port > 0);
    });
  }

  for (const [what, code, reason, unix, prepare] of [
    [
      'another server listens on',
      'EADDRINUSE',
      'address already in use',
      path('taken.sock'),
      (taken) => serve({ unix: taken, fetch: hello }),
    ],
    ['is a file', 'EADDRINUSE', 'address already in use', path('file'), (file) => writeFileSync(file, '')],
    ['goes through a file', 'ENOTDIR', 'not a directory', path('file.d/a.sock'), () => writeFileSync(path('file.d'), '')],
    ['has no directory', 'ENOENT', 'no such file or directory', path('missing/a.sock'), () => {}],
    ['is too long', 'ENAMETOOLONG', 'name too long', path('x'.repeat(200)), () => {}],
  ]) {
    test(`refuses a path that ${what}`, () => {
      prepare(unix);

      const error = thrownBy(() => serve({ unix, fetch: hello }));

      assert.deepEqual(
        { code: error.code, errno: error.errno, syscall: error.syscall, path: error.path, message: error.message },
        { code, errno: -errno[code], syscall: 'listen', path: unix, message: `${code}: ${reason}, listen '${unix}'` },
      );
    });
  }

  // Node 20 connects to abstract names of 107 bytes only, so the kernel is asked who listens.
  test('in the abstract namespace leaves no file', { skip: process.platform !== 'linux' && 'Linux only' }, async () => {
    const name = `mantou-${process.pid}`;
    const listening = () => readFileSync('/proc/net/unix', 'latin1').includes(` @${name}\n`);
    const server = serve({ unix: `\0${name}`, fetch: hello });

    assert.equal(server.address, `\0${name}`);
    assert.equal(server.url.href, `abstract://${name}/`);
    assert.equal(listening(), true);
    await server.stop();
    assert.equal(listening(), false);
  });
});

describe('serve() refuses', () => {
  for (const options of [undefined, null, 5, 'x', true]) {
    test(`${JSON.stringify(options)} for its options`, () => {
      throwsExactly(() => mantou.serve(options), invalidArgType('Bun.serve expects an object'));
    });
  }

  for (const options of [{}, { fetch: null }, { fetch: undefined }, { websocket: {} }, [], () => {}]) {
    test(`options with nothing that answers: ${typeof options === 'function' ? 'a function' : JSON.stringify(options)}`, () => {
      const error = thrownBy(() => mantou.serve(options));

      assert.deepEqual({ name: error.name, code: error.code }, { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
      assert.match(error.message, /^Bun\.serve\(\) needs either:\n\n {2}- A routes object:\n[\s\S]*\n {2}- Or a fetch handler:\n/);
    });
  }

  for (const [name, message, values] of [
    ['fetch', 'Expected fetch() to be a function', [5, 'x', {}, true, false]],
    ['error', 'Expected error to be a function', [5, 'x', {}, true, false]],
    ['websocket', 'Expected websocket to be an object', [5, 'x', true, false]],
  ]) {
    for (const value of values) {
      test(`${JSON.stringify(value)} for ${name}`, () => {
        throwsExactly(() => serve({ fetch: hello, [name]: value }), invalidArgType(message));
      });
    }
  }

  for (const http1 of [false, null, 0, '']) {
    test(`${JSON.stringify(http1)} for http1, in reload() too`, () => {
      const server = serve({ fetch: hello });

      for (const act of [() => serve({ fetch: hello, http1 }), () => server.reload({ fetch: hello, http1 })]) {
        throwsExactly(act, invalidArgType('Cannot disable http1 without enabling http2 or http3'));
      }
    });
  }

  for (const name of ['hmr', 'console', 'chromeDevToolsAutomaticWorkspaceFolders']) {
    for (const value of [null, 'x', 1]) {
      test(`${JSON.stringify(value)} for development.${name}`, () => {
        throwsExactly(
          () => serve({ fetch: hello, development: { [name]: value } }),
          invalidArgType(`The "${name}" property must be of type boolean, got ${typeof value}`),
        );
      });
    }
  }

  test('development.hmr, which it has not, with an error that says so', { skip: isOracle }, () => {
    const server = serve({ fetch: hello });
    const expected = { name: 'TypeError', message: "mantou does not support 'development.hmr': it has no development server" };

    for (const act of [
      () => serve({ fetch: hello, development: { hmr: true } }),
      () => server.reload({ fetch: hello, development: { hmr: true } }),
    ]) {
      throwsExactly(act, expected);
    }
  });

  for (const name of ['http2', 'http3']) {
    test(`${name}, which it has not, with an error that says so`, { skip: isOracle }, () => {
      for (const value of [true, 1, {}]) {
        throwsExactly(() => serve({ fetch: hello, [name]: value }), {
          name: 'TypeError',
          message: `mantou does not support the option '${name}' yet`,
        });
      }
    });
  }

  test('no option that asks for nothing which it has not', () => {
    const development = { hmr: false, console: true, chromeDevToolsAutomaticWorkspaceFolders: false };
    for (const options of [{ http1: true }, { http1: 1 }, { http2: false }, { http2: 0 }, { http3: null }, { development }]) {
      assert.ok(serve({ fetch: hello, ...options }).port > 0);
    }
    assert.equal(serve({ fetch: hello, development }).development, true);
  });

  test('nothing that is null or undefined where a function is optional, and no unknown name', () => {
    for (const value of [null, undefined]) assert.ok(serve({ fetch: hello, error: value, websocket: value, nobodyKnows: 1 }).port > 0);
  });

  test('with the error a getter of its options throws', () => {
    const error = new Error('from the getter');

    const thrown = thrownBy(() =>
      mantou.serve({
        fetch: hello,
        get port() {
          throw error;
        },
      }),
    );

    assert.equal(thrown, error);
  });
});

function outOfRange(rest) {
  return { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message: `The value of "options.port" is out of range. ${rest}` };
}

function thrownBy(act) {
  try {
    act();
  } catch (error) {
    return error;
  }
  return assert.fail('nothing was thrown');
}
