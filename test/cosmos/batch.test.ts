import { expect, it } from 'vitest';
import type { WriteOperation } from '../../src/cosmos/write-operation.ts';
import { encodeBatch, RequestMemory, takeBatch } from '../../src/cosmos/writer/batch.ts';
import { KeyDirectory } from '../../src/cosmos/writer/key-directory.ts';
import { appendPending, createRangeLane, pushReady } from '../../src/cosmos/writer/lanes.ts';

/** A range whose keys have so many operations waiting. */
function queue(counts: Readonly<Record<string, number>>) {
  const range = createRangeLane('0', { maxRequests: 1, maxOperations: 100 }, undefined, 0);
  const keys = new KeyDirectory({ minInclusive: [''], lanes: [range] }, () => '');
  for (const [key, count] of Object.entries(counts)) {
    const lane = keys.laneOf(key);
    for (let i = 0; i < count; i++)
      appendPending(lane, {
        operation: { kind: 'upsert', id: `${key}${i}`, partitionKey: key, body: '{}' },
        settled: () => {},
        fence: undefined,
        lane,
        bodyBytes: 2,
        acceptedAt: 0,
        attempts: 0,
        companyLimit: 100,
        unsure: false,
        next: undefined,
      });
    pushReady(lane);
  }
  const take = (maxOperations: number) =>
    takeBatch(range, { maxOperations, maxBytes: 100_000 }).operations.map(({ operation }) => operation.id);
  return { range, take };
}

it('lets every key have its share of a request before any key has more', () => {
  expect(queue({ a: 9, b: 9, c: 9, d: 9 }).take(4)).toEqual(['a0', 'b0', 'c0', 'd0']);
  expect(queue({ a: 9, b: 9 }).take(4)).toEqual(['a0', 'a1', 'b0', 'b1']);
});

it('gives the room that others leave to a key that has more, in its order', () => {
  expect(queue({ a: 9, b: 1, c: 1 }).take(9)).toEqual(['a0', 'a1', 'a2', 'b0', 'c0', 'a3', 'a4', 'a5', 'a6']);
  expect(queue({ a: 200 }).take(100)).toHaveLength(100);
});

it('takes one operation of each key while refusals are frequent', () => {
  const { range, take } = queue({ a: 9, b: 9 });
  range.distinctKeys = 1;
  expect(take(10)).toEqual(['a0', 'b0']);
});

/** Text of a request with these operations, whose bodies may come in two parts. */
function encoded(operations: readonly WriteOperation[], memory = new RequestMemory()): Buffer {
  const range = createRangeLane('0', { maxRequests: 1, maxOperations: 100 }, undefined, 0);
  const keys = new KeyDirectory({ minInclusive: [''], lanes: [range] }, () => '');
  const pending = operations.map((operation) => ({
    operation,
    settled: () => {},
    fence: undefined,
    lane: keys.laneOf(operation.partitionKey),
    bodyBytes: Buffer.byteLength(operation.body) + (operation.bodyStart?.length ?? 0),
    acceptedAt: 0,
    attempts: 0,
    companyLimit: 100,
    unsure: false,
    next: undefined,
  }));
  return encodeBatch(pending, memory);
}

it('writes every kind of operation as the service reads it, in UTF-8', () => {
  const key = 'k\u00e4"y';
  const partitionKey = JSON.stringify([key]);
  const bytes = encoded([
    {
      kind: 'upsert',
      id: '1',
      partitionKey: key,
      body: '"id":"1"}',
      bodyStart: Buffer.from('{"t":"\u00e9",'),
    },
    { kind: 'create', id: '2', partitionKey: key, body: '{"id":"2","t":"\u20ac"}' },
    { kind: 'replace', id: '3', partitionKey: key, body: '{"id":"3"}', ifMatch: '"e"' },
    { kind: 'patch', id: '4', partitionKey: key, body: '{"operations":[]}' },
    { kind: 'delete', id: '5', partitionKey: key, body: '' },
  ]);
  expect(JSON.parse(bytes.toString())).toEqual([
    { operationType: 'Upsert', partitionKey, resourceBody: { t: '\u00e9', id: '1' } },
    { operationType: 'Create', partitionKey, resourceBody: { id: '2', t: '\u20ac' } },
    { operationType: 'Replace', partitionKey, id: '3', ifMatch: '"e"', resourceBody: { id: '3' } },
    { operationType: 'Patch', partitionKey, id: '4', resourceBody: { operations: [] } },
    { operationType: 'Delete', partitionKey, id: '5' },
  ]);
});

it('uses the memory of a request again only after it was given back', () => {
  const memory = new RequestMemory();
  const write = (id: string) =>
    encoded([{ kind: 'upsert', id, partitionKey: 'k', body: `{"id":"${id}"}` }], memory);
  const first = write('1');
  const second = write('2');
  expect(second.buffer).not.toBe(first.buffer);
  memory.giveBack(first);
  const third = write('3');
  expect(third.buffer).toBe(first.buffer);
  expect(write('4').buffer).not.toBe(third.buffer);
  expect(second.toString()).toContain('{"id":"2"}');
});
