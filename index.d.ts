// The typings of mantou, which are its manual: units, defaults, return values and errors stand with each member.
//
// Times are in seconds, sizes in bytes; 1 KiB is 1024 bytes, 1 MiB 1024 KiB. "RFC 6455 §7.4" names the section a rule comes from: RFC 6455 is
// WebSocket, RFC 7692 its compression, RFC 9110 HTTP, RFC 9112 HTTP/1.1. An error is named by its class, its `code` if it has one, and its message.

/// <reference types="node" />

/**
 * Starts a server. It listens when this returns: `server.port` and `server.url` are true at once.
 *
 * The type of `ws.data` is given as a type argument, `serve<Session>({ … })`, or carried by {@link WebSocketHandler.data}. `Path` are the paths
 * of `routes`, by which the handlers know their parameters: it is for the compiler to find, which it does where no type argument is given.
 *
 * @returns the server; the process stays alive until it is stopped or unreferenced
 * @throws TypeError `ERR_INVALID_ARG_TYPE` "Bun.serve expects an object", or the message that stands with the option that is wrong
 * @throws TypeError "mantou does not support the option '…' yet" for an option of Bun's that is not in these typings; unknown options are ignored
 * @throws Error `EADDRINUSE` "Failed to start server. Is port … in use?"
 * @throws Error `EADDRNOTAVAIL` or `ENOTFOUND` when `hostname` is not an address of this machine, or of none
 * @throws Error `EACCES` when the system does not let this process listen there
 * @throws Error `ENOENT`, `ENOTDIR` or `ENAMETOOLONG` when `unix` is no path for a socket, `EADDRINUSE` when something is there already
 * @throws Error `ENOENT` or `ENOTDIR` when the `dir` of a route is no directory
 */
export declare function serve<WebSocketData = undefined, Path extends string = string>(
  options: Serve.Options<WebSocketData, Path>,
): Server<WebSocketData>;

/** The options of {@link serve} and of {@link Server.reload}. */
export declare namespace Serve {
  /** What `serve()` takes: a `hostname` and `port`, or the path of a `unix` socket; with `websocket` or without; `fetch`, `routes` or both. */
  type Options<WebSocketData = undefined, Path extends string = string> = BaseOptions<WebSocketData> &
    XOR<HostnamePortOptions, UnixOptions> &
    XOR<WithoutWebSocket<WebSocketData, Path>, WithWebSocket<WebSocketData, Path>> &
    ({ fetch: object } | { routes: object } | { static: object });

  /** What `reload()` takes: what `serve()` takes, of which `fetch`, `routes`, `error`, `websocket` and `tls` replace what was. The others are checked and ignored. */
  type ReloadOptions<WebSocketData = undefined, Path extends string = string> = Partial<
    BaseOptions<WebSocketData> & HostnamePortOptions & UnixOptions & WithWebSocket<WebSocketData, Path>
  >;

  /** The options of every server. */
  interface BaseOptions<WebSocketData = undefined> {
    /**
     * Answers a request whose `fetch` threw, rejected, or returned an Error or a Response that can't be sent. It gets the value as it was thrown,
     * which need not be an Error, and `this` is the server. It may `upgrade()` the request, too. What WebSocket handlers throw does not come here.
     *
     * When it throws itself or gives no Response, and when there is no `error`, the client gets `500`, the error is printed, and `process.exitCode`
     * is set to 1; the server goes on. In `development` the answer shows the error, otherwise it says "Something went wrong!".
     *
     * @throws TypeError `ERR_INVALID_ARG_TYPE` "Expected error to be a function"
     */
    error?: (this: Server<WebSocketData>, error: ErrorLike) => MaybePromise<Response | void | undefined>;
    /**
     * Keys and certificates: with them the server speaks https and wss, TLS 1.2 and 1.3 (RFC 8446). In an array, the first entry is for clients that
     * ask for no name or one that no other entry has; the others need a `serverName` each (RFC 6066 §3). `reload({ tls })` gives connections to
     * come other ones, which Bun does not do; it throws and changes nothing when they are wrong.
     *
     * A client has 10 s for its handshake. Plain HTTP gets no answer.
     *
     * @throws TypeError `ERR_INVALID_ARG_TYPE` "TLSOptions must be an object", "SNI tls object must have a serverName", and what stands with the members
     * @throws Error `ERR_OSSL_PEM_NO_START_LINE` and others of OpenSSL's names for what is no PEM; `ERR_OSSL_X509_KEY_VALUES_MISMATCH` for a key that is not
     * the certificate's; `ERR_OSSL_BAD_DECRYPT` for an encrypted key without its passphrase
     */
    tls?: TLSOptions | TLSOptions[];
    /**
     * Whether clients are shown errors and hints for who writes the server: a page with the stack when nothing else answers.
     *
     * @default true, false when the environment variable NODE_ENV is "production"
     * @throws TypeError "mantou does not support 'development.hmr'…" for an object, as Bun takes it, with `hmr: true`
     */
    development?: boolean;
    /**
     * Bytes of a request's body, beyond which the client gets 413 (RFC 9110 §15.5.14) and the connection ends. A `Content-Length` above it is refused
     * without calling `fetch`; a body in chunks (RFC 9112 §7.1) when it is read: then reading it rejects with an Error "Request body exceeded
     * maxRequestBodySize", and what the handler returns is not sent. Nothing to GET and HEAD, whose body nobody sees. 0 refuses every body, Infinity
     * none; fractions are cut. `reload()` does not change it.
     *
     * @default 134217728, which is 128 MiB; whatever is no number means that, too
     */
    maxRequestBodySize?: number;
    /** A name for the server, shown by {@link Server.id}. Means nothing to mantou. @default "" */
    id?: string | null;
  }

