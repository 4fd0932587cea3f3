// @ts-check
// The files of a result: JSON with every run, the tables, the plots; and their way into the README.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { goalTable } from './goals.mjs';
import { REFERENCE, TITLES } from './peers.mjs';
import { PALETTES, plot } from './plot.mjs';
import { medianOf, ratioOf, verdict } from './statistics.mjs';
import { detail, overview, peersIn, quantity, rowsOf, VIEWS } from './tables.mjs';
import { METRICS, WORKLOADS } from './workloads.mjs';

/** @typedef {import('./statistics.mjs').Run} Run */

/**
 * @typedef {object} Result
 * @property {string} date
 * @property {import('./machine.mjs').Machine} machine
 * @property {number} rounds
 * @property {number} seconds
 * @property {Record<string, { server: string, runtime: string }>} peers
 * @property {Record<string, Record<string, string>>} missing what a peer does not offer, by workload and peer
 * @property {string[]} failures
 * @property {Run[]} runs
 */

const here = fileURLToPath(new URL('.', import.meta.url));
const readme = join(here, 'README.md');
const GOALS = `### Goals

Reached or missed by the whole interval; with a question mark by the median only. Behind rates stands what the CPU time of the server says,
which other programs on the machine disturb less.`;

/**
 * Results that were saved, as one: of a workload that several have, the last counts.
 * @param {string[]} paths
 * @returns {Result}
 */
export function load(paths) {
  /** @type {Result[]} */
  const results = paths.map((path) => JSON.parse(readFileSync(path, 'utf8')));
  const last = /** @type {Result} */ (results.at(-1));
  const ownerOf = (/** @type {string} */ workload) => results.findLast(({ runs }) => runs.some((run) => run.workload === workload));
  return {
    ...last,
    rounds: Math.min(...results.map(({ rounds }) => rounds)),
    peers: Object.assign({}, ...results.map(({ peers }) => peers)),
    missing: Object.assign({}, ...results.map(({ missing }) => missing)),
    failures: results.flatMap(({ failures }) => failures),
    runs: results.flatMap((result) => result.runs.filter(({ workload }) => ownerOf(workload) === result)),
  };
}

/**
 * Writes everything into a folder of its own and returns its path.
 * @param {Result} result
 */
export function save(result) {
  const folder = join(here, 'results', result.date.slice(0, 19).replaceAll(':', ''));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'result.json'), json(result));
  writeFileSync(join(folder, 'tables.md'), `${[overview(result), GOALS, goalTable(result), details(result)].join('\n\n')}\n`);
  writePlots(result, folder);
  return folder;
}

/**
 * Puts a result into the README, and its plots and runs beside it.
 * @param {Result} result
 */
export function publish(result) {
  const folder = join(here, 'published');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'result.json'), json(result));
  const plots = writePlots(result, folder).map(picture);
  fill('results', [
    overview(result),
    ...plots,
    GOALS,
    goalTable(result),
    `<details><summary>Medians of every workload</summary>`,
    details(result),
    '</details>',
  ]);
}

/**
 * Puts paragraphs into a place of the README, instead of those of last time.
 * @param {string} place
 * @param {string[]} paragraphs
 */
export function fill(place, paragraphs) {
  const text = readFileSync(readme, 'utf8');
  const [begin, end] = [`<!-- ${place} -->`, `<!-- end of ${place} -->`];
  const [before, after] = [text.indexOf(begin), text.indexOf(end)];
  if (before < 0 || after < before) throw new Error(`${readme} has no ${begin} and ${end}`);
  writeFileSync(readme, `${text.slice(0, before)}${[begin, ...paragraphs].join('\n\n')}\n\n${text.slice(after)}`);
}

/** @param {Result} result */
function details(result) {
  const workloads = Object.keys(WORKLOADS).filter((name) => result.runs.some((run) => run.workload === name));
  return workloads.map((name) => `#### ${WORKLOADS[name].title} (\`${name}\`)\n\n${detail(result, name)}`).join('\n\n');
}

/**
 * Returns the names and titles of the plots that there is something for.
 * @param {Result} result
 * @param {string} folder
 */
function writePlots(result, folder) {
  return VIEWS.flatMap((view) => {
    const rows = rowsOf(result, view).filter(({ runs }) => peersIn(result, runs).includes(REFERENCE) && peersIn(result, runs).length > 1);
    if (rows.length === 0) return [];
    const { isMoreBetter } = METRICS[view.metrics[0]];
    const peers = peersIn(
      result,
      rows.flatMap(({ runs }) => runs),
    ).filter((peer) => peer !== REFERENCE);
    const marked = rows.map(({ title, metric, runs }) => ({
      title,
      note: quantity(medianOf(runs, metric, REFERENCE) ?? Number.NaN, view.unit),
      marks: peers.map((peer) => {
        const ratio = ratioOf(runs, metric, peer, REFERENCE);
        return ratio && { ...ratio, isClear: ['better', 'worse'].includes(verdict(ratio, isMoreBetter)) };
      }),
    }));
    const title = `${view.title}, relative to Bun (${isMoreBetter ? 'more' : 'less'} is better)`;
    for (const [name, palette] of Object.entries(PALETTES)) {
      writeFileSync(
        join(folder, `${view.name}-${name}.svg`),
        plot({ title, series: peers.map((peer) => TITLES[peer]), rows: marked, palette }),
      );
    }
    return [{ name: view.name, title }];
  });
}

/** @type {(plot: { name: string, title: string }) => string} */
export function picture({ name, title }) {
  return `<picture>
  <source media="(prefers-color-scheme: dark)" srcset="published/${name}-dark.svg">
  <img alt="${title}" src="published/${name}-light.svg">
</picture>`;
}

/** One run to a line. @param {Result} result */
function json({ runs, ...rest }) {
  const lines = runs.map((run) => `  ${JSON.stringify(run)}`);
  return `${JSON.stringify(rest, null, 1).slice(0, -2)},\n "runs": [\n${lines.join(',\n')}\n ]\n}\n`;
}
