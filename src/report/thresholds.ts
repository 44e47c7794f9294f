import { parseDurationMs } from '../util/duration.ts';
import { aggregate, metricsOf } from './metrics.ts';
import type { RunReport } from './run-report.ts';

type Operator = '<' | '<=' | '>' | '>=' | '==' | '!=';

/** `e2e_latency:p(99)<250ms`, taken apart. */
export interface Threshold {
  readonly expression: string;
  readonly metric: string;
  readonly aggregation: string;
  readonly operator: Operator;
  /** In the unit of the metric: milliseconds, events, events/s, RU; rates as a share of one. */
  readonly limit: number;
}

export interface ThresholdResult extends Threshold {
  /** `undefined` in memory, absent in JSON: the run has no such metric, which fails the threshold. */
  readonly actual?: number;
  readonly ok: boolean;
}

const FORM = /^([a-z][\w-]*):([a-z]+(?:\(\d+(?:\.\d+)?\))?)\s*(<=|>=|==|!=|<|>)\s*(.+)$/;

/** Parses `metric:aggregation operator value`. Throws a RangeError that shows the expected form. */
export function parseThreshold(expression: string): Threshold {
  const [, metric, aggregation, operator, value] = FORM.exec(expression.trim()) ?? [];
  const limit = value === undefined ? Number.NaN : parseLimit(value.trim());
  if (metric === undefined || aggregation === undefined || Number.isNaN(limit)) {
    throw new RangeError(
      `invalid threshold "${expression}", expected for example e2e_latency:p(99)<250ms or lost_events:count==0`,
    );
  }
  return { expression, metric, aggregation, operator: operator as Operator, limit };
}

/** Holds a report against thresholds. A metric that the run does not have fails its threshold. */
export function evaluateThresholds(
  report: RunReport,
  thresholds: readonly Threshold[],
): readonly ThresholdResult[] {
  const metrics = metricsOf(report);
  return thresholds.map((threshold) => {
    const metric = metrics.get(threshold.metric);
    const actual = metric === undefined ? undefined : aggregate(metric, threshold.aggregation);
    return {
      ...threshold,
      ...(actual !== undefined && { actual }),
      ok: actual !== undefined && checkThreshold(threshold, actual),
    };
  });
}

function parseLimit(text: string): number {
  const number = /^-?\d[\d_,]*(?:\.\d+)?/.exec(text)?.[0];
  if (number === undefined) return Number.NaN;
  const value = Number(number.replaceAll(/[_,]/g, ''));
  const unit = text.slice(number.length).trim();
  switch (unit) {
    case '':
    case '/s':
    case 'RU':
    case 'RU/s':
      return value;
    case '%':
      return value / 100;
    case 'us':
      return value / 1000;
    default:
      try {
        return parseDurationMs(text.replaceAll(/[_,\s]/g, ''));
      } catch {
        return Number.NaN;
      }
  }
}

/** Whether a measured value holds a threshold. */
export function checkThreshold({ operator, limit }: Threshold, actual: number): boolean {
  switch (operator) {
    case '<':
      return actual < limit;
    case '<=':
      return actual <= limit;
    case '>':
      return actual > limit;
    case '>=':
      return actual >= limit;
    case '==':
      return actual === limit;
    case '!=':
      return actual !== limit;
  }
}