  /** A server that listens on an address of the machine. */
  interface HostnamePortOptions {
    /**
     * The name or IP address to listen on. `"0.0.0.0"` takes IPv4 clients, `"::"` those of IPv6 and, unless `ipv6Only`, of IPv4.
     *
     * @default every address of the machine, IPv6 and IPv4
     */
    hostname?: string;
    /**
     * An integer from 0 to 65535, or a string that is one. 0 takes a free port, which {@link Server.port} tells.
     *
     * @default the first of the environment variables BUN_PORT, PORT and NODE_PORT that was set when the process started, else 3000
     * @throws RangeError `ERR_OUT_OF_RANGE` "The value of "options.port" is out of range. …"
     */
    port?: string | number;
    /**
     * Whether other servers may listen on the same port: the system spreads the connections (SO_REUSEPORT). Only servers of the same user that
     * all say so share one; for others it is taken, EADDRINUSE.
     *
     * Workers of `node:cluster` need not say so on Linux; elsewhere the second gets EADDRINUSE. With port 0 each worker has a port of its own,
     * unlike the servers of Node; nor is a Unix socket shared. A worker that is told to disconnect stops its servers, as by `stop()`.
     * @default false; true in a worker of `node:cluster` on Linux
     */
    reusePort?: boolean;
    /** Whether an IPv6 address takes IPv6 clients only. Nothing to an IPv4 one. @default false */
    ipv6Only?: boolean;
    /**
     * Seconds that may pass without a sign of life, exact to 0.1 s: until a request is answered, between two pieces of an answer, until the client takes
     * more of it, until the next request is complete. Then the connection ends, which aborts `request.signal`; half an answer stays one. 0 and
     * negative numbers are for never. A body at less than 16 KiB a second is no sign of life.
     *
     * A handler that has the body of its request, or a handshake to decide upon, may take longer. The first request of a connection must be there after
     * 10 s, whatever this says. {@link Server.timeout} changes it for one request; `reload()` does not. Connections that became WebSockets have a
     * timeout of their own, {@link WebSocketHandler.idleTimeout}.
     *
     * @default 10; in `development`, whoever leaves it out is told once when a handler took longer
     * @throws TypeError `ERR_INVALID_ARG_TYPE` "Bun.serve expects idleTimeout to be an integer"
     */
    idleTimeout?: number;
    /**
     * HTTP/1.1 is what is served.
     * @default true
     * @throws TypeError `ERR_INVALID_ARG_TYPE` "Cannot disable http1 without enabling http2 or http3" for `false`
     */
    http1?: true;
  }

  /** A server that listens on a Unix socket. */
  interface UnixOptions {
    /**
     * The path of the socket, which `stop()` and the end of the process remove. With a NUL first, a name of Linux's abstract namespace.
     *
     * @throws TypeError `ERR_INVALID_ARG_TYPE` "Cannot specify both hostname and unix"
     */
    unix: string;
  }

  /** A server of HTTP alone: every request is answered with a Response. */
  interface WithoutWebSocket<WebSocketData = undefined, Path extends string = string> {
    /**
     * Answers a request, whatever its method (RFC 9110 §9.1). Requests of one connection are answered in their order (RFC 9112 §9.3.2).
     * `request.signal` aborts when the client leaves before its answer is complete. `this` is the server, too.
     *
     * A Response goes out with its `statusText` as the reason phrase (RFC 9112 §4); a body that is a stream goes out as it comes, in chunks (RFC 9112
     * §7.1), or with its length when all of it comes at once. Returning anything else sends `204 No Content` (in `development` a hint) and prints
     * an error; throwing goes to `error`.
     *
     * With `routes` it gets the requests that no route takes; without it those get `404 Not Found`.
     *
     * @throws TypeError `ERR_INVALID_ARG_TYPE` "Bun.serve() needs either: …" without it and routes, "Expected fetch() to be a function" when it is none
     */
    fetch?: (this: Server<WebSocketData>, request: Request, server: Server<WebSocketData>) => MaybePromise<Response>;
    /**
     * What is answered where. See {@link Routes}.
     *
     * @throws the errors of {@link Routes}
     */
    routes?: Routes<WebSocketData, Path, Response>;
    /** An older name of `routes`, which comes before it. */
    static?: Routes<WebSocketData, Path, Response>;
  }

  /** A server of HTTP and WebSocket: a request that `server.upgrade()` took needs no Response. */
  interface WithWebSocket<WebSocketData = undefined, Path extends string = string> {
    /**
     * Answers a request, as without WebSockets, or turns it into one: `if (server.upgrade(request)) return;`. What it returns after that is ignored,
     * and what it throws goes to `error`, whose Response is ignored. With `routes` it gets what no route takes, and handshakes of RFC 6455 that
     * none of their handlers takes; without it those get `403 Forbidden`.
     *
     * @throws TypeError `ERR_INVALID_ARG_TYPE` "Bun.serve() needs either: …" without it and routes, "Expected fetch() to be a function" when it is none
     */
    fetch?: (this: Server<WebSocketData>, request: Request, server: Server<WebSocketData>) => MaybePromise<Response | void | undefined>;
    /**
     * What is answered, or upgraded, where. See {@link Routes}.
     *
     * @throws the errors of {@link Routes}
     */
    routes?: Routes<WebSocketData, Path, Response | void | undefined>;
    /** An older name of `routes`, which comes before it. */
    static?: Routes<WebSocketData, Path, Response | void | undefined>;
    /**
     * The handlers and limits of WebSockets. `{}` will do: it upgrades, and answers pings and closes.
     *
     * @throws TypeError `ERR_INVALID_ARG_TYPE` "Expected websocket to be an object"
     */
    websocket: WebSocketHandler<WebSocketData>;
  }

  /**
   * What is answered where, by path: `"/exact"`, `"/users/:id"` with a parameter for one segment that is not empty, `"/files/*"` with
   * a wildcard for whatever follows its slash, even nothing. Segment by segment, an exact name comes before a parameter, a parameter before
   * a wildcard. A path is compared as the client sent it, without its query: case and a slash at the end count, `%41` is not `A`.
   *
   * It is read once, by `serve()` or `reload()`, which replaces all routes; without `routes` a reload keeps them.
   *
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "Bun.serve() expects 'routes' to be an object shaped like: …", "'routes' expects a Record<…>…"
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "Invalid route "…". Path must start with '/'", "… Please encode all non-ASCII characters in the path."
   * @throws Error "Route parameter names cannot start with a number.", "Support for duplicate route parameter names is not yet implemented."
   */
  type Routes<WebSocketData = undefined, Path extends string = string, Result = Response | void | undefined> = {
    [P in Path]: Route<WebSocketData, P, Result> | undefined;
  };

  /**
   * What a path is answered with: a handler, for every method; an object of handlers and Responses, by method; a Response; a
   * {@link DirectoryRoute}. `false` leaves the path to `fetch`, whatever other routes match it.
   *
   * In an object, HEAD is answered as GET unless it is there itself, and a method that is not there is for the next route that matches.
   *
   * A Response is static: its body is copied at once, and every request gets it without running JavaScript, with an `etag` of its content (RFC
   * 9110 §8.8.3). Conditional requests are answered with `304 Not Modified` or `412 Precondition Failed` (RFC 9110 §13). In Node.js, a
   * Response of the host's own class and one with a stream are read to their end first: requests that come earlier wait for that.
   *
   * A handshake of RFC 6455 on a server with `websocket` is for handlers alone: it passes by everything else.
   *
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "Response body has already been used", "Body must be fully buffered before it can be used in a static
   * route. …" for a stream
   */
  type Route<WebSocketData = undefined, Path extends string = string, Result = Response | void | undefined> =
    | RouteHandler<WebSocketData, Path, Result>
    | Partial<Record<HTTPMethod, RouteHandler<WebSocketData, Path, Result> | Response>>
    | Response
    | DirectoryRoute
    | false;

  /** Answers the requests of a route, as `fetch` does. */
  type RouteHandler<WebSocketData = undefined, Path extends string = string, Result = Response | void | undefined> = (
    this: Server<WebSocketData>,
    request: BunRequest<Path>,
    server: Server<WebSocketData>,
  ) => MaybePromise<Result>;

