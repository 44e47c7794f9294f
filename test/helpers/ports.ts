import { createServer } from 'node:net';

/**
 * Nothing listens here: below the range from which the system hands out ports. The port of a server that was just stopped
 * is no substitute, another test may have been given it; and `fetch` blocks port 1.
 */
export const REFUSING_PORT = 2;

/** Ports that each worker of the test run has to itself: what another one takes meanwhile is never among them. */
const PORTS_EACH = 2_000;
const firstOfWorker = 10_000 + (Number(process.env['VITEST_POOL_ID'] ?? 0) % 10) * PORTS_EACH;
/** A port is given once: what still sends to a server that is gone must not meet the next one of the same test file. */
const given = new Set<number>();

/** A port for a server that cannot take 0; outside the range from which the system hands out ports to others. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = firstOfWorker + Math.floor(Math.random() * PORTS_EACH);
    if (given.has(port)) continue;
    given.add(port);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (free) await new Promise((resolve) => server.close(resolve));
    if (free) return port;
  }
}
