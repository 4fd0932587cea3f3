// upgrade(req, { protocol }), ws.protocol and ws.extensions: what a handshake agrees to, and how to tell. Not in Bun.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { calls } from './support/calls.mjs';
import { cleanUp, serveSockets } from './support/connect.mjs';
import { handshake, RawClient } from './support/raw-client.mjs';
import { throwsExactly } from './support/throws.mjs';

afterEach(cleanUp);

/** What a handshake with these headers gets from a server that upgrades with these options, on the wire and on the socket. */
async function agreed(upgrade, headers, websocket = {}) {
  const opens = calls('open');
  const server = serveSockets({ ...websocket, open: (ws) => opens(ws) }, { upgrade });
  const client = await RawClient.connect({ port: server.port });
  client.write(handshake({ headers }));
  const { status, header } = await client.response();
  assert.equal(status, 101);
  const [ws] = await opens.next();
  return { wire: header('Sec-WebSocket-Protocol'), protocol: ws.protocol, ws, client, header };
}

const OFFER = { 'Sec-WebSocket-Protocol': 'chat, superchat' };

describe('the subprotocol', () => {
  for (const [what, upgrade, headers, wire] of [
    ['is the first that the client offers', {}, OFFER, 'chat'],
    ['is picked by name', { protocol: 'superchat' }, OFFER, 'superchat'],
    ['is picked from several fields', { protocol: 'b' }, { 'Sec-WebSocket-Protocol': ['a', 'b'] }, 'b'],
    ['is none when the one picked is not offered', { protocol: 'other' }, OFFER, undefined],
    ['is none when nothing is offered', { protocol: 'chat' }, {}, undefined],
    ['is none when it is refused', { protocol: false }, OFFER, undefined],
    ['undefined leaves to the client', { protocol: undefined }, OFFER, 'chat'],
    ['goes before headers', { protocol: 'superchat', headers: { 'Sec-WebSocket-Protocol': 'chat' } }, OFFER, 'superchat'],
    ['refused goes before headers', { protocol: false, headers: { 'Sec-WebSocket-Protocol': 'chat' } }, OFFER, undefined],
    ['may come from headers', { headers: { 'Sec-WebSocket-Protocol': 'superchat' } }, OFFER, 'superchat'],
  ]) {
    test(what, async () => {
      const { wire: seen, protocol } = await agreed(upgrade, headers);

      assert.equal(seen, wire);
      assert.equal(protocol, wire ?? '');
    });
  }

  for (const protocol of ['', 'two words', 'a,b', 'é', true, 5, {}, Symbol('s')]) {
    test(`cannot be ${String(protocol)} (a ${typeof protocol})`, async () => {
      const thrown = calls('a throw');
      const server = serveSockets({});
      server.reload({
        fetch(req, own) {
          throwsExactly(() => own.upgrade(req, { protocol }), {
            name: 'TypeError',
            code: 'ERR_INVALID_ARG_TYPE',
            message: 'upgrade options.protocol must be the name of a subprotocol or false',
          });
          thrown();
          return new Response('still here');
        },
      });
      const client = await RawClient.connect({ port: server.port });

      client.write(handshake());

      await thrown.next();
      assert.equal((await client.response()).status, 200);
    });
  }
});

describe('ws.extensions', () => {
  const DEFLATE = { 'Sec-WebSocket-Extensions': 'permessage-deflate' };

  test('are those of the answer', async () => {
    const { ws, header } = await agreed({}, DEFLATE, { perMessageDeflate: true });

    assert.equal(ws.extensions, 'permessage-deflate; client_no_context_takeover; server_no_context_takeover');
    assert.equal(header('Sec-WebSocket-Extensions'), ws.extensions);
  });

  test('are "" when none was agreed to', async () => {
    assert.equal((await agreed({}, DEFLATE)).ws.extensions, '');
    assert.equal((await agreed({}, {}, { perMessageDeflate: true })).ws.extensions, '');
  });
});

test('both stay after the connection is closed', async () => {
  const { ws } = await agreed({}, { ...OFFER, 'Sec-WebSocket-Extensions': 'permessage-deflate' }, { perMessageDeflate: true });
  const before = [ws.protocol, ws.extensions];

  ws.close();

  assert.deepEqual([ws.protocol, ws.extensions], before);
  assert.notEqual(ws.extensions, '');
});
