import { expect, it } from 'vitest';
import type { GridEvent } from '../../../src/eventgrid/event.ts';
import { ingestMilestones } from '../../../src/pipeline/ingest/milestones.ts';
import type { IngestProgress, IngestResult } from '../../../src/pipeline/ingest/types.ts';
import { createVirtualClock } from '../../helpers/virtual-clock.ts';

function progress(stored: number): IngestProgress {
  return {
    elapsedMs: 10.4,
    totals: { stored },
    partitions: [
      { owner: 'ingest-1', lagEvents: 3 },
      { owner: 'ingest-1', lagEvents: 4 },
      { owner: undefined },
    ],
  } as never;
}

function milestones(fail = false) {
  const events: GridEvent[] = [];
  const problems: string[] = [];
  const used = { throttled: 0, requestCharge: 12 };
  const told = ingestMilestones({
    publisher: {
      async publish(given) {
        if (fail) throw new Error('nobody there');
        events.push(...given);
      },
      totals: () => ({ published: 0, requests: 0, sizeBytes: 0, retried: 0, throttled: 0 }),
    },
    ownerId: 'ingest-1',
    container: 'pipeline/events',
    every: 100,
    clock: createVirtualClock(),
    usage: () => used,
    onProblem: (message) => problems.push(message),
  });
  return { events, problems, told, used };
}

const kinds = (events: readonly GridEvent[]): string[] => events.map(({ type }) => type.split('.')[2] ?? '');

it('tells start, each milestone once, and the end, in order and with figures', async () => {
  const { events, told } = milestones();
  told.started();
  for (const stored of [50, 100, 130, 420, 430]) told.progress(progress(stored));
  told.completed({ stored: 430, ended: 'drained' } as IngestResult);
  await told.close();
  expect(kinds(events)).toEqual(['Started', 'Milestone', 'Milestone', 'Completed']);
  expect(events[2]?.data).toEqual({
    milestone: 400,
    stored: 420,
    elapsedMs: 10,
    lagEvents: 7,
    throttled: 0,
    requestCharge: 12,
  });
  expect(new Set(events.map(({ id }) => id)).size).toBe(4);
  expect(events[0]).toMatchObject({
    source: '/cosmos-pipe/ingest/ingest-1',
    subject: '/containers/pipeline/events',
  });
});

it('tells of throttling when it begins, not while it lasts', async () => {
  const { events, told, used } = milestones();
  for (const throttled of [0, 5, 9, 9, 12]) {
    used.throttled = throttled;
    told.progress(progress(1));
  }
  await told.close();
  expect(kinds(events)).toEqual(['Throttled', 'Throttled']);
});

it('does not disturb the run when the topic is away', async () => {
  const { problems, told } = milestones(true);
  told.started();
  told.failed(new Error('out of disk'));
  await told.close();
  expect(problems).toEqual([
    'CosmosPipe.Ingest.Started was not published: nobody there',
    'CosmosPipe.Ingest.Failed was not published: nobody there',
  ]);
});

it('is not held back at the end by a topic that never answers', async () => {
  const problems: string[] = [];
  const clock = createVirtualClock();
  const told = ingestMilestones({
    publisher: { publish: () => new Promise(() => {}) } as never,
    ownerId: 'ingest-1',
    container: 'pipeline/events',
    every: 100,
    clock,
    usage: () => ({ throttled: 0, requestCharge: 0 }),
    onProblem: (message) => problems.push(message),
  });
  told.started();
  let closed = false;
  const closing = told.close().then(() => {
    closed = true;
  });
  await clock.runUntil(() => closed, 20_000);
  await closing;
  expect(problems).toEqual([expect.stringContaining('did not answer in time')]);
});
