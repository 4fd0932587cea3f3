// The `tls` option: what makes a server of https, which keys and certificates it takes, what it refuses and in which words.

import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { differs } from './differences.mjs';
import { authority, selfSigned } from './support/certificates.mjs';
import { cleanUp } from './support/connect.mjs';
import { isBunRuntime, isOracle, serve } from './support/target.mjs';
import { invalidArgType, throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);

const ca = authority('an authority');
const a = ca.issue('a.test');
const b = ca.issue('b.test');
const rsa = selfSigned('rsa.test', { kind: 'rsa' });
const pair = { key: a.key, cert: a.cert };

const directory = mkdtempSync(join(tmpdir(), 'mantou-tls-'));
after(() => rmSync(directory, { recursive: true }));

const fetch = () => new Response('hello');
/** A server with this `tls`, and whatever else. */
const start = (tls, options) => serve({ fetch, development: false, tls, ...options });
const describeValue = (value) =>
  typeof value === 'function' ? 'a function' : typeof value === 'bigint' ? `${value}n` : JSON.stringify(value);

describe('http is what a server serves', () => {
  for (const tls of [
    undefined,
    null,
    false,
    0,
    '',
    {},
    [],
    [{}],
    [{}, {}],
    () => {},
    new Date(0),
    { unknown: true },
    { key: null, cert: null, ca: undefined },
    { key: [], cert: [], ca: [], crl: [] },
    { requestCert: false, lowMemoryMode: false, secureOptions: 0, clientRenegotiationLimit: 0 },
  ]) {
    test(`with tls: ${describeValue(tls)}`, () => {
      const server = start(tls);

      assert.equal(server.protocol, 'http');
      assert.equal(server.url.protocol, 'http:');
      assert.equal(Object.prototype.toString.call(server), '[object HTTPServer]');
    });
  }
});

describe('https is what a server serves', () => {
  for (const [what, tls] of [
    ['a key and a certificate', pair],
    ['an array of them', [pair]],
    ['one after an empty entry', [{}, pair]],
    // Nobody can shake hands with these, but they were meant to be https.
    ['a key alone', { key: a.key }],
    ['a certificate alone', { cert: a.cert }],
    ['an authority alone', { ca: ca.cert }],
    ['a name', { serverName: 'a.test' }],
    ['an empty name', { serverName: '' }],
    ['a name in lower case', { servername: 'a.test' }],
    ['a passphrase', { passphrase: '' }],
    ['requestCert', { requestCert: true }],
    ['rejectUnauthorized', { rejectUnauthorized: false }],
    ['ALPNProtocols', { ALPNProtocols: '' }],
    ['lowMemoryMode', { lowMemoryMode: true }],
    ['limits of renegotiation', { clientRenegotiationLimit: 3, clientRenegotiationWindow: 600 }],
    ['no ciphers in particular', { ciphers: '' }],
  ]) {
    test(`with ${what}`, () => {
      const server = start(tls);

      assert.equal(server.protocol, 'https');
      assert.equal(server.url.href, `https://localhost:${server.port}/`);
    });

    if (!Array.isArray(tls)) {
      test(`with ${what} beside the other options, as older code has it`, () => {
        for (const none of [undefined, null, false, {}, []]) assert.equal(start(none, tls).protocol, 'https', describeValue(none));
      });
    }
  }

  test('of the classes HTTPSServer and, in development, DebugHTTPSServer', () => {
    const server = start(pair);
    const { publish } = server;

    assert.equal(Object.prototype.toString.call(server), '[object HTTPSServer]');
    assert.equal(Object.prototype.toString.call(start(pair, { development: true })), '[object DebugHTTPSServer]');
    assert.throws(() => publish('a', 'b'), { message: 'Expected this to be instanceof HTTPSServer' });
  });

  test('and the options beside `tls` count for nothing when it has some', () => {
    start(pair, { key: 'nonsense', cert: 'nonsense' });
  });
});

