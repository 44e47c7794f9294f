import { randomUUID } from 'node:crypto';
import type { Clock } from '../../util/clock.ts';
import type { Random } from '../../util/random.ts';
import type { Faults } from '../faults/faults.ts';
import type { DeadLetterStore } from './dead-letter.ts';
import { type Deliver, deliverer } from './deliver.ts';
import { refuse } from './errors.ts';
import { mismatch, type SubscriptionFilter } from './filter.ts';
import { handshake, type ProvisioningState } from './handshake.ts';
import type { Journal, JournalRecord } from './journal.ts';
import type { GridMetrics } from './metrics.ts';
import { createPullSubscription, type PullSubscription } from './pull-subscription.ts';
import { createPushSubscription, type PushSubscription } from './push-subscription.ts';
import {
  durationMs,
  type PullProperties,
  type PushProperties,
  pullProperties,
  pushProperties,
  type TopicProperties,
  topicProperties,
} from './resources.ts';
import { eventId, type GridEvent, toDeliverySchema } from './schema.ts';
import type { Trace } from './trace.ts';
import type { WebhookClient } from './webhook.ts';

export interface GridOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly faults: Faults;
  readonly journal: Journal;
  readonly deadLetters: DeadLetterStore;
  readonly trace: Trace;
  readonly metrics: GridMetrics;
  readonly webhooks: WebhookClient;
  readonly deliverToEventHub: Deliver['toEventHub'];
  /** Most bytes that wait for one subscription; a publish beyond it is refused with 503. */
  readonly maxBacklogBytes: number;
  readonly maxConcurrency: number;
  /** Base URL of this service, for validation URLs. */
  baseUrl(): string;
}

export type TopicKind = 'topics' | 'namespace/topics';

export interface Topic {
  readonly kind: TopicKind;
  readonly name: string;
  readonly id: string;
  readonly properties: TopicProperties;
  readonly subscriptions: Map<string, Subscription>;
}

export interface Subscription {
  readonly topic: Topic;
  readonly name: string;
  /** Key in the journal. */
  readonly path: string;
  readonly properties: PushProperties | PullProperties;
  readonly filter: SubscriptionFilter | undefined;
  readonly push?: PushSubscription;
  readonly pull?: PullSubscription;
  readonly validationCode: string;
  state: ProvisioningState;
}

/** An accepted event until every subscription that it matched is done with it. */
interface LivePublish {
  readonly topic: string;
  readonly atMs: number;
  readonly events: readonly GridEvent[];
  /** `<index> <subscription path>` of what is outstanding. */
  readonly open: Set<string>;
}

const REWRITE_BYTES = 16_000_000;

/** Topics, subscriptions and accepted events: everything of the service but its HTTP face. */
export class Grid {
  readonly #options: GridOptions;
  readonly #topics = new Map<string, Topic>();
  readonly #live = new Map<number, LivePublish>();
  #nextId = 1;
  #rewriteAt = REWRITE_BYTES;

  constructor(options: GridOptions, records: readonly JournalRecord[]) {
    this.#options = options;
    this.#recover(records);
  }

