import type { RuOperation, RuRecorder, StageRecorder } from '../../metrics/types.ts';
import type { MetricsMessage } from './worker-protocol.ts';

/** Recorders of a worker thread that collect calls until `take` hands them over. */
export function collectingRecorders(): {
  readonly recorder: StageRecorder;
  readonly ru: RuRecorder;
  take(): MetricsMessage;
} {
  let counts = { offered: 0, done: 0, sizeBytes: 0, throttled: 0 };
  let inFlight = 0;
  let failed: Record<string, number> = {};
  let serviceTimes: number[] = [];
  let latencies: number[] = [];
  let charges: [string, string, number, number][] = [];
  let rangeThrottles: [string, number][] = [];
  return {
    recorder: {
      name: 'ingest',
      offered(count) {
        counts.offered += count;
      },
      done(count, sizeBytes) {
        counts.done += count;
        counts.sizeBytes += sizeBytes;
      },
      failed(kind, count) {
        failed[kind] = (failed[kind] ?? 0) + count;
      },
      throttled(count) {
        counts.throttled += count;
      },
      inFlight(current) {
        inFlight = Math.max(inFlight, current);
      },
      serviceTime(micros, count = 1) {
        for (let i = 0; i < count; i++) serviceTimes.push(micros);
      },
      latency(micros, count = 1) {
        for (let i = 0; i < count; i++) latencies.push(micros);
      },
    },
    ru: {
      charge: (operation, rangeId, charge, count = 1) => charges.push([operation, rangeId, charge, count]),
      throttled: (rangeId, count) => rangeThrottles.push([rangeId, count]),
    },
    take() {
      const message: MetricsMessage = {
        ...counts,
        inFlight,
        failed,
        serviceTimes: Float64Array.from(serviceTimes),
        latencies: Float64Array.from(latencies),
        charges,
        rangeThrottles,
      };
      counts = { offered: 0, done: 0, sizeBytes: 0, throttled: 0 };
      inFlight = 0;
      failed = {};
      serviceTimes = [];
      latencies = [];
      charges = [];
      rangeThrottles = [];
      return message;
    },
  };
}

/** Makes the calls of a worker's message on the recorders of the run. */
export function replayMetrics(message: MetricsMessage, recorder: StageRecorder, ru: RuRecorder): void {
  if (message.offered > 0) recorder.offered(message.offered);
  if (message.done > 0) recorder.done(message.done, message.sizeBytes);
  if (message.throttled > 0) recorder.throttled(message.throttled);
  recorder.inFlight(message.inFlight);
  for (const [kind, count] of Object.entries(message.failed)) recorder.failed(kind, count);
  for (const micros of message.serviceTimes) recorder.serviceTime(micros);
  for (const micros of message.latencies) recorder.latency(micros);
  for (const [operation, rangeId, charge, count] of message.charges)
    ru.charge(operation as RuOperation, rangeId, charge, count);
  for (const [rangeId, count] of message.rangeThrottles) ru.throttled(rangeId, count);
}
