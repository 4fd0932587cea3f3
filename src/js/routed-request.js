// @ts-check
// The request that the handler of a route gets: a Request with the parameters of its path and its cookies (§9).

'use strict';

const { CookieMap } = require('./cookies.js');
const { enumerable } = require('./members.js');
const { IncomingRequest, exchangeOf, pathOf } = require('./request.js');
const { parametersOf } = require('./routes.js');

/** Its name is the host's: nobody is to tell the difference by it. */
const RoutedRequest = class Request extends IncomingRequest {
  #route;
  #target;
  /** @type {Record<string, string> | undefined} */
  #params;
  /** @type {InstanceType<typeof CookieMap> | undefined} */
  #cookies;

  /**
   * @param {import('./routes.js').HandlerRoute} route
   * @param {InstanceType<typeof import('./request.js').Exchange>} exchange
   * @param {string} method
   * @param {string} target
   * @param {[string, string][]} fields
   * @param {boolean} hasBody
   */
  constructor(route, exchange, method, target, fields, hasBody) {
    super(exchange, method, target, fields, hasBody);
    this.#route = route;
    this.#target = target;
  }

  /** @returns {Record<string, string>} */
  get params() {
    const params = this.#params ?? parametersOf(this.#route, String(pathOf(this.#target)).split('?', 1)[0]);
    this.#params = params;
    return params;
  }

  /** What is set and deleted here goes out with the answer. */
  get cookies() {
    if (this.#cookies === undefined) {
      this.#cookies = new CookieMap(this.headers.get('cookie'));
      const exchange = exchangeOf(this);
      if (exchange !== undefined) exchange.cookies = this.#cookies;
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
