// What the benchmark makes of its numbers: comparisons and their spread, tables, plots, and what its regression gate lets pass.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { draw, parse } from '../bench/curves.mjs';
import { compare } from '../bench/gate.mjs';
import { standing } from '../bench/goals.mjs';
import { PALETTES, plot } from '../bench/plot.mjs';
import { interval, median, medianOf, ratioOf, verdict } from '../bench/statistics.mjs';
import { count, markdown, significant, times } from '../bench/tables.mjs';
import { chosen, WORKLOADS } from '../bench/workloads.mjs';

/** Runs of one workload: the numbers of each peer, round by round. */
function runsOf(peers) {
  return Object.entries(peers).flatMap(([peer, values]) =>
    values.flatMap((per_second, round) => (per_second === undefined ? [] : [{ workload: 'echo-1', peer, round, per_second }])),
  );
}

describe('a comparison', () => {
  test('takes ratios within rounds, so that what both peers share falls out', () => {
    const runs = runsOf({ bun: [100, 10, 1000, 50, 200], mantou: [110, 11, 1100, 55, 220] });
    const ratio = ratioOf(runs, 'per_second', 'mantou', 'bun');
    for (const value of [ratio.median, ratio.low, ratio.high]) assert.ok(Math.abs(value - 1.1) < 1e-9, `${value}`);
    assert.equal(ratio.rounds, 5);
  });

  test('leaves out rounds that only one of them has, and is nothing where they share none', () => {
    const runs = runsOf({ bun: [100, undefined, 100], mantou: [50, 70, undefined], ws: [undefined, 10, undefined] });
    assert.deepEqual(ratioOf(runs, 'per_second', 'mantou', 'bun'), { median: 0.5, low: 0.5, high: 0.5, rounds: 1, isEnough: false });
    assert.equal(ratioOf(runs, 'per_second', 'ws', 'bun'), undefined);
    assert.equal(ratioOf(runs, 'p50_us', 'mantou', 'bun'), undefined);
    assert.equal(medianOf(runs, 'per_second', 'bun'), 100);
    assert.equal(medianOf(runs, 'p50_us', 'bun'), undefined);
  });

  test('names nobody the winner inside the noise, nor after fewer than five rounds', () => {
    const verdictOf = (mantou, isMoreBetter = true) =>
      verdict(ratioOf(runsOf({ bun: mantou.map(() => 100), mantou }), 'per_second', 'mantou', 'bun'), isMoreBetter);
    assert.equal(verdictOf([101, 102, 110, 104, 103]), 'better');
    assert.equal(verdictOf([101, 102, 110, 104, 103], false), 'worse');
    assert.equal(verdictOf([99, 98, 90, 97, 96]), 'worse');
    assert.equal(verdictOf([99, 102, 110, 104, 103]), 'same');
    assert.equal(verdictOf([200, 200, 200, 200]), 'unknown');
  });
});

describe('an interval', () => {
  test('is the range of five to seven values and leaves out more of the outermost the more there are', () => {
    const of = (length) => interval(Array.from({ length }, (_, index) => index + 1).reverse());
    assert.deepEqual(of(4), { low: 1, high: 4, isEnough: false });
    assert.deepEqual(of(5), { low: 1, high: 5, isEnough: true });
    assert.deepEqual(of(7), { low: 1, high: 7, isEnough: true });
    // 2 × (1 + 9) of the 512 ways nine coins can fall are 4 % of them; 2 × (1 + 8) of 256 would be 7 %.
    assert.deepEqual(of(8), { low: 1, high: 8, isEnough: true });
    assert.deepEqual(of(9), { low: 2, high: 8, isEnough: true });
    assert.deepEqual(of(1), { low: 1, high: 1, isEnough: false });
  });

  test('holds the true median as often as it says, whatever the noise looks like', () => {
    let state = 1;
    const random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    for (const rounds of [5, 9, 15]) {
      const tries = 4000;
      let held = 0;
      for (let i = 0; i < tries; i++) {
        // Skewed, as delays are; its median is ln 2.
        const { low, high } = interval(Array.from({ length: rounds }, () => -Math.log(1 - random())));
        held += low <= Math.LN2 && Math.LN2 <= high ? 1 : 0;
      }
      assert.ok(held / tries > 0.93, `${rounds} rounds: ${held / tries}`);
    }
  });

  test('lies around the median', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 3, 2]), 2.5);
  });
});

describe('a goal', () => {
  test('is reached or missed by the whole interval; by the median alone that is a question', () => {
    const at = (low, middle, high, isEnough = true) => standing({ low, median: middle, high, isEnough, rounds: 5 }, 1.1, true);
    assert.equal(at(1.1, 1.2, 1.3), 'reached');
    assert.equal(at(1.0, 1.2, 1.3), 'reached?');
    assert.equal(at(1.0, 1.05, 1.3), 'missed?');
    assert.equal(at(0.9, 1.0, 1.05), 'missed');
    assert.equal(at(1.2, 1.2, 1.2, false), 'reached?');
  });

  test('of something of which less is better is the other way round', () => {
    const at = (low, middle, high) => standing({ low, median: middle, high, isEnough: true, rounds: 5 }, 0.8, false);
    assert.equal(at(0.5, 0.6, 0.8), 'reached');
    assert.equal(at(0.5, 0.6, 0.9), 'reached?');
    assert.equal(at(0.5, 0.85, 0.9), 'missed?');
    assert.equal(at(0.85, 0.9, 0.95), 'missed');
  });
});

