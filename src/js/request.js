// @ts-check
// Requests: the exported class, and those that a server hands to its handlers.

'use strict';

const { getEventListeners } = require('node:events');
const { markAsUncloneable = () => {} } = /** @type {any} */ (require('node:worker_threads'));

const { bodyStream, bytesOf, textOf } = require('./body.js');
const { appendFields, replaceFields } = require('./fields.js');
const { manner } = require('./engine.js');
const globals = require('./globals.js');
const { accepts, bareArguments, hostArguments, HostRequest, PLACEHOLDER } = require('./host-request.js');
const { canStandIn, LazyStream } = require('./lazy-stream.js');
const { ownsHostInstances, readsBytes, showParts, standInFor } = require('./stand-in.js');

/** @typedef {InstanceType<typeof import('./exchange.js').Exchange>} Exchange */

const isBun = process.versions.bun !== undefined;

/** Whatever an incoming request does not say is as in this one. */
const PLAIN = new HostRequest(PLACEHOLDER);

/** Where the host keeps what a request is made of, if it does so under symbols: Node 20 and 22. Later it is in private fields. */
const PARTS = Object.getOwnPropertySymbols(PLAIN);

/** The host's request behind a lazy one; any other value is itself. @type {(value: any) => any} */
let unveil;

/**
 * What is given to `new Request()` or `fetch()`, as the host takes it: a lazy request fails where the host keeps the parts of its own in
 * private fields, and a body that is a stream where nobody says `duplex: 'half'`, which Bun does not ask for.
 * @param {any[]} args
 */
function forHost(args) {
  const [input, init] = args;
  const given = [unveil(input), isStreaming(init) ? withMember(init, 'duplex', 'half') : init, ...args.slice(2)];
  return given.slice(0, args.length);
}

/**
 * Whether an init has a stream for a body and does not say how it is to be sent.
 * @param {any} init
 */
function isStreaming(init) {
  if (typeof init !== 'object' || init === null || init.duplex !== undefined) return false;
  const { body } = init;
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}

/**
 * An init that is another one, which may be of any class, but for one member.
 * @param {any} init
 * @param {string} name
 * @param {unknown} value
 */
function withMember(init, name, value) {
  return new Proxy({}, { get: (_, key) => (key === name ? value : init?.[key]) });
}

/** The host's Request, which also takes a lazy one for what it is, and a stream without further words. */
class Request extends HostRequest {
  /** @param {any[]} args */
  constructor(...args) {
    super(.../** @type {[any, any]} */ (forHost(args)));
  }
}
ownsHostInstances(Request, HostRequest);
readsBytes(Request);

/** What cannot be told from a request that came over the wire is as the host has it. */
const DEFAULTS = /** @type {const} */ ([
  'cache',
  'destination',
  'duplex',
  'integrity',
  'isHistoryNavigation',
  'isReloadNavigation',
  'keepalive',
  'mode',
  'redirect',
  'referrerPolicy',
]);

/**
 * The exchange of a request that a server of ours received; undefined for any other value.
 * @type {(value: any) => Exchange | undefined}
 */
let exchangeOf;

/**
 * An incoming request that costs what is asked of it. Whatever only the host's can do is done by one, made when it is needed.
 */
class LazyRequest {
  #exchange;
  /** @type {Headers | undefined} */
  #headers;
  /** The host's, once something is asked that needs it; from then on the body is there. @type {globalThis.Request | undefined} */
  #host;
  /** The body was read past the host. */
  #isUsed = false;

  /** @param {Exchange} exchange */
  constructor(exchange) {
    markAsUncloneable(this);
    this.#exchange = exchange;
  }

  get method() {
    return this.#exchange.method;
  }

  get url() {
    return this.#exchange.url;
  }

  get headers() {
    this.#headers ??= this.#host?.headers ?? appendFields(new Headers(), this.#exchange.fields);
    return this.#headers;
  }

  get signal() {
    return this.#exchange.signal;
  }

  get credentials() {
    return 'include';
  }

