// @ts-check
// The URL of a request (§8.1).

'use strict';

/**
 * The URL of a request: absolute when its Host can be one, otherwise the path alone. The target of CONNECT, which has no path, stays as
 * it came.
 * @param {string} scheme
 * @param {string | undefined} host the Host field
 * @param {string} target
 */
function urlOf(scheme, host, target) {
  const path = pathOf(target);
  if (path === undefined) return target;
  if (!host) return path;
  const url = `${scheme}://${host}${path}`;
  if (isPlainHost(host) && PLAIN_TARGET.test(path)) return url;
  if (!HOST.test(host)) return path;
  // A host that no URL can have is for the handler to refuse.
  return URL.canParse(url) ? new URL(url).href : url;
}

/**
 * The path, query and fragment of a target in origin-form or absolute-form, or of the asterisk; other forms have none.
 * @param {string} target
 */
function pathOf(target) {
  if (target.startsWith('/')) return target;
  if (target === '*') return '/';
  const path = /^https?:\/\/[^/?#]*(.*)$/i.exec(target)?.[1];
  return path === undefined || path.startsWith('/') ? path : `/${path}`;
}

/** What a Host is made of (RFC 9110 §7.2): no credentials, no path. */
const HOST = /^[\w!$%&'()*+,.:;=[\]~-]+$/;

const OCTET = '(?:\\d|[1-9]\\d|1\\d\\d|2[0-4]\\d|25[0-5])';

/**
 * Hosts that a URL parser leaves as they are: names in lower case whose last label begins with a letter, none of them in Punycode, and
 * IPv4 addresses; ports without a leading zero that are no scheme's own.
 */
const PLAIN_HOST = new RegExp(
  `^(?!.*xn--)(?:(?:[a-z\\d-]+\\.)*[a-z][a-z\\d-]*|(?:${OCTET}\\.){3}${OCTET})(?::(?!(?:80|443)$)(?:[1-9]\\d{0,3}|[1-5]\\d{4}))?$`,
);

/** The last one: there are few hosts, and many requests to each. */
let plainHost = '';

/** @param {string} host */
function isPlainHost(host) {
  if (host === plainHost) return true;
  if (!PLAIN_HOST.test(host)) return false;
  plainHost = host;
  return true;
}

/** Targets that a URL parser leaves as they are: nothing to encode, and no segment that begins with a dot. */
const PLAIN_TARGET = /^(?:\/(?:[\w~!$&()*+,;=:@-][\w.~!$&()*+,;=:@-]*)?)+(?:\?[\w.~!$&()*+,;=:@/?-]*)?$/;

module.exports = { pathOf, urlOf };
