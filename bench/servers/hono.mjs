// @ts-check
// Over HTTP only.

import { readFileSync } from 'node:fs';
import { serve } from '@hono/node-server';
import { pages, pathOf } from './app.mjs';
import { announce } from './common.mjs';

// Its `exports` keep it from being required.
const { version } = JSON.parse(readFileSync(new URL('../node_modules/@hono/node-server/package.json', import.meta.url), 'utf8'));

/** @type {ReturnType<typeof pages>} */
let paths = {};
/** @param {Request} request */
const fetch = (request) => paths[pathOf(request.url)]?.(request) ?? new Response('', { status: 404 });

serve({ fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => announce({ plain: port }, `@hono/node-server ${version}`));
// It has put a faster `Response` of its own in the place of Node's by now.
paths = pages(Response);
