// @ts-check
'use strict';

const uws = require('uwebsockets');
const { version } = require('uwebsockets/package.json');

const decoder = new TextDecoder();

import('./common.mjs').then(async ({ announce, tls, ...common }) => {
  const plain = uws.App();
  addPages(plain, common);
  addWebSockets(plain, uws.DISABLED);
  const compressed = uws.App();
  addWebSockets(compressed, uws.SHARED_COMPRESSOR | uws.SHARED_DECOMPRESSOR);
  const secure = tls && uws.SSLApp({ key_file_name: tls.keyFile, cert_file_name: tls.certFile });
  if (secure) addWebSockets(secure, uws.DISABLED);

  const ports = { plain: await listen(plain), compressed: await listen(compressed), tls: secure && (await listen(secure)) };
  announce(ports, `uWebSockets.js ${version}`);
});

function addPages(app, { collectGarbage, HELLO, MEGABYTE }) {
  app.get('/hello', (response) => {
    response.writeHeader('content-type', 'text/plain;charset=utf-8').end(HELLO);
  });
  app.get('/download', (response) => {
    // Nobody leaves early here; without a handler for that, it refuses to answer later.
    response.onAborted(() => {});
    response.end(MEGABYTE);
  });
  app.post('/json', (response) => {
    let content = Buffer.alloc(0);
    response.onAborted(() => {});
    response.onData((piece, isLast) => {
      content = Buffer.concat([content, Buffer.from(piece)]);
      if (!isLast) return;
      const text = JSON.stringify(JSON.parse(content.toString()));
      response.cork(() => response.writeHeader('content-type', 'application/json').end(text));
    });
  });
  app.get('/gc', (response) => {
    collectGarbage();
    response.end('done');
  });
  app.any('/*', (response) => {
    response.writeStatus('404 Not Found').end();
  });
}

function addWebSockets(app, compression) {
  const compress = compression !== uws.DISABLED;
  const options = { compression, maxBackpressure: LIMIT, maxPayloadLength: LIMIT };
  app.ws('/', {
    ...options,
    message(ws, message, isBinary) {
      ws.send(message, isBinary, compress);
    },
  });
  app.ws('/chat', {
    ...options,
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
  app.ws('/subscribe', {
    ...options,
    open(ws) {
      ws.subscribe('news');
    },
  });
  app.ws('/publish', {
    ...options,
    message(_, message, isBinary) {
      app.publish('news', message, isBinary);
    },
  });
}

function listen(app) {
  return new Promise((resolve, reject) => {
    app.listen('127.0.0.1', 0, (socket) => {
      if (socket) resolve(uws.us_socket_local_port(socket));
      else reject(new Error('it does not listen'));
    });
  });
}

/** Bun's default for both limits, so that nobody drops what another delivers. */
const LIMIT = 16 * 1024 * 1024;
