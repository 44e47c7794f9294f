import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { benchFaults } from '../../commands/bench-faults.ts';
import type { Clock } from '../../src/util/clock.ts';
import { freePort } from '../helpers/ports.ts';

let asked: string[] = [];
let server: Server;
let adminUrl: string;
let nowMs = 0;
const clock: Clock = {
  now: () => nowMs,
  epochMicros: () => nowMs * 1000,
  sleep: async (ms) => {
    nowMs += ms;
  },
};

/** A stack that only writes down which faults it is told of. */
beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    asked.push(body === '' ? `${request.method}` : (JSON.parse(body) as { spec: string }).spec);
    response.end('[]');
  });
  // Not a port of the system's: a client of another test might still be looking there for its server.
  const port = await freePort();
  await new Promise<void>((resolve) => {
    server.listen(port, '127.0.0.1', resolve);
  });
  adminUrl = `http://127.0.0.1:${port}`;
});
afterAll(() => server.close());
beforeEach(() => {
  asked = [];
  nowMs = 0;
});

it('ends faults with the load, but for those with a duration of their own, and all of them before anything is verified', async () => {
  const specs = ['cosmos:throttle=5%', 'redis:latency=5ms~2ms@2s+30s', 'cosmos:unavailable@1s+3s'];
  const faults = benchFaults([...specs, 'cosmos:gone=2@40s+5s'], adminUrl, clock);
  faults.begin(1_000_000);
  nowMs = 11_000;
  await faults.sent();
  expect(asked).toEqual([
    ...specs,
    'cosmos:gone=2@40s+5s',
    'DELETE',
    'redis:latency=5ms~2ms@0ms+22000ms',
    'cosmos:gone=2@30000ms+5000ms',
  ]);
  await faults.end();
  expect(asked.at(-1)).toBe('DELETE');
  expect(faults.neverBegan()).toEqual(['cosmos:gone=2@40s+5s']);
});

it('names the faults that a run was too short for', async () => {
  const specs = ['redis:reset@5s', 'redis:reset@20s', 'cosmos:gone=2@25s+5s', 'cosmos:gone=2@40s+5s'];
  const faults = benchFaults(specs, adminUrl, clock);
  faults.begin(0);
  nowMs = 10_000;
  await faults.sent();
  nowMs = 30_000;
  await faults.end();
  nowMs = 60_000;
  await faults.end();
  expect(faults.neverBegan()).toEqual(['redis:reset@20s', 'cosmos:gone=2@40s+5s']);
});

it('asks nothing of a stack when there are no faults, and refuses to disturb what is not ours', async () => {
  const none = benchFaults([], undefined, clock);
  none.begin(0);
  await none.sent();
  await none.end();
  expect(asked).toEqual([]);
  expect(none.neverBegan()).toEqual([]);
  expect(() => benchFaults(['redis:reset'], undefined, clock)).toThrow('disturb the embedded stack only');
});
