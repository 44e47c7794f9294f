/** One run at one rate. */
export interface Trial {
  readonly ratePerSecond: number;
  readonly held: boolean;
  /** Why it did not hold, for a person. */
  readonly reason?: string;
  /** The generator failed and not the pipeline: the rate says nothing about the pipeline. */
  readonly generatorLimited?: boolean;
}

export interface FindMaxOptions {
  readonly startPerSecond: number;
  /** The search ends when the highest rate that held and the lowest that did not are this close, e.g. 0.05. */
  readonly precision: number;
  /** Runs at the rate found, all of which must hold. */
  readonly confirmations: number;
  readonly maxTrials: number;
  /** Carries the rate long enough to settle and be judged; starts without a backlog. */
  readonly trial: (ratePerSecond: number) => Promise<Trial>;
  readonly signal: AbortSignal;
}

export interface FindMaxResult {
  /** Highest rate that held in every run; 0 when none did. */
  readonly ratePerSecond: number;
  /** Runs at that rate that held, and that were made. */
  readonly held: number;
  readonly runs: number;
  /** Lowest rate that did not hold, and why; absent when every rate tried held. */
  readonly failedPerSecond?: number;
  readonly failedReason?: string;
  /** What ended the climb was the generator: the pipeline may take more. */
  readonly generatorLimited: boolean;
  /** True when the search ended by itself: bracketed within the precision and confirmed. */
  readonly complete: boolean;
  readonly trials: readonly Trial[];
}

/** When not even this part of the first rate holds, something else is wrong, and lower rates would not tell what. */
const HOPELESS = 16;

/**
 * Searches the highest rate that holds: doubles until a rate does not, halves the interval between, then repeats the rate
 * found. A rate that held once and fails a repetition becomes the new upper bound, so what is reported is what held every
 * time. Every rate is tried from an empty backlog.
 */
export async function findMaxRate(options: FindMaxOptions): Promise<FindMaxResult> {
  const { confirmations, maxTrials, precision, signal, startPerSecond } = options;
  const trials: Trial[] = [];
  const failed = (): Trial | undefined =>
    trials
      .filter(({ held }) => !held)
      .reduce<Trial | undefined>(
        (lowest, trial) =>
          lowest === undefined || trial.ratePerSecond < lowest.ratePerSecond ? trial : lowest,
        undefined,
      );
  const best = (): number => {
    const limit = failed()?.ratePerSecond ?? Number.POSITIVE_INFINITY;
    return Math.max(
      0,
      ...trials
        .filter(({ held, ratePerSecond }) => held && ratePerSecond < limit)
        .map((t) => t.ratePerSecond),
    );
  };
  const runsAt = (ratePerSecond: number): number =>
    trials.filter((trial) => trial.ratePerSecond === ratePerSecond).length;

  /** Next rate to try; `undefined` when there is nothing left to learn. */
  const next = (): number | undefined => {
    const high = failed()?.ratePerSecond;
    const low = best();
    if (high === undefined) return low === 0 ? startPerSecond : low * 2;
    if (low === 0 && high <= startPerSecond / HOPELESS) return undefined;
    if (high - low > precision * high && high > 1) return Math.max(1, Math.round((low + high) / 2));
    return low > 0 && runsAt(low) < confirmations ? low : undefined;
  };

  let rate = next();
  while (rate !== undefined && trials.length < maxTrials && !signal.aborted) {
    trials.push(await options.trial(rate));
    rate = next();
  }
  const ratePerSecond = best();
  const limit = failed();
  const runs = trials.filter((trial) => trial.ratePerSecond === ratePerSecond);
  return {
    ratePerSecond,
    held: runs.filter(({ held }) => held).length,
    runs: runs.length,
    ...(limit && { failedPerSecond: limit.ratePerSecond }),
    ...(limit?.reason !== undefined && { failedReason: limit.reason }),
    generatorLimited: limit?.generatorLimited === true,
    complete: rate === undefined && ratePerSecond > 0,
    trials,
  };
}
