import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CacheConnection, openCache } from '../../src/cache/connection.ts';
import { createCacheWriter } from '../../src/cache/writer.ts';
import { findRealRedis, type RealRedis, startRealRedis } from '../../src/local/redis/real-server.ts';
import { cli } from '../helpers/cli.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/ports.ts';
import { targetOf } from './helpers.ts';

const program = findRealRedis();
const reason = program === undefined ? ' (skipped: no redis-server or valkey-server on PATH)' : '';

/** Slots of the nodes, uneven on purpose. */
const SLOTS = [
  [0, 5_000],
  [5_001, 12_000],
  [12_001, 16_383],
] as const;

describe.skipIf(program === undefined)(`a Redis cluster of three nodes${reason}`, () => {
  const nodes: RealRedis[] = [];
  let cache: CacheConnection;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cosmos-pipe-cluster-'));
    const busPorts: number[] = [];
    for (const [from, to] of SLOTS) {
      const [port, busPort] = [await freePort(), await freePort()];
      const node = await startRealRedis({
        port,
        config: [
          'cluster-enabled yes',
          'cluster-announce-ip 127.0.0.1',
          `cluster-port ${busPort}`,
          // A node that stands still has not failed.
          'cluster-node-timeout 600000',
        ],
      });
      nodes.push(node);
      busPorts.push(busPort);
      const connection = await openCache(targetOf(node));
      await connection.client.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
      const [first] = nodes;
      if (first !== undefined && first !== node) {
        const { port: firstPort } = new URL(first.environment['REDIS_URL'] as string);
        await connection.client.call('CLUSTER', 'MEET', '127.0.0.1', firstPort, String(busPorts[0]));
      }
      connection.dispose();
    }
    for (const node of nodes) {
      const connection = await openCache(targetOf(node));
      await eventually(async () => {
        const info = await connection.client.call('CLUSTER', 'INFO');
        expect(info).toContain('cluster_state:ok');
        expect(info).toContain('cluster_known_nodes:3');
        expect(info).toContain('cluster_size:3');
      });
      connection.dispose();
    }
    cache = await openCache({ ...targetOf(nodes[0] as RealRedis), cluster: true });
  });
  afterAll(async () => {
    cache?.dispose();
    for (const node of nodes) await node.stop();
    await rm(folder, { recursive: true });
  });

  it('is waited for while its first node does not answer', async () => {
    const { pid } = nodes[0] as RealRedis;
    process.kill(pid, 'SIGSTOP');
    const opening = openCache({ ...targetOf(nodes[0] as RealRedis), cluster: true });
    opening.catch(() => {});
    // Longer than ioredis waits by itself, a small part of what openCache allows.
    await delay(1_500);
    process.kill(pid, 'SIGCONT');
    const opened = await opening;
    expect(opened.masters()).toHaveLength(3);
    opened.dispose();
  });

  it('takes writes of many slots, and gives up a prefix of them node by node, without blocking any', async () => {
    const writer = await createCacheWriter({
      target: cache,
      keyPrefix: 'app:',
      format: 'versioned',
      ttlMs: 3_600_000,
    });
    const items = Array.from({ length: 1_000 }, (_, index) => ({
      id: `i${index}`,
      partitionKey: `d${index % 100}`,
      body: { id: `i${index}`, _ts: 1 },
    }));
    await writer.write(items);
    expect(writer.totals().written).toBe(1_000);
    for (let n = 0; n < 30; n += 1) await cache.client.set(`other:${n}`, 'v');
    const keysOf = () => Promise.all(cache.masters().map((node) => node.dbsize()));
    const before = await keysOf();
    expect(before.every((keys) => keys > 100)).toBe(true);

    const env = { REDIS_URL: nodes[1]?.environment['REDIS_URL'] };
    const flush = (...more: string[]) =>
      cli(['flush', '--prefix', 'app:', '--redis-cluster', '--json', ...more], { env, cwd: folder });
    const preview = JSON.parse((await flush('--dry-run')).stdout).preview;
    expect(preview.keys).toBe(1_000);
    expect(preview.nodes).toHaveLength(3);
    expect(preview.nodes.every(({ keys }: { keys: number }) => keys > 100)).toBe(true);
    expect(await keysOf()).toEqual(before);
    expect(await flush()).toMatchObject({ code: 2 });

    const flushed = await flush('--yes');
    expect(flushed).toMatchObject({ code: 0 });
    expect(JSON.parse(flushed.stdout)).toMatchObject({ deleted: 1_000, complete: true });
    expect((await keysOf()).reduce((sum, keys) => sum + keys, 0)).toBe(30);
    for (const node of cache.masters()) {
      const used = await node.info('commandstats');
      expect(used).toContain('cmdstat_unlink');
      expect(used).not.toMatch(/cmdstat_(flushdb|flushall|keys):/);
    }
    const audit = await readFile(join(folder, '.cosmos-pipe', 'audit.ndjson'), 'utf8');
    expect(JSON.parse(audit)).toMatchObject({ prefix: 'app:', deleted: 1_000, outcome: 'complete' });
  });
});
