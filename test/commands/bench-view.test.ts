import { expect, it } from 'vitest';
import { benchView } from '../../commands/bench-view.ts';
import type { StageSnapshot } from '../../src/metrics/stage-recorder.ts';
import type { BenchSnapshot } from '../../src/pipeline/bench/bench.ts';

function stage(name: string, done: number, latencyP99Ms: number): StageSnapshot {
  return {
    name,
    offered: done,
    done,
    sizeBytes: 0,
    failed: 0,
    throttled: 0,
    inFlight: 0,
    latencyP50Ms: latencyP99Ms / 2,
    latencyP99Ms,
  };
}

function at(seconds: number): BenchSnapshot {
  return {
    phase: 'running',
    elapsedMs: seconds * 1000,
    stages: [
      stage('produce', seconds * 2_000, 4),
      stage('ingest', seconds * 1_990, 48),
      stage('feed', seconds * 1_980, 0),
    ],
    acknowledged: seconds * 2_000,
    ru: {
      requestCharge: seconds * 22_000,
      throttled: 7,
      ranges: [
        { rangeId: '*', requestCharge: 20, throttled: 0 },
        { rangeId: '10', requestCharge: seconds * 25_000, throttled: seconds },
        { rangeId: '2', requestCharge: seconds * 12_500, throttled: 0 },
        { rangeId: '1', requestCharge: seconds * 25_000, throttled: 0 },
        { rangeId: '3', requestCharge: 0, throttled: 0 },
      ],
    },
    loopDelayMs: 3,
  };
}

it('shows rates of the last second, what each stage is behind, and the use of the container', () => {
  let seconds = 10;
  const view = benchView(() => at(seconds), { expectedEvents: 100_000, provisionedRuPerSecond: 100_000 });
  view.frame();
  seconds = 10.5;
  expect(view.frame().join('\n')).toMatchInlineSnapshot(`
    " running 00:10 [██████░░░░░░░░░░░░░░░░░░░░░░░░] 20%   20,790 of 100,000 events

     STAGE      DONE  OFFERED/S  DONE/S  BACKLOG    P50    P99  ERRORS
     produce  21,000      2,000   2,000        -  2.0ms  4.0ms       0
     ingest   20,895      1,990   1,990      105   24ms   48ms       0
     feed     20,790      1,980   1,980      105      -      -       0

     cosmos     22,000 RU/s of 100,000 (22.0%)   429s 7
     ranges     [█▄ !] hottest 10: 40% of the load
     generator  in flight 0   event loop p99 +3.0ms"
  `);
});

it('has a heartbeat of one line', () => {
  let seconds = 20;
  const view = benchView(() => at(seconds), {});
  view.heartbeat();
  seconds = 30;
  expect(view.heartbeat()).toMatchInlineSnapshot(
    `"00:30 running done 59,400, 1,980/s  backlog 600  e2e p99 -  429s 7  errors 0"`,
  );
});
