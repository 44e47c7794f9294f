import { createReadStream } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { fromPlainTarget, type PlainTarget } from '../../config/plain-target.ts';
import { Histogram } from '../../metrics/histogram.ts';
import { systemClock } from '../../util/clock.ts';
import { type PlainError, toPlainError } from '../../util/plain-error.ts';
import { Outbox, type WorkerReport } from './outbox.ts';
import { produceShare } from './share.ts';
import type { RecordSource, ShareOptions, ShareResult } from './types.ts';

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
  readonly target: PlainTarget;
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
  | { readonly type: 'error'; readonly error: PlainError };

const REPORT_EVERY_MS = 100;

if (parentPort) await work(workerData as WorkerInput, parentPort);

async function work(input: WorkerInput, port: NonNullable<typeof parentPort>): Promise<void> {
  const { source, stageName, target, withLedger, ...options } = input;
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
      target: fromPlainTarget(target),
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
    post({ type: 'error', error: toPlainError(error) });
  } finally {
    clearInterval(timer);
    port.close();
  }
}
