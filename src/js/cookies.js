// @ts-check
// Cookie and CookieMap, as Bun has them (§9.1): what a request brings, and the Set-Cookie lines that its answer gets.

'use strict';

const { inspect } = require('node:util');

const { coded, invalidArgument } = require('./errors.js');
const { enumerable } = require('./members.js');
const { decodePercent } = require('./percent.js');

/** @typedef {{ domain?: string, path?: string, expires?: Date | number | string, maxAge?: number, secure?: boolean, httpOnly?: boolean, partitioned?: boolean, sameSite?: string }} CookieOptions */

const NAME = /^[!-:<>-~]+$/;
/** RFC 6265bis §4.1.3: what is set under such a name without Secure is ignored, so that it would not be deleted either. */
const SECURE_NAME = /^__(?:Secure|Host)-/i;
const PATH = /^[ -:=-~]*$/;
const DOMAIN = /^[a-z0-9.-]*$/;
/** By their names in options, the words of the line. */
const SAME_SITE = /** @type {Record<string, string>} */ ({ strict: 'Strict', lax: 'Lax', none: 'None' });

class Cookie {
  #name;
  #value;
  /** @type {string | null} */
  #domain = null;
  #path = '/';
  /** @type {Date | undefined} */
  #expires;
  /** @type {number | undefined} */
  #maxAge;
  #secure = false;
  #httpOnly = false;
  #partitioned = false;
  #sameSite = 'lax';

  /**
   * From a name, a value and options, from an object that has them all, or from a Set-Cookie line.
   * @param {any} name
   * @param {any} [value]
   * @param {any} [options]
   */
  constructor(name, value, options = undefined) {
    if (arguments.length < 2) {
      if (typeof name === 'string') {
        [name, value, options] = parseLine(name);
      } else if (typeof name === 'object' && name !== null) {
        if (!('name' in name)) throw new TypeError('name is required');
        options = name;
        name = options.name;
        value = 'value' in options ? options.value : '';
      } else {
        throw notEnough();
      }
    }
    const text = `${name}`;
    if (text === '') throw new TypeError('name is required');
    this.#name = checked('name', NAME, text);
    this.#value = wellFormed(value);
    if (options === undefined || options === null) return;
    const { domain, path, expires, maxAge, secure, httpOnly, partitioned, sameSite } = asOptions(options);
    if (domain !== undefined && domain !== null) this.#domain = checked('domain', DOMAIN, `${domain}`);
    if (path !== undefined && path !== null) this.#path = checked('path', PATH, `${path}`);
    this.#expires = asExpiry(expires);
    if (typeof maxAge === 'number' && !Number.isNaN(maxAge)) this.#maxAge = maxAge;
    this.#secure = Boolean(secure);
    this.#httpOnly = Boolean(httpOnly);
    this.#partitioned = Boolean(partitioned);
    if (sameSite !== undefined && sameSite !== null) this.#sameSite = asSameSite(sameSite);
  }

  /** @param {any} line a Set-Cookie line, whose value stays as it is */
  static parse(line) {
    if (arguments.length === 0) throw notEnough();
    return new Cookie(...parseLine(`${line}`));
  }

  /**
   * @param {any} name
   * @param {any} value
   * @param {any} options
   */
  static from(name, value, options) {
    if (arguments.length < 2) throw notEnough();
    return new Cookie(name, value, options);
  }

  /** @param {any} self */
  static is(self) {
    return typeof self === 'object' && self !== null && #name in self;
  }

  get name() {
    return cookie(this, 'name').#name;
  }

  get value() {
    return cookie(this, 'value').#value;
  }

  set value(value) {
    cookie(this, 'value').#value = wellFormed(value);
  }

  get domain() {
    return cookie(this, 'domain').#domain;
  }

  set domain(domain) {
    cookie(this, 'domain').#domain = checked('domain', DOMAIN, `${domain}`);
  }

  get path() {
    return cookie(this, 'path').#path;
  }

