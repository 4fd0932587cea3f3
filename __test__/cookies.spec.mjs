// Cookie and CookieMap by themselves, and `req.cookies` of a route: what it reads, and which answers carry what was set.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { cleanUp } from './support/connect.mjs';
import { handshake, RawClient } from './support/raw-client.mjs';
import { exchange, request } from './support/raw-http.mjs';
import { mantou, serve } from './support/target.mjs';
import { invalidArgType, missingArgs, throwsExactly } from './support/throws.mjs';

const { Cookie, CookieMap } = mantou;

afterEach(cleanUp);

const typeError = (message) => ({ name: 'TypeError', message });
const notEnough = missingArgs('Not enough arguments');
const badName = typeError('Invalid cookie name: contains invalid characters');

/** The Set-Cookie lines after `change`, which gets a map with two cookies, one of them twice. */
function linesAfter(change) {
  const map = new CookieMap('a=1; b=2; a=3');
  change(map);
  return map.toSetCookieHeaders();
}

const DEFAULTS = 'Path=/; SameSite=Lax';
const DELETED = 'Expires=Thu, 01 Jan 1970 00:00:00 GMT; SameSite=Lax';
const SECURELY_DELETED = 'Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; SameSite=Lax';

describe('a CookieMap', () => {
  for (const [field, pairs] of [
    ['a=1; b=2', { a: '1', b: '2' }],
    ['a=1;b=2', { a: '1', b: '2' }],
    [' a = 1 ; ; b=2;', { a: '1', b: '2' }],
    ['a=1,b=2', { a: '1,b=2' }],
    ['a=b=c', { a: 'b=c' }],
    ['a=; b', { a: '' }],
    ['=e', {}],
    ['a="q"', { a: '"q"' }],
    ['a="b;c"', { a: '"b' }],
    ['%61=1; a=2', { '%61': '1', a: '2' }],
    ['A=1; a=2', { A: '1', a: '2' }],
    ['a=x\ty', { a: 'x\ty' }],
    ['', {}],
  ]) {
    test(`reads ${JSON.stringify(field)}`, () => {
      assert.deepEqual([...new CookieMap(field)], Object.entries(pairs));
    });
  }

  for (const [encoded, decoded] of [
    ['%20+', ' +'],
    ['%E2%82%AC', '€'],
    ['%F0%9F%98%80', '😀'],
    ['%00', '\0'],
    ['é%20', 'é '],
    // What is no escape, or no UTF-8.
    ['%zzb', '�b'],
    ['%4', '�4'],
    ['%', '�'],
    ['%%%', '�'],
    ['%E2%82', '�'],
    ['%E2%82x', '�x'],
    ['%C3%28b%20', '�(b '],
    ['%80%80', '��'],
    ['%F8%80', '��'],
    ['%C0%80', '�'],
    ['%ED%A0%80%ED%B0%80', '��'],
    ['%F4%90%80%80', '�'],
    ['%C3%C3%A9', '�é'],
    ['%F0%9F%98%', '��'],
    ['%2B%', '+�'],
  ]) {
    test(`decodes ${encoded} to ${JSON.stringify(decoded)}`, () => {
      assert.equal(new CookieMap(`a=${encoded}`).get('a'), decoded);
    });
  }

  for (const [what, init, pairs] of [
    ['nothing', undefined, []],
    ['null', null, []],
    ['an object, as it is', { a: '%20', 'b c': 2 }, [['a', '%20'], ['b c', '2']]], // biome-ignore format: one row
    ['pairs', [['a', '1'], ['a', 2]], [['a', '1'], ['a', '2']]], // biome-ignore format: one row
  ]) {
    test(`is made of ${what}`, () => {
      const map = new CookieMap(init);

      assert.deepEqual([...map], pairs);
      assert.deepEqual(map.toSetCookieHeaders(), []);
    });
  }

  test('is not made of other things', () => {
    for (const init of [5, true, Symbol('x')]) throwsExactly(() => new CookieMap(init), typeError('Invalid initializer type'));
    for (const init of [[['a']], [['a', '1', '2']]])
      throwsExactly(() => new CookieMap(init), typeError('Expected arrays of exactly two strings'));
    throwsExactly(() => new CookieMap(['a']), typeError('Expected each element to be an array of two strings'));
  });

  test('gets the first of a name, null where there is none', () => {
    const map = new CookieMap('a=1; a=2; undefined=u; 5=five');

    assert.deepEqual([map.get('a'), map.get('b'), map.get(), map.get(5), map.get('A')], ['1', null, null, 'five', null]);
    assert.deepEqual([map.has('a'), map.has('b'), map.has()], [true, false, false]);
    assert.deepEqual([map.get(undefined), map.has(undefined), map.size], ['u', true, 4]);
  });

  test('sets a cookie in place of all of its name', () => {
    const map = new CookieMap('a=1; b=2; a=3');

    assert.equal(map.set('a', 9), undefined);

    assert.deepEqual([...map], [['a', '9'], ['b', '2']]); // biome-ignore format: one row
    assert.deepEqual([map.size, map.get('a')], [2, '9']);
  });

  test('lists what was set before what came, in the order in which it was set last', () => {
    const map = new CookieMap('a=1; b=2');
    map.set('c', '3');
    map.set('b', '9');
    map.set('d', '4');
    map.delete('c');
    map.set('c', '6');

    assert.deepEqual([...map.keys()], ['b', 'd', 'c', 'a']);
    assert.deepEqual([...map.values()], ['9', '4', '6', '1']);
    assert.deepEqual(map.toSetCookieHeaders(), [`b=9; ${DEFAULTS}`, `d=4; ${DEFAULTS}`, `c=6; ${DEFAULTS}`]);
  });

  test('sends an empty cookie and does not keep it', () => {
    const map = new CookieMap('a=1');
    map.set('a', '');

    assert.deepEqual([map.has('a'), map.get('a'), map.size, [...map]], [false, null, 0, []]);
    assert.deepEqual(map.toSetCookieHeaders(), [`a=; ${DEFAULTS}`]);
  });

  test('sets a Cookie by reference, or what makes one', () => {
    const cookie = new Cookie('c', '1', { maxAge: 5 });
    const map = new CookieMap();
    map.set(cookie);
    map.set({ name: 'd', value: '2', path: '/d' });
    cookie.value = 'later';

    assert.equal(map.get('c'), 'later');
    assert.deepEqual(map.toSetCookieHeaders(), ['c=later; Path=/; Max-Age=5; SameSite=Lax', 'd=2; Path=/d; SameSite=Lax']);
  });

  test('does nothing without arguments', () => {
    assert.deepEqual(
      linesAfter((map) => {
        map.set();
        map.delete();
      }),
      [],
    );
  });

  for (const [what, change, error] of [
    ['set() a name alone', (map) => map.set('c'), notEnough],
    ['set() null', (map) => map.set(null), notEnough],
    ['set() an object without a name', (map) => map.set({ value: 'c' }), typeError('name is required')],
    ['set() an empty name', (map) => map.set('', 'x'), badName],
    ['set() options that are none', (map) => map.set('c', '1', 5), typeError('Options must be an object')],
    ['delete() nothing', (map) => map.delete(undefined), typeError('Cookie name is required')],
    ['delete() a number', (map) => map.delete(5), typeError('Cookie name is required')],
    ['delete() an object without a name', (map) => map.delete({}), typeError('Cookie name is required')],
    ['delete() an empty name', (map) => map.delete(''), badName],
    ['delete() options that are none', (map) => map.delete('a', undefined), typeError('Options must be an object')],
    ['forEach() without a function', (map) => map.forEach(5), invalidArgType('Cannot call callback on a non-function')],
  ]) {
    test(`refuses to ${what} and stays as it was`, () => {
      const map = new CookieMap('a=1');

      throwsExactly(() => change(map), error);

      assert.deepEqual([map.toJSON(), map.toSetCookieHeaders()], [{ a: '1' }, []]);
    });
  }

  for (const [what, change, line] of [
    ['a name', (map) => map.delete('a'), `a=; Path=/; ${DELETED}`],
    ['a name that is not there', (map) => map.delete('zz'), `zz=; Path=/; ${DELETED}`],
    ['a name with a path and domain', (map) => map.delete('a', { path: '/x', domain: 'e.com' }), `a=; Domain=e.com; Path=/x; ${DELETED}`],
    ['an object', (map) => map.delete({ name: 'a', path: '/x' }), `a=; Path=/x; ${DELETED}`],
    ['a Cookie', (map) => map.delete(new Cookie('a', '1', { path: '/q' })), `a=; Path=/q; ${DELETED}`],
    ['no path', (map) => map.delete('a', { path: '' }), `a=; ${DELETED}`],
    ['a name that is for secure cookies', (map) => map.delete('__Secure-a'), `__Secure-a=; Path=/; ${SECURELY_DELETED}`],
    ['a name that is for those of a host', (map) => map.delete('__HOST-a'), `__HOST-a=; Path=/; ${SECURELY_DELETED}`],
    ['other options, which mean nothing', (map) => map.delete('a', { secure: true, maxAge: 5 }), `a=; Path=/; ${DELETED}`],
  ]) {
    test(`deletes ${what}`, () => {
      assert.deepEqual(linesAfter(change), [line]);
    });
  }

  test('has forgotten what was deleted', () => {
    const map = new CookieMap('a=1; b=2; a=3');

    assert.equal(map.delete('a'), undefined);

    assert.deepEqual([map.has('a'), map.get('a'), map.size, [...map]], [false, null, 1, [['b', '2']]]);
  });

  test('becomes an object with the first of each name', () => {
    const object = new CookieMap('a=1; a=2; __proto__=p').toJSON();

    assert.deepEqual(Object.entries(object), [
      ['a', '1'],
      ['__proto__', 'p'],
    ]);
    assert.equal(JSON.stringify(new CookieMap('a=1')), '{"a":"1"}');
  });

  test('is walked as it is at each step', () => {
    const map = new CookieMap('a=1; b=2');
    const seen = [];
    for (const [name] of map) {
      if (seen.push(name) === 1) map.set('z', '1');
    }

    assert.deepEqual(seen, ['a', 'a', 'b']);
  });

  test('has iterators of their own kind, which end', () => {
    const walk = new CookieMap('a=1').entries();

    assert.equal(Object.prototype.toString.call(walk), '[object CookieMap Iterator]');
    assert.equal(walk[Symbol.iterator](), walk);
    assert.deepEqual([walk.next(), walk.next(), walk.next()], [
      { value: ['a', '1'], done: false },
      { value: undefined, done: true },
      { value: undefined, done: true },
    ]); // biome-ignore format: three rows
    assert.equal(CookieMap.prototype[Symbol.iterator], CookieMap.prototype.entries);
  });

  test('calls back with the value, the name and itself', () => {
    const map = new CookieMap('a=1; b=2');
    const calls = [];
    const result = map.forEach(function (...args) {
      calls.push([this, ...args]);
    }, 'this');

    assert.equal(result, undefined);
    assert.deepEqual(
      calls.map(([self, value, name, third]) => [String(self), value, name, third === map]),
      [
        ['this', '1', 'a', true],
        ['this', '2', 'b', true],
      ],
    );
  });

  test('has the members of Bun, all enumerable', () => {
    const members = ['get', 'toSetCookieHeaders', 'has', 'set', 'delete', 'entries', 'keys', 'values', 'forEach', 'toJSON', 'size'];

    assert.deepEqual(Object.keys(CookieMap.prototype).sort(), members.sort());
    assert.deepEqual(
      ['get', 'has', 'set', 'delete', 'entries', 'forEach'].map((name) => [name, CookieMap.prototype[name].length]),
      Object.entries({ get: 1, has: 1, set: 2, delete: 1, entries: 0, forEach: 1 }),
    );
    assert.equal(String(new CookieMap()), '[object CookieMap]');
    assert.equal(CookieMap.length, 1);
  });

  test('has methods for maps alone', () => {
    for (const name of ['get', 'has', 'set', 'delete', 'entries', 'keys', 'values', 'forEach', 'toJSON', 'toSetCookieHeaders']) {
      throwsExactly(() => CookieMap.prototype[name].call({}, 'a', 'b'), {
        name: 'TypeError',
        code: 'ERR_INVALID_THIS',
        message: `Can only call CookieMap.${name} on instances of CookieMap`,
      });
    }
    throwsExactly(() => Reflect.get(CookieMap.prototype, 'size', {}), typeError('Type error'));
  });
});

