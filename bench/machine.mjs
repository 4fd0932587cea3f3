// @ts-check
// What the numbers were measured on, and how busy it was.

import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

/** @typedef {ReturnType<typeof machine>} Machine */

export function machine() {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'an unknown processor',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `Linux ${release()}`,
    system: systemName(),
    /** Processes that wanted a core, over the last minute. */
    load: Number(loadavg()[0].toFixed(1)),
  };
}

/**
 * One line.
 * @param {Machine} machine
 */
export function describe({ cpu, cores, memoryGiB, kernel, system, load }) {
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, ${kernel}, load average ${load}`;
}

function systemName() {
  try {
    return /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'an unknown system';
  } catch {
    return 'an unknown system';
  }
}
