// @ts-check
// Keys and certificates for TLS, made when a test runs: nothing to install, nothing that expires in a repository.
//
//   const ca = authority('the authority');
//   const { key, cert } = ca.issue('a.test', { altNames: ['a.test', '127.0.0.1'] });      // PEM texts
//   const crl = ca.revoke(client);
//
// The DER is written by hand (X.690, RFC 5280): a certificate is a handful of nested SEQUENCEs.

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

/** @typedef {import('node:crypto').KeyObject} KeyObject */
/** @typedef {'ec' | 'p384' | 'p521' | 'rsa' | 'weak' | 'ed25519'} Kind of key */
/** @typedef {{ kind: Kind, privateKey: KeyObject, subject: Buffer }} Issuer */
/** @typedef {{ kind?: Kind, altNames?: string[], isAuthority?: boolean, usage?: 'client' | 'server', version?: 1 | 3, age?: number }} Details */

/**
 * How the keys of a kind are made, and how they sign.
 * @type {Record<Kind, { keys(): import('node:crypto').KeyPairKeyObjectResult, hash: string | null, algorithm(): Buffer }>}
 */
const KINDS = {
  ec: {
    keys: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    hash: 'sha256',
    algorithm: () => sequence(oid('1.2.840.10045.4.3.2')),
  },
  p384: {
    keys: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    hash: 'sha256',
    algorithm: () => sequence(oid('1.2.840.10045.4.3.2')),
  },
  p521: {
    keys: () => generateKeyPairSync('ec', { namedCurve: 'P-521' }),
    hash: 'sha256',
    algorithm: () => sequence(oid('1.2.840.10045.4.3.2')),
  },
  rsa: {
    keys: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    hash: 'sha256',
    algorithm: () => sequence(oid('1.2.840.113549.1.1.11'), NULL),
  },
  weak: {
    keys: () => generateKeyPairSync('rsa', { modulusLength: 1024 }),
    hash: 'sha256',
    algorithm: () => sequence(oid('1.2.840.113549.1.1.11'), NULL),
  },
  ed25519: { keys: () => generateKeyPairSync('ed25519'), hash: null, algorithm: () => sequence(oid('1.3.101.112')) },
};

const DAY = 24 * 60 * 60 * 1000;

/**
 * A certificate that issued itself. With `isAuthority: false` it is good for one server or client only.
 * @param {string} name
 * @param {Details} [options]
 */
export function selfSigned(name, options) {
  return certify(name, null, options);
}

/**
 * An authority: `issue` makes certificates, `revoke` lists of those that are good no more.
 * @param {string} name
 * @param {Details} [options]
 */
export function authority(name, options) {
  const own = selfSigned(name, { isAuthority: true, ...options });
  return {
    ...own,
    /** @type {(subject: string, details?: Details) => ReturnType<typeof certify>} */
    issue: (subject, details) => certify(subject, own, details),
    revoke: (/** @type {{ serial: Buffer }[]} */ ...certificates) => revocationList(own, certificates),
  };
}

/**
 * `kind`: of key. `altNames`: host names and IPv4 addresses. `usage`: 'client' or 'server', for that only. `version: 1` is a certificate without
 * extensions. `age`: days since its first day of 30.
 * @param {string} name
 * @param {Issuer | null} issuer null for itself
 * @param {Details} [details]
 */
