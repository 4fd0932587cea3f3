// @ts-check
// What the runs of a workload say together, and what they do not say.
//
// Two peers are compared by the ratios of their numbers within each round, so that the noise of a round, which both share, falls out. The
// spread of those ratios is an interval for their median: of n rounds the smallest and the largest ratio enclose the true median with
// probability 1 - 2^(1-n), 94 % for five, whatever the noise looks like; with more rounds an inner pair does. An interval that holds 1 shows
// no difference.

/**
 * A line of the load generator, with the workload, the peer and the round it belongs to.
 * @typedef {{ workload: string, peer: string, round: number, [metric: string]: number | string }} Run
 */

/**
 * @typedef {object} Ratio
 * @property {number} median
 * @property {number} low
 * @property {number} high the true median lies between the two, if there are enough rounds
 * @property {number} rounds
 * @property {boolean} isEnough whether there are enough rounds to say anything
 */

/**
 * How often an interval may miss the true median: what five rounds give.
 */
const RISK = 2 / 32;

/**
 * @param {Run[]} runs of one workload
 * @param {string} metric
 * @param {string} peer
 * @param {string} reference
 * @returns {Ratio | undefined} undefined where the two have no round in common
 */
export function ratioOf(runs, metric, peer, reference) {
  const value = (/** @type {string} */ name, /** @type {number} */ round) =>
    Number(runs.find((run) => run.peer === name && run.round === round)?.[metric]);
  const rounds = runs.filter((run) => run.peer === peer).map((run) => run.round);
  const ratios = rounds.map((round) => value(peer, round) / value(reference, round)).filter(Number.isFinite);
  if (ratios.length === 0) return undefined;
  return { median: median(ratios), rounds: ratios.length, ...interval(ratios) };
}

/**
 * What a ratio shows: which of the two is better, or that they cannot be told apart.
 * @param {Ratio} ratio
 * @param {boolean} isMoreBetter
 * @returns {'better' | 'worse' | 'same' | 'unknown'}
 */
export function verdict({ low, high, isEnough }, isMoreBetter) {
  if (!isEnough) return 'unknown';
  if (low <= 1 && high >= 1) return 'same';
  return low > 1 === isMoreBetter ? 'better' : 'worse';
}

/**
 * The narrowest pair of values that misses the true median no more often than `RISK`.
 * @param {number[]} values
 * @returns {{ low: number, high: number, isEnough: boolean }}
 */
export function interval(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const count = sorted.length;
  // The chance that fewer than `inner + 1` of the values lie on one side of the median is that of as many heads of `count` coins.
  let [inner, risk, coins] = [0, 2 ** (1 - count), 1];
  const isEnough = risk <= RISK;
  for (;;) {
    coins *= (count - inner) / (inner + 1);
    const next = risk + coins * 2 ** (1 - count);
    if (next > RISK) break;
    [inner, risk] = [inner + 1, next];
  }
  return { low: sorted[inner], high: sorted[count - 1 - inner], isEnough };
}

/** @param {number[]} values at least one */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * The median of a peer's runs, or undefined where it has none with this number.
 * @param {Run[]} runs of one workload
 * @param {string} metric
 * @param {string} peer
 */
export function medianOf(runs, metric, peer) {
  const values = runs.filter((run) => run.peer === peer && typeof run[metric] === 'number').map((run) => Number(run[metric]));
  return values.length === 0 ? undefined : median(values);
}
