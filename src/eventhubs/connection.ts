import { rootCertificates } from 'node:tls';
import type {
  CheckpointStore,
  EventHubClientOptions,
  EventHubConsumerClient,
  EventHubConsumerClientOptions,
  EventHubProducerClient,
  RetryOptions,
} from '@azure/event-hubs';
import type { EventHubsTarget } from '../config/targets.ts';
import { PipeError } from '../util/errors.ts';
import { redact } from '../util/secret.ts';

/** Makes the SDK's clients for one event hub. Each client has a connection of its own; whoever makes it closes it. */
export interface EventHubsConnection {
  /** Host and port without a secret: `contoso.servicebus.windows.net`, `127.0.0.1:5672`. */
  readonly host: string;
  readonly eventHub: string;
  producer(options?: EventHubClientOptions): EventHubProducerClient;
  consumer(
    consumerGroup: string,
    checkpointStore?: CheckpointStore,
    options?: EventHubConsumerClientOptions,
  ): EventHubConsumerClient;
  /** What the user is told about a failure of the SDK: E_UNREACHABLE, E_AUTH, E_NOT_FOUND, or the error itself. */
  explain(error: unknown): Error;
}

/**
 * The SDK's own defaults wait 30 s after a ServerBusy and 60 s for an answer that a dropped connection will never bring,
 * so every client gets these. RetryMode.Exponential is 0.
 */
export const RETRY_OPTIONS: RetryOptions = {
  mode: 0,
  retryDelayInMs: 250,
  maxRetryDelayInMs: 10_000,
  maxRetries: 5,
  timeoutInMs: 15_000,
};

/** Loads the SDK (and, without a connection string, DefaultAzureCredential) only now, so that help stays quick. */
export async function eventHubsConnection(target: EventHubsTarget): Promise<EventHubsConnection> {
  const sdk = await import('@azure/event-hubs');
  const { eventHub } = target;
  const shared: EventHubClientOptions = { retryOptions: { ...RETRY_OPTIONS } };
  if (target.webSockets) {
    shared.webSocketOptions = { webSocket: (await import('ws')).WebSocket };
    if (target.certificate !== undefined)
      shared.webSocketOptions.webSocketConstructorOptions = { ca: [...rootCertificates, target.certificate] };
  }

  if (target.connectionString) {
    const connectionString = target.connectionString.reveal();
    const host = hostOf(connectionString);
    return {
      host,
      eventHub,
      producer: (options) =>
        new sdk.EventHubProducerClient(connectionString, eventHub, { ...shared, ...options }),
      consumer: (consumerGroup, checkpointStore, options) =>
        checkpointStore
          ? new sdk.EventHubConsumerClient(consumerGroup, connectionString, eventHub, checkpointStore, {
              ...shared,
              ...options,
            })
          : new sdk.EventHubConsumerClient(consumerGroup, connectionString, eventHub, {
              ...shared,
              ...options,
            }),
      explain: (error) => explainEventHubsError(error, host, eventHub),
    };
  }

  const host = target.fullyQualifiedNamespace;
  if (!host) {
    throw new PipeError('E_CONFIG', `no Event Hubs namespace is configured for ${eventHub}`, {
      hint: 'set EVENTHUB_CONNECTION_STRING or EVENTHUB_FULLY_QUALIFIED_NAMESPACE, or pass --local',
    });
  }
  const { DefaultAzureCredential } = await import('@azure/identity');
  const credential = new DefaultAzureCredential();
  return {
    host,
    eventHub,
    producer: (options) =>
      new sdk.EventHubProducerClient(host, eventHub, credential, { ...shared, ...options }),
    consumer: (consumerGroup, checkpointStore, options) =>
      checkpointStore
        ? new sdk.EventHubConsumerClient(consumerGroup, host, eventHub, credential, checkpointStore, {
            ...shared,
            ...options,
          })
        : new sdk.EventHubConsumerClient(consumerGroup, host, eventHub, credential, {
            ...shared,
            ...options,
          }),
    explain: (error) => explainEventHubsError(error, host, eventHub),
  };
}

/** Host and port of a connection string. Throws E_CONFIG when it has no `Endpoint=`. */
function hostOf(connectionString: string): string {
  const host = /(?:^|;)\s*Endpoint=\s*[a-z]+:\/\/([^/;\s]+)/i.exec(connectionString)?.[1];
  if (host) return host;
  throw new PipeError('E_CONFIG', 'the Event Hubs connection string has no Endpoint=sb://...', {
    hint: 'copy it from the namespace: Shared access policies, Connection string',
  });
}

const UNREACHABLE =
  /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNRESET|EHOSTUNREACH|ENETUNREACH|getaddrinfo|failed to connect|timed out|timeout/i;
const UNREACHABLE_NAMES = new Set([
  'ServiceCommunicationError',
  'ConnectionLostError',
  'OperationTimeoutError',
  'ServerBusyError',
  'ServiceUnavailableError',
  'InternalServerError',
  'ConnectionForcedError',
  'DetachForcedError',
]);

/** Turns what the SDK throws into one line that names host, hub and cause. Unknown errors come back as they are. */
function explainEventHubsError(error: unknown, host: string, eventHub: string): Error {
  const failure = lastFailure(error);
  if (failure instanceof PipeError) return failure;
  const { message } = failure;
  const name = errorNameOf(failure);
  const code = 'code' in failure && typeof failure.code === 'string' ? failure.code : '';
  const cause = redact(firstLine(message));
  if (
    name === 'UnauthorizedError' ||
    name === 'CredentialUnavailableError' ||
    name === 'AuthenticationRequiredError' ||
    name === 'AuthenticationError' ||
    name === 'AggregateAuthenticationError' ||
    /unauthori[sz]ed|401|invalid signature/i.test(message)
  ) {
    return new PipeError('E_AUTH', `Event Hubs at ${host} refused the sign-in (${cause})`, {
      cause: error,
      hint: 'check the policy and key, or the role "Azure Event Hubs Data Sender/Receiver" of this identity',
    });
  }
  if (name === 'MessagingEntityNotFoundError' || /amqp:not-found|could not be found|404/i.test(message)) {
    return new PipeError('E_NOT_FOUND', `no event hub ${eventHub} at ${host} (${cause})`, {
      cause: error,
      hint: 'name another with --event-hub, or create it',
    });
  }
  if (UNREACHABLE.test(`${code} ${message}`) || UNREACHABLE_NAMES.has(name)) {
    return new PipeError('E_UNREACHABLE', `cannot reach Event Hubs at ${host} (${cause})`, {
      cause: error,
      hint: 'check the address and the network, or start the local stack with `cosmos-pipe local`',
    });
  }
  return failure;
}

/** What kind of failure it is. The SDK names every error MessagingError and puts the kind into `code`. */
export function errorNameOf(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return code.endsWith('Error') ? code : error.name;
}

/** The SDK throws an AggregateError when it retried; the last attempt tells what is wrong. */
export function lastFailure(error: unknown): Error {
  if (error instanceof AggregateError && error.errors.length > 0) return lastFailure(error.errors.at(-1));
  return error instanceof Error ? error : new Error(String(error));
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').trim().slice(0, 200);
}
