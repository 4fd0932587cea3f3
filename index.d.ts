// The typings of mantou. Times are in seconds, sizes in bytes.

/** What the send methods return: bytes of the message when it was sent, `-1` when it was queued behind backpressure, `0` when it was dropped (or empty). */
export type ServerWebSocketSendStatus = number;

/** RFC 6455 connection states: 1 is open, 3 is closed. */
export type WebSocketReadyState = 0 | 1 | 2 | 3;

/** Bytes that can be sent. They are copied before the call returns. */
export type BufferSource = ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

/** The address of a client. */
export interface SocketAddress {
  address: string;
  port: number;
  family: 'IPv4' | 'IPv6';
}

/** A WebSocket connection of a server. Instances are made by `server.upgrade()` only. */
export declare class ServerWebSocket<T = undefined> {
  private constructor();
  /** Sends a text (string) or binary message. Returns bytes, -1 or 0; 0 on a closed socket. */
  send(data: string | BufferSource, compress?: boolean): ServerWebSocketSendStatus;
  /** Sends a text message. Throws an Error when `data` is no string. */
  sendText(data: string, compress?: boolean): ServerWebSocketSendStatus;
  /** Sends a binary message. Throws an Error when `data` is no buffer source. */
  sendBinary(data: BufferSource, compress?: boolean): ServerWebSocketSendStatus;
  /** Sends a Close frame (RFC 6455 §5.5.1) and ends the connection; `close` runs before it returns. Default code 1000; the reason is cut to 123 UTF-8 bytes. */
  close(code?: number, reason?: string): void;
  /** Ends the connection without a Close frame: the `close` handler gets 1006. */
  terminate(): void;
  /** Sends a ping of at most 125 bytes. Throws a RangeError beyond that. */
  ping(data?: string | BufferSource): ServerWebSocketSendStatus;
  /** Sends a pong of at most 125 bytes. Throws a RangeError beyond that. */
  pong(data?: string | BufferSource): ServerWebSocketSendStatus;
  /** Sends a message to the subscribers of a topic, itself excluded unless `publishToSelf`. */
  publish(topic: string, data: string | BufferSource, compress?: boolean): ServerWebSocketSendStatus;
  publishText(topic: string, data: string, compress?: boolean): ServerWebSocketSendStatus;
  publishBinary(topic: string, data: BufferSource, compress?: boolean): ServerWebSocketSendStatus;
  /** Subscribes to a topic: any non-empty string. False on a closed socket. */
  subscribe(topic: string): boolean;
  /** Returns whether it was subscribed. */
  unsubscribe(topic: string): boolean;
  isSubscribed(topic: string): boolean;
  /** Runs `callback` with this socket; what it sends leaves together. Returns what it returns. */
  cork<R = unknown>(callback: (ws: ServerWebSocket<T>) => R): R;
  /** Unsent bytes that the system has not taken, frame headers included. */
  getBufferedAmount(): number;
  /** Stops reading; `resume()` goes on. The idle timeout rests meanwhile. */
  pause(): void;
  resume(): void;
  readonly isPaused: boolean;
  /** Topics in the order of subscription. */
  readonly subscriptions: string[];
  /** The client's IP address, `""` on a unix socket. */
  readonly remoteAddress: string;
  readonly readyState: WebSocketReadyState;
  /** How binary messages are received; default `"nodebuffer"`. */
  binaryType?: 'nodebuffer' | 'arraybuffer' | 'uint8array' | 'blob';
  /** What was given to `upgrade()`. */
  data: T;
}

