import { EncodedBatch, eventEncoding } from '../eventhubs/encoded-batch.ts';
import { openProducer } from '../eventhubs/producer.ts';
import { partitionForKeyBytes } from '../hashing/partition-for-key.ts';
import { usageError } from '../util/errors.ts';
import { seededRandom } from '../util/random.ts';
import { readRecords } from '../workload/records.ts';
import { parseWorkload } from '../workload/spec.ts';
import { type EventStream, isVariable, openStream, shapeOf } from '../workload/stream.ts';
import { Lane } from './produce-lane.ts';
import { SendingLoop } from './produce-loop.ts';
import type { ProduceOptions, ShareOptions, ShareResult } from './produce-types.ts';

const DEFAULTS = {
  batchBytes: 1024 * 1024,
  batchEvents: 2_000,
  bufferBytes: 64 * 1024 * 1024,
  maxLatenessMs: 10_000,
  giveUpMs: 60_000,
  drainMs: 10_000,
} as const;

/** Lanes of a partition that a few partitions need to keep the connection busy while answers travel. */
const WANTED_LANES = 4;
const SMALLEST_BATCH_BYTES = 16 * 1024;
/** Time before the first arrival, to make stream and batches in. */
const LEAD_MICROS = 100_000;

export async function produceShare(options: ShareOptions): Promise<ShareResult> {
  const { clock, idempotent = false, part, recorder, routing = { by: 'key' }, run, shard, signal } = options;
  const limits = { ...DEFAULTS, ...options.limits };
  const workload = parseWorkload(options.workload);
  const closedModel = !options.source?.replaySpeed && !workload.keys.intervals && !shapeOf(workload);
  let stream: EventStream | undefined;
  const producer = await openProducer(options.target, {
    idempotent,
    publicApiOnly: options.publicApiOnly ?? false,
    ...(limits.answerMs === undefined ? {} : { answerMs: limits.answerMs }),
    keyName: (keyIndex) => stream?.keys.name(keyIndex) ?? '',
    partitionKeyName: (keyIndex) => stream?.partitionKeys.name(keyIndex) ?? '',
  });

  try {
    const { partitionIds } = producer;
    const used = partitionsUsed(routing, partitionIds);
    const lanesEach = idempotent ? 1 : Math.max(1, Math.ceil(WANTED_LANES / used.length));
    const laneCount = used.length * lanesEach;
    const startMicros =
      (await options.agreeOnStart?.()) ?? options.startMicros ?? clock.epochMicros() + LEAD_MICROS;
    const startMs = clock.now() + (startMicros - clock.epochMicros()) / 1000;
    options.onStart?.({ partitions: partitionIds.length, startMicros });

    const laneOf = (keyIndex: number): number => {
      const { partitionKeys: keys } = stream as EventStream;
      const partition =
        routing.by === 'key'
          ? partitionForKeyBytes(
              keys.bytes.subarray(keys.startOf(keyIndex), keys.startOf(keyIndex) + keys.lengthOf(keyIndex)),
              used.length,
            )
          : keyIndex % used.length;
      return partition * lanesEach + (Math.floor(keyIndex / used.length) % lanesEach);
    };
    const owns = (keyIndex: number): boolean => {
      if (shard && keyIndex % shard.count !== shard.index) return false;
      return !part || Math.floor(laneOf(keyIndex) / lanesEach) % part.count === part.index;
    };
    const { source } = options;
    stream = await openStream(workload, {
      startEpochMs: startMicros / 1000,
      run,
      ...(shard || part ? { owns } : {}),
      ...(source
        ? {
            records: () => readRecords(source.open(), source),
            recordsHaveKeys: source.keyPath !== undefined,
            loop: source.loop ?? false,
            ...(source.replaySpeed === undefined ? {} : { replaySpeed: source.replaySpeed }),
          }
        : {}),
    });

    const encoding = eventEncoding({
      run,
      annotateKey: routing.by === 'key',
      contentType: workload.contentType,
      properties: Object.fromEntries(
        Object.entries(workload.properties).filter(([, value]) => !isVariable(value)),
      ),
      variableProperties: stream.variableProperties,
      idempotent,
    });
    const largest = Math.min(producer.maxMessageBytes, limits.bufferBytes);
    const capacityBytes = Math.min(
      largest,
      Math.max(
        Math.min(limits.batchBytes, Math.floor(limits.bufferBytes / (2 * laneCount))),
        stream.usualBodyBytes + encoding.overheadBytes + 1_000,
        SMALLEST_BATCH_BYTES,
      ),
    );
    const loop = new SendingLoop(
      options,
      stream,
      startMs,
      startMicros,
      options.limits?.lingerMs,
      closedModel,
    );
    const drain = new AbortController();
    const concurrency = limits.concurrency ?? Number.POSITIVE_INFINITY;
    const random = seededRandom(workload.seed);
    const permits = createPermits(concurrency);
    const lanes = Array.from(
      { length: laneCount },
      (_, lane) =>
        new Lane(
          {
            producer,
            partitionId: used[Math.floor(lane / lanesEach)] as string,
            clock,
            random,
            giveUpMs: limits.giveUpMs,
            stop: drain.signal,
            ...permits,
          },
          loop,
        ),
    );
    loop.begin({
      lanes,
      laneOf,
      newBatch: (bytes) => new EncodedBatch(encoding, bytes, limits.batchEvents),
      capacityBytes,
      bufferBytes: Math.max(limits.bufferBytes, capacityBytes * 2),
      maxLatenessMs: limits.maxLatenessMs,
    });
    await loop.run();
    const drained = Promise.all(lanes.map((lane) => lane.drained()));
    if (signal?.aborted) {
      const timer = setTimeout(() => drain.abort(), limits.drainMs);
      await drained;
      clearTimeout(timer);
    } else {
      const stopEarly = (): void => void setTimeout(() => drain.abort(), limits.drainMs).unref();
      signal?.addEventListener('abort', stopEarly, { once: true });
      await drained;
      signal?.removeEventListener('abort', stopEarly);
    }
    recorder.inFlight(0);
    if (loop.fatal) throw producer.connection.explain(loop.fatal);
    return loop.result();
  } finally {
    await producer.close().catch(() => {});
  }
}

function partitionsUsed(
  routing: NonNullable<ProduceOptions['routing']>,
  ids: readonly string[],
): readonly string[] {
  if (routing.by !== 'partition') return ids;
  if (ids.includes(routing.partitionId)) return [routing.partitionId];
  throw usageError(
    `no partition ${routing.partitionId}, the event hub has ${ids[0]} to ${ids.at(-1)}`,
    'pass another --partition, or leave it out to route by key',
  );
}

/** At most `count` holders at a time, in the order they asked. */
function createPermits(count: number): { acquire: () => Promise<void> | undefined; release: () => void } {
  let free = count;
  const waiting: (() => void)[] = [];
  return {
    acquire: () => {
      if (free > 0) {
        free -= 1;
        return undefined;
      }
      return new Promise<void>((resolve) => waiting.push(resolve));
    },
    release: () => {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    },
  };
}
