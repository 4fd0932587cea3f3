// @ts-check
// `npm start`: installs what is missing, builds, and runs the chat. PORT and HOST say where it listens.

import { build, install, root } from './steps.mjs';

install();
build({ ifNeeded: true });
// In this process, so that Ctrl+C and a supervisor's signals reach the chat and nothing else.
process.chdir(root);
process.argv[1] = `${root}examples/chat/server.mjs`;
await import('../examples/chat/server.mjs');