  set path(path) {
    cookie(this, 'path').#path = checked('path', PATH, `${path}`);
  }

  /** @returns {Date | undefined} */
  get expires() {
    return cookie(this, 'expires').#expires;
  }

  set expires(/** @type {any} */ expires) {
    cookie(this, 'expires').#expires = asExpiry(expires);
  }

  get maxAge() {
    return cookie(this, 'maxAge').#maxAge;
  }

  set maxAge(maxAge) {
    const self = cookie(this, 'maxAge');
    // A BigInt is refused here, by the engine.
    const seconds = maxAge === undefined || maxAge === null ? undefined : +maxAge;
    if (seconds !== undefined && !Number.isFinite(seconds)) throw new TypeError('The provided value is non-finite');
    self.#maxAge = seconds;
  }

  get secure() {
    return cookie(this, 'secure').#secure;
  }

  set secure(secure) {
    cookie(this, 'secure').#secure = Boolean(secure);
  }

  get httpOnly() {
    return cookie(this, 'httpOnly').#httpOnly;
  }

  set httpOnly(httpOnly) {
    cookie(this, 'httpOnly').#httpOnly = Boolean(httpOnly);
  }

  get sameSite() {
    return cookie(this, 'sameSite').#sameSite;
  }

  set sameSite(sameSite) {
    cookie(this, 'sameSite').#sameSite = asSameSite(`${sameSite}`.toLowerCase());
  }

  get partitioned() {
    return cookie(this, 'partitioned').#partitioned;
  }

  set partitioned(partitioned) {
    cookie(this, 'partitioned').#partitioned = Boolean(partitioned);
  }

  /** Whether it is to be forgotten: Max-Age decides, where there is one (RFC 6265 §5.3). */
  isExpired() {
    const { maxAge, expires } = cookie(this, 'isExpired');
    if (maxAge !== undefined) return maxAge <= 0;
    return expires !== undefined && expires.getTime() < Date.now();
  }