  /**
   * The files below a directory, for a path that ends in `/*` and has no parameters. They go out as they are on the disk, with their media type by
   * extension, `last-modified` and a weak `etag`; conditional requests and single ranges are honoured (RFC 9110 §13, §14), several ranges
   * get the whole. A directory is its `index.html`, after a redirect to the path with the slash; without one, and for what is not there, the client
   * gets `404 Not Found`.
   *
   * Nothing leads out of the directory: not dot segments, nor escapes of slashes, nor symbolic links. Links that stay below it are followed; on
   * Linux a link must be relative for that. A path with a backslash or a colon names no file.
   *
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "The "dir" property must be of type string, got …", "To mount a directory, make sure the path ends in `/*`",
   * "Directory routes do not support :parameters; use a fixed prefix ending in `/*`"
   */
  interface DirectoryRoute {
    /** The directory, absolute or relative to that of the process. */
    dir: string;
    /** Accepted for Bun's sake, and of no effect: every request looks at the disk. */
    statCache?: boolean;
  }

  /** The methods that an object of a {@link Route} is known by. */
  type HTTPMethod = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH' | 'HEAD' | 'OPTIONS' | 'CONNECT' | 'TRACE';

  /** The parameters in a path: `{ id: string }` for `"/users/:id"`. Of a path that is only known to be a string, whatever it may be. */
  type ExtractRouteParams<Path extends string> = string extends Path ? Record<string, string> : { [Name in ParameterNames<Path>]: string };
}

/** The request that the handler of a route gets. A clone has the parameters, and cookies of its own that no answer carries. */
export interface BunRequest<Path extends string = string> extends Request {
  /**
   * The parameters of the path, percent-decoded; what does not decode becomes U+FFFD. It has no prototype. What a wildcard stands for is
   * not there: see `url`.
   */
  readonly params: Serve.ExtractRouteParams<Path>;
  /**
   * The cookies of the request. What is set and deleted here, until the handler gives its Response or upgrades, goes out with that, one Set-Cookie line
   * each, behind those of the Response itself.
   */
  readonly cookies: CookieMap;
  clone(): BunRequest<Path>;
}

/**
 * Cookies by name, and what is to become of them: `request.cookies`, or one made of a Cookie field, of pairs, or of an object.
 *
 * The methods throw a TypeError `ERR_INVALID_THIS` "Can only call CookieMap.… on instances of CookieMap" on anything else.
 */
export declare class CookieMap implements Iterable<[string, string]> {
  /**
   * A field is taken apart (RFC 6265 §5.4) and its values percent-decoded; pairs and objects are taken as they are.
   *
   * @throws TypeError "Expected arrays of exactly two strings", "Invalid initializer type"
   */
  constructor(init?: string | string[][] | Record<string, string> | null);
  /** The value of a cookie, the first if there are several; null without one, and after `delete`. */
  get(name: string): string | null;
  /** Whether there is a cookie of that name. */
  has(name: string): boolean;
  /**
   * Sets a cookie, in place of all that have its name. Path=/ and SameSite=Lax unless the options say otherwise. One with the value "" is
   * sent and not kept.
   *
   * @throws TypeError "Invalid cookie name: contains invalid characters", and the other errors of {@link Cookie}
   * @throws TypeError `ERR_MISSING_ARGS` "Not enough arguments"
   */
  set(name: string, value: string, options?: CookieInit): void;
  set(cookie: Cookie | CookieInit): void;
  /**
   * Removes a cookie, and has the client do so: with the `path` and `domain` that it was set with, "/" and none by default. A name that begins
   * with "__Secure-" or "__Host-" is sent with Secure.
   *
   * @throws TypeError "Cookie name is required", "Options must be an object", and the errors of {@link Cookie}
   */
  delete(name: string, options?: Omit<CookieDeletion, 'name'>): void;
  delete(cookie: CookieDeletion): void;
  /** The first cookie of each name. */
  toJSON(): Record<string, string>;
  /** The Set-Cookie lines for what was set and deleted, in the order in which that was done last. */
  toSetCookieHeaders(): string[];
  /** How many cookies there are. */
  readonly size: number;
  /** Names and values: first what was set, then what came. */
  entries(): IterableIterator<[string, string]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  /** @throws TypeError `ERR_INVALID_ARG_TYPE` "Cannot call callback on a non-function" */
  forEach(callback: (value: string, name: string, map: CookieMap) => void, thisArg?: unknown): void;
  [Symbol.iterator](): IterableIterator<[string, string]>;
}

/** A cookie as a server sets it (RFC 6265 §4.1). */
export declare class Cookie {
  /**
   * @param value whatever characters it has, they are percent-encoded on the way
   * @throws TypeError "name is required", "Invalid cookie name: contains invalid characters", the same for domain and path, "Options must be an object",
   * "Invalid sameSite value. Must be 'strict', 'lax', or 'none'", "Invalid cookie expiration date"; `ERR_MISSING_ARGS` "Not enough arguments";
   * `ERR_INVALID_ARG_VALUE` for an `expires` of another type
   * @throws RangeError "expires must be a valid Date (or Number)" and the like
   */
  constructor(name: string, value: string, options?: CookieInit);
  /** @param cookie an object with everything, or a Set-Cookie line as `parse` takes it */
  constructor(cookie: string | CookieInit);
  /**
   * Takes a Set-Cookie line apart (RFC 6265 §5.2); its value stays as it is. Attributes that make no sense are left out.
   *
   * @throws TypeError "Invalid cookie string: empty", "Invalid cookie string: name cannot be empty", "cookie string is not a valid HTTP header value"
   */
  static parse(line: string): Cookie;
  /** `new Cookie(…)`. */
  static from(name: string, value: string, options?: CookieInit): Cookie;
  readonly name: string;
  value: string;
  /** null for the host that sets it. */
  domain: string | null;
  path: string;
  /** Until when the client keeps it; undefined until it ends, or as `maxAge` says. */
  get expires(): Date | undefined;
  set expires(expires: Date | number | string | undefined | null);
  /** For how many seconds the client keeps it; goes before `expires`. 0 or less has it forgotten. */
  maxAge: number | undefined;
  secure: boolean;
  httpOnly: boolean;
  sameSite: CookieSameSite;
  partitioned: boolean;
  /** Whether `maxAge` or `expires` say that it is over. */
  isExpired(): boolean;
  /** The Set-Cookie line. */
  toString(): string;
  /** The Set-Cookie line. */
  serialize(): string;
  /** Its members, without a prototype. */
  toJSON(): CookieInit;
}

