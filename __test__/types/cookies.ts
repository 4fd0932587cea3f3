// Cookie and CookieMap.

import { Cookie, type CookieDeletion, type CookieInit, CookieMap, type CookieSameSite } from 'mantou';
import { same } from './same.js';

same<CookieSameSite, 'strict' | 'lax' | 'none'>();
same<
  CookieInit,
  {
    name?: string;
    value?: string;
    domain?: string | null;
    path?: string | null;
    expires?: Date | number | string | null;
    maxAge?: number;
    secure?: boolean;
    httpOnly?: boolean;
    sameSite?: CookieSameSite;
    partitioned?: boolean;
  }
>();
same<CookieDeletion, { name: string; domain?: string | null; path?: string | null }>();

same<
  keyof CookieMap,
  | 'get'
  | 'has'
  | 'set'
  | 'delete'
  | 'toJSON'
  | 'toSetCookieHeaders'
  | 'size'
  | 'entries'
  | 'keys'
  | 'values'
  | 'forEach'
  | typeof Symbol.iterator
>();
same<CookieMap['get'], (name: string) => string | null>();
same<CookieMap['has'], (name: string) => boolean>();
same<CookieMap['toJSON'], () => Record<string, string>>();
same<CookieMap['toSetCookieHeaders'], () => string[]>();
same<Pick<CookieMap, 'size'>, { readonly size: number }>();
same<
  keyof Cookie,
  | 'name'
  | 'value'
  | 'domain'
  | 'path'
  | 'expires'
  | 'maxAge'
  | 'secure'
  | 'httpOnly'
  | 'sameSite'
  | 'partitioned'
  | 'isExpired'
  | 'toString'
  | 'serialize'
  | 'toJSON'
>();
same<Pick<Cookie, 'name' | 'value'>, { readonly name: string; value: string }>();
same<Cookie['expires'], Date | undefined>();
same<Cookie['maxAge'], number | undefined>();
same<typeof Cookie.parse, (line: string) => Cookie>();
same<typeof Cookie.from, (name: string, value: string, options?: CookieInit) => Cookie>();

/** A map is made of nothing, a field, pairs or an object, and walked by pairs. */
export function maps() {
  new CookieMap();
  new CookieMap(null);
  new CookieMap('a=1; b=2');
  new CookieMap([['a', '1']]);
  // @ts-expect-error
  new CookieMap(5);
  const map = new CookieMap({ a: '1' });
  for (const [name, value] of map) same<[typeof name, typeof value], [string, string]>();
  map.forEach((value, name, self) => {
    same<[typeof value, typeof name, typeof self], [string, string, CookieMap]>();
  });
  map.set('a', '1');
  map.set('a', '1', { maxAge: 60, sameSite: 'strict' });
  map.set({ name: 'a', value: '1' });
  map.set(new Cookie('a', '1'));
  // @ts-expect-error
  map.set('a');
  // @ts-expect-error
  map.set('a', '1', { sameSite: 'Strict' });
  map.delete('a');
  map.delete('a', { path: '/x' });
  map.delete({ name: 'a', domain: 'example.com' });
  // @ts-expect-error
  map.delete({ path: '/x' });
}

/** A cookie's name stays. */
export function cookies(cookie: Cookie) {
  new Cookie('a=1; Path=/');
  new Cookie({ name: 'a', value: '1' });
  // @ts-expect-error
  new Cookie();
  cookie.value = '2';
  cookie.expires = 1700000000;
  cookie.expires = undefined;
  // @ts-expect-error
  cookie.name = 'b';
}
