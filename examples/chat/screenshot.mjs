// @ts-check
// Makes screenshot.png for the README: three people on the real chat, one of them on a phone in the dark.
// node examples/chat/screenshot.mjs (MANTOU_CHAT_SERVE=bun serves it by Bun instead of mantou). Looks best with the font "Inter" installed.

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { crc32, deflateSync } from 'node:zlib';
import { hosts, startChatServer } from '../../__test__/support/chat-server.mjs';
import { chromiumForTests, launchChromium } from '../../__test__/support/chromium.mjs';

const target = fileURLToPath(new URL('screenshot.png', import.meta.url));
/** CSS pixels of the whole picture. GitHub shows a README about 830 wide: SCALE makes it sharp there on any screen. */
const SIZE = { width: 1224, height: 696 };
const SCALE = 4 / 3;

/** Colours of the palette that are taken unchanged. */
const AREAS = 32;

const TALK = [
  ['Ada', 'Good morning! Is the new server up? 🥟'],
  ['Mei Lin', 'It is: you are talking through it. This room is a topic and every message one publish().'],
  ['Jonas', 'On Node? I thought Bun.serve() was only for Bun.'],
  ['Mei Lin', 'The same file runs on both, I only changed the import.'],
  ['Jonas', 'My train was in a tunnel and nothing got lost. Nice!'],
  ['Ada', 'Then it is steamed buns for lunch!'],
];

const found = chromiumForTests();
if (found.path === undefined) throw new Error(found.reason);
const chat = await startChatServer(hosts[0]);
const browser = await launchChromium(found.path);

try {
  const ada = await open('Ada', 'light', { width: 820, height: 648 });
  const jonas = await open('Jonas', 'light', { width: 820, height: 648 });
  const mei = await open('Mei Lin', 'dark', { width: 312, height: 622 });
  const people = new Map([
    ['Ada', ada],
    ['Jonas', jonas],
    ['Mei Lin', mei],
  ]);

  // A room is more inviting without the notices of how it filled.
  for (const page of people.values()) await page.evaluate(() => document.querySelector('#log')?.replaceChildren());
  let count = 0;
  for (const [name, text] of TALK) {
    const page = people.get(name);
    if (page === undefined) throw new Error(name);
    await page.fill('#text', text);
    await page.press('#text', 'Enter');
    count += 1;
    for (const each of people.values())
      await each.waitForFunction((n) => document.querySelectorAll('.message:not(.pending)').length === n, count);
  }
  await jonas.type('#text', 'With');
  for (const page of [ada, mei]) await page.waitForFunction(() => document.querySelector('#typing')?.textContent !== '');
  // No caret, no focus ring, no half-finished animation.
  for (const page of people.values())
    await page.evaluate(() => document.activeElement instanceof HTMLElement && document.activeElement.blur());
  const [wide, narrow] = await Promise.all([ada, mei].map((page) => page.screenshot({ animations: 'disabled', caret: 'hide' })));

  const context = await browser.newContext({ viewport: SIZE, deviceScaleFactor: SCALE });
  const page = await context.newPage();
  await page.setContent(`<!doctype html><style>
    body { margin: 0; width: ${SIZE.width}px; height: ${SIZE.height}px; background: #e4cfb5; position: relative; overflow: hidden; }
    img { position: absolute; display: block; }
    .wide { left: 24px; top: 24px; width: 820px; border-radius: 16px; box-shadow: 0 0 0 1px #0002; }
    .narrow { right: 24px; top: 37px; width: 312px; border-radius: 28px; box-shadow: 0 0 0 8px #0b0908; }
  </style><img class="wide" src="data:image/png;base64,${wide.toString('base64')}"><img class="narrow" src="data:image/png;base64,${narrow.toString('base64')}">`);
  await page.waitForFunction(() => [...document.images].every((image) => image.complete));
  const image = await withPalette(page, await page.screenshot());
  writeFileSync(target, image);
  console.log(`${target}: ${(image.length / 1024).toFixed(0)} KB`);
} finally {
  await browser.close();
  await chat.end();
}

/** @param {string} name @param {'light' | 'dark'} colorScheme @param {{ width: number, height: number }} viewport */
async function open(name, colorScheme, viewport) {
  const context = await browser.newContext({ colorScheme, viewport, deviceScaleFactor: SCALE, locale: 'en-GB', timezoneId: beforeLunch() });
  const page = await context.newPage();
  await page.goto(`${chat.url}#lunch`);
  await page.fill('#name', name);
  await page.click('dialog button');
  await page.waitForSelector('#state[data-state="online"]');
  return page;
}

/** A time zone where it is past eleven, whenever the picture is taken. Its name has the sign of POSIX: west is plus. */
function beforeLunch() {
  const west = new Date().getUTCHours() - 11;
  return `Etc/GMT${west < 0 ? '' : '+'}${west}`;
}

/**
 * The same picture with a palette of 256 colours: a third of the bytes, and a page of flat colours loses nothing that shows.
 * @param {import('playwright-core').Page} page somewhere to decode it
 * @param {Buffer} png
 */
async function withPalette(page, png) {
  const { width, height, base64 } = await page.evaluate(
    async (source) => {
      const image = await createImageBitmap(await (await fetch(source)).blob());
      const context = new OffscreenCanvas(image.width, image.height).getContext('2d');
      if (context === null) throw new Error('no canvas');
      context.drawImage(image, 0, 0);
      const { data } = context.getImageData(0, 0, image.width, image.height);
      let binary = '';
      for (let i = 0; i < data.length; i += 0x8000) binary += String.fromCharCode(...data.subarray(i, i + 0x8000));
      return { width: image.width, height: image.height, base64: btoa(binary) };
    },
    `data:image/png;base64,${png.toString('base64')}`,
  );
  const pixels = Buffer.from(base64, 'base64');

  // The most frequent colours as they are, because they fill areas; of the rest, which smooth edges, only such as differ visibly.
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (let i = 0; i < pixels.length; i += 4) counts.set(pixels.readUIntBE(i, 3), (counts.get(pixels.readUIntBE(i, 3)) ?? 0) + 1);
  const byCount = [...counts].sort((a, b) => b[1] - a[1]).map(([colour]) => colour);
  /** @type {number[]} */
  const palette = [];
  for (const colour of byCount) {
    if (palette.length === 256) break;
    if (palette.length < AREAS || palette.every((taken) => distance(taken, colour) > 100)) palette.push(colour);
  }
  const nearest = new Map(
    byCount.map((colour) => [
      colour,
      palette.reduce((best, taken, i) => (distance(taken, colour) < distance(palette[best], colour) ? i : best), 0),
    ]),
  );

  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) rows[y * (width + 1) + 1 + x] = nearest.get(pixels.readUIntBE((y * width + x) * 4, 3)) ?? 0;
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3], 8); // eight bits a pixel, indexed
  const colours = Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]));
  const chunks = [
    chunk('IHDR', header),
    chunk('PLTE', colours),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ];
  return Buffer.concat([png.subarray(0, 8), ...chunks]);
}

/** @param {number} a @param {number} b */
function distance(a, b) {
  return ((a >> 16) - (b >> 16)) ** 2 + (((a >> 8) & 255) - ((b >> 8) & 255)) ** 2 + ((a & 255) - (b & 255)) ** 2;
}

/** @param {string} type @param {Buffer} data */
function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}
