// A server with what Elysia has, on its adapter for Bun.

import './prepare.mjs';
import { Elysia, file, sse, t } from 'elysia';

const cookie = t.Cookie({ session: t.Optional(t.String()), signed: t.Optional(t.String()) }, { secrets: 'not a secret', sign: ['signed'] });

const app = new Elysia({ serve: { hostname: '127.0.0.1' } })
  .onError(({ code, error, status }) => {
    if (code === 'VALIDATION') return status(422, { invalid: error.type });
    if (code === 'NOT_FOUND') return 'nothing here';
  })
  .get('/', 'Hello Elysia')
  .get('/json', { a: 1 })
  .get('/users/:id', ({ params: { id }, query }) => ({ id, page: query.page }), {
    params: t.Object({ id: t.Number() }),
    query: t.Object({ page: t.Optional(t.Number()) }),
  })
  .post(
    '/users',
    ({ body, set }) => {
      set.status = 201;
      set.headers['x-own'] = 'yes';
      return { hello: body.name };
    },
    {
      body: t.Object({ name: t.String({ minLength: 1 }) }),
      response: { 201: t.Object({ hello: t.String() }) },
    },
  )
  .get('/wrong', () => 'not a number', { response: t.Number() })
  .post('/form', async ({ body: { file, text } }) => ({ name: file.name, content: await file.text(), text }), {
    body: t.Object({ file: t.File(), text: t.String() }),
  })
  .get(
    '/login',
    ({ cookie: { session, signed } }) => {
      session.set({ value: 'abc', httpOnly: true, maxAge: 60 });
      signed.value = 'me';
      return 'in';
    },
    { cookie },
  )
  .get('/who', ({ cookie: { session, signed } }) => ({ session: session.value, signed: signed.value }), { cookie })
  .get('/moved', ({ redirect, set }) => {
    set.headers['x-own'] = 'yes';
    return redirect('/who', 303);
  })
  .get('/file', () => file(process.argv[2]))
  .get('/bun-file', () => Bun.file(process.argv[2]))
  .get('/stream', async function* () {
    yield 'one ';
    yield 'two ';
    yield 'three';
  })
  .get('/sse', async function* () {
    for (let id = 0; id < 3; id++) yield sse({ id, event: 'tick', data: { id } });
  })
  .get('/ip', ({ server, request }) => server.requestIP(request).address)
  .get('/broken', () => {
    throw new Error('broken');
  })
  .ws('/ws/:room', {
    body: t.Object({ text: t.String() }),
    query: t.Object({ name: t.String() }),
    open(ws) {
      ws.subscribe(ws.data.params.room);
      ws.publish(ws.data.params.room, { joined: ws.data.query.name });
      ws.send({ welcome: ws.data.query.name });
    },
    message(ws, { text }) {
      if (text === 'close') ws.close(4000, 'as you say');
      else ws.publish(ws.data.params.room, { from: ws.data.query.name, text });
      ws.send({ sent: text });
    },
    error: ({ error }) => ({ refused: error.type }),
    close: (ws, code, reason) => console.log(`closed ${ws.data.query.name} ${code} ${reason}`),
  })
  .listen(0);
console.log(`Listening on ${app.server.url}`);
process.once('SIGTERM', async () => {
  await app.stop();
  console.log('stopped');
});
