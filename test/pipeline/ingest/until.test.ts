import { describe, expect, it } from 'vitest';
import { lagOf } from '../../../src/eventhubs/backlog.ts';
import type { PartitionState } from '../../../src/eventhubs/processor-position.ts';
import { drainTargets, staleCheckpoints, undrained } from '../../../src/pipeline/ingest/until.ts';

const partition = (
  partitionId: string,
  first: number,
  last: number,
  isEmpty = last < first,
): PartitionState => ({
  partitionId,
  beginningSequenceNumber: first,
  lastSequenceNumber: last,
  lastOffset: String(last),
  lastEnqueuedMs: 1_000,
  isEmpty,
});
const checkpoint = (partitionId: string, sequenceNumber: number, hubCreatedMs?: number) => ({
  fullyQualifiedNamespace: 'n',
  eventHubName: 'h',
  consumerGroup: 'g',
  partitionId,
  sequenceNumber,
  offset: '',
  ...(hubCreatedMs === undefined ? {} : { hubCreatedMs }),
});

describe('drainTargets', () => {
  it('waits for the last event of every partition that has something left', () => {
    const partitions = [
      partition('0', 0, 9),
      partition('1', 0, -1),
      partition('2', 0, 4),
      partition('3', 8, 7),
    ];
    expect([...drainTargets(partitions, [checkpoint('2', 4)], { kind: 'earliest' })]).toEqual([['0', 9]]);
  });

  it('has nothing to wait for where the start position is behind the last event', () => {
    const partitions = [partition('0', 0, 9)];
    expect(drainTargets(partitions, [], { kind: 'latest' }).size).toBe(0);
    expect(drainTargets(partitions, [], { kind: 'sequence', sequenceNumber: 10 }).size).toBe(0);
    expect(drainTargets(partitions, [], { kind: 'sequence', sequenceNumber: 9 }).size).toBe(1);
    expect(drainTargets(partitions, [], { kind: 'time', epochMs: 1_000 }).size).toBe(0);
    expect(drainTargets(partitions, [], { kind: 'time', epochMs: 999 }).size).toBe(1);
  });

  it('is reached when every partition is durable up to its target', () => {
    const targets = new Map([
      ['0', 9],
      ['1', 3],
    ]);
    expect(undrained(targets, (id) => (id === '0' ? 9 : 2))).toEqual(['1']);
    expect(undrained(targets, () => undefined)).toEqual(['0', '1']);
    expect(undrained(targets, () => 9)).toEqual([]);
  });
});

describe('staleCheckpoints', () => {
  const hub = { createdMs: 50_000, partitions: [partition('0', 0, 9), partition('1', 0, 9)] };

  it('finds checkpoints beyond the end of a hub, and of a hub that was created at another time', () => {
    const found = staleCheckpoints(hub, [
      checkpoint('0', 10),
      checkpoint('1', 9, 50_000),
      checkpoint('1', 3, 10_000),
      checkpoint('0', 9),
    ]);
    expect(found.map((entry) => [entry.partitionId, entry.sequenceNumber])).toEqual([
      ['0', 10],
      ['1', 3],
    ]);
  });
});

it('counts as lag only what the partition still holds', () => {
  expect(lagOf(partition('0', 0, 9), -1)).toBe(10);
  expect(lagOf(partition('0', 5, 9), -1)).toBe(5);
  expect(lagOf(partition('0', 5, 9), 7)).toBe(2);
  expect(lagOf(partition('0', 5, 9), 12)).toBe(0);
  expect(lagOf(partition('0', 10, 9), -1)).toBe(0);
});
