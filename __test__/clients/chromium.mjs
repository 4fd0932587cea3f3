// @ts-check
// A page in a headless Chromium, whose path is the argument. The page comes from the server that is tested.

import { launchChromium } from '../support/chromium.mjs';
import { obey } from './commands.mjs';
import { Session } from './session.mjs';

const browser = await launchChromium(process.argv[2]);
const page = await browser.newPage();
/** @param {string} command @param {string[]} args */
const inPage = (command, ...args) => page.evaluate(`session.${command}(...${JSON.stringify(args)})`);

await obey({
  async open(url) {
    await page.goto(url.replace('ws:', 'http:'));
    await page.evaluate(`globalThis.session = new (${Session})()`);
    return inPage('open', url);
  },
  echo: (...args) => inPage('echo', ...args),
  close: (...args) => inPage('close', ...args),
  wait: () => inPage('wait'),
  async leave() {
    await page.goto('about:blank');
    return 'left';
  },
});
