import type { Clock } from '../../util/clock.ts';
import type { Journal, JournalRecord, PublishRecord } from './journal.ts';
import type { PushProperties } from './resources.ts';
import { type GridEvent, mapCustomEvent, toDeliverySchema } from './schema.ts';
import { type Subscription, type Topic, wallMs } from './subscription.ts';

/** Positions of the events of one publish that a subscription gets. */
export interface Match {
  readonly subscription: Subscription;
  readonly indexes: readonly number[];
}

/** An accepted publish until every subscription that it matched is done with it. */
interface LivePublish {
  readonly topic: Topic;
  readonly atMs: number;
  readonly events: readonly GridEvent[];
  readonly shaped: boolean;
  /** Subscription path -> what is outstanding there. */
  readonly open: Map<string, Set<number>>;
}

export interface PublicationsOptions {
  readonly clock: Clock;
  /** Real seconds that a second of `clock` takes. */
  readonly timeScale: number;
  readonly journal: Journal;
}

/** Events from their acceptance until all their deliveries are settled, as the journal has them. */
export class Publications {
  readonly #options: PublicationsOptions;
  readonly #live = new Map<number, LivePublish>();
  #nextId = 1;

  constructor(options: PublicationsOptions) {
    this.#options = options;
  }

  /**
   * Takes events over: they are in the journal and queued when it returns. `shaped` events are in the delivery schema of
   * their subscription already, and go to it as they are.
   */
  accept(topic: Topic, events: readonly GridEvent[], matches: readonly Match[], shaped = false): void {
    if (matches.length === 0) return;
    const id = this.#nextId++;
    const atMs = wallMs(this.#options.clock);
    const open = new Map(matches.map(({ indexes, subscription }) => [subscription.path, new Set(indexes)]));
    const live = { topic, atMs, events, shaped, open };
    this.#options.journal.write(recordOf(id, live));
    this.#live.set(id, live);
    for (const { indexes, subscription } of matches) this.#enqueue(id, live, subscription, indexes);
  }

  settled(path: string, id: number, index: number): void {
    this.#options.journal.note({ op: 'settle', id, index, subscription: path });
    const live = this.#live.get(id);
    const open = live?.open.get(path);
    open?.delete(index);
    if (open?.size === 0) live?.open.delete(path);
    if (live?.open.size === 0) this.#live.delete(id);
  }

  /** Forgets what a deleted subscription has not got. */
  forget(path: string): void {
    for (const [id, { open }] of this.#live) if (open.delete(path) && open.size === 0) this.#live.delete(id);
  }

  /** What a subscription has not got now; the returned function queues what is left of it by then for a successor. */
  handOver(path: string): (successor: Subscription) => void {
    const ids = [...this.#live].filter(([, { open }]) => open.has(path)).map(([id]) => id);
    return (successor) => {
      for (const id of ids) {
        const live = this.#live.get(id);
        const indexes = live?.open.get(path);
        if (live && indexes) this.#enqueue(id, live, successor, [...indexes]);
      }
    };
  }

  /** Queues again what the journal says was accepted and not settled. */
  recover(
    records: readonly JournalRecord[],
    topicOf: (path: string) => Topic | undefined,
    subscriptionOf: (path: string) => Subscription | undefined,
  ): void {
    const settled = new Map<number, Set<string>>();
    for (const record of records) {
      if (record.op === 'settle') {
        const done = settled.get(record.id) ?? new Set();
        settled.set(record.id, done.add(`${record.index} ${record.subscription}`));
      }
      if ('id' in record) this.#nextId = Math.max(this.#nextId, record.id + 1);
    }
    for (const record of records) {
      if (record.op !== 'publish') continue;
      const { atMs, events, id, shaped = false, to } = record;
      const topic = topicOf(record.topic);
      if (topic === undefined) continue;
      const live: LivePublish = { topic, atMs, events, shaped, open: new Map() };
      for (const { path, indexes = [...events.keys()] } of to) {
        const left = indexes.filter((index) => !settled.get(id)?.has(`${index} ${path}`));
        const subscription = subscriptionOf(path);
        if (subscription === undefined || left.length === 0) continue;
        live.open.set(path, new Set(left));
        this.#live.set(id, live);
        this.#enqueue(id, live, subscription, left);
      }
    }
  }

  *records(): Generator<JournalRecord> {
    for (const [id, live] of this.#live) yield recordOf(id, live);
  }

  #enqueue(id: number, live: LivePublish, subscription: Subscription, indexes: readonly number[]): void {
    const { clock, timeScale } = this.#options;
    const publishedAt = clock.now() - Math.max(0, wallMs(clock) - live.atMs) / timeScale;
    const common = { publishId: id, publishedMs: live.atMs, publishedAt };
    for (const index of indexes) {
      const event = live.events[index] as GridEvent;
      if (subscription.pull !== undefined) {
        const sizeBytes = JSON.stringify(event).length;
        subscription.pull.add({ ...common, index, event, sizeBytes, deliveryCount: 0, availableAt: 0 });
        continue;
      }
      const shaped = live.shaped ? event : shape(live, subscription, event, `${id}-${index}`);
      const fresh = { attempts: 0, dueAt: 0, lastOutcome: '', lastAttemptMs: 0 };
      subscription.push?.add({ ...common, index, event: shaped, json: JSON.stringify(shaped), ...fresh });
    }
  }
}

function shape(
  { atMs, topic }: LivePublish,
  { properties }: Subscription,
  event: GridEvent,
  id: string,
): GridEvent {
  const { eventDeliverySchema } = properties as PushProperties;
  if (eventDeliverySchema === 'CustomInputSchema') return event;
  return toDeliverySchema(normalized(topic, event, atMs, id), eventDeliverySchema, topic.id);
}

/** A custom event in the Event Grid schema, as its topic maps it; any other as it is. */
export function normalized(topic: Topic, event: GridEvent, atMs: number, id: string): GridEvent {
  const { inputSchema, inputSchemaMapping } = topic.properties;
  if (inputSchema !== 'CustomInputSchema') return event;
  const eventTime = new Date(atMs).toISOString();
  const fallbacks = { id, subject: '', eventType: '', eventTime, dataVersion: '' };
  return mapCustomEvent(event, inputSchemaMapping?.properties ?? {}, fallbacks);
}

function recordOf(id: number, { atMs, events, open, shaped, topic }: LivePublish): PublishRecord {
  return {
    op: 'publish',
    id,
    topic: `${topic.kind}/${topic.name}`,
    atMs,
    events,
    ...(shaped && { shaped }),
    to: [...open].map(([path, indexes]) => ({
      path,
      ...(indexes.size < events.length && { indexes: [...indexes] }),
    })),
  };
}
