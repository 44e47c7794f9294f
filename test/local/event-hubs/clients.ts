import {
  EventHubBufferedProducerClient,
  EventHubConsumerClient,
  EventHubProducerClient,
  earliestEventPosition,
  type ReceivedEventData,
  type RetryOptions,
  type SubscribeOptions,
} from '@azure/event-hubs';
import { onTestFinished } from 'vitest';
import {
  type EventHubsOptions,
  type EventHubsService,
  startEventHubs,
} from '../../../src/local/event-hubs/index.ts';
import { eventually } from '../../helpers/eventually.ts';

/** Fast retries, so that a test of a failure does not take the SDK's 30 seconds. No pause outlasts the time for an answer. */
export const RETRY = {
  maxRetries: 3,
  retryDelayInMs: 50,
  maxRetryDelayInMs: 200,
  timeoutInMs: 60_000,
} as const;

/**
 * For a send that may lose its answer: the SDK sends again only when the time for it is over. A pause can outlast that as
 * well, so that any event sent with these is stored at least once.
 */
export const LOST_ANSWER = { ...RETRY, maxRetries: 50, timeoutInMs: 1_500 } as const;

/** A service on a free port that ends with the test. */
export async function start(options: EventHubsOptions = {}): Promise<EventHubsService> {
  const service = await startEventHubs(options);
  onTestFinished(() => service.stop());
  return service;
}

interface ClientOptions {
  readonly hub?: string;
  readonly maxRetries?: number;
  /** How long the SDK waits for an answer before it tries again. */
  readonly timeoutInMs?: number;
  readonly connectionString?: string;
}

function retryOptions({
  maxRetries = RETRY.maxRetries,
  timeoutInMs = RETRY.timeoutInMs,
}: ClientOptions): RetryOptions {
  return { ...RETRY, maxRetries, timeoutInMs };
}

export function producer(service: EventHubsService, options: ClientOptions = {}): EventHubProducerClient {
  const client = new EventHubProducerClient(
    options.connectionString ?? service.connectionString,
    options.hub ?? 'telemetry',
    { retryOptions: retryOptions(options) },
  );
  onTestFinished(() => client.close());
  return client;
}

export function bufferedProducer(
  service: EventHubsService,
  options: {
    readonly enableIdempotentRetries?: boolean;
    readonly maxRetries?: number;
    readonly timeoutInMs?: number;
    readonly onError: (error: Error) => void;
  },
): EventHubBufferedProducerClient {
  return new EventHubBufferedProducerClient(service.connectionString, 'telemetry', {
    maxWaitTimeInMs: 20,
    retryOptions: retryOptions(options),
    enableIdempotentRetries: options.enableIdempotentRetries ?? false,
    onSendEventsErrorHandler: async ({ error }) => options.onError(error),
  });
}

export function consumer(
  service: EventHubsService,
  options: ClientOptions & { readonly group?: string } = {},
): EventHubConsumerClient {
  const client = new EventHubConsumerClient(
    options.group ?? '$Default',
    options.connectionString ?? service.connectionString,
    options.hub ?? 'telemetry',
    { retryOptions: retryOptions(options) },
  );
  onTestFinished(() => client.close());
  return client;
}

export interface Subscribed {
  readonly events: ReceivedEventData[];
  readonly errors: (Error & { code?: string })[];
  /** Waits until `count` events came in. */
  until(count: number): Promise<ReceivedEventData[]>;
  /** Waits until an error came in, and returns its code. */
  untilError(): Promise<string | undefined>;
  close(): Promise<void>;
}

/** Receives one partition from the beginning, unless told otherwise. */
export function subscribe(
  client: EventHubConsumerClient,
  partitionId: string,
  options: SubscribeOptions = {},
): Subscribed {
  const events: ReceivedEventData[] = [];
  const errors: Subscribed['errors'] = [];
  const subscription = client.subscribe(
    partitionId,
    {
      processEvents: async (batch) => {
        events.push(...batch);
      },
      processError: async (error) => {
        errors.push(error);
      },
    },
    { startPosition: earliestEventPosition, maxBatchSize: 500, maxWaitTimeInSeconds: 1, ...options },
  );
  onTestFinished(() => subscription.close());
  return {
    events,
    errors,
    until: (count) =>
      eventually(() => {
        if (events.length < count)
          throw new Error(`${events.length} of ${count} events (${errors.join('; ')})`);
        return events;
      }),
    untilError: () =>
      eventually(() => {
        if (errors.length === 0) throw new Error(`no error came, ${events.length} events did`);
        return errors[0]?.code;
      }),
    close: () => subscription.close(),
  };
}

/** Sends `count` numbered events to one partition. */
export async function sendNumbers(
  client: EventHubProducerClient,
  partitionId: string,
  count: number,
  from = 0,
): Promise<void> {
  await client.sendBatch(
    Array.from({ length: count }, (_, i) => ({ body: from + i })),
    { partitionId },
  );
}

/** Each body where it came first. */
export function distinctBodies(events: readonly ReceivedEventData[]): unknown[] {
  return [...new Set(bodies(events))];
}

export function bodies(events: readonly ReceivedEventData[]): unknown[] {
  return events.map((event) => event.body as unknown);
}