/** Every character that `make` takes, in order. */
const taken = (make) =>
  Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))
    .filter((character) => {
      try {
        make(character);
        return true;
      } catch {
        return false;
      }
    })
    .join('');
const printable = Array.from({ length: 0x7e - 0x20 }, (_, index) => String.fromCharCode(0x21 + index)).join('');

describe('a Cookie', () => {
  test('has a name of printable ASCII without ; and =', () => {
    const allowed = printable.replace(/[;=]/g, '');

    assert.equal(
      taken((character) => new Cookie(`a${character}b`, 'x')),
      allowed,
    );
    assert.equal(
      taken((character) => new CookieMap().set(character, 'x')),
      allowed,
    );
  });

  test('has a path of printable ASCII and spaces without ; and <, and a domain of lower case', () => {
    assert.equal(
      taken((character) => new Cookie('a', 'x', { path: `/${character}` })),
      ` ${printable.replace(/[;<]/g, '')}`,
    );
    assert.equal(
      taken((character) => new Cookie('a', 'x', { domain: character })),
      '-.0123456789abcdefghijklmnopqrstuvwxyz',
    );
  });

  for (const [value, encoded] of [
    ['a b;c=d,e"f\\%', 'a%20b%3Bc%3Dd%2Ce%22f%5C%25'],
    ["A-Z_.!~*'()", "A-Z_.!~*'()"],
    ['é😀\n\0', '%C3%A9%F0%9F%98%80%0A%00'],
    ['\ud800', '%EF%BF%BD'],
    ['', ''],
  ]) {
    test(`encodes the value ${JSON.stringify(value)}`, () => {
      assert.equal(String(new Cookie('n', value)), `n=${encoded}; ${DEFAULTS}`);
    });
  }

  for (const [options, attributes] of [
    [undefined, DEFAULTS],
    [null, DEFAULTS],
    [{}, DEFAULTS],
    [{ path: '/p' }, 'Path=/p; SameSite=Lax'],
    [{ path: '' }, 'SameSite=Lax'],
    [{ path: null }, DEFAULTS],
    [{ path: 5 }, 'Path=5; SameSite=Lax'],
    [{ domain: 'example.com' }, `Domain=example.com; ${DEFAULTS}`],
    [{ domain: '' }, DEFAULTS],
    [{ maxAge: 60 }, 'Path=/; Max-Age=60; SameSite=Lax'],
    [{ maxAge: 0 }, 'Path=/; Max-Age=0; SameSite=Lax'],
    [{ maxAge: 1.5 }, 'Path=/; Max-Age=1.5; SameSite=Lax'],
    [{ maxAge: '60' }, DEFAULTS],
    [{ maxAge: Number.NaN }, DEFAULTS],
    [{ expires: 0 }, 'Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; SameSite=Lax'],
    [{ expires: 1_700_000_000 }, 'Path=/; Expires=Tue, 14 Nov 2023 22:13:20 GMT; SameSite=Lax'],
    [{ expires: new Date(1_700_000_000_000) }, 'Path=/; Expires=Tue, 14 Nov 2023 22:13:20 GMT; SameSite=Lax'],
    [{ expires: 'Tue, 14 Nov 2023 22:13:20 GMT' }, 'Path=/; Expires=Tue, 14 Nov 2023 22:13:20 GMT; SameSite=Lax'],
    [{ expires: null }, DEFAULTS],
    [{ secure: 1, httpOnly: 'x', partitioned: true }, 'Path=/; Secure; HttpOnly; Partitioned; SameSite=Lax'],
    [{ secure: 0, httpOnly: '', partitioned: null }, DEFAULTS],
    [{ sameSite: 'strict' }, 'Path=/; SameSite=Strict'],
    [{ sameSite: 'none' }, 'Path=/; SameSite=None'],
    [{ sameSite: null }, DEFAULTS],
    [{ name: 'zz', value: 'yy' }, DEFAULTS],
  ]) {
    test(`with ${JSON.stringify(options)} has ${attributes}`, () => {
      assert.equal(String(new Cookie('n', 'v', options)), `n=v; ${attributes}`);
    });
  }

  test('has its attributes in the order of Bun', () => {
    const cookie = new Cookie('n', 'v', {
      partitioned: true,
      sameSite: 'strict',
      httpOnly: true,
      secure: true,
      maxAge: 60,
      expires: new Date(1_700_000_000_000),
      path: '/p',
      domain: 'd.com',
    });

    assert.equal(
      cookie.serialize(),
      'n=v; Domain=d.com; Path=/p; Expires=Tue, 14 Nov 2023 22:13:20 GMT; Max-Age=60; Secure; HttpOnly; Partitioned; SameSite=Strict',
    );
  });

  for (const [what, make, error] of [
    ['no arguments', () => new Cookie(), notEnough],
    ['undefined', () => new Cookie(undefined), notEnough],
    ['a number', () => new Cookie(5), notEnough],
    ['an empty name', () => new Cookie('', 'b'), typeError('name is required')],
    ['an object without a name', () => new Cookie({ value: 'b' }), typeError('name is required')],
    ['a bad name', () => new Cookie('a b', 'c'), badName],
    ['options that are none', () => new Cookie('a', 'b', 5), typeError('Options must be an object')],
    ['a bad path', () => new Cookie('a', 'b', { path: '/é' }), typeError('Invalid cookie path: contains invalid characters')],
    ['a bad domain', () => new Cookie('a', 'b', { domain: 'A.com' }), typeError('Invalid cookie domain: contains invalid characters')],
    [
      'a wrong sameSite',
      () => new Cookie('a', 'b', { sameSite: 'Lax' }),
      typeError("Invalid sameSite value. Must be 'strict', 'lax', or 'none'"),
    ],
    [
      'an invalid Date',
      () => new Cookie('a', 'b', { expires: new Date(Number.NaN) }),
      { name: 'RangeError', message: 'expires must be a valid Date (or Number)' },
    ],
    [
      'NaN as a date',
      () => new Cookie('a', 'b', { expires: Number.NaN }),
      { name: 'RangeError', message: 'expires must be a valid Number (or Date)' },
    ],
    ['a text as a date', () => new Cookie('a', 'b', { expires: 'x' }), typeError('Invalid cookie expiration date')],
    [
      'something else as a date',
      () => new Cookie('a', 'b', { expires: true }),
      {
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_VALUE',
        message: "The argument 'expires' Invalid expires value. Must be a Date or a number. Received true",
      },
    ],
    ['from() a name alone', () => Cookie.from('a'), notEnough],
    ['parse() nothing', () => Cookie.parse(), notEnough],
    ['a line without =', () => new Cookie('a'), typeError('Invalid cookie string: empty')],
    ['a line without a name', () => Cookie.parse('=b'), typeError('Invalid cookie string: name cannot be empty')],
    ['a line with a bad name', () => Cookie.parse('a b=c'), badName],
    ['a line with white space around', () => Cookie.parse(' a=b'), typeError('cookie string is not a valid HTTP header value')],
    ['a line with a line break', () => Cookie.parse('a=\n'), typeError('cookie string is not a valid HTTP header value')],
  ]) {
    // biome-ignore format: a table
    test(`is not made of ${what}`, () => {
      throwsExactly(make, error);
    });
  }

  for (const [line, expected] of [
    ['a=b', `a=b; ${DEFAULTS}`],
    ['a = b ; Secure', 'a=b; Path=/; Secure; SameSite=Lax'],
    ['a=b=c', `a=b%3Dc; ${DEFAULTS}`],
    ['a=%20', `a=%2520; ${DEFAULTS}`],
    ['a="b c"', `a=%22b%20c%22; ${DEFAULTS}`],
    ['a=b; PATH=/x; path=/y', 'a=b; Path=/y; SameSite=Lax'],
    ['a=b; path=x; domain=; foo=bar; =x;;', `a=b; ${DEFAULTS}`],
    ['a=b; Domain=.X.Com', `a=b; Domain=.x.com; ${DEFAULTS}`],
    ['a=b; max-age=0005', 'a=b; Path=/; Max-Age=5; SameSite=Lax'],
    ['a=b; max-age=-1', 'a=b; Path=/; Max-Age=-1; SameSite=Lax'],
    ['a=b; max-age=x; expires=never; samesite=weird', `a=b; ${DEFAULTS}`],
    ['a=b; expires=Tuesday, 14-Nov-23 22:13:20 GMT', 'a=b; Path=/; Expires=Tue, 14 Nov 2023 22:13:20 GMT; SameSite=Lax'],
    ['a=b; expires=14 Nov 2023', 'a=b; Path=/; Expires=Tue, 14 Nov 2023 00:00:00 GMT; SameSite=Lax'],
    ['a=b; expires=2023-11-14', `a=b; ${DEFAULTS}`],
    ['a=b; Secure=false; HttpOnly; Partitioned; SameSite=STRICT', 'a=b; Path=/; Secure; HttpOnly; Partitioned; SameSite=Strict'],
  ]) {
    test(`parses ${line}`, () => {
      assert.equal(String(Cookie.parse(line)), expected);
      assert.equal(String(new Cookie(line)), expected);
    });
  }

  test('shows what it is made of', () => {
    const { name, value, domain, path, expires, maxAge, secure, httpOnly, sameSite, partitioned } = new Cookie('a', 'b c');

    assert.deepEqual([name, value, domain, path, expires, maxAge], ['a', 'b c', null, '/', undefined, undefined]);
    assert.deepEqual([secure, httpOnly, sameSite, partitioned], [false, false, 'lax', false]);
    assert.equal(new Cookie({ name: 5, value: 6, path: '/q' }).serialize(), '5=6; Path=/q; SameSite=Lax');
    assert.equal(new Cookie(new Cookie('a', 'b', { path: '/q' })).path, '/q');
    assert.equal(Cookie.from('a', 'b', { path: '/q' }).path, '/q');
  });

  test('has no half of a character in its value, and a map finds none by such a name', () => {
    const map = new CookieMap([['\ud800', 'halved']]);
    map.set('a', '\udc00');

    assert.deepEqual([new Cookie('a', '\ud800').value, map.get('a')], ['\ufffd', '\ufffd']);
    assert.deepEqual([map.get('\ud800'), map.has('\ud800')], [null, false]);
  });

  test('takes a value that is there, if only as undefined', () => {
    assert.equal(new Cookie({ name: 'a', value: undefined }).value, 'undefined');
    assert.equal(new Cookie(Object.create({ name: 'a', value: undefined })).value, 'undefined');
    assert.equal(new Cookie({ name: 'a' }).value, '');
  });

  for (const [member, value, seen] of [
    ['value', 5, '5'],
    ['value', null, 'null'],
    ['value', 'a\ud800b', 'a\ufffdb'],
    ['domain', 'x.com', 'x.com'],
    ['domain', '', ''],
    ['path', '/q', '/q'],
    ['maxAge', '5', 5],
    ['maxAge', null, undefined],
    ['maxAge', true, 1],
    ['secure', 1, true],
    ['httpOnly', 1, true],
    ['partitioned', 0, false],
    ['sameSite', 'Strict', 'strict'],
    ['expires', null, undefined],
  ]) {
    test(`takes ${JSON.stringify(value)} for ${member}`, () => {
      const cookie = new Cookie('a', 'b', { maxAge: 60, domain: 'd.com' });
      cookie[member] = value;

      assert.equal(cookie[member], seen);
    });
  }

  test('takes seconds, a Date or a text for expires', () => {
    const cookie = new Cookie('a', 'b');
    for (const [value, time] of [
      [5, 5000],
      [new Date(7), 7],
      ['Tue, 14 Nov 2023 22:13:20 GMT', 1_700_000_000_000],
    ]) {
      cookie.expires = value;

      assert.equal(cookie.expires.getTime(), time);
    }
  });

  for (const [member, value, error] of [
    ['domain', 'A.com', typeError('Invalid cookie domain: contains invalid characters')],
    ['path', 'a;b', typeError('Invalid cookie path: contains invalid characters')],
    ['maxAge', Number.NaN, typeError('The provided value is non-finite')],
    ['maxAge', {}, typeError('The provided value is non-finite')],
    ['sameSite', null, typeError("Invalid sameSite value. Must be 'strict', 'lax', or 'none'")],
    ['expires', 'x', typeError('Invalid cookie expiration date')],
  ]) {
    test(`does not take ${String(value)} for ${member}`, () => {
      const cookie = new Cookie('a', 'b');
      const before = cookie[member];

      throwsExactly(() => {
        cookie[member] = value;
      }, error);

      assert.equal(cookie[member], before);
    });
  }

  test('is expired by maxAge, or else by expires', () => {
    const isExpired = (options) => new Cookie('a', 'b', options).isExpired();

    assert.deepEqual([{ maxAge: 0 }, { maxAge: -1 }, { expires: 0 }].map(isExpired), [true, true, true]);
    assert.deepEqual([{}, { maxAge: 5, expires: 0 }, { expires: new Date(Date.now() + 60_000) }].map(isExpired), [false, false, false]);
  });

  test('becomes an object of what it has', () => {
    assert.equal(
      JSON.stringify(new Cookie('a', 'b')),
      '{"name":"a","value":"b","path":"/","secure":false,"sameSite":"lax","httpOnly":false,"partitioned":false}',
    );
    const json = new Cookie('a', 'b', { domain: 'x', expires: 5, maxAge: 2 }).toJSON();
    assert.deepEqual([json.domain, json.expires.getTime(), json.maxAge, Object.getPrototypeOf(json)], ['x', 5000, 2, null]);
  });

  test('has the members of Bun, all enumerable, for cookies alone', () => {
    const getters = ['name', 'value', 'domain', 'path', 'expires', 'maxAge', 'secure', 'httpOnly', 'sameSite', 'partitioned'];
    const methods = ['isExpired', 'toString', 'toJSON', 'serialize'];
    const error = (name) => ({
      name: 'TypeError',
      code: 'ERR_INVALID_THIS',
      message: `Can only call Cookie.${name} on instances of Cookie`,
    });

    assert.deepEqual(Object.keys(Cookie.prototype).sort(), [...getters, ...methods].sort());
    for (const name of getters) throwsExactly(() => Reflect.get(Cookie.prototype, name, {}), error(name));
    for (const name of methods) throwsExactly(() => Cookie.prototype[name].call({}), error(name));
    assert.equal(Object.prototype.toString.call(new Cookie('a', 'b')), '[object Cookie]');
  });
});