/** What a cookie is made of. */
export interface CookieInit {
  /** Printable ASCII but `;` and `=`, at least one character. */
  name?: string;
  value?: string;
  /** Lower-case letters, digits, `.` and `-`. @default the host that sets it */
  domain?: string | null;
  /** Printable ASCII but `;` and `<`; "" for none, which is where the request was for. @default "/" */
  path?: string | null;
  /** A Date, seconds since 1970, or a date as HTTP writes it (RFC 9110 §5.6.7). @default until the client ends */
  expires?: Date | number | string | null;
  /** Seconds. @default as `expires` says */
  maxAge?: number;
  /** Only over HTTPS. @default false */
  secure?: boolean;
  /** Not for scripts. @default false */
  httpOnly?: boolean;
  /** Whether it goes along with requests from other sites. @default "lax" */
  sameSite?: CookieSameSite;
  /** Kept apart by the site at the top. @default false */
  partitioned?: boolean;
}

/** Which cookie to delete. */
export interface CookieDeletion {
  name: string;
  /** As it was set. @default none */
  domain?: string | null;
  /** As it was set. @default "/" */
  path?: string | null;
}

/** Never from other sites, only on the way to the site, or always. */
export type CookieSameSite = 'strict' | 'lax' | 'none';

/**
 * The `websocket` option: what happens on connections, and their limits. It is read once, by `serve()` or `reload()`; changing it later has no effect.
 *
 * `this` is undefined in every handler. Handlers of one connection run one after the other, in the order of its frames; promises and
 * `process.nextTick` callbacks run between two of them. A promise that a handler returns is not waited for: the next message may come before it
 * settles, unless `serial`. {@link ServerWebSocket.pause} holds messages back, too.
 *
 * What a handler throws goes to `error`; without one it is an `uncaughtException`. A promise that rejects is an `unhandledRejection`.
 *
 * Any handler that is not a function throws a TypeError `ERR_INVALID_ARG_TYPE` "websocket expects a function for the '…' option"; a number that is
 * no integer "websocket expects … to be an integer"; a value that should be true or false "websocket expects … to be a boolean".
 */
export interface WebSocketHandler<T = undefined> {
  /** Carries the type of `ws.data`: `data: {} as Session`. Its value is ignored. */
  data?: T;
  /**
   * The connection is open. Runs inside {@link Server.upgrade}; what it sends leaves together with the handshake's answer.
   * When it throws, the connection is dropped without a Close frame: `close` gets 1006, then `error` what was thrown.
   */
  open?(this: void, ws: ServerWebSocket<T>): void | Promise<void>;
  /**
   * A message came, whole (RFC 6455 §5.6): a string for a text message, a Buffer for a binary one. With another {@link ServerWebSocket.binaryType} a
   * binary message is of that type, whatever this signature says. Bytes are the handler's own; nothing else changes them.
   */
  message?(this: void, ws: ServerWebSocket<T>, message: string | Buffer<ArrayBuffer>): void | Promise<void>;
  /**
   * The connection is over. Runs once, and no handler but `error` after it. `ws` sends nothing any more and has left its topics, but may still
   * publish to others.
   *
   * `code` and `reason` are those of the peer's Close frame, or those given to `close()`. Otherwise (RFC 6455 §7.1.5):
   * 1005 and "" for a Close frame without a code; 1001 and "Server closed" for `stop(true)`, what `stop({ code, reason })` says; 1006 for an end without a Close frame from the peer, with
   * a reason where the server has one: "WebSocket timed out from inactivity", or what was wrong with a frame, like "Received too big message",
   * of which the peer got a Close frame with 1002, 1007 or 1009.
   */
  close?(this: void, ws: ServerWebSocket<T>, code: number, reason: string): void | Promise<void>;
  /**
   * The system took some of what was buffered, after a send that returned -1. Runs each time it does;
   * {@link ServerWebSocket.getBufferedAmount} says what is left, 0 at the last.
   */
  drain?(this: void, ws: ServerWebSocket<T>): void | Promise<void>;
  /** A ping came (RFC 6455 §5.5.2). It has been answered with a pong already. `data` is at most 125 bytes, of the type that `binaryType` says. */
  ping?(this: void, ws: ServerWebSocket<T>, data: Buffer<ArrayBuffer>): void | Promise<void>;
  /** A pong came (RFC 6455 §5.5.3): the answer to a ping, also to an automatic one, or unasked for. `data` as for `ping`. */
  pong?(this: void, ws: ServerWebSocket<T>, data: Buffer<ArrayBuffer>): void | Promise<void>;
  /**
   * Another handler threw. It gets the value as it was thrown, which need not be an Error. The connection stays open, unless it was `open` that threw.
   * What it throws itself is an `uncaughtException`.
   */
  error?(this: void, error: Error, ws: ServerWebSocket<T>): void | Promise<void>;
  /**
   * A message was dropped, because more than `backpressureLimit` was waiting for its receiver: no loss goes unheard. Not in Bun.
   *
   * Runs inside the `send` or `publish`, before that returns 0; after a publication, once for each socket that it did not reach. It may send, but
   * what it drops itself on the same socket is not reported again. Pings, pongs, and what is sent on a closed socket don't come here.
   *
   * @param data what was to be sent, the very value that was given
   * @param topic of the publication; undefined for what was sent to `ws` alone
   */
  dropped?(this: void, ws: ServerWebSocket<T>, data: unknown, topic: string | undefined): void | Promise<void>;
  /**
   * How many messages of one connection `message` may be busy with, when it returns promises: `true` is 1, a number that many, `false` any number. Not
   * in Bun.
   *
   * What comes behind waits until one of the promises has settled: messages, and with them pings, pongs, and the close of the peer. Meanwhile the
   * connection is not read, so that TCP holds the client back and memory stays bounded, and its idle timeout rests. A handler whose promise never
   * settles holds its connection until `terminate()`, `close()` or `stop(true)`.
   *
   * @default false
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "websocket expects serial to be a boolean or a positive integer"
   */
  serial?: boolean | number;
  /**
   * Bytes of the largest message taken, its fragments together and decompressed, 0 to 4294967295; a larger number counts as that, a negative one as 0,
   * which takes empty messages only. A client that sends more gets a Close frame 1009 "Received too big message" (RFC 6455 §7.4.1).
   *
   * @default 16777216 (16 MiB)
   */
  maxPayloadLength?: number;
  /**
   * Bytes that may wait for a slow client. Once more than that is buffered, further messages are dropped and sends return 0; so at most this and one
   * message wait. 0, or less, for no limit.
   *
   * @default 16777216 (16 MiB)
   */
  backpressureLimit?: number;
  /** Whether dropping a message for `backpressureLimit` also ends the connection, without a Close frame: `close` gets 1006. @default false */
  closeOnBackpressureLimit?: boolean;
  /**
   * Seconds of silence after which a connection ends, without a Close frame: `close` gets 1006 "WebSocket timed out from inactivity". An integer
   * up to 960, exact to 0.1 s; 0, or less, for never. With `sendPings` only what is received breaks the silence; without, what is sent too.
   *
   * @default 120
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "websocket expects idleTimeout to be 960 or less"
   */
  idleTimeout?: number;
  /** Whether {@link ServerWebSocket.publish} also reaches the socket it is called on, if that is subscribed. @default false */
  publishToSelf?: boolean;
  /**
   * Whether a silent client is sent an empty ping (RFC 6455 §5.5.2) before `idleTimeout` ends its connection: 16 s before where that is 32 s or
   * more, 8 s from 16 s on, 4 s from 8 s on, half of it below. The client's pong counts as a sign of life. Without `idleTimeout` there are no pings.
   *
   * @default true
   */
  sendPings?: boolean;
  /**
   * Compression (permessage-deflate, RFC 7692) with clients that offer it. `true` is short for `{ compress: 'shared', decompress: 'shared' }`.
   *
   * `compress` is what the server sends with, `decompress` what it receives with. A side that is left out, or `true`, is `'shared'`; `false` is
   * `'disable'`. Nothing is negotiated when both are disabled, when neither is given, or when the only one given is disabled. With `compress`
   * disabled the server takes compressed messages and sends none. `decompress` can't be disabled alone, because a client that was granted the
   * extension may compress whenever it likes (RFC 7692 §6.2): it counts as `'shared'`.
   *
   * Which messages are compressed is up to the `compress` argument of the sending methods, and where that is omitted to the level: see
   * {@link WebSocketCompressor}. Control frames and empty messages never are.
   *
   * Of a client's offers the first that can be met is accepted (RFC 7692 §5.1, §7.1); if none can, the connection opens without compression. A message
   * that can't be decompressed ends its connection with a Close frame 1007 "Received invalid compressed data".
   *
   * @default false
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "websocket expects perMessageDeflate to be a boolean or an object"
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "websocket expects a valid compress option, either "disable" "shared" …", or decompress
   */
  perMessageDeflate?: boolean | { compress?: WebSocketCompressor | boolean; decompress?: WebSocketCompressor | boolean };
}

