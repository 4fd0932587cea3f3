// @ts-check
// The request that the handler of a route gets: a Request with the parameters of its path and its cookies (§9).

'use strict';

const { CookieMap } = require('./cookies.js');
const { enumerable } = require('./members.js');
const { IncomingRequest } = require('./request.js');
const { parametersOf } = require('./routes.js');
const { pathOf } = require('./url.js');

/** Its name is the host's: nobody is to tell the difference by it. */
const RoutedRequest = class Request extends /** @type {any} */ (IncomingRequest) {
  #route;
  #exchange;
  /** @type {Record<string, string> | undefined} */
  #params;
  /** @type {InstanceType<typeof CookieMap> | undefined} */
  #cookies;

  /**
   * @param {import('./routes.js').HandlerRoute} route
   * @param {InstanceType<typeof import('./exchange.js').Exchange>} exchange
   */
  constructor(route, exchange) {
    super(exchange);
    this.#route = route;
    this.#exchange = exchange;
  }

  /** @returns {Record<string, string>} */
  get params() {
    const params = this.#params ?? parametersOf(this.#route, String(pathOf(this.#exchange.target)).split('?', 1)[0]);
    this.#params = params;
    return params;
  }

  /** What is set and deleted here goes out with the answer. */
  get cookies() {
    if (this.#cookies === undefined) {
      this.#cookies = new CookieMap(this.headers.get('cookie'));
      this.#exchange.cookies = this.#cookies;
    }
    return this.#cookies;
  }

  clone() {
    return withMembers(super.clone(), this.params, this.cookies);
  }

  get [Symbol.toStringTag]() {
    return 'BunRequest';
  }
};

enumerable(RoutedRequest);

/**
 * Gives a clone what the route gave its original. Its cookies are its own, and no answer carries them.
 * @param {globalThis.Request} request
 * @param {Record<string, string>} params
 * @param {InstanceType<typeof CookieMap>} cookies
 * @returns {any}
 */
function withMembers(request, params, cookies) {
  const copy = CookieMap.copy(cookies);
  return Object.defineProperties(request, {
    params: { value: params },
    cookies: { value: copy },
    clone: { value: () => withMembers(globalThis.Request.prototype.clone.call(request), params, copy) },
    [Symbol.toStringTag]: { value: 'BunRequest' },
  });
}

module.exports = { RoutedRequest };
