import type { Clock } from '../../util/clock.ts';
import { PipeError } from '../../util/errors.ts';

export interface ConnectOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** How long to try again, default 0. */
  readonly connectMs?: number | undefined;
  /** Told once that it is being tried again. */
  readonly onProblem?: ((message: string) => void) | undefined;
}

const RETRY_DELAY_MS = { first: 250, most: 2_000 } as const;

/**
 * Repeats `open` while it fails with E_UNREACHABLE and the time allows it. Refused credentials, unknown names and wrong
 * options are thrown at once.
 */
export async function openWhenReachable<T>(options: ConnectOptions, open: () => Promise<T>): Promise<T> {
  const { clock, connectMs = 0, onProblem, signal } = options;
  const startedAt = clock.now();
  for (let attempt = 0; ; attempt++) {
    try {
      return await open();
    } catch (error) {
      const leftMs = connectMs - (clock.now() - startedAt);
      const isOutage = error instanceof PipeError && error.code === 'E_UNREACHABLE';
      if (!isOutage || leftMs <= 0 || signal.aborted) throw error;
      if (attempt === 0) onProblem?.(`${error.message}; trying again for ${Math.ceil(leftMs / 1_000)}s`);
      const delayMs = Math.min(RETRY_DELAY_MS.most, RETRY_DELAY_MS.first * 2 ** Math.min(attempt, 10));
      await clock.sleep(Math.min(delayMs, leftMs), signal).catch(() => {});
      if (signal.aborted) throw error;
    }
  }
}