  topics(kind: TopicKind): readonly Topic[] {
    return [...this.#topics.values()].filter((topic) => topic.kind === kind);
  }

  /** @throws EventGridError 404 */
  topic(kind: TopicKind, name: string): Topic {
    const topic = this.#topics.get(`${kind}/${name.toLowerCase()}`);
    if (topic === undefined) throw refuse.topic(name);
    return topic;
  }

  /** @throws EventGridError 404 */
  subscription(kind: TopicKind, topic: string, name: string): Subscription {
    const found = this.topic(kind, topic).subscriptions.get(name.toLowerCase());
    if (found === undefined) throw refuse.subscription(name);
    return found;
  }

  putTopic(kind: TopicKind, name: string, raw: unknown): Topic {
    const path = `${kind}/${name.toLowerCase()}`;
    const properties =
      kind === 'topics'
        ? topicProperties(raw)
        : ({ inputSchema: 'CloudEventSchemaV1_0' } satisfies TopicProperties);
    const existing = this.#topics.get(path);
    const topic = this.#restoreTopic(kind, name, properties, existing?.subscriptions);
    this.#options.journal.write({ op: 'put', path: `${kind}/${name}`, properties });
    return topic;
  }

  async deleteTopic(kind: TopicKind, name: string): Promise<void> {
    const topic = this.topic(kind, name);
    for (const subscription of topic.subscriptions.values()) await this.deleteSubscription(subscription);
    this.#topics.delete(`${kind}/${name.toLowerCase()}`);
    this.#options.journal.write({ op: 'delete', path: `${kind}/${name}` });
  }

  /** Creates or replaces; a webhook has proven that it wants events (or failed to) when the promise resolves. */
  async putSubscription(topic: Topic, name: string, raw: unknown): Promise<Subscription> {
    const properties = topic.kind === 'topics' ? pushProperties(raw, topic.properties) : pullProperties(raw);
    const existing = topic.subscriptions.get(name.toLowerCase());
    if (existing !== undefined) await this.deleteSubscription(existing);
    const subscription = this.#restoreSubscription(topic, name, properties);
    await this.#validate(subscription);
    this.#options.journal.write({ op: 'put', path: subscription.path, properties });
    return subscription;
  }

  async deleteSubscription(subscription: Subscription): Promise<void> {
    subscription.topic.subscriptions.delete(subscription.name.toLowerCase());
    subscription.state = 'Deleting';
    subscription.pull?.stop();
    await subscription.push?.stop();
    this.#options.journal.write({ op: 'delete', path: subscription.path });
    for (const [id, live] of this.#live) {
      for (const open of live.open) if (open.endsWith(` ${subscription.path}`)) live.open.delete(open);
      if (live.open.size === 0) this.#live.delete(id);
    }
  }

  /** A person opened the validation URL. Returns false for a wrong code. */
  validateByHand(name: string, code: string): boolean {
    for (const topic of this.#topics.values()) {
      const subscription = topic.subscriptions.get(name.toLowerCase());
      if (subscription?.validationCode === code) {
        subscription.state = 'Succeeded';
        subscription.push?.start();
        return true;
      }
    }
    return false;
  }

  /**
   * Accepts events: they are in the journal, and queued for every subscription that they match, when it returns.
   *
   * @throws EventGridError 503 when a matching subscription has no room; nothing is accepted then.
   */
  publish(topic: Topic, events: readonly GridEvent[], sizeBytes: number): void {
    const { journal, metrics, trace } = this.#options;
    for (const { push, pull } of topic.subscriptions.values()) {
      const waiting = push?.backlogBytes ?? pull?.backlogBytes ?? 0;
      if (waiting + sizeBytes > this.#options.maxBacklogBytes) throw refuse.busy();
    }
    const id = this.#nextId++;
    const atMs = Date.now();
    const at = new Date(atMs).toISOString();
    for (const event of events)
      trace.add(eventId(event), { at, step: 'published', detail: `to ${topic.name}` });
    const matched = this.#match(topic, events, at);
    metrics.count('PublishSuccessCount', events.length);
    if (matched.length === 0) return;
    journal.write({ op: 'publish', id, topic: `${topic.kind}/${topic.name}`, atMs, events });
    this.#enqueue(id, topic, atMs, events, matched);
    this.#rewriteWhenLarge();
  }

  /** Queues a dead-lettered event for its subscription once more, as if it had just been published. */
  redeliver(
    kind: TopicKind,
    topicName: string,
    subscriptionName: string,
    events: readonly GridEvent[],
  ): void {
    const subscription = this.subscription(kind, topicName, subscriptionName);
    const { topic } = subscription;
    const id = this.#nextId++;
    const atMs = Date.now();
    this.#options.journal.write({ op: 'publish', id, topic: `${topic.kind}/${topic.name}`, atMs, events });
    const matched = events.map((_, index) => ({ index, subscription }));
    for (const other of topic.subscriptions.values())
      if (other !== subscription)
        events.forEach((_, index) => {
          this.#options.journal.note({ op: 'settle', id, index, subscription: other.path });
        });
    this.#enqueue(id, topic, atMs, events, matched);
  }

  async stop(): Promise<void> {
    const all = [...this.#topics.values()].flatMap((topic) => [...topic.subscriptions.values()]);
    for (const { pull } of all) pull?.stop();
    await Promise.all(all.map(({ push }) => push?.stop()));
    this.#options.journal.close();
  }

  #match(
    topic: Topic,
    events: readonly GridEvent[],
    at: string,
  ): { index: number; subscription: Subscription }[] {
    const { metrics, trace } = this.#options;
    const matched: { index: number; subscription: Subscription }[] = [];
    events.forEach((event, index) => {
      let any = false;
      for (const subscription of topic.subscriptions.values()) {
        const why = mismatch(subscription.filter, event);
        const step = why === undefined ? 'matched' : 'unmatched';
        trace.add(eventId(event), { at, subscription: subscription.name, step, ...(why && { detail: why }) });
        if (why !== undefined) continue;
        any = true;
        matched.push({ index, subscription });
      }
      metrics.count(any ? 'MatchedEventCount' : 'UnmatchedEventCount');
    });
    return matched;
  }

  #enqueue(
    publishId: number,
    topic: Topic,
    publishedMs: number,
    events: readonly GridEvent[],
    matched: readonly { readonly index: number; readonly subscription: Subscription }[],
  ): void {
    const publishedAt = this.#options.clock.now() - Math.max(0, Date.now() - publishedMs);
    const open = new Set<string>();
    const common = { publishId, publishedMs, publishedAt };
    this.#live.set(publishId, { topic: `${topic.kind}/${topic.name}`, atMs: publishedMs, events, open });
    for (const { index, subscription } of matched) {
      const event = events[index] as GridEvent;
      open.add(`${index} ${subscription.path}`);
      if (subscription.pull !== undefined) {
        const sizeBytes = JSON.stringify(event).length;
        subscription.pull.add({ ...common, index, event, sizeBytes, deliveryCount: 0, availableAt: 0 });
        continue;
      }
      const schema = (subscription.properties as PushProperties).eventDeliverySchema;
      const shaped = toDeliverySchema(event, schema, topic.id);
      const json = JSON.stringify(shaped);
      const fresh = { attempts: 0, dueAt: 0, lastOutcome: '', lastAttemptMs: 0 };
      subscription.push?.add({ ...common, index, event: shaped, json, ...fresh });
    }
  }

  #settled(subscription: Subscription, publishId: number, index: number): void {
    this.#options.journal.note({ op: 'settle', id: publishId, index, subscription: subscription.path });
    const live = this.#live.get(publishId);
    live?.open.delete(`${index} ${subscription.path}`);
    if (live?.open.size === 0) this.#live.delete(publishId);
  }

