// graphql-ws as it comes from npm, with its handler for Bun. Its client is its own, over ws.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { createClient, WebSocket } from './frameworks/clients.mjs';
import { calls } from './support/calls.mjs';
import { hosts, startFramework, stopFrameworks } from './support/frameworks.mjs';

for (const host of hosts) {
  describe(`graphql-ws on ${host.name}`, { skip: host.reason, timeout: 30_000 }, () => {
    let program;
    let url;
    before(async () => {
      program = await startFramework(host, 'graphql-ws.mjs');
      url = `${program.url.replace('http', 'ws')}graphql`;
    });
    after(stopFrameworks);

    /** A client, and the end of its connection. */
    function connect(connectionParams = {}) {
      const closes = calls('the end');
      const on = { closed: ({ code, reason }) => closes(code, reason) };
      const client = createClient({
        url,
        webSocketImpl: WebSocket,
        retryAttempts: 0,
        connectionParams,
        lazy: false,
        onNonLazyError() {},
        on,
      });
      return { client, closes };
    }

    /** All results of an operation. */
    async function results(client, query, variables) {
      const all = [];
      for await (const { data, errors } of client.iterate({ query, variables }))
        all.push(errors?.map(({ message }) => message) ?? { ...data });
      return all;
    }

    /** A connection of ws without the client, for what that would never do. */
    async function raw(protocol = 'graphql-transport-ws') {
      const socket = new WebSocket(url, protocol);
      await once(socket, 'open');
      return socket;
    }

    const ending = async (socket) => (await once(socket, 'close')).map(String);

    test('answers queries and subscriptions, and closes', async () => {
      const { client, closes } = connect();

      const query = await results(client, 'query ($name: String) { hello(name: $name) }', { name: 'ädä' });
      const count = await results(client, 'subscription { count(to: 3) }');
      const broken = await results(client, '{ broken }');
      await client.dispose();

      assert.deepEqual(query, [{ hello: 'Hello ädä' }]);
      assert.deepEqual(count, [{ count: 1 }, { count: 2 }, { count: 3 }]);
      assert.deepEqual(broken, [['broken']]);
      assert.deepEqual(await closes.next(), [1000, 'Normal Closure']);
      assert.equal(await program.line(), 'disconnected 1000 Normal Closure');
    });

    test('runs operations beside each other', async () => {
      const { client } = connect();

      const all = await Promise.all([1, 50, 20].map((to) => results(client, 'subscription ($to: Int) { count(to: $to) }', { to })));
      await client.dispose();

      assert.deepEqual(
        all.map(({ length }) => length),
        [1, 50, 20],
      );
      assert.equal(await program.line(), 'disconnected 1000 Normal Closure');
    });

    test('ends a subscription whose client has heard enough', async () => {
      const { client } = connect();

      for await (const { data } of client.iterate({ query: 'subscription { endless }' })) if (data.endless === 5) break;

      assert.equal(await program.line(), 'subscription over');
      await client.dispose();
      assert.equal(await program.line(), 'disconnected 1000 Normal Closure');
    });

    test('ends a subscription whose client is gone', async () => {
      const { client, closes } = connect();
      let socket;
      client.on('connected', (connected) => {
        socket = connected;
      });

      const over = (async () => {
        for await (const { data } of client.iterate({ query: 'subscription { endless }' })) if (data.endless === 5) socket.terminate();
      })();

      await assert.rejects(over);
      assert.equal((await closes.next())[0], 1006);
      assert.deepEqual([await program.line(), await program.line()].sort(), ['disconnected 1006 ', 'subscription over']);
    });

    test('reports what is wrong with an operation', async () => {
      const { client } = connect();

      await assert.rejects(results(client, '{ nothing }'), ([{ message }]) => message === 'Cannot query field "nothing" on type "Query".');
      await client.dispose();

      assert.equal(await program.line(), 'disconnected 1000 Normal Closure');
    });

    test('refuses a client it does not want with 4403', async () => {
      const { client, closes } = connect({ token: 'wrong' });

      await assert.rejects(results(client, '{ hello }'), ({ code, reason }) => code === 4403 && reason === 'Forbidden');

      assert.deepEqual(await closes.next(), [4403, 'Forbidden']);
    });

    test('closes with the codes of its protocol', async () => {
      const early = await raw();
      early.send('{"type":"subscribe","id":"1","payload":{"query":"{ hello }"}}');
      assert.deepEqual(await ending(early), ['4401', 'Unauthorized']);

      const nonsense = await raw();
      nonsense.send('nonsense');
      assert.deepEqual(await ending(nonsense), ['4400', 'Invalid message received']);

      const eager = await raw();
      eager.send('{"type":"connection_init"}');
      eager.send('{"type":"connection_init"}');
      assert.deepEqual(await ending(eager), ['4429', 'Too many initialisation requests']);

      const silent = await raw();
      assert.deepEqual(await ending(silent), ['4408', 'Connection initialisation timeout']);
    });

    test('refuses other protocols, and who does not upgrade', async () => {
      const other = new WebSocket(url, 'graphql-ws');
      const [, response] = await once(other, 'unexpected-response');
      assert.equal(response.statusCode, 400);
      response.destroy();

      assert.equal((await fetch(url.replace('ws:', 'http:'))).status, 426);
    });
  });
}
