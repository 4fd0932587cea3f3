// @ts-check
// How the host makes the request of an exchange, which has no stream, URL or signal before somebody asks for it.

'use strict';

const { splitFields } = require('./fields.js');

/** @typedef {InstanceType<typeof import('./exchange.js').Exchange>} Exchange */

const HostRequest = globalThis.Request;

/** Stands in where there is no host to make an absolute URL of. */
const PLACEHOLDER = 'http://localhost';

/**
 * What the host's constructor takes.
 * @param {Exchange} exchange
 * @param {BodyInit | undefined} body
 * @param {Headers} [headers] in place of the exchange's
 * @param {AbortSignal} [signal]
 * @returns {[string, any]}
 */
function hostArguments(exchange, body, headers, signal) {
  return [
    hostUrl(exchange.url),
    {
      method: hostMethod(exchange.method),
      headers: headers ?? splitFields(exchange.fields),
      credentials: 'include',
      referrer: '',
      ...(signal !== undefined && { signal }),
      ...(body !== undefined && { body, duplex: 'half' }),
    },
  ];
}

/**
 * What it takes for a request without fields that follows no signal.
 * @param {Exchange} exchange
 * @param {unknown} body
 * @returns {[string | globalThis.Request, any]}
 */
function bareArguments(exchange, body) {
  const { method, url } = exchange;
  const model = modelOf(url);
  if (method === 'GET' && model !== undefined) return [model, BARE];
  return [model ?? hostUrl(url), { ...MODEL, ...BARE, method: hostMethod(method), body, duplex: 'half' }];
}

/** What each copy of a model has to be given: of its own accord it would follow the model's signal. */
const BARE = { referrer: '', signal: null };
/** What it has from the model. */
const MODEL = /** @type {const} */ ({ credentials: 'include' });

/** Requests with nothing but a URL, by that URL; without one, it has been asked for once. */
const models = /** @type {Map<string, globalThis.Request | undefined>} */ (new Map());
const MAX_MODELS = 256;
/** Characters of the URL of one. */
const MAX_URL = 256;

/**
 * The model of requests with this URL, if it is asked for again and again: from a model the host makes a request in half the time that it takes
 * from a text.
 * @param {string} url
 */
function modelOf(url) {
  let model = models.get(url);
  if (model !== undefined || url.length > MAX_URL) return model;
  if (models.has(url)) model = new HostRequest(hostUrl(url), MODEL);
  else if (models.size === MAX_MODELS) models.clear();
  models.set(url, model);
  return model;
}

/** @param {string} url */
function hostUrl(url) {
  return URL.canParse(url) ? url : PLACEHOLDER + (url.startsWith('/') ? url : '');
}

/** @param {string} method */
function hostMethod(method) {
  return isAccepted(method) ? method : 'POST';
}

/** Whether the host's Request can be made with a method; a peer can send any token, so only so many are remembered. */
const acceptedMethods = /** @type {Map<string, boolean>} */ (new Map());
const MAX_METHODS = 64;

/** @param {string} method */
function isAccepted(method) {
  const known = acceptedMethods.get(method);
  if (known !== undefined) return known;
  const accepted = accepts({ method });
  if (acceptedMethods.size < MAX_METHODS) acceptedMethods.set(method, accepted);
  return accepted;
}

/**
 * Whether the host can make a request of this, with the method as it is.
 * @param {any} init
 */
function accepts(init) {
  try {
    return new HostRequest(PLACEHOLDER, init).method === init.method;
  } catch {
    return false;
  }
}

module.exports = { accepts, bareArguments, hostArguments, HostRequest, PLACEHOLDER };
