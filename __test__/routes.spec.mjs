// The `routes` option: which route a request takes, what a route can be, what its handler gets, and what serve() refuses.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { cleanUp } from './support/connect.mjs';
import { handshake, RawClient } from './support/raw-client.mjs';
import { connectTo, exchange, readResponse, request } from './support/raw-http.mjs';
import { isBunRuntime, isOracle, mantou, serve } from './support/target.mjs';
import { invalidArgType, throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);

const says = (words) => () => new Response(words);
const FETCH = 'fetch';

/** What each path is answered with on a server with `routes`. A fetch handler says "fetch". */
async function answersOf(routes, paths, { method = 'GET', ...options } = {}) {
  const server = serve({ routes, fetch: says(FETCH), development: false, ...options });
  const answers = [];
  for (const path of paths) answers.push((await exchange(server, request(method, path))).response);
  return answers;
}

/** Handlers that say which pattern was taken, and with which parameters. */
const telling = (patterns) =>
  Object.fromEntries(patterns.map((pattern) => [pattern, (req) => Response.json([pattern, { ...req.params }])]));

/** Which pattern each path takes: `[pattern, params]`, or null for fetch. */
async function taken(patterns, paths) {
  const answers = await answersOf(telling(patterns), paths);
  return answers.map(({ text }) => (text === FETCH ? null : JSON.parse(text)));
}

