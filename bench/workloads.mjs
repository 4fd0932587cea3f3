// @ts-check
// What is measured: the load of each workload, and which of the generator's numbers it is about. The README says what happens in each.

/**
 * @typedef {object} Workload
 * @property {string} title
 * @property {'websocket' | 'http'} kind
 * @property {string} load the arguments of the load generator
 * @property {Metric[]} metrics what is compared, the most important first
 * @property {'plain' | 'compressed' | 'routed' | 'tls'} [port] of those that a server announces
 * @property {boolean} [hasFloor] whether the bare system calls are measured beside the servers
 */

/** @typedef {keyof typeof METRICS} Metric */

/** The numbers that are compared, as the generator names them. */
export const METRICS = {
  per_second: { title: 'per second', isMoreBetter: true },
  server_cpu_us: { title: 'CPU time of the server, µs', isMoreBetter: false },
  p50_us: { title: 'p50, µs', isMoreBetter: false },
  p90_us: { title: 'p90, µs', isMoreBetter: false },
  p99_us: { title: 'p99, µs', isMoreBetter: false },
  p999_us: { title: 'p99.9, µs', isMoreBetter: false },
  kib_per_connection: { title: 'KiB per connection', isMoreBetter: false },
};

/** @type {Metric[]} */
const SPEED = ['per_second', 'server_cpu_us'];
/** @type {Metric[]} */
const LATENCY = ['p50_us', 'p90_us', 'p99_us', 'p999_us', 'server_cpu_us'];

/** @type {Record<string, Workload>} */
export const WORKLOADS = {
  'echo-1': webSocket('echo 20 B, 64 × 1 in flight', 'echo --clients 64 --size 20 --inflight 1'),
  'echo-16': webSocket('echo 20 B, 64 × 16 in flight', 'echo --clients 64 --size 20 --inflight 16'),
  'echo-128': webSocket('echo 20 B, 64 × 128 in flight', 'echo --clients 64 --size 20 --inflight 128'),
  'echo-16k': webSocket('echo 16 KB text', 'echo --clients 64 --size 16384 --inflight 1'),
  'echo-64k': webSocket('echo 64 KB binary', 'echo --clients 64 --size 65536 --inflight 1 --kind binary'),
  'echo-compressed': { ...webSocket('echo 1 KB JSON, compressed', 'compressed --clients 64 --size 1024'), port: 'compressed' },
  'echo-tls': { ...webSocket('echo 20 B over TLS, 64 × 1 in flight', 'echo --clients 64 --size 20 --inflight 1'), port: 'tls' },
  alone: { ...webSocket('echo 20 B, one connection', 'alone --size 20'), metrics: LATENCY },
  'rate-1k': { ...webSocket('1,000 messages per second', 'rate --clients 64 --size 20 --rate 1000'), metrics: LATENCY },
  'rate-5k': { ...webSocket('5,000 messages per second', 'rate --clients 64 --size 20 --rate 5000'), metrics: LATENCY },
  'rate-20k': { ...webSocket('20,000 messages per second', 'rate --clients 64 --size 20 --rate 20000'), metrics: LATENCY },
  'chat-32': webSocket('chat, 32 clients', 'chat --clients 32 --burst 1'),
  'chat-256': webSocket('chat, 256 clients', 'chat --clients 256 --burst 1'),
  'chat-32-burst': webSocket('chat, 32 clients, 1,600 lines each', 'chat --clients 32 --burst 1600'),
  'chat-256-burst': webSocket('chat, 256 clients, 32 lines each', 'chat --clients 256 --burst 32'),
  'fanout-1k': { ...webSocket('fan-out to 1,000', 'fanout --clients 1000 --size 64'), hasFloor: true },
  'fanout-10k': { ...webSocket('fan-out to 10,000', 'fanout --clients 10000 --size 64'), hasFloor: true },
  arrive: webSocket('10,000 handshakes at once', 'arrive --clients 10000'),
  idle: { ...webSocket('10,000 idle connections', 'idle --clients 10000'), metrics: ['kib_per_connection'] },
  hello: http('hello', 'http --exchange hello'),
  'hello-host': http("hello, with the host's Response", 'http --exchange host'),
  json: http('JSON, POST and back', 'http --exchange json'),
  static: { ...http('static route', 'http --exchange static'), port: 'routed' },
  download: http('1 MB download', 'http --exchange download'),
};

/**
 * The workloads of a list of names, of which each may be the beginning of several: `echo` is all that echo.
 * @param {string} list with commas
 */
export function chosen(list) {
  const names = Object.keys(WORKLOADS);
  const asked = list.split(',');
  const unknown = asked.filter((name) => !names.some((own) => isOf(own, name)));
  if (unknown.length > 0) throw new Error(`no workload ${unknown.join()}; there are ${names.join()}`);
  return names.filter((own) => asked.some((name) => isOf(own, name)));
}

/** @type {(own: string, name: string) => boolean} */
function isOf(own, name) {
  return own === name || own.startsWith(`${name}-`);
}

/** @type {(title: string, load: string) => Workload} */
function webSocket(title, load) {
  return { title, kind: 'websocket', load, metrics: SPEED };
}

/** @type {(title: string, load: string) => Workload} */
function http(title, load) {
  return { title, kind: 'http', load: `${load} --clients 64`, metrics: SPEED };
}
