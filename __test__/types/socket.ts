// Every member of ServerWebSocket.

import type { BufferSource, CloseCause, ServerWebSocket } from 'mantou';
import { same } from './same.js';

type Session = { user: string };
type Socket = ServerWebSocket<Session>;

same<
  keyof Socket,
  | 'send'
  | 'sendText'
  | 'sendBinary'
  | 'close'
  | 'terminate'
  | 'ping'
  | 'pong'
  | 'publish'
  | 'publishText'
  | 'publishBinary'
  | 'subscribe'
  | 'unsubscribe'
  | 'isSubscribed'
  | 'subscriptions'
  | 'cork'
  | 'getBufferedAmount'
  | 'pause'
  | 'resume'
  | 'isPaused'
  | 'remoteAddress'
  | 'protocol'
  | 'extensions'
  | 'closeCause'
  | 'readyState'
  | 'binaryType'
  | 'data'
>();

same<Socket['send'], (data: string | BufferSource, compress?: boolean) => number>();
same<Socket['sendText'], (data: string, compress?: boolean) => number>();
same<Socket['sendBinary'], (data: BufferSource, compress?: boolean) => number>();
same<Socket['close'], (code?: number, reason?: string) => void>();
same<Socket['terminate'], () => void>();
same<Socket['ping'], (data?: string | BufferSource) => number>();
same<Socket['pong'], (data?: string | BufferSource) => number>();
same<Socket['publish'], (topic: string, data: string | BufferSource, compress?: boolean) => number>();
same<Socket['publishText'], (topic: string, data: string, compress?: boolean) => number>();
same<Socket['publishBinary'], (topic: string, data: BufferSource, compress?: boolean) => number>();
same<Socket['subscribe'], (topic: string) => boolean>();
same<Socket['unsubscribe'], (topic: string) => boolean>();
same<Socket['isSubscribed'], (topic: string) => boolean>();
same<Pick<Socket, 'subscriptions'>, { readonly subscriptions: string[] }>();
same<Socket['cork'], <R = unknown>(callback: (this: Socket, ws: Socket) => R) => R>();
same<Socket['getBufferedAmount'], () => number>();
same<Socket['pause'], () => void>();
same<Socket['resume'], () => void>();
same<Pick<Socket, 'isPaused'>, { readonly isPaused: boolean }>();
same<Pick<Socket, 'remoteAddress'>, { readonly remoteAddress: string }>();
same<Pick<Socket, 'protocol' | 'extensions'>, { readonly protocol: string; readonly extensions: string }>();
same<Pick<Socket, 'closeCause'>, { readonly closeCause: CloseCause | undefined }>();
same<CloseCause, 'peer' | 'server' | 'idle' | 'protocol' | 'too-big' | 'backpressure' | 'stop' | 'io'>();
same<Pick<Socket, 'readyState'>, { readonly readyState: 0 | 1 | 2 | 3 }>();
same<Pick<Socket, 'binaryType'>, { binaryType?: 'nodebuffer' | 'arraybuffer' | 'uint8array' | 'blob' }>();
same<Pick<Socket, 'data'>, { data: Session }>();
same<ServerWebSocket['data'], undefined>();

/** Everything that can be sent. */
export function sends(ws: Socket, shared: SharedArrayBuffer, compress: boolean | undefined) {
  for (const data of ['text', Buffer.from('a'), new Uint8Array(1), new Float64Array(1), new DataView(new ArrayBuffer(1))]) ws.send(data);
  ws.send(new ArrayBuffer(1), compress);
  ws.sendBinary(shared);
  ws.ping();
  // @ts-expect-error a number is not what anybody means to send
  ws.send(5);
  // @ts-expect-error nothing to send
  ws.send();
  // @ts-expect-error a Blob can't be read at once
  ws.send(new Blob(['x']));
  // @ts-expect-error compress is true or false
  ws.send('text', 1);
  // @ts-expect-error bytes are no text
  ws.sendText(Buffer.from('a'));
  // @ts-expect-error text is no bytes
  ws.sendBinary('a');
  // @ts-expect-error topics are strings
  ws.publish(1, 'text');
  // @ts-expect-error codes are numbers
  ws.close('1000');
}

/** What `cork` returns is what its callback returns, a promise too. */
export function corks(ws: Socket) {
  same<number, ReturnType<typeof sent>>();
  const sent = () => ws.cork((corked) => corked.send(corked.data.user));
  const later: Promise<string> = ws.cork(async () => 'later');
  const self = ws.cork(function () {
    return this;
  });
  same<typeof self, Socket>();
  return [sent, later];
}

export function assigns(ws: Socket) {
  ws.binaryType = 'blob';
  ws.data = { user: 'ada' };
  // @ts-expect-error
  ws.binaryType = 'text';
  // @ts-expect-error
  ws.data = { user: 1 };
  // @ts-expect-error
  ws.data = undefined;
  // @ts-expect-error read-only
  ws.readyState = 3;
  // @ts-expect-error read-only
  ws.isPaused = true;
  // @ts-expect-error read-only
  ws.remoteAddress = '';
  // @ts-expect-error read-only
  ws.subscriptions = [];
}

/** A socket with other data is another type. */
export const mixesUp = (ws: Socket): ServerWebSocket<{ user: number }> => {
  // @ts-expect-error
  return ws;
};
