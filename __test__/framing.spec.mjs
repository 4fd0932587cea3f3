// Where a request ends, and what is refused because nobody could say: raw requests and the whole answer to each, on the wire.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { calls } from './support/calls.mjs';
import { cleanUp, MORE_THAN_A_SOCKET_TAKES } from './support/connect.mjs';
import { handshake, RawClient, text } from './support/raw-client.mjs';
import { connectTo, readResponse, request } from './support/raw-http.mjs';
import { isOracle, mantou, serve } from './support/target.mjs';

afterEach(cleanUp);

const REASON = {
  400: 'Bad Request',
  413: 'Payload Too Large',
  431: 'Request Header Fields Too Large',
  505: 'HTTP Version Not Supported',
};

/** A server that says what it was asked: method, url and body. `heard` has every url that reached it. */
function start(options) {
  const heard = [];
  const server = serve({
    development: false,
    fetch: async (req) => {
      heard.push(req.url);
      return new Response(`${req.method} ${req.url} ${await req.text()}`);
    },
    error: () => new Response('error', { status: 500 }),
    ...options,
  });
  return { server, heard };
}

/** A request line with a Host. */
const line = (own) => `${own}\r\nHost: a\r\n\r\n`;
/** A GET with a Host and a line more. */
const field = (own) => `GET / HTTP/1.1\r\nHost: a\r\n${own}\r\n\r\n`;
const post = (lines, content) => `POST / HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n${content}`;
const chunked = (content) => post('Transfer-Encoding: chunked', content);
const repeated = (count, make) => Array.from({ length: count }, (_, index) => make(index));

/** Answered with `said`, and the connection goes on. */
const answered = (...said) => ({ said });
/** Refused with a status and FIN, behind what is `said` to the requests before. */
const refused = (status, ...said) => ({ said, status });

/**
 * Sends bytes (each character one) on a connection of its own and reads to the end of what they can bring about.
 * @param {string} bytes
 */
async function assertAnswer(bytes, { said, status }, { server } = start()) {
  const client = await connectTo(server);
  client.write(Buffer.from(bytes, 'latin1'));
  for (const words of said) assert.equal((await readResponse(client)).text, words);
  if (status === undefined) {
    client.write(request('GET', '/next'));
    assert.equal((await readResponse(client)).text, 'GET http://localhost/next ');
    return;
  }
  const before = client.bytes.indexOf(`HTTP/1.1 ${status} `);
  assert.equal((await client.response()).raw, `HTTP/1.1 ${status} ${REASON[status]}\r\nConnection: close`);
  assert.equal(await client.ended(), 'FIN');
  assert.equal(client.bytes.toString('latin1', before).split('\r\n\r\n').slice(1).join(), '', 'nothing behind the refusal');
}

/** A test for each row: what it is, the bytes, what they bring about, and the difference by which Bun does something else. */
function rows(table) {
  for (const [what, bytes, expected, difference, bun] of table) {
    test(what, async () => {
      await assertAnswer(bytes, difference === undefined || differs(difference) ? expected : bun);
    });
  }
}

const GET = 'GET http://a/ ';
const POST = 'POST http://a/ ';

