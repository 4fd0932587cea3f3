// @ts-check
// The main job: the chat of examples/chat, used by real browsers and by 200 clients at once.
// Node drives; the server is a process of its own, on mantou in Node, mantou in Bun, or (MANTOU_CHAT_SERVE=bun) real Bun.serve.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { limits, refusals } from '../examples/chat/server.mjs';
import { hosts, startChatServer } from './support/chat-server.mjs';
import { browserRequired, chromiumForTests, launchChromium } from './support/chromium.mjs';

/** @typedef {Awaited<ReturnType<typeof startChatServer>>} ChatServer */
/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('playwright-core').BrowserContextOptions} ContextOptions */

const ONLINE = '#state[data-state="online"]';
const OFFLINE = '#state[data-state="offline"]';
/** Milliseconds for a whole group, which takes a tenth of it: only a hang takes longer. */
const timeout = 180_000;

const inNode = process.versions.bun === undefined;
const found = inNode ? chromiumForTests() : { reason: 'the chat is tested from Node, which starts it in Bun too' };
if (inNode && found.path === undefined) console.error(`\n# THE BROWSER TESTS OF THE CHAT DO NOT RUN. ${found.reason}\n`);

for (const host of hosts) {
  if (host.program === undefined && browserRequired)
    throw new Error(`${host.name} must be tested here, and Bun is not installed: npm install`);
  const missing = !inNode ? found.reason : host.program === undefined ? 'Bun is not installed' : undefined;

  describe(`the chat on ${host.name}, in two browsers`, { skip: missing ?? found.reason, timeout }, () => {
    /** @type {import('playwright-core').Browser} */
    let browser;
    /** @type {ChatServer} */
    let chat;
    /** @type {import('playwright-core').BrowserContext[]} */
    const contexts = [];
    /** @type {string[]} */
    const complaints = [];

    before(async () => {
      browser = await launchChromium(/** @type {string} */ (found.path));
    });
    after(() => browser?.close());
    afterEach(async () => {
      await Promise.all(contexts.splice(0).map((context) => context.close()));
      // Undefined when it never started, which has been reported.
      if (chat === undefined) return;
      const end = await chat.end();
      assert.deepEqual(end, { code: 0, signal: null }, `the server did not stop cleanly: ${chat.errors()}`);
      assert.equal(chat.errors(), '');
      assert.deepEqual(complaints.splice(0), []);
    });

    /**
     * A person with a browser of their own, in the room.
     * @param {string} name @param {{ room?: string, url?: string, options?: ContextOptions }} [how]
     */
    async function enter(name, { room = 'lobby', url = chat.url, options } = {}) {
      const context = await browser.newContext(options);
      contexts.push(context);
      const page = await context.newPage();
      page.on('pageerror', (error) => complaints.push(`${name}: ${error.message}`));
      page.on('console', (message) => {
        // Chromium reports every attempt to connect that fails; a server that is away is what some tests are about.
        if (message.type() === 'error' && !/^WebSocket connection to .* failed/.test(message.text()))
          complaints.push(`${name}: ${message.text()}`);
      });
      await page.goto(`${url}#${room}`);
      await page.fill('#name', name);
      await page.press('#name', 'Enter');
      await page.waitForSelector(ONLINE);
      return page;
    }

    it('shows two people each other: messages, names and how many are here', async () => {
      chat = await startChatServer(host);
      const ada = await enter('Ada');
      await text(ada, '#here', 'only you are here');
      const linus = await enter('Linus');
      await text(ada, '#here', '2 people here');
      await text(linus, '#here', '2 people here');
      await text(ada, '.notice:last-child', 'Linus joined');
      assert.deepEqual(await ada.locator('#people bdi').allTextContents(), ['Ada', 'Linus']);
      assert.deepEqual((await linus.locator('#people bdi').allTextContents()).sort(), ['Ada', 'Linus']);

      await say(ada, 'Hello from one browser 🥟');
      await say(linus, 'Hello from the other');
      for (const page of [ada, linus]) await messages(page, ['Ada: Hello from one browser 🥟', 'Linus: Hello from the other']);
      assert.deepEqual(await ada.locator('.mine .text').allTextContents(), ['Hello from one browser 🥟']);
      assert.deepEqual(await linus.locator('.mine .text').allTextContents(), ['Hello from the other']);

      await linus.close();
      await text(ada, '#here', 'only you are here');
      await text(ada, '.notice:last-child', 'Linus left');
    });

    it('shows who is typing until the message arrives or the text is taken back', async () => {
      chat = await startChatServer(host);
      const ada = await enter('Ada');
      const linus = await enter('Linus');

      await ada.fill('#text', 'so');
      await text(linus, '#typing', 'Ada is typing…');
      await ada.fill('#text', '');
      await text(linus, '#typing', '');
      await ada.fill('#text', 'so what');
      await text(linus, '#typing', 'Ada is typing…');
      await ada.press('#text', 'Enter');
      await messages(linus, ['Ada: so what']);
      await text(linus, '#typing', '');
      assert.equal(await ada.textContent('#typing'), '');
    });

    it('keeps rooms apart, and shows a newcomer what was said', async () => {
      chat = await startChatServer(host);
      const ada = await enter('Ada', { room: 'kitchen' });
      const linus = await enter('Linus', { room: 'garden' });
      await say(ada, 'only in the kitchen');
      await messages(ada, ['Ada: only in the kitchen']);
      await say(linus, 'only in the garden');
      await messages(linus, ['Linus: only in the garden']);

      await linus.evaluate(() => {
        location.hash = 'Kitchen';
      });
      await messages(linus, ['Ada: only in the kitchen']);
      await text(linus, '#room', 'kitchen');
      await text(ada, '#here', '2 people here');
      await linus.click('#rooms a >> text=garden');
      await messages(linus, ['Linus: only in the garden']);
      await text(ada, '.notice:last-child', 'Linus left');
    });

    it('shows markup as the text it is', async () => {
      chat = await startChatServer(host);
      const nasty = '<img src=x onerror="window.hacked = 1">';
      const ada = await enter('<b>Ada</b>');
      const linus = await enter('Linus');
      await say(ada, nasty);
      await messages(linus, [`<b>Ada</b>: ${nasty}`]);
      assert.equal(await linus.locator('#log img, #log b, #people b').count(), 0);
      assert.equal(await linus.evaluate(() => Reflect.get(window, 'hacked')), undefined);
    });

    it('goes offline when the server dies, comes back with it, and sends what was written meanwhile exactly once', async () => {
      chat = await startChatServer(host);
      const ada = await enter('Ada');
      const linus = await enter('Linus');
      await say(ada, 'before');
      for (const page of [ada, linus]) await messages(page, ['Ada: before']);

      await chat.end('SIGKILL');
      for (const page of [ada, linus]) await page.waitForSelector(OFFLINE);
      await say(ada, 'written offline');
      assert.equal(await ada.locator('.pending .text').textContent(), 'written offline');
      assert.ok(await ada.isVisible('#retry'));

      chat = await startChatServer(host, chat.port);
      for (const page of [ada, linus]) await page.waitForSelector(ONLINE);
      for (const page of [ada, linus]) await text(page, '#here', '2 people here');
      for (const page of [ada, linus]) await messages(page, ['Ada: before', 'Ada: written offline']);
      assert.equal(await ada.locator('.pending').count(), 0);
      await say(linus, 'after');
      for (const page of [ada, linus]) await messages(page, ['Ada: before', 'Ada: written offline', 'Linus: after']);
    });

    it('misses nothing and says nothing twice when only the network fails', async () => {
      chat = await startChatServer(host);
      const cable = await Cable.to(chat.port);
      const ada = await enter('Ada', { url: cable.url });
      const linus = await enter('Linus');
      await say(linus, 'before');
      for (const page of [ada, linus]) await messages(page, ['Linus: before']);

      // The worst moment: the message arrives, the answer does not.
      cable.deaf = true;
      await say(ada, 'into the tunnel');
      await messages(linus, ['Linus: before', 'Ada: into the tunnel']);
      cable.cut();
      await ada.waitForSelector(OFFLINE);
      await text(linus, '.notice:last-child', 'Ada left');
      await say(linus, 'are you there?');
      await say(ada, 'in the tunnel');
      cable.mend();

      const all = ['Linus: before', 'Ada: into the tunnel', 'Linus: are you there?', 'Ada: in the tunnel'];
      for (const page of [ada, linus]) await messages(page, all);
      await text(ada, '#here', '2 people here');
      assert.equal(await ada.locator('.pending').count(), 0);
      assert.deepEqual(await ada.locator('.mine .text').allTextContents(), ['into the tunnel', 'in the tunnel']);
      await cable.close();
    });

    it('is told when the server restarts on purpose', async () => {
      chat = await startChatServer(host);
      const ada = await enter('Ada');
      const { port } = chat;
      assert.deepEqual(await chat.end('SIGINT'), { code: 0, signal: null });
      await ada.waitForSelector(OFFLINE);
      await text(ada, '#why', 'The server is restarting.');
      chat = await startChatServer(host, port);
      await ada.waitForSelector(ONLINE);
      assert.equal(await ada.isVisible('#offline'), false);
    });

    it('fits a phone of 320 pixels without scrolling sideways', async () => {
      chat = await startChatServer(host);
      const ada = await enter('Ada', { options: { viewport: { width: 320, height: 568 }, hasTouch: true, isMobile: true } });
      await say(ada, `${'a'.repeat(400)} ${'word '.repeat(60)}`);
      await ada.waitForSelector('.message:not(.pending)');
      assert.deepEqual(await overflow(ada), []);
      for (const control of ['#menu', '#state', '#text', '#composer button']) assert.ok(await ada.isVisible(control), control);

      assert.equal(await ada.isVisible('#side'), false);
      await ada.click('#menu');
      assert.ok(await ada.isVisible('#people'));
      assert.equal(await ada.evaluate(() => document.activeElement?.textContent), 'lobby');
      assert.deepEqual(await overflow(ada), []);
      await ada.keyboard.press('Escape');
      await ada.waitForSelector('#side', { state: 'hidden' });
      assert.equal(await ada.evaluate(() => document.activeElement?.id), 'menu');
    });

    it('is dark for those who like it dark, and readable either way', async () => {
      chat = await startChatServer(host);
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        const ada = await enter('Ada', { room: colorScheme, options: { colorScheme } });
        await say(ada, 'mine');
        await ada.waitForSelector('.mine:not(.pending)');
        const other = await enter('Linus', { room: colorScheme });
        await say(other, 'yours');
        await ada.waitForSelector('.message:not(.mine)');
        const brightness = await ada.evaluate(luminanceOf, 'main');
        assert.ok(colorScheme === 'dark' ? brightness < 0.05 : brightness > 0.8, `${colorScheme}: ${brightness}`);
        // WCAG AA for text.
        const measured = await ada.evaluate(contrasts, [
          'h1',
          '#here',
          '#state',
          '.notice',
          '.mine .text',
          '.message:not(.mine) .text',
          '.message:not(.mine) bdi',
          'time',
          '#rooms a',
        ]);
        for (const [selector, ratio] of measured) assert.ok(ratio >= 4.5, `${selector} in ${colorScheme}: ${ratio}`);
        await other.close();
      }
    });

    it('can be used with the keyboard alone', async () => {
      chat = await startChatServer(host);
      const ada = await enter('Ada');
      await say(ada, 'typed');
      await ada.waitForSelector('.mine:not(.pending)');
      assert.equal(await ada.evaluate(() => document.activeElement?.id), 'text');
      /** @type {string[]} */
      const stops = [];
      for (let i = 0; i < 7; i += 1) {
        await ada.keyboard.press('Tab');
        stops.push(
          await ada.evaluate(
            () =>
              document.activeElement?.id || document.activeElement?.textContent || document.activeElement?.getAttribute('aria-label') || '',
          ),
        );
      }
      for (const stop of ['lobby', 'other', 'me', 'log']) assert.ok(stops.includes(stop), `${stop} is not among ${stops}`);
    });
  });

  describe(`the chat on ${host.name}, with clients of npm's ws`, { skip: missing, timeout }, () => {
    /** @type {ChatServer} */
    let chat;
    /** @type {Client[]} */
    const clients = [];

    before(async () => {
      chat = await startChatServer(host);
    });
    afterEach(() => Promise.all(clients.splice(0).map((client) => client.leave())));
    after(async () => {
      if (chat === undefined) return;
      assert.deepEqual(await chat.end(), { code: 0, signal: null });
      assert.equal(chat.errors(), '');
    });

    /** @param {string} room @param {string} name */
    async function enter(room, name) {
      const client = new Client(chat.url, name);
      clients.push(client);
      await client.join(room);
      return client;
    }

    it('delivers every message to every member of its room once and in one order, and to nobody else', async () => {
      const ROOMS = 5;
      const MEMBERS = 40;
      const EACH = 5;
      const names = Array.from({ length: ROOMS * MEMBERS }, (_, i) => `client-${i}`);
      await Promise.all(names.map((name, i) => enter(`room-${i % ROOMS}`, name)));
      assert.equal(clients.length, 200);

      const expected = MEMBERS * EACH;
      const complete = clients.map((client) => client.until(() => client.messages.length >= expected));
      for (let n = 0; n < EACH; n += 1) {
        for (const client of clients) client.send({ type: 'message', text: `${client.room} ${client.name} ${n}` });
      }
      await Promise.all(complete);
      // A message that came twice or astray would be in front of this last one of its connection.
      for (let r = 0; r < ROOMS; r += 1) clients[r].send({ type: 'message', text: 'last' });
      await Promise.all(clients.map((client) => client.until(() => client.messages.at(-1)?.text === 'last')));

      for (let r = 0; r < ROOMS; r += 1) {
        const members = clients.filter((client) => client.room === `room-${r}`);
        assert.equal(members.length, MEMBERS);
        const [first] = members;
        assert.deepEqual(
          first.messages.map((message) => message.seq),
          Array.from({ length: expected + 1 }, (_, i) => i + 1),
        );
        const said = members.flatMap(({ room, name }) => Array.from({ length: EACH }, (_, n) => `${room} ${name} ${n}`));
        assert.deepEqual(
          first.messages
            .slice(0, -1)
            .map((message) => message.text)
            .sort(),
          said.sort(),
        );
        for (const { name } of members) {
          const own = first.messages.filter((message) => message.name === name && message.text !== 'last').map((message) => message.text);
          assert.deepEqual(
            own,
            Array.from({ length: EACH }, (_, n) => `room-${r} ${name} ${n}`),
          );
        }
        for (const member of members) assert.deepEqual(member.messages, first.messages);
      }
    });

    it('counts who is here as people come, rename themselves, change rooms and go', async () => {
      const ada = await enter('count', 'Ada');
      const linus = await enter('count', 'Linus');
      assert.equal(linus.welcome?.here, 2);
      assert.deepEqual(
        linus.welcome?.people.map((person) => person.name),
        ['Ada', 'Linus'],
      );
      await ada.until(() => ada.last?.type === 'joined' && ada.last.name === 'Linus' && ada.last.here === 2);
      linus.send({ type: 'join', room: 'count', name: 'L.' });
      await ada.until(() => ada.last?.type === 'renamed' && ada.last.oldName === 'Linus' && ada.last.name === 'L.' && ada.last.here === 2);
      await linus.join('elsewhere');
      await ada.until(() => ada.last?.type === 'left' && ada.last.name === 'L.' && ada.last.here === 1);
      await linus.join('count');
      await ada.until(() => ada.last?.type === 'joined' && ada.last.here === 2);
      linus.socket.terminate();
      await ada.until(() => ada.last?.type === 'left' && ada.last.here === 1);
    });

    it('remembers the last messages of a room, and no more', async () => {
      const ada = await enter('memory', 'Ada');
      const count = limits.history + 7;
      for (let n = 1; n <= count; n += 1) ada.send({ type: 'message', text: String(n) });
      await ada.until(() => ada.messages.length === count);
      const late = await enter('memory', 'Late');
      assert.deepEqual(
        late.welcome?.history.map((message) => message.text),
        Array.from({ length: limits.history }, (_, i) => String(i + 8)),
      );
    });

    it('does not let a client that stops reading delay the others, nor lose a message, nor be told who types', async () => {
      const ada = await enter('slow', 'Ada');
      const linus = await enter('slow', 'Linus');
      const slow = await enter('slow', 'Slow');
      slow.socket.pause();

      // More than any kernel holds for a connection, less than the server allows a client to be behind.
      const text = '饅'.repeat(limits.text);
      const count = Math.floor((limits.backlog * 0.9) / Buffer.byteLength(text));
      // In step with those who read: whatever waits in the server waits for the one who does not.
      for (let n = 1; n <= count; n += 1) {
        ada.send({ type: 'typing' });
        ada.send({ type: 'message', text });
        await Promise.all([ada, linus].map((client) => client.until(() => client.messages.length === n)));
      }
      assert.equal(linus.typing, count);
      assert.ok(slow.messages.length < count);

      const caughtUp = slow.until(() => slow.messages.length === count);
      slow.socket.resume();
      await caughtUp;
      assert.deepEqual(
        slow.messages.map((message) => message.seq),
        Array.from({ length: count }, (_, i) => i + 1),
      );
      assert.ok(slow.typing < count, `all of the ${count} typing notices were queued for a client that did not read`);
      ada.send({ type: 'typing' });
      await slow.until(() => slow.last?.type === 'typing');
    });

    it('parts with a client too far behind, which misses nothing silently and may come back', async () => {
      const ada = await enter('zombie', 'Ada');
      const zombie = await enter('zombie', 'Zombie');
      zombie.socket.pause();
      const text = '饅'.repeat(limits.text);
      const gone = ada.until(() => ada.last?.type === 'left' && ada.last.name === 'Zombie');
      let parted = false;
      void gone.then(() => {
        parted = true;
      });
      for (let n = 1; !parted; n += 1) {
        ada.send({ type: 'message', text });
        await ada.until(() => ada.messages.length === n);
      }

      const closed = once(zombie.socket, 'close');
      zombie.socket.resume();
      const [code] = await closed;
      assert.equal(code, 1006);
      assert.deepEqual(
        zombie.messages.map((message) => message.seq),
        Array.from({ length: zombie.messages.length }, (_, i) => i + 1),
      );
      const again = await enter('zombie', 'Zombie');
      assert.equal(again.welcome?.here, 2);
      assert.equal(again.welcome?.history.length, limits.history);
    });

    /** @type {[what: string, send: (client: Client) => void, refusal: readonly [number, string]][]} */
    const nonsense = [
      ['binary data', ({ socket }) => socket.send(Buffer.from('{}')), refusals.notText],
      ['text that is not JSON', ({ socket }) => socket.send('hello'), refusals.notJson],
      ['JSON that is not an object', ({ socket }) => socket.send('[1]'), refusals.notJson],
      ['an unknown type', (client) => client.send({ type: 'destroy' }), refusals.unknownType],
      ['a type that is not a string', (client) => client.send({ type: { toString: 1 } }), refusals.unknownType],
      ['an empty name', (client) => client.send({ type: 'join', room: 'x', name: ' ' }), refusals.badName],
      [
        'a name that is too long',
        (client) => client.send({ type: 'join', room: 'x', name: 'a'.repeat(limits.name + 1) }),
        refusals.badName,
      ],
      ['a name that turns the line around', (client) => client.send({ type: 'join', room: 'x', name: 'abc\u202edef' }), refusals.badName],
      [
        'a room that is too long',
        (client) => client.send({ type: 'join', room: 'r'.repeat(limits.room + 1), name: 'x' }),
        refusals.badRoom,
      ],
      ['a room with a slash', (client) => client.send({ type: 'join', room: 'a/b', name: 'x' }), refusals.badRoom],
      ['a message that is too long', (client) => client.send({ type: 'message', text: 'a'.repeat(limits.text + 1) }), refusals.badText],
      ['a blank message', (client) => client.send({ type: 'message', text: ' \n ' }), refusals.badText],
      ['a number for a message', (client) => client.send({ type: 'message', text: 1 }), refusals.badText],
      [
        'a mark that is too long',
        (client) => client.send({ type: 'message', text: 'a', ref: 'r'.repeat(limits.ref + 1) }),
        refusals.badRef,
      ],
    ];
    for (const [what, send, [code, reason]] of nonsense) {
      it(`answers ${what} with ${code} "${reason}"`, async () => {
        const client = await enter('nonsense', 'Mallory');
        const closed = once(client.socket, 'close');
        send(client);
        const [gotCode, gotReason] = await closed;
        assert.deepEqual([gotCode, gotReason.toString()], [code, reason]);
      });
    }

    it('answers a message before the join with a refusal', async () => {
      const client = new Client(chat.url, 'Hasty');
      await once(client.socket, 'open');
      client.send({ type: 'message', text: 'hello?' });
      const [code, reason] = await once(client.socket, 'close');
      assert.deepEqual([code, reason.toString()], refusals.notJoined);
    });

    it('never reads a message larger than any that it could accept', async () => {
      const client = await enter('nonsense', 'Mallory');
      const closed = once(client.socket, 'close');
      client.send({ type: 'message', text: 'a'.repeat(limits.payload) });
      const [code] = await closed;
      assert.equal(code, 1009);
      // The longest message there may be, in its longest spelling, still fits.
      const polite = await enter('nonsense', 'Polite');
      polite.socket.send(`{"type":"message","text":"${'\\u9905'.repeat(limits.text)}"}`);
      await polite.until(() => polite.messages.length === 1);
      assert.equal(polite.messages[0].text, '餅'.repeat(limits.text));
    });

    it('refuses a connection from the page of another site', async () => {
      const socket = new WebSocket(chatUrl(chat.url), { origin: 'https://example.com' });
      const [, response] = await once(socket, 'unexpected-response');
      assert.equal(response.statusCode, 403);
      response.destroy();
    });

    it('serves one page, which may load nothing and run nothing but itself', async () => {
      const response = await fetch(chat.url);
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8');
      assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'.*script-src 'sha256-/);
      assert.match(await response.text(), /<title>mantou chat<\/title>/);
      assert.equal((await fetch(`${chat.url}nothing`)).status, 404);
      assert.equal((await fetch(`${chat.url}chat`)).status, 426);
    });

    it('says which port is taken, and how to choose another', async () => {
      const other = createServer().listen(0, '127.0.0.1');
      await once(other, 'listening');
      const { port } = /** @type {import('node:net').AddressInfo} */ (other.address());
      await assert.rejects(startChatServer(host, port), new RegExp(`exit 1\\):\\nPort ${port} is taken`));
      other.close();
    });
  });
}

