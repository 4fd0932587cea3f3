// @ts-check
// The chat of examples/chat in a process of its own, on a free port, which says how it is when it is asked.

import { readdirSync } from 'node:fs';
import { startChat } from '../../examples/chat/server.mjs';
import { serve } from '../../index.js';

const { server } = startChat({ serve, port: 0, hostname: '127.0.0.1' });

/** @typedef {ReturnType<typeof sample>} Sample */

/** Bytes and counts, now. */
function sample() {
  const { rss, heapUsed, external } = process.memoryUsage();
  const { pendingWebSockets, pendingRequests } = server;
  return { rss, heapUsed, external, descriptors: readdirSync('/proc/self/fd').length, pendingWebSockets, pendingRequests };
}

process.on('message', () => process.send?.({ sample: sample() }));
process.on('disconnect', () => process.exit());
process.send?.({ url: server.url.href });
