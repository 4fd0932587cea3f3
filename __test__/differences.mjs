// @ts-check
// Where mantou differs from Bun 1.4.5 on purpose. Each row has a reason; a spec that depends on one names it: `differs('subscriptions-order')`.
// Nothing else may differ: a behavioural spec passes unchanged on mantou in Node, on mantou in Bun and on real Bun.serve.

import { isOracle } from './support/target.mjs';

/** @satisfies {Record<string, { bun: string, mantou: string, why: string }>} */
export const differences = {
  'subscriptions-order': { bun: 'hash order', mantou: 'insertion order', why: 'the documented example shows them so' },
  'remote-address-kept': {
    bun: 'lost after close, undefined on unix sockets',
    mantou: "the same string for the socket's whole life, '' on unix sockets",
    why: 'typed as a string',
  },
  'compression-threshold': {
    bun: 'compress: "3KB" … "256KB" name the memory class alone',
    mantou: 'the same, and messages larger than that are compressed when the compress argument is omitted',
    why: 'the documented example says "Compress messages > 3KB"',
  },
  'no-takeover-small-window': {
    bun: 'an offer of server_no_context_takeover with server_max_window_bits below 15 is declined',
    mantou: 'accepted where each socket has a compressor of its own',
    why: 'the offer can be met (RFC 7692 §7.1)',
  },
  'plain-ipv4': {
    bun: 'an IPv4 client of a dual-stack server is ::ffff:127.0.0.1',
    mantou: '127.0.0.1',
    why: 'the API as documented shows "127.0.0.1"',
  },
  'exact-timers': {
    bun: 'timers tick every 4 s, idleTimeout 1..7 means 8',
    mantou: 'exact to 100 ms',
    why: 'a timeout should mean what it says',
  },
  'slow-readers': {
    bun: 'a handler that leaves 1 MiB of a body unread is cut off after idleTimeout',
    mantou: 'it has the time it takes, while its client is there',
    why: 'it is not the client who is silent',
  },
  'idle-timer-reset': {
    bun: 'any server send resets the WebSocket idle timer',
    mantou: 'with sendPings only received bytes do; without it as in Bun',
    why: 'a dead peer in a busy room must not hold its backlog',
  },
  'pipelined-requests': { bun: 'connection closed', mantou: 'answered in order', why: 'RFC 9112 §9.3.2' },
  'early-frames-after-await': {
    bun: '400 when bytes arrived before an upgrade() made after an await',
    mantou: 'kept and delivered after open',
    why: 'a fast client is not an error',
  },
  'any-method': {
    bun: 'an unknown method closes the connection silently',
    mantou: 'any RFC 9110 token reaches fetch',
    why: 'nothing is dropped without an answer',
  },
  'head-fields': {
    bun: 'the answer to HEAD has neither a Date nor the content-type that comes from the body',
    mantou: 'it has the fields of the answer to GET',
    why: 'RFC 9110 §9.3.2',
  },
  'connection-field': {
    bun: 'no Connection field but that of the handler, which means nothing in a static response; HTTP/1.0 ends with its first answer',
    mantou: 'close where the connection ends because the client says so, keep-alive to a client of HTTP/1.0 that asks for it and is kept',
    why: 'RFC 9112 §9.3, §9.6',
  },
  'expect-continue': {
    bun: '100 Continue to whoever expects it, also where the content is too large already',
    mantou: 'when the content is read, and not to HTTP/1.0; without it, the answer says that it is not wanted',
    why: 'RFC 9110 §10.1.1',
  },
  'strict-framing': {
    bun: 'NUL and bare LF in a request line are another version (505); two Hosts, DEL in a value and empty elements beside chunked pass',
    mantou: '400',
    why: 'RFC 9112 §2.2, §3.2, §6.1: what can be read in two ways is refused',
  },
  'lenient-framing': {
    bun: 'trailers, OPTIONS * and empty lines before a request get 400',
    mantou: 'accepted',
    why: 'RFC 9112 §2.2, §3.2.4, §7.1.2',
  },
  'reason-phrase': {
    bun: 'statusText is ignored, unknown codes get "HM"',
    mantou: 'a given statusText is sent; otherwise the standard phrase, or an empty one',
    why: 'the reason phrase of HTTP/1.1',
  },
  'half-close': {
    bun: 'a client that closes its half before the response gets none',
    mantou: 'req.signal aborts, a Response that is returned all the same is written',
    why: 'RFC 9112 §9.6',
  },
  'utf8-as-it-arrives': {
    bun: 'a fragmented text message is checked when complete',
    mantou: 'fails with the first bytes that cannot be UTF-8',
    why: 'RFC 6455 §8.1',
  },
  'truncated-message': {
    bun: 'a compressed message that ends inside a block is delivered as far as it can be read, and the bits of the tail as more of it',
    mantou: 'fails with 1007',
    why: 'RFC 7692 §7.2.2: half a message is none',
  },
  'proxied-this': {
    bun: 'methods called on a Proxy of a socket or server throw ERR_INVALID_THIS',
    mantou: 'they work when the target of the Proxy is one',
    why: 'adapters wrap sockets',
  },
  'silent-connections-on-stop': {
    bun: 'a connection that never sent a request stays open after stop()',
    mantou: 'closed by stop()',
    why: 'nothing is left hanging',
  },
  'microtasks-in-bun': {
    bun: 'between two handlers process.nextTick runs before microtasks',
    mantou: 'the same in Node; in Bun microtasks run first',
    why: 'Bun runs ticks first only behind a call from its event loop, and one of those for each message costs half as much again as the message',
  },
  'host-classes': {
    bun: "Bun's own Request, Response, Headers, Blob, streams",
    mantou: "the host's: error texts and types as the host has them, and all but Response's own statuses; names of fields in lower case",
    why: 'it runs on Node',
  },
  'static-routes-on-reload': {
    bun: 'a reload() without routes keeps the handlers of routes and drops what is static: Responses and directories',
    mantou: 'it keeps all routes',
    why: 'what is not given is not meant to go',
  },
  'file-routes': {
    bun: 'a file that is a route, or the Response of one, is read for each request, in parts too; once gone the next route answers',
    mantou: 'the Response is read once, at the start; the file itself is refused, and in Bun both; handlers and directories read each time',
    why: 'what is static stays as it is',
  },
  'file-that-shrinks': {
    bun: 'a client that was promised more of a file than there still is waits for it',
    mantou: 'the connection is reset',
    why: 'nobody waits for what cannot come',
  },
  'file-conditions': {
    bun: 'a file that a handler returns is sent whatever the conditions of the request say; in routes they count',
    mantou: 'they count: 304 and 412 by the ETag and Last-Modified that the handler gives (RFC 9110 §13)',
    why: 'a server must not send what the client has',
  },
  'blob-ranges': {
    bun: 'a Range asks for a part of a file, and of a Blob in memory for the whole',
    mantou: 'for a part of either',
    why: 'Node does not tell which Blob is a file',
  },
  'file-parts': {
    bun: 'a part of a file is 206 whatever its status, also without bytes, and 200 as soon as the handler gives any field',
    mantou: '206 where there are bytes and the status is not another than 200; in Bun 200',
    why: 'its content-range says which part it is (RFC 9110 §15.3.7), and an error stays one',
  },
  'fetch-base': {
    bun: 'server.fetch("/path") is a request for a URL with port 0',
    mantou: 'one of the server, as server.url has it',
    why: 'the documented meaning of a relative URL',
  },
  'kept-requests': {
    bun: 'a request that is kept has no url and no headers after its answer, unless they were read before',
    mantou: 'it has',
    why: 'what was said stays said',
  },
  'blob-send': {
    bun: 'send(Blob) reads synchronously',
    mantou: 'where the host can; otherwise a TypeError that says to await blob.bytes()',
    why: 'Node has no synchronous Blob read',
  },
  'reload-tls': {
    bun: 'reload() ignores tls',
    mantou: 'reload({ tls }) gives new connections other keys and certificates',
    why: 'certificates expire while servers run',
  },
  alpn: {
    bun: 'no protocol is agreed on, whatever ALPNProtocols says',
    mantou: 'one of ALPNProtocols is, if it is given and the client offers one',
    why: 'an option should do what it says',
  },
};

/**
 * True where mantou's documented difference applies, false on the oracle. Throws for a difference that is not in the table.
 * @param {keyof typeof differences} name
 */
export function differs(name) {
  if (!(name in differences)) throw new Error(`not an accepted difference: ${name}`);
  return !isOracle;
}