describe('a request takes', () => {
  for (const [what, patterns, expected] of [
    [
      'an exact path before a parameter, and a parameter before a wildcard',
      ['/*', '/a/*', '/:x', '/a/:y', '/a/b', '/a', '/a/'],
      {
        '/a': ['/a', {}],
        '/a/': ['/a/', {}],
        '/a/b': ['/a/b', {}],
        '/a/c': ['/a/:y', { y: 'c' }],
        '/a/b/c': ['/a/*', {}],
        '/a/b/': ['/a/*', {}],
        '/z': ['/:x', { x: 'z' }],
        '/z/': ['/*', {}],
        '/': ['/*', {}],
      },
    ],
    [
      'the path as it came',
      ['/a', '/b/:x', '/%C3%A9', '/./dot', '//', '/c//d'],
      {
        '/A': null,
        '/%61': null,
        '/a/': null,
        '/a?b=/c': ['/a', {}],
        '/a?': ['/a', {}],
        '/./a': null,
        '//a': null,
        '/%C3%A9': ['/%C3%A9', {}],
        '/%c3%a9': null,
        '/é': null,
        '/./dot': ['/./dot', {}],
        '/dot': null,
        '//': ['//', {}],
        '/c//d': ['/c//d', {}],
        '/b/../a': null,
        'http://other.example/a': ['/a', {}],
        'http://other.example/b/1?c': ['/b/:x', { x: '1' }],
      },
    ],
    [
      'a parameter for one segment that is not empty',
      ['/:x', '/p/:a/:b', '/:a/z'],
      {
        '/1': ['/:x', { x: '1' }],
        '/': null,
        '/1/': null,
        '/p/1/2': ['/p/:a/:b', { a: '1', b: '2' }],
        '/p/1/': null,
        '/p//2': null,
        '/p/1/2/3': null,
        '/1/z': ['/:a/z', { a: '1' }],
        '/:x': ['/:x', { x: ':x' }],
      },
    ],
    [
      'a wildcard for whatever follows its slash',
      ['/w/*', '/v/**', '/u/*x'],
      { '/w': null, '/w/': ['/w/*', {}], '/w/1/2/': ['/w/*', {}], '/v/1': ['/v/**', {}], '/u/1': ['/u/*x', {}] },
    ],
    ['no wildcard in the middle', ['/*/b', '/a*'], { '/x/b': null, '/*/b': null, '/ab': null, '/a*': ['/a*', {}] }],
    [
      'the next kind of segment where the first leads nowhere',
      ['/x/:a/q', '/x/b/*', '/x/*'],
      {
        '/x/b/q': ['/x/b/*', {}],
        '/x/c/q': ['/x/:a/q', { a: 'c' }],
        '/x/c/z': ['/x/*', {}],
        '/x/b': ['/x/*', {}],
      },
    ],
    [
      'the deeper wildcard before the shallower',
      ['/:a/*', '/x/*', '/x/:y', '/*'],
      {
        '/x/y': ['/x/:y', { y: 'y' }],
        '/x/y/z': ['/x/*', {}],
        '/z/y': ['/:a/*', { a: 'z' }],
        '/x': ['/*', {}],
      },
    ],
    [
      'the later of two routes that differ in the names of parameters',
      ['/:a', '/:b', '/:a/x', '/:b/*'],
      { '/1': ['/:b', { b: '1' }], '/1/x': ['/:a/x', { a: '1' }], '/1/y': ['/:b/*', { b: '1' }] },
    ],
    ['the first of two wildcards', ['/a/*x', '/a/*'], { '/a/1': ['/a/*x', {}] }],
    ['no empty path', ['', '/b'], { '/': null, '/b': ['/b', {}] }],
    [
      'odd names of parameters as Bun does',
      ['/:a-b', '/d/:a.json', '/e/:', '/f/:a:b', '/g:a/:b', '/h/:__proto__/:constructor'],
      {
        '/1': ['/:a-b', { 'a-b': '1' }],
        '/d/1': ['/d/:a.json', { 'a.json': '1' }],
        '/e/1': ['/e/:', {}],
        '/f/1': ['/f/:a:b', { b: '1' }],
        '/g:a/1': ['/g:a/:b', { a: '1', b: '' }],
      },
    ],
  ]) {
    test(what, async () => {
      assert.deepEqual(await taken(patterns, Object.keys(expected)), Object.values(expected));
    });
  }

  test('no route with a fragment', async () => {
    assert.deepEqual(await taken(['/a', '/:x'], ['/a#b', '/#']), [
      ['/:x', { x: 'a#b' }],
      ['/:x', { x: '#' }],
    ]);
  });

  test('its own names where those of Object are', async () => {
    const [{ text }] = await answersOf({ '/:__proto__/:constructor': (req) => new Response(JSON.stringify(Object.entries(req.params))) }, [
      '/x/y',
    ]);

    assert.deepEqual(JSON.parse(text), [
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
  });
});

describe('methods', () => {
  const ALL = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE'];

  /** Who answers each method on `/a`, in a field of the answer. */
  async function byMethod(routes, methods = ALL) {
    const server = serve({ routes, fetch: () => new Response(null, { headers: { by: FETCH } }) });
    const seen = {};
    for (const method of methods) seen[method] = (await exchange(server, request(method, '/a'))).response.header('by');
    return seen;
  }

  const by = (name) => () => new Response(null, { headers: { by: name } });

  test('are all for a function', async () => {
    assert.deepEqual(await byMethod({ '/a': by('a') }, ['GET', 'POST', 'PURGE', 'PROPFIND']), {
      GET: 'a',
      POST: 'a',
      PURGE: 'a',
      PROPFIND: 'a',
    });
  });

  test('of an object are those it has, and HEAD is as GET', async () => {
    assert.deepEqual(await byMethod({ '/a': { GET: by('get'), DELETE: by('delete') } }), {
      GET: 'get',
      HEAD: 'get',
      POST: FETCH,
      PUT: FETCH,
      DELETE: 'delete',
      PATCH: FETCH,
      OPTIONS: FETCH,
      TRACE: FETCH,
    });
  });

  test('of an object can be all of them', async () => {
    const handlers = Object.fromEntries(ALL.map((method) => [method, by(method)]));

    assert.deepEqual(await byMethod({ '/a': handlers }), Object.fromEntries(ALL.map((method) => [method, method])));
  });

  test('that an object does not have are for the next route', async () => {
    const routes = { '/a': { GET: by('get') }, '/:x': { PUT: by('put') }, '/*': by('any') };

    assert.deepEqual(await byMethod(routes, ['GET', 'PUT', 'POST']), { GET: 'get', PUT: 'put', POST: 'any' });
  });

  test('of a more exact route come before a method of its own of a less exact one', async () => {
    const routes = { '/a': by('exact'), '/*': { GET: by('wildcard') } };

    assert.deepEqual(await byMethod(routes, ['GET', 'POST']), { GET: 'exact', POST: 'exact' });
  });

  test('with what is no handler are not there', async () => {
    const routes = { '/a': { GET: 5, POST: false, PUT: null, PATCH: by('patch'), FOO: by('foo') } };

    assert.deepEqual(await byMethod(routes, ['GET', 'POST', 'PUT', 'PATCH']), { GET: FETCH, POST: FETCH, PUT: FETCH, PATCH: 'patch' });
  });

  test('can have a Response each', async () => {
    const server = serve({ routes: { '/a': { GET: new Response('got'), POST: says('posted') } }, fetch: says(FETCH) });
    const text = async (method) => (await exchange(server, request(method, '/a'))).response.text;

    assert.deepEqual([await text('GET'), await text('POST'), await text('PUT')], ['got', 'posted', FETCH]);
    const { response } = await exchange(server, request('HEAD', '/a'));
    assert.deepEqual([response.status, response.header('content-length'), response.text], [200, '3', '']);
  });

  test('and their object are read once, the own members alone', async () => {
    const object = Object.create({ POST: says('inherited') });
    object.GET = says('first');
    const server = serve({ routes: { '/a': object }, fetch: says(FETCH) });
    object.GET = says('second');

    assert.equal((await exchange(server, request('GET', '/a'))).response.text, 'first');
    assert.equal((await exchange(server, request('POST', '/a'))).response.text, FETCH);
  });
});

describe('false', () => {
  test('leaves its path to fetch, whatever else matches', async () => {
    const [off, other] = await answersOf({ '/a': false, '/*': says('wildcard') }, ['/a', '/b']);

    assert.deepEqual([off.text, other.text], [FETCH, 'wildcard']);
  });

  test('is 404 without a fetch', async () => {
    const [off] = await answersOf({ '/a': false, '/b': says('b') }, ['/a'], { fetch: undefined });

    assert.equal(off.status, 404);
  });
});

describe('without a fetch', () => {
  for (const method of ['GET', 'POST', 'HEAD', 'PURGE']) {
    test(`${method} of what no route takes is an empty 404`, async () => {
      const server = serve({ routes: { '/a': says('a') } });
      const { client, response } = await exchange(server, request(method, '/b'));

      assert.deepEqual([response.status, response.header('content-length'), response.text], [404, '0', '']);
      client.write(request('GET', '/a'));
      assert.equal((await readResponse(client)).text, 'a');
    });
  }

  test('a body that came with it is passed over', async () => {
    const server = serve({ routes: { '/a': says('a') } });
    const { client, response } = await exchange(server, request('POST', '/b', {}, 'x'.repeat(100_000)));

    assert.equal(response.status, 404);
    client.write(request('GET', '/a'));
    assert.equal((await readResponse(client)).text, 'a');
  });

  test('server.fetch() rejects', async () => {
    const server = serve({ routes: { '/a': says('a') } });

    await assert.rejects(server.fetch('/a'), { name: 'Error', message: 'fetch() requires the server to have a fetch handler' });
  });
});

describe('the handler of a route', () => {
  /** Runs `look` in a route, on a request. */
  async function seenIn(look, { path = '/:id', target = '/7', ...options } = {}) {
    let seen;
    const server = serve({
      routes: {
        [path]: function (...args) {
          seen = look.apply(this, args);
          return new Response('');
        },
      },
      ...options,
    });
    await exchange(server, request('GET', target));
    return seen;
  }

  test('is called with the request and the server, on the server', async () => {
    const seen = await seenIn(function (...args) {
      return [args.length, args[1] === this, this.port === args[1].port];
    });

    assert.deepEqual(seen, [2, true, true]);
  });

  test('gets a Request that says it is a BunRequest', async () => {
    const seen = await seenIn((req) => [
      req instanceof Request,
      Object.prototype.toString.call(req),
      req.constructor.name,
      Object.keys(req),
      'params' in req && 'cookies' in req,
      req.method,
      new URL(req.url).pathname,
    ]);

    assert.deepEqual(seen, [true, '[object BunRequest]', 'Request', [], true, 'GET', '/7']);
  });

  test('gets parameters in one object without the members of Object', async () => {
    const seen = await seenIn(({ params }) => [{ ...params }, 'hasOwnProperty' in params, params.id]);
    const isSame = await seenIn((req) => {
      const { params } = req;
      return params === req.params;
    });

    assert.deepEqual([...seen, isSame], [{ id: '7' }, false, '7', true]);
  });

  test('gets an empty object where the path has no parameters', async () => {
    const seen = await seenIn((req) => [Object.getPrototypeOf(req.params), Object.keys(req.params)], { path: '/7' });

    assert.deepEqual(seen, [null, []]);
  });

  test('cannot replace the parameters', async () => {
    const seen = await seenIn((req) => {
      try {
        req.params = {};
        return 'replaced';
      } catch (error) {
        return error.constructor.name;
      }
    });

    assert.equal(seen, 'TypeError');
  });

  for (const [raw, decoded] of [
    ['a%20b', 'a b'],
    ['a%2Fb', 'a/b'],
    ['a+b', 'a+b'],
    ['%C3%A9', 'é'],
    ['%2e%2e', '..'],
    ['a%00', 'a\0'],
    ['%zzb', '�b'],
    ['%', '�'],
    ['%E2%82', '�'],
    ['a;b=c', 'a;b=c'],
    ['x?y', 'x'],
  ]) {
    test(`gets ${raw} as ${JSON.stringify(decoded)}`, async () => {
      assert.equal(await seenIn((req) => req.params.id, { target: `/${raw}` }), decoded);
    });
  }

  test('can clone its request, with parameters', async () => {
    const seen = await seenIn((req, server) => {
      const copy = req.clone().clone();
      return [
        copy instanceof Request,
        Object.prototype.toString.call(copy),
        copy.params.id,
        server.requestIP(copy),
        server.requestIP(req) === null,
      ];
    });

    assert.deepEqual(seen, [true, '[object BunRequest]', '7', null, false]);
  });

  test('can read the body of its request', async () => {
    const server = serve({ routes: { '/:id': async (req) => new Response(`${req.params.id}:${await req.text()}`) } });

    assert.equal((await exchange(server, request('POST', '/7', {}, 'body'))).response.text, '7:body');
  });

  test('may be asynchronous', async () => {
    const [{ text }] = await answersOf({ '/a': async () => new Response('later') }, ['/a']);

    assert.equal(text, 'later');
  });

  test('that returns nothing sends 204', async () => {
    const [{ status }] = await answersOf({ '/a': () => undefined }, ['/a']);

    assert.equal(status, 204);
  });

  for (const [how, fails] of [
    [
      'throws',
      () => {
        throw new Error('failed');
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('failed');
      },
    ],
  ]) {
    // biome-ignore format: one row each
    test(`that ${how} is answered by error`, async () => {
      const seen = [];
      const answers = await answersOf({ '/a': fails, '/b': { GET: fails } }, ['/a', '/b'], {
        error(error) {
          seen.push(error.message);
          return new Response('sorry');
        },
      });

      assert.deepEqual(
        answers.map(({ text }) => text),
        ['sorry', 'sorry'],
      );
      assert.deepEqual(seen, ['failed', 'failed']);
    });
  }

  test('is not called by server.fetch()', async () => {
    const server = serve({ routes: { '/a': says('a') }, fetch: says(FETCH) });

    assert.equal(await (await server.fetch('/a')).text(), FETCH);
  });

  test('of the class of a request lets go of nothing that fetch gets', async () => {
    const server = serve({
      routes: { '/a': says('a') },
      fetch: (req) => Response.json([Object.prototype.toString.call(req), 'params' in req, 'cookies' in req]),
    });

    assert.deepEqual(JSON.parse((await exchange(server, request('GET', '/b'))).response.text), ['[object Request]', false, false]);
  });
});

describe('a static Response', () => {
  const hello = () => new Response('hello', { headers: { 'x-a': 'b', 'content-type': 'text/x' } });

  /** The answer of a server whose `/a` is `response`. */
  async function answerOf(response, { method = 'GET', headers, body } = {}) {
    const server = serve({ routes: { '/a': response }, fetch: says(FETCH) });
    return (await exchange(server, request(method, '/a', headers, body))).response;
  }

  for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PURGE']) {
    test(`answers ${method}`, async () => {
      const response = await answerOf(hello(), { method });

      assert.deepEqual([response.status, response.text, response.header('content-length')], [200, 'hello', '5']);
      assert.deepEqual([response.header('x-a'), response.header('content-type')], ['b', 'text/x']);
    });
  }

  test('answers HEAD with the fields alone', async () => {
    const response = await answerOf(hello(), { method: 'HEAD' });

    assert.deepEqual([response.status, response.header('content-length'), response.header('x-a'), response.text], [200, '5', 'b', '']);
    assert.deepEqual([response.header('content-type'), response.header('date') !== undefined], ['text/x', differs('head-fields')]);
  });

  test('passes over the body of a request', async () => {
    const server = serve({ routes: { '/a': hello() } });
    const { client, response } = await exchange(server, request('POST', '/a', {}, 'x'.repeat(100_000)));

    assert.equal(response.text, 'hello');
    client.write(request('GET', '/a'));
    assert.equal((await readResponse(client)).text, 'hello');
  });

  test('answers requests in a row, in their order, with what others answer', async () => {
    const server = serve({ routes: { '/a': hello(), '/b': async () => new Response('b') } });
    const client = await connectTo(server);
    client.write(Buffer.concat(['/a', '/b', '/a', '/c', '/a', '/b', '/a'].map((path) => request('GET', path))));
    const texts = [];
    for (let index = 0; index < 7; index++) texts.push((await readResponse(client)).text);

    assert.deepEqual(texts, ['hello', 'b', 'hello', '', 'hello', 'b', 'hello']);
  });

  test('answers as many requests in a row as a client sends before it reads', { skip: isOracle && 'Bun ends the connection' }, async () => {
    const server = serve({ routes: { '/a': new Response('x'.repeat(10_000)), '/b': async () => new Response('b') } });
    const client = await connectTo(server);
    client.pause();
    // More than the kernel has room for.
    const paths = Array.from({ length: 1500 }, (_, index) => (index % 100 === 99 ? '/b' : '/a'));
    client.write(Buffer.concat(paths.map((path) => request('GET', path))));
    await exchange(server, request('GET', '/b'));
    client.resume();

    for (const path of paths) assert.equal((await readResponse(client)).text.length, path === '/a' ? 10_000 : 1);
  });

  test('ends the connection when the client asks for it', async () => {
    const server = serve({ routes: { '/a': hello() } });
    const { client } = await exchange(server, request('GET', '/a', { Connection: 'close' }));

    assert.equal(await client.ended(), 'FIN');
  });

  test('can be large', async () => {
    const server = serve({ routes: { '/a': new Response(new Uint8Array(5_000_000).fill(7)) } });
    const { response } = await exchange(server, request('GET', '/a'));

    assert.equal(response.body.length, 5_000_000);
    assert.ok(response.body.every((byte) => byte === 7));
  });

  test('is copied at the start and stays as it is', async () => {
    const bytes = new Uint8Array([97, 98]);
    const response = new Response(bytes);
    const server = serve({ routes: { '/a': response, '/b': { GET: response } } });
    bytes[0] = 122;
    response.headers.set('x', 'y');
    const [first, second] = [
      (await exchange(server, request('GET', '/a'))).response,
      (await exchange(server, request('GET', '/b'))).response,
    ];

    assert.deepEqual([first.text, first.header('x'), second.text], ['ab', undefined, 'ab']);
    assert.equal(response.bodyUsed, false);
    assert.equal(await response.text(), 'ab');
  });

  const TEXT = 'text/plain;charset=utf-8';
  for (const [what, make, expected] of [
    ['text', () => new Response('hi'), TEXT],
    // Bun says of its own Responses, to all who ask, that bytes are text.
    ['bytes', () => new Response(new Uint8Array([104, 105])), isBunRuntime && differs('host-classes') ? TEXT : undefined],
    ['a Blob with a type', () => new Response(new Blob(['hi'], { type: 'text/x' })), 'text/x'],
    ['parameters', () => new Response(new URLSearchParams('a=b')), 'application/x-www-form-urlencoded;charset=utf-8'],
  ]) {
    test(`has the type of ${what}`, async () => {
      assert.equal((await answerOf(make())).header('content-type')?.toLowerCase(), expected);
    });
  }

  for (const [status, length] of [
    [201, '5'],
    [404, '5'],
    [500, '5'],
  ]) {
    test(`has its status ${status}`, async () => {
      const response = await answerOf(new Response('hello', { status }));

      assert.deepEqual([response.status, response.header('content-length'), response.text], [status, length, 'hello']);
    });
  }

  for (const [status, length] of [
    [200, '0'],
    [204, undefined],
    [205, '0'],
    [302, '0'],
    [304, undefined],
  ]) {
    test(`without a body has ${status} and no etag`, async () => {
      const response = await answerOf(new Response(null, { status, headers: { location: '/b' } }));

      assert.deepEqual([response.status, response.header('content-length'), response.header('etag')], [status, length, undefined]);
    });
  }

  test('keeps several set-cookie lines', async () => {
    const response = await answerOf(
      new Response('x', {
        headers: [
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
        ],
      }),
    );

    assert.deepEqual(
      response.headers.filter(([name]) => name.toLowerCase() === 'set-cookie').map(([, value]) => value),
      ['a=1', 'b=2'],
    );
  });

  test('does not take a wrong length or a coding for its framing', async () => {
    const response = await answerOf(new Response('x', { headers: { 'content-length': '99', 'transfer-encoding': 'chunked' } }));

    assert.deepEqual([response.header('content-length'), response.header('transfer-encoding'), response.text], ['1', undefined, 'x']);
  });

  test('has an etag of its content', async () => {
    const etag = async (words) => (await answerOf(new Response(words))).header('etag');

    assert.match(await etag('hello'), /^"[0-9a-f]{16}"$/);
    assert.equal(await etag('hello'), await etag('hello'));
    assert.notEqual(await etag('hello'), await etag('hellp'));
  });

  test('keeps an etag of its own', async () => {
    assert.equal((await answerOf(new Response('x', { headers: { etag: 'W/"own"' } }))).header('etag'), 'W/"own"');
  });

  describe('and conditions', () => {
    const MODIFIED = 'Tue, 14 Nov 2023 22:13:20 GMT';
    const EARLIER = 'Tue, 14 Nov 2023 22:13:19 GMT';
    const LATER = 'Tue, 14 Nov 2023 22:13:21 GMT';
    const tagged = (init = {}) => new Response('hello', { headers: { etag: '"q"', 'last-modified': MODIFIED, 'x-a': 'b' }, ...init });

    for (const [headers, status] of [
      [{ 'If-None-Match': '"q"' }, 304],
      [{ 'If-None-Match': 'W/"q"' }, 304],
      [{ 'If-None-Match': '"z", "q"' }, 304],
      [{ 'If-None-Match': '*' }, 304],
      [{ 'If-None-Match': 'q' }, 304],
      [{ 'If-None-Match': '"z"' }, 200],
      [{ 'If-None-Match': '"q' }, 200],
      [{ 'If-None-Match': '' }, 200],
      [{ 'If-Modified-Since': MODIFIED }, 304],
      [{ 'If-Modified-Since': LATER }, 304],
      [{ 'If-Modified-Since': EARLIER }, 200],
      [{ 'If-Modified-Since': LATER, 'If-None-Match': '"z"' }, 200],
      [{ 'If-Match': '"q"' }, 200],
      [{ 'If-Match': '*' }, 200],
      [{ 'If-Match': 'W/"q"' }, 412],
      [{ 'If-Match': '"z"' }, 412],
      [{ 'If-Match': '"z"', 'If-None-Match': '"q"' }, 412],
      [{ 'If-Unmodified-Since': EARLIER }, 412],
      [{ 'If-Unmodified-Since': MODIFIED }, 200],
      [{ Range: 'bytes=0-1' }, 200],
    ]) {
      test(`${JSON.stringify(headers)} get ${status}`, async () => {
        const response = await answerOf(tagged(), { headers });

        assert.deepEqual([response.status, response.text], [status, status === 200 ? 'hello' : '']);
        assert.deepEqual([response.header('etag'), response.header('x-a')], ['"q"', 'b']);
        assert.equal(response.header('content-length'), status === 200 ? '5' : status === 304 ? undefined : '0');
      });
    }

    test('are met by the etag that was made', async () => {
      const server = serve({ routes: { '/a': hello() } });
      const etag = (await exchange(server, request('GET', '/a'))).response.header('etag');
      const { client, response } = await exchange(server, request('GET', '/a', { 'If-None-Match': etag }));

      assert.deepEqual([response.status, response.text], [304, '']);
      client.write(request('GET', '/a'));
      assert.equal((await readResponse(client)).text, 'hello');
    });

    test('count for HEAD', async () => {
      assert.equal((await answerOf(tagged(), { method: 'HEAD', headers: { 'If-None-Match': '*' } })).status, 304);
    });

    test('do not count for other methods and other statuses', async () => {
      const headers = { 'If-None-Match': '*', 'If-Match': '"z"' };

      assert.equal((await answerOf(tagged(), { method: 'POST', headers })).status, 200);
      assert.equal((await answerOf(tagged({ status: 404 }), { headers })).status, 404);
    });
  });

  for (const [what, act] of [
    ['that is used', (routes) => serve({ routes })],
    ['that is used, for a method', ({ '/a': response }) => serve({ routes: { '/a': { GET: response } } })],
  ]) {
    test(`${what} is refused`, async () => {
      const response = new Response('x');
      await response.text();

      throwsExactly(() => act({ '/a': response }), invalidArgType('Response body has already been used'));
    });
  }

  for (const [what, body] of [
    ['nothing', null],
    ['an empty text', ''],
    ['no bytes', new Uint8Array()],
    ['an empty Blob', new Blob([])],
  ]) {
    test(`may have ${what} for a body`, async () => {
      const server = serve({ routes: { '/a': new Response(body) } });

      const { response } = await exchange(server, request('GET', '/a'));

      assert.deepEqual([response.status, response.header('content-length')], [200, '0']);
    });
  }

  test('whose body is a stream is refused', { skip: !isBunRuntime && 'Node does not tell a stream from other bodies' }, () => {
    throwsExactly(
      () => serve({ routes: { '/a': new Response(new ReadableStream()) } }),
      invalidArgType(
        'Body must be fully buffered before it can be used in a static route. Consider calling new Response(await response.blob()) to buffer the body.',
      ),
    );
  });

  describe('of the class that is exported', { skip: isBunRuntime && 'Bun has its own' }, () => {
    const { Response: Plain } = mantou;
    /** One whose body is a stream from now on. */
    const lookedAt = (response) => {
      assert.ok(response.body);
      return response;
    };

    for (const [what, make, text, type] of [
      ['a text', () => new Plain('hello', { headers: { 'x-a': 'b' } }), 'hello', 'text/plain;charset=utf-8'],
      ['an empty text', () => new Plain(''), '', 'text/plain;charset=utf-8'],
      ['nothing', () => new Plain(null), '', undefined],
      ['bytes', () => new Plain(new Uint8Array([104, 105])), 'hi', undefined],
      ['a Blob', () => new Plain(new Blob(['blob'], { type: 'text/x' })), 'blob', 'text/x'],
      ['JSON', () => Plain.json({ a: 1 }), '{"a":1}', 'application/json'],
      ['a stream', () => new Plain(new Blob(['stream']).stream()), 'stream', undefined],
      ['a text that was looked at', () => lookedAt(new Plain('seen')), 'seen', 'text/plain;charset=utf-8'],
    ]) {
      test(`is copied from ${what}`, async () => {
        const response = make();
        const server = serve({ routes: { '/a': response, '/b': response } });
        for (const path of ['/a', '/b']) {
          const { response: answer } = await exchange(server, request('GET', path));

          assert.deepEqual([answer.status, answer.text, answer.header('content-type')?.toLowerCase()], [200, text, type]);
        }
        assert.equal(await response.text(), text);
      });
    }
  });

  describe('whose body comes later', { skip: isBunRuntime && 'Bun refuses it' }, () => {
    test('is waited for, and stays', async () => {
      const body = new ReadableStream({
        async pull(controller) {
          await new Promise(setImmediate);
          controller.enqueue(new TextEncoder().encode('late'));
          controller.close();
        },
      });
      const server = serve({ routes: { '/a': new Response(body, { status: 201, headers: { 'x-a': 'b' } }) } });
      for (let index = 0; index < 3; index++) {
        const { response } = await exchange(server, request('GET', '/a'));

        assert.deepEqual([response.status, response.text, response.header('x-a')], [201, 'late', 'b']);
      }
    });

    test('and fails, fails its requests', async () => {
      const seen = [];
      const body = new ReadableStream({ pull: (controller) => controller.error(new Error('broken')) });
      const server = serve({
        routes: { '/a': new Response(body) },
        error(error) {
          seen.push(error.message);
          return new Response('sorry');
        },
      });

      assert.equal((await exchange(server, request('GET', '/a'))).response.text, 'sorry');
      assert.deepEqual(seen, ['broken']);
    });

    test('does not come back after a reload', async () => {
      let finish;
      const body = new ReadableStream({
        start(controller) {
          finish = () => {
            controller.enqueue(new TextEncoder().encode('old'));
            controller.close();
          };
        },
      });
      const server = serve({ routes: { '/a': new Response(body) } });
      server.reload({ routes: { '/a': says('new') } });
      finish();
      await new Promise(setImmediate);

      assert.equal((await exchange(server, request('GET', '/a'))).response.text, 'new');
    });
  });

  test('that is an error is refused', () => {
    assert.throws(() => serve({ routes: { '/a': Response.error() } }), /status 0/);
  });
});

describe('serve() refuses', () => {
  const ROUTES = /^Bun\.serve\(\) expects 'routes' to be an object shaped like:\n/;
  const ROUTE = /^'routes' expects a Record<string, /;
  const EITHER = /^Bun\.serve\(\) needs either:\n\n {2}- A routes object:\n[\s\S]*\n {2}- Or a fetch handler:\n/;

  /** @param {() => unknown} act */
  const refused = (act, message) => assert.throws(act, { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message });

  for (const value of [null, 5, 'x', true, false]) {
    test(`routes that are ${JSON.stringify(value)}`, () => {
      refused(() => serve({ routes: value, fetch: says('') }), ROUTES);
      refused(() => serve({ static: value, fetch: says('') }), ROUTES);
    });
  }

  for (const [what, value] of Object.entries({
    null: null,
    'a number': 5,
    'a string': 'x',
    true: true,
    'an empty object': {},
    'an array': [],
    'a lower-case method': { get: says('') },
    'a method that nobody knows': { FOO: says('') },
    'a Blob': new Blob(['x']),
    'a promise': Promise.resolve(),
    'a directory that is null': { dir: null },
  })) {
    test(`a route that is ${what}`, () => {
      refused(() => serve({ routes: { '/a': value }, fetch: says('') }), ROUTE);
    });
  }

  test('paths that do not begin with a slash', () => {
    for (const path of ['x', '*', 'http://x/y'])
      throwsExactly(
        () => serve({ routes: { [path]: says('') } }),
        invalidArgType(`Invalid route ${JSON.stringify(path)}. Path must start with '/'`),
      );
  });

  test('paths that are not ASCII', () => {
    for (const path of ['/é', '/:é'])
      throwsExactly(
        () => serve({ routes: { [path]: says('') } }),
        invalidArgType(`Invalid route ${JSON.stringify(path)}. Please encode all non-ASCII characters in the path.`),
      );
  });

  for (const [path, message] of [
    ['/:1a', /^Route parameter names cannot start with a number\./],
    ['/x:1a', /^Route parameter names cannot start with a number\./],
    ['/:a/:a', /^Support for duplicate route parameter names is not yet implemented\./],
    ['/:a/x:a', /^Support for duplicate route parameter names is not yet implemented\./],
    ['/:/:', /^Support for duplicate route parameter names is not yet implemented\./],
  ]) {
    test(`the path ${path}`, () => {
      assert.throws(() => serve({ routes: { [path]: says('') } }), { message });
    });
  }

  for (const [what, routes] of Object.entries({
    nothing: undefined,
    'no routes': {},
    'undefined routes': { '/a': undefined },
    'false alone': { '/a': false },
    'methods that are none': { '/a': { GET: 5 } },
  })) {
    test(`${what} without a fetch`, () => {
      refused(() => serve({ routes }), EITHER);
    });
  }

  test('and has not begun to listen', async () => {
    const { port } = serve({ fetch: says('') });
    assert.throws(() => serve({ port, routes: { '/a': 5 } }), { code: 'ERR_INVALID_ARG_TYPE' });
  });
});

describe('serve() takes', () => {
  test('undefined for a route that is not there', async () => {
    const [{ text }] = await answersOf({ '/a': undefined }, ['/a']);

    assert.equal(text, FETCH);
  });

  test('methods that are none', async () => {
    const [{ text }] = await answersOf({ '/a': { GET: 5 } }, ['/a']);

    assert.equal(text, FETCH);
  });

  test('a function or an array for routes', async () => {
    const [{ text }] = await answersOf(
      Object.assign(() => {}, { '/a': says('a') }),
      ['/a'],
    );

    assert.equal(text, 'a');
    assert.equal((await answersOf([], ['/a']))[0].text, FETCH);
  });

  test('its own enumerable members, read once', async () => {
    let reads = 0;
    const routes = Object.create({ '/inherited': says('inherited') });
    Object.defineProperty(routes, '/hidden', { value: says('hidden') });
    Object.defineProperty(routes, '/a', { get: () => says(`a${++reads}`), enumerable: true });
    const answers = await answersOf(routes, ['/inherited', '/hidden', '/a', '/a']);

    assert.deepEqual(
      answers.map(({ text }) => text),
      [FETCH, FETCH, 'a1', 'a1'],
    );
  });

  test('static for routes, unless routes are there', async () => {
    const one = serve({ static: { '/a': says('a') } });
    const other = serve({ static: { '/a': 5 }, routes: { '/a': says('b') } });

    assert.equal((await exchange(one, request('GET', '/a'))).response.text, 'a');
    assert.equal((await exchange(other, request('GET', '/a'))).response.text, 'b');
  });
});

describe('reload()', () => {
  const setUp = () => serve({ routes: { '/a': says('a1'), '/s': new Response('s1') }, fetch: says('f1') });
  const answers = async (server) => {
    const seen = [];
    for (const path of ['/a', '/s', '/b', '/other']) {
      const { response } = await exchange(server, request('GET', path));
      seen.push(response.status === 200 ? response.text : response.status);
    }
    return seen;
  };

  test('replaces all routes', async () => {
    const server = setUp();

    assert.equal(server.reload({ routes: { '/a': says('a2'), '/b': new Response('b2') } }), server);

    assert.deepEqual(await answers(server), ['a2', 'f1', 'b2', 'f1']);
  });

  test('replaces routes and fetch', async () => {
    const server = setUp();
    server.reload({ static: { '/b': says('b2') }, fetch: says('f2') });

    assert.deepEqual(await answers(server), ['f2', 'f2', 'b2', 'f2']);
  });

  test('takes routes away', async () => {
    const server = setUp();
    server.reload({ routes: {} });

    assert.deepEqual(await answers(server), ['f1', 'f1', 'f1', 'f1']);
  });

  for (const [what, options, fetched] of [
    ['nothing', {}, 'f1'],
    ['undefined routes', { routes: undefined }, 'f1'],
    ['another fetch', { fetch: says('f2') }, 'f2'],
    ['websocket', { websocket: {} }, 'f1'],
  ]) {
    test(`with ${what} keeps the routes`, async () => {
      const server = setUp();
      server.reload(options);

      assert.deepEqual(await answers(server), ['a1', differs('static-routes-on-reload') ? 's1' : fetched, fetched, fetched]);
    });
  }

  test('gives a server its first routes', async () => {
    const server = serve({ fetch: says('f1') });
    server.reload({ routes: { '/a': says('a1') } });

    assert.deepEqual(await answers(server), ['a1', 'f1', 'f1', 'f1']);
  });

  test('gives a server with routes alone its first fetch', async () => {
    const server = serve({ routes: { '/a': says('a1') } });
    assert.deepEqual(await answers(server), ['a1', 404, 404, 404]);
    server.reload({ fetch: says('f1') });

    assert.deepEqual(await answers(server), ['a1', 'f1', 'f1', 'f1']);
  });

  for (const routes of [null, { '/a': 5 }, { 'no-slash': says('') }]) {
    test(`refuses ${JSON.stringify(routes)} and changes nothing`, async () => {
      const server = setUp();

      assert.throws(() => server.reload({ routes, fetch: says('f2') }), { code: 'ERR_INVALID_ARG_TYPE' });

      assert.deepEqual(await answers(server), ['a1', 's1', 'f1', 'f1']);
    });
  }

  test('counts at once, on connections that are open too', async () => {
    const server = setUp();
    const { client } = await exchange(server, request('GET', '/a'));
    server.reload({ routes: { '/a': says('a2') } });
    client.write(request('GET', '/a'));

    assert.equal((await readResponse(client)).text, 'a2');
  });

  test('from within a route lets the request go on', async () => {
    const server = serve({
      routes: {
        '/a': async (_, own) => {
          own.reload({ routes: { '/a': says('a2') } });
          await new Promise(setImmediate);
          return new Response('a1');
        },
      },
    });

    assert.equal((await exchange(server, request('GET', '/a'))).response.text, 'a1');
    assert.equal((await exchange(server, request('GET', '/a'))).response.text, 'a2');
  });
});

describe('a handshake', () => {
  const upgrade = (name) => (_, server) => {
    server.upgrade(_, { headers: { by: name } });
  };

  /** Who upgrades a handshake for `/a`; the status where nobody does. */
  async function upgrader(routes, options = { fetch: upgrade(FETCH) }) {
    const server = serve({ routes, websocket: {}, ...options });
    const client = await RawClient.connect({ port: server.port });
    client.write(handshake({ path: '/a' }));
    const { status, header } = await client.response();
    return status === 101 ? header('by') : status;
  }

  for (const [what, route] of [
    ['a Response', () => new Response('a')],
    ['a Response for GET', () => ({ GET: new Response('a') })],
    ['false', () => false],
    ['methods without GET', () => ({ POST: says('a') })],
  ]) {
    test(`passes by ${what} to the next route`, async () => {
      assert.equal(await upgrader({ '/a': route(), '/*': upgrade('wildcard') }), 'wildcard');
    });

    test(`passes by ${what} to fetch`, async () => {
      assert.equal(await upgrader({ '/a': route() }), FETCH);
    });

    test(`passes by ${what} to nobody`, async () => {
      assert.equal(await upgrader({ '/a': route(), '/b': says('b') }, {}), 403);
    });
  }

  test('is a request like any other on a server without websocket', async () => {
    assert.equal(await upgrader({ '/a': new Response('a') }, { websocket: undefined }), 200);
    assert.equal(await upgrader({ '/b': says('b') }, { websocket: undefined }), 404);
  });

  test('is known by the length of its key', async () => {
    const server = serve({ routes: { '/a': new Response('a') }, fetch: says(FETCH), websocket: {} });
    const text = async (key, method = 'GET') => (await exchange(server, request(method, '/a', { 'Sec-WebSocket-Key': key }))).response.text;

    assert.deepEqual([await text('x'.repeat(24)), await text('x'.repeat(23)), await text('x'.repeat(24), 'POST')], [FETCH, 'a', 'a']);
  });
});

test('requests in flight are counted for handlers', async () => {
  const server = serve({ routes: { '/a': (_, own) => new Response(String(own.pendingRequests)) } });

  assert.equal((await exchange(server, request('GET', '/a'))).response.text, '1');
  assert.equal(server.pendingRequests, 0);
});

test('stop() lets a large static Response go on', async () => {
  const server = serve({ routes: { '/a': new Response(new Uint8Array(20_000_000)), '/b': new Response('b') } });
  const client = await connectTo(server);
  client.pause();
  client.write(request('GET', '/a'));
  // By then the server has had the other request, too.
  await exchange(server, request('GET', '/b'));
  const stopped = server.stop();
  client.resume();

  assert.equal((await readResponse(client)).body.length, 20_000_000);
  assert.equal(await client.ended(), 'FIN');
  await stopped;
});