describe('tls', () => {
  for (const tls of [true, 1, 1n, 'x', Symbol('x'), [null], [undefined], [1], [false], [[]], [pair, null]]) {
    test(`may not be ${typeof tls === 'symbol' ? 'a symbol' : describeValue(tls)}`, () => {
      throwsExactly(() => start(tls), invalidArgType('TLSOptions must be an object'));
    });
  }

  test('is looked at after the port, the handlers and the WebSocket options', () => {
    assert.throws(() => start(true, { port: 70000 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => start(true, { fetch: 1 }), /Expected fetch\(\) to be a function/);
    assert.throws(() => start(true, { fetch: undefined }), /needs either/);
    assert.throws(() => start(true, { websocket: 1 }), /Expected websocket to be an object/);
  });

  test('is looked at before anything is bound', () => {
    const { port } = start();

    assert.throws(() => start({ key: 'x' }, { port }), { code: 'ERR_OSSL_PEM_NO_START_LINE' });
  });

  test('needs a name in each entry but the first', () => {
    const message = 'SNI tls object must have a serverName';

    throwsExactly(() => start([pair, pair]), invalidArgType(message));
    throwsExactly(() => start([pair, { ...pair, serverName: '' }]), invalidArgType(message));
    throwsExactly(() => start([{}, pair, {}, pair]), invalidArgType(message));
    start([pair, { ...pair, serverName: 'a.test' }, { ...pair, servername: 'b.test' }, {}, { serverName: 'c.test' }]);
  });
});

describe('an option of the wrong type is refused', () => {
  for (const name of ['key', 'cert', 'ca', 'crl']) {
    const message = `TLSOptions.${name} must be of type string, ArrayBuffer, Blob, array of <string, ArrayBuffer, or Blob>, or null`;
    test(`: ${name}`, () => {
      for (const value of [1, true, false, {}, Symbol('x'), () => {}, new String(a.key), new SharedArrayBuffer(8)]) {
        throwsExactly(() => start({ [name]: value }), invalidArgType(message));
      }
    });

    test(`: an element of ${name}`, () => {
      for (const value of [null, undefined, 1, [a.key], {}]) {
        const element = `element of TLSOptions.${name} must be of type string, ArrayBuffer, or Blob`;
        throwsExactly(() => start({ [name]: [value] }), invalidArgType(element));
      }
    });

    test(`: a Blob that cannot be read at once as ${name}`, () => {
      const refusal = { code: 'ERR_INVALID_ARG_TYPE', message: new RegExp(`^TLSOptions.${name} is not a valid BunFile `) };

      assert.throws(() => start({ [name]: new Blob([a.key]) }), refusal);
      assert.throws(() => start({ [name]: [new Blob([a.key])] }), refusal);
    });
  }

  for (const name of ['passphrase', 'serverName', 'dhParamsFile', 'ciphers']) {
    test(`: ${name}`, () => {
      for (const value of [1, true, {}, [], Buffer.from('x')]) {
        throwsExactly(() => start({ ...pair, [name]: value }), invalidArgType(`TLSOptions.${name} must be a string`));
      }
      start({ ...pair, [name]: null });
    });
  }

  for (const name of ['requestCert', 'rejectUnauthorized', 'lowMemoryMode']) {
    test(`: ${name}`, () => {
      for (const value of [1, 0, '', 'x', {}]) {
        throwsExactly(() => start({ ...pair, [name]: value }), invalidArgType(`TLSOptions.${name} must be a boolean`));
      }
    });
  }

  test(': null, where it would not say what is meant', () => {
    for (const name of ['requestCert', 'lowMemoryMode']) {
      throwsExactly(() => start({ ...pair, [name]: null }), invalidArgType(`TLSOptions.${name} must be a boolean`));
    }
    start({ ...pair, rejectUnauthorized: null });
  });

  for (const name of ['secureOptions', 'clientRenegotiationLimit', 'clientRenegotiationWindow']) {
    test(`: ${name}`, () => {
      for (const value of ['', null, true, {}]) {
        throwsExactly(() => start({ ...pair, [name]: value }), invalidArgType(`TLSOptions.${name} must be a number`));
      }
      for (const [value, rule] of [
        [-1, 'in the range [0, 4294967295] (received -1)'],
        [2 ** 32, 'in the range [0, 4294967295] (received 4294967296)'],
        [1.5, 'an integer (received 1.5)'],
      ]) {
        const error = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message: `TLSOptions.${name} must be ${rule}` };
        throwsExactly(() => start({ ...pair, [name]: value }), error);
      }
    });
  }

  test(': ALPNProtocols', () => {
    for (const value of [1, true, {}, ['http/1.1']]) {
      const message = 'TLSOptions.ALPNProtocols must be of type string, ArrayBuffer, or null';
      throwsExactly(() => start({ ...pair, ALPNProtocols: value }), invalidArgType(message));
    }
    for (const value of [null, 'http/1.1', Buffer.from('\x08http/1.1'), new ArrayBuffer(3), new Uint8Array([200])]) {
      start({ ...pair, ALPNProtocols: value });
    }
  });
});

describe('what rustls has no switch for is refused and not ignored', () => {
  for (const [name, value] of [
    ['ciphers', 'ECDHE-RSA-AES128-GCM-SHA256'],
    ['secureOptions', 4],
    ['dhParamsFile', '/etc/passwd'],
    ['minVersion', 0x0304],
    ['maxVersion', 0x0303],
    ['ecdhCurve', 'P-256'],
    ['sigalgs', 'RSA-PSS+SHA256'],
    ['keyFile', 'key.pem'],
  ]) {
    test(`: ${name}`, { skip: isOracle }, () => {
      throwsExactly(() => start({ ...pair, [name]: value }), {
        name: 'TypeError',
        message: `mantou does not support TLSOptions.${name} (its TLS is rustls)`,
      });
    });
  }

  for (const kind of ['weak', 'p521']) {
    test(`: a key of the kind ${kind}`, { skip: isOracle }, () => {
      const { key, cert } = selfSigned('x.test', { kind });

      assert.throws(() => start({ key, cert }), { name: 'TypeError', message: /does not support this private key: it takes RSA of 2048/ });
    });
  }
});

describe('key, cert and ca may be', () => {
  const forms = [
    ['a string', (pem) => pem],
    ['a Buffer', (pem) => Buffer.from(pem)],
    ['an ArrayBuffer', (pem) => new TextEncoder().encode(pem).buffer],
    ['a DataView', (pem) => new DataView(new TextEncoder().encode(pem).buffer)],
    ['a part of a buffer', (pem) => new TextEncoder().encode(`xxx${pem}`).subarray(3)],
    ['an array', (pem) => [pem]],
    ['an array of buffers', (pem) => [Buffer.from(pem)]],
    ['text with more around it', (pem) => `Bag Attributes\n${pem}\nthe end`],
    ['text with the line ends of Windows', (pem) => pem.replaceAll('\n', '\r\n')],
  ];
  for (const [what, form] of forms) {
    test(what, () => {
      assert.equal(start({ key: form(a.key), cert: form(a.cert), ca: form(ca.cert) }).protocol, 'https');
    });
  }

  test('a file of Bun.file()', { skip: !isBunRuntime }, () => {
    const { Bun } = globalThis;
    writeFileSync(join(directory, 'key.pem'), a.key);
    writeFileSync(join(directory, 'cert.pem'), a.cert);

    start({ key: Bun.file(join(directory, 'key.pem')), cert: [Bun.file(join(directory, 'cert.pem'))] });
    assert.throws(() => start({ key: Bun.file(join(directory, 'missing.pem')) }), { code: 'ENOENT' });
  });

  for (const kind of ['ec', 'p384', 'rsa', 'ed25519']) {
    test(`of the kind ${kind}`, () => {
      const { key, cert } = selfSigned('x.test', { kind });

      start({ key, cert });
    });
  }

  test('a key as it was written before PKCS #8', () => {
    const { cert } = a;
    const sec1 = a.privateKey.export({ type: 'sec1', format: 'pem' });
    const pkcs1 = rsa.privateKey.export({ type: 'pkcs1', format: 'pem' });

    start({ key: sec1, cert });
    start({ key: pkcs1, cert: rsa.cert });
  });

  test('a certificate of version 1', () => {
    const { key, cert } = selfSigned('x.test', { version: 1 });

    start({ key, cert });
  });
});

/** An error as OpenSSL writes it. */
function openssl(number, library, reason, code) {
  const message = `error:${number}:${library}:OPENSSL_internal:${reason}`;
  return { name: 'Error', message, code, library, function: 'OPENSSL_internal', reason };
}
const noStartLine = openssl('0900006e', 'PEM routines', 'NO_START_LINE', 'ERR_OSSL_PEM_NO_START_LINE');
const badEndLine = openssl('09000066', 'PEM routines', 'BAD_END_LINE', 'ERR_OSSL_PEM_BAD_END_LINE');
const badBase64 = openssl('09000064', 'PEM routines', 'BAD_BASE64_DECODE', 'ERR_OSSL_PEM_BAD_BASE64_DECODE');
const decodeError = openssl('0c00006d', 'ASN.1 encoding routines', 'DECODE_ERROR', 'ERR_OSSL_ASN1_DECODE_ERROR');
const valuesMismatch = openssl('0b000074', 'X.509 certificate routines', 'KEY_VALUES_MISMATCH', 'ERR_OSSL_X509_KEY_VALUES_MISMATCH');
const typeMismatch = openssl('0b000073', 'X.509 certificate routines', 'KEY_TYPE_MISMATCH', 'ERR_OSSL_X509_KEY_TYPE_MISMATCH');
const noKeyWithin = openssl('06000066', 'public key routines', 'DECODE_ERROR', 'ERR_OSSL_EVP_DECODE_ERROR');
const badDecrypt = openssl('1e000065', 'Cipher functions', 'BAD_DECRYPT', 'ERR_OSSL_BAD_DECRYPT');

describe('serve() throws when', () => {
  const publicKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' });
  /** With its first bytes others: it is no DER any more. */
  const damaged = (pem) => pem.replace(/\n.{10}/, '\nAAAAAAAAAA');
  for (const [what, tls, error] of [
    ['the key is nothing like PEM', { ...pair, key: 'nonsense' }, noStartLine],
    ['the certificate is nothing like PEM', { ...pair, cert: 'nonsense' }, noStartLine],
    ['the key is empty', { ...pair, key: '' }, noStartLine],
    ['the certificate is empty', { ...pair, cert: '' }, noStartLine],
    ['the key is a certificate', { ...pair, key: a.cert }, noStartLine],
    ['the key is a public one', { ...pair, key: publicKey }, noStartLine],
    ['the certificate is a key', { ...pair, cert: a.key }, noStartLine],
    ['the key is DER', { ...pair, key: a.privateKey.export({ type: 'pkcs8', format: 'der' }) }, noStartLine],
    ['the list of revocations is none', { ...pair, crl: a.cert }, noStartLine],
    ['one of the keys is none', { ...pair, key: [a.key, 'nonsense'] }, noStartLine],
    ['the key ends early', { ...pair, key: a.key.slice(0, 100) }, badEndLine],
    ['the certificate ends early', { ...pair, cert: a.cert.slice(0, 200) }, badEndLine],
    ['the certificate is no base64', { ...pair, cert: a.cert.replace('MII', '!!!') }, badBase64],
    ['the key is damaged', { ...pair, key: damaged(a.key) }, decodeError],
    ['the certificate is damaged', { ...pair, cert: damaged(a.cert) }, decodeError],
    ['a certificate of the chain is damaged', { ...pair, cert: a.cert + damaged(ca.cert) }, decodeError],
    ['the key is that of another certificate', { key: b.key, cert: a.cert }, valuesMismatch],
    ['the last certificate of a kind has no key', { key: a.key, cert: [a.cert, b.cert] }, valuesMismatch],
    ['the chain is given as if it were more certificates', { key: a.key, cert: [a.cert, ca.cert] }, valuesMismatch],
    ['the key is of another kind', { key: rsa.key, cert: a.cert }, typeMismatch],
  ]) {
    test(what, () => {
      assert.throws(() => start(tls), error);
      assert.throws(() => start(undefined, tls), error);
      if (tls.key && tls.cert) assert.throws(() => start([pair, { ...tls, serverName: 'b.test' }]), error);
    });
  }

  test('an authority is none', () => {
    for (const bad of ['nonsense', '', [ca.cert, 'nonsense']]) {
      assert.throws(() => start({ ...pair, ca: bad }), { name: 'Error', message: /^Failed to create HTTP server/ });
    }
  });
});

describe('several keys and certificates', () => {
  for (const [what, tls] of [
    ['of different kinds', { key: [a.key, rsa.key], cert: [a.cert, rsa.cert] }],
    ['in different orders', { key: [rsa.key, a.key], cert: [a.cert, rsa.cert] }],
    ['of one kind', { key: [a.key, b.key], cert: [b.cert, a.cert] }],
    ['of which a key is not needed', { key: [b.key, a.key, rsa.key], cert: a.cert }],
    ['of which a certificate has no key of its kind', { key: a.key, cert: [rsa.cert, a.cert] }],
  ]) {
    test(`${what} are brought together`, () => {
      start(tls);
    });
  }
});

describe('a passphrase', () => {
  const { cert } = a;
  const wrong = ['wrong', '', undefined, null];

  /**
   * A wrong passphrase is found out by the padding (RFC 8018 §6.1.1), which is right by chance once in 256 times.
   * @param {'pkcs8' | 'sec1'} type
   * @param {boolean} byChance whether it is right for `wrong[0]`, instead of for none
   */
  function encrypt(type, byChance = false) {
    for (;;) {
      const key = a.privateKey.export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' });
      const right = wrong.map((passphrase) => isRubbish(key, passphrase ?? ''));
      if (byChance ? right[0] : !right.includes(true)) return key;
    }
  }

  function isRubbish(key, passphrase) {
    try {
      createPrivateKey({ key, passphrase });
    } catch ({ code }) {
      return code === 'ERR_OSSL_UNSUPPORTED' || code === 'ERR_OSSL_EVP_DECODE_ERROR';
    }
    throw new Error(`${passphrase} is the passphrase`);
  }

  for (const [what, type] of /** @type {const} */ ([
    ['PKCS #8', 'pkcs8'],
    ['PEM as it was encrypted before', 'sec1'],
  ])) {
    const key = encrypt(type);

    test(`decrypts ${what}`, () => {
      start({ key, cert, passphrase: 'secret' });
      start({ key: [Buffer.from(key)], cert, passphrase: 'secret' });
      start(undefined, { key, cert, passphrase: 'secret' });
    });

    test(`that is wrong or missing does not decrypt ${what}`, () => {
      for (const passphrase of wrong) assert.throws(() => start({ key, cert, passphrase }), badDecrypt);
    });

    test(`that is wrong and makes rubbish of ${what} is found out`, () => {
      assert.throws(() => start({ key: encrypt(type, true), cert, passphrase: wrong[0] }), noKeyWithin);
    });
  }

  test('is for the keys that need it', () => {
    const encrypted = encrypt('pkcs8');
    start({ key: [encrypted, rsa.key], cert: [cert, rsa.cert], passphrase: 'secret' });
    start({ ...pair, passphrase: 'not needed' });
  });
});

describe('reload()', () => {
  test('checks the types of tls', () => {
    const server = start(pair);

    throwsExactly(() => server.reload({ fetch, tls: true }), invalidArgType('TLSOptions must be an object'));
    throwsExactly(() => server.reload({ fetch, tls: { key: 1 } }), {
      ...invalidArgType('TLSOptions.key must be of type string, ArrayBuffer, Blob, array of <string, ArrayBuffer, or Blob>, or null'),
    });
  });

  test('without tls, or with none, goes on with what the server has', () => {
    const server = start(pair);

    for (const tls of [undefined, null, false, {}]) server.reload({ fetch, tls });

    assert.equal(server.protocol, 'https');
  });

  test('refuses bad keys', { skip: !differs('reload-tls') }, () => {
    const server = start(pair);

    assert.throws(() => server.reload({ fetch, tls: { ...pair, key: b.key } }), valuesMismatch);
    assert.throws(() => server.reload({ fetch, tls: { ...pair, key: 'nonsense' } }), noStartLine);
  });

  test('makes no https server of an http server', { skip: !differs('reload-tls') }, () => {
    const server = start();

    assert.throws(() => server.reload({ fetch, tls: pair }), { name: 'TypeError', message: /cannot make an http server serve https/ });
    assert.equal(server.protocol, 'http');
  });
});
