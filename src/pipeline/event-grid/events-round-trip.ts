import type { CosmosTarget, EventGridTarget } from '../../config/targets.ts';
import { openChangeFeed } from '../../cosmos/change-feed/reader.ts';
import { openCosmos } from '../../cosmos/client.ts';
import { type ContainerSpec, readContainer } from '../../cosmos/containers.ts';
import { openPublisher } from '../../eventgrid/publisher.ts';
import { startWebhook } from '../../eventgrid/webhook.ts';
import { Histogram, type HistogramSummary } from '../../metrics/histogram.ts';
import { createRuRecorder } from '../../metrics/ru-recorder.ts';
import { createStageRecorder, type StageSummary } from '../../metrics/stage-recorder.ts';
import type { Clock } from '../../util/clock.ts';
import { watchQuiet } from '../../util/quiet.ts';
import { seededRandom } from '../../util/random.ts';
import { eventGridSink } from '../feed/event-grid-sink.ts';
import { tailFeed } from '../feed/tail.ts';
import { publishStream } from './publish.ts';
import { generateEvents } from './publish-generate.ts';
import { receiveWebhook } from './receive.ts';
import type { PoisonFile } from './receive-dead-letter.ts';
import { openEventSink } from './receive-sink.ts';

export interface RoundTripOptions {
  /** A topic with CloudEvents as input schema. */
  readonly eventGrid: EventGridTarget;
  /** A container of its own: every change in it counts. */
  readonly cosmos: CosmosTarget;
  readonly create: ContainerSpec;
  readonly events: number;
  readonly keys?: number;
  readonly seed?: number;
  /** Name of the run, part of every event id. */
  readonly run: string;
  /** Pace of both publishers; 0 = no limit. Default: what a custom topic takes. */
  readonly eventsPerSecond?: number;
  readonly bytesPerSecond?: number;
  /** Ends the run when nothing has come back for this long, default 30,000. */
  readonly idleMs?: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Makes an event subscription of the topic for events of one type, delivered to `url`. */
  subscribe(name: string, url: string, type: string): Promise<void>;
}

export interface RoundTripResult {
  /** Events that Event Grid accepted at the start of the way. */
  readonly published: number;
  readonly stored: number;
  /** Deliveries of what was stored already. */
  readonly storedDuplicates: number;
  /** Different events that came back from the change feed, and deliveries of the same ones beyond the first. */
  readonly returned: number;
  readonly returnedDuplicates: number;
  readonly lost: number;
  readonly durationMs: number;
  readonly requestCharge: number;
  /** From publishing an event to its change coming back. */
  readonly roundTrip: HistogramSummary;
  readonly receive: StageSummary;
}

const EVENT_TYPE = 'CosmosPipe.Event';
const CHANGE_TYPE = 'CosmosPipe.Item.Upserted';
const CHECK_MS = 50;

/**
 * Sends events the whole way round: Event Grid -> webhook -> Cosmos DB -> change feed -> Event Grid, and counts what comes back
 * after removing duplicates. Resolves when everything is back, or nothing comes any more.
 */
