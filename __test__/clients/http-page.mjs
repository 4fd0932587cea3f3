// @ts-check
// A page in a headless Chromium, whose path is the argument: opens what it is told to, and runs the functions that the page has.

import { launchChromium } from '../support/chromium.mjs';
import { obey } from './commands.mjs';

const browser = await launchChromium(process.argv[2]);
const page = await browser.newPage();
/** @type {string[]} */
const complaints = [];
page.on('pageerror', (error) => complaints.push(error.message));

await obey({
  async open(url) {
    const response = await page.goto(url);
    return `${response?.status()} ${await page.title()}`;
  },
  run: async (name, ...args) => JSON.stringify(await page.evaluate(`${name}(...${JSON.stringify(args)})`)),
  complaints: () => JSON.stringify(complaints),
});
