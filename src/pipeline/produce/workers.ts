import { Worker } from 'node:worker_threads';
import { toPlainTarget } from '../../config/plain-target.ts';
import { Histogram } from '../../metrics/histogram.ts';
import { usageError } from '../../util/errors.ts';
import { fromPlainError } from '../../util/plain-error.ts';
import { deliver } from './outbox.ts';
import type { ProduceOptions, ShareResult } from './types.ts';
import type { WorkerInput, WorkerMessage, WorkerOrder } from './worker.ts';

/** From here to the first arrival at least, so that those who wait for the events can open their links meanwhile. */
const START_AHEAD_MICROS = 1_500_000;
/** From the last thread that has its links open to the first arrival. */
const LEAD_MICROS = 50_000;

/** Spreads a run over threads. Each has its own connection and the partitions that are its share. */
export async function produceOnWorkers(
  options: ProduceOptions,
  workers: number,
  scheduling: Histogram,
): Promise<readonly ShareResult[]> {
  const { clock, ledger, onStart, recorder, signal, source } = options;
  if (source && source.path === undefined) {
    throw usageError(
      'events from stdin cannot be spread over workers',
      'write them to a file, or pass --workers 1',
    );
  }
  const earliestMicros = clock.epochMicros() + START_AHEAD_MICROS;
  let startMicros = earliestMicros;
  let ready = 0;
  const inFlight = new Array<number>(workers).fill(0);
  let announced = false;

  const start = (index: number): { readonly worker: Worker; readonly result: Promise<ShareResult> } => {
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: workerInput(options, { index, count: workers }),
    });
    const result = new Promise<ShareResult>((resolve, reject) => {
      worker.on('message', (message: WorkerMessage) => {
        switch (message.type) {
          case 'ready':
            ready += 1;
            if (ready === workers) startAll();
            break;
          case 'started':
            if (!announced) onStart?.({ partitions: message.partitions, startMicros });
            announced = true;
            break;
          case 'report':
            inFlight[index] = message.report.inFlight;
            recorder.inFlight(inFlight.reduce((sum, events) => sum + events, 0));
            deliver(message.report, recorder, ledger);
            break;
          case 'result':
            scheduling.add(Histogram.decode(message.scheduling));
            resolve(message.result);
            break;
          case 'error':
            reject(fromPlainError(message.error));
        }
      });
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error(`produce worker ${index} ended without a result`)));
    });
    return { worker, result };
  };

  const tell = (order: WorkerOrder): void => {
    for (const { worker } of started) worker.postMessage(order);
  };
  const startAll = (): void => {
    startMicros = options.startMicros ?? Math.max(earliestMicros, clock.epochMicros() + LEAD_MICROS);
    tell({ startMicros });
  };
  const started = Array.from({ length: workers }, (_, index) => start(index));
  const abort = (): void => tell('abort');
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.all(started.map(({ result }) => result));
  } finally {
    signal?.removeEventListener('abort', abort);
    await Promise.all(started.map(({ worker }) => worker.terminate()));
  }
}

function workerInput(
  options: ProduceOptions,
  part: { readonly index: number; readonly count: number },
): WorkerInput {
  const {
    clock: _clock,
    ledger,
    onStart: _onStart,
    startMicros: _startMicros,
    recorder,
    signal: _signal,
    source,
    target,
    ...rest
  } = options;
  const { open: _open, ...plainSource } = source ?? { open: undefined };
  return {
    ...rest,
    part,
    target: toPlainTarget(target),
    source: source
      ? { ...(plainSource as Omit<typeof source, 'open'>), path: source.path as string }
      : undefined,
    withLedger: ledger !== undefined,
    stageName: recorder.name,
  };
}