/**
 * How much memory a connection's compressor or decompressor may take.
 *
 * - `"disable"`: no compression.
 * - `"shared"`: none. Every message is compressed by itself, without the context of those before it (RFC 7692 §7.1.1).
 * - `"dedicated"`: as much as it wants. Messages are compressed with the context of those before them, which makes similar messages small.
 * - `"3KB"` to `"256KB"`: about so much, with context. The window of a compressor (RFC 7692 §7.1.2) has 9 bits for 3KB and 4KB, then one more for
 *   each name up to 15 for 256KB; that of a decompressor has 11 bits for 3KB, 12, 13 and 14 for 4KB, 8KB and 16KB, and 15 from 32KB on.
 *
 * With a sized `compress` a message of more bytes than the name says (1 KB is 1024) is compressed when the `compress` argument of the sending method
 * is omitted. With `"shared"` and `"dedicated"`, omitting it means no for the methods of a socket and yes for {@link Server.publish}.
 */
export type WebSocketCompressor = 'disable' | 'shared' | 'dedicated' | '3KB' | '4KB' | '8KB' | '16KB' | '32KB' | '64KB' | '128KB' | '256KB';

/**
 * A WebSocket connection, on the side of the server. {@link Server.upgrade} makes it; the same object comes to every handler of a connection.
 *
 * It can be kept and used at any time. After the end of the connection the sending methods return 0 and those of topics false, without looking at
 * their arguments; `close`, `terminate`, `pause` and `resume` do nothing; the others work as before.
 *
 * Methods need their socket, or a Proxy of it, as `this`: otherwise they throw a TypeError `ERR_INVALID_THIS` "Expected this to be instanceof
 * ServerWebSocket…".
 */
export declare class ServerWebSocket<T = undefined> {
  /** @throws Error "Cannot construct ServerWebSocket": only the server makes them. The class is there for `instanceof`. */
  private constructor();

  /**
   * Sends a message (RFC 6455 §5.6): a text message for a string, a binary one for bytes. Bytes are copied before this returns. In a text, a
   * surrogate without its other half becomes U+FFFD.
   *
   * @param compress whether to compress the message where compression was agreed with the client; omitted, the level decides
   * ({@link WebSocketCompressor})
   * @returns the bytes of the message, uncompressed and for a text those of its UTF-8, when the system or the cork took it, which is 0 for an
   * empty message; -1 when some of it waits for the client to read, and `drain` will run; 0 when it was dropped, because more than
   * `backpressureLimit` was waiting already or because the connection is closed
   * @throws Error "send requires at least 1 argument", "send requires a non-empty message" for undefined and null, "send expects compress to be
   * a boolean"
   * @throws TypeError "send cannot send a Blob synchronously; await blob.bytes() first"
   */
  send(data: string | BufferSource, compress?: boolean): ServerWebSocketSendStatus;
  /**
   * Sends a text message. `compress` and the return value are those of `send`.
   *
   * @throws Error "sendText requires at least 1 argument", "sendText expects a string", "sendText expects compress to be a boolean"
   */
  sendText(data: string, compress?: boolean): ServerWebSocketSendStatus;
  /**
   * Sends a binary message. `compress` and the return value are those of `send`.
   *
   * @throws Error "sendBinary requires at least 1 argument", "sendBinary expects a Blob or BufferSource", "sendBinary expects compress to be a boolean"
   * @throws TypeError "sendBinary cannot send a Blob synchronously; await blob.bytes() first"
   */
  sendBinary(data: BufferSource, compress?: boolean): ServerWebSocketSendStatus;

  /**
   * Closes the connection: sends what is still waiting, then a Close frame (RFC 6455 §5.5.1). The `close` handler runs inside, with this code and
   * reason; after it `readyState` is 3. Does nothing on a closed socket.
   *
   * @param code 1000 when omitted. Any number is taken, as a 32-bit integer, and its low 16 bits are sent; 0, 1005 and 1006, which must not be
   * sent (RFC 6455 §7.4.1), give a Close frame without code and reason. Codes for applications are 4000 to 4999 (RFC 6455 §7.4.2)
   * @param reason "" when omitted. Cut to 123 bytes of UTF-8, at a character
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "close requires a numeric code or undefined"
   */
  close(code?: number, reason?: string): void;
  /** Ends the connection without a Close frame; what still waits is lost. The `close` handler runs inside, with 1006 and "". Nothing on a closed socket. */
  terminate(): void;

  /**
   * Sends a ping (RFC 6455 §5.5.2), whose answer comes to the `pong` handler. Without `data` it is empty.
   *
   * @returns as `send`
   * @throws RangeError "The data size must not be greater than 125 bytes. Received … bytes." (RFC 6455 §5.5)
   * @throws Error "ping expects a string, Blob, or BufferSource"
   * @throws TypeError "ping cannot send a Blob synchronously; await blob.bytes() first"
   */
  ping(data?: string | BufferSource): ServerWebSocketSendStatus;
  /**
   * Sends a pong (RFC 6455 §5.5.3). Pings are answered without it.
   *
   * @returns as `send`
   * @throws the errors of `ping`, with its own name
   */
  pong(data?: string | BufferSource): ServerWebSocketSendStatus;

