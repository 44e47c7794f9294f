// Reads of 1 KB items over HTTP without and with the cache: one seeded zipf stream, cold start, embedded Cosmos DB and
// Redis in one process, `serve` in another, the load (autocannon) in a third.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const CLI = fileURLToPath(new URL('../dist/bin/cosmos-pipe.js', import.meta.url));

export async function run() {
  const args = [CLI, 'cache', 'bench', '--local', '--requests', '20000', '--items', '5000', '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1e8 });
  const { uncached, cached, hitRate, requestChargeSaved, stampedeFactor, cost } = JSON.parse(stdout);
  return {
    name: 'cache',
    contenders: [contender('point reads', uncached), contender('through the cache', cached)],
    ratios: { 'through the cache/point reads': cached.requestsPerSecond / uncached.requestsPerSecond },
    hitRate,
    requestChargeSaved,
    stampedeFactor,
    cost,
  };
}

function contender(name, { requestsPerSecond, requestCharge, requests, errors, latency }) {
  return {
    name,
    eventsPerSecond: Math.round(requestsPerSecond),
    requestChargePerRequest: requestCharge / requests,
    errors,
    p50Ms: latency.p50Ms,
    p99Ms: latency.p99Ms,
  };
}
