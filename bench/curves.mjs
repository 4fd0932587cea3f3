// @ts-check
// How costs grow with what surrounds them (`bench/core`): a table and lines on two logarithmic scales.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, output } from './core.mjs';
import { describe, machine } from './machine.mjs';
import { escaped, PALETTES, round, symbol, text } from './plot.mjs';
import { fill, picture } from './results.mjs';
import { count, markdown, significant } from './tables.mjs';

/** @typedef {{ name: string, points: { size: number, cost: number }[] }} Curve costs in nanoseconds */

const TITLE = 'Nanoseconds of an operation, by n (less is better, flat is best)';

/**
 * Measures the curves and shows them; `publishes` puts them into the README too.
 * @param {{ publishes: boolean }} options
 */
export function curves({ publishes }) {
  const program = build();
  console.log('> measuring, about half a minute');
  const lines = parse(output(program, ['curves']));
  const shown = table(lines);
  console.log(`\n${shown}`);
  if (!publishes) return;
  const folder = fileURLToPath(new URL('published', import.meta.url));
  mkdirSync(folder, { recursive: true });
  for (const [name, palette] of Object.entries(PALETTES)) writeFileSync(join(folder, `curves-${name}.svg`), draw(lines, palette));
  fill('curves', [describe(machine()), shown, picture({ name: 'curves', title: TITLE })]);
}

/**
 * @param {string} printed `name<tab>size<tab>nanoseconds` in each line
 * @returns {Curve[]}
 */
export function parse(printed) {
  const points = printed
    .trim()
    .split('\n')
    .map((line) => line.split('\t'));
  const names = [...new Set(points.map(([name]) => name))];
  return names.map((name) => ({
    name,
    points: points.filter(([other]) => other === name).map(([, size, cost]) => ({ size: Number(size), cost: Number(cost) })),
  }));
}

/** @param {Curve[]} lines */
function table(lines) {
  const head = ['ns', ...lines[0].points.map(({ size }) => `n = ${count(size)}`)];
  return markdown([head, ...lines.map(({ name, points }) => [name, ...points.map(({ cost }) => significant(cost))])]);
}

const [WIDTH, HEIGHT] = [880, 420];
/** Around the lines: the legend is below. */
const [LEFT, TOP, RIGHT, BOTTOM] = [60, 50, 840, 300];

/**
 * @param {Curve[]} lines
 * @param {import('./plot.mjs').Palette} palette
 */
export function draw(lines, palette) {
  const all = lines.flatMap(({ points }) => points);
  const x = axis(all.map(({ size }) => size));
  const y = axis(all.map(({ cost }) => cost));
  const atX = (/** @type {number} */ size) => round(LEFT + x.place(size) * (RIGHT - LEFT));
  const atY = (/** @type {number} */ cost) => round(BOTTOM - y.place(cost) * (BOTTOM - TOP));
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" font-family="system-ui, sans-serif" font-size="12">`,
    `<title>${escaped(TITLE)}</title>`,
    `<rect width="100%" height="100%" fill="${palette.ground}"/>`,
    text(16, 26, TITLE, palette.text, 'font-size="15" font-weight="600"'),
    ...y.ticks.map(
      (tick) =>
        `<line x1="${LEFT}" y1="${atY(tick)}" x2="${RIGHT}" y2="${atY(tick)}" stroke="${palette.grid}"/>` +
        text(LEFT - 8, atY(tick) + 4, `${count(tick)} ns`, palette.faint, 'text-anchor="end"'),
    ),
    ...x.ticks.map((tick) => text(atX(tick), BOTTOM + 20, count(tick), palette.faint, 'text-anchor="middle"')),
    ...lines.map(({ name, points }, kind) => {
      const path = points.map(({ size, cost }) => `${atX(size)},${atY(cost)}`).join(' ');
      const colour = palette.marks[kind % palette.marks.length];
      const [row, column] = [kind % 3, Math.floor(kind / 3)];
      const [keyX, keyY] = [LEFT + column * 400, BOTTOM + 52 + row * 22];
      return (
        `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>` +
        points.map(({ size, cost }) => symbol(kind, atX(size), atY(cost), true, palette)).join('') +
        symbol(kind, keyX, keyY - 4, true, palette) +
        text(keyX + 12, keyY, name, palette.text)
      );
    }),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

/**
 * A logarithmic axis over whole powers of ten.
 * @param {number[]} values
 */
function axis(values) {
  const first = Math.floor(Math.log10(Math.min(...values)));
  const last = Math.ceil(Math.log10(Math.max(...values)));
  return {
    /** Between 0 and 1. @param {number} value */
    place: (value) => (Math.log10(value) - first) / (last - first),
    ticks: Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index)),
  };
}
