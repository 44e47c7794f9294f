import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { partitionForKey, partitionForKeyBytes } from '../../src/hashing/partition-for-key.ts';

interface Mapper {
  mapPartitionKeyToId(partitionKey: string, partitionCount: number): number;
}

/** The SDK's own mapping, which its exports hide. */
async function sdkMapper(): Promise<Mapper> {
  const manifest = createRequire(import.meta.url).resolve('@azure/event-hubs/package.json');
  expect(JSON.parse(readFileSync(manifest, 'utf8')).version).toBe('6.0.4');
  const path = join(dirname(manifest), 'dist/esm/impl/partitionKeyToIdMapper.js');
  return (await import(pathToFileURL(path).href)) as Mapper;
}

it('chooses the same partition as the SDK for any key and partition count', async () => {
  const sdk = await sdkMapper();
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.integer({ min: 1, max: 1024 }),
      (key, count) => {
        expect(partitionForKey(key, count)).toBe(sdk.mapPartitionKeyToId(key, count));
      },
    ),
    { numRuns: 5_000 },
  );
});

it('agrees with the SDK at every key length around the 12-byte blocks', async () => {
  const sdk = await sdkMapper();
  for (let length = 0; length <= 50; length++) {
    const key = 'contoso-device-id-000154-contoso-device-id-000154-x'.slice(0, length);
    expect(partitionForKey(key, 32), key).toBe(sdk.mapPartitionKeyToId(key, 32));
    expect(partitionForKeyBytes(Buffer.from(key), 32)).toBe(partitionForKey(key, 32));
  }
});
