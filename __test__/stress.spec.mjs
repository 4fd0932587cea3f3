// Random load on one server: nothing is lost, doubled or reordered, and nothing works when there is nothing to do. What is under test is who
// waits for I/O, and above all the hand-over between the JavaScript thread and the watcher (`src/server/driver.rs`).
//
// MANTOU_STRESS_SEED: another load than the usual one.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { killPrograms, run } from './support/program.mjs';
import { binary, close, destroyClients, RawClient, text } from './support/raw-client.mjs';
import { connectTo, exchange, readResponse, request } from './support/raw-http.mjs';

const SEED = Number(process.env.MANTOU_STRESS_SEED ?? 20250101) >>> 0;
const CROWD = 300;
const ROUNDS = 120;

let server;

before(async () => {
  const program = run(`import ${JSON.stringify(new URL('./fixtures/stress.mjs', import.meta.url).href)};`);
  server = { port: Number(await program.line()) };
});
after(destroyClients);
after(killPrograms);

/** Random numbers that come again with the same seed (xorshift). */
function randomness(seed) {
  let state = seed || 1;
  /** A whole number from 0 to below `limit`. */
  const below = (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
  return { below, oneOf: (list) => list[below(list.length)] };
}

/** A client that numbers what it sends, and checks the numbers of what it gets. */
class Visitor {
  #client;
  #sent = 0;
  #received = 0;
  #poured = 0;
  /** Numbers of messages without an answer yet. */
  #unanswered = new Set();
  /** The next number from the room. */
  #room;

  static async enter() {
    const visitor = new Visitor();
    visitor.#client = await RawClient.connect(server);
    // What it says with its handshake must not be lost either.
    visitor.#client.write(socketRequest(), visitor.#message('now'));
    const { status, raw } = await visitor.#client.response();
    assert.equal(status, 101, raw);
    return visitor;
  }

  #message(action, argument = 0) {
    this.#unanswered.add(this.#sent);
    return text(`${this.#sent++} ${action} ${argument}`);
  }

  /** Sends `[action, argument]` pairs in one piece. */
  say(...actions) {
    this.#client.write(...actions.map((action) => this.#message(...action)));
  }

  /** Sends a binary message, and a text behind it that is answered. */
  pour() {
    this.#poured += WATER;
    this.#client.write(POURED, this.#message('now'));
  }

  /** Reads until every message has its answer. */
  async settled() {
    while (this.#unanswered.size > 0) await this.#read();
  }

  async #read() {
    const { notation } = await this.#client.frame(`an answer to one of ${[...this.#unanswered]}`);
    const [, first, second, third, fourth] = /^TEXT (\S+) (\S+) ?(\S*) ?(\S*)$/.exec(notation) ?? assert.fail(`got ${notation}`);
    if (first === 'room') {
      assert.equal(Number(second), this.#room++, 'a message of the room');
      return;
    }
    assert.equal(Number(first), this.#received++, 'a message to one');
    if (second === 'welcome') this.#room = Number(third);
    else if (second === 'bye') {
      assert.equal(this.#room, Number(third), 'everything said in the room came before the end');
      assert.equal(this.#poured, Number(fourth), 'everything poured arrived');
    } else assert.ok(this.#unanswered.delete(Number(second)), `${second} is answered twice`);
    return second;
  }

  /** Leaves in one of the ways there are. */
  async leave(way) {
    if (way === 'bye') {
      await this.settled();
      this.say(['bye']);
      while ((await this.#read()) !== 'bye');
      await this.#client.expect('CLOSE 4000 bye', 'FIN');
      this.#client.halfClose();
    } else if (way === 'close') {
      await this.settled();
      this.#client.write(close(1000));
      const last = (await this.#client.rest()).at(-1);
      assert.equal(last.notation, 'CLOSE 1000');
      this.#client.halfClose();
    } else {
      this.#client.reset();
    }
  }
}

/** From all at once it is many times what the server takes in before it delivers. */
const WATER = 48 * 1024;
const POURED = binary(Buffer.alloc(WATER, 'w'));

const WAYS_OUT = ['bye', 'close', 'reset'];

function socketRequest() {
  return request('GET', '/socket', {
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
  });
}

const enterMany = (count) => Promise.all(Array.from({ length: count }, Visitor.enter));
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A few actions of all kinds. */
function actions({ below, oneOf }) {
  const kinds = ['now', 'now', 'now', 'tick', 'microtask', 'immediate', 'timer', 'together'];
  return Array.from({ length: 1 + below(4) }, () => [oneOf(kinds), below(20)]);
}

/** Requests on one connection, one behind the other without waiting, with their answers in order. */
async function askMany(count, { below }) {
  const client = await connectTo(server);
  const bodies = Array.from({ length: count }, (_, index) => `${index}:${'x'.repeat(below(2000))}`);
  client.write(...bodies.map((body) => request('POST', `/echo?wait=${below(3) === 0 ? below(10) : 0}`, {}, body)));
  for (const body of bodies) assert.equal((await readResponse(client)).text, body);
  client.destroy();
}

async function ask(path) {
  const { client, response } = await exchange(server, request('GET', path));
  client.destroy();
  return JSON.parse(response.text);
}

/**
 * A second without work costs no work. A spin takes what a core gives, a hand-over to and fro thousands of sleeps; what V8 and JavaScriptCore
 * still tidy up after a load takes neither, and is over in one of a few seconds.
 */
async function rests() {
  const seen = [];
  for (let second = 0; second < 5; second++) {
    const idle = await ask('/idle');
    if (idle.milliseconds < 25 && idle.sleeps < 100) return;
    seen.push(idle);
  }
  assert.fail(`never idle: ${JSON.stringify(seen)}`);
}

describe(`under load (seed ${SEED})`, () => {
  test('a lone message is answered wherever it finds the runtime', { timeout: 60_000 }, async () => {
    const random = randomness(SEED);
    const visitor = await Visitor.enter();

    for (let message = 0; message < 3000; message++) {
      visitor.say([random.oneOf(['now', 'now', 'now', 'immediate', 'microtask']), 0]);
      await visitor.settled();
      // Shorter than an event loop can sleep: about as long as the server takes to find that it has nothing to do.
      const end = performance.now() + random.below(200) / 1000;
      while (performance.now() < end);
      if (message % 100 === 0) await sleep(random.below(50));
    }

    await visitor.leave('bye');
  });

  test('hundreds at once, arrivals, departures and requests: everything arrives once and in order', { timeout: 300_000 }, async () => {
    const random = randomness(SEED);
    const { below, oneOf } = random;
    let crowd = await enterMany(CROWD);
    let asked = 0;
    /** What goes on beside the rounds. */
    const running = [];
    const begin = (work) => running.push(work);

    for (let round = 0; round < ROUNDS; round++) {
      const kind = below(10);
      if (kind < 3) for (const visitor of crowd) visitor.say(...actions(random));
      else if (kind < 6) for (let some = below(8); some >= 0; some--) oneOf(crowd).say(...actions(random));
      if (kind % 4 === 0) oneOf(crowd).say(...Array.from({ length: 1 + below(8) }, () => ['publish']));
      if (kind % 4 === 1) oneOf(crowd).say(['busy', below(15)]);
      if (kind === 9) {
        oneOf(crowd).say(['busy', 40]);
        for (const visitor of crowd) visitor.pour();
      }
      if (kind === 7 || kind === 1) {
        // Some leave while others come.
        for (const visitor of crowd.splice(below(crowd.length - 20), 20)) begin(visitor.leave(oneOf(WAYS_OUT)));
        crowd = crowd.concat(await enterMany(20));
      }
      if (kind === 8 || kind === 2) {
        for (let connection = 0; connection < 20; connection++) {
          const count = 1 + below(4);
          asked += count;
          begin(askMany(count, random));
        }
      }
      // Often the next round finds the server still at work, otherwise resting for a while.
      if (below(3) > 0) await Promise.all([...crowd.map((visitor) => visitor.settled()), ...running.splice(0)]);
      await sleep(below(51));
    }
    await Promise.all([...crowd.map((visitor) => visitor.settled()), ...running]);
    const { faults, requests } = await ask('/seen');

    assert.deepEqual(faults, []);
    assert.equal(requests, asked);
    await rests();
    await Promise.all(crowd.map((visitor) => visitor.leave('bye')));
  });

  test('every socket that opened has closed once, and an empty server rests', { timeout: 60_000 }, async () => {
    await rests();
    const { faults, opened, closed, published } = await ask('/seen');

    assert.deepEqual(faults, []);
    assert.equal(closed, opened);
    assert.ok(opened > CROWD && published > 0);
  });
});
