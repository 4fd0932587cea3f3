// @ts-check
// What makes a class of ours pass for one of the host's: its instances are instances of both, and it has the same members.

'use strict';

/**
 * Puts `Class` beneath `Host` and gives it every member of that class, under the same name and of the same kind. What `Class` defines
 * itself serves its own instances. For anything else the host's member is called: on what `hostOf` gives for an instance of ours, and on
 * any other `this` as it is.
 *
 * @param {Function} Class
 * @param {Function} Host
 * @param {(self: any) => boolean} isOurs
 * @param {(self: any) => object} hostOf
 */
function standInFor(Class, Host, isOurs, hostOf) {
  Object.setPrototypeOf(Class, Host);
  Object.setPrototypeOf(Class.prototype, Host.prototype);
  Object.defineProperties(Class, { name: { value: Host.name }, length: { value: Host.length } });
  for (const [key, theirs] of members(Host)) {
    const own = Object.getOwnPropertyDescriptor(Class, key)?.value;
    if (own !== undefined) Object.defineProperty(Class, key, { ...theirs, value: alike(own, theirs.value) });
  }
  for (const [key, theirs] of members(Host.prototype)) {
    const own = Object.getOwnPropertyDescriptor(Class.prototype, key);
    const replaced = { ...theirs };
    for (const part of /** @type {const} */ (['value', 'get', 'set'])) {
      if (typeof theirs[part] === 'function') replaced[part] = alike(either(own?.[part], theirs[part], isOurs, hostOf), theirs[part]);
    }
    Object.defineProperty(Class.prototype, key, replaced);
  }
}

/**
 * Shows the host what it keeps under symbols in objects of its own: that of its object behind an instance of ours.
 * @param {Function} Class
 * @param {symbol[]} parts
 * @param {(self: any) => boolean} isOurs
 * @param {(self: any) => any} hostOf
 */
function showParts(Class, parts, isOurs, hostOf) {
  for (const part of parts) {
    const get = /** @this {any} */ function () {
      return isOurs(this) ? hostOf(this)[part] : undefined;
    };
    Object.defineProperty(Class.prototype, part, { configurable: true, get });
  }
}

/**
 * Makes every object of the host's an instance of `Class`; classes that extend it have only their own.
 * @param {Function} Class
 * @param {Function} Host
 */
function ownsHostInstances(Class, Host) {
  const hasInstance = Function.prototype[Symbol.hasInstance];
  Object.defineProperty(Class, Symbol.hasInstance, {
    /** @this {Function} @param {unknown} value */
    value(value) {
      return hasInstance.call(this === Class ? Host : this, value);
    },
  });
  Object.defineProperties(Class, { name: { value: Host.name }, length: { value: Host.length } });
}

/**
 * Gives a class `bytes()` (https://fetch.spec.whatwg.org/#dom-body-bytes) where its host has none, as that of Node 20.3.
 * @param {Function} Class
 */
function readsBytes(Class) {
  if ('bytes' in Class.prototype) return;
  const { bytes } = {
    /** @this {Body} */
    async bytes() {
      return new Uint8Array(await this.arrayBuffer());
    },
  };
  Object.defineProperty(Class.prototype, 'bytes', { value: bytes, configurable: true, writable: true });
}

/**
 * The functions and accessors of a class or its prototype.
 * @param {object} object
 * @returns {[string | symbol, PropertyDescriptor][]}
 */
function members(object) {
  return Reflect.ownKeys(object).flatMap((key) => {
    const descriptor = /** @type {PropertyDescriptor} */ (Object.getOwnPropertyDescriptor(object, key));
    const isMember = typeof descriptor.value === 'function' || descriptor.get !== undefined;
    return isMember && key !== 'constructor' ? [[key, descriptor]] : [];
  });
}

/**
 * @param {Function | undefined} own
 * @param {Function} theirs
 * @param {(self: any) => boolean} isOurs
 * @param {(self: any) => object} hostOf
 */
function either(own, theirs, isOurs, hostOf) {
  // Written as a method: those cannot be called with `new`.
  return {
    /** @this {any} */
    member() {
      if (!isOurs(this)) return Reflect.apply(theirs, this, arguments);
      return own === undefined ? Reflect.apply(theirs, hostOf(this), arguments) : Reflect.apply(own, this, arguments);
    },
  }.member;
}

/**
 * Gives a function the name and length of another.
 * @template {Function} F
 * @param {F} made
 * @param {Function} model
 */
function alike(made, { name, length }) {
  return Object.defineProperties(made, { name: { value: name }, length: { value: length } });
}

module.exports = { ownsHostInstances, readsBytes, showParts, standInFor };
