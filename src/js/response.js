// @ts-check
// The exported Response: what the host's is to all who use it, but made without a stream, so that the server can read status, fields and
// body as they were given. Whatever only the host's can do is done by one, made when it is needed.

'use strict';

const { markAsUncloneable = () => {} } = /** @type {any} */ (require('node:worker_threads'));

const { field, fieldsOf, findField, isField, joinFields, replaceFields, splitFields } = require('./fields.js');
const { blobOfForm } = require('./form.js');
const { ownsHostInstances, readsBytes, standInFor } = require('./stand-in.js');

const HostResponse = globalThis.Response;

/** What a body without a stream is: text, bytes that nobody else refers to, or a Blob. @typedef {string | Uint8Array | Blob} Content */

/** A response whose parts are at hand. @typedef {{ status: number, statusText: string, fields: string, content: Content | null }} Plain */

/**
 * The parts of a response that can be sent without a stream. Undefined for any value that is none.
 * @type {(value: any) => Plain | undefined}
 */
let plain;
/**
 * The same for one that can be sent now: its content is on its way and cannot be read any more.
 * @type {(value: any) => Plain | undefined}
 */
let take;

class Response {
  /** @type {Content | null} */
  #content = null;
  #status = 200;
  #statusText = '';
  /** Fields as text (`fields.js`). */
  #fields = '';
  /** The content type of the content, as a field, unless the fields name one: '' for none. */
  #type = '';
  /** In place of the fields, once touched. @type {Headers | undefined} */
  #headers;
  /** The host's, once something is asked that needs it; from then on the content is with it. @type {globalThis.Response | undefined} */
  #host;
  #isUsed = false;

