// @ts-check
// Ratios as an SVG: a row for each workload, in it a mark for each peer, with the spread as a whisker, on a logarithmic scale around Bun.

/**
 * @typedef {object} Mark
 * @property {number} median
 * @property {number} low
 * @property {number} high
 * @property {boolean} isClear whether there is a difference to the reference; without, the mark is hollow
 */

/**
 * @typedef {object} Plot
 * @property {string} title
 * @property {string[]} series names, in the order of the marks in a row
 * @property {{ title: string, note: string, marks: (Mark | undefined)[] }[]} rows `note`: what the reference has
 * @property {Palette} palette
 */

/** @typedef {{ ground: string, text: string, faint: string, grid: string, marks: string[] }} Palette */

/**
 * Colours that people who confuse red and green tell apart too; the marks differ in shape besides. Light: after Okabe and Ito; dark: after
 * Tol's light scheme.
 * @type {Record<'light' | 'dark', Palette>}
 */
export const PALETTES = {
  light: {
    ground: '#ffffff',
    text: '#1f2328',
    faint: '#59636e',
    grid: '#d1d9e0',
    marks: ['#d55e00', '#0072b2', '#009e73', '#cc79a7', '#9a6a00', '#56b4e9'],
  },
  dark: {
    ground: '#0d1117',
    text: '#f0f6fc',
    faint: '#9198a1',
    grid: '#30363d',
    marks: ['#ee8866', '#77aadd', '#44bb99', '#ffaabb', '#eedd88', '#99ddff'],
  },
};

const WIDTH = 880;
/** Where the scale begins, and where it ends. */
const [LEFT, RIGHT] = [330, WIDTH - 24];
/** Heights: of title and legend, of a mark within a row, and of the space around it. */
const [TOP, LANE, GAP] = [76, 9, 14];
const TICKS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100];

/**
 * @param {Plot} plot
 * @returns {string}
 */
export function plot({ title, series, rows, palette }) {
  const scale = scaleOf(rows.flatMap(({ marks }) => marks.flatMap((mark) => (mark ? [mark.low, mark.high] : []))));
  const heights = rows.map(({ marks }) => GAP + LANE * Math.max(1, marks.filter(Boolean).length));
  const tops = heights.map((_, index) => heights.slice(0, index).reduce((sum, height) => sum + height, TOP));
  const bottom = heights.reduce((sum, height) => sum + height, TOP);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${bottom + 34}" viewBox="0 0 ${WIDTH} ${bottom + 34}" role="img" font-family="system-ui, sans-serif" font-size="12">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="100%" height="100%" fill="${palette.ground}"/>`,
    text(16, 26, title, palette.text, 'font-size="15" font-weight="600"'),
    legend(series, palette),
    text(LEFT - 14, TOP - 6, 'Bun', palette.faint, 'text-anchor="end"'),
    ...scale.ticks.map((tick) => {
      const x = scale.x(tick);
      const line = `<line x1="${x}" y1="${TOP}" x2="${x}" y2="${bottom}" stroke="${tick === 1 ? palette.text : palette.grid}"/>`;
      return line + text(x, bottom + 18, `${tick} ×`, palette.faint, 'text-anchor="middle"');
    }),
    ...rows.map(({ title, note, marks }, index) => {
      const middle = tops[index] + heights[index] / 2 + 4;
      const labels = text(16, middle, title, palette.text) + text(LEFT - 14, middle, note, palette.faint, 'text-anchor="end"');
      const rule = `<line x1="16" y1="${tops[index]}" x2="${RIGHT}" y2="${tops[index]}" stroke="${palette.grid}"/>`;
      const present = marks.flatMap((mark, kind) => (mark ? [{ mark, kind }] : []));
      const drawn = present.map(({ mark, kind }, lane) => whisker(mark, kind, tops[index] + GAP / 2 + LANE * (lane + 0.5), scale, palette));
      return rule + labels + drawn.join('');
    }),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

/** @typedef {{ x(ratio: number): number, ticks: number[] }} Scale */

/**
 * The scale that has room for all of these ratios, and for 1.
 * @param {number[]} ratios
 * @returns {Scale}
 */
function scaleOf(ratios) {
  const [low, high] = [Math.min(0.8, ...ratios), Math.max(1.25, ...ratios)];
  const first = TICKS.findLast((tick) => tick <= low) ?? TICKS[0];
  const last = TICKS.find((tick) => tick >= high) ?? TICKS[TICKS.length - 1];
  const span = Math.log(last / first);
  const x = (/** @type {number} */ ratio) =>
    round(LEFT + ((RIGHT - LEFT) * Math.log(Math.min(Math.max(ratio, first), last) / first)) / span);
  return { x, ticks: TICKS.filter((tick) => tick >= first && tick <= last) };
}

/**
 * @param {string[]} series
 * @param {Palette} palette
 */
function legend(series, palette) {
  let x = 16;
  return series
    .map((name, kind) => {
      const part = symbol(kind, x + 6, 46, true, palette) + text(x + 18, 50, name, palette.text);
      x += 34 + name.length * 7;
      return part;
    })
    .concat(text(RIGHT, 50, 'hollow: no difference to be seen', palette.faint, 'text-anchor="end"'))
    .join('');
}

/**
 * @param {Mark} mark
 * @param {number} kind
 * @param {number} y
 * @param {Scale} scale
 * @param {Palette} palette
 */
function whisker({ median, low, high, isClear }, kind, y, scale, palette) {
  const colour = palette.marks[kind % palette.marks.length];
  const line = `<line x1="${scale.x(low)}" y1="${round(y)}" x2="${scale.x(high)}" y2="${round(y)}" stroke="${colour}" stroke-width="1.5"/>`;
  return line + symbol(kind, scale.x(median), round(y), isClear, palette);
}

/**
 * A mark of its own shape and colour.
 * @param {number} kind
 * @param {number} x
 * @param {number} y
 * @param {boolean} isFilled
 * @param {Palette} palette
 */
export function symbol(kind, x, y, isFilled, palette) {
  const colour = palette.marks[kind % palette.marks.length];
  const shape = SHAPES[kind % SHAPES.length];
  return `<path d="${shape}" transform="translate(${x} ${y})" fill="${isFilled ? colour : palette.ground}" stroke="${colour}"/>`;
}

/** Around 0, about 8 wide: circle, square, triangle, diamond, cross, triangle upside down. */
const SHAPES = [
  'M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z',
  'M-3.5-3.5h7v7h-7z',
  'M0-4.5l4.5 8h-9z',
  'M0-5l5 5l-5 5l-5-5z',
  'M-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z',
  'M0 4.5l4.5-8h-9z',
];

/**
 * @param {number} x
 * @param {number} y
 * @param {string} content
 * @param {string} colour
 * @param {string} [more] attributes
 */
export function text(x, y, content, colour, more = '') {
  return `<text x="${x}" y="${round(y)}" fill="${colour}" ${more}>${escaped(content)}</text>`;
}

/** @param {string} content */
export function escaped(content) {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** @param {number} value */
export function round(value) {
  return Math.round(value * 10) / 10;
}
