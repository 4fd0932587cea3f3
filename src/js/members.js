// @ts-check
// Members of classes as users see them.

'use strict';

/**
 * Makes the members of a class enumerable, as Bun's are.
 * @template {{ prototype: object }} C
 * @param {C} Class
 * @returns {C}
 */
function enumerable(Class) {
  for (const [name, member] of Object.entries(Object.getOwnPropertyDescriptors(Class.prototype))) {
    if (name !== 'constructor') Object.defineProperty(Class.prototype, name, { ...member, enumerable: true });
  }
  return Class;
}

module.exports = { enumerable };