  /**
   * Sends a message to every subscriber of a topic, in order with what is sent to each of them otherwise. The socket itself is left out unless
   * `publishToSelf`; it need not be subscribed, and may be closed.
   *
   * @param topic any string but ""; there are no wildcards
   * @param compress as for `send`
   * @returns the bytes of the message, not multiplied by the number of its receivers; -1 when it waits for some of them; 0 when one of them
   * had to drop it, when nobody else is subscribed, or when the message is empty
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "The "topic" argument must be of type string. Received …"
   * @throws Error "publish requires a non-empty topic name", and the errors of `send` with its own name
   */
  publish(topic: string, data: string | BufferSource, compress?: boolean): ServerWebSocketSendStatus;
  /** Publishes a text message: `publish` with the errors of `sendText`. To the topic "", which has no subscribers, it sends nothing and returns 0. */
  publishText(topic: string, data: string, compress?: boolean): ServerWebSocketSendStatus;
  /** Publishes a binary message: `publish` with the errors of `sendBinary`. */
  publishBinary(topic: string, data: BufferSource, compress?: boolean): ServerWebSocketSendStatus;

  /**
   * Subscribes to a topic of its server, until `unsubscribe` or the end of the connection.
   *
   * @param topic any string but ""
   * @returns true, also when it was subscribed before, which changes nothing; false on a closed socket
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "The "topic" argument must be of type string. Received …"
   * @throws Error "subscribe requires at least 1 argument", "subscribe requires a non-empty topic name"
   */
  subscribe(topic: string): boolean;
  /**
   * Leaves a topic.
   *
   * @returns whether it was subscribed
   * @throws the errors of `subscribe`, with its own name
   */
  unsubscribe(topic: string): boolean;
  /**
   * Whether the socket is subscribed to a topic.
   *
   * @throws the errors of `subscribe`, with its own name
   */
  isSubscribed(topic: string): boolean;
  /** The topics it is subscribed to, in the order of subscription: a new array each time, empty on a closed socket. */
  readonly subscriptions: string[];

  /**
   * Calls `callback` at once, with the socket as its argument and as `this`. What is sent inside, until it returns, leaves together; what is sent
   * within one turn of the event loop, as in a handler, does so anyway.
   *
   * @returns what `callback` returns; what it throws is passed on
   * @throws TypeError `ERR_MISSING_ARGS` "Not enough arguments to 'cork'. Expected 1, got 0."
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "The "callback" argument must be of type function. Received …"
   */
  cork<R = unknown>(callback: (this: ServerWebSocket<T>, ws: ServerWebSocket<T>) => R): R;

  /** Bytes that were sent and that the system has not taken yet, as frames: with headers, and compressed where they are. 0 on a closed socket. */
  getBufferedAmount(): number;

  /**
   * Stops reading from the client, which backs up to it (TCP). Messages that were read already still come. The idle timeout rests, sending
   * goes on, and the end of the connection is noticed after `resume()` only.
   */
  pause(): void;
  /** Reads again, after `pause()`. */
  resume(): void;
  /** Whether reading is paused; false on a closed socket. */
  readonly isPaused: boolean;

  /** The client's IP address without its port: "127.0.0.1", "::1"; "" on a Unix socket. It stays after the end of the connection. */
  readonly remoteAddress: string;
  /** 1 while the connection is open, 3 from the `close` handler on (RFC 6455 §4.1, §7.1.4). 0 and 2 are states of a client. */
  readonly readyState: WebSocketReadyState;
  /**
   * Why the connection closed; undefined while it is open. Not in Bun.
   *
   * - `"peer"`: the client sent a Close frame. `"io"`: it left without one, or the connection broke.
   * - `"server"`: `close()` or `terminate()`, or `open` threw. `"stop"`: `server.stop(true)` or `server.stop({ … })`.
   * - `"idle"`: nothing was heard for `idleTimeout` seconds. `"backpressure"`: `closeOnBackpressureLimit`.
   * - `"too-big"`: a message over `maxPayloadLength`. `"protocol"`: anything else that RFC 6455 or 7692 forbid; the reason says what.
   */
  readonly closeCause: CloseCause | undefined;
  /** The subprotocol that the handshake agreed on (RFC 6455 §1.9), "" without one. Not in Bun. */
  readonly protocol: string;
  /** The extensions that the handshake agreed on, as its answer names them: "permessage-deflate; …" (RFC 7692 §7), "" without any. Not in Bun. */
  readonly extensions: string;
  /**
   * How binary messages, and what pings and pongs carry, come to the handlers of this socket: as Buffer, ArrayBuffer, Uint8Array or Blob.
   *
   * @default "nodebuffer"
   * @throws Error "binaryType must be either "uint8array", "arraybuffer", "nodebuffer" or "blob""
   */
  binaryType?: 'nodebuffer' | 'arraybuffer' | 'uint8array' | 'blob';
  /** The very value given to {@link Server.upgrade}, undefined without one. It can be replaced, and stays after the end of the connection. */
  data: T;
}

/** How {@link Server.stop} takes leave of WebSockets. Not in Bun. */
export interface StopOptions {
  /**
   * The code of their Close frames, as {@link ServerWebSocket.close} takes it.
   * @default 1001, "going away" (RFC 6455 §7.4.1)
   */
  code?: number;
  /**
   * The reason beside it: at most 123 bytes of UTF-8 (RFC 6455 §5.5).
   * @default "Server closed"
   */
  reason?: string;
  /**
   * Seconds, with fractions, that clients have to hang up and requests to be answered; 0 cuts at once, Infinity never.
   * @default 5
   */
  timeout?: number;
}

/**
 * A running server.
 *
 * Methods need their server, or a Proxy of it, as `this`: otherwise they throw a TypeError `ERR_INVALID_THIS` "Expected this to be instanceof
 * HTTPServer…", or DebugHTTPServer in `development`.
 */
