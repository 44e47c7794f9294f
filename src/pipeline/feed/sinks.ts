import type { CosmosTarget, EventGridTarget, EventHubsTarget, RedisTarget } from '../../config/targets.ts';
import type { FeedChange, FeedPage } from '../../cosmos/change-feed/types.ts';
import type { Clock } from '../../util/clock.ts';
import { seededRandom } from '../../util/random.ts';
import type { FeedSink } from './sink.ts';

export const FEED_SINKS = ['stdout', 'redis', 'event-hub', 'event-grid', 'webhook', 'exec'] as const;

export type FeedSinkName = (typeof FEED_SINKS)[number];

export interface FeedSinkSettings {
  readonly format: (change: FeedChange, page: FeedPage) => string;
  /** Writes text and a line end to standard output; resolves when the reader of the pipe keeps up. */
  readonly print: (text: string) => Promise<void>;
  readonly exec: string;
  readonly webhookUrl: string;
  readonly keyPrefix: string;
  readonly ttlMs: number | undefined;
  eventHubs(): Promise<EventHubsTarget>;
  redis(): Promise<RedisTarget>;
  /** The topic, and the container that the changes are of, with its resource id. */
  eventGrid(): Promise<{
    readonly topic: EventGridTarget;
    readonly cosmos: CosmosTarget;
    readonly rid: string;
  }>;
  readonly clock: Clock;
}

/** Opens a sink by its name; what it needs is loaded, asked for and connected to only now. */
export async function openFeedSink(name: FeedSinkName, settings: FeedSinkSettings): Promise<FeedSink> {
  switch (name) {
    case 'stdout': {
      const { lineSink } = await import('./line-sink.ts');
      return lineSink(settings.format, settings.print);
    }
    case 'redis': {
      const { keyPrefix, ttlMs } = settings;
      const { redisSink } = await import('./redis-sink.ts');
      return redisSink(await settings.redis(), { keyPrefix, ...(ttlMs === undefined ? {} : { ttlMs }) });
    }
    case 'event-hub': {
      const { eventHubSink } = await import('./event-hub-sink.ts');
      return eventHubSink(await settings.eventHubs());
    }
    case 'event-grid': {
      const { openPublisher } = await import('../../eventgrid/publisher.ts');
      const { eventGridSink } = await import('./event-grid-sink.ts');
      const { cosmos, rid, topic } = await settings.eventGrid();
      const { clock } = settings;
      const schema = 'cloudEvents';
      const random = seededRandom(clock.epochMicros());
      const publisher = await openPublisher(topic, { schema, clock, random });
      return eventGridSink({ publisher, origin: { ...cosmos, rid }, schema, payload: 'full' });
    }
    case 'webhook': {
      const { webhookSink } = await import('./webhook-sink.ts');
      return webhookSink({ url: settings.webhookUrl });
    }
    case 'exec': {
      const { execSink } = await import('./exec-sink.ts');
      return execSink(settings.exec, settings.print);
    }
  }
}
