import { writeFileSync } from 'node:fs';
import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DocumentStore, StoreDocument } from '../../src/cosmos/document-store.ts';
import { fileCheckpointStore } from '../../src/eventhubs/checkpoint-file.ts';
import { memoryCheckpointStore } from '../../src/eventhubs/checkpoint-memory.ts';
import {
  type Checkpoint,
  type PartitionOwnership,
  type ResettableCheckpointStore,
  scopedTo,
} from '../../src/eventhubs/checkpoint-store.ts';
import {
  type CheckpointStoreDocument,
  documentCheckpointStore,
} from '../../src/pipeline/ingest/checkpoint-cosmos.ts';
import { systemClock } from '../../src/util/clock.ts';

const scope = { fullyQualifiedNamespace: 'localhost', eventHubName: 'Hub', consumerGroup: '$Default' };
const claim = (partitionId: string, ownerId: string, etag?: string): PartitionOwnership => ({
  ...scope,
  partitionId,
  ownerId,
  ...(etag === undefined ? {} : { etag }),
});
const checkpoint = (partitionId: string, sequenceNumber: number): Checkpoint => ({
  ...scope,
  partitionId,
  sequenceNumber,
  offset: String(sequenceNumber * 10),
  hubCreatedMs: 99,
});

/** Each call gives two stores over the same place: two processes. */
const kinds: readonly [string, () => Promise<readonly ResettableCheckpointStore[]>][] = [
  [
    'memory',
    async () => {
      const store = memoryCheckpointStore(systemClock);
      return [store, store];
    },
  ],
  [
    'file',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'checkpoints-'));
      return [fileCheckpointStore(folder, systemClock), fileCheckpointStore(folder, systemClock)];
    },
  ],
  [
    'documents',
    async () => {
      const documents = memoryDocuments<CheckpointStoreDocument>();
      return [
        documentCheckpointStore(documents, systemClock),
        documentCheckpointStore(documents, systemClock),
      ];
    },
  ],
];

describe.each(kinds)('the %s checkpoint store', (_, open) => {
  const list = (store: ResettableCheckpointStore) =>
    store.listCheckpoints(scope.fullyQualifiedNamespace, scope.eventHubName, scope.consumerGroup);
  const owners = (store: ResettableCheckpointStore) =>
    store.listOwnership(scope.fullyQualifiedNamespace, scope.eventHubName, scope.consumerGroup);

  it('lets exactly one of many concurrent claims win', async () => {
    const [a, b] = (await open()) as [ResettableCheckpointStore, ResettableCheckpointStore];
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, i) => (i % 2 ? a : b).claimOwnership([claim('0', `owner-${i}`)])),
    );
    const won = results.flat();
    expect(won).toHaveLength(1);
    expect(await owners(b)).toMatchObject([
      { ownerId: won[0]?.ownerId, etag: won[0]?.etag, partitionId: '0' },
    ]);
    expect(Date.now() - (won[0]?.lastModifiedTimeInMs ?? 0)).toBeLessThan(60_000);
  });

  it('renews with the current etag, refuses an old one, and takes an empty owner', async () => {
    const [a, b] = (await open()) as [ResettableCheckpointStore, ResettableCheckpointStore];
    const [first] = await a.claimOwnership([claim('0', 'a')]);
    const [second] = await a.claimOwnership([claim('0', 'a', first?.etag)]);
    expect(await b.claimOwnership([claim('0', 'b', first?.etag)])).toEqual([]);
    expect(await b.claimOwnership([claim('0', 'b')])).toEqual([]);
    expect(await a.claimOwnership([claim('0', '', second?.etag)])).toHaveLength(1);
    expect(await owners(b)).toMatchObject([{ ownerId: '' }]);
    expect(await b.claimOwnership([claim('1', 'b', 'stale')])).toEqual([]);
  });

  it('keeps the highest checkpoint of each partition', async () => {
    const [a, b] = (await open()) as [ResettableCheckpointStore, ResettableCheckpointStore];
    await a.updateCheckpoint(checkpoint('0', 5));
    await b.updateCheckpoint(checkpoint('0', 9));
    await a.updateCheckpoint(checkpoint('0', 7));
    await a.updateCheckpoint(checkpoint('11', 1));
    const stored = (await list(b)).sort((x, y) => x.partitionId.localeCompare(y.partitionId));
    expect(stored).toEqual([checkpoint('0', 9), checkpoint('11', 1)]);
  });

  it('ends at the highest one when two processes write at the same time', async () => {
    const [a, b] = (await open()) as [ResettableCheckpointStore, ResettableCheckpointStore];
    await Promise.all(
      Array.from({ length: 30 }, (_, i) => (i % 2 ? a : b).updateCheckpoint(checkpoint('0', i))),
    );
    expect((await list(a)).map((entry) => entry.sequenceNumber)).toEqual([29]);
  });

  it('forgets what is reset and nothing else', async () => {
    const [a, b] = (await open()) as [ResettableCheckpointStore, ResettableCheckpointStore];
    await a.updateCheckpoint(checkpoint('0', 5));
    await a.updateCheckpoint(checkpoint('1', 6));
    await b.resetCheckpoints(scope, ['0']);
    expect((await list(a)).map((entry) => entry.partitionId)).toEqual(['1']);
    await a.updateCheckpoint(checkpoint('0', 2));
    expect((await list(b)).map((entry) => entry.sequenceNumber).sort((x, y) => x - y)).toEqual([2, 6]);
  });

  it('separates namespaces, hubs and groups', async () => {
    const [a] = (await open()) as [ResettableCheckpointStore];
    await scopedTo(a, '127.0.0.1:1').updateCheckpoint(checkpoint('0', 5));
    expect(await list(a)).toEqual([]);
    expect(await scopedTo(a, '127.0.0.1:2').listCheckpoints('x', 'Hub', '$Default')).toEqual([]);
    expect(await scopedTo(a, '127.0.0.1:1').listCheckpoints('x', 'hub', '$default')).toHaveLength(1);
  });
});

