import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBulkWriter } from '../../src/cosmos/bulk-writer.ts';
import type { CosmosConnection } from '../../src/cosmos/client.ts';
import type { WriteOperation } from '../../src/cosmos/write-operation.ts';
import type { RuRecorder } from '../../src/metrics/types.ts';
import { freePort } from '../helpers/ports.ts';
import { type LocalAccount, startAccount, storedItems, upsert, writeAll } from './local-account.ts';

let account: LocalAccount;
beforeAll(async () => {
  account = await startAccount();
});
afterAll(() => account.stop());

function* upserts(count: number, keys: number): Generator<WriteOperation> {
  for (let i = 0; i < count; i++) yield upsert(`key-${i % keys}`, Math.floor(i / keys));
}

/** The latest version of every item in feed order, by key: the order in which a consumer sees them. */
async function feedOrder(connection: CosmosConnection): Promise<Map<string, number[]>> {
  const { ChangeFeedStartFrom } = await import('@azure/cosmos');
  const iterator = connection.container.items.getChangeFeedIterator({
    maxItemCount: 1000,
    changeFeedStartFrom: ChangeFeedStartFrom.Beginning(),
  });
  const order = new Map<string, number[]>();
  const { resources: ranges } = await connection.container.readPartitionKeyRanges().fetchAll();
  for (let idle = 0; idle <= ranges.length; ) {
    const { result } = await iterator.readNext();
    idle = result === undefined || result.length === 0 ? idle + 1 : 0;
    for (const { key, sequence } of (result ?? []) as unknown as { key: string; sequence: number }[])
      order.set(key, [...(order.get(key) ?? []), sequence]);
  }
  return order;
}