describe('a request line', () => {
  rows([
    ['with a path', line('GET /p?q HTTP/1.1'), answered('GET http://a/p?q ')],
    ['with a fragment', line('GET /p?q#f HTTP/1.1'), answered('GET http://a/p?q#f ')],
    ['with a fragment that looks like a path', line('GET /#/p?q HTTP/1.1'), answered('GET http://a/#/p?q ')],
    ['with bytes that URLs encode', line('GET /<"`{}> HTTP/1.1'), answered('GET http://a/%3C%22%60%7B%7D%3E ')],
    ['with bytes that are no UTF-8', line('GET /\xff\xfe HTTP/1.1'), answered('GET http://a/%EF%BF%BD%EF%BF%BD ')],
    ['with DEL in the target', line('GET /\x7f HTTP/1.1'), answered('GET http://a/%7F ')],
    ['with an absolute target', line('GET http://b:81/p?q HTTP/1.1'), answered('GET http://a/p?q ')],
    ['with an absolute target without a path', line('GET http://b?q HTTP/1.1'), answered('GET http://a/?q ')],
    ['with an absolute target of another scheme', line('GET HTTPS://b/p HTTP/1.1'), answered('GET http://a/p ')],
    ['with an asterisk for OPTIONS', line('OPTIONS * HTTP/1.1'), answered('OPTIONS http://a/ '), 'lenient-framing', refused(400)],
    ['with an asterisk for GET', line('GET * HTTP/1.1'), refused(400)],
    ['with an authority', line('GET b:80 HTTP/1.1'), refused(400)],
    ['with a relative target', line('GET foo HTTP/1.1'), refused(400)],
    ['with nothing but a query', line('GET ?q HTTP/1.1'), refused(400)],
    ['with a scheme of something else', line('GET ftp://b/p HTTP/1.1'), refused(400)],
    ['without a method', line(' / HTTP/1.1'), refused(400)],
    ['with a method that is no token', line('GE(T / HTTP/1.1'), refused(400)],
    ['with tabs between its parts', line('GET\t/\tHTTP/1.1'), refused(400), 'any-method', refused(505)],
    ['with two spaces before the target', line('GET  / HTTP/1.1'), refused(400)],
    ['with two spaces behind the target', line('GET /  HTTP/1.1'), refused(505)],
    ['with a space in the target', line('GET /a b HTTP/1.1'), refused(505)],
    ['with a control in the target', line('GET /\x01 HTTP/1.1'), refused(505)],
    ['with NUL in the target', line('GET /\0 HTTP/1.1'), refused(400), 'strict-framing', refused(505)],
    ['with NUL in the method', line('G\0T / HTTP/1.1'), refused(400), 'strict-framing', refused(505)],
    ['that ends with a bare LF', 'GET / HTTP/1.1\nHost: a\r\n\r\n', refused(400), 'strict-framing', refused(505)],
    ['of HTTP/0.9', 'GET /\r\n', refused(505)],
    ['of HTTP/0.9 by name', line('GET / HTTP/0.9'), refused(505)],
    ['of HTTP/1.2', line('GET / HTTP/1.2'), refused(505)],
    ['of HTTP/2', line('GET / HTTP/2.0'), refused(505)],
    ['of HTTP/1.10', line('GET / HTTP/1.10'), refused(505)],
    ['of http/1.1', line('GET / http/1.1'), refused(505)],
    ['with a space at its end', line('GET / HTTP/1.1 '), refused(505)],
    ['that is garbage', 'hello\r\n\r\n', refused(400)],
    ['that is TLS, and has no end', '\x16\x03\x01\x00\xa5', refused(400)],
    ['that is the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', refused(400)],
    ['behind empty lines', `\r\n\r\n${line('GET / HTTP/1.1')}`, answered(GET), 'lenient-framing', refused(400)],
    ['behind a bare LF', `\n${line('GET / HTTP/1.1')}`, refused(400)],
    ['behind a bare CR', `\r${line('GET / HTTP/1.1')}`, refused(400)],
    ['behind a space', ` ${line('GET / HTTP/1.1')}`, refused(400)],
  ]);

  test('of CONNECT has its authority for a url', async () => {
    const urls = calls('a url');
    const { server } = start({
      fetch(req) {
        urls(req.method, req.url);
        return new Response('no tunnels here', { status: 405 });
      },
    });
    const client = await connectTo(server);

    client.write(line('CONNECT b:80 HTTP/1.1'));

    assert.equal((await readResponse(client)).text, 'no tunnels here');
    assert.deepEqual(urls.all, [['CONNECT', 'b:80']]);
  });

  const stays = isOracle && 'there the connection stays, and nobody reads what comes';
  test('of CONNECT may be answered with 200: what comes behind it is not answered, and the connection ends', { skip: stays }, async () => {
    const urls = calls('a url');
    const { server } = start({
      fetch(req) {
        urls(req.url);
        return new Response('no tunnel');
      },
    });
    const client = await connectTo(server);

    client.write(line('CONNECT b:80 HTTP/1.1') + line('GET /behind HTTP/1.1'));

    assert.equal((await readResponse(client)).text, 'no tunnel');
    assert.equal(await client.ended(), 'FIN');
    assert.deepEqual(urls.all, [['b:80']]);
  });
});

