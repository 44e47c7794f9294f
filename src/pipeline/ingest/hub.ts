import type { HubReader, HubState } from '../../eventhubs/backlog.ts';
import type { Clock } from '../../util/clock.ts';
import { PipeError } from '../../util/errors.ts';

/** What is known about the ends of the partitions, kept fresh in the background. */
export interface HubWatch {
  /** The last answer of the service, however old. */
  readonly state: HubState;
  /** When that answer was asked for, by the clock's `now`. */
  readonly askedAt: number;
  /** Too old to say how far anybody is behind. */
  readonly isStale: boolean;
  /** The service knows no such hub; since when, by the clock's `now`. */
  readonly missing: { readonly since: number; readonly error: PipeError } | undefined;
  /** Asks now, unless that is being done; never fails. */
  refresh(): Promise<void>;
}

/** How often the ends of the partitions are asked for: management calls count against the throughput units. */
const EVERY_MS = 5_000;
const AFTER_FAILURE_MS = 1_000;
/** Three answers are missing. */
const STALE_MS = 15_000;

/** Asks every 5 s until `signal` is aborted. */
export function watchHub(reader: HubReader, first: HubState, clock: Clock, signal: AbortSignal): HubWatch {
  let state = first;
  let askedAt = clock.now();
  let missing: HubWatch['missing'];
  let asking: Promise<boolean> | undefined;
  const ask = (): Promise<boolean> => {
    asking ??= (async () => {
      const at = clock.now();
      try {
        state = await reader.read();
        askedAt = at;
        missing = undefined;
        return true;
      } catch (error) {
        const isMissing = error instanceof PipeError && error.code === 'E_NOT_FOUND';
        missing = isMissing ? { since: missing?.since ?? clock.now(), error } : undefined;
        return false;
      } finally {
        asking = undefined;
      }
    })();
    return asking;
  };
  const run = async () => {
    for (let answered = true; ; answered = await ask())
      await clock.sleep(answered ? EVERY_MS : AFTER_FAILURE_MS, signal);
  };
  run().catch(() => {});
  return {
    get state() {
      return state;
    },
    get askedAt() {
      return askedAt;
    },
    get missing() {
      return missing;
    },
    get isStale() {
      return clock.now() - askedAt > STALE_MS;
    },
    refresh: async () => void (await ask()),
  };
}
