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
  /** Runs at the rate found that must hold. */
  readonly confirmations: number;
  readonly maxTrials: number;
  /** Carries the rate long enough to settle and be judged; starts without a backlog. */
  readonly trial: (ratePerSecond: number) => Promise<Trial>;
  readonly signal: AbortSignal;
}

export interface FindMaxResult {
  /** Highest rate that held; 0 when none did. */
  readonly ratePerSecond: number;
  /** Runs at that rate that held, and that were made. */
  readonly held: number;
  readonly runs: number;
  /** Lowest rate that did not hold, why, and how often it failed; absent when every rate tried held. */
  readonly failedPerSecond?: number;
  readonly failedReason?: string;
  readonly failedRuns?: number;
  /** How sure that is: up to `fromPerSecond` nothing that was tried failed, from `toPerSecond` on nothing held. */
  readonly range: { readonly fromPerSecond: number; readonly toPerSecond?: number };
  /** What ended the climb was the generator: the pipeline may take more. */
  readonly generatorLimited: boolean;
  /** True when the search ended by itself: bracketed within the precision and confirmed. */
  readonly complete: boolean;
  readonly trials: readonly Trial[];
}

/** When not even this part of the first rate holds, something else is wrong, and lower rates would not tell what. */
const HOPELESS = 16;
/** One failure may be a busy moment of the machine; a second one is the rate's. */
const FAILURES = 2;
/** A run whose generator failed did not put that rate to the pipeline; only several of them say that it cannot be reached. */
const GENERATOR_FAILURES = 4;

interface Tried {
  readonly ratePerSecond: number;
  readonly held: number;
  readonly failures: readonly Trial[];
  /** What the failures say, in failures of the pipeline. */
  readonly against: number;
}

/**
 * Searches the highest rate that holds: doubles until a rate does not, halves the interval between, then repeats the rate
 * found. A rate that fails is tried again, and does not hold when it failed twice (four times where only the generator did),
 * however often it held: then it is the new upper bound. So both ends of what is reported were seen more than once. Every rate is tried from an empty backlog.
 */
export async function findMaxRate(options: FindMaxOptions): Promise<FindMaxResult> {
  const { confirmations, maxTrials, signal } = options;
  const trials: Trial[] = [];
  let rate = nextRate(triedRates(trials), options);
  while (rate !== undefined && trials.length < maxTrials && !signal.aborted) {
    const trial = await options.trial(rate);
    // A run that was cut short says nothing of its rate.
    if (signal.aborted) break;
    trials.push(trial);
    rate = nextRate(triedRates(trials), options);
  }
  const tried = triedRates(trials);
  const limit = lowestFailed(tried);
  const best = highestHeld(tried);
  const reason = limit?.failures.at(-1);
  return {
    ratePerSecond: best?.ratePerSecond ?? 0,
    held: best?.held ?? 0,
    runs: best === undefined ? 0 : best.held + best.failures.length,
    ...(limit && { failedPerSecond: limit.ratePerSecond, failedRuns: limit.failures.length }),
    ...(reason?.reason !== undefined && { failedReason: reason.reason }),
    range: rangeOf(tried),
    generatorLimited: limit?.failures.every(({ generatorLimited }) => generatorLimited === true) ?? false,
    complete: rate === undefined && best !== undefined && best.held >= confirmations,
    trials,
  };
}

/** The rate to try next; `undefined` when there is nothing left to learn. */
function nextRate(
  tried: readonly Tried[],
  { confirmations, precision, startPerSecond }: FindMaxOptions,
): number | undefined {
  const open = tried.find((one) => !hasFailed(one) && one.held <= one.against);
  if (open !== undefined) return open.ratePerSecond;
  const high = lowestFailed(tried)?.ratePerSecond;
  const held = highestHeld(tried);
  const low = held?.ratePerSecond ?? 0;
  if (high === undefined) return low === 0 ? startPerSecond : low * 2;
  if (low === 0 && high <= startPerSecond / HOPELESS) return undefined;
  if (high - low > precision * high && high > 1) return Math.max(1, Math.round((low + high) / 2));
  return held !== undefined && held.held < confirmations ? low : undefined;
}

function triedRates(trials: readonly Trial[]): Tried[] {
  const rates = [...new Set(trials.map(({ ratePerSecond }) => ratePerSecond))];
  return rates.map((ratePerSecond) => {
    const runs = trials.filter((trial) => trial.ratePerSecond === ratePerSecond);
    const failures = runs.filter(({ held }) => !held);
    const ofGenerator = failures.filter(({ generatorLimited }) => generatorLimited === true).length;
    const against = failures.length - ofGenerator + (ofGenerator * FAILURES) / GENERATOR_FAILURES;
    return { ratePerSecond, held: runs.length - failures.length, failures, against };
  });
}

/** Where runs at the same rate, or at a lower one, ended differently, the machine decided and not the pipeline. */
function rangeOf(tried: readonly Tried[]): FindMaxResult['range'] {
  const failed = tried
    .filter((one) => hasFailed(one) || one.failures.some(({ generatorLimited }) => generatorLimited !== true))
    .map((one) => one.ratePerSecond);
  const held = tried.filter((one) => one.held > 0).map((one) => one.ratePerSecond);
  const firstFailed = Math.min(Number.POSITIVE_INFINITY, ...failed);
  const lastHeld = Math.max(0, ...held);
  const above = failed.filter((rate) => rate > lastHeld);
  return {
    fromPerSecond: Math.max(0, ...held.filter((rate) => rate < firstFailed)),
    ...(above.length > 0 && { toPerSecond: Math.min(...above) }),
  };
}

function hasFailed({ against }: Tried): boolean {
  return against >= FAILURES;
}

function lowestFailed(tried: readonly Tried[]): Tried | undefined {
  return tried.filter(hasFailed).sort((a, b) => a.ratePerSecond - b.ratePerSecond)[0];
}

/** The highest rate that held more often than not, below every rate that failed. */
function highestHeld(tried: readonly Tried[]): Tried | undefined {
  const limit = lowestFailed(tried)?.ratePerSecond ?? Number.POSITIVE_INFINITY;
  return tried
    .filter((one) => !hasFailed(one) && one.held > one.against && one.ratePerSecond < limit)
    .sort((a, b) => b.ratePerSecond - a.ratePerSecond)[0];
}
