// @ts-check
// What `mantou` exports, for require() and import alike.

'use strict';

const { Cookie, CookieMap } = require('./src/js/cookies.js');
const { Request } = require('./src/js/request.js');
const { Response } = require('./src/js/response.js');
const { serve } = require('./src/js/server.js');
const { ServerWebSocket } = require('./src/js/socket.js');

// Spelled out like this so that Node and Bun see the names of an `import { serve } from 'mantou'` without running the file.
module.exports = { Request, Response, serve, ServerWebSocket, Cookie, CookieMap };
module.exports.default = module.exports;