export interface Server<WebSocketData = undefined> extends Disposable, AsyncDisposable {
  /**
   * Stops the server. It accepts no more connections and closes those without a request; requests are still answered, WebSockets go on.
   *
   * With `true` nothing goes on: every WebSocket gets a Close frame 1001 "Server closed", and its `close` handler runs inside this call; other
   * connections are cut, which aborts `request.signal`.
   *
   * With `{ code, reason, timeout }`, which Bun does not have, WebSockets end cleanly and all within a time: each gets a Close frame behind
   * what it has yet to get, and its `close` handler runs inside this call, with `closeCause` "stop". What upgrades later is closed
   * when `open` has returned. Then clients have `timeout` seconds to hang up, and requests to be answered; whoever has not is cut off as by
   * `stop(true)`. A handler that awaits the promise keeps its own request from being answered.
   *
   * @param how `true`, or an object with one of these options; everything else is no reason to hurry
   * @returns a promise that settles when the last connection is gone; never rejects. Calling again is fine: `stop(true)` cuts off whoever is
   *   left, and of several timeouts the first to end counts
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "stop expects code to be a number", "… reason to be a string", "… timeout to be a number"
   * @throws RangeError `ERR_OUT_OF_RANGE` for a reason of more than 123 bytes and a timeout that is negative or NaN
   */
  stop(how?: boolean | StopOptions): Promise<void>;
  /** `stop(true)`, at the end of a block that began with `using server = serve({ … })`. */
  [Symbol.dispose](): void;
  /** `stop(true)`, awaited at the end of a block that began with `await using server = serve({ … })`. Not in Bun. */
  [Symbol.asyncDispose](): Promise<void>;
  /**
   * Replaces `fetch`, `routes`, `error`, `websocket` and `tls`, each where it is given. Open WebSockets have the new handlers and limits from their next event on. When
   * an option is wrong, nothing changes.
   *
   * @returns this server
   * @throws TypeError `ERR_MISSING_ARGS` "Not enough arguments to 'reload'. Expected 1, got 0."
   * @throws the errors of {@link serve} for these options
   */
  reload<Path extends string = string>(options: Serve.ReloadOptions<WebSocketData, Path>): Server<WebSocketData>;
  /**
   * Calls the `fetch` handler without a connection: its second argument is undefined. A string is a URL, or a path on this server.
   *
   * @returns what the handler returns; rejects with what it throws, with an Error "fetch() returned an empty value" when it returns undefined or null,
   * "fetch() requires the server to have a fetch handler", "fetch() expects a string but received no arguments." or "fetch() URL must not be a blank
   * string.", or a TypeError `ERR_INVALID_ARG_TYPE` "fetch() expects a string, but received …"
   */
  fetch(request: Request | string): Promise<Response>;
  /**
   * Turns a request into a WebSocket: sends the answer to the handshake (RFC 6455 §4.2.2) and runs the `open` handler, both before it returns.
   * Return nothing from `fetch` then. It also works after an `await`; what the client sends in the meantime is kept.
   *
   * `headers` are added to the answer, except those that the handshake itself sets. Of the subprotocols a client asks for, the first is
   * chosen; `headers` with `Sec-WebSocket-Protocol` choose another, or none with "". `data` becomes {@link ServerWebSocket.data}; it may be
   * left out only where its type allows undefined.
   *
   * `protocol`, which Bun does not have, picks a subprotocol by its name, if the client asks for it, and otherwise none (RFC 6455 §4.2.2); `false`
   * refuses all. It goes before `headers`, and {@link ServerWebSocket.protocol} tells the outcome.
   *
   * `websocket`, which Bun does not have, are the handlers and limits of this connection, instead of those of the server: what `reload()` brings is
   * not for it. The object is read once, when it comes for the first time, so make it once and not for every upgrade. Its handlers run in
   * the async context of `serve()`, and its topics are those of the server. Where all connections have their own, `websocket: {}` for the server says
   * to the compiler that handlers of requests may return nothing, and has handshakes pass by what is no handler.
   *
   * @returns true, or false when it can't be: the request is no handshake of RFC 6455 (§4.2.1), was upgraded or answered before, was not received
   * by a server, or its client is gone. A version other than 13 gets its answer here: `426 Upgrade Required` (RFC 6455 §4.4)
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "To enable websocket support, set the "websocket" object in Bun.serve({})", unless `websocket` is given
   * @throws the errors of {@link WebSocketHandler} for `websocket`
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "Missing argument", "upgrade requires a Request object", "upgrade options must be an object",
   * "upgrade options.headers must be a Headers or an object", "upgrade options.protocol must be the name of a subprotocol or false", "upgrade() must be called on the same server that received the request"
   * @throws TypeError "Invalid header name: '…'", "Header '…' has invalid value"; the request can still be answered
   */
  upgrade<Data = undefined>(request: Request, ...options: OwnUpgradeArguments<Data>): boolean;
  upgrade(request: Request, ...options: UpgradeArguments<WebSocketData>): boolean;
  /**
   * Sends a message to every subscriber of a topic.
   *
   * @param compress whether to compress it for those with whom compression was agreed; omitted, the level decides ({@link WebSocketCompressor})
   * @returns the bytes of the message, -1 or 0, as {@link ServerWebSocket.publish}; 0 on a server without WebSockets, and after it has stopped
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "Missing argument" with less than two, "Expected string" for a topic that is undefined or null
   * @throws Error "publish requires a topic string" for the topic ""
   * @throws TypeError "publish cannot send a Blob synchronously; await blob.bytes() first"
   */
  publish(topic: string, data: string | BufferSource, compress?: boolean): ServerWebSocketSendStatus;
  /**
   * How many sockets are subscribed to a topic.
   *
   * @throws TypeError `ERR_MISSING_ARGS` "Not enough arguments to 'subscriberCount'. Expected 1, got 0."
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "subscriberCount requires a topic name as a string"
   */
  subscriberCount(topic: string): number;
  /**
   * The client that sent a request.
   *
   * @returns its address, or null once the request was answered or upgraded, when the client is gone, on a Unix socket, and for a request that no server
   * received
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "Missing Request object", "Expected Request object"
   */
  requestIP(request: Request): SocketAddress | null;
  /**
   * Gives a request another {@link Serve.HostnamePortOptions.idleTimeout}, from now until the next request on its connection. Ignored once the request was
   * answered or upgraded, and for a request that no server received.
   *
   * @param seconds cut to an integer; 0, negative numbers, NaN and Infinity are for never
   * @throws TypeError `ERR_MISSING_ARGS` "Not enough arguments to 'timeout'. Expected 2, got …"
   * @throws TypeError `ERR_INVALID_ARG_TYPE` "timeout() requires a Request object"
   * @throws Error "timeout() requires a number"
   */
  timeout(request: Request, seconds: number): void;
  /**
   * Closes the connections that wait for another request (RFC 9112 §9.3). Those that have not sent their first, are being answered or have become
   * WebSockets stay.
   *
   * @returns how many it closed
   */
  closeIdleConnections(): number;
  /** Lets the server keep the process alive, which is how it starts. Returns the server. */
  ref(): Server<WebSocketData>;
  /** Lets the process end while the server listens, and while its connections are open. Returns the server. */
  unref(): Server<WebSocketData>;
  /** How many requests are being answered. One that was upgraded counts until `fetch` returns. */
  readonly pendingRequests: number;
  /** How many WebSockets are open: one counts from before its `open` handler until after its `close` handler. */
  readonly pendingWebSockets: number;
  /** Where the server listens: `http://localhost:3000/`, with `unix://` and its path on a Unix socket. Always the same object. */
  readonly url: URL;
  /** The port it listens on, 0 once it has stopped, undefined on a Unix socket. */
  readonly port: number | undefined;
  /** The `hostname` option, "localhost" without one, undefined on a Unix socket. */
  readonly hostname: string | undefined;
  /** The address it listens on, which is null once it has stopped, unless it was read before; or the path of a Unix socket. */
  readonly address: { address: string; family: 'IPv4' | 'IPv6'; port: number } | string | null;
  /** What it speaks: "https" with `tls`, otherwise "http". */
  readonly protocol: 'http' | 'https';
  /** The `development` option, or its default. */
  readonly development: boolean;
  /** The `id` option, "" without one. */
  readonly id: string;
}

