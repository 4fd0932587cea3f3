// Every handler and limit of `websocket`.

import type { ServerWebSocket, WebSocketCompressor, WebSocketHandler } from 'mantou';
import { same } from './same.js';

type Session = { user: string };
type Socket = ServerWebSocket<Session>;
type Handler = WebSocketHandler<Session>;
type Nothing = void | Promise<void>;

same<
  Handler,
  {
    data?: Session;
    open?(this: void, ws: Socket): Nothing;
    message?(this: void, ws: Socket, message: string | Buffer<ArrayBuffer>): Nothing;
    close?(this: void, ws: Socket, code: number, reason: string): Nothing;
    drain?(this: void, ws: Socket): Nothing;
    ping?(this: void, ws: Socket, data: Buffer<ArrayBuffer>): Nothing;
    pong?(this: void, ws: Socket, data: Buffer<ArrayBuffer>): Nothing;
    error?(this: void, error: Error, ws: Socket): Nothing;
    dropped?(this: void, ws: Socket, data: unknown, topic: string | undefined): Nothing;
    serial?: boolean | number;
    maxPayloadLength?: number;
    backpressureLimit?: number;
    closeOnBackpressureLimit?: boolean;
    idleTimeout?: number;
    publishToSelf?: boolean;
    sendPings?: boolean;
    perMessageDeflate?: boolean | { compress?: WebSocketCompressor | boolean; decompress?: WebSocketCompressor | boolean };
  }
>();

// Comparing functions leaves `this` out: it is compared by itself.
type Call = 'open' | 'message' | 'close' | 'drain' | 'ping' | 'pong' | 'error' | 'dropped';
same<{ [Name in Call]: ThisParameterType<NonNullable<Handler[Name]>> }, Record<Call, void>>();

/** What a handler need not say: its parameters. */
export const inferred: Handler = {
  async open(ws) {
    same<typeof ws, Socket>();
  },
  message(ws, message) {
    same<typeof ws, Socket>();
    same<typeof message, string | Buffer<ArrayBuffer>>();
    ws.send(message);
    if (typeof message !== 'string') new Blob([message]);
  },
  close(ws, code, reason) {
    same<typeof ws, Socket>();
    same<typeof code, number>();
    same<typeof reason, string>();
  },
  ping(_, data) {
    same<typeof data, Buffer<ArrayBuffer>>();
  },
  error(error, ws) {
    same<typeof error, Error>();
    same<typeof ws, Socket>();
  },
};

export const levels: Handler[] = [
  { perMessageDeflate: true },
  { perMessageDeflate: {} },
  { perMessageDeflate: { compress: '256KB' } },
  { perMessageDeflate: { compress: 'disable', decompress: 'dedicated' } },
  { perMessageDeflate: { compress: false, decompress: true } },
  // @ts-expect-error no such size
  { perMessageDeflate: { compress: '5KB' } },
  // @ts-expect-error a level goes inside
  { perMessageDeflate: 'shared' },
  // @ts-expect-error sizes are names
  { perMessageDeflate: { decompress: 4096 } },
];

export const wrong: Handler[] = [
  // @ts-expect-error
  { idleTimeout: '120' },
  // @ts-expect-error
  { sendPings: 1 },
  // @ts-expect-error
  { serial: 'yes' },
  // @ts-expect-error
  { message: 'echo' },
  // @ts-expect-error a slip of the pen
  { maxPayloadLenght: 1024 },
  // @ts-expect-error nothing comes of what a handler returns
  { open: (ws) => ws.subscribe('room') },
  {
    open(ws) {
      // @ts-expect-error there is no `this`
      ws.send(`${this.idleTimeout}`);
    },
  },
];
