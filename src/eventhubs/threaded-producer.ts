import { Worker } from 'node:worker_threads';
import { toPlainTarget } from '../config/plain-target.ts';
import type { EventHubsTarget } from '../config/targets.ts';
import { fromPlainError } from '../util/plain-error.ts';
import type { EncodedBatch } from './encoded-batch.ts';
import type { EventEncoding } from './event-encoding.ts';
import type { EventHubsProducer, ProducerOptions, SendFailure } from './producer.ts';
import type { ProducerAnswer, ProducerOrder, ProducerWorkerInput } from './producer-worker.ts';

/**
 * A producer whose connection lives on a thread of its own, so that what the SDK does (sockets, answers, garbage) cannot
 * delay the caller. It takes batches in shared memory, which must stay as they are until they are answered. Rejects
 * like `openProducer`.
 */
export async function openThreadedProducer(
  target: EventHubsTarget,
  options: ProducerOptions,
): Promise<EventHubsProducer> {
  const workerData: ProducerWorkerInput = { target: toPlainTarget(target), options };
  const worker = new Worker(new URL('./producer-worker.js', import.meta.url), { workerData });
  try {
    const opened = await new Promise<Extract<ProducerAnswer, { type: 'open' }>>((resolve, reject) => {
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error(ENDED)));
      worker.once('message', (answer: ProducerAnswer) => {
        if (answer.type === 'open') resolve(answer);
        else if (answer.type === 'refused') reject(fromPlainError(answer.error));
      });
    });
    return new ThreadedProducer(worker, opened);
  } catch (error) {
    await worker.terminate();
    throw error;
  }
}

const ENDED = 'the sending thread ended';

class ThreadedProducer implements EventHubsProducer {
  readonly partitionIds: readonly string[];
  readonly maxMessageBytes: number;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, (failure: SendFailure | undefined) => void>();
  #nextId = 0;
  #encoding: EventEncoding | undefined;
  /** Why the thread is gone. */
  #gone: Error | undefined;
  #closed: (() => void) | undefined;

  constructor(worker: Worker, { maxMessageBytes, partitionIds }: Extract<ProducerAnswer, { type: 'open' }>) {
    this.#worker = worker;
    this.partitionIds = partitionIds;
    this.maxMessageBytes = maxMessageBytes;
    worker.on('message', (answer: ProducerAnswer) => {
      if (answer.type === 'answer') this.#answered(answer);
      else if (answer.type === 'closed') this.#closed?.();
    });
    worker.on('error', (error) => this.#lost(error));
    worker.once('exit', () => this.#lost(new Error(ENDED)));
  }

  send(batch: EncodedBatch): Promise<SendFailure | undefined> {
    const { count, encoding, partitionId, shared: memory, sizeInBytes: end } = batch;
    if (!memory) throw new TypeError('only batches in shared memory can be sent by another thread');
    if (this.#gone) return Promise.resolve(failureOf(this.#gone));
    if (encoding !== this.#encoding) {
      this.#encoding = encoding;
      this.#post({ type: 'layout', layout: encoding.layout });
    }
    const id = this.#nextId++;
    this.#post({ type: 'send', id, partitionId, memory, end, count });
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  /** Errors were explained where they arose. */
  explain(error: Error): Error {
    return error;
  }

  /** Ends the thread even where the SDK left a timer behind. */
  async close(): Promise<void> {
    if (!this.#gone) {
      const closed = new Promise<void>((resolve) => {
        this.#closed = resolve;
      });
      this.#post({ type: 'close' });
      await closed;
    }
    await this.#worker.terminate();
  }

  #post(order: ProducerOrder): void {
    this.#worker.postMessage(order);
  }

  #answered({ failure, id }: Extract<ProducerAnswer, { type: 'answer' }>): void {
    const answer = this.#waiting.get(id);
    this.#waiting.delete(id);
    answer?.(failure && { ...failure, error: fromPlainError(failure.error) });
  }

  #lost(error: Error): void {
    this.#gone ??= error;
    for (const answer of this.#waiting.values()) answer(failureOf(this.#gone));
    this.#waiting.clear();
    this.#closed?.();
  }
}

function failureOf(error: Error): SendFailure {
  return { kind: 'fatal', name: 'ThreadError', outcomeUnknown: true, error };
}
