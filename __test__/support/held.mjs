// @ts-check
// The HTTP counterpart of `pair`: a request that reached its handler and waits there until the test answers it.

import { calls } from './calls.mjs';
import { connectTo, request } from './raw-http.mjs';
import { serve } from './target.mjs';

/** @typedef {{ req: Request, answer(response: Response): void, fail(error: unknown): void }} Arrival */

/**
 * A server and one unanswered request: `{ server, client, req, answer(response), fail(error), another(bytes) }`.
 * @param {Partial<import('./target.mjs').Options>} [options]
 */
export async function held(options = {}, bytes = request('GET', '/')) {
  /** @type {import('./calls.mjs').Calls<[Arrival]>} */
  const arrivals = calls('a request');
  const server = serve(
    /** @type {import('./target.mjs').Options} */ ({
      development: false,
      fetch: (req) => new Promise((answer, fail) => arrivals({ req, answer, fail })),
      ...options,
    }),
  );
  /** Another request, on a connection of its own. */
  const another = async (own = request('GET', '/')) => {
    const client = await connectTo(server);
    client.write(own);
    const [arrival] = await arrivals.next();
    await new Promise(setImmediate); // the turn that called the handler is over: what the test does next is not done inside it
    return { client, ...arrival };
  };
  return { server, another, ...(await another(bytes)) };
}