export async function eventsRoundTrip(options: RoundTripOptions): Promise<RoundTripResult> {
  const { clock, cosmos, eventGrid, run } = options;
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  const recorder = createStageRecorder('receive', { clock });
  const ru = createRuRecorder({ clock });
  const schema = 'cloudEvents';
  const random = seededRandom(options.seed ?? 1);
  const pace = {
    ...(options.eventsPerSecond !== undefined && { eventsPerSecond: options.eventsPerSecond }),
    ...(options.bytesPerSecond !== undefined && { bytesPerSecond: options.bytesPerSecond }),
  };
  const publisherOf = () =>
    openPublisher(eventGrid, { schema, clock, random, signal: options.signal, ...pace });
  const sink = await openEventSink({
    cosmos,
    create: options.create,
    ru,
    clock,
    giveUpMs: 20_000,
    id: 'hash',
    write: 'create',
    partitionKeyFrom: [],
  });
  const connection = await openCosmos(cosmos, { ru });
  const back = returning(run, clock);
  const webhook = { host: '127.0.0.1', port: 0, path: '/events' };
  const collector = await startWebhook({
    ...webhook,
    clock,
    deliver: async ({ events }) => {
      for (const { data } of events) back.take(data);
    },
  });
  try {
    const { rid } = await readContainer(connection);
    let listening: () => void = () => {};
    const ready = new Promise<void>((resolve) => {
      listening = resolve;
    });
    const receiving = receiveWebhook({
      sink,
      deadLetter: nothingIsPoison,
      recorder,
      clock,
      signal,
      webhook,
      async onListening(url) {
        await options.subscribe(`${run}-store`, url, EVENT_TYPE);
        await options.subscribe(`${run}-back`, collector.url, CHANGE_TYPE);
        listening();
      },
    });
    await Promise.race([ready, receiving]);
    const feed = await openChangeFeed(connection, { start: 'beginning', clock, signal, pollMs: 100 });
    const feeding = tailFeed(feed, {
      clock,
      signal,
      poison: { attempts: 3, backoffMs: 200 },
      project: ({ eventId, time }) => ({ eventId, time }),
      sinks: [
        eventGridSink({
          publisher: await publisherOf(),
          origin: { endpoint: cosmos.endpoint, database: cosmos.database, container: cosmos.container, rid },
          schema,
          payload: 'full',
          loops: true,
        }),
      ],
    });
    // A failure of either end ends the wait; it is thrown where they are awaited.
    for (const part of [receiving, feeding]) part.catch(() => ended.abort());
    const publisher = await publisherOf();
    const startedAt = clock.now();
    const generated = generateEvents({
      workload: { events: options.events, keys: { count: options.keys ?? 1000 }, seed: options.seed ?? 1 },
      run,
      schema,
      source: '/cosmos-pipe',
      type: EVENT_TYPE,
      clock,
      signal,
    });
    await publishStream(generated, { publisher, clock, signal, eventOf: ({ event }) => event });
    const { published } = publisher.totals();
    await back.all(published, options.idleMs ?? 30_000, signal);
    const durationMs = clock.now() - startedAt;
    ended.abort();
    const [received] = await Promise.all([receiving, feeding]);
    return {
      published,
      stored: received.stored,
      storedDuplicates: received.duplicates,
      returned: back.events,
      returnedDuplicates: back.duplicates,
      lost: published - back.events,
      durationMs,
      requestCharge: ru.snapshot().requestCharge,
      roundTrip: back.latency.summary(),
      receive: recorder.summary(),
    };
  } finally {
    ended.abort();
    await collector.stop();
    await sink.close();
    connection.dispose();
  }
}

/** Generated events can all be stored; one that cannot is an error of this run. */
const nothingIsPoison: PoisonFile = {
  write: (events) =>
    events.length === 0 ? Promise.resolve() : Promise.reject(new Error(events[0]?.reason ?? 'poison')),
  close: async () => {},
};

/** Counts what comes back, each event once. */
function returning(run: string, clock: Clock) {
  const seen = new Set<string>();
  const latency = new Histogram();
  let duplicates = 0;
  const quiet = watchQuiet(clock, CHECK_MS);
  return {
    latency,
    get events() {
      return seen.size;
    },
    get duplicates() {
      return duplicates;
    },
    take(data: unknown): void {
      const { item } = (data ?? {}) as {
        readonly item?: { readonly eventId?: unknown; readonly time?: unknown };
      };
      const eventId = item?.eventId;
      // The topic may carry changes of other runs.
      if (typeof eventId !== 'string' || !eventId.startsWith(`${run}/`)) return;
      quiet.broken();
      if (seen.has(eventId)) {
        duplicates += 1;
        return;
      }
      seen.add(eventId);
      const sentMs = Date.parse(String(item?.time));
      latency.record(Math.max(0, clock.epochMicros() - sentMs * 1000));
    },
    async all(count: number, idleMs: number, signal: AbortSignal): Promise<void> {
      quiet.broken();
      while (seen.size < count && !signal.aborted && quiet.lookMs() < idleMs)
        await clock.sleep(CHECK_MS, signal).catch(() => {});
    },
  };
}