function certify(name, issuer, { kind = 'ec', altNames = [], isAuthority = false, usage, version = 3, age = 1 } = {}) {
  const { publicKey, privateKey } = KINDS[kind].keys();
  const subject = distinguishedName(name);
  const { kind: signerKind, privateKey: signerKey, subject: issuerName } = issuer ?? { kind, privateKey, subject };
  const serial = integer(Buffer.concat([Buffer.from([1]), randomBytes(8)]));
  const extensions = /** @type {Buffer[]} */ (
    [
      isAuthority && extension('2.5.29.19', sequence(TRUE)),
      altNames.length > 0 && extension('2.5.29.17', sequence(...altNames.map(generalName))),
      usage && extension('2.5.29.37', sequence(oid(usage === 'client' ? '1.3.6.1.5.5.7.3.2' : '1.3.6.1.5.5.7.3.1'))),
    ].filter(Boolean)
  );
  const body = sequence(
    ...(version === 1 ? [] : [tagged(0, integer(Buffer.from([2])))]),
    serial,
    KINDS[signerKind].algorithm(),
    issuerName,
    sequence(time(-age * DAY), time((30 - age) * DAY)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    ...(version === 1 || extensions.length === 0 ? [] : [tagged(3, sequence(...extensions))]),
  );
  return {
    cert: pem('CERTIFICATE', signed(body, signerKind, signerKey)),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    privateKey,
    kind,
    subject,
    serial,
  };
}

/** @param {Issuer} issuer @param {{ serial: Buffer }[]} certificates */
function revocationList(issuer, certificates) {
  const revoked = certificates.map(({ serial }) => sequence(serial, time(-DAY)));
  const body = sequence(
    integer(Buffer.from([1])),
    KINDS[issuer.kind].algorithm(),
    issuer.subject,
    time(-DAY),
    time(30 * DAY),
    ...(revoked.length > 0 ? [sequence(...revoked)] : []),
    // RFC 5280 §5.2.3: the number of the list.
    tagged(0, sequence(extension('2.5.29.20', integer(Buffer.from([1]))))),
  );
  return pem('X509 CRL', signed(body, issuer.kind, issuer.privateKey));
}

/** @param {Buffer} body @param {Kind} kind @param {KeyObject} key */
function signed(body, kind, key) {
  const { hash, algorithm } = KINDS[kind];
  return sequence(body, algorithm(), bits(sign(hash, body, key)));
}

/** @param {string} label @param {Buffer} der */
function pem(label, der) {
  const lines = /** @type {string[]} */ (der.toString('base64').match(/.{1,64}/g));
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

const NULL = Buffer.from([0x05, 0]);
const TRUE = Buffer.from([0x01, 1, 0xff]);

/** @param {number} tag @param {Buffer[]} contents */
function element(tag, ...contents) {
  const content = Buffer.concat(contents);
  if (content.length < 128) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  const significant = length.subarray(length.findIndex((byte) => byte !== 0));
  return Buffer.concat([Buffer.from([tag, 0x80 | significant.length]), significant, content]);
}

const sequence = (/** @type {Buffer[]} */ ...contents) => element(0x30, ...contents);
const integer = (/** @type {Buffer} */ bytes) => element(0x02, bytes);
const octets = (/** @type {Buffer} */ content) => element(0x04, content);
const bits = (/** @type {Buffer} */ content) => element(0x03, Buffer.from([0]), content);
const tagged = (/** @type {number} */ number, /** @type {Buffer} */ content) => element(0xa0 | number, content);
const extension = (/** @type {string} */ identifier, /** @type {Buffer} */ content) => sequence(oid(identifier), octets(content));

/** @param {string} dotted */
function oid(dotted) {
  const [first, second, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const number of rest) {
    const septets = [number & 0x7f];
    for (let left = number >>> 7; left > 0; left >>>= 7) septets.unshift((left & 0x7f) | 0x80);
    bytes.push(...septets);
  }
  return element(0x06, Buffer.from(bytes));
}

/**
 * A name with nothing but a CN.
 * @param {string} name
 */
function distinguishedName(name) {
  return sequence(element(0x31, sequence(oid('2.5.4.3'), element(0x0c, Buffer.from(name)))));
}

/** @param {string} name */
function generalName(name) {
  const isAddress = /^\d+(\.\d+){3}$/.test(name);
  return isAddress ? element(0x87, Buffer.from(name.split('.').map(Number))) : element(0x82, Buffer.from(name));
}

/**
 * A GeneralizedTime, `offset` milliseconds from now.
 * @param {number} offset
 */
function time(offset) {
  const text = new Date(Date.now() + offset).toISOString();
  const digits = text.replaceAll(/[-:T]|\..*/g, '');
  return Number(digits.slice(0, 4)) < 2050 ? element(0x17, Buffer.from(`${digits.slice(2)}Z`)) : element(0x18, Buffer.from(`${digits}Z`));
}