const ascending = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('against the unmodified SDK over a socket', () => {
  it('has its share of the throughput that is provisioned now, not of what was when it was opened', async () => {
    const connection = await account.container({ throughput: 400 });
    // 4 RU/s: the writes below would take minutes.
    const writer = await createBulkWriter({
      connection,
      ruBudget: { fraction: 0.01 },
      budgetEveryMs: 50,
      maxWaitMs: 0,
    });
    const written = writeAll(writer, upserts(100, 10));
    const { offer } = await connection.container.readOffer();
    const { resource } = await connection.container.readOffer();
    if (resource?.content !== undefined)
      await offer?.replace({ ...resource, content: { ...resource.content, offerThroughput: 400_000 } });
    expect((await written).every(({ ok }) => ok)).toBe(true);
    await writer.close();
  });

  it('sends nothing more of what is behind a raised fence, and everything else', async () => {
    const connection = await account.container();
    const writer = await createBulkWriter({ connection, maxWaitMs: 60_000 });
    const fence = { raised: false };
    const settled: string[] = [];
    const write = (key: string, behind?: typeof fence) =>
      writer.write(
        upsert(key, 0),
        (outcome) => void settled.push(`${key} ${outcome.ok ? 'stored' : outcome.reason}`),
        behind,
      );
    void write('a', fence);
    void write('b');
    writer.withdraw(fence);
    void write('c', fence);
    expect(settled).toEqual(['a another process writes it now', 'c another process writes it now']);
    await writer.close();
    expect(settled.slice(2)).toEqual(['b stored']);
    expect((await storedItems(connection)).map(({ key }) => key)).toEqual(['b']);
  });

  it('stores every operation of many keys over many ranges', async () => {
    const connection = await account.container();
    const writer = await createBulkWriter({ connection });
    const outcomes = await writeAll(writer, upserts(5_000, 100));
    await writer.close();
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(5_000);
    expect(writer.snapshot()).toMatchObject({ inFlight: 0, buffered: 0, bufferedBytes: 0 });
    expect(writer.snapshot().perRange).toHaveLength(17);
    expect(new Set((await storedItems(connection)).map(({ id }) => id)).size).toBe(5_000);
  });

  it('carries all five kinds, conditions and hierarchical keys', async () => {
    const connection = await account.container({ partitionKeyPath: ['/key', '/part'] });
    const writer = await createBulkWriter({ connection });
    const partitionKey = ['a', 7] as const;
    const body = JSON.stringify({ id: 'x', key: 'a', part: 7, n: 1, text: 'Gr\u00fc\u00dfe "\u2028"' });
    const patch = JSON.stringify({ operations: [{ op: 'incr', path: '/n', value: 41 }] });
    const outcomes = await writeAll(writer, [
      { kind: 'create', id: 'x', partitionKey, body },
      { kind: 'create', id: 'x', partitionKey, body },
      { kind: 'patch', id: 'x', partitionKey, body: patch },
      { kind: 'replace', id: 'nobody', partitionKey, body: body.replace('"x"', '"nobody"') },
      { kind: 'upsert', id: 'x', partitionKey, body, ifMatch: '"stale"' },
      { kind: 'upsert', id: 'y', partitionKey, body: body.replace('"x"', '"y"') },
      { kind: 'delete', id: 'y', partitionKey, body: '' },
    ]);
    await writer.close();
    expect(outcomes.map(({ statusCode }) => statusCode)).toEqual([201, 409, 200, 404, 412, 201, 204]);
    expect(outcomes[1]).toMatchObject({
      ok: false,
      poison: true,
      reason: 'an item with id "x" or an equal unique key exists',
    });
    const { resource } = await connection.container.item('x', ['a', 7]).read();
    expect(resource).toMatchObject({ n: 42, text: 'Gr\u00fc\u00dfe "\u2028"' });
    expect((await connection.container.item('y', ['a', 7]).read()).statusCode).toBe(404);
  });

  it('routes keys of every type, and an absent one, to where reads find them', async () => {
    const connection = await account.container();
    const writer = await createBulkWriter({ connection });
    const keys = ['', 'a', 0, -0, 1.5, -1e300, true, false, null] as const;
    const outcomes = await writeAll(
      writer,
      [...keys.entries()].map(([i, key]) => ({
        kind: 'upsert' as const,
        id: `i${i}`,
        partitionKey: key,
        body: JSON.stringify({ id: `i${i}`, key }),
      })),
    );
    const [absent] = await writeAll(writer, [
      { kind: 'upsert', id: 'none', partitionKey: undefined, body: '{"id":"none"}' },
    ]);
    await writer.close();
    expect([...outcomes, absent].map((outcome) => outcome?.statusCode)).toEqual(Array(10).fill(201));
    for (const [i, key] of keys.entries())
      expect((await connection.container.item(`i${i}`, key as never).read()).statusCode).toBe(200);
  });

  it('stores everything in a container that throttles, in order per key, and says how much was throttled', async () => {
    const charges: [string, number][] = [];
    let throttled = 0;
    const ru: RuRecorder = {
      charge: (operation, _range, charge) => charges.push([operation, charge]),
      throttled: (_range, count) => {
        throttled += count;
      },
    };
    const connection = await account.container({ throughput: 1_000 });
    const writer = await createBulkWriter({ connection, ru });
    const outcomes = await writeAll(writer, upserts(400, 8));
    await writer.close();
    expect(outcomes.every(({ ok }) => ok)).toBe(true);
    expect(throttled).toBeGreaterThan(0);
    expect(writer.snapshot().perRange[0]?.throttled).toBe(throttled);
    const charged = charges.reduce((sum, [, charge]) => sum + charge, 0);
    const [stats] = account.service
      .stats()
      .containers.filter(({ container }) => container === connection.container.id);
    expect(charged).toBeCloseTo(stats?.requestChargeTotal ?? 0, 0);
    expect(await feedOrder(connection)).toEqual(
      new Map(ascending(8).map((key) => [`key-${key}`, ascending(50)])),
    );
  });

  it('follows partitions that split while it writes', async () => {
    const connection = await account.container({ throughput: 12_000 });
    const writer = await createBulkWriter({ connection, maxBufferedBytes: 100_000 });
    const { database, container } = connection.target;
    let count = 0;
    const outcomes = await writeAll(
      writer,
      (function* () {
        for (const operation of upserts(3_000, 30)) {
          if (count === 500) account.service.split(database, container, '0');
          if (count === 1_500) account.service.split(database, container, '1');
          count++;
          yield operation;
        }
      })(),
    );
    await writer.close();
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(3_000);
    expect(writer.snapshot().perRange.map(({ rangeId }) => rangeId)).toEqual(['2', '3', '4', '5']);
    const order = await feedOrder(connection);
    expect([...order.values()]).toEqual(Array(30).fill(ascending(100)));
  });

  it('isolates poison: its neighbours are stored, it is reported with a reason', async () => {
    const connection = await account.container();
    const writer = await createBulkWriter({ connection });
    const operations = [...upserts(500, 10)];
    operations.splice(50, 0, { ...upsert('key-1', 9_001), body: '{"id":' });
    operations.splice(150, 0, upsert('key-2', 9_002, { text: 'x'.repeat(2_200_000) }));
    operations.splice(250, 0, { kind: 'upsert', id: 'a', partitionKey: 'key-3', body: '{"key":"key-3"}' });
    operations.splice(350, 0, { ...upsert('key-4', 9_004), partitionKey: 'key-5' });
    const outcomes = await writeAll(writer, operations);
    await writer.close();
    const refused = outcomes.filter(({ ok }) => !ok);
    expect(refused.map(({ statusCode }) => statusCode)).toEqual([400, 413, 400, 400]);
    expect(refused.every((outcome) => !outcome.ok && outcome.poison && outcome.reason !== '')).toBe(true);
    expect(await storedItems(connection)).toHaveLength(500);
  });

  it.each([
    ['cosmos:throttle=5%'],
    ['cosmos:unavailable=10%'],
    ['cosmos:retry-with=3%'],
    ['cosmos:gone=1%'],
    ['cosmos:reset=10%'],
    ['cosmos:timeout=10%'],
  ])('loses nothing and keeps the order per key under %s', async (spec) => {
    const connection = await account.container();
    const writer = await createBulkWriter({ connection });
    const fault = account.service.faults.add(spec);
    const outcomes = await writeAll(writer, upserts(2_000, 40));
    account.service.faults.clear();
    await writer.close();
    expect(fault).toBeDefined();
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(2_000);
    expect([...(await feedOrder(connection)).values()]).toEqual(Array(40).fill(ascending(50)));
  });

  it('holds the writer back at its memory bound', async () => {
    const connection = await account.container();
    const writer = await createBulkWriter({ connection, maxBufferedBytes: 50_000 });
    let most = 0;
    for (const operation of upserts(2_000, 20)) {
      const full = writer.write(operation, () => {});
      most = Math.max(most, writer.snapshot().bufferedBytes);
      await full;
    }
    await writer.close();
    expect(most).toBeGreaterThan(45_000);
    expect(most).toBeLessThan(51_000);
  });

  it('fails what is queued when it is aborted, and only that', async () => {
    const connection = await account.container({ throughput: 400 });
    const aborting = new AbortController();
    const writer = await createBulkWriter({ connection, signal: aborting.signal });
    const outcomes: boolean[] = [];
    for (const operation of upserts(1_000, 10))
      await writer.write(operation, ({ ok }) => {
        outcomes.push(ok);
        if (outcomes.length === 20) aborting.abort();
      });
    await writer.close();
    expect(outcomes).toHaveLength(1_000);
    expect(await storedItems(connection)).toHaveLength(outcomes.filter(Boolean).length);
    expect(outcomes.filter(Boolean).length).toBeLessThan(1_000);
  });

  it('does not blame the items when the container is deleted under it', async () => {
    const connection = await account.container();
    const writer = await createBulkWriter({ connection });
    await connection.container.delete();
    const outcomes = await writeAll(writer, upserts(20, 5));
    expect(outcomes.every((outcome) => !outcome.ok && !outcome.poison && outcome.statusCode === 404)).toBe(
      true,
    );
  });

  it('gives up after a while, without blaming the items, when the service stays away', async () => {
    // A port that is given to no other test when this one no longer listens there.
    const own = await startAccount({ port: await freePort() });
    const connection = await own.container();
    const writer = await createBulkWriter({ connection, giveUpMs: 100 });
    await own.service.stop();
    const [outcome] = await writeAll(writer, [upsert('a', 1)]);
    expect(outcome).toMatchObject({ ok: false, statusCode: 0, poison: false });
    expect(outcome).toHaveProperty(
      'reason',
      expect.stringMatching(/^the service could not be used \(.*ECONN/),
    );
    connection.dispose();
  });
});
