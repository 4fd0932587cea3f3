// @ts-check
// Clients of the chat in a process of their own. The steadfast stay, and fail when they miss a message; the mortal talk too, and die in every
// way there is: with a Close frame, without one, by RST, by half of a FIN, or from one moment to the next not reading any more.
//
//   fork('crowd.mjs', [url, 'steadfast' | 'mortal', number of clients, rooms, milliseconds between the messages of a client])

import { WebSocket } from 'ws';

const [url, kind, ...numbers] = process.argv.slice(2);
const [size, rooms, pause] = numbers.map(Number);
const isMortal = kind === 'mortal';

/** Milliseconds in which a client's own message comes back. */
const PATIENCE = 30_000;
/** Milliseconds that a mortal client lives at most. */
const LIFE = 10_000;

/** @type {{ opened: number, sent: number, received: number, deaths: Record<string, number> }} */
const counts = { opened: 0, sent: 0, received: 0, deaths: {} };
/** Each with how it ends a connection. @type {Record<string, (socket: WebSocket) => void>} */
const DEATHS = {
  close: (socket) => socket.close(1000, 'bye'),
  terminate: (socket) => socket.terminate(),
  reset: (socket) => tcp(socket).resetAndDestroy(),
  'half close': (socket) => tcp(socket).end(),
  stall(socket) {
    socket.pause();
    setTimeout(() => tcp(socket).resetAndDestroy(), LIFE);
  },
};

process.on('message', () => process.send?.({ counts }));
process.on('disconnect', () => process.exit());
for (let n = 0; n < size; n++) join(`${kind} ${n}`, `room${n % rooms}`);

/** @param {string} name @param {string} room */
function join(name, room) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  /** When what was sent and has not come back yet was sent. @type {Map<string, number>} */
  const owed = new Map();
  let last = -1;
  let isDead = false;
  const fail = (/** @type {string} */ what) => {
    if (!isMortal) process.send?.({ failure: `${name}: ${what}` });
  };

  socket.on('open', () => {
    counts.opened += 1;
    socket.send(JSON.stringify({ type: 'join', name, room }));
    if (isMortal) setTimeout(die, Math.random() * LIFE);
  });
  socket.on('message', (data) => {
    counts.received += 1;
    const message = JSON.parse(String(data));
    if (message.type === 'welcome') {
      last = message.history.at(-1)?.seq ?? 0;
      talk();
    } else if (message.type === 'message') {
      if (message.seq !== last + 1) fail(`after message ${last} comes ${message.seq}`);
      last = message.seq;
      owed.delete(message.ref);
    }
  });
  socket.on('error', (error) => fail(error.message));
  socket.on('close', (code, reason) => {
    fail(`closed with ${code} ${reason}`);
    isDead = true;
    if (isMortal) join(name, room);
  });

  let sent = 0;
  function talk() {
    if (isDead || socket.readyState !== WebSocket.OPEN) return;
    const [first] = owed.values();
    if (first !== undefined && Date.now() - first > PATIENCE) {
      fail(`a message did not come back in ${PATIENCE / 1000} s`);
      owed.clear();
    }
    const ref = String(sent++);
    owed.set(ref, Date.now());
    // Most are short, some as long as they may be.
    const length = Math.random() < 0.1 ? 2000 : 1 + Math.floor(Math.random() * 100);
    socket.send(JSON.stringify({ type: 'message', ref, text: 'm'.repeat(length) }));
    if (Math.random() < 0.2) socket.send(JSON.stringify({ type: 'typing' }));
    counts.sent += 1;
    setTimeout(talk, pause * (0.5 + Math.random()));
  }

  function die() {
    if (isDead) return;
    const names = Object.keys(DEATHS);
    const death = names[Math.floor(Math.random() * names.length)];
    counts.deaths[death] = (counts.deaths[death] ?? 0) + 1;
    DEATHS[death](socket);
  }
}

/** What is below a WebSocket of ws. @param {WebSocket} socket @returns {import('node:net').Socket} */
function tcp(socket) {
  return Reflect.get(socket, '_socket');
}
