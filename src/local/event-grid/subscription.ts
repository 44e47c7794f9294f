import { randomUUID } from 'node:crypto';
import type { Clock } from '../../util/clock.ts';
import type { Random } from '../../util/random.ts';
import type { Faults } from '../faults/faults.ts';
import type { DeadLetterStore } from './dead-letter.ts';
import { type Deliver, deliverer } from './deliver.ts';
import type { SubscriptionFilter } from './filter.ts';
import type { ProvisioningState } from './handshake.ts';
import type { GridMetrics } from './metrics.ts';
import { createPullSubscription, type PullSubscription } from './pull-subscription.ts';
import { createPushSubscription, type PushSubscription } from './push-subscription.ts';
import { durationMs, type PullProperties, type PushProperties, type TopicProperties } from './resources.ts';
import { eventId, type GridEvent } from './schema.ts';
import type { Trace, TraceEntry } from './trace.ts';
import type { WebhookClient } from './webhook.ts';

export type TopicKind = 'topics' | 'namespace/topics';

export interface Topic {
  readonly kind: TopicKind;
  readonly name: string;
  /** Resource id, `topic` or `source` of events that bring none. */
  readonly id: string;
  readonly properties: TopicProperties;
  /** By lower-case name. */
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
  /** On the service's clock: a validation by hand must come within ten minutes. */
  readonly createdAt: number;
  state: ProvisioningState;
}

/** What subscriptions share. */
export interface SubscriptionContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly faults: Faults;
  readonly deadLetters: DeadLetterStore;
  readonly trace: Trace;
  readonly metrics: GridMetrics;
  readonly webhooks: WebhookClient;
  readonly deliverToEventHub: Deliver['toEventHub'];
  /** Deliveries under way per subscription. */
  readonly maxConcurrency: number;
  /** An event needs no further delivery to the subscription. */
  settled(path: string, publishId: number, index: number): void;
}

const VALIDATION_WINDOW_MS = 600_000;

/** Wall time in milliseconds since the Unix epoch. */
export function wallMs(clock: Clock): number {
  return Math.floor(clock.epochMicros() / 1000);
}

/** A subscription that nobody has validated in time has failed. */
export function stateOf({ createdAt, state }: Subscription, clock: Clock): ProvisioningState {
  const expired = state === 'AwaitingManualAction' && clock.now() - createdAt > VALIDATION_WINDOW_MS;
  return expired ? 'Failed' : state;
}

export function backlogOf({ pull, push }: Subscription): { readonly events: number; readonly bytes: number } {
  const engine = push ?? pull;
  return { events: engine?.backlog ?? 0, bytes: engine?.backlogBytes ?? 0 };
}

/** Makes a subscription with its delivery engine; push delivers nothing before it is started. */
export function createSubscription(
  context: SubscriptionContext,
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
    createdAt: context.clock.now(),
  };
  if ('destination' in properties) {
    const subscription: Subscription = {
      ...base,
      filter: properties.filter,
      push: pushEngine(context, () => subscription, properties),
      state: 'Creating',
    };
    return subscription;
  }
  const subscription: Subscription = {
    ...base,
    filter: pullFilter(properties),
    pull: pullEngine(context, () => subscription, properties),
    state: 'Succeeded',
  };
  return subscription;
}

function pushEngine(
  context: SubscriptionContext,
  subscription: () => Subscription,
  properties: PushProperties,
): PushSubscription {
  const { clock, deliverToEventHub, faults, metrics, random, webhooks } = context;
  const deliver = deliverer({ clock, faults, webhooks, toEventHub: deliverToEventHub }, properties);
  const { destination, retryPolicy } = properties;
  return createPushSubscription({
    clock,
    random,
    maxConcurrency: context.maxConcurrency,
    maxDeliveryAttempts: retryPolicy.maxDeliveryAttempts,
    eventTimeToLiveMs: retryPolicy.eventTimeToLiveInMinutes * 60_000,
    maxEventsPerBatch: destination.properties.maxEventsPerBatch ?? 1,
    preferredBatchBytes: (destination.properties.preferredBatchSizeInKilobytes ?? 64) * 1024,
    async attempt(batch) {
      const startedMs = wallMs(clock);
      const result = await deliver(subscription().name, batch);
      metrics.duration('DestinationProcessingDurationInMs', wallMs(clock) - startedMs);
      return result;
    },
    attempted({ attempts, event }, { outcome, status }, retryMs) {
      if (outcome !== 'Delivered') metrics.count('DeliveryAttemptFailCount', 1, outcome);
      const answer = `${attempts}: ${outcome}${status === undefined ? '' : ` (${status})`}`;
      const next = retryMs === undefined ? '' : `, next in ${Math.round(retryMs)} ms`;
      traced(context, subscription(), event, { step: 'attempt', detail: answer + next });
    },
    settled: (pending, reason) =>
      conclude(context, subscription(), pending, reason, pending.attempts, pending.lastOutcome),
  });
}

function pullEngine(
  context: SubscriptionContext,
  subscription: () => Subscription,
  { deliveryConfiguration: { queue } }: PullProperties,
): PullSubscription {
  return createPullSubscription({
    clock: context.clock,
    receiveLockDurationMs: queue.receiveLockDurationInSeconds * 1000,
    maxDeliveryCount: queue.maxDeliveryCount,
    eventTimeToLiveMs: durationMs(queue.eventTimeToLive),
    received: ({ deliveryCount, event }) =>
      traced(context, subscription(), event, { step: 'received', detail: `delivery ${deliveryCount}` }),
    settled: (queued, reason) =>
      conclude(context, subscription(), queued, reason, queued.deliveryCount, reason ?? 'Acknowledged'),
  });
}

interface Done {
  readonly event: GridEvent;
  readonly publishId: number;
  readonly index: number;
  readonly publishedMs: number;
}

/** Counts, traces and, where the subscription asks for it, keeps an event that is given up. */
function conclude(
  context: SubscriptionContext,
  subscription: Subscription,
  { event, index, publishId, publishedMs }: Done,
  reason: string | undefined,
  attempts: number,
  outcome: string,
): void {
  const { clock, deadLetters, metrics } = context;
  const { name, path, properties, push, topic } = subscription;
  if (reason === undefined) {
    metrics.count(push ? 'DeliverySuccessCount' : 'AcknowledgedEventCount');
    traced(context, subscription, event, { step: 'settled' });
  } else {
    const keep = properties.deadLetterDestination !== undefined;
    if (reason === 'EventRejected') metrics.count('RejectedEventCount');
    metrics.count(keep ? 'DeadLetteredCount' : 'DroppedEventCount', 1, reason);
    traced(context, subscription, event, { step: keep ? 'deadLettered' : 'dropped', detail: reason });
    const letter = { topic: topic.name, subscription: name, event, reason, attempts, outcome, publishedMs };
    if (keep) deadLetters.put({ ...letter, lastAttemptMs: wallMs(clock) });
  }
  context.settled(path, publishId, index);
}

function traced(
  { clock, trace }: SubscriptionContext,
  { name }: Subscription,
  event: GridEvent,
  entry: Pick<TraceEntry, 'step' | 'detail'>,
): void {
  trace.add(eventId(event), { at: new Date(wallMs(clock)).toISOString(), subscription: name, ...entry });
}

function pullFilter({ filtersConfiguration }: PullProperties): SubscriptionFilter | undefined {
  if (filtersConfiguration === undefined) return undefined;
  const { includedEventTypes, filters } = filtersConfiguration;
  return { ...(includedEventTypes && { includedEventTypes }), ...(filters && { advancedFilters: filters }) };
}
