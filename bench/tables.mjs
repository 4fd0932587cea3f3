// @ts-check
// The results as Markdown: for each metric a table of ratios to Bun, and behind them a table of medians for each workload.

import { describe } from './machine.mjs';
import { REFERENCE, TITLES } from './peers.mjs';
import { medianOf, ratioOf, verdict } from './statistics.mjs';
import { METRICS, WORKLOADS } from './workloads.mjs';

/** @typedef {import('./results.mjs').Result} Result */
/** @typedef {import('./statistics.mjs').Run} Run */
/** @typedef {import('./workloads.mjs').Metric} Metric */

/** What a table is about: its metrics, and the workloads it takes. */
export const VIEWS = /** @type {const} */ ([
  { name: 'throughput', title: 'Throughput', metrics: ['per_second'], unit: '/s' },
  { name: 'cpu', title: 'CPU time of the server per message', metrics: ['server_cpu_us'], unit: ' µs' },
  { name: 'latency', title: 'Latency', metrics: ['p50_us', 'p90_us', 'p99_us', 'p999_us'], unit: ' µs' },
  { name: 'memory', title: 'Memory per idle connection', metrics: ['kib_per_connection'], unit: ' KiB' },
]);

/** @typedef {typeof VIEWS[number]} View */

/** How a verdict looks in a table. */
const SIGNS = { better: '▲', worse: '▼', same: '≈', unknown: '?' };

/**
 * The rows of a view: a workload and a metric, with the runs of that workload.
 * @param {Result} result
 * @param {View} view
 */
export function rowsOf(result, view) {
  return Object.entries(WORKLOADS).flatMap(([workload, { title, metrics }]) => {
    const runs = result.runs.filter((run) => run.workload === workload);
    const own = view.metrics.filter((metric) => metrics.includes(metric));
    if (runs.length === 0) return [];
    return own.map((metric) => ({ title: view.metrics.length > 1 ? `${title}, ${percentile(metric)}` : title, metric, runs }));
  });
}

/**
 * The names of the peers that have runs, as they are listed in the result.
 * @param {Result} result
 * @param {Run[]} runs
 */
export function peersIn(result, runs) {
  return Object.keys(result.peers).filter((peer) => runs.some((run) => run.peer === peer));
}

/**
 * Everything, for the README.
 * @param {Result} result
 */
export function overview(result) {
  const views = VIEWS.map((view) => ({ view, rows: rowsOf(result, view) })).filter(({ rows }) => rows.length > 0);
  const parts = views.map(({ view, rows }) => `### ${view.title}\n\n${ratioTable(result, view, rows)}`);
  return [measured(result), LEGEND, ...parts].join('\n\n');
}

const LEGEND = `Ratios to Bun: the median of the rounds, and in parentheses the interval that holds the true one. ▲ better than Bun, ▼ worse,
≈ no difference to be seen in this noise, ? too few rounds to say.`;

/**
 * What the numbers are of.
 * @param {Result} result
 */
function measured({ date, machine, rounds, seconds, peers, failures }) {
  const versions = Object.values(peers).map(({ server, runtime }) =>
    runtime.startsWith(server.split('.')[0]) ? server : `${server} on ${runtime}`,
  );
  const failed = failures.length === 0 ? '' : ` ${failures.length} runs failed.`;
  return `${date.slice(0, 10)}, ${describe(machine)}. ${rounds} rounds of ${seconds} s.${failed} ${versions.join('; ')}.`;
}

/**
 * @param {Result} result
 * @param {View} view
 * @param {ReturnType<typeof rowsOf>} rows
 */
function ratioTable(result, view, rows) {
  const peers = peersIn(
    result,
    rows.flatMap(({ runs }) => runs),
  ).filter((peer) => peer !== REFERENCE);
  const cells = rows.map(({ title, metric, runs }) => {
    const own = medianOf(runs, metric, REFERENCE);
    return [title, own === undefined ? '' : quantity(own, view.unit), ...peers.map((peer) => ratioCell(runs, metric, peer))];
  });
  return markdown([['', 'Bun', ...peers.map((peer) => TITLES[peer])], ...cells]);
}

