// @ts-check
// The chat of examples/chat in a process of its own, on a free port, which says how it is when it is asked.

import { descriptors } from '../../__test__/support/descriptors.mjs';
import { startChat } from '../../examples/chat/server.mjs';
import { serve } from '../../index.js';

const { server } = startChat({ serve, port: 0, hostname: '127.0.0.1' });

/** @typedef {ReturnType<typeof sample>} Sample */

/** Bytes and counts, now. */
function sample() {
  const { rss, heapUsed, external } = process.memoryUsage();
  const { pendingWebSockets, pendingRequests } = server;
  // The ring is made when it is wanted first, and stays.
  const open = descriptors().filter((link) => link !== 'anon_inode:[io_uring]');
  return { rss, heapUsed, external, descriptors: open.length, pendingWebSockets, pendingRequests };
}

process.on('message', () => process.send?.({ sample: sample() }));
process.on('disconnect', () => process.exit());
process.send?.({ url: server.url.href });