  /**
   * @param {any} [body]
   * @param {any} [init]
   */
  constructor(body = null, init = undefined) {
    markAsUncloneable(this);
    if (Response.#read(this, body, init)) return;
    const status = isRecord(init) ? init.status : undefined;
    const isOurs = WITHOUT_CONTENT.has(status);
    this.#host = new HostResponse(body, isOurs ? { ...init, status: 200 } : init);
    if (isOurs) this.#status = status;
  }

  /**
   * Takes in what needs no more than a look. Returns false for what the host has to judge: streams, and whatever is wrong.
   * @param {Response} response
   * @param {any} body
   * @param {any} init
   */
  static #read(response, body, init) {
    if (typeof body === 'string') {
      response.#type = TEXT;
      response.#content = body;
    } else if (body !== null && body !== undefined) {
      const content = contentOf(body);
      if (content === undefined) return false;
      // Of a class of the user's the type may be anything.
      const type = content instanceof Blob ? content.type : '';
      if (type !== '' && isField('content-type', type)) response.#type = field('content-type', type);
      response.#content = content;
    }
    if (init === undefined) return true;
    if (!isRecord(init)) return false;
    const { headers, status = 200, statusText = '' } = init;
    if (!Number.isInteger(status) || ((status < 200 || status > 599) && status !== SWITCHING)) return false;
    if (response.#content !== null && !hasContent(status)) response.#type = '';
    if (typeof statusText !== 'string' || !PHRASE.test(statusText)) return false;
    response.#status = status;
    response.#statusText = statusText;
    if (headers === undefined) return true;
    const fields = fieldsOf(headers);
    if (fields === undefined) return false;
    response.#fields = fields;
    if (findField(fields, 'content-type') !== undefined) response.#type = '';
    return true;
  }

  static error() {
    return Response.#of(HostResponse.error());
  }

  /**
   * @param {any} data
   * @param {any} [init]
   * @returns {Response}
   */
  static json(data, init) {
    // Bun's takes a status in place of an init.
    if (typeof init === 'number') return Response.json(data, { status: init });
    const text = JSON.stringify(data);
    const response = text === undefined ? undefined : new Response(text, init);
    if (response === undefined || response.#host !== undefined)
      return Response.#of(Reflect.apply(HostResponse.json, HostResponse, arguments));
    if (response.#type !== '') response.#type = JSON_TYPE;
    return response;
  }

  /**
   * The host's, and like Bun's: what is no absolute URL is sent as it is, an init may take the place of the status, and the fields can be
   * changed.
   * @param {any} url
   * @param {any} [init]
   */
  static redirect(url, init = 302) {
    if (arguments.length === 0) return Reflect.apply(HostResponse.redirect, HostResponse, []);
    const text = String(url);
    const location = URL.canParse(text) ? new URL(text).href : text;
    if (typeof init !== 'object' || init === null) {
      const status = REDIRECTS.has(init) ? init : HostResponse.redirect(ANYWHERE, init).status;
      return new Response(null, { status, headers: { location } });
    }
    const response = new Response(null, init);
    response.headers.set('location', location);
    return response;
  }

  get body() {
    return this.#content === null && this.#host === undefined ? null : Response.#hostOf(this).body;
  }

  get bodyUsed() {
    return this.#host === undefined ? this.#isUsed : this.#host.bodyUsed;
  }

  clone() {
    if (this.#host !== undefined || this.#isUsed) return Response.#of(Response.#hostOf(this).clone(), this.#status);
    const copy = new Response();
    // The memory of bytes goes back when they are sent.
    copy.#content = this.#content instanceof Uint8Array ? copyOf(this.#content) : this.#content;
    copy.#status = this.#status;
    copy.#statusText = this.#statusText;
    copy.#fields = Response.#currentFields(this);
    return copy;
  }

  get headers() {
    if (this.#headers === undefined) {
      if (this.#host !== undefined) return this.#host.headers;
      this.#headers = new Headers(splitFields(Response.#currentFields(this)));
    }
    return this.#headers;
  }

  get ok() {
    const { status } = this;
    return status >= 200 && status <= 299;
  }

  get redirected() {
    return this.#host === undefined ? false : this.#host.redirected;
  }

  get status() {
    return this.#host === undefined || !hasContent(this.#status) ? this.#status : this.#host.status;
  }

  get statusText() {
    return this.#host === undefined ? this.#statusText : this.#host.statusText;
  }

  get type() {
    return this.#host === undefined ? 'default' : this.#host.type;
  }

  get url() {
    return this.#host === undefined ? '' : this.#host.url;
  }

  /**
   * The fields of now, for one without a host.
   * @param {Response} response
   */
  static #currentFields(response) {
    if (response.#headers !== undefined) return joinFields(response.#headers);
    return response.#fields + response.#type;
  }

  /**
   * A response that is the host's.
   * @param {globalThis.Response} host
   * @param {number} [status]
   */
  static #of(host, status = 200) {
    const response = new Response();
    response.#host = host;
    response.#status = status;
    return response;
  }

  /**
   * The host's response behind one of ours, with the fields of now.
   * @param {Response} response
   * @returns {globalThis.Response}
   */
  static #hostOf(response) {
    const host = response.#host;
    if (host === undefined) {
      const isTheirs = hasContent(response.#status) || (response.#content === null && response.#status !== SWITCHING);
      const status = isTheirs ? response.#status : 200;
      const init = { status, statusText: response.#statusText, headers: splitFields(Response.#currentFields(response)) };
      const made = new HostResponse(/** @type {any} */ (response.#content), init);
      // Sent already, past the host: it must not be read again.
      if (response.#isUsed) made.arrayBuffer();
      response.#host = made;
      return made;
    }
    if (response.#headers !== undefined) replaceFields(host.headers, response.#headers);
    return host;
  }

  static {
    const isOurs = (/** @type {any} */ value) => typeof value === 'object' && value !== null && #content in value;
    ownsHostInstances(Response, HostResponse);
    standInFor(Response, HostResponse, isOurs, Response.#hostOf);
    readsBytes(Response);
    plain = (value) => {
      if (!isOurs(value) || value.#host !== undefined) return undefined;
      const content = hasContent(value.#status) ? value.#content : null;
      return { status: value.#status, statusText: value.#statusText, fields: Response.#currentFields(value), content };
    };
    take = (value) => {
      if (!isOurs(value) || value.#host !== undefined || value.#isUsed) return undefined;
      const content = hasContent(value.#status) ? value.#content : null;
      value.#isUsed = content !== null;
      if (content instanceof Uint8Array) value.#content = SPENT;
      return { status: value.#status, statusText: value.#statusText, fields: Response.#currentFields(value), content };
    };
  }
}

/**
 * @param {any} body
 * @returns {Content | undefined} undefined for what only the host can read
 */
function contentOf(body) {
  if (ArrayBuffer.isView(body)) {
    return body.buffer instanceof ArrayBuffer ? copyOf(new Uint8Array(body.buffer, body.byteOffset, body.byteLength)) : undefined;
  }
  if (body instanceof ArrayBuffer) return copyOf(new Uint8Array(body));
  if (body instanceof FormData) return READS_FORMS ? blobOfForm(body) : undefined;
  return body instanceof Blob ? body : undefined;
}

/** Whether an init can be read for what it is: an object of nobody's class. @param {any} init */
function isRecord(init) {
  return typeof init === 'object' && init !== null && Object.getPrototypeOf(init) === Object.prototype;
}

/** Whether an answer with this status has content (https://fetch.spec.whatwg.org/#null-body-status). @param {number} status */
function hasContent(status) {
  return status === 200 || !WITHOUT_CONTENT.has(status);
}

/**
 * A copy in memory of its own.
 * @param {Uint8Array} bytes
 */
function copyOf(bytes) {
  // Not zeroed before it is written to.
  const copy = new Uint8Array(Buffer.allocUnsafeSlow(bytes.byteLength).buffer);
  copy.set(bytes);
  return copy;
}

/** Hosts so old that they have no `bytes()` (Node 20.3 to 20.5 at least) wait for ever for the end of a form that is a Blob. */
const READS_FORMS = 'bytes' in HostResponse.prototype;

/** In place of bytes that have been taken. */
const SPENT = new Uint8Array(0);

const TEXT = field('content-type', 'text/plain;charset=UTF-8');
const JSON_TYPE = field('content-type', 'application/json');
/** What programs for Bun return when they have upgraded a request (RFC 9110 §15.2.2). Node's class has no such status. */
const SWITCHING = 101;
/** As in Bun, a body may be given with these, and is not sent. Node's class takes none: such a status stays with ours. */
const WITHOUT_CONTENT = new Set([SWITCHING, 204, 205, 304]);
/** https://fetch.spec.whatwg.org/#redirect-status: the host judges any other. */
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const ANYWHERE = 'http://localhost';
/** RFC 9112 §4: what a reason phrase may consist of. */
const PHRASE = /^[\t -~\x80-\xff]*$/;

// Bun makes its own without a stream, and tells more of it than a class of ours could.
module.exports = { Response: process.versions.bun === undefined ? Response : HostResponse, hasContent, plain, take };
