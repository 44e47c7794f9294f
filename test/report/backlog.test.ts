import { describe, expect, it } from 'vitest';
import type { StageSummary } from '../../src/metrics/stage-recorder.ts';
import { backlogOf, backlogSummary, drainText } from '../../src/report/backlog.ts';
import { sampleReport, sampleStage } from './sample-report.ts';

/** A stage that began so long after the others and finished this in each of its slots. */
function stage(done: readonly number[], { afterMs = 0, intervalMs = 1_000 } = {}): StageSummary {
  const { series, ...sample } = sampleStage('feed');
  return {
    ...sample,
    startedMicros: sample.startedMicros + afterMs * 1_000,
    series: { ...series, intervalMs, offered: [100, 100, 100], done },
  };
}

describe('the backlog', () => {
  it('is what was due and is not through', () => {
    expect(backlogOf({ stages: [stage([100, 100, 100]), stage([50, 100, 150])] }).values).toEqual([
      50, 50, 0,
    ]);
  });

  it('is never less than nothing, whichever clock was ahead', () => {
    expect(backlogOf({ stages: [stage([]), stage([150, 100, 50])] }).values).toEqual([0, 0, 0]);
  });

  it('shares out the slots of a stage that has wider ones, or that began later', () => {
    const wide = stage([100, 200], { intervalMs: 2_000 });
    expect(backlogOf({ stages: [stage([100, 100, 100]), wide] }).values).toEqual([50, 100, 100, 0]);
    const late = stage([100, 200], { afterMs: 500 });
    expect(backlogOf({ stages: [stage([100, 100, 100]), late] }).values).toEqual([50, 0, 0]);
  });

  it('is gone so long after the end of the schedule', () => {
    const { stages } = sampleReport();
    const load = {
      requestedEvents: 10_000,
      requestedPerSecond: 1_000,
      achievedPerSecond: 1_000,
      sent: 10_000,
      dropped: 0,
      late: 0,
    };
    expect(backlogSummary({ stages, durationMs: 10_250, load })?.drainMs).toBe(250);
    expect(backlogSummary({ stages, durationMs: 9_000, load })?.drainMs).toBe(0);
    expect(backlogSummary({ stages, durationMs: 9_000 })).not.toHaveProperty('drainMs');
    expect(backlogSummary({ stages: stages.slice(0, 1) })).toBeUndefined();
    expect(drainText({ maxEvents: 0, drainMs: 0 })).toBe('gone with the load');
    expect(drainText({ maxEvents: 0, drainMs: 250 })).toBe('gone 250ms after the load');
    expect(drainText({ maxEvents: 0 })).toBeUndefined();
  });
});