/** The set-cookie lines of the answer of a route to a request with these cookies. */
async function answerOf(handler, { headers, method = 'GET', ...options } = {}) {
  const server = serve({ routes: { '/': handler }, development: false, ...options });
  const { response } = await exchange(server, request(method, '/', headers));
  return { response, lines: response.headers.filter(([name]) => name.toLowerCase() === 'set-cookie').map(([, value]) => value) };
}

const setsOne = (answer) => (req) => {
  req.cookies.set('a', '1');
  return answer();
};

describe('req.cookies', () => {
  test('is a CookieMap of what came, always the same one', async () => {
    let seen;
    await answerOf(
      (req) => {
        const { cookies } = req;
        seen = [cookies instanceof CookieMap, cookies === req.cookies, [...cookies]];
        return new Response('');
      },
      { headers: { Cookie: ['a=1', 'b=%20x; a=3'] } },
    );

    assert.deepEqual(seen, [true, true, [['a', '1'], ['b', ' x'], ['a', '3']]]); // biome-ignore format: one row
  });

  test('is empty without cookies, and absent in fetch', async () => {
    const seen = [];
    const server = serve({
      routes: {
        '/': (req) => {
          seen.push(req.cookies.size);
          return new Response('');
        },
      },
      fetch: (req) => {
        seen.push(req.cookies);
        return new Response('');
      },
    });
    await exchange(server, request('GET', '/'));
    await exchange(server, request('GET', '/other'));

    assert.deepEqual(seen, [0, undefined]);
  });

  test('is not for assigning', async () => {
    const { response } = await answerOf((req) => {
      assert.throws(() => {
        req.cookies = 5;
      }, TypeError);
      return new Response('refused');
    });

    assert.equal(response.text, 'refused');
  });

  test('sends what was set and deleted behind what the Response sets', async () => {
    const { lines } = await answerOf((req) => {
      req.cookies.set('a', '1', { path: '/p', maxAge: 60, secure: true, httpOnly: true, sameSite: 'strict' });
      req.cookies.delete('b');
      return new Response('', { headers: { 'set-cookie': 'own=1' } });
    });

    assert.deepEqual(lines, ['own=1', 'a=1; Path=/p; Max-Age=60; Secure; HttpOnly; SameSite=Strict', `b=; Path=/; ${DELETED}`]);
  });

  test('sends them in the order of the calls, with their values encoded', async () => {
    const { lines } = await answerOf((req) => {
      req.cookies.delete('b');
      req.cookies.set('a', 'x y;é');
      req.cookies.delete('c');
      req.cookies.set('b', '2');
      return new Response('');
    });

    assert.deepEqual(lines, [`a=x%20y%3B%C3%A9; ${DEFAULTS}`, `c=; Path=/; ${DELETED}`, `b=2; ${DEFAULTS}`]);
  });

  test('sends nothing that was only read', async () => {
    const { lines } = await answerOf((req) => new Response(req.cookies.get('a')), { headers: { Cookie: 'a=1' } });

    assert.deepEqual(lines, []);
  });

  test('sends what was set before an asynchronous handler has its Response', async () => {
    const { lines } = await answerOf(async (req) => {
      req.cookies.set('a', '1');
      await new Promise(setImmediate);
      req.cookies.set('b', '2');
      return new Response('');
    });

    assert.deepEqual(lines, [`a=1; ${DEFAULTS}`, `b=2; ${DEFAULTS}`]);
  });

  for (const [what, answer] of [
    ['204', () => new Response(null, { status: 204 })],
    ['304', () => new Response(null, { status: 304 })],
    ['a redirect', () => new Response(null, { status: 302, headers: { location: '/x' } })],
    ['a stream', () => new Response(new ReadableStream({ start: (controller) => controller.close() }))],
    ['JSON', () => Response.json({})],
  ]) {
    test(`goes out with ${what}`, async () => {
      assert.deepEqual((await answerOf(setsOne(answer))).lines, [`a=1; ${DEFAULTS}`]);
    });
  }

  test('goes out in the answer to HEAD', async () => {
    assert.deepEqual(
      (
        await answerOf(
          setsOne(() => new Response('x')),
          { method: 'HEAD' },
        )
      ).lines,
      [`a=1; ${DEFAULTS}`],
    );
  });

  test('goes out with the Response of the error handler', async () => {
    const fails = (req) => {
      req.cookies.set('a', '1');
      throw new Error('failed');
    };

    assert.deepEqual((await answerOf(fails, { error: () => new Response('sorry') })).lines, [`a=1; ${DEFAULTS}`]);
  });

  test('does not go out where there is no Response', async () => {
    const { response, lines } = await answerOf(setsOne(() => undefined));

    assert.deepEqual([response.status, lines], [204, []]);
  });

  test('leaves the Response as it is', async () => {
    const shared = new Response(null);
    await answerOf(setsOne(() => shared));

    assert.equal(shared.headers.get('set-cookie'), null);
  });

  test('of a clone is a copy that no answer carries', async () => {
    const { response, lines } = await answerOf((req) => {
      req.cookies.set('a', '1');
      const copy = req.clone();
      copy.cookies.set('b', '2');
      return new Response(JSON.stringify([copy.cookies.toJSON(), req.cookies.toJSON()]));
    });

    assert.deepEqual(JSON.parse(response.text), [{ b: '2', a: '1' }, { a: '1' }]);
    assert.deepEqual(lines, [`a=1; ${DEFAULTS}`]);
  });

  test('reads the headers as they are when it is touched', async () => {
    const { response } = await answerOf(
      (req) => {
        req.headers.set('cookie', 'z=9');
        return Response.json(req.cookies.toJSON());
      },
      { headers: { Cookie: 'a=1' } },
    );

    assert.deepEqual(JSON.parse(response.text), { z: '9' });
  });

  test('goes out with a 101 when it was set before the upgrade, and not after it', async () => {
    const server = serve({
      routes: {
        '/chat': (req, own) => {
          req.cookies.set('a', '1');
          own.upgrade(req);
          req.cookies.set('late', '1');
        },
      },
      websocket: {},
    });
    const client = await RawClient.connect({ port: server.port });
    client.write(handshake({ path: '/chat' }));
    const response = await client.response();

    assert.equal(response.status, 101);
    assert.deepEqual(
      response.headers.filter(([name]) => name.toLowerCase() === 'set-cookie').map(([, value]) => value),
      [`a=1; ${DEFAULTS}`],
    );
  });
});
