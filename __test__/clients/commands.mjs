// @ts-check
// A client as a program: a command per line of stdin ("echo text 16 1"), and a line of stdout in answer to each.

import { createInterface } from 'node:readline';

/** @param {Record<string, (...args: string[]) => unknown>} commands */
export async function obey(commands) {
  for await (const line of createInterface(process.stdin)) {
    const [command, ...args] = line.split(' ');
    try {
      console.log(await commands[command](...args));
    } catch (error) {
      console.log(`error ${error instanceof Error ? error.message.split('\n', 1) : error}`);
    }
  }
  process.exit();
}
