import type { InterimResult } from '../pipeline/bench/bench.ts';
import { aggregate, metricsOf } from './metrics.ts';
import type { Threshold, ThresholdResult } from './run-report.ts';
import { checkThreshold } from './thresholds.ts';

/** A threshold that a running load has crossed. */
export type CrossedThreshold = ThresholdResult & { readonly actual: number };

/**
 * The first threshold that the figures so far do not hold. Metrics that are known only at the end (what was lost, what the
 * generator dropped) are not looked at, nor is anything of which nothing was measured yet, nor what can still be met.
 */
export function crossedSoFar(
  interim: InterimResult,
  thresholds: readonly Threshold[],
): CrossedThreshold | undefined {
  const metrics = metricsOf(interim);
  for (const threshold of thresholds) {
    const metric = metrics.get(threshold.metric);
    const actual = metric === undefined ? undefined : aggregate(metric, threshold.aggregation);
    if (actual === undefined || metric?.histogram?.count === 0) continue;
    if (!checkThreshold(threshold, actual) && staysCrossed(threshold, actual))
      return { ...threshold, actual, ok: false };
  }
  return undefined;
}

/** Whether the rest of the run cannot mend it: `throttled:count>0` is not crossed before the end, only not met yet. */
function staysCrossed({ aggregation, limit, operator }: Threshold, actual: number): boolean {
  const grows = GROWING.has(aggregation);
  if (operator === '>' || operator === '>=') return !grows;
  if (operator === '==') return !grows || actual > limit;
  if (operator === '!=') return false;
  return aggregation !== 'min';
}

/** Aggregations that only become greater while a load lasts. */
const GROWING: ReadonlySet<string> = new Set(['count', 'sum', 'max']);
