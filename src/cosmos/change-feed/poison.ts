import type { Clock } from '../../util/clock.ts';
import { continuationWithin } from './position.ts';
import { sleep } from './read-range.ts';
import type { FeedChange, FeedHandler, FeedPage } from './types.ts';

export interface PoisonPolicy {
  /** How often a change is handed over before it counts as poison. */
  readonly attempts: number;
  /** Wait before the second attempt, doubled for each further one. */
  readonly backoffMs: number;
  /**
   * What to do with a change that failed every time. Absent: the error stops the reader, and nothing after the change is
   * handled. Present: awaited (to put the change aside somewhere durable), then the feed goes on behind it.
   */
  readonly onPoison?: (change: FeedChange, error: unknown) => Promise<void> | void;
}

/**
 * Repeats a page that the handler rejects. With `onPoison` the page is then halved until the change that it fails on stands
 * alone, so one bad item costs log2(page) extra calls; the order of the changes is kept throughout, and what was handled
 * before the failure may be handed over again (at least once).
 */
export function withPoisonPolicy(
  handler: FeedHandler,
  policy: PoisonPolicy,
  clock: Clock,
  signal: AbortSignal,
): FeedHandler {
  const attempt = async (
    page: FeedPage,
    attempts: number,
  ): Promise<{ readonly error: unknown } | undefined> => {
    for (let count = 1; ; count++) {
      try {
        await handler(page);
        return undefined;
      } catch (error) {
        if (count >= attempts || signal.aborted) return { error };
        // A signal of its own, because many ranges may wait here: Node warns about eleven listeners on one.
        await sleep(clock, policy.backoffMs * 2 ** (count - 1), AbortSignal.any([signal]));
      }
    }
  };
  const isolate = async (page: FeedPage, onPoison: NonNullable<PoisonPolicy['onPoison']>): Promise<void> => {
    const isSingle = page.changes.length === 1;
    const failure = await attempt(page, isSingle ? policy.attempts : 1);
    if (failure === undefined) return;
    if (signal.aborted) throw failure.error;
    if (isSingle) {
      await onPoison(page.changes[0] as FeedChange, failure.error);
      return;
    }
    await halves(page, onPoison);
  };
  const halves = async (page: FeedPage, onPoison: NonNullable<PoisonPolicy['onPoison']>): Promise<void> => {
    const middle = Math.ceil(page.changes.length / 2);
    await isolate(part(page, 0, middle), onPoison);
    await isolate(part(page, middle, page.changes.length), onPoison);
  };
  return async (page) => {
    const failure = await attempt(page, policy.attempts);
    if (failure === undefined) return;
    const { onPoison } = policy;
    if (onPoison === undefined || signal.aborted) throw failure.error;
    if (page.changes.length === 1) await onPoison(page.changes[0] as FeedChange, failure.error);
    else await halves(page, onPoison);
  };
}

function part(page: FeedPage, from: number, to: number): FeedPage {
  const changes = page.changes.slice(from, to);
  return {
    ...page,
    changes,
    continuation: continuationWithin(page, to),
    lsn: changes.at(-1)?.lsn ?? page.lsn,
    lagItems: page.lagItems + page.changes.length - to,
  };
}
