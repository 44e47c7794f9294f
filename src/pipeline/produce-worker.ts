import { createReadStream } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import type { EventHubsTarget } from '../config/targets.ts';
import { Histogram } from '../metrics/histogram.ts';
import { systemClock } from '../util/clock.ts';
import { PipeError } from '../util/errors.ts';
import { Secret } from '../util/secret.ts';
import { Outbox, type WorkerReport } from './produce-outbox.ts';
import { produceShare } from './produce-share.ts';
import type { RecordSource, ShareOptions, ShareResult } from './produce-types.ts';

/** What a thread is started with: everything of ProduceOptions that can be copied. */
export interface WorkerInput
  extends Omit<
    ShareOptions,
    | 'clock'
    | 'recorder'
    | 'ledger'
    | 'signal'
    | 'scheduling'
    | 'onStart'
    | 'agreeOnStart'
    | 'source'
    | 'target'
  > {
  readonly target: Omit<EventHubsTarget, 'connectionString'>;
  readonly connectionString: string | undefined;
  readonly source: (Omit<RecordSource, 'open'> & { readonly path: string }) | undefined;
  readonly withLedger: boolean;
  readonly stageName: string;
}

/** What a thread is told: when to start, and to stop. */
export type WorkerOrder = { readonly startMicros: number } | 'abort';

export type WorkerMessage =
  /** The links are open; the thread waits for the time to start. */
  | { readonly type: 'ready' }
  | { readonly type: 'report'; readonly report: WorkerReport }
  | { readonly type: 'started'; readonly partitions: number }
  | { readonly type: 'result'; readonly result: ShareResult; readonly scheduling: string }
  | {
      readonly type: 'error';
      readonly message: string;
      readonly code?: PipeError['code'];
      readonly hint?: string;
    };

const REPORT_EVERY_MS = 100;

if (parentPort) await work(workerData as WorkerInput, parentPort);

async function work(input: WorkerInput, port: NonNullable<typeof parentPort>): Promise<void> {
  const { connectionString, source, stageName, target, withLedger, ...options } = input;
  const abort = new AbortController();
  const started = new Promise<number>((start) => {
    port.on('message', (order: WorkerOrder) => {
      if (order !== 'abort') return start(order.startMicros);
      start(systemClock.epochMicros());
      abort.abort();
    });
  });
  const post = (message: WorkerMessage): void => port.postMessage(message);
  const outbox = new Outbox(stageName);
  const timer = setInterval(() => post({ type: 'report', report: outbox.take() }), REPORT_EVERY_MS);
  const scheduling = new Histogram();
  try {
    const result = await produceShare({
      ...options,
      target: { ...target, ...(connectionString ? { connectionString: new Secret(connectionString) } : {}) },
      recorder: outbox,
      ...(withLedger ? { ledger: outbox } : {}),
      ...(source ? { source: { ...source, open: () => createReadStream(source.path) } } : {}),
      clock: systemClock,
      signal: abort.signal,
      scheduling,
      agreeOnStart() {
        post({ type: 'ready' });
        return started;
      },
      onStart: ({ partitions }) => post({ type: 'started', partitions }),
    });
    post({ type: 'report', report: outbox.take() });
    post({ type: 'result', result, scheduling: scheduling.encode() });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof PipeError) {
      post({ type: 'error', message, code: error.code, ...(error.hint ? { hint: error.hint } : {}) });
    } else post({ type: 'error', message });
  } finally {
    clearInterval(timer);
    port.close();
  }
}