it('leaves one file per partition and kind behind', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'checkpoints-'));
  const store = fileCheckpointStore(folder, systemClock);
  let etag: string | undefined;
  for (let i = 0; i < 5; i++) {
    await store.updateCheckpoint(checkpoint('0', i * 100));
    [{ etag } = { etag: undefined }] = await store.claimOwnership([claim('0', 'a', etag)]);
  }
  const files = await readdir(join(folder, 'localhost', 'hub', '%24default'));
  expect(files.sort()).toEqual(['0.checkpoint.400.json', '0.owner.5.json']);
});

it('does not win a claim that was won, renewed and removed while it stood still', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'checkpoints-'));
  const fast = fileCheckpointStore(folder, systemClock);
  const directory = join(folder, 'localhost', 'hub', '%24default');
  let standsStill = false;
  // Asked for between looking at the claims and making one.
  const epochMicros = () => {
    const owner = { ownerId: 'fast', lastModifiedTimeInMs: Date.now(), process: {} };
    if (standsStill) writeFileSync(join(directory, '0.owner.2.json'), JSON.stringify(owner));
    return systemClock.epochMicros();
  };
  const slow = fileCheckpointStore(folder, { ...systemClock, epochMicros });
  standsStill = true;
  expect(await slow.claimOwnership([claim('0', 'slow')])).toEqual([]);
  expect(await fast.listOwnership('localhost', 'Hub', '$Default')).toMatchObject([
    { ownerId: 'fast', etag: '2' },
  ]);
});

/** The contract of src/cosmos/document-store.ts in memory; every call yields first, so that races happen. */
function memoryDocuments<T extends StoreDocument>(): DocumentStore<T> {
  const byId = new Map<string, { document: T; etag: string }>();
  const key = (id: string, partitionKey: unknown) => `${String(partitionKey)}|${id}`;
  let version = 0;
  return {
    async create(document) {
      await Promise.resolve();
      const at = key(document.id, document['scope']);
      if (byId.has(at)) return undefined;
      version += 1;
      byId.set(at, { document, etag: String(version) });
      return byId.get(at);
    },
    async read(id, partitionKey) {
      await Promise.resolve();
      return byId.get(key(id, partitionKey));
    },
    async replace(document, partitionKey, etag) {
      await Promise.resolve();
      const at = key(document.id, partitionKey);
      if (byId.get(at)?.etag !== etag) return undefined;
      version += 1;
      byId.set(at, { document, etag: String(version) });
      return byId.get(at);
    },
    async delete(id, partitionKey) {
      await Promise.resolve();
      return byId.delete(key(id, partitionKey));
    },
    async list(partitionKey) {
      await Promise.resolve();
      return [...byId]
        .filter(([at]) => at.startsWith(`${String(partitionKey)}|`))
        .map(([, stored]) => stored);
    },
  };
}
