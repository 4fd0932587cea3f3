// @ts-check
// The WebSocket of the runtime: Node's (undici) or Bun's.

import { obey } from './commands.mjs';
import { Session } from './session.mjs';

const session = new Session();
await obey({
  open: (url) => session.open(url),
  echo: (...args) => session.echo(args[0], args[1], args[2]),
  close: (...args) => session.close(...args),
  wait: () => session.wait(),
});
