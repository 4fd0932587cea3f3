// @ts-check
// A chat with rooms on `serve()`: rooms are topics, state lives in `ws.data`, and a slow client never slows the others.
// Start it with `npm start`, or `node examples/chat/server.mjs`. PORT and HOST say where it listens.

import { createHash } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * What the server knows of one connection: `room` is undefined until the first "join".
 * @typedef {{ id: string, name: string, room: Room | undefined }} Person
 * @typedef {import('../../index.js').ServerWebSocket<Person>} Socket
 * @typedef {import('../../index.js').Server<Person>} Server
 * @typedef {{ type: 'message', seq: number, from: string, name: string, text: string, at: number, ref?: string }} Message
 * @typedef {{ name: string, topic: string, members: Set<Socket>, history: Message[], seq: number }} Room
 */

/** Lengths are UTF-16 units, like the `maxlength` of the page's fields. */
export const limits = {
  name: 32,
  room: 32,
  text: 2000,
  /** A client's own mark on a message, echoed so that it can tell what has arrived. */
  ref: 64,
  /** Messages of a room that a newcomer is shown. */
  history: 50,
  /** Names listed to a newcomer; the number of people is always exact. */
  people: 100,
  /** Rooms kept in memory for their history while nobody is in them. */
  emptyRooms: 100,
  /** Every text character may arrive as a six-byte JSON escape; anything larger is closed with 1009 before it is read. */
  payload: 16 * 1024,
  /** A reader this many bytes behind is not told who is typing: the notice would be stale when it arrives. */
  typingBacklog: 16 * 1024,
  /** A reader this many bytes behind is disconnected: it comes back and reads the history, and never misses a message silently. */
  backlog: 8 * 1024 * 1024,
};

/** Everything a client can do wrong, with what it is told. The page does not reconnect after these. */
export const refusals = /** @satisfies {Record<string, [code: number, reason: string]>} */ ({
  notText: [1003, 'only text messages are understood'],
  notJson: [1007, 'a message must be a JSON object'],
  unknownType: [4000, 'type must be "join", "message" or "typing"'],
  badName: [4001, `name must be 1 to ${limits.name} visible characters`],
  badRoom: [4002, `room must be 1 to ${limits.room} letters, digits, "-" or "_"`],
  badText: [4003, `text must be 1 to ${limits.text} characters and not blank`],
  badRef: [4004, `ref must be a string of at most ${limits.ref} characters`],
  notJoined: [4005, 'join a room first'],
});

const ROOM = new RegExp(`^[\\p{L}\\p{M}\\p{N}_-]{1,${limits.room}}$`, 'u');
/** Controls and direction overrides, which could make a name look like something else. */
const INVISIBLE = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/u;