describe('the regression gate', () => {
  const bad = (before, now) =>
    compare(before, now)
      .filter((row) => row.isBad)
      .map((row) => row.name);

  test('lets pass what needs at most 5 % more instructions, and stops what needs more', () => {
    assert.deepEqual(bad({ decode: 100, encode: 100, publish: 100 }, { decode: 105, encode: 105.1, publish: 60 }), ['encode']);
  });

  test('stops a case that was not recorded, and one that is gone', () => {
    assert.deepEqual(bad({ decode: 100 }, { encode: 100 }), ['encode', 'decode']);
  });
});

describe('the workloads', () => {
  test('are chosen by name, or several by the beginning of their names', () => {
    assert.deepEqual(chosen('chat-32'), ['chat-32', 'chat-32-burst']);
    assert.deepEqual(chosen('hello,idle'), ['idle', 'hello', 'hello-host']);
    assert.deepEqual(chosen(Object.keys(WORKLOADS).join()), Object.keys(WORKLOADS));
    assert.throws(() => chosen('echo-1,nap'), /no workload nap; there are echo-1,/);
  });
});

describe('tables', () => {
  test('are aligned Markdown with numbers of three digits', () => {
    const cells = [
      ['', 'Bun'],
      ['echo', `${count(61_234.5)}/s`],
      ['idle', significant(1.2345)],
    ];
    const lines = ['|      |      Bun |', '| ---- | -------: |', '| echo | 61,235/s |', '| idle |     1.23 |'];
    assert.equal(markdown(cells), lines.join('\n'));
    assert.deepEqual([significant(123.4), significant(0.04567)], ['123', '0.0457']);
    assert.deepEqual([times(0.0456), times(0.456), times(4.56), times(45.6)], ['0.046', '0.46', '4.56', '45.6']);
  });
});

describe('a plot', () => {
  const rows = [
    { title: 'a < b & c', note: '5/s', marks: [{ median: 2, low: 1, high: 4, isClear: true }, undefined] },
    {
      title: 'echo',
      note: '7/s',
      marks: [
        { median: 1, low: 0.9, high: 1.1, isClear: false },
        { median: 0.05, low: 0.04, high: 0.06, isClear: true },
      ],
    },
  ];

  for (const [name, palette] of Object.entries(PALETTES)) {
    test(`in ${name} colours has a mark and a whisker for each ratio, where the scale puts them`, () => {
      const svg = plot({ title: 'Throughput', series: ['mantou', 'ws'], rows, palette });
      const [first, second] = palette.marks;
      // Of each series the marks of its rows, hollow where there is no difference, and one in the legend.
      const marks = (fill, stroke) => svg.split(`fill="${fill}" stroke="${stroke}"`).length - 1;
      assert.deepEqual([marks(first, first), marks(palette.ground, first)], [2, 1]);
      assert.deepEqual([marks(second, second), marks(palette.ground, second)], [2, 0]);
      const drawn = [...svg.matchAll(/<line x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)"[^>]*\/><path [^>]*translate\(([\d.]+) /g)];
      const places = drawn.map((found) => found.slice(1).map(Number));
      assert.equal(places.length, 3);
      const [low, high, middle] = places[0];
      const one = Number(/<line x1="([\d.]+)" [^>]*\/><text[^>]*>1 ×</.exec(svg)[1]);
      assert.equal(low, one);
      // Logarithmic: 2 lies in the middle between 1 and 4, and 0.9 is as far below as 1.11 above.
      assert.ok(Math.abs(middle - (low + high) / 2) < 0.2);
      assert.equal(places[1][2], one);
      assert.ok(places[2][1] < places[1][0]);
    });

    test(`in ${name} colours is well-formed and says its texts as they are`, () => {
      const svg = plot({ title: 'Throughput', series: ['mantou', 'ws'], rows, palette });
      assert.ok(svg.includes('a &lt; b &amp; c') && !svg.includes('a < b'));
      assert.ok(!/NaN|undefined|Infinity/.test(svg));
      const open = [];
      for (const [, end, tag, self] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
        if (end) assert.equal(open.pop(), tag);
        else if (!self) open.push(tag);
      }
      assert.deepEqual(open, []);
    });
  }

  test('is drawn in colours that stand out from the ground', () => {
    for (const { ground, text, marks } of Object.values(PALETTES)) {
      for (const colour of marks) assert.ok(contrast(colour, ground) >= 2.2, `${colour} on ${ground}: ${contrast(colour, ground)}`);
      assert.ok(contrast(text, ground) >= 7);
      assert.equal(new Set(marks).size, marks.length);
    }
  });
});

describe('curves', () => {
  const lines = parse('publish <1>\t10\t100.0\npublish <1>\t1000\t10.5\nleave\t10\t10.0\n');

  test('are read by name', () => {
    assert.deepEqual(lines, [
      {
        name: 'publish <1>',
        points: [
          { size: 10, cost: 100 },
          { size: 1000, cost: 10.5 },
        ],
      },
      { name: 'leave', points: [{ size: 10, cost: 10 }] },
    ]);
  });

  test('are lines from left to right, the dearer the higher', () => {
    const svg = draw(lines, PALETTES.light);

    const [first, second] = [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, points]) =>
      points.split(' ').map((point) => point.split(',').map(Number)),
    );
    assert.ok(first[0][0] < first[1][0] && first[0][1] < first[1][1], 'the second point is further right and cheaper');
    assert.deepEqual(second, [[first[0][0], second[0][1]]]);
    assert.ok(second[0][1] > first[1][1], 'a little cheaper still');
    assert.ok(svg.includes('publish &lt;1&gt;') && !/NaN|undefined|Infinity/.test(svg));
  });
});

/** The ratio of WCAG 2, between 1 and 21. */
function contrast(one, other) {
  const [light, dark] = [luminance(one), luminance(other)].toSorted((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(colour) {
  const channels = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255);
  const [red, green, blue] = channels.map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
