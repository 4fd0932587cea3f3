// @ts-check
// `npm start`: installs, builds and runs the chat.

import { build, install, step } from './steps.mjs';

install();
build();
step('starting the chat', process.execPath, ['examples/chat/server.mjs']);
