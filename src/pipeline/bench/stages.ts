import type { PartitionKey } from '../../cosmos/write-operation.ts';
import type { AcknowledgementSink, RuRecorder, StageRecorder } from '../../metrics/types.ts';
import type { ProduceResult } from '../produce/types.ts';

/** A change as it left the feed. */
export interface BenchChange {
  readonly id: string;
  readonly partitionKey: PartitionKey;
  readonly item: Readonly<Record<string, unknown>>;
  /** The JSON of `item` as the service wrote it, where it is at hand. */
  readonly text?: string | undefined;
}

/** What a stage is given to measure itself with. */
export interface StageContext {
  readonly recorder: StageRecorder;
  readonly ru: RuRecorder;
  /** Aborting it ends the stage in order. */
  readonly signal: AbortSignal;
}

/** The last stage: keeps items by key, and records what it does with the recorder it was opened with. */
export interface BenchCache {
  write(changes: readonly BenchChange[]): Promise<void>;
  /** The cached values of these items, `undefined` where there is none. */
  read(items: readonly Readonly<Record<string, unknown>>[]): Promise<readonly unknown[]>;
  close(): Promise<void>;
}

/**
 * The pipeline as `runBench` sees it: real services behind the SDKs (`openBenchStages`), or anything that behaves like
 * them.
 */
export interface BenchStages {
  /** Provisioned request units per second, where that is known. */
  readonly provisionedRuPerSecond?: number;
  /** Sends the load; resolves when everything was acknowledged or given up. `started` is told when the first arrival is due. */
  produce(
    context: StageContext & {
      readonly ledger: AcknowledgementSink;
      readonly started: (startMicros: number) => void;
    },
  ): Promise<ProduceResult>;
  /** Stores what arrives; resolves when everything that was sent until `drainAfter` resolved is stored. */
  ingest(context: StageContext & { readonly drainAfter: Promise<unknown> }): Promise<void>;
  /** Hands over changes, each range's in order, until the signal aborts. `ready` is called when nothing can be missed. */
  feed(
    context: StageContext & {
      readonly ready: () => void;
      readonly handle: (changes: readonly BenchChange[], receivedMs: number) => Promise<void>;
    },
  ): Promise<void>;
  openCache?(context: StageContext): Promise<BenchCache>;
  /** Everything of this run that is stored, in batches, read from the container and not from the feed. */
  readStore(context: StageContext): AsyncIterable<readonly Readonly<Record<string, unknown>>[]>;
  close(): Promise<void>;
}
