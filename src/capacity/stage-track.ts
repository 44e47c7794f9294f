import { createStageRecorder, type StageSummary } from '../metrics/stage-recorder.ts';
import type { Clock } from '../util/clock.ts';
import type { BaseLatency, StageName } from './simulation-model.ts';
import { wholes } from './wholes.ts';

/**
 * Normal quantiles in the middle of ten equal parts, the last part split so that the tail is there. The rare ones come first:
 * where a step has few events, whole events of them must not be displaced by those of the middle; what finds no event in its
 * step is owed to the next one.
 */
const SPREAD: readonly (readonly [share: number, normal: number])[] = [
  [0.001, 3.29],
  [0.004, 2.65],
  [0.015, 2.17],
  [0.08, 1.555],
  [0.1, 1.036],
  [0.1, 0.674],
  [0.1, 0.385],
  [0.1, -1.645],
  [0.1, -1.036],
  [0.1, -0.674],
  [0.1, -0.385],
  [0.2, 0],
];
const NORMAL_P99 = 2.326;
const MICROS = 1_000;

/** Feeds whole events of a fluid into the recorder that real runs use, so that both give the same report. */
export interface StageTrack {
  offered(events: number): void;
  done(events: number, eventBytes: number): void;
  throttled(events: number): void;
  /** `queuedMs`: time lost in queues, on top of the latency that the stage always has. */
  latency(events: number, queuedMs: number): void;
  summary(): StageSummary;
}

export function createStageTrack(name: StageName, base: BaseLatency, clock: Clock): StageTrack {
  const recorder = createStageRecorder(name, { clock });
  const sigma = Math.log(Math.max(1, base.p99Ms / base.p50Ms)) / NORMAL_P99;
  const spread = SPREAD.map(([share, normal]) => ({
    share,
    micros: base.p50Ms * Math.exp(sigma * normal) * MICROS,
    whole: wholes(),
    owed: 0,
  }));
  const [offered, done, throttled, measured] = [wholes(), wholes(), wholes(), wholes()];
  return {
    offered(events) {
      const count = offered(events);
      if (count > 0) recorder.offered(count);
    },
    done(events, eventBytes) {
      const count = done(events);
      if (count > 0) recorder.done(count, count * eventBytes);
    },
    throttled(events) {
      const count = throttled(events);
      if (count > 0) recorder.throttled(count);
    },
    latency(events, queuedMs) {
      let left = measured(events);
      if (queuedMs <= base.p99Ms) {
        for (const part of spread) {
          part.owed += part.whole(events * part.share);
          const count = Math.min(left, part.owed);
          if (count > 0) recorder.latency(part.micros + queuedMs * MICROS, count);
          part.owed -= count;
          left -= count;
        }
      }
      // What queued for long, and the event that no part of the spread had made whole: every event counts once.
      if (left > 0) recorder.latency((queuedMs + base.p50Ms) * MICROS, left);
    },
    summary: () => recorder.summary(),
  };
}
