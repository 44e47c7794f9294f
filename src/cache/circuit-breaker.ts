import type { Clock } from '../util/clock.ts';

export type BreakerState = 'closed' | 'open' | 'halfOpen';

/**
 * Stops asking a service that fails: after `failures` in a row it is left alone for `openMs`, then one request may try. What
 * the caller does without the service is the caller's business.
 */
export class CircuitBreaker {
  readonly #failures: number;
  readonly #openMs: number;
  readonly #clock: Clock;
  #inARow = 0;
  #openedAt: number | undefined;
  #trying: boolean = false;

  constructor(options: { readonly failures: number; readonly openMs: number; readonly clock: Clock }) {
    this.#failures = options.failures;
    this.#openMs = options.openMs;
    this.#clock = options.clock;
  }

  get state(): BreakerState {
    if (this.#openedAt === undefined) return 'closed';
    return this.#clock.now() - this.#openedAt >= this.#openMs ? 'halfOpen' : 'open';
  }

  /** Runs `ask`; `undefined` when the breaker is open or `ask` failed. */
  async run<T>(ask: () => Promise<T>): Promise<{ readonly value: T } | undefined> {
    const { state } = this;
    if (state === 'open' || (state === 'halfOpen' && this.#trying)) return undefined;
    this.#trying = state === 'halfOpen';
    try {
      const value = await ask();
      this.#inARow = 0;
      this.#openedAt = undefined;
      return { value };
    } catch {
      this.#inARow++;
      if (state === 'halfOpen' || this.#inARow >= this.#failures) this.#openedAt = this.#clock.now();
      return undefined;
    } finally {
      this.#trying = false;
    }
  }
}