  /** Counts, traces and, where the subscription asks for it, keeps an event that is given up. */
  #concluded(
    subscription: Subscription,
    done: { event: GridEvent; publishId: number; index: number; publishedMs: number },
    reason: string | undefined,
    attempts: number,
    outcome: string,
  ): void {
    const { metrics, trace, deadLetters } = this.#options;
    const at = new Date().toISOString();
    const { name, topic, properties } = subscription;
    if (reason === undefined) {
      metrics.count(subscription.push ? 'DeliverySuccessCount' : 'AcknowledgedEventCount');
      trace.add(eventId(done.event), { at, subscription: name, step: 'settled' });
    } else {
      const keep = properties.deadLetterDestination !== undefined;
      if (reason === 'EventRejected') metrics.count('RejectedEventCount');
      metrics.count(keep ? 'DeadLetteredCount' : 'DroppedEventCount', 1, reason);
      trace.add(eventId(done.event), {
        at,
        subscription: name,
        step: keep ? 'deadLettered' : 'dropped',
        detail: reason,
      });
      if (keep) {
        const { event, publishedMs } = done;
        const lastAttemptMs = Date.now();
        deadLetters.put({
          topic: topic.name,
          subscription: name,
          event,
          reason,
          attempts,
          outcome,
          publishedMs,
          lastAttemptMs,
        });
      }
    }
    this.#settled(subscription, done.publishId, done.index);
  }

  #restoreTopic(
    kind: TopicKind,
    name: string,
    properties: TopicProperties,
    subscriptions: Map<string, Subscription> = new Map(),
  ): Topic {
    const id = `/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local/providers/Microsoft.EventGrid/topics/${name}`;
    const topic: Topic = { kind, name, id, properties, subscriptions };
    this.#topics.set(`${kind}/${name.toLowerCase()}`, topic);
    return topic;
  }

  #restoreSubscription(
    topic: Topic,
    name: string,
    properties: PushProperties | PullProperties,
  ): Subscription {
    const base = {
      topic,
      name,
      path: `${topic.kind}/${topic.name}/eventSubscriptions/${name}`,
      properties,
      validationCode: randomUUID().toUpperCase(),
      state: 'Creating' as ProvisioningState,
    };
    const subscription: Subscription =
      'destination' in properties
        ? { ...base, filter: properties.filter, push: this.#push(() => subscription, properties) }
        : {
            ...base,
            filter: pullFilter(properties),
            pull: this.#pull(() => subscription, properties),
            state: 'Succeeded',
          };
    topic.subscriptions.set(name.toLowerCase(), subscription);
    return subscription;
  }

  #push(subscription: () => Subscription, properties: PushProperties): PushSubscription {
    const { clock, random, faults, webhooks, deliverToEventHub, metrics, trace } = this.#options;
    const deliver = deliverer({ clock, faults, webhooks, toEventHub: deliverToEventHub }, properties);
    return createPushSubscription({
      clock,
      random,
      maxConcurrency: this.#options.maxConcurrency,
      maxDeliveryAttempts: properties.retryPolicy.maxDeliveryAttempts,
      eventTimeToLiveMs: properties.retryPolicy.eventTimeToLiveInMinutes * 60_000,
      maxEventsPerBatch: properties.destination.properties.maxEventsPerBatch ?? 1,
      preferredBatchBytes: (properties.destination.properties.preferredBatchSizeInKilobytes ?? 64) * 1024,
      attempt: (batch) => deliver(subscription().name, batch),
      settled: (pending, reason) =>
        this.#concluded(subscription(), pending, reason, pending.attempts, pending.lastOutcome),
      retrying: ({ event, attempts, dueAt }, { status, outcome }) => {
        metrics.count('DeliveryAttemptFailCount', 1, outcome);
        const inMs = Math.round(dueAt - clock.now());
        const detail = `attempt ${attempts}: ${outcome}${status ? ` (${status})` : ''}, next in ${inMs} ms`;
        trace.add(eventId(event), {
          at: new Date().toISOString(),
          subscription: subscription().name,
          step: 'retry',
          detail,
        });
      },
    });
  }

  #pull(
    subscription: () => Subscription,
    { deliveryConfiguration: { queue } }: PullProperties,
  ): PullSubscription {
    return createPullSubscription({
      clock: this.#options.clock,
      receiveLockDurationMs: queue.receiveLockDurationInSeconds * 1000,
      maxDeliveryCount: queue.maxDeliveryCount,
      eventTimeToLiveMs: durationMs(queue.eventTimeToLive),
      settled: (queued, reason) =>
        this.#concluded(subscription(), queued, reason, queued.deliveryCount, reason ?? 'Acknowledged'),
    });
  }

  async #validate(subscription: Subscription): Promise<void> {
    const { push, properties, topic, name, validationCode } = subscription;
    if (push === undefined) return;
    const { destination, eventDeliverySchema } = properties as PushProperties;
    subscription.state =
      destination.endpointType === 'EventHub'
        ? 'Succeeded'
        : await handshake({
            client: this.#options.webhooks,
            url: destination.properties.endpointUrl as string,
            schema: eventDeliverySchema,
            subscription: name,
            topicId: topic.id,
            validationUrl: `${this.#options.baseUrl()}/eventsubscriptions/${name}/validate?id=${validationCode}`,
            validationCode,
          });
    if (subscription.state === 'Succeeded') push.start();
  }

  /** Rebuilds resources and what was accepted but not settled. Endpoints that were validated are not asked again. */
  #recover(records: readonly JournalRecord[]): void {
    const publishes = new Map<number, Extract<JournalRecord, { op: 'publish' }>>();
    const settled = new Map<number, Set<string>>();
    for (const record of records) {
      if (record.op === 'put') this.#recoverPut(record.path, record.properties);
      else if (record.op === 'delete') this.#recoverDelete(record.path);
      else if (record.op === 'publish') publishes.set(record.id, record);
      else
        settled.set(
          record.id,
          (settled.get(record.id) ?? new Set()).add(`${record.index} ${record.subscription}`),
        );
      if ('id' in record) this.#nextId = Math.max(this.#nextId, record.id + 1);
    }
    for (const { id, topic: path, atMs, events } of publishes.values()) {
      const topic = this.#topics.get(path.toLowerCase());
      if (topic === undefined) continue;
      const matched = [...topic.subscriptions.values()].flatMap((subscription) =>
        events.flatMap((event, index) =>
          mismatch(subscription.filter, event) === undefined &&
          !settled.get(id)?.has(`${index} ${subscription.path}`)
            ? [{ index, subscription }]
            : [],
        ),
      );
      if (matched.length > 0) this.#enqueue(id, topic, atMs, events, matched);
    }
    if (records.length > 0) this.#options.journal.rewrite(this.#records());
  }

  #recoverPut(path: string, properties: unknown): void {
    const [topicPath, name] = path.split('/eventSubscriptions/');
    const slash = (topicPath as string).lastIndexOf('/');
    const kind = (topicPath as string).slice(0, slash) as TopicKind;
    const topicName = (topicPath as string).slice(slash + 1);
    if (name === undefined) {
      const existing = this.#topics.get(`${kind}/${topicName.toLowerCase()}`);
      this.#restoreTopic(kind, topicName, properties as TopicProperties, existing?.subscriptions);
      return;
    }
    const subscription = this.#restoreSubscription(
      this.topic(kind, topicName),
      name,
      properties as PushProperties | PullProperties,
    );
    subscription.state = 'Succeeded';
    subscription.push?.start();
  }

  #recoverDelete(path: string): void {
    const [topicPath, name] = path.split('/eventSubscriptions/');
    const key = (topicPath as string).toLowerCase();
    if (name === undefined) this.#topics.delete(key);
    else this.#topics.get(key)?.subscriptions.delete(name.toLowerCase());
  }

  #rewriteWhenLarge(): void {
    const { journal } = this.#options;
    if (journal.sizeBytes < this.#rewriteAt) return;
    journal.rewrite(this.#records());
    this.#rewriteAt = Math.max(REWRITE_BYTES, journal.sizeBytes * 2);
  }

  /** The present state as the shortest journal that leads to it. */
  *#records(): Generator<JournalRecord> {
    for (const { kind, name, properties, subscriptions } of this.#topics.values()) {
      yield { op: 'put', path: `${kind}/${name}`, properties };
      for (const { path, properties } of subscriptions.values()) yield { op: 'put', path, properties };
    }
    for (const [id, { topic, atMs, events, open }] of this.#live) {
      yield { op: 'publish', id, topic, atMs, events };
      const paths = [...(this.#topics.get(topic.toLowerCase())?.subscriptions.values() ?? [])].map(
        ({ path }) => path,
      );
      for (const subscription of paths)
        for (let index = 0; index < events.length; index++)
          if (!open.has(`${index} ${subscription}`)) yield { op: 'settle', id, index, subscription };
    }
  }
}

function pullFilter({ filtersConfiguration }: PullProperties): SubscriptionFilter | undefined {
  if (filtersConfiguration === undefined) return undefined;
  const { includedEventTypes, filters } = filtersConfiguration;
  return { ...(includedEventTypes && { includedEventTypes }), ...(filters && { advancedFilters: filters }) };
}
