import type { EncodedBatch } from '../../eventhubs/encoded-batch.ts';
import type { EventHubsProducer, SendFailure } from '../../eventhubs/producer.ts';
import type { Clock } from '../../util/clock.ts';
import type { Random } from '../../util/random.ts';

/** What a lane tells of its batches. */
export interface LaneEvents {
  sending(batch: EncodedBatch): void;
  acknowledged(batch: EncodedBatch, sentMs: number): void;
  /** `mayBeStored`: no answer came to at least one of the tries. */
  givenUp(batch: EncodedBatch, failure: SendFailure, mayBeStored: boolean): void;
  throttled(): void;
  /** The batch is being sent again although it may have been stored. */
  resending(batch: EncodedBatch): void;
  /** The batch is no longer needed. `reusable` is false while the connection may still hold its bytes. */
  released(batch: EncodedBatch, reusable: boolean): void;
}

export interface LaneOptions {
  readonly producer: EventHubsProducer;
  readonly partitionId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly giveUpMs: number;
  /** Aborted when waiting for answers is over. */
  readonly stop: AbortSignal;
  /** Resolves when a batch may be put in flight; bounds the concurrency over all lanes. */
  readonly acquire: () => Promise<void> | undefined;
  readonly release: () => void;
}

const FIRST_BACKOFF_MS = 100;
/** What the service asks for in the text of a ServerBusy: "Please wait 4 seconds and try again". */
const LONGEST_BACKOFF_MS = 4_000;

/**
 * One batch in flight at a time and retries in place, so that events of a lane are stored in the order they were added,
 * whatever fails in between. A key belongs to one lane; a partition has several lanes when it needs the overlap.
 */
export class Lane {
  readonly partitionId: string;
  /** Being filled. */
  current: EncodedBatch | undefined;
  /** When the first event of `current` was added, on the clock. */
  currentSinceMs = 0;
  readonly #options: LaneOptions;
  readonly #events: LaneEvents;
  readonly #queue: EncodedBatch[] = [];
  #sending: Promise<void> | undefined;
  /** When the first of the failures in a row was sent. Batches behind one that was given up are tried once each, not as long. */
  #refusedSinceMs: number | undefined;

  constructor(options: LaneOptions, events: LaneEvents) {
    this.partitionId = options.partitionId;
    this.#options = options;
    this.#events = events;
  }

  get idle(): boolean {
    return this.#sending === undefined;
  }

  /** Closes the batch being filled and queues it. */
  flush(): void {
    if (this.current && this.current.count > 0) {
      this.enqueue(this.current);
      this.current = undefined;
    }
  }

  enqueue(batch: EncodedBatch): void {
    batch.partitionId = this.partitionId;
    this.#queue.push(batch);
    this.#sending ??= this.#sendAll();
  }

  /** Resolves when everything queued was acknowledged or given up. */
  async drained(): Promise<void> {
    while (this.#sending) await this.#sending;
  }

  async #sendAll(): Promise<void> {
    for (let batch = this.#queue.shift(); batch; batch = this.#queue.shift()) {
      await this.#options.acquire();
      try {
        await this.#sendOne(batch);
      } finally {
        this.#options.release();
      }
    }
    this.#sending = undefined;
  }

  async #sendOne(batch: EncodedBatch): Promise<void> {
    const { clock, giveUpMs, producer, random, stop } = this.#options;
    let mayBeStored = false;
    this.#events.sending(batch);
    for (let attempt = 0; ; attempt += 1) {
      const sentMs = clock.now();
      const failure = await producer.send(batch);
      if (failure === undefined) {
        this.#refusedSinceMs = undefined;
        this.#events.acknowledged(batch, sentMs);
        break;
      }
      if (failure.outcomeUnknown) mayBeStored = true;
      if (failure.kind === 'throttled') this.#events.throttled();
      const hopeless = failure.kind === 'fatal' || failure.kind === 'tooLarge';
      if (!hopeless) this.#refusedSinceMs ??= sentMs;
      if (hopeless || stop.aborted || clock.now() - (this.#refusedSinceMs ?? sentMs) > giveUpMs) {
        this.#events.givenUp(batch, failure, mayBeStored);
        break;
      }
      if (failure.outcomeUnknown) this.#events.resending(batch);
      const ceiling = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt);
      await clock.sleep(ceiling * (0.5 + random.next() / 2), stop).catch(() => {});
    }
    // The connection may still hold the bytes of a try that got no answer.
    this.#events.released(batch, !mayBeStored);
  }
}
