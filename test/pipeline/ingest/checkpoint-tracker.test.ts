import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointTracker } from '../../../src/pipeline/ingest/checkpoint-tracker.ts';

describe('CheckpointTracker', () => {
  it('stays in front of the first event that is not settled', () => {
    const tracker = new CheckpointTracker();
    const tickets = [10, 11, 12].map((sequence) => tracker.add(sequence, `o${sequence}`, sequence * 100));
    expect(tracker.settle(tickets[2] as number)).toBe(0);
    expect(tracker.durable).toBeUndefined();
    expect(tracker.settle(tickets[0] as number)).toBe(1);
    expect(tracker.durable).toEqual({ sequenceNumber: 10, offset: 'o10', enqueuedMs: 1_000 });
    expect(tracker.settle(tickets[1] as number)).toBe(2);
    expect(tracker.durable).toEqual({ sequenceNumber: 12, offset: 'o12', enqueuedMs: 1_200 });
    expect(tracker.size).toBe(0);
  });

  it('does not move backwards when a broken link delivers events again', () => {
    const tracker = new CheckpointTracker();
    for (const sequence of [5, 6, 7]) tracker.settle(tracker.add(sequence, String(sequence), 0));
    tracker.settle(tracker.add(6, '6', 0));
    expect(tracker.durable?.sequenceNumber).toBe(7);
    tracker.settle(tracker.add(8, '8', 0));
    expect(tracker.durable?.sequenceNumber).toBe(8);
  });

  it('agrees with a list of flags whatever the order of settling, redelivery and ring growth', () => {
    const scenario = fc.array(
      fc.oneof(
        { weight: 3, arbitrary: fc.record({ add: fc.integer({ min: 1, max: 600 }) }) },
        { weight: 3, arbitrary: fc.record({ settle: fc.array(fc.nat(), { maxLength: 700 }) }) },
        { weight: 1, arbitrary: fc.record({ redeliver: fc.integer({ min: 1, max: 50 }) }) },
      ),
      { maxLength: 14 },
    );
    fc.assert(
      fc.property(scenario, (steps) => {
        const tracker = new CheckpointTracker();
        const model: { sequence: number; settled: boolean }[] = [];
        let next = 0;
        let before = -1;
        for (const step of steps) {
          if ('redeliver' in step) next = Math.max(0, next - step.redeliver);
          if ('add' in step)
            for (let i = 0; i < step.add; i++) {
              expect(tracker.add(next, `o${next}`, next)).toBe(model.length);
              model.push({ sequence: next++, settled: false });
            }
          if ('settle' in step && model.length > 0)
            for (const pick of step.settle) {
              const entry = model[pick % model.length] as (typeof model)[number];
              if (entry.settled) continue;
              entry.settled = true;
              tracker.settle(pick % model.length);
            }
          const firstOpen = model.findIndex((entry) => !entry.settled);
          const prefix = firstOpen < 0 ? model : model.slice(0, firstOpen);
          const expected =
            prefix.length === 0 ? undefined : Math.max(...prefix.map((entry) => entry.sequence));
          expect(tracker.durable?.sequenceNumber).toBe(expected);
          expect(tracker.durable?.offset).toBe(expected === undefined ? undefined : `o${expected}`);
          expect(tracker.size).toBe(model.length - prefix.length);
          expect(expected ?? -1).toBeGreaterThanOrEqual(before);
          before = expected ?? -1;
        }
      }),
      { numRuns: 150 },
    );
  });
});
