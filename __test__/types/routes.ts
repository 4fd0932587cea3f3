// Routes: which values they take, and what their handlers know of the request.

import { type BunRequest, type CookieMap, type Serve, type Server, serve } from 'mantou';
import { same } from './same.js';

same<Serve.ExtractRouteParams<'/'>, Record<never, string>>();
same<Serve.ExtractRouteParams<'/users/:id'>, { id: string }>();
same<Serve.ExtractRouteParams<'/users/:id/posts/:post'>, { id: string; post: string }>();
same<Serve.ExtractRouteParams<'/:user/*'>, { user: string }>();
same<Serve.ExtractRouteParams<string>, Record<string, string>>();

same<BunRequest, BunRequest<string>>();
same<BunRequest['params'], Record<string, string>>();
same<Pick<BunRequest<'/:a'>, 'params' | 'cookies'>, { readonly params: { a: string }; readonly cookies: CookieMap }>();
same<BunRequest<'/:a'>['clone'], () => BunRequest<'/:a'>>();
same<Serve.HTTPMethod, 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH' | 'HEAD' | 'OPTIONS' | 'CONNECT' | 'TRACE'>();
same<Serve.DirectoryRoute, { dir: string; statCache?: boolean }>();
same<Serve.Routes, Serve.Routes<undefined, string, Response | void | undefined>>();
same<Serve.Route, Serve.Route<undefined, string, Response | void | undefined>>();
same<Serve.RouteHandler, Serve.RouteHandler<undefined, string, Response | void | undefined>>();
same<ThisParameterType<Serve.RouteHandler<string, '/', Response>>, Server<string>>();

/** Everything a route can be. */
export function takes() {
  serve({
    routes: {
      '/': () => new Response(''),
      '/async': async () => new Response(''),
      '/static': new Response(''),
      '/off': false,
      '/absent': undefined,
      '/files/*': { dir: 'public' },
      '/cached/*': { dir: 'public', statCache: true },
      '/methods': { GET: () => new Response(''), POST: new Response('') },
    },
  });
  // `fetch` alone, `routes` alone, both, and the older name.
  serve({ routes: {}, fetch: () => new Response('') });
  serve({ static: { '/': new Response('') } });
  // @ts-expect-error
  serve({ routes: { '/': 5 } });
  // @ts-expect-error
  serve({ routes: { '/': null } });
  // @ts-expect-error
  serve({ routes: { '/': { get: () => new Response('') } } });
  // @ts-expect-error
  serve({ routes: { '/*': { dir: 5 } } });
  // @ts-expect-error
  serve({ routes: 5 });
  // @ts-expect-error nothing is answered
  serve({ routes: { '/': () => undefined } });
}

/** The parameters come from the path of each route, and the server comes twice. */
export function knows() {
  serve({
    routes: {
      '/users/:id/posts/:post': (req, server) => {
        same<typeof req.params, { id: string; post: string }>();
        same<typeof server, Server<undefined>>();
        // @ts-expect-error
        req.params.user;
        return new Response(req.params.id);
      },
      '/users/:id': {
        GET(req) {
          same<typeof req.params, { id: string }>();
          return new Response(req.cookies.get('session'));
        },
      },
      '/plain': (req) => {
        // @ts-expect-error
        req.params.id;
        return new Response('');
      },
    },
  });
}

/** With WebSockets a handler that upgraded has nothing to return; with a type argument the paths are not looked at. */
export function upgrades() {
  serve<{ user: string }>({
    routes: {
      '/chat/:room': (req, server) => {
        same<typeof req.params, Record<string, string>>();
        if (!server.upgrade(req, { data: { user: req.params.room ?? '' } })) return new Response('');
      },
    },
    websocket: {
      message: (ws) => {
        same<typeof ws.data, { user: string }>();
      },
    },
  });
  serve({ routes: { '/:room': (req, server) => void server.upgrade(req, { data: undefined }) }, websocket: {} });
}

/** A reload brings other routes, or none. */
export function reloads(server: Server) {
  server.reload({ routes: { '/:id': (req) => new Response(req.params.id) } });
  server.reload({ routes: undefined });
  server.reload({ static: {} });
}
