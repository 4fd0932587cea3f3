// A GraphQL server over WebSockets, with the handler that graphql-ws has for Bun.

import './prepare.mjs';
import { GraphQLInt, GraphQLNonNull, GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql';
import { handleProtocols, makeHandler } from 'graphql-ws/use/bun';

const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: 'Query',
    fields: {
      hello: {
        type: new GraphQLNonNull(GraphQLString),
        args: { name: { type: GraphQLString } },
        resolve: (_, { name }) => `Hello ${name}`,
      },
      broken: {
        type: GraphQLString,
        resolve() {
          throw new Error('broken');
        },
      },
    },
  }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: {
      count: {
        type: GraphQLInt,
        args: { to: { type: GraphQLInt } },
        async *subscribe(_, { to }) {
          for (let count = 1; count <= to; count++) yield { count };
        },
      },
      endless: {
        type: GraphQLInt,
        async *subscribe() {
          try {
            for (let endless = 0; ; endless++) {
              yield { endless };
              await new Promise(setImmediate);
            }
          } finally {
            console.log('subscription over');
          }
        },
      },
    },
  }),
});

const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  fetch(req, server) {
    const [path] = new URL(req.url).pathname.split('?');
    if (!path.endsWith('/graphql')) return new Response('Not Found', { status: 404 });
    if (!req.headers.has('upgrade')) return new Response('Upgrade Required', { status: 426 });
    const protocol = handleProtocols(req.headers.get('sec-websocket-protocol') ?? '');
    if (!protocol) return new Response('Bad Request', { status: 400 });
    if (!server.upgrade(req, { headers: { 'Sec-WebSocket-Protocol': protocol } })) return new Response('Upgrade Failed', { status: 500 });
  },
  websocket: makeHandler({
    schema,
    connectionInitWaitTimeout: 500,
    onConnect: ({ connectionParams }) => connectionParams?.token !== 'wrong',
    onDisconnect: (_, code, reason) => console.log(`disconnected ${code} ${reason}`),
  }),
});
console.log(`Listening on ${server.url}`);
