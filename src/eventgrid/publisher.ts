import type {
  EventGridPublisherClient,
  SendCloudEventInput,
  SendEventGridEventInput,
} from '@azure/eventgrid';
import type { EventGridTarget } from '../config/targets.ts';
import type { StageRecorder } from '../metrics/types.ts';
import type { Clock } from '../util/clock.ts';
import type { Random } from '../util/random.ts';
import { describeFailure, isTransient, toPipeError } from './errors.ts';
import type { EventSchema, GridEvent } from './event.ts';
import { createPace } from './pace.ts';
import { type PackLimits, pack } from './pack.ts';

export interface PublisherOptions {
  /** Must be the input schema of the topic. */
  readonly schema: EventSchema;
  /** Events and bytes per second, 0 = no limit. Default: what a custom topic takes, 5,000 and 1 MB. */
  readonly eventsPerSecond?: number;
  readonly bytesPerSecond?: number;
  /** Requests on the wire at the same time, default 4. */
  readonly concurrency?: number;
  readonly limits?: Partial<PackLimits>;
  /** A request that Event Grid keeps refusing for a passing reason is given up after this time, default 60,000. */
  readonly giveUpMs?: number;
  readonly clock: Clock;
  readonly random: Random;
  /** Ends waiting for the pace and for retries; requests on the wire are awaited. */
  readonly signal?: AbortSignal;
  readonly recorder?: StageRecorder;
}

export interface PublisherTotals {
  /** Events that Event Grid accepted with 200. */
  readonly published: number;
  readonly requests: number;
  readonly sizeBytes: number;
  /** Requests that were refused for a passing reason and sent again. */
  readonly retried: number;
  /** Of these, the ones that were answered with 429. */
  readonly throttled: number;
}

export interface EventPublisher {
  /**
   * Resolves when Event Grid has accepted every event. Rejects with a PipeError otherwise: some may have been accepted then,
   * so publish all of them again, with the same ids.
   */
  publish(events: readonly GridEvent[]): Promise<void>;
  totals(): PublisherTotals;
}

/** 1 MB for a request and for an event alike (Azure Event Grid quotas and limits). */
export const MAX_REQUEST_BYTES = 1_048_576;
const DEFAULT_LIMITS: PackLimits = { maxBytes: 1_000_000, maxEvents: 1_000 };
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;

/** Publishes to a custom topic through `@azure/eventgrid`, with the key or else with `DefaultAzureCredential`. */
export async function openPublisher(
  target: EventGridTarget,
  options: PublisherOptions,
): Promise<EventPublisher> {
  const { clock, random, recorder, schema, signal } = options;
  const send = await sender(target, schema);
  const pace = createPace(clock, options.eventsPerSecond ?? 5_000, options.bytesPerSecond ?? 1_000_000);
  const permits = createPermits(options.concurrency ?? 4);
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const totals = { published: 0, requests: 0, sizeBytes: 0, retried: 0, throttled: 0 };

  async function sendBatch(events: readonly GridEvent[], sizeBytes: number): Promise<void> {
    const startedAt = clock.now();
    for (let wait = FIRST_RETRY_MS; ; wait = Math.min(wait * 2, LONGEST_RETRY_MS)) {
      await pace.take(events.length, sizeBytes, signal);
      const sentAt = clock.now();
      try {
        await send(events);
        recorder?.serviceTime((clock.now() - sentAt) * 1000);
        break;
      } catch (error) {
        const failure = describeFailure(error);
        const gaveUp = clock.now() - startedAt > (options.giveUpMs ?? 60_000);
        if (!isTransient(failure) || gaveUp || signal?.aborted) {
          recorder?.failed(String(failure.status ?? 'unreachable'), events.length);
          throw toPipeError(error, target.endpoint);
        }
        totals.retried += 1;
        if (failure.status === 429) {
          totals.throttled += 1;
          recorder?.throttled(events.length);
        }
        await clock.sleep(failure.retryAfterMs ?? wait * (0.5 + random.next() / 2), signal);
      }
    }
    totals.published += events.length;
    totals.requests += 1;
    totals.sizeBytes += sizeBytes;
    recorder?.done(events.length, sizeBytes);
  }

  return {
    async publish(events) {
      recorder?.offered(events.length);
      const underWay: Promise<void>[] = [];
      let failure: { readonly error: unknown } | undefined;
      for (const { items, sizeBytes } of pack(sized(events), limits)) {
        await permits.acquire();
        if (failure !== undefined) {
          permits.release();
          break;
        }
        underWay.push(
          sendBatch(items, sizeBytes)
            .catch((error: unknown) => {
              failure ??= { error };
            })
            .finally(permits.release),
        );
      }
      await Promise.all(underWay);
      if (failure !== undefined) throw failure.error;
    },
    totals: () => ({ ...totals }),
  };
}

