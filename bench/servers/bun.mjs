// @ts-check
import { start } from './app.mjs';
import { announce } from './common.mjs';

const { Bun } = /** @type {any} */ (globalThis);
announce(start(Bun.serve, Response), `Bun.serve ${Bun.version}`);
