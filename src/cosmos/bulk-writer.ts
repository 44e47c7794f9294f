import { performance } from 'node:perf_hooks';
import { effectivePartitionKey } from '../hashing/effective-partition-key.ts';
import type { RuRecorder, StageRecorder } from '../metrics/types.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import { PipeError } from '../util/errors.ts';
import { seededRandom } from '../util/random.ts';
import type { CosmosConnection } from './client.ts';
import { partitionKeyRanges, readContainer, throughputOf } from './containers.ts';
import type { BulkWriter } from './write-operation.ts';
import { WriterEngine } from './writer/engine.ts';
import type { RuBudget } from './writer/ru-budget.ts';
import { createSdkTransport } from './writer/sdk-transport.ts';

export interface BulkWriterOptions {
  readonly connection: CosmosConnection;
  readonly recorder?: StageRecorder;
  readonly ru?: RuRecorder;
  /**
   * A batch leaves when it is full or this long after its first operation, default 20. Up to five times as long while the
   * event loop is busy, because fewer and fuller requests are what lets it keep up.
   */
  readonly maxWaitMs?: number;
  /** Says that operations are late already: while the event loop is saturated, up to twenty times `maxWaitMs` then. */
  readonly isBehind?: () => boolean;
  /** `write` holds its caller back beyond this, default 64 MiB. */
  readonly maxBufferedBytes?: number;
  /** Request units per second to stay within; a fraction is of what is provisioned (of the maximum with autoscale). */
  readonly ruBudget?: RuBudget;
  /** How often the provisioned throughput is read again for a fraction of it, default 30,000; costs one or two reads of the offer. */
  readonly budgetEveryMs?: number;
  /** After this time without any useful answer from a range its operations fail, default 120,000. */
  readonly giveUpMs?: number;
  /** Aborting fails whatever is not on the wire yet. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

/** Cosmos DB's limits for one bulk request, the size with room for headers. */
const MAX_OPERATIONS = 100;
const MAX_REQUEST_BYTES = 2_000_000;

/**
 * Opens a writer on the connection's container. Throws PipeError E_NOT_FOUND, E_AUTH or E_UNREACHABLE, and E_CONFIG for a
 * percentage of a throughput that is not provisioned.
 */
export async function createBulkWriter(options: BulkWriterOptions): Promise<BulkWriter> {
  const { connection, clock = systemClock } = options;
  const [{ partitionKey }, ranges, transport] = await Promise.all([
    readContainer(connection),
    partitionKeyRanges(connection),
    createSdkTransport(connection),
  ]);
  const ruPerSecond = await budgetOf(connection, options.ruBudget);
  const engine = new WriterEngine({
    transport,
    ranges,
    hash: (components) => effectivePartitionKey(components, partitionKey),
    clock,
    random: seededRandom(clock.epochMicros()),
    maxWaitMs: options.maxWaitMs ?? 20,
    patience: eventLoopPatience(options.isBehind),
    maxBufferedBytes: options.maxBufferedBytes ?? 64 * 1024 * 1024,
    maxOperations: MAX_OPERATIONS,
    maxRequestBytes: MAX_REQUEST_BYTES,
    maxRequests: 64,
    maxRequestsPerRange: 16,
    giveUpMs: options.giveUpMs ?? 120_000,
    ...(options.recorder ? { recorder: options.recorder } : {}),
    ...(options.ru ? { ru: options.ru } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
    ...(ruPerSecond === undefined ? {} : { ruPerSecond }),
  });
  const { ruBudget } = options;
  return ruBudget === undefined || 'ruPerSecond' in ruBudget
    ? engine
    : followingThroughput(engine, () => budgetOf(connection, ruBudget), clock, options.budgetEveryMs);
}

/** A share of what is provisioned is of what is provisioned now: asked for again every so often, until the writer is closed. */
function followingThroughput(
  engine: WriterEngine,
  budget: () => Promise<number | undefined>,
  clock: Clock,
  everyMs = 30_000,
): BulkWriter {
  const closed = new AbortController();
  const follow = async () => {
    for (;;) {
      await clock.sleep(everyMs, closed.signal);
      // Whoever cannot be asked now is asked next time; the last answer holds meanwhile.
      const ruPerSecond = await budget().catch(() => undefined);
      if (ruPerSecond !== undefined) engine.setBudget(ruPerSecond);
    }
  };
  follow().catch(() => {});
  return {
    write: (operation, settled, fence) => engine.write(operation, settled, fence),
    withdraw: (fence) => engine.withdraw(fence),
    flush: () => engine.flush(),
    close: () => {
      closed.abort();
      return engine.close();
    },
    snapshot: () => engine.snapshot(),
  };
}

async function budgetOf(
  connection: CosmosConnection,
  budget: RuBudget | undefined,
): Promise<number | undefined> {
  if (budget === undefined || 'ruPerSecond' in budget) return budget?.ruPerSecond;
  const { kind, ruPerSecond } = await throughputOf(connection);
  if (kind === 'serverless')
    throw new PipeError(
      'E_CONFIG',
      `a budget of ${budget.fraction * 100}% needs provisioned throughput, the account is serverless`,
      {
        hint: 'give the budget in RU/s, for example --max-ru 4000',
      },
    );
  return ruPerSecond * budget.fraction;
}

/** From this share of busy time on the event loop keeps up better by doing less per operation than by being prompt. */
const BUSY = 0.75;
/** From this share on it does not keep up: late operations queue anyway, so that waiting for full requests costs no time. */
const SATURATED = 0.95;
const PATIENCE = { busy: 5, late: 20 } as const;

/** 1 while the event loop has idle time, more as it has less. Looked at every 100 ms at most. */
function eventLoopPatience(isBehind: () => boolean = () => false): () => number {
  let before = performance.eventLoopUtilization();
  let lookedAt = performance.now();
  let factor = 1;
  return () => {
    const now = performance.now();
    if (now - lookedAt < 100) return factor;
    lookedAt = now;
    const current = performance.eventLoopUtilization();
    factor = patienceAt(performance.eventLoopUtilization(current, before).utilization, isBehind());
    before = current;
    return factor;
  };
}

/** How many times `maxWaitMs` an operation may wait at this utilization of the event loop, 0 to 1. */
export function patienceAt(utilization: number, isBehind: boolean): number {
  const share = (from: number, to: number) => Math.min(1, Math.max(0, (utilization - from) / (to - from)));
  const busy = 1 + (PATIENCE.busy - 1) * share(BUSY, SATURATED);
  return isBehind ? busy + (PATIENCE.late - PATIENCE.busy) * share(SATURATED, 1) : busy;
}