  get referrer() {
    return '';
  }

  get body() {
    return this.#exchange.hasBody ? LazyRequest.#hostOf(this).body : null;
  }

  get bodyUsed() {
    return this.#host === undefined ? this.#isUsed : this.#host.bodyUsed;
  }

  async arrayBuffer() {
    return LazyRequest.#takeBody(this) ? (await bytesOf(this.#exchange)).buffer : LazyRequest.#hostOf(this).arrayBuffer();
  }

  async bytes() {
    // Not every host whose requests have symbols has bytes().
    return LazyRequest.#takeBody(this) ? bytesOf(this.#exchange) : new Uint8Array(await LazyRequest.#hostOf(this).arrayBuffer());
  }

  async json() {
    return LazyRequest.#takeBody(this) ? parse(textOf(this.#exchange)) : LazyRequest.#hostOf(this).json();
  }

  async text() {
    return LazyRequest.#takeBody(this) ? textOf(this.#exchange) : LazyRequest.#hostOf(this).text();
  }

  clone() {
    return following(LazyRequest.#hostOf(this).clone(), this.signal);
  }

  /**
   * Takes the body, to read it past the host. False when there is none, or the host has it.
   * @param {LazyRequest} request
   */
  static #takeBody(request) {
    if (!request.#exchange.hasBody || request.#host !== undefined || request.#isUsed) return false;
    request.#isUsed = true;
    return true;
  }

  /**
   * The host's request behind one of ours, with the fields of now.
   * @param {LazyRequest} request
   * @returns {globalThis.Request}
   */
  static #hostOf(request) {
    const exchange = request.#exchange;
    if (request.#host === undefined) {
      // What was read past the host must not be read again.
      const body = request.#isUsed ? SPENT : exchange.hasBody ? bodyStream(exchange) : undefined;
      const host = new HostRequest(...hostArguments(exchange, body, request.#headers));
      exchange.followBy(new Followers(host.signal));
      if (request.#isUsed) host.arrayBuffer();
      request.#host = host;
      request.#headers ??= host.headers;
    } else if (request.#headers !== undefined && request.#headers !== request.#host.headers) {
      replaceFields(request.#host.headers, request.#headers);
    }
    return request.#host;
  }

  static {
    const isOurs = (/** @type {any} */ value) => typeof value === 'object' && value !== null && #exchange in value;
    exchangeOf = (value) => (isOurs(value) ? value.#exchange : undefined);
    unveil = (value) => (isOurs(value) ? LazyRequest.#hostOf(value) : value);
    for (const name of DEFAULTS)
      Object.defineProperty(LazyRequest.prototype, name, { configurable: true, get: () => /** @type {any} */ (PLAIN)[name] });
    standInFor(LazyRequest, HostRequest, isOurs, LazyRequest.#hostOf);
    showParts(LazyRequest, PARTS, isOurs, LazyRequest.#hostOf);
  }
}

/** In place of a body that is no longer there. */
const SPENT = new Uint8Array(0);

/**
 * An incoming request that the host made: for hosts that look inside theirs.
 *
 * The host is not told of the signal: a signal to follow is most of what a request costs there. It has one of its own instead, which its
 * copies follow, and which is made to tell them when the request's signal aborts. Nor is it given a stream that is there already for a body.
 */
class HostedRequest extends HostRequest {
  #exchange;
  /** The body as the host was given it, if it is a lazy one. @type {InstanceType<typeof LazyStream> | undefined} */
  #stream;

  /** @param {Exchange} exchange */
  constructor(exchange) {
    const stream = exchange.hasBody && takesLazyStreams ? new LazyStream(exchange) : undefined;
    super(...bareArguments(exchange, stream ?? (exchange.hasBody ? bodyStream(exchange) : undefined)));
    appendFields(super.headers, exchange.fields);
    this.#exchange = exchange;
    this.#stream = stream;
    exchange.followBy(new Followers(super.signal));
  }

  get method() {
    return this.#exchange.method;
  }

  get url() {
    return this.#exchange.url;
  }

  get signal() {
    return this.#exchange.signal;
  }

  get body() {
    return takesLazyStreams ? LazyStream.hostOf(super.body) : super.body;
  }

  async arrayBuffer() {
    return this.#takeBody() ? (await bytesOf(this.#exchange)).buffer : super.arrayBuffer();
  }

  async bytes() {
    return this.#takeBody() ? bytesOf(this.#exchange) : super.bytes();
  }

  async json() {
    return this.#takeBody() ? parse(textOf(this.#exchange)) : super.json();
  }

  async text() {
    return this.#takeBody() ? textOf(this.#exchange) : super.text();
  }

  clone() {
    return following(super.clone(), this.signal);
  }

  /** Takes the body, to read it past the host. False when there is none, or it has been touched. */
  #takeBody() {
    return this.#stream !== undefined && LazyStream.take(this.#stream);
  }

  static {
    const isOurs = (/** @type {any} */ value) => typeof value === 'object' && value !== null && #exchange in value;
    const exchangeOfOthers = exchangeOf;
    exchangeOf = (value) => (isOurs(value) ? value.#exchange : exchangeOfOthers(value));
    standInFor(HostedRequest, HostRequest, isOurs, (self) => self);
  }
}

/** An incoming request in Bun, which makes its own as fast as we could. */
class BunRequest extends HostRequest {
  #exchange;

  /** @param {Exchange} exchange */
  constructor(exchange) {
    super(...hostArguments(exchange, exchange.hasBody ? bodyStream(exchange) : undefined, undefined, exchange.signal));
    this.#exchange = exchange;
  }

  get method() {
    return this.#exchange.method;
  }

  get url() {
    return this.#exchange.url;
  }

  static {
    const isOurs = (/** @type {any} */ value) => typeof value === 'object' && value !== null && #exchange in value;
    const exchangeOfOthers = exchangeOf;
    exchangeOf = (value) => (isOurs(value) ? value.#exchange : exchangeOfOthers(value));
    standInFor(BunRequest, HostRequest, isOurs, (self) => self);
  }
}

/**
 * @param {string | Promise<string>} text
 */
async function parse(text) {
  return JSON.parse(typeof text === 'string' ? text : await text);
}

/**
 * A copy whose signal aborts with another one. That of the host's own clone does not once garbage is collected: Node has nothing but a weak
 * reference to what could abort it.
 * @param {globalThis.Request} copy
 * @param {AbortSignal} signal
 */
function following(copy, signal) {
  return new HostRequest(copy, { signal, referrer: '' });
}

/**
 * Those who follow a signal of the host's. Only its controller could abort it, and nobody has that.
 */
class Followers {
  #signal;

  /** @param {AbortSignal} signal */
  constructor(signal) {
    this.#signal = signal;
  }

  get isFollowed() {
    return getEventListeners(this.#signal, 'abort').length > 0;
  }

  /** Tells them that it has aborted. @param {unknown} reason */
  abort(reason) {
    if (this.#signal.aborted) return;
    Object.defineProperties(this.#signal, { aborted: { value: true }, reason: { value: reason } });
    this.#signal.dispatchEvent(new Event('abort'));
  }
}

/** Whether the host takes a lazy stream for one of its own. */
const takesLazyStreams =
  !isBun && canStandIn && accepts({ method: 'POST', body: new LazyStream(/** @type {any} */ (undefined)), duplex: 'half' });

/** Lazy where the host cannot tell: it finds the parts of its own behind the same symbols, or asks our Request first. */
const IncomingRequest = isBun ? BunRequest : PARTS.length > 0 || globals.areOurs ? LazyRequest : HostedRequest;
// Copies that the host makes of its own are followed from the beginning.
manner.followsRequests = IncomingRequest === HostedRequest;
Object.defineProperty(IncomingRequest.prototype, 'constructor', { value: HostRequest });

module.exports = { IncomingRequest, Request: isBun ? HostRequest : Request, exchangeOf, forHost, withMember };
