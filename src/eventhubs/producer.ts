import { setTimeout as delay } from 'node:timers/promises';
import type { EventData, EventHubProducerClient } from '@azure/event-hubs';
import type { EventHubsTarget } from '../config/targets.ts';
import { youngCollector } from '../util/young-collection.ts';
import {
  type EventHubsConnection,
  errorNameOf,
  eventHubsConnection,
  lastFailure,
  RETRY_OPTIONS,
} from './connection.ts';
import type { EncodedBatch } from './encoded-batch.ts';
import { endedWithLink, endSendsWithLinks } from './producer-links.ts';

/** Why a batch was not accepted, and whether sending it again makes sense. */
export interface SendFailure {
  readonly kind: 'throttled' | 'retryable' | 'tooLarge' | 'fatal';
  /** What kind of error it was, as the SDK calls it. */
  readonly name: string;
  /** The batch may have been stored although no answer came: sending it again may store it twice. */
  readonly outcomeUnknown: boolean;
  readonly error: Error;
}

/** Sends encoded batches to the partitions of one event hub. */
export interface EventHubsProducer {
  readonly partitionIds: readonly string[];
  /** Largest message the service takes, in bytes. */
  readonly maxMessageBytes: number;
  /** One attempt, no retry: order and waiting belong to the caller. Resolves to `undefined` when accepted. */
  send(batch: EncodedBatch): Promise<SendFailure | undefined>;
  /** What the user is told about the error of a failure. */
  explain(error: Error): Error;
  close(): Promise<void>;
}

export interface ProducerOptions {
  readonly idempotent?: boolean;
  /** Time to wait for an answer. */
  readonly answerMs?: number;
  /** Uses the SDK's public batches only: slower, independent of its internals. */
  readonly publicApiOnly?: boolean;
}

/** Links opened at the same time before the first event. */
const OPENING = 8;

/**
 * Connects, asks for the partitions and opens a link to each, so that the first events are not late. Throws a PipeError
 * (E_UNREACHABLE, E_AUTH, E_NOT_FOUND) that names the host.
 */
export async function openProducer(
  target: EventHubsTarget,
  options: ProducerOptions = {},
): Promise<EventHubsProducer> {
  const connection = await eventHubsConnection(target);
  const { timeoutInMs = 0 } = RETRY_OPTIONS;
  const answerMs = options.answerMs ?? timeoutInMs;
  const connect = (): EventHubProducerClient => {
    const made = connection.producer({
      retryOptions: { ...RETRY_OPTIONS, maxRetries: 0, timeoutInMs: answerMs },
    });
    if (options.idempotent) enableIdempotence(made);
    endSendsWithLinks(made);
    return made;
  };
  const wedgedMs = answerMs * WEDGED_AFTER;
  let client = connect();
  const ask = <T>(operation: (client: EventHubProducerClient) => Promise<T>): Promise<T> =>
    whenItCanBeHad(async () => {
      const asked = client;
      const outcome = await endsWithin(operation(asked), wedgedMs);
      if (outcome !== UNENDED) return outcome;
      if (asked === client) {
        client = connect();
        void asked.close().catch(() => {});
      }
      throw unanswered(wedgedMs).error;
    });
  try {
    const partitionIds = await ask((producer) => producer.getPartitionIds());
    let maxMessageBytes = Number.POSITIVE_INFINITY;
    const waiting = [...partitionIds];
    await Promise.all(
      Array.from({ length: OPENING }, async () => {
        for (let partitionId = waiting.shift(); partitionId !== undefined; partitionId = waiting.shift()) {
          const id = partitionId;
          const { maxSizeInBytes } = await ask((producer) => producer.createBatch({ partitionId: id }));
          maxMessageBytes = Math.min(maxMessageBytes, maxSizeInBytes);
        }
      }),
    );
    return new Producer(connection, { client, connect, wedgedMs }, partitionIds, maxMessageBytes, options);
  } catch (error) {
    await closeSoon(client);
    throw connection.explain(error);
  }
}

/** Attempts to open: while the service is busy, and after a connection that was lost or refused. */
const OPENING_ATTEMPTS = { throttled: 8, retryable: 4, tooLarge: 1, fatal: 1 } as const;

/** Opening waits out a busy service, and survives a lost connection; anything else is told at once. */
async function whenItCanBeHad<T>(operation: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await operation();
    } catch (error) {
      if (attempt >= OPENING_ATTEMPTS[classify(error, false).kind]) throw error;
      await delay(100 * 2 ** (attempt - 1));
    }
  }
}

/** The SDK offers idempotence on its buffered client only, which sets this member of the client beneath it. */
function enableIdempotence(client: EventHubProducerClient): void {
  (client as unknown as { _enableIdempotentRetries: boolean })._enableIdempotentRetries = true;
}

/**
 * How many times the SDK's own limit an attempt may take. The SDK (6.0.4) waits without any limit for a connection that is
 * closing (`waitForDisconnectedEvent` in connectionContext.ts); when that event was missed, the attempt never ends, and with
 * no timer left Node ends the process with code 13 in the middle of the run. Its `close` can wait as long.
 */
const WEDGED_AFTER = 2;
const CLOSE_MS = 2_000;
const UNENDED = Symbol('the SDK did not end the operation');

