import { expect, it } from 'vitest';
import type { WriteOperation } from '../../src/cosmos/write-operation.ts';
import { WriterEngine } from '../../src/cosmos/writer/engine.ts';
import type { BulkTransport } from '../../src/cosmos/writer/wire.ts';
import { seededRandom } from '../../src/util/random.ts';
import { createVirtualClock } from '../helpers/virtual-clock.ts';

const BODY_BYTES = 100;
/** As many bodies in one piece of memory as come in one read of a socket. */
const IN_ONE_READ = 60;

/** Operations whose bodies came together, one of each read for the key of `slow`. */
function* operations(): Generator<WriteOperation & { readonly bodyStart: Uint8Array }> {
  for (let read = 0; ; read++) {
    const bytes = Buffer.alloc(IN_ONE_READ * BODY_BYTES, 'x');
    for (let i = 0; i < IN_ONE_READ; i++) {
      const id = `${read}-${i}`;
      bytes.write(id, i * BODY_BYTES);
      const bodyStart = bytes.subarray(i * BODY_BYTES, (i + 1) * BODY_BYTES);
      yield { kind: 'upsert', id, partitionKey: i === 0 ? 'slow' : 'fast', body: '}', bodyStart };
    }
  }
}

it('holds no more memory than twice its buffer, though one range stands still that has a part of every read', async () => {
  const clock = createVirtualClock();
  const maxBufferedBytes = 100_000;
  const transport: BulkTransport = {
    ranges: async () => [],
    send: async ({ rangeId, operationCount }) => {
      await clock.sleep(rangeId === '1' ? 1_000_000 : 2);
      return {
        replies: Array.from({ length: operationCount }, () => ({ statusCode: 201, requestCharge: 1 })),
      };
    },
  };
  const writer = new WriterEngine({
    transport,
    ranges: [
      { id: '0', minInclusive: '' },
      { id: '1', minInclusive: '80' },
    ],
    hash: ([key]) => (key === 'slow' ? '90' : '10'),
    clock,
    random: seededRandom(1),
    maxWaitMs: 20,
    maxBufferedBytes,
    maxOperations: 100,
    maxRequestBytes: 200_000,
    maxRequests: 8,
    maxRequestsPerRange: 4,
    giveUpMs: 10_000_000,
  });
  const waiting = new Set<WriteOperation>();
  const memory = () => {
    const buffers = new Set([...waiting].map(({ bodyStart }) => bodyStart?.buffer));
    return [...buffers].reduce((sum, buffer) => sum + (buffer?.byteLength ?? 0), 0);
  };
  let greatest = 0;
  const offering = async (): Promise<void> => {
    let offered = 0;
    for (const operation of operations()) {
      if (++offered > 9_000) return;
      waiting.add(operation);
      expect(writer.write(operation, () => waiting.delete(operation))).toBeUndefined();
      if (offered % IN_ONE_READ !== 0) continue;
      await clock.sleep(10);
      greatest = Math.max(greatest, memory());
    }
  };
  let done = false;
  const offered = offering().finally(() => {
    done = true;
  });
  await clock.runUntil(() => done);
  await offered;
  const slow = [...waiting].filter(({ partitionKey }) => partitionKey === 'slow');
  expect(slow).toHaveLength(150);
  // Without copies each of them would hold the 6,000 bytes of its read.
  expect(greatest).toBeLessThan(2 * maxBufferedBytes);
  for (const { id, bodyStart } of slow) {
    expect(bodyStart).toHaveLength(BODY_BYTES);
    expect(`${Buffer.from(bodyStart as Uint8Array)}`.startsWith(`${id}x`)).toBe(true);
  }
});
