// @ts-check
'use strict';

const uws = require('uwebsockets');
const { version } = require('uwebsockets/package.json');

const decoder = new TextDecoder();

import('./common.mjs').then(({ announce, collectGarbage, HELLO }) => {
  const app = uws.App();

  app.get('/hello', (response) => {
    response.end(HELLO);
  });
  app.get('/gc', (response) => {
    collectGarbage();
    response.end('done');
  });

  app.ws('/', {
    compression: uws.DISABLED,
    maxBackpressure: LIMIT,
    maxPayloadLength: LIMIT,
    message(ws, message, isBinary) {
      ws.send(message, isBinary);
    },
  });

  app.ws('/chat', {
    compression: uws.DISABLED,
    maxBackpressure: LIMIT,
    maxPayloadLength: LIMIT,
    upgrade(response, request, context) {
      const key = request.getHeader('sec-websocket-key');
      const protocol = request.getHeader('sec-websocket-protocol');
      const extensions = request.getHeader('sec-websocket-extensions');
      response.upgrade({ name: request.getQuery('name') }, key, protocol, extensions, context);
    },
    open(ws) {
      ws.subscribe('room');
    },
    message(ws, message) {
      app.publish('room', `${ws.getUserData().name}: ${decoder.decode(message)}`);
    },
  });

  app.listen('127.0.0.1', 0, (socket) => announce(uws.us_socket_local_port(socket), `uwebsockets ${version}`));
});

/** Bun's default for both limits, so that nobody drops what another delivers. */
const LIMIT = 16 * 1024 * 1024;
