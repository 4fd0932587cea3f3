// @ts-check
// The sockets of IPv4 as Linux lists them: piece by piece, so that of thousands some may be missing or there twice.

import { readFileSync } from 'node:fs';

export const LISTEN = '0A';
export const FIN_WAIT_2 = '05';
export const TIME_WAIT = '06';

/**
 * Those with this local port and state, by their inodes: 0 is that of all that no process has open.
 * @param {number} port
 * @param {string} state
 */
export function socketsAt(port, state) {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const [, ...lines] = readFileSync('/proc/net/tcp', 'latin1').trim().split('\n');
  return lines.flatMap((line) => {
    const [, local, , own, , , , , , inode] = line.trim().split(/\s+/);
    return local.endsWith(wanted) && own === state ? [Number(inode)] : [];
  });
}
