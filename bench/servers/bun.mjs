// @ts-check
import { application } from './app.mjs';
import { announce } from './common.mjs';

const { Bun } = /** @type {any} */ (globalThis);
const server = Bun.serve(application(Response));
announce(server.port, `Bun.serve ${Bun.version}`);
