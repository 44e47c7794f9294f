import { EncodedBatch } from '../../eventhubs/encoded-batch.ts';
import { eventEncoding } from '../../eventhubs/event-encoding.ts';
import { type EventHubsProducer, openProducer } from '../../eventhubs/producer.ts';
import { openThreadedProducer } from '../../eventhubs/threaded-producer.ts';
import { partitionForKeyBytes } from '../../hashing/partition-for-key.ts';
import { Histogram } from '../../metrics/histogram.ts';
import { usageError } from '../../util/errors.ts';
import { seededRandom } from '../../util/random.ts';
import { estimateWorkload } from '../../workload/estimate.ts';
import { readRecords } from '../../workload/records.ts';
import { parseWorkload, type Workload } from '../../workload/spec.ts';
import { type EventStream, isVariable, openStream, shapeOf } from '../../workload/stream.ts';
import { Lane } from './lane.ts';
import { SendingLoop } from './loop.ts';
import { Outbox } from './outbox.ts';
import type { ProduceOptions, ShareOptions, ShareResult } from './types.ts';

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
/** Rate from which answers, socket writes and garbage of the SDK take a third of a thread, in pieces of milliseconds. */
const FAST_PER_SECOND = 10_000;
const REHEARSAL_MS = 300;
const REHEARSED_EVENTS = 20_000;
const REHEARSED_KEYS = 1_000;
const REHEARSED_PARTITIONS = ['0', '1', '2', '3'];
const NO_SCHEDULE = { rate: undefined, stages: undefined, shape: undefined, duration: undefined } as const;
const SMALLEST_BATCH_BYTES = 16 * 1024;
/** Time before the first arrival, to make stream and batches in. */
const LEAD_MICROS = 100_000;

export async function produceShare(options: ShareOptions): Promise<ShareResult> {
  const workload = parseWorkload(options.workload);
  const threaded = options.sendingThread ?? isFast(workload, options);
  const { answerMs } = options.limits ?? {};
  const opening = (threaded ? openThreadedProducer : openProducer)(options.target, {
    idempotent: options.idempotent ?? false,
    publicApiOnly: options.publicApiOnly ?? false,
    ...(answerMs === undefined ? {} : { answerMs }),
  });
  const [producer] = await Promise.all([opening, threaded ? rehearse(options) : undefined]);
  try {
    return await sendShare(options, workload, producer, threaded);
  } finally {
    await producer.close().catch(() => {});
  }
}

/** Whether this share sends so much that the SDK, on the same thread, would make arrivals late. */
function isFast(workload: Workload, { part, shard }: ShareOptions): boolean {
  const { peakPerSecond = 0 } = estimateWorkload(workload);
  return peakPerSecond / (part?.count ?? 1) / (shard?.count ?? 1) >= FAST_PER_SECOND;
}

/**
 * Makes events for nobody while the connection is opened, so that the first ones that count meet compiled code. What is
 * wrong with the workload is left for the real run to say.
 */
async function rehearse({ clock, limits, run, target, workload }: ShareOptions): Promise<void> {
  const count = Math.min(workload.keys?.count ?? REHEARSED_KEYS, REHEARSED_KEYS);
  const keys = { ...workload.keys, count, intervals: undefined };
  const events = { ...workload, ...NO_SCHEDULE, keys, events: REHEARSED_EVENTS };
  const nobody: EventHubsProducer = {
    partitionIds: REHEARSED_PARTITIONS,
    maxMessageBytes: Number.POSITIVE_INFINITY,
    send: async () => undefined,
    explain: (error) => error,
    close: async () => {},
  };
  const options: ShareOptions = {
    clock,
    run,
    target,
    workload: events,
    recorder: new Outbox('rehearsal'),
    scheduling: new Histogram(),
    signal: AbortSignal.timeout(REHEARSAL_MS),
    ...(limits ? { limits } : {}),
  };
  await sendShare(options, parseWorkload(events), nobody, true).catch(() => {});
}

async function sendShare(
  options: ShareOptions,
  workload: Workload,
  producer: EventHubsProducer,
  threaded: boolean,
): Promise<ShareResult> {
  const { clock, idempotent = false, part, recorder, routing = { by: 'key' }, run, shard, signal } = options;
  const limits = { ...DEFAULTS, ...options.limits };
  const closedModel = !options.source?.replaySpeed && !workload.keys.intervals && !shapeOf(workload);
  const { partitionIds } = producer;
  const used = partitionsUsed(routing, partitionIds);
  const lanesEach = idempotent ? 1 : Math.max(1, Math.ceil(WANTED_LANES / used.length));
  const laneCount = used.length * lanesEach;
  const startMicros =
    (await options.agreeOnStart?.()) ?? options.startMicros ?? clock.epochMicros() + LEAD_MICROS;
  const startMs = clock.now() + (startMicros - clock.epochMicros()) / 1000;
  options.onStart?.({ partitions: partitionIds.length, startMicros });

  let stream: EventStream | undefined;
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
  const loop = new SendingLoop(options, stream, startMs, startMicros, options.limits?.lingerMs, closedModel);
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
    newBatch: (bytes) =>
      new EncodedBatch(encoding, threaded ? new SharedArrayBuffer(bytes) : bytes, limits.batchEvents),
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
  if (loop.fatal) throw producer.explain(loop.fatal);
  return loop.result();
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
