// @ts-check
// What was measured over time as an SVG: a panel for each quantity, one below the other.

import { PALETTES } from '../plot.mjs';

const WIDTH = 880;
const [LEFT, RIGHT, TOP] = [90, WIDTH - 24, 56];
/** Heights: of a panel, and with the space below it. */
const [PANEL, STEP] = [90, 130];

/** @typedef {{ title: string, values: number[], format: (value: number) => string }} Panel */

/**
 * @param {{ title: string, seconds: number[], panels: Panel[], palette?: import('../plot.mjs').Palette }} graph `seconds`: when each value was taken
 * @returns {string}
 */
export function graph({ title, seconds, panels, palette = PALETTES.light }) {
  const height = TOP + STEP * panels.length + 10;
  const end = Math.max(1, seconds.at(-1) ?? 1);
  const x = (/** @type {number} */ second) => LEFT + ((RIGHT - LEFT) * second) / end;
  const text = (/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ words, anchor = 'start', colour = palette.faint) =>
    `<text x="${x}" y="${y}" fill="${colour}" text-anchor="${anchor}">${words}</text>`;

  const drawn = panels.map(({ title, values, format }, n) => {
    const top = TOP + STEP * n;
    const highest = Math.max(1, ...values);
    const y = (/** @type {number} */ value) => top + PANEL * (1 - value / highest);
    const points = values.map((value, i) => `${x(seconds[i]).toFixed(1)},${y(value).toFixed(1)}`);
    return [
      text(LEFT, top - 8, title, 'start', palette.text),
      ...[0, highest].map((value) => {
        const line = `<line x1="${LEFT}" y1="${y(value)}" x2="${RIGHT}" y2="${y(value)}" stroke="${palette.grid}"/>`;
        return line + text(LEFT - 8, y(value) + 4, format(value), 'end');
      }),
      `<polyline points="${points.join(' ')}" fill="none" stroke="${palette.marks[n % palette.marks.length]}" stroke-width="1.5"/>`,
    ].join('\n');
  });
  const minutes = (end / 60).toFixed(1);
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="system-ui, sans-serif" font-size="12">`,
    `<title>${title}</title>`,
    `<rect width="100%" height="100%" fill="${palette.ground}"/>`,
    `<text x="16" y="26" fill="${palette.text}" font-size="15" font-weight="600">${title}</text>`,
    ...drawn,
    text(LEFT, height - 14, '0'),
    text(RIGHT, height - 14, `${minutes} minutes`, 'end'),
    '</svg>',
  ].join('\n')}\n`;
}
