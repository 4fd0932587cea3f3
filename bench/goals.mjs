// @ts-check
// Where mantou must stand, as ratios to its peers. What is below a bound is a task, not a matter of taste.

import { TITLES } from './peers.mjs';
import { ratioOf } from './statistics.mjs';
import { markdown, ratioText, times } from './tables.mjs';
import { METRICS, WORKLOADS } from './workloads.mjs';

/** @typedef {import('./results.mjs').Result} Result */
/** @typedef {import('./workloads.mjs').Metric} Metric */

/** @typedef {{ workload: string, metric: Metric, peer: string, bounds: Record<string, number> }} Goal bounds by the peer to compare with */

const GOALS = [
  goal('echo-1', { bun: 1.05, uws: 1.1, ws: 3 }),
  goal('echo-1', { bun: 1 }, 'server_cpu_us'),
  goal('echo-16', { bun: 1, uws: 2, ws: 20 }),
  goal('echo-128', { bun: 1, uws: 2, ws: 20 }),
  goal('echo-16k', { bun: 1, uws: 1.2 }),
  // uWebSockets.js hands out its receive buffer, without a copy; ours is a private one.
  goal('echo-64k', { bun: 2, uws: 0.9 }),
  goal('echo-compressed', { bun: 1, uws: 1.3, ws: 5 }),
  goal('alone', { bun: 1.1, uws: 1.1 }, 'p50_us'),
  goal('rate-5k', { bun: 1.2, uws: 1.1 }, 'p50_us'),
  goal('rate-5k', { bun: 1.2, uws: 1.1 }, 'server_cpu_us'),
  goal('rate-20k', { bun: 1.2, uws: 1.1 }, 'p50_us'),
  goal('rate-20k', { bun: 1.2, uws: 1.1 }, 'server_cpu_us'),
  goal('chat-32', { bun: 1, uws: 1 }),
  goal('chat-256', { bun: 3, uws: 5 }),
  goal('fanout-1k', { bun: 1, uws: 1, ws: 3, floor: 0.9 }),
  goal('fanout-10k', { bun: 1, uws: 1, ws: 3, floor: 0.9 }),
  goal('idle', { bun: 0.8, uws: 1 }, 'kib_per_connection'),
  goal('hello', { bun: 1, uws: 0.9, http: 2.8, hono: 4 }),
  goal('hello-host', { hono: 1.5 }),
  goal('json', { bun: 0.9, uws: 0.9, http: 2.8, hono: 4 }),
  goal('hello', { bun: 1, uws: 0.9, http: 2.8, hono: 4 }, 'per_second', 'mantou-register'),
  goal('json', { bun: 0.9, uws: 0.9, http: 2.8, hono: 4 }, 'per_second', 'mantou-register'),
  goal('static', { bun: 1.2 }),
  goal('echo-1', { bun: 0.95 }, 'per_second', 'mantou-bun'),
  goal('echo-16', { bun: 0.95 }, 'per_second', 'mantou-bun'),
  goal('chat-32', { bun: 2 }, 'per_second', 'mantou-bun'),
  goal('chat-256', { bun: 2 }, 'per_second', 'mantou-bun'),
];

/**
 * The goals that a result says something about, as Markdown: reached or missed with the whole interval, or neither. Beside a rate stands
 * what the CPU time would make of it, which neighbours on the machine disturb less.
 * @param {Result} result
 */
export function goalTable(result) {
  const lines = GOALS.flatMap(({ workload, metric, peer, bounds }) => {
    const runs = result.runs.filter((run) => run.workload === workload);
    const { isMoreBetter } = METRICS[metric];
    return Object.entries(bounds).flatMap(([reference, bound]) => {
      const ratio = ratioOf(runs, metric, peer, reference);
      if (ratio === undefined) return [];
      const cpu = metric === 'per_second' ? ratioOf(runs, 'server_cpu_us', peer, reference) : undefined;
      return [
        [
          `${WORKLOADS[workload].title}: ${METRICS[metric].title}${peer === 'mantou' ? '' : `, ${TITLES[peer]}`}`,
          TITLES[reference],
          `${isMoreBetter ? '≥' : '≤'} ${bound}`,
          ratioText(ratio),
          standing(ratio, bound, isMoreBetter),
          cpu === undefined ? '' : times(1 / cpu.median),
        ],
      ];
    });
  });
  return markdown([['', 'against', 'goal', 'ratio', '', 'by CPU time'], ...lines]);
}

/**
 * @param {import('./statistics.mjs').Ratio} ratio
 * @param {number} bound
 * @param {boolean} isMoreBetter
 */
export function standing({ low, high, median, isEnough }, bound, isMoreBetter) {
  const [worst, best] = isMoreBetter ? [low, high] : [-high, -low];
  const goal = isMoreBetter ? bound : -bound;
  if (isEnough && worst >= goal) return 'reached';
  if (isEnough && best < goal) return 'missed';
  return (isMoreBetter ? median : -median) >= goal ? 'reached?' : 'missed?';
}

/**
 * @param {string} workload
 * @param {Record<string, number>} bounds
 * @param {Metric} [metric]
 * @param {string} [peer]
 * @returns {Goal}
 */
function goal(workload, bounds, metric = 'per_second', peer = 'mantou') {
  return { workload, metric, peer, bounds };
}