const page = readFileSync(new URL('page.html', import.meta.url), 'utf8');
const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-cache',
  'content-security-policy': [
    "default-src 'none'",
    // The one inline script is named by its hash: should markup ever slip into the page, it stays inert.
    `script-src 'sha256-${createHash('sha256').update(inlineScript(page)).digest('base64')}'`,
    "style-src 'unsafe-inline'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/**
 * Starts the chat on any `serve()`: mantou's, or Bun's own.
 * @param {{ serve: typeof import('../../index.js').serve, port?: number | string, hostname?: string }} options
 * @returns {{ server: Server, stop(): Promise<void> }}
 */
export function startChat({ serve, port = 3000, hostname }) {
  /** @type {Map<string, Room>} */
  const rooms = new Map();
  /** Tells a client that reconnects whether the numbers of the messages it has seen still mean the same. */
  const epoch = crypto.randomUUID();
  /** @type {Set<Socket>} */
  const sockets = new Set();
  let stopping = false;

  const server = serve(
    /** @type {import('../../index.js').Serve.Options<Person>} */ ({
      port,
      ...(hostname === undefined ? {} : { hostname }),

      fetch(req, server) {
        const url = new URL(req.url, 'http://localhost');
        if (url.pathname === '/') return new Response(page, { headers: pageHeaders });
        if (url.pathname !== '/chat') return new Response('There is nothing here. The chat is at /', { status: 404 });
        // Browsers let any site open a WebSocket to any other; only our own page may.
        if (!isSameOrigin(req)) return new Response('This chat is for its own page', { status: 403 });
        if (server.upgrade(req, { data: { id: crypto.randomUUID(), name: '', room: undefined } })) return;
        return new Response('This address speaks WebSocket', { status: 426, headers: { upgrade: 'websocket' } });
      },

      websocket: {
        maxPayloadLength: limits.payload,
        backpressureLimit: limits.backlog,
        closeOnBackpressureLimit: true,
        // Seconds; a phone that went out of range leaves the room after this, because the automatic pings go unanswered.
        idleTimeout: 60,

        open(ws) {
          sockets.add(ws);
        },

        message(ws, data) {
          if (typeof data !== 'string') return refuse(ws, 'notText');
          const message = parse(data);
          if (message === undefined) return refuse(ws, 'notJson');
          if (message.type === 'join') return onJoin(ws, message);
          const { room } = ws.data;
          if (message.type !== 'message' && message.type !== 'typing') return refuse(ws, 'unknownType');
          if (room === undefined) return refuse(ws, 'notJoined');
          if (message.type === 'message') onMessage(ws, room, message);
          else onTyping(ws, room, message);
        },

        close(ws) {
          sockets.delete(ws);
          leave(ws);
        },

        error(error, ws) {
          console.error(error);
          ws.close(1011, 'the server made a mistake');
        },
      },
    }),
  );

  /** @param {Socket} ws @param {Record<string, unknown>} message */
  function onJoin(ws, message) {
    const name = cleanName(message.name);
    if (name === undefined) return refuse(ws, 'badName');
    if (typeof message.room !== 'string' || !ROOM.test(message.room)) return refuse(ws, 'badRoom');

    const { id, name: oldName, room: oldRoom } = ws.data;
    const room = oldRoom?.name === message.room ? oldRoom : openRoom(message.room);
    ws.data.name = name;
    if (room !== oldRoom) {
      leave(ws, oldName);
      ws.data.room = room;
      room.members.add(ws);
      ws.subscribe(room.topic);
      ws.publish(room.topic, JSON.stringify({ type: 'joined', id, name, here: here(room) }));
    } else if (name !== oldName) {
      ws.publish(room.topic, JSON.stringify({ type: 'renamed', id, name, oldName, here: here(room) }));
    }

    const people = [];
    for (const member of room.members) {
      if (people.length === limits.people) break;
      people.push({ id: member.data.id, name: member.data.name });
    }
    ws.send(
      JSON.stringify({ type: 'welcome', you: { id, name }, room: room.name, here: here(room), epoch, people, history: room.history }),
    );
  }

  /** @param {Socket} ws @param {Room} room @param {Record<string, unknown>} message */
  function onMessage(ws, room, { text, ref }) {
    if (typeof text !== 'string' || text.trim() === '' || text.length > limits.text) return refuse(ws, 'badText');
    if (ref !== undefined && (typeof ref !== 'string' || ref.length > limits.ref)) return refuse(ws, 'badRef');
    /** @type {Message} */
    const message = { type: 'message', seq: ++room.seq, from: ws.data.id, name: ws.data.name, text, at: Date.now(), ref };
    room.history.push(message);
    if (room.history.length > limits.history) room.history.shift();
    // To everyone, the sender too: its own copy tells it that the message has arrived and where in the order it stands.
    server.publish(room.topic, JSON.stringify(message));
  }

  /** @param {Socket} ws @param {Room} room @param {Record<string, unknown>} message */
  function onTyping(ws, room, message) {
    const notice = JSON.stringify({ type: 'typing', from: ws.data.id, name: ws.data.name, on: message.on !== false });
    // Not a publish: a notice may be lost, so it never joins the queue of a reader that is behind. The page forgets a typist by itself.
    for (const member of room.members) {
      if (member !== ws && member.getBufferedAmount() <= limits.typingBacklog) member.send(notice);
    }
  }

  /** @param {Socket} ws */
  function leave(ws, name = ws.data.name) {
    const { id, room } = ws.data;
    if (room === undefined) return;
    ws.data.room = undefined;
    room.members.delete(ws);
    ws.unsubscribe(room.topic);
    if (!stopping) server.publish(room.topic, JSON.stringify({ type: 'left', id, name, here: here(room) }));
  }

  /** @param {string} name */
  function openRoom(name) {
    const known = rooms.get(name);
    if (known !== undefined) return known;
    const empty = [...rooms.values()].filter((room) => room.members.size === 0);
    // A Map keeps the order of insertion: the oldest empty room goes first.
    if (empty.length >= limits.emptyRooms) rooms.delete(empty[0].name);
    /** @type {Room} */
    const room = { name, topic: `room:${name}`, members: new Set(), history: [], seq: 0 };
    rooms.set(name, room);
    return room;
  }

  /** @param {Room} room */
  function here(room) {
    return server.subscriberCount(room.topic);
  }

  async function stop() {
    stopping = true;
    // 1012, "service restart": a client knows that it is worth coming back.
    for (const ws of sockets) ws.close(1012, 'the server is restarting');
    await server.stop(true);
  }

  return { server, stop };
}

/** @param {Socket} ws @param {keyof typeof refusals} why */
function refuse(ws, why) {
  const [code, reason] = refusals[why];
  ws.close(code, reason);
}

/** @param {string} data @returns {Record<string, unknown> | undefined} */
function parse(data) {
  try {
    const value = JSON.parse(data);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** @param {unknown} value */
function cleanName(value) {
  if (typeof value !== 'string' || value.length > limits.name || INVISIBLE.test(value)) return undefined;
  const name = value.replace(/\s+/gu, ' ').trim();
  return name === '' ? undefined : name;
}

/** @param {Request} req */
function isSameOrigin(req) {
  const origin = req.headers.get('origin');
  // Only browsers send one, and only browsers can be talked into connecting by a foreign page.
  return origin === null || (URL.canParse(origin) && new URL(origin).host === req.headers.get('host'));
}

/** @param {string} html */
function inlineScript(html) {
  const start = html.indexOf('<script>') + '<script>'.length;
  return html.slice(start, html.indexOf('</script>', start));
}

async function main() {
  // In your own project: import { serve } from 'mantou'. MANTOU_CHAT_SERVE=bun runs this very file on Bun's own server instead.
  const onBun = process.env.MANTOU_CHAT_SERVE === 'bun';
  /** @type {typeof import('../../index.js')} */
  const { serve } = onBun ? Reflect.get(globalThis, 'Bun') : await import('../../index.js');
  const port = process.env.PORT || 3000;
  const hostname = process.env.HOST || undefined;
  let chat;
  try {
    chat = startChat({ serve, port, hostname });
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EADDRINUSE') throw error;
    console.error(`Port ${port} is taken. Choose another: PORT=3001 npm start`);
    process.exitCode = 1;
    return;
  }

  // Once: a second Ctrl+C ends a process that does not want to.
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
    process.once(signal, () => {
      console.log('Chat is stopping.');
      void chat.stop();
    });
  }

  const runtime = process.versions.bun === undefined ? `Node ${process.versions.node}` : `Bun ${process.versions.bun}`;
  console.log(`Chat is running at ${chat.server.url} (${onBun ? 'Bun.serve' : 'mantou'} in ${runtime}).`);
  console.log('Open it in two windows and say hello. Ctrl+C stops it.');
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await main();
