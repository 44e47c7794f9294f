import { refuse } from './errors.ts';
import { mismatch } from './filter.ts';
import { farewell, handshake, type ProvisioningState } from './handshake.ts';
import type { Journal, JournalRecord } from './journal.ts';
import { type Match, normalized, Publications } from './publications.ts';
import {
  type PullProperties,
  type PushProperties,
  pullProperties,
  pushProperties,
  type TopicProperties,
  topicProperties,
} from './resources.ts';
import { eventId, type GridEvent } from './schema.ts';
import {
  backlogOf,
  createSubscription,
  type Subscription,
  type SubscriptionContext,
  stateOf,
  type Topic,
  type TopicKind,
  wallMs,
} from './subscription.ts';

export interface GridOptions extends Omit<SubscriptionContext, 'settled'> {
  readonly journal: Journal;
  /** Real seconds that a second of `clock` takes. */
  readonly timeScale: number;
  /** Most bytes that wait for one subscription; a publish beyond it is refused with 503. */
  readonly maxBacklogBytes: number;
  /** Base URL of this service, for validation URLs. */
  baseUrl(): string;
}

const REWRITE_BYTES = 16_000_000;

/** Topics, subscriptions and accepted events: everything of the service but its HTTP face. */
export class Grid {
  readonly #options: GridOptions;
  readonly #context: SubscriptionContext;
  readonly #publications: Publications;
  readonly #topics = new Map<string, Topic>();
  #rewriteAt = REWRITE_BYTES;