/**
 * @param {Run[]} runs
 * @param {Metric} metric
 * @param {string} peer
 */
function ratioCell(runs, metric, peer) {
  const ratio = ratioOf(runs, metric, peer, REFERENCE);
  if (ratio === undefined) return '';
  const sign = SIGNS[verdict(ratio, METRICS[metric].isMoreBetter)];
  return `${sign} ${ratioText(ratio)}`;
}

/** @param {import('./statistics.mjs').Ratio} ratio */
export function ratioText({ median, low, high }) {
  return `${times(median)} (${times(low)}–${times(high)})`;
}

/**
 * The medians of one workload.
 * @param {Result} result
 * @param {string} workload
 */
export function detail(result, workload) {
  const runs = result.runs.filter((run) => run.workload === workload);
  const columns = COLUMNS.filter(({ metric }) => runs.some((run) => typeof run[metric] === 'number'));
  const cells = peersIn(result, runs).map((peer) => [
    TITLES[peer],
    ...columns.map(({ metric, cell }) => {
      const value = medianOf(runs, metric, peer);
      return value === undefined ? '' : cell(value);
    }),
  ]);
  const left = Object.entries(result.missing[workload] ?? {}).map(([peer, what]) => `${TITLES[peer]} does not offer ${what}.`);
  return [markdown([['', ...columns.map(({ title }) => title)], ...cells]), ...left].join('\n\n');
}

/** The generator has about no time left: what is measured then is the generator. */
const BUSY = 0.95;

/** @type {{ metric: string, title: string, cell: (value: number) => string }[]} */
const COLUMNS = [
  { metric: 'per_second', title: 'per second', cell: count },
  { metric: 'server_cpu_us', title: 'CPU µs', cell: significant },
  { metric: 'server_cpu_share', title: 'CPU', cell: percent },
  { metric: 'p50_us', title: 'p50 µs', cell: significant },
  { metric: 'p90_us', title: 'p90 µs', cell: significant },
  { metric: 'p99_us', title: 'p99 µs', cell: significant },
  { metric: 'p999_us', title: 'p99.9 µs', cell: significant },
  { metric: 'reply_bytes', title: 'bytes of a reply', cell: count },
  { metric: 'kib_per_connection', title: 'KiB per connection', cell: significant },
  { metric: 'rss_before_kib', title: 'MiB before', cell: (value) => significant(value / 1024) },
  { metric: 'rss_after_kib', title: 'MiB after', cell: (value) => significant(value / 1024) },
  { metric: 'load_cpu_us', title: 'generator µs', cell: significant },
  { metric: 'load_cpu_share', title: 'generator', cell: (share) => percent(share) + (share > BUSY ? ' !' : '') },
];

/** @param {Metric} metric */
function percentile(metric) {
  return METRICS[metric].title.split(',')[0];
}

/**
 * A table, aligned in the source too.
 * @param {string[][]} cells the first line is the head
 */
export function markdown(cells) {
  const widths = cells[0].map((_, column) => Math.max(3, ...cells.map((line) => line[column].length)));
  const pad = (/** @type {string} */ cell, /** @type {number} */ column) =>
    column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]);
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  const [head, ...lines] = cells.map((line) => line.map(pad));
  return [head, rule, ...lines].map((line) => `| ${line.join(' | ')} |`).join('\n');
}

/**
 * @param {number} value
 * @param {string} unit
 */
export function quantity(value, unit) {
  return (value >= 1000 ? count(value) : significant(value)) + unit;
}

/** @param {number} value */
export function count(value) {
  return Math.round(value).toLocaleString('en-US');
}

/** Three digits, and all before the point. @param {number} value */
export function significant(value) {
  return value >= 100 ? count(value) : value.toPrecision(3);
}

/** A ratio. @param {number} value */
export function times(value) {
  return value < 0.1 ? value.toPrecision(2) : value.toFixed(value < 10 ? 2 : 1);
}

/** @param {number} value */
function percent(value) {
  return `${(value * 100).toFixed(0)} %`;
}
