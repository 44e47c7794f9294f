import { expect, it } from 'vitest';
import type { ProcessSummary } from '../../src/metrics/process-monitor.ts';
import type { StageSummary } from '../../src/metrics/stage-recorder.ts';
import { driftOf, driftRows } from '../../src/report/drift.ts';
import { sampleReport, sampleStage } from './sample-report.ts';

const MINUTES = 20;
const SECONDS = MINUTES * 60;

interface Course {
  readonly seconds?: number;
  readonly offered?: (second: number) => number;
  readonly p99Ms?: (second: number) => number;
  readonly waiting?: (second: number) => number;
  readonly rss?: (second: number) => number;
}

/** Two stages and a process whose figures take the given course, by second. */
function soak(course: Course) {
  const {
    seconds = SECONDS,
    offered = () => 100,
    p99Ms = () => 50,
    waiting = () => 0,
    rss = () => 2e8,
  } = course;
  const all = (of: (second: number) => number) => Array.from({ length: seconds }, (_, second) => of(second));
  const stage = (name: string, done: readonly number[]): StageSummary => {
    const sample = sampleStage(name);
    return {
      ...sample,
      series: { ...sample.series, offered: all(offered), done, latencyP99Ms: all(p99Ms) },
    };
  };
  const late = (second: number): number => (second < 0 ? 0 : waiting(second));
  const done = all((second) => offered(second) + late(second - 1) - late(second));
  const process = sampleReport().process as ProcessSummary;
  return {
    stages: [stage('produce', all(offered)), stage('cache', done)],
    process: { ...process, rssSeries: { intervalMs: 1_000, bytes: all(rss) } },
  };
}

it('finds nothing in a run that stays as it is, however noisy', () => {
  const drift = driftOf(
    soak({
      p99Ms: (second) => 50 + (second % 7) * 40,
      waiting: (second) => (second % 5) * 50,
      rss: (second) => 2e8 + (second % 11) * 5e6,
    }),
  );
  expect(drift).toMatchObject({ growing: [], sentence: 'nothing grew' });
});

it('names memory that leaks, and by how much an hour', () => {
  const drift = driftOf(soak({ rss: (second) => 2e8 + second * 1e5 }));
  expect(drift?.growing).toEqual(['memory']);
  expect(drift?.memory?.perHour).toBeCloseTo(3.6e8, -5);
  // From the middle of the first quarter after the first tenth to the middle of the last quarter.
  expect(drift?.memory).toMatchObject({
    early: expect.closeTo(2.2545e8, -5),
    late: expect.closeTo(3.0645e8, -5),
  });
  expect(drift?.sentence).toBe('memory grew by 35.9%, 360.0 MB an hour, from quarter to quarter of the load');
});

it('names latency and backlog that rise', () => {
  const drift = driftOf(soak({ p99Ms: (second) => 20 + second / 5, waiting: (second) => 200 + second }));
  expect(drift?.growing).toEqual(['latency', 'backlog']);
  expect(drift?.sentence).toMatch(
    /^the p99 grew from 7\dms to 2\d\dms; the backlog grew from 45\d to 1,2\d\d events/,
  );
});

it('does not take a busy moment of the machine for a trend', () => {
  const busy = (second: number) => (second > SECONDS * 0.3 && second < SECONDS * 0.5 ? 900 : 50);
  expect(driftOf(soak({ p99Ms: busy }))?.growing).toEqual([]);
  const late = (second: number) => (second > SECONDS * 0.8 ? 300 : busy(second));
  expect(driftOf(soak({ p99Ms: late }))).toMatchObject({
    growing: [],
    sentence: 'nothing grew; the p99 ended higher without rising steadily, as on a busy machine',
  });
});

it('takes a few megabytes or milliseconds for noise, however large a share they are', () => {
  const small = soak({
    rss: (second) => 4e7 + second * 1e4,
    p99Ms: (second) => 5 + second / 100,
    waiting: (second) => 10 + second / 20,
  });
  expect(driftOf(small)?.growing).toEqual([]);
});

it('leaves out how a process settles', () => {
  const settling = (second: number) => (second < SECONDS * 0.1 ? 1e8 : 3e8);
  expect(driftOf(soak({ rss: settling }))).toMatchObject({ growing: [], memory: { change: 0 } });
});

it('forecasts no hour from two minutes, in which a heap still settles', () => {
  const drift = driftOf(soak({ seconds: 120, rss: (second) => 2e8 + second * 4e5 }));
  expect(drift?.growing).toEqual([]);
  expect(drift?.memory?.perHour).toBeUndefined();
  expect(driftOf(soak({ seconds: 120, rss: (second) => 2e8 + second * 2e6 }))?.growing).toEqual(['memory']);
});

it('says nothing of short loads, and of those that are meant to change', () => {
  expect(driftOf(soak({ seconds: 59 }))).toBeUndefined();
  expect(driftOf(soak({ seconds: 60 }))).toBeDefined();
  expect(driftOf(soak({ offered: (second) => 100 + second }))).toBeUndefined();
  expect(driftOf({ stages: [] })).toBeUndefined();
});

it('has a row for each figure', () => {
  const drift = driftOf(soak({ rss: (second) => 2e8 + second * 1e5 }));
  expect(drift && driftRows(drift)).toMatchInlineSnapshot(`
    [
      [
        "memory",
        "225.4 MB",
        "306.4 MB",
        "+35.9%",
        "360.0 MB an hour",
      ],
      [
        "end to end p99",
        "50ms",
        "50ms",
        "+0.0%",
        "",
      ],
      [
        "backlog",
        "0",
        "0",
        "",
        "",
      ],
    ]
  `);
});