  constructor(options: GridOptions, records: readonly JournalRecord[]) {
    this.#options = options;
    this.#publications = new Publications(options);
    this.#context = {
      ...options,
      settled: (path, publishId, index) => this.#publications.settled(path, publishId, index),
    };
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
    const properties =
      kind === 'topics'
        ? topicProperties(raw)
        : ({ inputSchema: 'CloudEventSchemaV1_0' } satisfies TopicProperties);
    const existing = this.#topics.get(`${kind}/${name.toLowerCase()}`);
    if (existing !== undefined && existing.properties.inputSchema !== properties.inputSchema)
      throw refuse.invalid('The inputSchema of a topic cannot be changed.');
    const topic = this.#restoreTopic(kind, existing?.name ?? name, properties);
    this.#options.journal.write({ op: 'put', path: `${kind}/${topic.name}`, properties });
    return topic;
  }

  async deleteTopic(kind: TopicKind, name: string): Promise<void> {
    const topic = this.topic(kind, name);
    for (const subscription of topic.subscriptions.values()) await this.deleteSubscription(subscription);
    this.#topics.delete(`${kind}/${name.toLowerCase()}`);
    this.#options.journal.write({ op: 'delete', path: `${kind}/${topic.name}` });
  }

  /**
   * Creates or replaces; a webhook has proven that it wants events (or failed to) when the promise resolves. A replaced
   * subscription hands its backlog over; it stays as it is when the new endpoint fails its handshake.
   */
  async putSubscription(topic: Topic, name: string, raw: unknown): Promise<Subscription> {
    const key = name.toLowerCase();
    const properties = topic.kind === 'topics' ? pushProperties(raw, topic.properties) : pullProperties(raw);
    const first = topic.subscriptions.get(key);
    const subscription = createSubscription(this.#context, topic, first?.name ?? name, properties);
    if (first === undefined) topic.subscriptions.set(key, subscription);
    const state = await this.#validate(subscription);
    // Deleted, or replaced by a later request, while the endpoint was asked.
    if (subscription.state === 'Deleting') return subscription;
    subscription.state = state;
    const replaced = topic.subscriptions.get(key);
    if (replaced !== undefined && replaced !== subscription && state === 'Failed') return subscription;
    topic.subscriptions.set(key, subscription);
    if (state === 'Succeeded') {
      subscription.push?.start();
      this.#journal(subscription);
    }
    if (replaced !== undefined && replaced !== subscription) {
      const handOver = this.#publications.handOver(subscription.path);
      replaced.state = 'Deleting';
      replaced.pull?.stop();
      await replaced.push?.stop();
      handOver(subscription);
    }
    return subscription;
  }

  async deleteSubscription(subscription: Subscription): Promise<void> {
    const { name, path, properties, pull, push, topic } = subscription;
    const wasActive = subscription.state === 'Succeeded';
    topic.subscriptions.delete(name.toLowerCase());
    subscription.state = 'Deleting';
    pull?.stop();
    this.#options.journal.write({ op: 'delete', path });
    await push?.stop();
    this.#publications.forget(path);
    if (!wasActive || !('destination' in properties)) return;
    const { destination, eventDeliverySchema: schema } = properties;
    const url = destination.properties.endpointUrl;
    if (url !== undefined)
      void farewell({ client: this.#options.webhooks, url, schema, subscription: name, topicId: topic.id });
  }

  /** A person opened the validation URL. Returns false for a wrong code, or when ten minutes have passed. */
  validateByHand(name: string, code: string): boolean {
    for (const topic of this.#topics.values()) {
      const subscription = topic.subscriptions.get(name.toLowerCase());
      if (subscription?.validationCode !== code) continue;
      if (stateOf(subscription, this.#options.clock) === 'Failed') return false;
      subscription.state = 'Succeeded';
      subscription.push?.start();
      this.#journal(subscription);
      return true;
    }
    return false;
  }

  /**
   * Accepts events: they are in the journal, and queued for every subscription that they match, when it returns.
   *
   * @throws EventGridError 503 when a matching subscription has no room; nothing is accepted then.
   */
  publish(topic: Topic, events: readonly GridEvent[], sizeBytes: number): void {
    const { clock, maxBacklogBytes, metrics, trace } = this.#options;
    const atMs = wallMs(clock);
    const at = new Date(atMs).toISOString();
    const seen = events.map((event, index) => {
      const named = normalized(topic, event, atMs, String(index));
      return named === event ? event : { ...event, ...named, data: event['data'] };
    });
    const subscriptions = [...topic.subscriptions.values()];
    const whyNot = subscriptions.map((subscription) => seen.map((event) => unmatched(subscription, event)));
    const matches = subscriptions.flatMap((subscription, row): Match[] => {
      const indexes = [...seen.keys()].filter((index) => whyNot[row]?.[index] === undefined);
      return indexes.length === 0 ? [] : [{ subscription, indexes }];
    });
    for (const { subscription } of matches)
      if (backlogOf(subscription).bytes + sizeBytes > maxBacklogBytes) throw refuse.busy();

    for (const [index, event] of seen.entries()) {
      const id = eventId(event);
      trace.add(id, { at, step: 'published', detail: `to ${topic.name}` });
      let any = false;
      for (const [row, { name }] of subscriptions.entries()) {
        const detail = whyNot[row]?.[index];
        any ||= detail === undefined;
        const step = detail === undefined ? 'matched' : 'unmatched';
        trace.add(id, { at, subscription: name, step, ...(detail && { detail }) });
      }
      metrics.count(any ? 'MatchedEventCount' : 'UnmatchedEventCount');
    }
    metrics.count('PublishSuccessCount', events.length);
    this.#publications.accept(topic, events, matches);
    this.#rewriteWhenLarge();
  }

  /** Queues dead-lettered events for their subscription once more, as if they had just been published. */
  redeliver(subscription: Subscription, events: readonly GridEvent[]): void {
    const indexes = [...events.keys()];
    this.#publications.accept(subscription.topic, events, [{ subscription, indexes }], true);
  }

  async stop(): Promise<void> {
    const all = [...this.#topics.values()].flatMap((topic) => [...topic.subscriptions.values()]);
    for (const { pull } of all) pull?.stop();
    await Promise.all(all.map(({ push }) => push?.stop()));
    this.#options.journal.close();
  }

  #journal({ path, properties }: Subscription): void {
    this.#options.journal.write({ op: 'put', path, properties });
  }

  #restoreTopic(kind: TopicKind, name: string, properties: TopicProperties): Topic {
    const key = `${kind}/${name.toLowerCase()}`;
    const id = `/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local/providers/Microsoft.EventGrid/topics/${name}`;
    const subscriptions = this.#topics.get(key)?.subscriptions ?? new Map<string, Subscription>();
    const topic: Topic = { kind, name, id, properties, subscriptions };
    this.#topics.set(key, topic);
    return topic;
  }

  /** Asks a webhook whether it wants events. An event hub of the stack and a queue need no asking. */
  async #validate({ name, properties, topic, validationCode }: Subscription): Promise<ProvisioningState> {
    if (!('destination' in properties) || properties.destination.endpointType === 'EventHub')
      return 'Succeeded';
    return handshake({
      client: this.#options.webhooks,
      url: properties.destination.properties.endpointUrl as string,
      schema: properties.eventDeliverySchema,
      subscription: name,
      topicId: topic.id,
      validationUrl: `${this.#options.baseUrl()}/eventsubscriptions/${name}/validate?id=${validationCode}`,
      validationCode,
    });
  }

  /** Rebuilds resources and what was accepted but not settled. Endpoints that were validated are not asked again. */
  #recover(records: readonly JournalRecord[]): void {
    for (const record of records) {
      if (record.op === 'put') this.#recoverPut(record.path, record.properties);
      if (record.op === 'delete') this.#recoverDelete(record.path);
    }
    const subscriptions = new Map(
      [...this.#topics.values()].flatMap((topic) =>
        [...topic.subscriptions.values()].map((subscription) => [subscription.path, subscription] as const),
      ),
    );
    this.#publications.recover(
      records,
      (path) => this.#topics.get(path.toLowerCase()),
      (path) => subscriptions.get(path),
    );
    for (const { push } of subscriptions.values()) push?.start();
    if (records.length > 0) this.#options.journal.rewrite(this.#records());
  }

  #recoverPut(path: string, properties: unknown): void {
    const [topicPath = '', name] = path.split('/eventSubscriptions/');
    const slash = topicPath.lastIndexOf('/');
    const kind = topicPath.slice(0, slash) as TopicKind;
    const topicName = topicPath.slice(slash + 1);
    if (name === undefined) {
      this.#restoreTopic(kind, topicName, properties as TopicProperties);
      return;
    }
    const topic = this.topic(kind, topicName);
    const own = properties as PushProperties | PullProperties;
    const subscription = createSubscription(this.#context, topic, name, own);
    subscription.state = 'Succeeded';
    topic.subscriptions.set(name.toLowerCase(), subscription);
  }

  #recoverDelete(path: string): void {
    const [topicPath = '', name] = path.split('/eventSubscriptions/');
    const key = topicPath.toLowerCase();
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
      for (const { path, properties: own, state } of subscriptions.values())
        if (state === 'Succeeded') yield { op: 'put', path, properties: own };
    }
    yield* this.#publications.records();
  }
}

/** Why a subscription does not get an event; `undefined` when it does. */
function unmatched(subscription: Subscription, event: GridEvent): string | undefined {
  if (subscription.state !== 'Succeeded') return `the endpoint is not validated (${subscription.state})`;
  return mismatch(subscription.filter, event);
}
