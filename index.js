// @ts-check
// What `mantou` exports, for require() and import alike.

'use strict';

const { serve } = require('./src/js/server.js');
const { ServerWebSocket } = require('./src/js/socket.js');

module.exports = { serve, ServerWebSocket };
module.exports.default = module.exports;
