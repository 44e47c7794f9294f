import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { fromPlainTarget, type PlainTarget } from '../config/plain-target.ts';
import { type PlainError, toPlainError } from '../util/plain-error.ts';
import { EncodedBatch } from './encoded-batch.ts';
import { type BatchLayout, type EventEncoding, eventEncoding } from './event-encoding.ts';
import { type EventHubsProducer, openProducer, type ProducerOptions, type SendFailure } from './producer.ts';

/** What the thread of a producer is started with. */
export interface ProducerWorkerInput {
  readonly target: PlainTarget;
  readonly options: ProducerOptions;
}

export type ProducerOrder =
  /** How the batches that follow are laid out. */
  | { readonly type: 'layout'; readonly layout: BatchLayout }
  | {
      readonly type: 'send';
      readonly id: number;
      readonly partitionId: string;
      readonly memory: SharedArrayBuffer;
      readonly end: number;
      readonly count: number;
    }
  | { readonly type: 'close' };

export type PlainFailure = Omit<SendFailure, 'error'> & { readonly error: PlainError };

export type ProducerAnswer =
  | { readonly type: 'open'; readonly partitionIds: readonly string[]; readonly maxMessageBytes: number }
  | { readonly type: 'refused'; readonly error: PlainError }
  | { readonly type: 'answer'; readonly id: number; readonly failure: PlainFailure | undefined }
  | { readonly type: 'closed' };

const LOWER_PRIORITY = 5;

if (parentPort) await work(workerData as ProducerWorkerInput, parentPort);

async function work(
  { options, target }: ProducerWorkerInput,
  port: NonNullable<typeof parentPort>,
): Promise<void> {
  // Where cores are short, whoever decides when events are due comes first. Linux counts priority per thread
  // (setpriority(2)); elsewhere this would be that of the whole process.
  if (process.platform === 'linux') setPriority(LOWER_PRIORITY);
  const post = (answer: ProducerAnswer): void => port.postMessage(answer);
  let producer: EventHubsProducer;
  try {
    producer = await openProducer(fromPlainTarget(target), options);
  } catch (error) {
    post({ type: 'refused', error: toPlainError(error) });
    return port.close();
  }
  let encoding: EventEncoding;
  const send = async ({ count, end, id, memory, partitionId }: Extract<ProducerOrder, { type: 'send' }>) => {
    const batch = EncodedBatch.filled(encoding, memory, end, count);
    batch.partitionId = partitionId;
    const failure = await producer.send(batch);
    post({ type: 'answer', id, failure: failure && plainFailure(failure, producer) });
  };
  port.on('message', (order: ProducerOrder) => {
    if (order.type === 'layout') encoding = eventEncoding(order.layout);
    else if (order.type === 'send') void send(order);
    else
      void producer
        .close()
        .catch(() => {})
        .then(() => post({ type: 'closed' }));
  });
  const { maxMessageBytes, partitionIds } = producer;
  post({ type: 'open', partitionIds, maxMessageBytes });
}

function plainFailure({ error, ...failure }: SendFailure, producer: EventHubsProducer): PlainFailure {
  return { ...failure, error: toPlainError(producer.explain(error)) };
}