/**
 * Sends a request without events, which publishes nothing: it tells whether the topic is there and takes the credential.
 * Throws PipeError E_UNREACHABLE, E_AUTH or E_NOT_FOUND.
 */
export async function probeTopic(target: EventGridTarget): Promise<void> {
  const send = await sender(target, 'eventGrid');
  try {
    await send([]);
  } catch (error) {
    // Credentials are checked before the body, which a topic of another schema refuses.
    if (describeFailure(error).status !== 400) throw toPipeError(error, target.endpoint);
  }
}

/** Room for the attributes that the SDK adds: `specversion`, `datacontenttype`, `dataVersion`. */
const ADDED_BYTES = 90;

/** Size of an event in a request; of binary data its base64 form. */
export function eventSizeBytes(event: GridEvent): number {
  const { data, ...attributes } = event;
  const dataBytes = Buffer.isBuffer(data)
    ? Math.ceil(data.length / 3) * 4
    : Buffer.byteLength(JSON.stringify(data) ?? '');
  return dataBytes + Buffer.byteLength(JSON.stringify(attributes)) + ADDED_BYTES;
}

function* sized(events: readonly GridEvent[]): Generator<{ item: GridEvent; sizeBytes: number }> {
  for (const item of events) yield { item, sizeBytes: eventSizeBytes(item) };
}

async function sender(
  target: EventGridTarget,
  schema: EventSchema,
): Promise<(events: readonly GridEvent[]) => Promise<void>> {
  const { endpoint, key } = target;
  const { EventGridPublisherClient, AzureKeyCredential, AzureSASCredential } = await import(
    '@azure/eventgrid'
  );
  const secret = key?.reveal();
  const credential =
    secret === undefined
      ? new (await import('@azure/identity')).DefaultAzureCredential()
      : secret.startsWith('r=')
        ? new AzureSASCredential(secret)
        : new AzureKeyCredential(secret);
  const options = {
    // The SDK refuses http:// otherwise; only what does not leave this machine may go without TLS.
    allowInsecureConnection: isLoopback(endpoint),
    // Retried here, so that repeats are paced and counted.
    retryOptions: { maxRetries: 0 },
  };
  if (schema === 'cloudEvents') {
    const client: EventGridPublisherClient<'CloudEvent'> = new EventGridPublisherClient(
      endpoint,
      'CloudEvent',
      credential,
      options,
    );
    return (events) => client.send(events.map(cloudEvent));
  }
  const client: EventGridPublisherClient<'EventGrid'> = new EventGridPublisherClient(
    endpoint,
    'EventGrid',
    credential,
    options,
  );
  return (events) => client.send(events.map(eventGridEvent));
}

function cloudEvent(event: GridEvent): SendCloudEventInput<unknown> {
  const { id, source, type, subject, time, data, contentType, extensions } = event;
  return {
    id,
    source,
    type,
    ...(subject !== undefined && { subject }),
    ...(time !== undefined && { time: new Date(time) }),
    ...(data !== undefined && { data: asObject(data) }),
    ...(Buffer.isBuffer(data) && { datacontenttype: contentType ?? 'application/octet-stream' }),
    ...(!Buffer.isBuffer(data) && contentType !== undefined && { datacontenttype: contentType }),
    extensionAttributes: { ...extensions },
  };
}

function eventGridEvent(event: GridEvent): SendEventGridEventInput<unknown> {
  const { id, source, type, subject, time, data } = event;
  return {
    id,
    subject: subject ?? source,
    eventType: type,
    dataVersion: '1',
    ...(time !== undefined && { eventTime: new Date(time) }),
    data: asObject(data ?? null),
  };
}

/** The SDK takes nothing but objects as data ("events.data must be of type object"). */
function asObject(data: unknown): object {
  return typeof data === 'object' && data !== null ? data : { value: data };
}

function isLoopback(endpoint: string): boolean {
  const host = URL.canParse(endpoint) ? new URL(endpoint).hostname : '';
  return host === 'localhost' || host === '[::1]' || host.startsWith('127.');
}

/** At most `count` holders at a time, in the order they asked. */
function createPermits(count: number): {
  readonly acquire: () => Promise<void> | undefined;
  readonly release: () => void;
} {
  let free = count;
  const waiting: (() => void)[] = [];
  return {
    acquire() {
      if (free === 0) return new Promise((resolve) => waiting.push(resolve));
      free -= 1;
      return undefined;
    },
    release() {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    },
  };
}
