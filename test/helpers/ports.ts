import { createServer } from 'node:net';

/**
 * Nothing listens here: below the range from which the system hands out ports. The port of a server that was just stopped
 * is no substitute, another test may have been given it; and `fetch` blocks port 1.
 */
export const REFUSING_PORT = 2;

/** A port for a server that cannot take 0; outside the range from which the system hands out ports to others. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (free) await new Promise((resolve) => server.close(resolve));
    if (free) return port;
  }
}
