import { Worker } from 'node:worker_threads';
import { type CosmosConnection, openCosmos } from '../../cosmos/client.ts';
import { openCheckpointStore } from './checkpoint-open.ts';
import { openWhenReachable } from './connect.ts';
import { ingest } from './ingest.ts';
import { connectOptions } from './run.ts';
import type { IngestOptions, IngestProgress, IngestResult } from './types.ts';
import { dealtTo } from './worker-balance.ts';
import { mergeProgress, mergeResults } from './worker-merge.ts';
import { replayMetrics } from './worker-metrics.ts';
import {
  type FromWorker,
  fromWorkerError,
  type RemoteCall,
  type ToWorker,
  toWorkerError,
  type WorkerSetup,
} from './worker-protocol.ts';

/** Works from the sources and from the build, whose extension differs. */
const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

/**
 * Runs {@link ingest} on `workers` threads, each a processor of its own with a share of the partitions. Checkpoints and dead
 * letters stay with the calling thread, and so does every recorder. One worker means no thread at all.
 */
export async function ingestWithWorkers(options: IngestOptions, workers: number): Promise<IngestResult> {
  if (workers <= 1) return ingest(options);
  let cosmos: CosmosConnection | undefined;
  const openAccount = async () => {
    cosmos ??= await openCosmos(options.cosmos, { ru: options.ru });
    return cosmos;
  };
  const store = await openWhenReachable(connectOptions(options), () =>
    openCheckpointStore(options.checkpoints, openAccount, options.clock),
  );
  const owners = Array.from({ length: workers }, (_, index) => `${options.ownerId}-${index}`);
  const checkpoints = dealtTo(owners, store, options.clock);
  const progress = new Map<string, IngestProgress>();
  const toldBy = onceOfAll((line) => options.onProblem?.(line));
  const threads: Thread[] = [];
  const stopAll = () => {
    for (const thread of threads) thread.post({ type: 'stop' });
  };
  options.signal.addEventListener('abort', stopAll, { once: true });
  options.drainAfter?.then(
    () => {
      for (const thread of threads) thread.post({ type: 'drain' });
    },
    () => stopAll(),
  );
  const start = (ownerId: string, first: boolean) => {
    const thread = startThread(setupOf(options, ownerId, workers, first), {
      options,
      answer: async ({ arguments: args, method, service }) => {
        const target = (service === 'checkpoints' ? checkpoints : options.deadLetter) as unknown as Record<
          string,
          (...args: readonly unknown[]) => Promise<unknown>
        >;
        return target[method]?.(...args);
      },
      onProblem: toldBy(),
      onProgress: (latest) => {
        progress.set(ownerId, latest);
        options.onProgress?.(mergeProgress([...progress.values()]));
      },
    });
    threads.push(thread);
    thread.result.catch(stopAll);
    if (options.signal.aborted) stopAll();
    return thread;
  };
  try {
    // The first one alone creates the container and resets or pins checkpoints; the others find that done.
    const [firstOwner, ...others] = owners as [string, ...string[]];
    await start(firstOwner, true).started;
    for (const ownerId of others) start(ownerId, false);
    const settled = await Promise.allSettled(threads.map((thread) => thread.result));
    const failure = settled.find((entry) => entry.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
    return mergeResults(settled.flatMap((entry) => (entry.status === 'fulfilled' ? [entry.value] : [])));
  } finally {
    options.signal.removeEventListener('abort', stopAll);
    cosmos?.dispose();
  }
}

interface Thread {
  /** Resolves with the first progress: everything is open; rejects as `result` does. */
  readonly started: Promise<void>;
  readonly result: Promise<IngestResult>;
  post(message: ToWorker): void;
}

function startThread(
  setup: WorkerSetup,
  hooks: {
    readonly options: IngestOptions;
    readonly answer: (call: RemoteCall) => Promise<unknown>;
    readonly onProblem: (line: string) => void;
    readonly onProgress: (progress: IngestProgress) => void;
  },
): Thread {
  const { recorder, ru } = hooks.options;
  const worker = new Worker(ENTRY, { workerData: setup });
  let onStarted = () => {};
  const opened = new Promise<void>((resolve) => {
    onStarted = resolve;
  });
  const post = (message: ToWorker) => worker.postMessage(message);
  const result = new Promise<IngestResult>((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`a worker thread ended with code ${code}`)));
    worker.on('message', (message: FromWorker) => {
      switch (message.type) {
        case 'progress':
          onStarted();
          return hooks.onProgress(message.progress);
        case 'problem':
          return hooks.onProblem(message.message);
        case 'metrics':
          return replayMetrics(message.metrics, recorder, ru);
        case 'result':
          return resolve(message.result);
        case 'failed':
          return reject(fromWorkerError(message.error));
        case 'call':
          hooks.answer(message).then(
            (value) => post({ type: 'answer', id: message.id, value }),
            (error) => post({ type: 'answer', id: message.id, error: toWorkerError(error) }),
          );
      }
    });
  });
  return { started: Promise.race([opened, result.then(() => {})]), result, post };
}

/** Different lines that are remembered; beyond that, one may be told once more. */
const MOST_LINES = 1_000;

/**
 * What every worker notices by itself, such as a hub that was made anew, is told when the first one tells it. Makes a `tell`
 * for each worker; what one of them tells again is told again.
 */
export function onceOfAll(tell: (line: string) => void): () => (line: string) => void {
  const told = new Map<string, number>();
  return () => {
    const mine = new Map<string, number>();
    return (line) => {
      if (mine.size >= MOST_LINES) mine.clear();
      const times = (mine.get(line) ?? 0) + 1;
      mine.set(line, times);
      if (times <= (told.get(line) ?? 0)) return;
      if (told.size >= MOST_LINES) told.clear();
      told.set(line, times);
      tell(line);
    };
  };
}

/** Budgets are of the whole process, so every worker gets its share. */
function setupOf(options: IngestOptions, ownerId: string, workers: number, first: boolean): WorkerSetup {
  const { connectionString, ...hubs } = options.eventHubs;
  const { key, ...account } = options.cosmos;
  const { ruBudget, maxBufferedBytes, ...limits } = options.limits ?? {};
  return {
    eventHubs: {
      ...hubs,
      ...(connectionString === undefined ? {} : { connectionString: connectionString.reveal() }),
    },
    cosmos: { ...account, ...(key === undefined ? {} : { key: key.reveal() }) },
    // When the others start it is there; any of them may have to make it again with its hub.
    ...(options.create === undefined ? {} : { create: options.create }),
    ...(first && options.restart ? { restart: true } : {}),
    ...(options.mapping === undefined ? {} : { mapping: options.mapping }),
    ...(options.from === undefined ? {} : { from: options.from }),
    ...(options.until === undefined ? {} : { until: options.until }),
    limits: {
      ...limits,
      ...(maxBufferedBytes === undefined ? {} : { maxBufferedBytes: maxBufferedBytes / workers }),
      ...(ruBudget === undefined
        ? {}
        : {
            ruBudget:
              'fraction' in ruBudget
                ? { fraction: ruBudget.fraction / workers }
                : { ruPerSecond: ruBudget.ruPerSecond / workers },
          }),
    },
    ownerId,
    hasDeadLetter: options.deadLetter !== undefined,
    drainsLater: options.drainAfter !== undefined,
  };
}
