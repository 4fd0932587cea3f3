// @ts-check
// What the runs of one scenario say together: medians per server and ratios to Bun, taken within each round so that the noise of a round,
// which every server of it shares, falls out.

/**
 * A line of the load generator, with the server and the round it belongs to.
 * @typedef {{ scenario: string, server: string, round: number, [member: string]: number | string }} Run
 */

/**
 * @typedef {object} Row
 * @property {string} server
 * @property {number} runs
 * @property {Record<string, number>} medians of every number the generator reports
 * @property {number} spread half the range of the headline number, as a share of its median
 * @property {Record<string, number>} ratios to Bun: medians of the rounds' own ratios; empty without Bun
 */

const REFERENCE = 'bun';
/** The generator has about no time left: what is measured then is the generator. */
const BUSY = 0.95;

/**
 * One row for each server, in the order of their first runs.
 * @param {Run[]} runs of one scenario
 * @returns {Row[]}
 */
export function summarize(runs) {
  const servers = [...new Set(runs.map((run) => run.server))].sort();
  return servers.map((server) => {
    const own = runs.filter((run) => run.server === server);
    const members = Object.keys(own[0]).filter((member) => typeof own[0][member] === 'number' && member !== 'round');
    const headline = own.map((run) => Number(run[headlineOf(run)]));
    const medians = Object.fromEntries(members.map((member) => [member, median(own.map((run) => Number(run[member])))]));
    const ratios = members.flatMap((member) => {
      const perRound = own.flatMap((run) => {
        const reference = runs.find((other) => other.server === REFERENCE && other.round === run.round);
        return reference === undefined ? [] : [Number(run[member]) / Number(reference[member])];
      });
      return perRound.length === 0 ? [] : [/** @type {const} */ ([member, median(perRound)])];
    });
    const spread = (Math.max(...headline) - Math.min(...headline)) / 2 / median(headline);
    return { server, runs: own.length, medians, spread, ratios: Object.fromEntries(ratios) };
  });
}

/**
 * The rows as a Markdown table.
 * @param {Row[]} rows
 */
export function table(rows) {
  const first = rows[0].medians;
  const columns = 'kib_per_connection' in first ? MEMORY : 'p50_us' in first ? [...SPEED, ...LATENCY, ...LOAD] : [...SPEED, ...LOAD];
  const cells = [columns.map(([title]) => title), ...rows.map((row) => columns.map(([, cell]) => cell(row)))];
  const widths = columns.map((_, column) => Math.max(...cells.map((line) => line[column].length)));
  const lines = cells.map((line) => line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))));
  lines.splice(
    1,
    0,
    widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)),
  );
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
}

/**
 * The number a run is about, whose spread tells how far to trust it: at a fixed rate that is the CPU time.
 * @param {Run} run
 */
function headlineOf(run) {
  if ('kib_per_connection' in run) return 'kib_per_connection';
  return 'p50_us' in run ? 'server_cpu_us' : 'per_second';
}

/** @type {[string, (row: Row) => string][]} */
const SPEED = [
  ['server', (row) => row.server],
  ['msg/s', (row) => integer(row.medians.per_second)],
  ['±', (row) => percent(row.spread)],
  ['÷ Bun', (row) => ratio(row.ratios.per_second)],
  ['CPU µs/msg', (row) => decimal(row.medians.server_cpu_us)],
  ['÷ Bun ', (row) => ratio(row.ratios.server_cpu_us)],
  ['CPU', (row) => percent(row.medians.server_cpu_share)],
];
/** @type {[string, (row: Row) => string][]} */
const LATENCY = [
  ['p50 µs', (row) => integer(row.medians.p50_us)],
  ['p99 µs', (row) => integer(row.medians.p99_us)],
  ['p50 ÷ Bun', (row) => ratio(row.ratios.p50_us)],
];
/** @type {[string, (row: Row) => string][]} */
const LOAD = [
  ['load µs/msg', (row) => decimal(row.medians.load_cpu_us)],
  ['load CPU', (row) => percent(row.medians.load_cpu_share) + (row.medians.load_cpu_share > BUSY ? ' !' : '')],
];
/** @type {[string, (row: Row) => string][]} */
const MEMORY = [
  ['server', (row) => row.server],
  ['KiB/connection', (row) => decimal(row.medians.kib_per_connection)],
  ['±', (row) => percent(row.spread)],
  ['÷ Bun', (row) => ratio(row.ratios.kib_per_connection)],
  ['RSS before MiB', (row) => decimal(row.medians.rss_before_kib / 1024)],
  ['RSS after MiB', (row) => decimal(row.medians.rss_after_kib / 1024)],
];

/** @param {number[]} values at least one */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** @param {number} value */
function integer(value) {
  return Math.round(value).toLocaleString('en-US');
}

/** @param {number} value */
function decimal(value) {
  return value.toPrecision(3);
}

/** @param {number | undefined} value */
function ratio(value) {
  return value === undefined ? '' : value.toFixed(2);
}

/** @param {number} value */
function percent(value) {
  return `${(value * 100).toFixed(0)} %`;
}
