import type { GridEvent } from '../../eventgrid/event.ts';
import type { EventPublisher } from '../../eventgrid/publisher.ts';
import type { Clock } from '../../util/clock.ts';

export interface PublishStreamOptions<T> {
  readonly publisher: EventPublisher;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The event of an element; `undefined` leaves it out. */
  eventOf(element: T): GridEvent | undefined;
  /** Told in order within a batch, once Event Grid has accepted it. */
  accepted?(elements: readonly T[]): void;
  /** A batch is published when it has this many events, default 500, or its first has waited `lingerMs`, default 20. */
  readonly batchEvents?: number;
  readonly lingerMs?: number;
  /** Batches on their way, default 8: beyond it the source is not read (back-pressure). */
  readonly maxBatches?: number;
}

export interface PublishStreamResult {
  readonly read: number;
  readonly skipped: number;
}

/**
 * Publishes a stream of events in batches, reading no further ahead than a few of them. Ends when the stream ends or the
 * signal aborts, after everything that was read has been accepted. Rejects with the publisher's error.
 */
export async function publishStream<T>(
  source: AsyncIterable<T>,
  options: PublishStreamOptions<T>,
): Promise<PublishStreamResult> {
  const { clock, publisher, signal, batchEvents = 500, lingerMs = 20, maxBatches = 8 } = options;
  const underWay = new Set<Promise<void>>();
  const failed = new AbortController();
  let failure: { readonly error: unknown } | undefined;
  let elements: T[] = [];
  let events: GridEvent[] = [];
  let read = 0;
  let skipped = 0;
  let linger: AbortController | undefined;

  const flush = (): void => {
    linger?.abort();
    linger = undefined;
    if (events.length === 0) return;
    const batch = { elements, events };
    elements = [];
    events = [];
    const sending = publisher
      .publish(batch.events)
      .then(() => options.accepted?.(batch.elements))
      .catch((error: unknown) => {
        failure ??= { error };
        failed.abort();
      })
      .finally(() => underWay.delete(sending));
    underWay.add(sending);
  };

  const flushSoon = (): void => {
    const timer = new AbortController();
    linger = timer;
    clock.sleep(lingerMs, timer.signal).then(flush, () => {});
  };

  const stopped = AbortSignal.any([signal, failed.signal]);
  for await (const element of source) {
    read += 1;
    const event = options.eventOf(element);
    if (event === undefined) skipped += 1;
    else {
      elements.push(element);
      events.push(event);
      if (events.length >= batchEvents) flush();
      else if (linger === undefined) flushSoon();
    }
    while (underWay.size >= maxBatches && !failed.signal.aborted) await Promise.race(underWay);
    if (stopped.aborted) break;
  }
  if (failure === undefined) flush();
  linger?.abort();
  await Promise.all(underWay);
  if (failure !== undefined) throw failure.error;
  return { read, skipped };
}
