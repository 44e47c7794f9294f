import type { Settled, WriteFence, WriteOperation, WriteOutcome } from '../../cosmos/write-operation.ts';
import type { ReceivedEvent } from '../../eventhubs/received-event.ts';
import type { StageRecorder } from '../../metrics/types.ts';
import type { Clock } from '../../util/clock.ts';
import { ENVELOPE_PROPERTIES } from '../../util/envelope.ts';
import { PipeError } from '../../util/errors.ts';
import { bodyBase64, type DeadLetter, type DeadLetterReason } from '../dead-letter/dead-letter.ts';
import { bodyOf, type Mapped, type Mapper } from '../mapping/mapping.ts';
import { CheckpointTracker, type DurablePosition } from './checkpoint-tracker.ts';

/** Counts of a whole ingest run, shared by its partitions. */
export interface IngestTotals {
  received: number;
  /** Writes that Cosmos DB accepted. */
  stored: number;
  storedBytes: number;
  /** Events whose item was there already (`create`), or in a newer version (`replace-if-newer`). */
  alreadyStored: number;
  /** Events that the mapping module chose not to store. */
  skipped: number;
  deadLettered: number;
  requestCharge: number;
  /** Sequence numbers that were never delivered: events expired before they were read. */
  missing: number;
}

export function zeroTotals(): IngestTotals {
  return {
    received: 0,
    stored: 0,
    storedBytes: 0,
    alreadyStored: 0,
    skipped: 0,
    deadLettered: 0,
    requestCharge: 0,
    missing: 0,
  };
}

/** What all partitions of a run share. */
export interface PartitionEnvironment {
  readonly eventHub: string;
  readonly mapper: Mapper;
  readonly write: (
    mapped: Mapped & { kind: 'write' },
    settled: Settled,
    fence: WriteFence,
  ) => Promise<void> | undefined;
  /** Raises the fence and fails what waits behind it. */
  readonly withdraw: (fence: WriteFence) => void;
  readonly deadLetter: DeadLetter | undefined;
  /** Resolves to false when it could not be saved now; the next one is tried as usual. */
  readonly saveCheckpoint: (partitionId: string, position: DurablePosition) => Promise<boolean>;
  readonly recorder: StageRecorder;
  readonly totals: IngestTotals;
  readonly clock: Clock;
  /** Ends the run: what cannot be stored now must stay in front of the checkpoint. */
  readonly fatal: (error: Error) => void;
  readonly checkpointEvents: number;
  readonly checkpointIntervalMs: number;
  /** Two checkpoints of one partition are at least this far apart, however fast events come. */
  readonly checkpointGapMs: () => number;
  readonly maxUnsettled: number;
  /** Told of every page; what it returns is called when everything up to the end of the page is durable. */
  readonly onPage?: ((partitionId: string, events: readonly ReceivedEvent[]) => () => void) | undefined;
}

/** A partition whose events are older than this when they are received is behind, and for this long after the last of them. */
const BEHIND_MS = 1_000;

/**
 * The way of one partition's events through the process, from the page that the SDK hands over to the checkpoint.
 *
 *     page -> mapping -> bulk writer -> settled -> tracker -> checkpoint
 *                  \-> dead letter ----^
 */
export class IngestPartition {
  readonly partitionId: string;
  readonly startedAfter: number | undefined;
  readonly #environment: PartitionEnvironment;
  readonly #tracker = new CheckpointTracker();
  #lastReceived: number | undefined;
  #behindUntil = Number.NEGATIVE_INFINITY;
  #unanswered = 0;
  #state: 'open' | 'closing' = 'open';
  #page: Promise<void> = Promise.resolve();
  readonly #openPages: { readonly lastSequenceNumber: number; readonly finished: () => void }[] = [];
  #wake: (() => void)[] = [];
  #saved: DurablePosition | undefined;
  #savedAt: number;
  #sinceSaved = 0;
  #saving: Promise<void> | undefined;
  readonly #fence: WriteFence = { raised: false };

  /** `startedAfter`: the event that receiving starts after, `undefined` when that is not known as a sequence number. */
  constructor(partitionId: string, environment: PartitionEnvironment, startedAfter?: number) {
    this.partitionId = partitionId;
    this.startedAfter = startedAfter;
    this.#environment = environment;
    this.#savedAt = environment.clock.now();
  }

  get durable(): DurablePosition | undefined {
    return this.#tracker.durable;
  }

  /** Last sequence number received. */
  get lastReceived(): number | undefined {
    return this.#lastReceived;
  }

  /** Receives events long after Event Hubs accepted them. */
  get isBehind(): boolean {
    return this.#environment.clock.now() < this.#behindUntil;
  }

