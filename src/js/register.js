// @ts-check
// Makes our classes the global ones, and gives programs that reach for `Bun` what of it there is. See register.d.ts.

'use strict';

const nodeModule = /** @type {any} */ (require('node:module'));
const { pathToFileURL } = require('node:url');

const isBun = process.versions.bun !== undefined;

// Before request.js is loaded: the requests that handlers get depend on it.
require('./globals.js').areOurs = !isBun;

const { Cookie, CookieMap } = require('./cookies.js');
const { fetch } = require('./fetch.js');
const { file, write } = require('./file.js');
const { IncomingRequest, Request } = require('./request.js');
const { Response } = require('./response.js');
const { semver } = require('./semver.js');
const { serve } = require('./server.js');

/** What there is of Bun. */
const BUN = {
  serve,
  Cookie,
  CookieMap,
  fetch,
  file,
  write,
  semver,
  /** Of the Bun whose `serve()` this is. */
  version: '1.4.5',
  env: process.env,
  argv: process.argv,
  /** Collects, where the program is allowed to ask for it. */
  gc: () => /** @type {any} */ (globalThis).gc?.(),
};

/** What else Bun 1.4.5 has. */
const MISSING = new Set(
  `$ Archive ArrayBufferSink CSRF CryptoHasher FFI FetchSession FileSystemRouter Glob Image JSON5 JSONC JSONL MD4 MD5
  ModuleGraph RedisClient S3Client SHA1 SHA224 SHA256 SHA384 SHA512 SHA512_256 SQL TOML Terminal Transpiler WebView XML YAML allocUnsafe
  build color concatArrayBuffers connect cron cwd deepEquals deepMatch deflateSync dns embeddedFiles enableANSIColors escapeHTML
  fileURLToPath generateHeapSnapshot gunzipSync gzipSync hash indexOfLine inflateSync inspect isMainThread isStandaloneExecutable jest
  listen main markdown mmap nanoseconds openInEditor origin password pathToFileURL peek plugin postgres randomUUIDv5 randomUUIDv7
  readableStreamToArray readableStreamToArrayBuffer readableStreamToBlob readableStreamToBytes readableStreamToFormData
  readableStreamToJSON readableStreamToText redis registerMacro resolve resolveSync revision s3 secrets sha shrink sleep sleepSync
  sliceAnsi spawn spawnSync sql stderr stdin stdout stringWidth stripANSI udpSocket unsafe version_with_sha which wrapAnsi
  zstdCompress zstdCompressSync zstdDecompress zstdDecompressSync`.split(/\s+/),
);

const Bun = new Proxy(BUN, {
  get(target, name, receiver) {
    if (typeof name === 'string' && MISSING.has(name) && !Object.hasOwn(target, name)) {
      throw new Error(`Bun.${name} is not there: this is mantou, which has Bun.serve and little else of Bun (see mantou/register)`);
    }
    return Reflect.get(target, name, receiver);
  },
});

/** What programs for Bun find in every Bun, and Node has from 23 on (https://websockets.spec.whatwg.org/#the-closeevent-interface). */
class CloseEvent extends Event {
  #init;

  /**
   * @param {string} type
   * @param {EventInit & { wasClean?: boolean, code?: number, reason?: string }} [init]
   */
  constructor(type, init = {}) {
    super(type, init);
    this.#init = { wasClean: Boolean(init.wasClean), code: Number(init.code ?? 0), reason: String(init.reason ?? '') };
  }

  get wasClean() {
    return this.#init.wasClean;
  }

  get code() {
    return this.#init.code;
  }

  get reason() {
    return this.#init.reason;
  }
}

/** @type {Record<string, unknown>} */
const wanted = isBun ? {} : { Request, Response, fetch };
if (Reflect.get(globalThis, 'CloseEvent') === undefined) wanted.CloseEvent = CloseEvent;
if (Reflect.get(globalThis, 'Bun') === undefined) wanted.Bun = Bun;
for (const [name, value] of Object.entries(wanted)) {
  const enumerable = Object.getOwnPropertyDescriptor(globalThis, name)?.enumerable ?? false;
  Object.defineProperty(globalThis, name, { value, enumerable, configurable: true, writable: true });
}
if ('Bun' in wanted) nodeModule.registerHooks?.({ resolve: resolveBun });
if (!isBun) Object.defineProperty(IncomingRequest.prototype, 'constructor', { value: Request });

/**
 * Finds a `bun` where there is none to load. The package of that name, which brings the program, has no module either.
 * @param {string} specifier
 * @param {object} context
 * @param {(specifier: string, context: object) => object} nextResolve
 */
function resolveBun(specifier, context, nextResolve) {
  if (specifier !== 'bun') return nextResolve(specifier, context);
  try {
    return nextResolve(specifier, context);
  } catch (error) {
    if (!/MODULE_NOT_FOUND$/.test(/** @type {any} */ (error).code)) throw error;
    return { url: pathToFileURL(require.resolve('./bun.js')).href, format: 'commonjs', shortCircuit: true };
  }
}

module.exports = { installed: Object.keys(wanted) };