/** The `websocket` option: handlers and limits. */
export interface WebSocketHandler<T = undefined> {
  /** Carries the type of `ws.data`; its value is ignored. */
  data?: T;
  open?(this: void, ws: ServerWebSocket<T>): void | Promise<void>;
  message?(this: void, ws: ServerWebSocket<T>, message: string | Buffer): void | Promise<void>;
  close?(this: void, ws: ServerWebSocket<T>, code: number, reason: string): void | Promise<void>;
  drain?(this: void, ws: ServerWebSocket<T>): void | Promise<void>;
  ping?(this: void, ws: ServerWebSocket<T>, data: Buffer): void | Promise<void>;
  pong?(this: void, ws: ServerWebSocket<T>, data: Buffer): void | Promise<void>;
  /** Gets what another handler throws. */
  error?(this: void, error: Error, ws: ServerWebSocket<T>): void | Promise<void>;
  /** Largest message, after which the peer gets 1009. Default 16 MiB. */
  maxPayloadLength?: number;
  /** Buffered bytes beyond which a message is dropped; 0 for no limit. Default 16 MiB. */
  backpressureLimit?: number;
  /** Whether a dropped message also ends the connection. Default false. */
  closeOnBackpressureLimit?: boolean;
  /** Seconds of silence before the connection ends, 0 to 960; 0 for never. Default 120. */
  idleTimeout?: number;
  /** Whether `ws.publish` reaches its own socket. Default false. */
  publishToSelf?: boolean;
  /** Whether silent peers are pinged before `idleTimeout`. Default true. */
  sendPings?: boolean;
}

/** A running server. */
export interface Server<WebSocketData = undefined> {
  /** Stops listening; settles when the last connection is gone. With true every connection is ended, WebSockets with 1001. */
  stop(closeActiveConnections?: boolean): Promise<void>;
  /** Replaces handlers and WebSocket limits, for open sockets too. */
  reload(options: Partial<Serve.Options<WebSocketData>>): Server<WebSocketData>;
  /** Calls the fetch handler without a connection. */
  fetch(request: Request | string): Promise<Response>;
  /** Turns a request into a WebSocket; `open` runs before it returns. False when the request is no valid handshake. */
  upgrade(
    request: Request,
    ...options: WebSocketData extends undefined
      ? [options?: { headers?: HeadersInit; data?: undefined }]
      : [options: { headers?: HeadersInit; data: WebSocketData }]
  ): boolean;
  /** Sends a message to every subscriber of a topic. Returns bytes, -1 or 0. */
  publish(topic: string, data: string | BufferSource, compress?: boolean): ServerWebSocketSendStatus;
  subscriberCount(topic: string): number;
  /** The client of a request that is still being answered. */
  requestIP(request: Request): SocketAddress | null;
  /** Lets the server keep the process alive (the default). */
  ref(): Server<WebSocketData>;
  unref(): Server<WebSocketData>;
  readonly pendingRequests: number;
  readonly pendingWebSockets: number;
  readonly url: URL;
  readonly port: number | undefined;
  readonly hostname: string | undefined;
  readonly address: { address: string; family: 'IPv4' | 'IPv6'; port: number } | string | null;
  readonly protocol: 'http' | 'https' | null;
  readonly development: boolean;
  readonly id: string;
}

type HeadersInit = Headers | Record<string, string> | Iterable<readonly [string, string]>;
type MaybePromise<T> = T | Promise<T>;

export declare namespace Serve {
  interface Options<WebSocketData = undefined> {
    /** Answers requests. After `server.upgrade()` it need not return anything. */
    fetch(this: Server<WebSocketData>, request: Request, server: Server<WebSocketData>): MaybePromise<Response | void | undefined>;
    /** Answers when `fetch` throws. */
    error?(this: Server<WebSocketData>, error: Error): MaybePromise<Response | void | undefined>;
    websocket?: WebSocketHandler<WebSocketData>;
    /** Default: BUN_PORT, PORT or NODE_PORT of the environment, else 3000; 0 for a free one. */
    port?: string | number;
    /** Default: every address of the machine. */
    hostname?: string;
    reusePort?: boolean;
    ipv6Only?: boolean;
    /** A unix socket's path, instead of hostname and port. */
    unix?: string;
    /** Whether errors are shown to clients. Default: NODE_ENV is not "production". */
    development?: boolean;
    id?: string | null;
  }
}

/** Starts a server. Throws when it cannot listen (`EADDRINUSE` and others) or an option is wrong. */
export declare function serve<WebSocketData = undefined>(options: Serve.Options<WebSocketData>): Server<WebSocketData>;

declare const mantou: { serve: typeof serve; ServerWebSocket: typeof ServerWebSocket };
export default mantou;
