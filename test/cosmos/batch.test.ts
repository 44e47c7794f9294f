import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { WriteOperation } from '../../src/cosmos/write-operation.ts';
import { encodeBatch, RequestMemory, takeBatch } from '../../src/cosmos/writer/batch.ts';
import { KeyDirectory } from '../../src/cosmos/writer/key-directory.ts';
import {
  appendPending,
  createRangeLane,
  type KeyLane,
  type Pending,
  prependPending,
  pushReady,
  shiftReady,
} from '../../src/cosmos/writer/lanes.ts';

/** A range in which an operation waits per letter, the letter its key; taken operations are named `a0`, `a1`, ... */
function queue(accepted: string) {
  const range = createRangeLane('0', { maxRequests: 1, maxOperations: 100 }, undefined, 0);
  const keys = new KeyDirectory({ minInclusive: [''], lanes: [range] }, () => '');
  for (const [turn, key] of [...accepted].entries()) {
    const lane = keys.laneOf(key);
    appendPending(
      lane,
      pending({ kind: 'upsert', id: `${key}${lane.count}`, partitionKey: key, body: '{}' }, lane, turn),
    );
    if (lane.state === 'idle') pushReady(lane);
  }
  const take = (maxOperations: number) => takeBatch(range, { maxOperations, maxBytes: 100_000 });
  const ids = (maxOperations: number) => take(maxOperations).operations.map(({ operation }) => operation.id);
  return { range, take, ids };
}

function pending(operation: WriteOperation, lane: KeyLane, turn: number): Pending {
  return {
    operation,
    settled: () => {},
    fence: undefined,
    lane,
    bodyBytes: Buffer.byteLength(operation.body) + (operation.bodyStart?.length ?? 0),
    acceptedAt: 0,
    turn,
    attempts: 0,
    companyLimit: 100,
    unsure: false,
    next: undefined,
  };
}

it('takes what was accepted first, whatever its key', () => {
  const { ids } = queue('aabacbaca');
  expect(ids(6)).toEqual(['a0', 'a1', 'b0', 'a2', 'c0', 'b1']);
  expect(queue('a'.repeat(200)).ids(100)).toHaveLength(100);
});

it('passes over keys that a request is on its way with', () => {
  const { ids } = queue('aabacbd');
  ids(2);
  expect(ids(9)).toEqual(['b0', 'c0', 'b1', 'd0']);
});

it('has what travels again before everything that was accepted later', () => {
  const { range, ids, take } = queue('abcabc');
  const { operations, lanes } = take(2);
  for (const operation of operations.toReversed()) prependPending(operation.lane, operation);
  for (const lane of lanes) pushReady(lane);
  expect(range.readyCount).toBe(6);
  expect(ids(6)).toEqual(['a0', 'b0', 'c0', 'a1', 'b1', 'c1']);
});

it('takes one operation of each key while refusals are frequent', () => {
  const { range, ids } = queue('aaabaab');
  range.distinctKeys = 1;
  expect(ids(10)).toEqual(['a0', 'b0']);
});

it('takes any number of keys by the turns of their operations', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'abcdefghijkl'), maxLength: 60 }),
      fc.integer({ min: 1, max: 20 }),
      (accepted, size) => {
        const { range, take } = queue(accepted);
        const taken = take(size).operations.map(({ turn }) => turn);
        expect(taken).toEqual(Array.from({ length: Math.min(size, accepted.length) }, (_, turn) => turn));
        const left = [];
        for (let lane = shiftReady(range); lane !== undefined; lane = shiftReady(range))
          left.push(lane.head?.turn);
        expect(left).toEqual(left.toSorted((a, b) => Number(a) - Number(b)));
        expect(range.readyCount).toBe(0);
      },
    ),
  );
});

/** Text of a request with these operations, whose bodies may come in two parts. */
function encoded(operations: readonly WriteOperation[], memory = new RequestMemory()): Buffer {
  const range = createRangeLane('0', { maxRequests: 1, maxOperations: 100 }, undefined, 0);
  const keys = new KeyDirectory({ minInclusive: [''], lanes: [range] }, () => '');
  const all = operations.map((operation, turn) =>
    pending(operation, keys.laneOf(operation.partitionKey), turn),
  );
  return encodeBatch(all, memory);
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
