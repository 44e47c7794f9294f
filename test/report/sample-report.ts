import { createRuRecorder } from '../../src/metrics/ru-recorder.ts';
import { createStageRecorder, type StageSummary } from '../../src/metrics/stage-recorder.ts';
import { Ledger } from '../../src/pipeline/verify/ledger.ts';
import { createVerifier } from '../../src/pipeline/verify/verify.ts';
import { findBottleneck } from '../../src/report/bottleneck.ts';
import type { RunReport } from '../../src/report/run-report.ts';
import { evaluateThresholds, parseThreshold } from '../../src/report/thresholds.ts';
import type { Clock } from '../../src/util/clock.ts';

const START_MS = Date.UTC(2026, 10, 23, 1, 2, 3);

function secondsClock(): Clock & { seconds: number } {
  return {
    seconds: 0,
    now() {
      return this.seconds * 1000;
    },
    epochMicros() {
      return (START_MS + this.seconds * 1000) * 1000;
    },
    sleep: () => Promise.resolve(),
  };
}

export interface StageShape {
  readonly latencyMs?: number;
  /** Finished per second; what is missing of the offered comes after the load. */
  readonly perSecond?: number;
  readonly throttled?: number;
}

/** A stage that was offered 1,000 events/s for ten seconds. */
export function sampleStage(name: string, shape: StageShape = {}): StageSummary {
  const { latencyMs = 10, perSecond = 1_000, throttled = 0 } = shape;
  const clock = secondsClock();
  const stage = createStageRecorder(name, { clock });
  for (let left = 10_000; left > 0; clock.seconds += 1) {
    const done = Math.min(perSecond, left);
    if (clock.seconds < 10) stage.offered(1_000);
    for (let event = 0; event < done; event += 10) stage.latency(latencyMs * (1_000 + event), 10);
    stage.done(done, done * 900);
    left -= done;
  }
  if (throttled > 0) stage.throttled(throttled);
  return stage.summary();
}

/** A complete report with one lost event, one crossed threshold and every optional member. */
export function sampleReport(overrides: Partial<RunReport> = {}): RunReport {
  const stages = [
    sampleStage('produce', { latencyMs: 5 }),
    sampleStage('ingest', { latencyMs: 40 }),
    sampleStage('feed', { latencyMs: 60 }),
  ];
  const clock = secondsClock();
  const recorder = createRuRecorder({ clock });
  for (; clock.seconds < 10; clock.seconds += 1) {
    recorder.charge('upsert', '0', 4_000, 600);
    recorder.charge('upsert', '1', 3_000, 400);
  }
  const ru = { ...recorder.summary(), provisionedPerSecond: 10_000, perWrite: 7 };
  const ledger = new Ledger('run-1');
  ledger.acknowledged('device-7', 0, 9_999);
  const verifier = createVerifier({ ledgers: new Map([['run-1', ledger]]), places: ['store', 'feed'] });
  for (let sequence = 0; sequence < 10_000; sequence += 1) {
    const event = { run: 'run-1', key: 'device-7', sequence, id: `e${sequence}` };
    verifier.observe('store', event);
    if (sequence !== 41) verifier.observe('feed', event);
  }
  const bottleneck = findBottleneck(stages, ru);
  const report: RunReport = {
    schemaVersion: 1,
    kind: 'bench',
    toolVersion: '0.1.0',
    run: 'run-1',
    title: '10,000 events at 1,000 events/s',
    startedAt: new Date(START_MS).toISOString(),
    durationMs: 10_250,
    valid: true,
    doubts: [],
    environment: {
      node: 'v20.20.2',
      platform: 'linux x64',
      cpuModel: 'Test CPU <&>',
      cpuCount: 2,
      memoryBytes: 8e9,
      ci: true,
      commit: 'abc123',
    },
    config: { rate: 1_000 },
    load: {
      requestedEvents: 10_000,
      requestedPerSecond: 1_000,
      achievedPerSecond: 1_000,
      sent: 10_000,
      dropped: 0,
      late: 0,
      hottestKey: { key: 'device-7', events: 10_000 },
    },
    stages,
    endToEnd: (stages[2] as StageSummary).latency,
    ru,
    verdict: verifier.verdict(),
    thresholds: [],
    ...(bottleneck && { bottleneck }),
    process: {
      eventLoopDelayP50Ms: 0.1,
      eventLoopDelayP99Ms: 4.2,
      eventLoopDelayMaxMs: 20,
      cpuUserMs: 5_000,
      cpuSystemMs: 500,
      rssMaxBytes: 2e8,
    },
    ...overrides,
  };
  const thresholds = ['e2e_latency:p(99)<250ms', 'lost_events:count==0'].map(parseThreshold);
  return { ...report, thresholds: evaluateThresholds(report, thresholds) };
}
