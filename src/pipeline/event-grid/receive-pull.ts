import type { GridEvent } from '../../eventgrid/event.ts';
import type { LockedEvent, NamespaceSubscription, Settlement } from '../../eventgrid/namespace.ts';
import { PipeError } from '../../util/errors.ts';
import { createIntake, type Intake } from './receive-intake.ts';
import type { StoreResult } from './receive-sink.ts';
import type { ReceiveOptions, ReceiveResult } from './receive-types.ts';

export interface ReceivePullOptions extends ReceiveOptions {
  readonly subscription: NamespaceSubscription;
  readonly subscriptionName: string;
  /** Events per request, 1 to 100. */
  readonly maxEvents: number;
  /** Seconds that a request waits for events, 10 to 120. */
  readonly waitSeconds: number;
  /** Requests side by side. */
  readonly concurrency: number;
  /** How long the subscription locks a received event; locks are renewed at half of it. */
  readonly lockMs: number;
}

/** Throttled writes get the container some time to recover; the service knows 0, 10, 60, 600 and 3600 seconds. */
const RELEASE_DELAY_SECONDS = 10;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15_000;

/**
 * Stores what a namespace subscription holds: receive, store, then acknowledge what is durable, release what has to come
 * again, reject what can never be stored (it is in our dead letter by then).
 */
export async function receivePull(options: ReceivePullOptions): Promise<ReceiveResult> {
  const intake = createIntake(options);
  const lanes = Array.from({ length: options.concurrency }, () => lane(options, intake));
  const working = Promise.all(lanes);
  await Promise.race([intake.end(), working]);
  await working;
  return intake.result();
}

async function lane(options: ReceivePullOptions, intake: Intake): Promise<void> {
  const { clock, onProblem, subscription } = options;
  let waitMs = FIRST_RETRY_MS;
  while (!intake.ended.aborted) {
    try {
      const locked = await subscription.receive(options.maxEvents, options.waitSeconds, intake.ended);
      if (locked.length > 0) await work(options, intake, locked);
      waitMs = FIRST_RETRY_MS;
    } catch (error) {
      if (intake.ended.aborted) return;
      if (!(error instanceof PipeError) || error.code !== 'E_UNREACHABLE') throw error;
      onProblem?.(`${error.message}; again in ${waitMs} ms`);
      await clock.sleep(waitMs, intake.ended).catch(() => {});
      waitMs = Math.min(waitMs * 2, LONGEST_RETRY_MS);
    }
  }
}

async function work(
  options: ReceivePullOptions,
  intake: Intake,
  locked: readonly LockedEvent[],
): Promise<void> {
  const { subscription } = options;
  const stopRenewing = keepLocked(options, intake, locked);
  try {
    const results = await store(options, intake, locked);
    const tokensOf = (...kinds: StoreResult['kind'][]): string[] =>
      locked.flatMap(({ lockToken }, index) =>
        kinds.includes((results[index] as StoreResult).kind) ? [lockToken] : [],
      );
    const settle = async (
      tokens: readonly string[],
      how: (tokens: readonly string[]) => Promise<Settlement>,
    ) => {
      if (tokens.length > 0) intake.totals.lostLocks += (await how(tokens)).failed.length;
    };
    await settle(tokensOf('stored', 'duplicate'), (tokens) => subscription.acknowledge(tokens));
    await settle(tokensOf('poison'), (tokens) => subscription.reject(tokens));
    await settle(tokensOf('retry'), (tokens) => subscription.release(tokens, RELEASE_DELAY_SECONDS));
  } finally {
    stopRenewing();
  }
}

/** By delivery count, which the documents keep; in the order of `locked`. */
async function store(
  { clock, deadLetter, subscriptionName }: ReceivePullOptions,
  intake: Intake,
  locked: readonly LockedEvent[],
): Promise<readonly StoreResult[]> {
  const results: StoreResult[] = locked.map(() => ({ kind: 'poison', reason: 'not a CloudEvent' }));
  const receivedAt = new Date(clock.epochMicros() / 1000).toISOString();
  const byCount = new Map<number, number[]>();
  for (const [index, { deliveryCount }] of locked.entries())
    byCount.set(deliveryCount, [...(byCount.get(deliveryCount) ?? []), index]);
  await Promise.all(
    [...byCount].map(async ([count, indexes]) => {
      const readable = indexes.filter((index) => locked[index]?.event !== undefined);
      const events = readable.map((index) => locked[index]?.event as GridEvent);
      if (events.length === 0) return;
      const stored = await intake.store(events, {
        schema: 'cloudEvents',
        subscription: subscriptionName,
        deliveryCount: count - 1,
        receivedAt,
      });
      for (const [at, index] of readable.entries()) results[index] = stored[at] as StoreResult;
    }),
  );
  const unreadable = locked.filter(({ event }) => event === undefined);
  await deadLetter.write(unreadable.map(({ raw }) => ({ reason: 'not a CloudEvent', event: raw })));
  intake.totals.deadLettered += unreadable.length;
  return results;
}

/** Renews the locks while the events are being stored; the returned function ends it. */
function keepLocked(
  { clock, lockMs, subscription }: ReceivePullOptions,
  { totals }: Intake,
  locked: readonly LockedEvent[],
): () => void {
  const done = new AbortController();
  const tokens = locked.map(({ lockToken }) => lockToken);
  const renew = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(lockMs / 2, done.signal);
      totals.lostLocks += (await subscription.renewLock(tokens)).failed.length;
    }
  };
  // A lock that cannot be renewed is lost, and the acknowledgement will say so.
  renew().catch(() => {});
  return () => done.abort();
}