  /** Events received whose position the checkpoint may not pass yet. */
  get unsettled(): number {
    return this.#tracker.size;
  }

  /** Time since the last checkpoint was saved, or since the partition was opened. */
  checkpointAgeMs(): number {
    return this.#environment.clock.now() - this.#savedAt;
  }

  /** Takes a page; resolves when everything of it is on its way and there is room for the next. */
  page(events: readonly ReceivedEvent[]): Promise<void> {
    const finished = this.#environment.onPage?.(this.partitionId, events);
    const last = events.at(-1);
    const { clock } = this.#environment;
    if (last !== undefined && clock.epochMicros() / 1000 - last.enqueuedMs > BEHIND_MS)
      this.#behindUntil = clock.now() + BEHIND_MS;
    if (finished !== undefined && last !== undefined)
      this.#openPages.push({ lastSequenceNumber: last.sequenceNumber, finished });
    this.#page = this.#takePage(events);
    return this.#page;
  }

  /**
   * Takes nothing more, waits until everything taken has its answer, and saves the last checkpoint. Once `fence` is aborted
   * nothing more is sent or saved: what is on the wire is waited for, the rest is left to the next owner.
   */
  async close(fence?: AbortSignal): Promise<void> {
    const { withdraw } = this.#environment;
    this.#state = 'closing';
    const raise = () => withdraw(this.#fence);
    if (fence?.aborted) raise();
    else fence?.addEventListener('abort', raise, { once: true });
    this.#notify();
    await this.#page;
    while (this.#unanswered > 0) await new Promise<void>((resolve) => this.#wake.push(resolve));
    fence?.removeEventListener('abort', raise);
    this.#finishPages(Number.POSITIVE_INFINITY);
    await this.#saving;
    // The next owner may have begun at the last one already: a checkpoint ahead of it would cut its rewriting short.
    if (!this.#fence.raised) await this.#save();
  }

  /** Saves a checkpoint when enough events or time have passed since the last one. */
  checkpointIfDue(): void {
    const { checkpointEvents, checkpointGapMs, checkpointIntervalMs } = this.#environment;
    const age = this.checkpointAgeMs();
    const due = age >= (this.#sinceSaved >= checkpointEvents ? checkpointGapMs() : checkpointIntervalMs);
    if (!due || this.#saving !== undefined || this.#state === 'closing') return;
    this.#saving = this.#save().finally(() => {
      this.#saving = undefined;
    });
  }

  async #save(): Promise<void> {
    const position = this.#tracker.durable;
    const { clock, saveCheckpoint } = this.#environment;
    if (position === undefined || position.sequenceNumber === this.#saved?.sequenceNumber) return;
    this.#sinceSaved = 0;
    if (!(await saveCheckpoint(this.partitionId, position))) return;
    this.#saved = position;
    this.#savedAt = clock.now();
  }

  async #takePage(events: readonly ReceivedEvent[]): Promise<void> {
    const { recorder, totals, maxUnsettled } = this.#environment;
    let taken = 0;
    const tell = () => {
      if (taken > 0) recorder.offered(taken);
      taken = 0;
      recorder.inFlight(this.#unanswered);
    };
    for (const event of events) {
      while (this.#tracker.size >= maxUnsettled && this.#state !== 'closing') {
        tell();
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
      if (this.#state === 'closing') break;
      totals.received += 1;
      taken += 1;
      const pressure = this.#take(event);
      if (pressure === undefined) continue;
      tell();
      await pressure;
    }
    tell();
  }

  #take(event: ReceivedEvent): Promise<void> | undefined {
    const { mapper, totals, write } = this.#environment;
    const { sequenceNumber, offset, enqueuedMs, partitionKey, properties } = event;
    if (this.#lastReceived !== undefined && sequenceNumber > this.#lastReceived + 1)
      totals.missing += sequenceNumber - this.#lastReceived - 1;
    this.#lastReceived = Math.max(this.#lastReceived ?? sequenceNumber, sequenceNumber);

    const ticket = this.#tracker.add(sequenceNumber, offset, enqueuedMs);
    this.#unanswered += 1;
    const mapped = mapper(event.body, {
      partition: this.partitionId,
      sequenceNumber,
      offset,
      enqueuedMs,
      partitionKey,
      properties,
    });
    switch (mapped.kind) {
      case 'write': {
        const { operation } = mapped;
        // While it waits the operation has the bytes: in the event they hold all that was read with them.
        const waiting = operation.bodyStart === undefined ? event : { ...event, body: undefined };
        return write(mapped, (outcome) => this.#written(ticket, waiting, operation, outcome), this.#fence);
      }
      case 'skipped':
        totals.skipped += 1;
        this.#durableNow(ticket);
        return undefined;
      case 'rejected':
        return this.#putAside(ticket, event, mapped.reason, mapped.detail);
    }
  }

  #written(ticket: number, event: ReceivedEvent, operation: WriteOperation, outcome: WriteOutcome): void {
    const { clock, fatal, recorder, totals } = this.#environment;
    if (outcome.ok) {
      const sizeBytes = sizeOf(operation);
      totals.requestCharge += outcome.requestCharge;
      totals.stored += 1;
      totals.storedBytes += sizeBytes;
      const nowMicros = clock.epochMicros();
      const enqueuedMicros = event.enqueuedMs * 1000;
      const intended = event.properties[ENVELOPE_PROPERTIES.intendedMicros];
      recorder.done(1, sizeBytes);
      recorder.serviceTime(Math.max(0, nowMicros - enqueuedMicros));
      recorder.latency(Math.max(0, nowMicros - (typeof intended === 'number' ? intended : enqueuedMicros)));
      this.#durableNow(ticket);
    } else if (outcome.statusCode === 409 || outcome.statusCode === 412) {
      totals.alreadyStored += 1;
      recorder.done(1, 0);
      this.#durableNow(ticket);
    } else if (outcome.poison) {
      // Resolves in its own time: the page has moved on, and `close` waits for the answer.
      const { bodyStart } = operation;
      const whole = bodyStart === undefined ? event : { ...event, body: bodyOf(bodyStart) };
      this.#putAside(ticket, whole, 'rejected', `${outcome.statusCode}: ${outcome.reason}`).catch(fatal);
    } else if (this.#fence.raised) {
      // Whoever owns the partition now stores it.
      this.#answered();
    } else {
      recorder.failed(`cosmos-${outcome.statusCode}`, 1);
      this.#answered();
      fatal(storeFailure(outcome.statusCode, outcome.reason));
    }
  }

  async #putAside(
    ticket: number,
    event: ReceivedEvent,
    reason: DeadLetterReason,
    detail: string,
  ): Promise<void> {
    const { clock, deadLetter, eventHub, fatal, recorder, totals } = this.#environment;
    recorder.failed(reason, 1);
    try {
      if (deadLetter === undefined)
        throw new PipeError(
          'E_CONFIG',
          `event ${event.sequenceNumber} of partition ${this.partitionId} cannot be stored (${detail})`,
          { hint: 'pass --dead-letter <file.ndjson> to put such events aside and go on' },
        );
      await deadLetter.write({
        reason,
        detail,
        eventHub,
        partition: this.partitionId,
        sequenceNumber: event.sequenceNumber,
        offset: event.offset,
        enqueuedTime: new Date(event.enqueuedMs).toISOString(),
        deadLetteredTime: new Date(clock.epochMicros() / 1000).toISOString(),
        ...(event.partitionKey === undefined ? {} : { partitionKey: event.partitionKey }),
        properties: event.properties,
        body: bodyBase64(event.body),
      });
    } catch (error) {
      this.#answered();
      fatal(error as Error);
      return;
    }
    totals.deadLettered += 1;
    this.#durableNow(ticket);
  }

  #durableNow(ticket: number): void {
    const moved = this.#tracker.settle(ticket);
    this.#sinceSaved += moved;
    if (moved > 0 && this.#openPages.length > 0)
      this.#finishPages(this.#tracker.durable?.sequenceNumber ?? -1);
    this.#answered();
  }

  #finishPages(durable: number): void {
    while (this.#openPages[0] !== undefined && this.#openPages[0].lastSequenceNumber <= durable)
      this.#openPages.shift()?.finished();
  }

  #answered(): void {
    this.#unanswered -= 1;
    this.#notify();
  }

  #notify(): void {
    if (this.#wake.length === 0) return;
    const waiting = this.#wake;
    this.#wake = [];
    for (const resolve of waiting) resolve();
  }
}

function sizeOf({ body, bodyStart }: WriteOperation): number {
  return body.length + (bodyStart?.length ?? 0);
}

function storeFailure(statusCode: number, reason: string): PipeError {
  if (statusCode === 401 || statusCode === 403)
    return new PipeError('E_AUTH', `Cosmos DB refused a write (${statusCode}: ${reason})`, {
      hint: 'check the key, or the role "Cosmos DB Built-in Data Contributor" of this identity',
    });
  if (statusCode === 404)
    return new PipeError('E_NOT_FOUND', `Cosmos DB does not know the container any more (${reason})`, {
      hint: 'create it with `cosmos-pipe ingest --create`, then resume: nothing was skipped',
    });
  return new PipeError('E_UNREACHABLE', `Cosmos DB did not take a write (${statusCode}: ${reason})`, {
    hint: 'run the same command again: it resumes from the checkpoint',
  });
}