/** What `operation` resolves with, or {@link UNENDED} after `ms`; what it does after that is not waited for. */
async function endsWithin<T>(operation: Promise<T>, ms: number): Promise<T | typeof UNENDED> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<typeof UNENDED>((resolve) => {
    timer = setTimeout(() => resolve(UNENDED), ms);
  });
  return Promise.race([operation, late]).finally(() => clearTimeout(timer));
}

async function closeSoon(client: EventHubProducerClient): Promise<void> {
  await endsWithin(
    client.close().catch(() => {}),
    CLOSE_MS,
  );
}

interface Clients {
  readonly client: EventHubProducerClient;
  readonly connect: () => EventHubProducerClient;
  readonly wedgedMs: number;
}

class Producer implements EventHubsProducer {
  readonly #connection: EventHubsConnection;
  readonly partitionIds: readonly string[];
  readonly maxMessageBytes: number;
  readonly #connect: () => EventHubProducerClient;
  readonly #wedgedMs: number;
  #client: EventHubProducerClient;
  readonly #collectYoung = youngCollector();
  #publicApi: boolean;

  constructor(
    connection: EventHubsConnection,
    { client, connect, wedgedMs }: Clients,
    partitionIds: readonly string[],
    maxMessageBytes: number,
    options: ProducerOptions,
  ) {
    this.#connection = connection;
    this.partitionIds = partitionIds;
    this.maxMessageBytes = maxMessageBytes;
    this.#client = client;
    this.#connect = connect;
    this.#wedgedMs = wedgedMs;
    this.#publicApi = options.publicApiOnly ?? false;
  }

  async send(batch: EncodedBatch): Promise<SendFailure | undefined> {
    this.#collectYoung(batch.sizeInBytes);
    const client = this.#client;
    const outcome = await endsWithin(this.#attempt(batch), this.#wedgedMs);
    if (outcome !== UNENDED) return outcome;
    if (this.#client === client) {
      this.#client = this.#connect();
      void client.close().catch(() => {});
    }
    return unanswered(this.#wedgedMs);
  }

  async #attempt(batch: EncodedBatch): Promise<SendFailure | undefined> {
    if (this.#publicApi) return this.#sendPublic(batch);
    const generatedBefore = batch.generated;
    try {
      await this.#client.sendBatch(batch);
      if (batch.generated > generatedBefore) return undefined;
    } catch (error) {
      if (batch.generated > generatedBefore || isMessagingError(error))
        return classify(error, batch.generated > 0);
    }
    // The SDK never asked for the bytes, so its internals have moved and nothing was sent.
    this.#publicApi = true;
    return this.#sendPublic(batch);
  }

  explain(error: Error): Error {
    return this.#connection.explain(error);
  }

  async close(): Promise<void> {
    await closeSoon(this.#client);
  }

  async #sendPublic(batch: EncodedBatch): Promise<SendFailure | undefined> {
    let sending = false;
    try {
      const { partitionId } = batch;
      const messages = batch.messages() as readonly unknown[] as EventData[];
      let sdkBatch = await this.#client.createBatch({ partitionId });
      for (const message of messages) {
        if (sdkBatch.tryAdd(message)) continue;
        if (sdkBatch.count === 0) return tooLarge();
        sending = true;
        await this.#client.sendBatch(sdkBatch);
        sdkBatch = await this.#client.createBatch({ partitionId });
        if (!sdkBatch.tryAdd(message)) return tooLarge();
      }
      sending = true;
      await this.#client.sendBatch(sdkBatch);
      return undefined;
    } catch (error) {
      return classify(error, sending);
    }
  }
}

function tooLarge(): SendFailure {
  const error = new RangeError('the event does not fit into a message');
  return { kind: 'tooLarge', name: 'MessageTooLargeError', outcomeUnknown: false, error };
}

/** The attempt may still go on by itself, so nobody knows its outcome and its bytes must not be used again. */
function unanswered(ms: number): SendFailure {
  const error = new Error(`the SDK did not end the attempt within ${ms} ms`);
  return { kind: 'retryable', name: 'OperationTimeoutError', outcomeUnknown: true, error };
}

function isMessagingError(error: unknown): boolean {
  return error instanceof AggregateError || (error instanceof Error && 'retryable' in error);
}

/** Errors after which nobody knows whether the service stored the batch. */
const UNANSWERED = new Set([
  'OperationTimeoutError',
  'ConnectionLostError',
  'ConnectionForcedError',
  'DetachForcedError',
  'ServiceCommunicationError',
  'ServiceUnavailableError',
  'Error',
]);

const REFUSED = new Set([
  'UnauthorizedError',
  'MessagingEntityNotFoundError',
  'ArgumentError',
  'ArgumentOutOfRangeError',
]);

function classify(thrown: unknown, wasSent: boolean): SendFailure {
  const error = lastFailure(thrown);
  const name = errorNameOf(error);
  if (name === 'MessageTooLargeError') return { kind: 'tooLarge', name, outcomeUnknown: false, error };
  const outcomeUnknown = wasSent && endedWithLink(error);
  if (name === 'ServerBusyError') return { kind: 'throttled', name, outcomeUnknown, error };
  if (REFUSED.has(name)) return { kind: 'fatal', name, outcomeUnknown, error };
  return {
    kind: 'retryable',
    name,
    outcomeUnknown: outcomeUnknown || (wasSent && UNANSWERED.has(name)),
    error,
  };
}
