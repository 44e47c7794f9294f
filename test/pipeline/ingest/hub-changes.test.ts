import { expect, it } from 'vitest';
import type { HubState } from '../../../src/eventhubs/backlog.ts';
import type { PartitionState } from '../../../src/eventhubs/processor-position.ts';
import { followHub } from '../../../src/pipeline/ingest/followed-hub.ts';
import { watchHub } from '../../../src/pipeline/ingest/hub.ts';
import { hubChanges } from '../../../src/pipeline/ingest/hub-changes.ts';
import { PipeError } from '../../../src/util/errors.ts';
import { createVirtualClock } from '../../helpers/virtual-clock.ts';

const partition = (partitionId: string): PartitionState => ({
  partitionId,
  beginningSequenceNumber: 0,
  lastSequenceNumber: 9,
  lastOffset: '900',
  lastEnqueuedMs: 5_000,
  isEmpty: false,
});

const hubOf = (createdMs: number, ...ids: string[]): HubState => ({
  createdMs,
  partitions: ids.map(partition),
});

const beginning = { offset: '-1' };

it('reads partitions that came later from their first event, wherever the others started', () => {
  const hub = followHub(hubOf(1, '0', '1', '2'), { kind: 'latest' }, ['2']);
  expect(hub.positions).toEqual({ 0: { offset: '900' }, 1: { offset: '900' }, 2: beginning });
  const given = hub.positions;
  expect(hub.update(hubOf(1, '0', '1', '2', '3'))).toEqual(['3']);
  expect(hub.update(hubOf(1, '0', '1', '2', '3'))).toEqual([]);
  expect(given['3']).toEqual(beginning);
  expect(['0', '2', '3'].map((id) => hub.startOf(id).kind)).toEqual(['latest', 'earliest', 'earliest']);
  hub.replace(hubOf(2, '0'));
  expect(hub.positions).toEqual({ 0: beginning });
  expect(hub.startOf('0').kind).toBe('earliest');
});

function watched(first: HubState) {
  const clock = createVirtualClock();
  const ended = new AbortController();
  const answer: { now: HubState | Error } = { now: first };
  const read = async (): Promise<HubState> => {
    if (answer.now instanceof Error) throw answer.now;
    return answer.now;
  };
  const watch = watchHub({ read, close: async () => {} }, first, clock, ended.signal);
  const hub = followHub(first, { kind: 'earliest' }, []);
  const told: string[] = [];
  const change = hubChanges('telemetry', hub, watch, clock, (line) => told.push(line));
  const at = (ms: number) => clock.runUntil(() => clock.now() >= ms);
  return { answer, at, change, ended, hub, told };
}

it('tells once that a hub has grown, and that it was made anew', async () => {
  const { answer, at, change, ended, hub, told } = watched(hubOf(1, '0'));
  answer.now = hubOf(1, '0', '1');
  await at(6_000);
  expect(change()).toBeUndefined();
  expect(Object.keys(hub.positions)).toEqual(['0', '1']);
  await at(12_000);
  expect(change()).toBeUndefined();
  const other = hubOf(2, '0', '1');
  answer.now = other;
  await at(18_000);
  expect(change()).toEqual({ kind: 'replaced', by: other });
  expect(told).toEqual([
    'event hub telemetry has 2 partitions now; reading 1 from the first event',
    'event hub telemetry was made anew and the checkpoints are of the old one; starting at its first event',
  ]);
  ended.abort();
});

it('waits a minute for a hub that is not there, and not at all for one that cannot be asked', async () => {
  const { answer, at, change, ended, told } = watched(hubOf(1, '0'));
  answer.now = new PipeError('E_UNREACHABLE', 'cannot reach Event Hubs');
  await at(300_000);
  expect(change()).toBeUndefined();
  answer.now = new PipeError('E_NOT_FOUND', 'no event hub telemetry at contoso');
  await at(310_000);
  expect(change()).toBeUndefined();
  await at(350_000);
  expect(change()).toBeUndefined();
  expect(told).toEqual(['no event hub telemetry at contoso; waiting 60s for it to be made anew']);
  await at(375_000);
  expect(change()).toMatchObject({
    kind: 'gone',
    error: { code: 'E_NOT_FOUND', hint: expect.stringContaining('create telemetry again') },
  });
  ended.abort();
});