  /** The Set-Cookie line. */
  toString() {
    const self = cookie(this, 'toString');
    let line = `${self.#name}=${encodeURIComponent(self.#value)}`;
    if (self.#domain) line += `; Domain=${self.#domain}`;
    if (self.#path) line += `; Path=${self.#path}`;
    if (self.#expires !== undefined) line += `; Expires=${self.#expires.toUTCString()}`;
    if (self.#maxAge !== undefined) line += `; Max-Age=${self.#maxAge}`;
    if (self.#secure) line += '; Secure';
    if (self.#httpOnly) line += '; HttpOnly';
    if (self.#partitioned) line += '; Partitioned';
    return `${line}; SameSite=${SAME_SITE[self.#sameSite]}`;
  }

  toJSON() {
    const self = cookie(this, 'toJSON');
    return Object.assign(Object.create(null), {
      name: self.#name,
      value: self.#value,
      ...(self.#domain && { domain: self.#domain }),
      path: self.#path,
      ...(self.#expires !== undefined && { expires: self.#expires }),
      ...(self.#maxAge !== undefined && { maxAge: self.#maxAge }),
      secure: self.#secure,
      sameSite: self.#sameSite,
      httpOnly: self.#httpOnly,
      partitioned: self.#partitioned,
    });
  }

  serialize() {
    return cookie(this, 'serialize').toString();
  }

  [inspect.custom]() {
    return this.toJSON();
  }

  get [Symbol.toStringTag]() {
    return 'Cookie';
  }
}

class CookieMap {
  /** What came, as it came: a name may be there twice. @type {[string, string][]} */
  #received;
  /** What was set or deleted since, each name once, in that order. An empty value is there for nobody but the client. @type {Cookie[]} */
  #changed = [];

  /** @param {any} [init] a Cookie field, pairs or an object */
  constructor(init) {
    this.#received = asPairs(init);
  }

  /** @param {any} self */
  static is(self) {
    return typeof self === 'object' && self !== null && #received in self;
  }

  /**
   * A copy that goes its own way.
   * @param {CookieMap} map
   */
  static copy(map) {
    const copy = new CookieMap();
    copy.#received = [...map.#received];
    copy.#changed = [...map.#changed];
    return copy;
  }

  get size() {
    // Bun's says no more than this.
    if (!CookieMap.is(this)) throw new TypeError('Type error');
    return this.#received.length + this.#changed.filter(isThere).length;
  }

  /**
   * @param {any} name
   * @returns {string | null}
   */
  get(name) {
    const self = map(this, 'get');
    return arguments.length === 0 ? null : self.#find(wellFormed(name));
  }

  has(/** @type {any} */ name) {
    const self = map(this, 'has');
    return arguments.length > 0 && self.#find(wellFormed(name)) !== null;
  }

  /** @param {string} name */
  #find(name) {
    const changed = this.#changed.find((cookie) => cookie.name === name);
    if (changed !== undefined) return isThere(changed) ? changed.value : null;
    return this.#received.find(([known]) => known === name)?.[1] ?? null;
  }

  /**
   * @param {any} name or a Cookie, or an object to make one of
   * @param {any} value
   * @param {any} [options]
   */
  set(name, value, options = undefined) {
    const self = map(this, 'set');
    if (arguments.length === 0) return;
    if (typeof name === 'object' && name !== null) {
      self.#change(Cookie.is(name) ? name : new Cookie(name));
      return;
    }
    if (arguments.length < 2) throw notEnough();
    self.#change(new Cookie(checked('name', NAME, `${name}`), value, options));
  }

  /**
   * Has the client forget a cookie: it must be named with the path and domain that it was set with.
   * @param {any} name or an object with `name`, `path` and `domain`
   * @param {any} [options] `path` and `domain`
   */
  delete(name, options = undefined) {
    const self = map(this, 'delete');
    if (arguments.length === 0) return;
    const isInit = typeof name === 'object' && name !== null;
    const text = isInit ? name.name : name;
    if (typeof text !== 'string') throw new TypeError('Cookie name is required');
    const { path, domain } = isInit ? name : arguments.length > 1 ? asOptions(options) : {};
    self.#change(new Cookie(checked('name', NAME, text), '', { path, domain, expires: 0, secure: SECURE_NAME.test(text) }));
  }

  /** @param {Cookie} cookie */
  #change(cookie) {
    const { name } = cookie;
    this.#received = this.#received.filter(([known]) => known !== name);
    this.#changed = this.#changed.filter((known) => known.name !== name);
    this.#changed.push(cookie);
  }

  /**
   * The pair at a place, undefined where it is not there for anybody, null behind the last.
   * @param {number} index
   * @returns {[string, string] | undefined | null}
   */
  #at(index) {
    if (index < this.#changed.length) {
      const cookie = this.#changed[index];
      return isThere(cookie) ? [cookie.name, cookie.value] : undefined;
    }
    const pair = this.#received[index - this.#changed.length];
    return pair === undefined ? null : [pair[0], pair[1]];
  }

  /**
   * Walks the map as it is at each step.
   * @template T
   * @param {CookieMap} self
   * @param {(pair: [string, string]) => T} choose
   * @returns {IterableIterator<T>}
   */
  static #walk(self, choose) {
    let index = 0;
    const walk = Object.create(iteratorPrototype);
    steps.set(walk, () => {
      let pair = self.#at(index++);
      while (pair === undefined) pair = self.#at(index++);
      if (pair !== null) return { value: choose(pair), done: false };
      index = Number.POSITIVE_INFINITY;
      return { value: undefined, done: true };
    });
    return walk;
  }

  entries() {
    return CookieMap.#walk(map(this, 'entries'), (pair) => pair);
  }

  keys() {
    return CookieMap.#walk(map(this, 'keys'), ([name]) => name);
  }

  values() {
    return CookieMap.#walk(map(this, 'values'), ([, value]) => value);
  }

  /**
   * @param {any} callback
   * @param {any} [thisArg]
   */
  forEach(callback, thisArg = undefined) {
    const self = map(this, 'forEach');
    if (typeof callback !== 'function') throw invalidArgument('Cannot call callback on a non-function');
    for (const [name, value] of self.entries()) callback.call(thisArg, value, name, self);
  }

  /** @returns {Record<string, string>} the first of each name */
  toJSON() {
    const pairs = [...map(this, 'toJSON').entries()];
    return Object.fromEntries(pairs.filter(([name], index) => pairs.findIndex(([other]) => other === name) === index));
  }

  /** The Set-Cookie lines for what was set and deleted. */
  toSetCookieHeaders() {
    return map(this, 'toSetCookieHeaders').#changed.map(String);
  }

  [inspect.custom]() {
    return this.toJSON();
  }

  get [Symbol.toStringTag]() {
    return 'CookieMap';
  }
}

/** How the iterators of maps go on. @type {WeakMap<object, () => IteratorResult<any>>} */
const steps = new WeakMap();

const iteratorPrototype = Object.create(Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())), {
  next: {
    value: {
      next() {
        const step = steps.get(this);
        if (step === undefined) throw new TypeError('Cannot call next() on a value that is no CookieMap Iterator');
        return step();
      },
    }.next,
    writable: true,
    enumerable: true,
    configurable: true,
  },
  [Symbol.toStringTag]: { value: 'CookieMap Iterator', configurable: true },
});

enumerable(Cookie);
enumerable(CookieMap);
Object.defineProperty(CookieMap.prototype, Symbol.iterator, {
  value: CookieMap.prototype.entries,
  writable: true,
  configurable: true,
});

/**
 * @param {any} self
 * @param {string} member
 * @returns {Cookie}
 */
function cookie(self, member) {
  if (!Cookie.is(self)) throw notOneOf('Cookie', member);
  return self;
}

/**
 * @param {any} self
 * @param {string} member
 * @returns {CookieMap}
 */
function map(self, member) {
  if (!CookieMap.is(self)) throw notOneOf('CookieMap', member);
  return self;
}

/**
 * @param {string} className
 * @param {string} member
 */
function notOneOf(className, member) {
  return coded(TypeError, 'ERR_INVALID_THIS', `Can only call ${className}.${member} on instances of ${className}`);
}

function notEnough() {
  return coded(TypeError, 'ERR_MISSING_ARGS', 'Not enough arguments');
}

/** A cookie with an empty value is how a deleted one goes to the client. */
function isThere(/** @type {Cookie} */ cookie) {
  return cookie.value !== '';
}

/**
 * A value as text in which each half of a character is U+FFFD: a line cannot carry one.
 * @param {unknown} value
 */
function wellFormed(value) {
  return /** @type {any} */ (`${value}`).toWellFormed();
}

/**
 * @param {string} what
 * @param {RegExp} allowed
 * @param {string} text
 */
function checked(what, allowed, text) {
  if (!allowed.test(text)) throw new TypeError(`Invalid cookie ${what}: contains invalid characters`);
  return text;
}

/**
 * @param {any} options
 * @returns {any}
 */
function asOptions(options) {
  if (typeof options !== 'object' || options === null) throw new TypeError('Options must be an object');
  return options;
}

/** @param {any} sameSite */
function asSameSite(sameSite) {
  if (typeof sameSite === 'string' && Object.hasOwn(SAME_SITE, sameSite)) return sameSite;
  throw new TypeError("Invalid sameSite value. Must be 'strict', 'lax', or 'none'");
}

/**
 * A Date, seconds since 1970, or a date as HTTP writes it.
 * @param {any} value
 * @returns {Date | undefined}
 */
function asExpiry(value) {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') {
    const date = parseDate(value);
    if (date === undefined) throw new TypeError('Invalid cookie expiration date');
    return date;
  }
  const isDate = value instanceof Date;
  if (!isDate && typeof value !== 'number') {
    throw coded(
      TypeError,
      'ERR_INVALID_ARG_VALUE',
      `The argument 'expires' Invalid expires value. Must be a Date or a number. Received ${inspect(value)}`,
    );
  }
  const date = new Date(isDate ? value : value * 1000);
  if (Number.isNaN(date.getTime())) throw new RangeError(`expires must be a valid ${isDate ? 'Date (or Number)' : 'Number (or Date)'}`);
  return date;
}

/**
 * A date with the name of its month, in GMT unless it says otherwise.
 * @param {string} text
 * @returns {Date | undefined}
 */
function parseDate(text) {
  if (!/[a-z]{3}/i.test(text.replace(/GMT|UTC/i, ''))) return undefined;
  const time = Date.parse(/(?:GMT|UTC|[+-]\d{4})\s*$/i.test(text) ? text : `${text} GMT`);
  return Number.isNaN(time) ? undefined : new Date(time);
}

/**
 * A Set-Cookie line as the arguments of a Cookie.
 * @param {string} line
 * @returns {[string, string, CookieOptions]}
 */
function parseLine(line) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a field value must not have
  if (/^[\t ]|[\t ]$|[\0\n\r]|[^\x00-\xff]/.test(line)) throw new TypeError('cookie string is not a valid HTTP header value');
  const [pair, ...attributes] = line.split(';');
  const [name, value] = splitPair(pair);
  if (value === undefined) throw new TypeError('Invalid cookie string: empty');
  if (name === '') throw new TypeError('Invalid cookie string: name cannot be empty');
  return [name, value, attributesOf(attributes)];
}

/**
 * What the attributes of a Set-Cookie line say; those that make no sense say nothing (RFC 6265 §5.2).
 * @param {string[]} attributes
 */
function attributesOf(attributes) {
  /** @type {CookieOptions} */
  const options = {};
  for (const attribute of attributes) {
    const [name, value = ''] = splitPair(attribute);
    switch (name.toLowerCase()) {
      case 'domain':
        if (value !== '') options.domain = value.toLowerCase();
        break;
      case 'path':
        if (value.startsWith('/')) options.path = value;
        break;
      case 'expires':
        options.expires = parseDate(value) ?? options.expires;
        break;
      case 'max-age': {
        const seconds = Number.parseInt(value, 10);
        if (Number.isSafeInteger(seconds)) options.maxAge = seconds;
        break;
      }
      case 'secure':
        options.secure = true;
        break;
      case 'httponly':
        options.httpOnly = true;
        break;
      case 'partitioned':
        options.partitioned = true;
        break;
      case 'samesite':
        if (Object.hasOwn(SAME_SITE, value.toLowerCase())) options.sameSite = value.toLowerCase();
        break;
    }
  }
  return options;
}

/**
 * `name=value`; without a `=` there is no value.
 * @param {string} text
 * @returns {[string, string | undefined]}
 */
function splitPair(text) {
  const at = text.indexOf('=');
  return at < 0 ? [text.trim(), undefined] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

/**
 * @param {any} init
 * @returns {[string, string][]}
 */
function asPairs(init) {
  if (init === undefined || init === null) return [];
  if (typeof init === 'string') return parseCookies(init);
  if (Array.isArray(init)) {
    return init.map((pair) => {
      if (!Array.isArray(pair)) throw new TypeError('Expected each element to be an array of two strings');
      if (pair.length !== 2) throw new TypeError('Expected arrays of exactly two strings');
      return [`${pair[0]}`, `${pair[1]}`];
    });
  }
  if (typeof init === 'object') return Object.entries(init).map(([name, value]) => [name, `${value}`]);
  throw new TypeError('Invalid initializer type');
}

/**
 * The pairs of a Cookie field (RFC 6265 §5.4); what has no name, or no `=`, is none.
 * @param {string} field
 * @returns {[string, string][]}
 */
function parseCookies(field) {
  /** @type {[string, string][]} */
  const pairs = [];
  for (const part of field.split(';')) {
    const [name, value] = splitPair(part);
    if (name !== '' && value !== undefined) pairs.push([name, decodePercent(value)]);
  }
  return pairs;
}

module.exports = { Cookie, CookieMap };
