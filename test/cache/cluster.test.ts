import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CacheConnection, openCache } from '../../src/cache/connection.ts';
import { flushPrefix, previewFlush } from '../../src/cache/flush.ts';
import { createCacheWriter } from '../../src/cache/writer.ts';
import { findRealRedis, type RealRedis, startRealRedis } from '../../src/local/redis/real-server.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/ports.ts';
import { targetOf } from './helpers.ts';

const program = findRealRedis();
const reason = program === undefined ? ' (skipped: no redis-server or valkey-server on PATH)' : '';

/** One node that has all the slots: it refuses commands over several slots like a cluster of many. */
describe.skipIf(program === undefined)(`a Redis cluster${reason}`, () => {
  let real: RealRedis;
  let cache: CacheConnection;

  beforeAll(async () => {
    const [port, busPort] = [await freePort(), await freePort()];
    real = await startRealRedis({
      port,
      config: ['cluster-enabled yes', 'cluster-announce-ip 127.0.0.1', `cluster-port ${busPort}`],
    });
    const node = await openCache(targetOf(real));
    await node.client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await eventually(async () =>
      expect(await node.client.call('CLUSTER', 'INFO')).toContain('cluster_state:ok'),
    );
    node.dispose();
    cache = await openCache({ ...targetOf(real), cluster: true });
  });
  afterAll(async () => {
    cache.dispose();
    await real.stop();
  });

  it('takes writes of many slots, and gives up a prefix of them', async () => {
    const writer = await createCacheWriter({
      target: cache,
      keyPrefix: 'app:',
      format: 'versioned',
      ttlMs: 60_000,
    });
    const items = Array.from({ length: 1_000 }, (_, index) => ({
      id: `i${index}`,
      partitionKey: `d${index % 100}`,
      body: { id: `i${index}`, _ts: 1 },
    }));
    await writer.write(items);
    expect(writer.totals().written).toBe(1_000);
    await cache.client.set('other', 'v');
    expect(await previewFlush(cache, 'app:')).toMatchObject({ keys: 1_000, nodes: [{ keys: 1_000 }] });
    expect(await flushPrefix(cache, 'app:')).toMatchObject({ deleted: 1_000, complete: true });
    expect(await cache.client.get('other')).toBe('v');
  });
});