describe('the fields of a head', () => {
  rows([
    ['with every byte a name may have', field("!#$%&'*+-.^_`|~aZ9: x"), answered(GET)],
    ['with every kind of byte a value may have', field('X:\t a\tb \xe9~ \t'), answered(GET)],
    ['with an empty value', field('X:'), answered(GET)],
    ['with a space before the colon', field('X : a'), refused(400)],
    ['with a tab before the colon', field('X\t: a'), refused(400)],
    ['with a space in a name', field('X Y: a'), refused(400)],
    ['with a byte in a name that is none of a token', field('X(: a'), refused(400)],
    ['without a colon', field('X'), refused(400)],
    ['without a name', field(': a'), refused(400)],
    ['folded with a space', field('X: a\r\n b'), refused(400)],
    ['folded with a tab', field('X: a\r\n\tb'), refused(400)],
    ['with a space before the first', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n', refused(400)],
    ['with a bare LF', 'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n', refused(400)],
    ['with a bare LF at their end', 'GET / HTTP/1.1\r\nHost: a\r\n\n', refused(400)],
    ['with a bare CR', field('X: a\rb'), refused(400)],
    ['with CR CR LF', field('X: a\r'), refused(400)],
    ['with NUL in a value', field('X: a\0b'), refused(400)],
    ['with NUL in a name', field('X\0: a'), refused(400)],
    ['with a control in a value', field('X: a\x1bb'), refused(400)],
    ['with DEL in a value', field('X: a\x7fb'), refused(400), 'strict-framing', answered(GET)],
    ['without a Host', 'GET / HTTP/1.1\r\n\r\n', refused(400)],
    ['without a Host, for an absolute target', 'GET http://b/ HTTP/1.1\r\n\r\n', refused(400)],
    ['with an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', answered('GET / ')],
    ['with two Hosts', field('Host: b'), refused(400), 'strict-framing', answered(GET)],
    ['with the same Host twice', field('Host: a'), refused(400), 'strict-framing', answered(GET)],
    ['of 16 KiB in all', field(`X: ${'a'.repeat(16384 - field('X: ').length)}`), answered(GET)],
    ['of 16 KiB and a byte', field(`X: ${'a'.repeat(16385 - field('X: ').length)}`), refused(431)],
    ['too long, and without an end', field(`X: ${'a'.repeat(20_000)}`).slice(0, -4), refused(431)],
    ['behind a target too long', line(`GET /${'a'.repeat(16384)} HTTP/1.1`), refused(431)],
    ['behind a method too long', 'A'.repeat(16385), refused(431)],
    ['that are 198', field(repeated(197, (index) => `x${index}: 1`).join('\r\n')), answered(GET)],
    ['that are 199', field(repeated(198, (index) => `x${index}: 1`).join('\r\n')), refused(431)],
  ]);
});

describe('a content with a length', () => {
  rows([
    ['has so many bytes', post('Content-Length: 3', 'abc'), answered(`${POST}abc`)],
    ['of 0 has none', post('Content-Length: 0', ''), answered(POST)],
    ['may look like a request', post('Content-Length: 18', 'GET / HTTP/1.1\r\n\r\n'), answered(`${POST}GET / HTTP/1.1\r\n\r\n`)],
    ['of a GET is skipped', field('Content-Length: 18').concat('GET / HTTP/1.1\r\n\r\n'), answered(GET)],
    ['with zeros before it', post('Content-Length: 003', 'abc'), answered(`${POST}abc`)],
    ['given twice', post('Content-Length: 3\r\nContent-Length: 3', 'abc'), answered(`${POST}abc`)],
    ['given twice, differently', post('Content-Length: 3\r\nContent-Length: 4', 'abcd'), refused(400)],
    ['written in two ways', post('Content-Length: 3\r\nContent-Length: 03', 'abc'), refused(400)],
    ['given as a list', post('Content-Length: 3, 3', 'abc'), refused(400)],
    ['with a sign', post('Content-Length: +3', 'abc'), refused(400)],
    ['below zero', post('Content-Length: -3', 'abc'), refused(400)],
    ['in hexadecimal', post('Content-Length: 0x3', 'abc'), refused(400)],
    ['with a fraction', post('Content-Length: 3.0', 'abc'), refused(400)],
    ['with a space in it', post('Content-Length: 3 3', 'abc'), refused(400)],
    ['that is empty', post('Content-Length:', 'abc'), refused(400)],
    ['that is a word', post('Content-Length: three', 'abc'), refused(400)],
    ['beyond 64 bits', post('Content-Length: 18446744073709551619', 'abc'), refused(400)],
    ['of another name', post('Content_Length: 3', field('X: 1')), answered(POST, GET)],
  ]);
});

describe('a chunked content', () => {
  rows([
    ['is put together', chunked('3\r\nabc\r\nA\r\ndefghijklm\r\n0\r\n\r\n'), answered(`${POST}abcdefghijklm`)],
    ['may look like its end', chunked('5\r\n0\r\n\r\n\r\n0\r\n\r\n'), answered(`${POST}0\r\n\r\n`)],
    ['of a GET is skipped', `${field('Transfer-Encoding: chunked')}3\r\nabc\r\n0\r\n\r\n`, answered(GET)],
    ['in any case', post('TRANSFER-ENCODING:\tChUnKeD ', '0\r\n\r\n'), answered(POST)],
    ['with zeros before its sizes', chunked('0003\r\nabc\r\n000\r\n\r\n'), answered(`${POST}abc`)],
    ['with extensions', chunked('3;a=b;c="d"\r\nabc\r\n0;e\r\n\r\n'), answered(`${POST}abc`)],
    [
      'with trailers',
      chunked('3\r\nabc\r\n0\r\nX: 1\r\nContent-Length: 9\r\n\r\n'),
      answered(`${POST}abc`),
      'lenient-framing',
      refused(400, `${POST}abc`),
    ],
    ['with a length too', post('Content-Length: 3\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), refused(400)],
    ['with a length too, behind', post('Transfer-Encoding: chunked\r\nContent-Length: 3', '0\r\n\r\n'), refused(400)],
    ['said twice', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), refused(400)],
    ['said twice in a list', post('Transfer-Encoding: chunked, chunked', '0\r\n\r\n'), refused(400)],
    ['over another coding', post('Transfer-Encoding: gzip, chunked', '0\r\n\r\n'), refused(400)],
    ['under another coding', post('Transfer-Encoding: chunked, gzip', '0\r\n\r\n'), refused(400)],
    ['that is none', post('Transfer-Encoding: identity', ''), refused(400)],
    ['that is nearly none', post('Transfer-Encoding: xchunked', ''), refused(400)],
    ['with a parameter', post('Transfer-Encoding: chunked;q=1', '0\r\n\r\n'), refused(400)],
    ['in quotes', post('Transfer-Encoding: "chunked"', '0\r\n\r\n'), refused(400)],
    ['behind a vertical tab', post('Transfer-Encoding: \x0bchunked', '0\r\n\r\n'), refused(400)],
    ['before another kind of space', post('Transfer-Encoding: chunked\xa0', '0\r\n\r\n'), refused(400)],
    ['in a list of one', post('Transfer-Encoding: chunked,', '0\r\n\r\n'), refused(400), 'strict-framing', answered(POST)],
    ['with a space before the colon', post('Transfer-Encoding : chunked', '0\r\n\r\n'), refused(400)],
    ['on a folded line', post('Transfer-Encoding:\r\n chunked', '0\r\n\r\n'), refused(400)],
    ['in HTTP/1.0', 'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', refused(400)],
    ['without a size', chunked('\r\nabc\r\n0\r\n\r\n'), refused(400)],
    ['with nothing but an extension', chunked(';a\r\nabc\r\n0\r\n\r\n'), refused(400)],
    ['with a size that is none', chunked('g\r\nabc\r\n0\r\n\r\n'), refused(400)],
    ['with a size that says it is hexadecimal', chunked('0x3\r\nabc\r\n0\r\n\r\n'), refused(400)],
    ['with a size below zero', chunked('-3\r\nabc\r\n0\r\n\r\n'), refused(400)],
    ['with a space before a size', chunked(' 3\r\nabc\r\n0\r\n\r\n'), refused(400)],
    ['with a space behind a size', chunked('3 \r\nabc\r\n0\r\n\r\n'), refused(400)],
    ['with a size beyond 64 bits', chunked('10000000000000003\r\nabc\r\n0\r\n\r\n'), refused(400)],
    ['with a bare LF behind a size', chunked('3\nabc\r\n0\r\n\r\n'), refused(400)],
    ['with a bare CR behind a size', chunked('3\rabc\r\n0\r\n\r\n'), refused(400)],
    ['with a bare LF in an extension', chunked('3;a\nb\r\nabc\r\n0\r\n\r\n'), refused(400)],
    ['with a space in an extension', chunked('3;a b\r\nabc\r\n0\r\n\r\n'), refused(400)],
    ['with NUL in an extension', chunked('3;\0\r\nabc\r\n0\r\n\r\n'), refused(400)],
    ['with 17 KB of extension', chunked(`3;${'a'.repeat(17_000)}\r\nabc\r\n0\r\n\r\n`), refused(413)],
    ['with more than a size says', chunked('3\r\nabcd\r\n0\r\n\r\n'), refused(400)],
    ['with less than a size says', chunked('5\r\nabc\r\n0\r\n\r\n'), refused(400)],
    ['with a bare LF behind a chunk', chunked('3\r\nabc\n0\r\n\r\n'), refused(400)],
    ['with bare LFs at its end', chunked('3\r\nabc\r\n0\n\n'), refused(400)],
    ['with a bare LF at its end', chunked('0\r\n\n'), refused(400), 'lenient-framing', refused(400, POST)],
    ['with a trailer that is none', chunked('0\r\nX\r\n\r\n'), refused(400), 'lenient-framing', refused(400, POST)],
    ['with a folded trailer', chunked('0\r\nX: 1\r\n 2\r\n\r\n'), refused(400), 'lenient-framing', refused(400, POST)],
    ['with 17 KB of trailers', chunked(`0\r\nX: ${'a'.repeat(17_000)}\r\n\r\n`), refused(431), 'lenient-framing', refused(400, POST)],
  ]);
});

describe('a request behind another', () => {
  const headOf = async (client) => {
    client.write(request('HEAD', '/'));
    return client.response({ bodyOf: 'HEAD' });
  };
  /** Answers at once, with the url. */
  const atOnce = { fetch: (req) => new Response(req.url) };
  const FIRST = line('GET /first HTTP/1.1');

  for (const [what, bytes, status] of [
    ['that can be read in two ways', post('Content-Length: 3\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), 400],
    ['without a Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['that is too long', field(`X: ${'a'.repeat(17_000)}`), 431],
    ['of another version', line('GET / HTTP/1.2'), 505],
  ]) {
    test(`${what} is refused once the first is answered`, async () => {
      const { server } = start(atOnce);
      await assertAnswer(FIRST + bytes, refused(status, 'http://a/first'), { server });
      await assertAnswer(post('Content-Length: 3', 'abc') + bytes, refused(status, 'http://a/'), { server });
    });
  }

  test('that is refused waits for an answer that takes its time', { skip: !differs('pipelined-requests') }, async () => {
    const arrivals = calls('a request');
    const { server } = start({ fetch: (req) => new Promise((answer) => arrivals(req.url, answer)) });
    const client = await connectTo(server);

    client.write(FIRST, field('X : a'));
    const [, answer] = await arrivals.next();
    answer(new Response('in its time'));

    assert.equal((await readResponse(client)).text, 'in its time');
    assert.equal((await client.response()).status, 400);
    assert.equal(await client.ended(), 'FIN');
    assert.equal(arrivals.all.length, 1);
  });

  test('that is refused waits until a big answer has been read', { skip: !differs('pipelined-requests') }, async () => {
    const { server } = start({ fetch: () => new Response(new Uint8Array(MORE_THAN_A_SOCKET_TAKES)) });
    const client = await connectTo(server);
    client.pause();

    client.write(FIRST, field('X : a'));
    // The refusal is on its way when others are answered.
    for (let others = 0; others < 5; others++) assert.equal((await connectTo(server).then(headOf)).status, 200);
    client.resume();

    assert.equal((await readResponse(client)).body.length, MORE_THAN_A_SOCKET_TAKES);
    assert.equal((await client.response()).status, 400);
    assert.equal(await client.ended(), 'FIN');
  });

  test('that is refused gets its answer although the client goes on sending', async () => {
    const { server } = start(atOnce);
    const client = await connectTo(server);

    client.write(FIRST, field('X : a'), 'x'.repeat(1024 * 1024));

    assert.equal((await readResponse(client)).text, 'http://a/first');
    assert.equal((await client.response()).status, 400);
    if (differs('strict-framing')) assert.equal(await client.ended(), 'FIN');
  });

  test('is found where a content ends that nobody has read', async () => {
    const { server } = start(atOnce);
    const client = await connectTo(server);

    client.write(post('Content-Length: 100000', 'x'.repeat(50_000)));
    assert.equal((await readResponse(client)).text, 'http://a/');
    client.write('x'.repeat(50_000), FIRST);

    assert.equal((await readResponse(client)).text, 'http://a/first');
  });

  test('is refused when the content before it breaks off, although that is answered', async () => {
    const { server } = start(atOnce);
    const client = await connectTo(server);

    client.write(chunked('3\r\nabc\r\n'));
    assert.equal((await readResponse(client)).text, 'http://a/');
    client.write('x\r\n');

    assert.equal((await client.response()).status, 400);
    assert.equal(await client.ended(), 'FIN');
  });
});

describe('the end of a chunked content that is wrong', () => {
  test('fails the reading and aborts the request', async () => {
    const failures = calls('a failure');
    const pieces = calls('a piece');
    const { server } = start({
      async fetch(req) {
        try {
          for await (const piece of req.body) pieces(Buffer.from(piece).toString());
        } catch (error) {
          failures(error.name, error.message, req.signal.aborted);
        }
        return new Response('too late');
      },
    });
    const client = await connectTo(server);

    client.write(chunked('3\r\nabc\r\n'));
    assert.deepEqual(await pieces.next(), ['abc']);
    client.write('x\r\n');

    assert.deepEqual(await failures.next(), ['AbortError', 'The connection was closed.', true]);
    assert.equal((await client.response()).status, 400);
    assert.equal(await client.ended(), 'FIN');
  });
});

describe('the end of a chunked content that is wrong, behind what nobody has read,', () => {
  const MEBIBYTE = 1024 * 1024;
  const chunk = (size) => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`;
  /** Handlers that never answer, but for `/others`; `arrivals` has their requests. */
  function hanging() {
    const arrivals = calls('a request');
    const fetch = (req) => (req.url.endsWith('/others') ? new Response() : new Promise(() => arrivals(req)));
    return { arrivals, ...start({ fetch, idleTimeout: 0 }) };
  }
  /** What has come is taken in, as far as it is, when twenty others have been served. */
  async function takenIn(server) {
    const client = await connectTo(server);
    for (let others = 0; others < 20; others++) {
      client.write(request('GET', '/others'));
      await readResponse(client);
    }
  }
  const skip = isOracle && 'there it waits for the handler';

  test('ends the connection while the handler works', { skip }, async () => {
    const client = await connectTo(hanging().server);

    client.write(chunked(`${chunk(3)}x\r\n`));

    assert.equal((await client.response()).status, 400);
  });

  test('is found once a piece has been read and there is room for more', { skip }, async () => {
    const { server, arrivals } = hanging();
    const client = await connectTo(server);
    client.write(chunked(`${chunk(MEBIBYTE / 2).repeat(3)}x\r\n`));
    const [req] = await arrivals.next();
    await takenIn(server);
    assert.equal(client.bytes.length, 0);

    await req.body.getReader().read();

    assert.equal((await client.response()).status, 400);
  });

  test('is found although others have had much for handlers that have broken it off', { skip }, async () => {
    const { server, arrivals } = hanging();
    // Together as much as is taken in for all of them.
    const clients = await Promise.all(Array.from({ length: 64 }, () => connectTo(server)));
    for (const client of clients) client.write(post(`Content-Length: ${MEBIBYTE + 1}`, 'x'.repeat(MEBIBYTE)));
    await arrivals.count(clients.length);
    await takenIn(server);
    for (const [req] of arrivals.all) await req.body.cancel();
    const client = await connectTo(server);

    client.write(chunked(`${chunk(3)}x\r\n`));

    assert.equal((await client.response()).status, 400);
  });

  test('leaves an answer alone that is on its way, and its request', { skip: isOracle && 'there the answer breaks off' }, async () => {
    const arrivals = calls('a request');
    const { server } = start({ fetch: (req) => new Promise((answer) => arrivals(req.signal, answer)) });
    const client = await connectTo(server);
    client.write(chunked(chunk(3)));
    const [signal, answer] = await arrivals.next();
    client.pause();

    // Where another thread waits for I/O, it does so again now, and knows of these bytes before the answer is given.
    await new Promise((resolve) => setTimeout(resolve, 20));
    client.write('x\r\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    answer(new (mantou.Response ?? Response)(new Uint8Array(MORE_THAN_A_SOCKET_TAKES)));
    client.resume();

    assert.equal((await readResponse(client)).body.length, MORE_THAN_A_SOCKET_TAKES);
    assert.equal((await client.response()).status, 400);
    assert.equal(await client.ended(), 'FIN');
    assert.equal(signal.aborted, false);
  });
});

describe('pieces', () => {
  for (const [what, bytes, expected] of [
    ['of a request', post('Content-Length: 3', 'abc'), answered(`${POST}abc`)],
    ['of chunks', chunked('3;a\r\nabc\r\n0\r\n\r\n'), answered(`${POST}abc`)],
    ['of a request that is refused', field('X : a'), refused(400)],
    ['of another version', line('GET / HTTP/1.2'), refused(505)],
    ['of a chunk that is refused', chunked('3\r\nabcd\r\n'), refused(400)],
  ]) {
    test(`${what} of one byte make no difference`, async () => {
      const { server } = start();
      const client = await connectTo(server);

      await client.dribble(Buffer.from(bytes, 'latin1'));

      for (const words of expected.said) assert.equal((await readResponse(client)).text, words);
      if (expected.status !== undefined) {
        assert.equal((await client.response()).status, expected.status);
        assert.equal(await client.ended(), 'FIN');
      }
    });
  }
});

describe('behind a handshake', () => {
  const echo = { message: (ws, message) => void ws.send(`re:${message}`) };
  /** Upgrades, or not, as `decide` says. */
  const upgrading = (decide) =>
    start({
      websocket: echo,
      async fetch(req, server) {
        if (await decide(req)) return void server.upgrade(req);
        return new Response(`${req.method} ${new URL(req.url).pathname}`);
      },
    }).server;
  const later = () => new Promise((resolve) => setTimeout(resolve, 20));

  test('that is upgraded, what looks like a request is a frame that breaks the protocol', async () => {
    const server = start({ websocket: echo, fetch: (req, own) => void own.upgrade(req) }).server;
    const client = await connectTo(server);

    client.write(handshake(), line('GET /behind HTTP/1.1'));

    assert.equal((await client.response()).status, 101);
    await client.expect('CLOSE 1002 Received an incorrectly masked frame', 'FIN');
  });

  test('that is not upgraded stands the next request', async () => {
    const server = start({ websocket: echo, fetch: (req) => new Response(new URL(req.url).pathname) }).server;
    const client = await connectTo(server);

    client.write(handshake(), line('GET /behind HTTP/1.1'));

    assert.equal((await readResponse(client)).text, '/');
    assert.equal((await readResponse(client)).text, '/behind');
  });

  test('that is upgraded later, frames wait, whatever they would be as a request', {
    skip: !differs('early-frames-after-await'),
  }, async () => {
    const client = await connectTo(upgrading(() => later().then(() => true)));

    client.write(handshake(), text('GET'), text('x'.repeat(100_000)).subarray(0, 50_000));
    assert.equal((await client.response()).status, 101);
    await client.expect('TEXT re:GET');
    client.write(text('x'.repeat(100_000)).subarray(50_000));

    assert.equal((await client.frame()).text, `re:${'x'.repeat(100_000)}`);
  });

  for (const [what, headers, content] of [
    ['a length', { 'Content-Length': '3' }, ['abc']],
    ['a length that comes in pieces', { 'Content-Length': '3' }, ['a', 'bc']],
    ['chunks', { 'Transfer-Encoding': 'chunked' }, ['3\r\nabc\r\n0\r\n\r\n']],
  ]) {
    test(`whose content has ${what}, frames begin behind that`, { skip: !differs('early-frames-after-await') }, async () => {
      const client = await connectTo(upgrading(() => true));

      client.write(handshake({ headers }), content[0]);
      if (content.length > 1) {
        assert.equal((await client.response()).status, 101);
        client.write(content[1], text('a'));
      } else {
        client.write(text('a'));
        assert.equal((await client.response()).status, 101);
      }

      await client.expect('TEXT re:a');
    });
  }

  test('whose chunks have not ended, there can be no frames: it is not upgraded', {
    skip: !differs('early-frames-after-await'),
  }, async () => {
    const results = calls('upgrade()');
    const { server } = start({
      websocket: echo,
      fetch(req, own) {
        results(own.upgrade(req));
        return new Response('refused');
      },
    });
    const client = await RawClient.connect({ port: server.port });

    client.write(handshake({ headers: { 'Transfer-Encoding': 'chunked' } }), '3\r\nabc\r\n');

    assert.equal((await readResponse(client)).text, 'refused');
    assert.deepEqual(results.all, [[false]]);
  });
});

for (const [what, bytes, status] of [
  ['without a Host', 'GET / HTTP/1.1\r\n\r\n', 400],
  ['of another version', line('GET / HTTP/1.2'), 505],
  ['of no length', post('Content-Length: x', ''), 400],
  ['too long', field(`X: ${'a'.repeat(17_000)}`), 431],
]) {
  test(`a request ${what} is refused and not handled`, async () => {
    const own = start();

    await assertAnswer(bytes, refused(status), own);

    assert.deepEqual(own.heard, []);
  });
}