/**
 * What the sending methods return: the bytes of the message when the system took it, -1 when it waits for the client to read, 0 when it was dropped
 * (or is empty). See {@link ServerWebSocket.send}.
 */
export type ServerWebSocketSendStatus = number;

/** Why a connection closed: see {@link ServerWebSocket.closeCause}. */
export type CloseCause = 'peer' | 'server' | 'idle' | 'protocol' | 'too-big' | 'backpressure' | 'stop' | 'io';

/** The states of a connection: 0 connecting, 1 open, 2 closing, 3 closed. */
export type WebSocketReadyState = 0 | 1 | 2 | 3;

/** Bytes that can be sent: a Buffer or another view, whose offset and length are honoured, or a whole buffer. */
export type BufferSource = ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

/** PEM: text or bytes. */
export type PEM = string | ArrayBufferView | ArrayBuffer;

/**
 * The `tls` option. What Bun knows and rustls, which does TLS here, has not, throws a TypeError "mantou does not support TLSOptions.… (its TLS is
 * rustls)": `ciphers`, `secureOptions`, `dhParamsFile` and others.
 */
export interface TLSOptions {
  /** The private key; in an array, those of several certificates. RSA from 2048 bits, P-256, P-384 or Ed25519. */
  key?: PEM | PEM[] | null;
  /** The certificate, and behind it those that lead to a root. */
  cert?: PEM | PEM[] | null;
  /** Certificates that are trusted to vouch for clients' (`requestCert`); they also complete the chain of `cert`. */
  ca?: PEM | PEM[] | null;
  /** Lists of certificates of clients that are no longer good (RFC 5280 §5). */
  crl?: PEM | PEM[] | null;
  /** Of encrypted keys. */
  passphrase?: string | null;
  /** The name this entry is for, without regard to case; `*` stands for one label: "*.example.com". */
  serverName?: string | null;
  /** An older name of `serverName`. */
  servername?: string | null;
  /** Whether clients are asked for a certificate. @default false */
  requestCert?: boolean;
  /** Whether clients without a good certificate are turned away, where one is asked for. @default true */
  rejectUnauthorized?: boolean | null;
  /**
   * Protocols to agree on (RFC 7301), of which `"http/1.1"` is the one that is served: names separated by commas, or their form on the wire.
   *
   * @default none is agreed on
   */
  ALPNProtocols?: string | ArrayBufferView | ArrayBuffer | null;
  /** Has no effect. */
  lowMemoryMode?: boolean;
  /** Has no effect: nothing is ever renegotiated. */
  clientRenegotiationLimit?: number;
  /** Has no effect, as `clientRenegotiationLimit`. */
  clientRenegotiationWindow?: number;
}

/** The address of a client. */
export interface SocketAddress {
  /** Its IP address: "127.0.0.1", "::1". */
  address: string;
  /** Its port, 1 to 65535. */
  port: number;
  /** Which kind of address it is. */
  family: 'IPv4' | 'IPv6';
}

/** What `error` gets: usually an Error, of the system with these members. */
export interface ErrorLike extends Error {
  /** A short name to compare: "ENOENT". */
  code?: string;
  /** The system's number for it. */
  errno?: number;
  /** The system call that failed. */
  syscall?: string;
}

/**
 * A response that is made without a stream: text, bytes and Blobs go out as they were given. It passes for the host's class and the host's for
 * it, member for member (`instanceof`, `clone()`, `body`, all errors); what it has no short way for is done by one of the host's, made then.
 * What Bun's takes and Node's refuses it takes, too: see `redirect()` and `json()`, the status 101, which handlers return behind `upgrade()`, and
 * a body with 101, 204, 205 or 304: it can be read, and is not sent.
 *
 * In Node, making one takes a tenth of the time that the host's takes, or less. Bytes without a `content-type` go out as
 * `application/octet-stream`. A Blob goes out with its length, piece by piece, whatever its size: `new Response(await fs.openAsBlob(path))`.
 * In Bun this is Bun's own.
 */
export declare const Response: typeof globalThis.Response & {
  /**
   * A redirect, whose headers can be changed. Its `location` is the URL as the host writes it, and what is no absolute URL as it is given:
   * `Response.redirect('/login')`.
   *
   * @param init the status, one of 301, 302 (the default), 303, 307 and 308; or an init, whose status is not judged and is 200 unless it says
   * another, as in Bun. A `location` in it does not count.
   * @throws RangeError for another status; TypeError for a location that HTTP cannot carry.
   */
  redirect(url: string | URL, init?: number | ResponseInit): globalThis.Response;
  /** JSON, with a status in place of an init. */
  json(data: unknown, status: number): globalThis.Response;
};
/** A response: the global type. */
export type Response = globalThis.Response;

/**
 * The host's class, which also takes the request of a handler where the host would not know it for one of its own: see `mantou/register`.
 * A body that is a stream needs no `duplex: 'half'`.
 * In Bun this is Bun's own.
 */
export declare const Request: typeof globalThis.Request;
/** A request: the global type. */
export type Request = globalThis.Request;

/** What `import mantou from 'mantou'` and `require('mantou')` give. */
declare const mantou: {
  /** The class of requests. */
  Request: typeof Request;
  /** The class of responses. */
  Response: typeof Response;
  /** Starts a server. */
  serve: typeof serve;
  /** The class of WebSocket connections. */
  ServerWebSocket: typeof ServerWebSocket;
  /** The class of cookies that are set. */
  Cookie: typeof Cookie;
  /** The class of `request.cookies`. */
  CookieMap: typeof CookieMap;
};
export default mantou;

type UpgradeArguments<WebSocketData> = undefined extends WebSocketData
  ? [options?: { headers?: HeadersInit; protocol?: string | false; data?: WebSocketData }]
  : [options: { headers?: HeadersInit; protocol?: string | false; data: WebSocketData }];
type OwnUpgradeArguments<Data> = [
  options: { headers?: HeadersInit; protocol?: string | false; websocket: WebSocketHandler<Data> } & (undefined extends Data
    ? { data?: Data }
    : { data: Data }),
];
type ResponseInit = NonNullable<ConstructorParameters<typeof globalThis.Response>[1]>;
type HeadersInit = Headers | Record<string, string> | Iterable<readonly [string, string]>;
type ParameterNames<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParameterNames<`/${Rest}`>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never;
type MaybePromise<T> = T | Promise<T>;
type XOR<A, B> = (A & Without<B, A>) | (B & Without<A, B>);
type Without<A, B> = { [Key in Exclude<keyof A, keyof B>]?: undefined };
