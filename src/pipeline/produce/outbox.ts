import { Histogram } from '../../metrics/histogram.ts';
import type { AcknowledgementSink, StageRecorder } from '../../metrics/types.ts';

/** What a worker measured since its last report, as plain data. */
export interface WorkerReport {
  readonly offered: number;
  readonly done: number;
  readonly sizeBytes: number;
  readonly failed: Readonly<Record<string, number>>;
  readonly throttled: number;
  readonly inFlight: number;
  readonly latencies: readonly CountedValue[];
  readonly serviceTimes: readonly CountedValue[];
  /** Acknowledged runs: key, from, to. */
  readonly acknowledged: readonly (readonly [string, number, number])[];
  readonly injected: readonly (readonly [string, string, number])[];
}

interface CountedValue {
  readonly value: number;
  readonly count: number;
}

/** Collects what a share reports on a worker thread, until {@link Outbox.take} sends it to the main thread. */
export class Outbox implements StageRecorder, AcknowledgementSink {
  readonly name: string;
  readonly #latency = new Histogram();
  readonly #serviceTime = new Histogram();
  #failed: Record<string, number> = {};
  #acknowledged: (readonly [string, number, number])[] = [];
  #injected: (readonly [string, string, number])[] = [];
  #offered = 0;
  #done = 0;
  #sizeBytes = 0;
  #throttled = 0;
  #inFlight = 0;

  constructor(name: string) {
    this.name = name;
  }

  offered(count: number): void {
    this.#offered += count;
  }

  done(count: number, sizeBytes: number): void {
    this.#done += count;
    this.#sizeBytes += sizeBytes;
  }

  failed(kind: string, count: number): void {
    this.#failed[kind] = (this.#failed[kind] ?? 0) + count;
  }

  throttled(count: number): void {
    this.#throttled += count;
  }

  inFlight(current: number): void {
    this.#inFlight = current;
  }

  serviceTime(micros: number, count = 1): void {
    this.#serviceTime.record(micros, count);
  }

  latency(micros: number, count = 1): void {
    this.#latency.record(micros, count);
  }

  acknowledged(key: string, from: number, to: number): void {
    this.#acknowledged.push([key, from, to]);
  }

  injected(kind: string, key: string, sequence: number): void {
    this.#injected.push([kind, key, sequence]);
  }

  take(): WorkerReport {
    const report: WorkerReport = {
      offered: this.#offered,
      done: this.#done,
      sizeBytes: this.#sizeBytes,
      failed: this.#failed,
      throttled: this.#throttled,
      inFlight: this.#inFlight,
      latencies: [...this.#latency.values()],
      serviceTimes: [...this.#serviceTime.values()],
      acknowledged: this.#acknowledged,
      injected: this.#injected,
    };
    this.#latency.reset();
    this.#serviceTime.reset();
    this.#failed = {};
    this.#acknowledged = [];
    this.#injected = [];
    this.#offered = 0;
    this.#done = 0;
    this.#sizeBytes = 0;
    this.#throttled = 0;
    return report;
  }
}

/** Adds a worker's report to the recorder and ledger of the run. */
export function deliver(
  report: WorkerReport,
  recorder: StageRecorder,
  ledger: AcknowledgementSink | undefined,
): void {
  if (report.offered > 0) recorder.offered(report.offered);
  for (const { value, count } of report.serviceTimes) recorder.serviceTime(value, count);
  for (const { value, count } of report.latencies) recorder.latency(value, count);
  if (report.done > 0) recorder.done(report.done, report.sizeBytes);
  for (const [kind, count] of Object.entries(report.failed)) recorder.failed(kind, count);
  if (report.throttled > 0) recorder.throttled(report.throttled);
  for (const [kind, key, sequence] of report.injected) ledger?.injected(kind, key, sequence);
  for (const [key, from, to] of report.acknowledged) ledger?.acknowledged(key, from, to);
}