/** A network that can fail: a port that leads to another. */
class Cable {
  /** Loses what the server says. */
  deaf = false;
  #broken = false;
  /** @type {Set<import('node:net').Socket>} */
  #ends = new Set();

  /** @param {number} port */
  static async to(port) {
    const cable = new Cable(port);
    cable.server.listen(0, '127.0.0.1');
    await once(cable.server, 'listening');
    return cable;
  }

  /** @param {number} port */
  constructor(port) {
    this.server = createServer((near) => {
      if (this.#broken) return near.resetAndDestroy();
      const far = connect(port, '127.0.0.1');
      near.on('data', (data) => far.write(data));
      far.on('data', (data) => this.deaf || near.write(data));
      for (const [end, other] of [
        [near, far],
        [far, near],
      ]) {
        this.#ends.add(end);
        // Whatever ends one half ends the other; a reset is no accident here.
        end.on('error', () => {});
        end.on('close', () => {
          this.#ends.delete(end);
          other.destroy();
        });
      }
    });
  }

  get url() {
    return `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (this.server.address()).port}/`;
  }

  cut() {
    this.#broken = true;
    for (const end of this.#ends) end.destroy();
  }

  mend() {
    this.#broken = false;
    this.deaf = false;
  }

  async close() {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** @typedef {{ type: string, seq: number, name: string, oldName?: string, text: string, here: number }} Incoming */

/** One client of npm's ws, which keeps what it was sent. */
class Client {
  room = '';
  /** @type {(Incoming & { room: string, people: { name: string }[], history: Incoming[] }) | undefined} */
  welcome;
  /** @type {Incoming[]} */
  messages = [];
  typing = 0;
  /** @type {Incoming | undefined} */
  last;
  /** @type {Set<() => void>} */
  #waiting = new Set();

  /** @param {string} url @param {string} name */
  constructor(url, name) {
    this.name = name;
    this.socket = new WebSocket(chatUrl(url), { perMessageDeflate: false });
    this.socket.on('message', (data) => {
      const message = JSON.parse(data.toString());
      this.last = message;
      if (message.type === 'welcome') this.welcome = message;
      else if (message.type === 'message') this.messages.push(message);
      else if (message.type === 'typing') this.typing += 1;
      for (const check of this.#waiting) check();
    });
  }

  /** @param {string} room */
  async join(room) {
    if (this.socket.readyState === WebSocket.CONNECTING) await once(this.socket, 'open');
    this.send({ type: 'join', room, name: this.name });
    await this.until(() => this.last?.type === 'welcome' && this.welcome?.room === room);
    this.room = room;
  }

  /** @param {object} message */
  send(message) {
    this.socket.send(JSON.stringify(message));
  }

  /**
   * Resolves as soon as a message makes the condition true, rejects if the connection ends before.
   * @param {() => boolean} condition
   */
  until(condition) {
    if (condition()) return Promise.resolve();
    return /** @type {Promise<void>} */ (
      new Promise((resolve, reject) => {
        /** @param {number} code */
        const ended = (code) => {
          this.#waiting.delete(check);
          reject(new Error(`${this.name} was disconnected (${code}) while it waited`));
        };
        const check = () => {
          if (!condition()) return;
          this.#waiting.delete(check);
          this.socket.off('close', ended);
          resolve();
        };
        this.#waiting.add(check);
        this.socket.on('close', ended);
      })
    );
  }

  async leave() {
    if (this.socket.readyState === WebSocket.CLOSED) return;
    const closed = once(this.socket, 'close');
    this.socket.resume();
    this.socket.close();
    await closed;
  }
}

/** @param {string} url */
function chatUrl(url) {
  return `${url.replace(/^http/, 'ws')}chat`;
}

/** @param {Page} page @param {string} words */
async function say(page, words) {
  await page.fill('#text', words);
  await page.press('#text', 'Enter');
}

/**
 * Waits until the element says exactly this.
 * @param {Page} page @param {string} selector @param {string} expected
 */
async function text(page, selector, expected) {
  try {
    await page.waitForFunction(({ selector, expected }) => document.querySelector(selector)?.textContent === expected, {
      selector,
      expected,
    });
  } catch {
    assert.equal(await page.locator(selector).first().textContent(), expected);
  }
}

/**
 * Waits until the log holds exactly these messages, as "name: text".
 * @param {Page} page @param {string[]} expected
 */
async function messages(page, expected) {
  try {
    // A function, not a string: the page's own policy forbids eval.
    await page.waitForFunction((expected) => {
      const shown = [...document.querySelectorAll('.message:not(.pending)')].map(
        (item) => `${item.querySelector('bdi')?.textContent}: ${item.querySelector('.text')?.textContent}`,
      );
      return JSON.stringify(shown) === JSON.stringify(expected);
    }, expected);
  } catch {
    assert.deepEqual(await page.locator('.message:not(.pending)').allInnerTexts(), expected);
  }
}

/**
 * What sticks out of the page to the right: nothing, if it does not scroll sideways.
 * @param {Page} page
 */
function overflow(page) {
  return page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const wide = [...document.querySelectorAll('body *')].filter(
      (element) => element.getBoundingClientRect().right > width + 0.5 || element.scrollWidth > element.clientWidth + 1,
    );
    // Text that is cut on purpose, with an ellipsis or for screen readers only, does not scroll.
    return [
      ...(document.documentElement.scrollWidth > width ? ['html'] : []),
      ...wide
        .filter(
          (element) => !['hidden', 'clip'].includes(getComputedStyle(element).overflowX) && getComputedStyle(element).display !== 'inline',
        )
        .map((element) => `${element.tagName}#${element.id}.${element.getAttribute('class')}`),
    ];
  });
}

/** @param {string} selector */
function luminanceOf(selector) {
  const element = document.querySelector(selector);
  if (element === null) throw new Error(selector);
  const [r, g, b] = (getComputedStyle(element).backgroundColor.match(/[\d.]+/g) ?? []).map((v) => (Number(v) / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/**
 * The contrast of each element's text with what is behind it (WCAG 2, relative luminance).
 * @param {string[]} selectors
 * @returns {[string, number][]}
 */
function contrasts(selectors) {
  const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  if (context === null) throw new Error('no canvas');
  /** @param {string[]} layers from the lowest to the topmost colour */
  const luminance = (layers) => {
    for (const colour of layers) {
      context.fillStyle = colour;
      context.fillRect(0, 0, 1, 1);
    }
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((v) =>
      v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return selectors.map((selector) => {
    const element = document.querySelector(selector);
    if (element === null) throw new Error(`${selector} is not on the page`);
    /** @type {string[]} */
    const layers = [];
    for (let e = /** @type {Element | null} */ (element); e !== null; e = e.parentElement)
      layers.unshift(getComputedStyle(e).backgroundColor);
    const [low, high] = [luminance(layers), luminance([...layers, getComputedStyle(element).color])].sort((a, b) => a - b);
    return [selector, (high + 0.05) / (low + 0.05)];
  });
}
