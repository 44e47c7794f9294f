import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { ResettableCheckpointStore } from '../../eventhubs/checkpoint-store.ts';
import { systemClock } from '../../util/clock.ts';
import { Secret } from '../../util/secret.ts';
import type { DeadLetter } from '../dead-letter/dead-letter.ts';
import { ingest } from './ingest.ts';
import { collectingRecorders } from './worker-metrics.ts';
import {
  type FromWorker,
  fromWorkerError,
  type RemoteCall,
  type ToWorker,
  toWorkerError,
  type WorkerSetup,
} from './worker-protocol.ts';

/** The thread's entry: runs `ingest` on its share of the partitions; everything shared is asked of the main thread. */
const METRICS_EVERY_MS = 250;

if (parentPort !== null) await work(parentPort, workerData as WorkerSetup);

async function work(port: MessagePort, setup: WorkerSetup): Promise<void> {
  const { drainsLater, hasDeadLetter, cosmos, eventHubs, ...options } = setup;
  const post = (message: FromWorker) => port.postMessage(message);
  const stop = new AbortController();
  const calls = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let drain = () => {};
  const drainAfter = new Promise<void>((resolve) => {
    drain = resolve;
  });
  port.on('message', (message: ToWorker) => {
    if (message.type === 'stop') stop.abort();
    else if (message.type === 'drain') drain();
    else {
      const call = calls.get(message.id);
      calls.delete(message.id);
      if (message.error === undefined) call?.resolve(message.value);
      else call?.reject(fromWorkerError(message.error));
    }
  });
  let lastCall = 0;
  const remote =
    <R>(service: RemoteCall['service'], method: string) =>
    (...args: unknown[]): Promise<R> =>
      new Promise((resolve, reject) => {
        lastCall += 1;
        calls.set(lastCall, { resolve: resolve as (value: unknown) => void, reject });
        post({ type: 'call', id: lastCall, service, method, arguments: args });
      });
  const store: ResettableCheckpointStore = {
    listOwnership: remote('checkpoints', 'listOwnership'),
    claimOwnership: remote('checkpoints', 'claimOwnership'),
    updateCheckpoint: remote('checkpoints', 'updateCheckpoint'),
    listCheckpoints: remote('checkpoints', 'listCheckpoints'),
    resetCheckpoints: remote('checkpoints', 'resetCheckpoints'),
  };
  const deadLetter: DeadLetter = {
    name: 'main thread',
    write: remote('deadLetter', 'write'),
    close: async () => {},
  };
  const { recorder, ru, take } = collectingRecorders();
  const timer = setInterval(() => post({ type: 'metrics', metrics: take() }), METRICS_EVERY_MS);
  try {
    const { connectionString, ...hubs } = eventHubs;
    const { key, ...account } = cosmos;
    const result = await ingest({
      ...options,
      eventHubs: {
        ...hubs,
        ...(connectionString === undefined ? {} : { connectionString: new Secret(connectionString) }),
      },
      cosmos: { ...account, ...(key === undefined ? {} : { key: new Secret(key) }) },
      checkpoints: { kind: 'store', store },
      ...(hasDeadLetter ? { deadLetter } : {}),
      ...(drainsLater ? { drainAfter } : {}),
      recorder,
      ru,
      clock: systemClock,
      signal: stop.signal,
      onProgress: (progress) => post({ type: 'progress', progress }),
      onProblem: (message) => post({ type: 'problem', message }),
    });
    post({ type: 'metrics', metrics: take() });
    post({ type: 'result', result });
  } catch (error) {
    post({ type: 'failed', error: toWorkerError(error) });
  } finally {
    clearInterval(timer);
    port.close();
  }
}
