// A Socket.IO server on its engine for Bun.

import './prepare.mjs';
import { Server as Engine } from '@socket.io/bun-engine';
import { Server } from 'socket.io';

const io = new Server();
const engine = new Engine({ path: '/socket.io/', pingInterval: 1000, cors: { origin: 'http://a.test', credentials: true } });
io.bind(engine);

io.use((socket, next) => next(socket.handshake.auth.token === 'wrong' ? new Error('not you') : undefined));
io.on('connection', (socket) => {
  socket.emit('welcome', socket.conn.transport.name);
  socket.conn.on('upgrade', (transport) => socket.emit('upgraded', transport.name));
  socket.on('echo', (...args) => args.pop()(...args));
  socket.on('ask me', async () => socket.emit('answered', await socket.emitWithAck('question', 6)));
  socket.on('join', async (room, done) => {
    await socket.join(room);
    done([...socket.rooms].length);
  });
  socket.on('say', (room, text) => socket.to(room).emit('said', text));
  socket.on('announce', (text) => io.of('/').emit('announced', text));
  socket.on('kick me', () => socket.disconnect(true));
  socket.on('disconnect', (reason) => console.log(`gone ${reason}`));
});
io.of('/other').on('connection', (socket) => socket.emit('welcome', socket.nsp.name));

const server = Bun.serve({ port: 0, hostname: '127.0.0.1', ...engine.handler() });
console.log(`Listening on ${server.url}`);
