// The clients that belong to the frameworks, for the specs, which stand outside of this folder.

export { treaty } from '@elysiajs/eden';
export { createClient } from 'graphql-ws';
export { hc } from 'hono/client';
export { io } from 'socket.io-client';
export { Client } from 'undici';
export { WebSocket } from 'ws';
