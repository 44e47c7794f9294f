import type { Secret } from '../util/secret.ts';
import { toPipeError } from './errors.ts';
import { type GridEvent, readEvent } from './event.ts';

/** A queue subscription of a namespace topic. */
export interface NamespaceTarget {
  /** `https://<namespace>.<region>-1.eventgrid.azure.net` */
  readonly endpoint: string;
  /** Without one, `DefaultAzureCredential` is used. */
  readonly key?: Secret;
  readonly topic: string;
  readonly subscription: string;
}

export interface LockedEvent {
  readonly lockToken: string;
  /** 1 the first time. */
  readonly deliveryCount: number;
  /** `undefined` when it is not an event that can be read; `raw` has it then. */
  readonly event: GridEvent | undefined;
  readonly raw: unknown;
}

/** Seconds that a released event can be held back. */
export type ReleaseDelaySeconds = 0 | 10 | 60 | 600 | 3600;

export interface Settlement {
  readonly succeeded: readonly string[];
  /** Tokens whose lock was lost: the event is or will be delivered again. */
  readonly failed: readonly { readonly lockToken: string; readonly code: string }[];
}

export interface NamespaceSubscription {
  /** Up to `max` (1 to 100) events as soon as there is one, none after `waitSeconds` (10 to 120). */
  receive(max: number, waitSeconds: number, signal?: AbortSignal): Promise<readonly LockedEvent[]>;
  acknowledge(lockTokens: readonly string[]): Promise<Settlement>;
  /** Makes the events available again. */
  release(lockTokens: readonly string[], delaySeconds: ReleaseDelaySeconds): Promise<Settlement>;
  /** Gives the events up: dead-lettered where the subscription says so, else dropped. */
  reject(lockTokens: readonly string[]): Promise<Settlement>;
  /** Starts the lock duration anew. */
  renewLock(lockTokens: readonly string[]): Promise<Settlement>;
}

const API_VERSION = '2024-06-01';
const SCOPE = 'https://eventgrid.azure.net/.default';
/** Longer than the longest wait of the service. */
const ANSWER_MARGIN_MS = 30_000;

interface SettlementReply {
  readonly succeededLockTokens?: readonly string[];
  readonly failedLockTokens?: readonly {
    readonly lockToken: string;
    readonly error?: { readonly code?: string };
  }[];
}

interface ReceiveReply {
  readonly value?: readonly {
    readonly brokerProperties: { readonly lockToken: string; readonly deliveryCount: number };
    readonly event: unknown;
  }[];
}

/**
 * Pull delivery over plain HTTP. Not through `@azure/eventgrid-namespaces`: version 1.0.0 drops the extension attributes of
 * CloudEvents, which carry our envelope.
 */
export function openNamespaceSubscription(target: NamespaceTarget): NamespaceSubscription {
  const { endpoint, topic, subscription } = target;
  const authorize = authorization(target);
  const address = `${endpoint.replace(/\/$/, '')}/topics/${encodeURIComponent(topic)}/eventsubscriptions/${encodeURIComponent(subscription)}`;

  async function call<T>(
    operation: string,
    query: Readonly<Record<string, number>>,
    body: unknown,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<T> {
    const url = new URL(`${address}:${operation}`);
    url.searchParams.set('api-version', API_VERSION);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
    const deadline = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          authorization: await authorize(),
          ...(body !== undefined && { 'content-type': 'application/json; charset=utf-8' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
      });
      const text = await response.text();
      if (!response.ok) throw failureOf(response, text);
      return JSON.parse(text) as T;
    } catch (error) {
      signal?.throwIfAborted();
      throw toPipeError(error, address);
    }
  }

  async function settle(
    operation: string,
    lockTokens: readonly string[],
    query: Readonly<Record<string, number>> = {},
  ): Promise<Settlement> {
    const reply = await call<SettlementReply>(operation, query, { lockTokens }, ANSWER_MARGIN_MS);
    return {
      succeeded: reply.succeededLockTokens ?? [],
      failed: (reply.failedLockTokens ?? []).map(({ lockToken, error }) => ({
        lockToken,
        code: error?.code ?? 'unknown',
      })),
    };
  }

  return {
    async receive(max, waitSeconds, signal) {
      const timeoutMs = waitSeconds * 1000 + ANSWER_MARGIN_MS;
      const query = { maxEvents: max, maxWaitTime: waitSeconds };
      const { value = [] } = await call<ReceiveReply>('receive', query, undefined, timeoutMs, signal);
      return value.map(({ brokerProperties: { lockToken, deliveryCount }, event }) => ({
        lockToken,
        deliveryCount,
        event: readEvent(event),
        raw: event,
      }));
    },
    acknowledge: (tokens) => settle('acknowledge', tokens),
    release: (tokens, delaySeconds) => settle('release', tokens, { releaseDelayInSeconds: delaySeconds }),
    reject: (tokens) => settle('reject', tokens),
    renewLock: (tokens) => settle('renewLock', tokens),
  };
}

function authorization({ key }: NamespaceTarget): () => Promise<string> {
  if (key !== undefined) return async () => `SharedAccessKey ${key.reveal()}`;
  let credential: Promise<{ getToken(scope: string): Promise<{ readonly token: string }> }> | undefined;
  return async () => {
    credential ??= import('@azure/identity').then(
      ({ DefaultAzureCredential }) => new DefaultAzureCredential(),
    );
    return `Bearer ${(await (await credential).getToken(SCOPE)).token}`;
  };
}

function failureOf(response: Response, text: string): Error {
  const message = (() => {
    try {
      return (JSON.parse(text) as { readonly error?: { readonly message?: string } }).error?.message;
    } catch {
      return undefined;
    }
  })();
  return Object.assign(new Error(message ?? response.statusText), { statusCode: response.status });
}
