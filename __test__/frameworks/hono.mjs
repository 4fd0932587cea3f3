// A server with what Hono has for Bun.

import './prepare.mjs';
import { Hono } from 'hono';
import { getConnInfo, serveStatic, upgradeWebSocket, websocket } from 'hono/bun';
import { compress } from 'hono/compress';
import { getCookie, setCookie } from 'hono/cookie';
import { HTTPException } from 'hono/http-exception';
import { stream, streamSSE, streamText } from 'hono/streaming';
import { validator } from 'hono/validator';

const app = new Hono()
  .use('/zipped', compress())
  .use('/files/*', serveStatic({ root: process.argv[2], rewriteRequestPath: (path) => path.slice('/files'.length) }))
  .get('/', (c) => c.text('Hello Hono'))
  .get('/json/:id', (c) => c.json({ id: c.req.param('id'), q: c.req.query('q') }, 201, { 'X-Own': 'yes' }))
  .post(
    '/users',
    validator('json', (value, c) => (typeof value.name === 'string' ? value : c.json({ error: 'a name, please' }, 422))),
    (c) => c.json({ name: c.req.valid('json').name }),
  )
  .post('/form', async (c) => {
    const { file, text } = await c.req.parseBody();
    return c.json({ name: file.name, content: await file.text(), text });
  })
  .get('/login', (c) => {
    setCookie(c, 'session', 'a b', { httpOnly: true, maxAge: 60 });
    setCookie(c, 'theme', 'dark');
    return c.body(null, 204);
  })
  .get('/who', (c) => c.json({ ...getCookie(c), address: getConnInfo(c).remote.address }))
  .get('/text', (c) =>
    streamText(c, async (out) => {
      for (const word of ['one ', 'two ', 'three']) await out.write(word);
    }),
  )
  .get('/sse', (c) =>
    streamSSE(c, async (out) => {
      for (let id = 0; id < 3; id++) await out.writeSSE({ id: String(id), event: 'tick', data: `tick ${id}` });
    }),
  )
  .get('/endless', (c) =>
    stream(c, async (out) => {
      const left = new Promise((resolve) => out.onAbort(resolve));
      await out.write('first');
      await left;
      console.log('aborted');
    }),
  )
  .post('/echo', (c) => c.body(c.req.raw.body))
  .get('/zipped', (c) => c.html('zip '.repeat(300)))
  .get('/moved', (c) => c.redirect('/'))
  .get('/refused', () => {
    throw new HTTPException(403, { message: 'not you' });
  })
  .get('/broken', () => {
    throw new Error('broken');
  })
  .get(
    '/ws/:room',
    upgradeWebSocket((c) => ({
      onOpen: (_, ws) => ws.send(`welcome to ${c.req.param('room')}`),
      onMessage(event, ws) {
        if (event.data === 'close') ws.close(4000, 'as you say');
        else ws.send(event.data);
      },
      onClose: (event) => console.log(`closed ${event.code} ${event.reason}`),
    })),
  );
app.notFound((c) => c.text(`nothing at ${c.req.path}`, 404));
app.onError((error, c) => (error instanceof HTTPException ? error.getResponse() : c.text(error.message, 500)));

const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: app.fetch, websocket });
console.log(`Listening on ${server.url}`);
