import { parseBytes } from '../util/bytes.ts';
import { parseDurationMs, parseRatePerSecond } from '../util/duration.ts';
import { type PipeError, usageError } from '../util/errors.ts';
import { aggregationsOf, hasAggregation, METRICS, type MetricKind, nearMetrics } from './metric-catalog.ts';
import { aggregate, metricsOf } from './metrics.ts';
import type { Operator, RunReport, Threshold, ThresholdResult } from './run-report.ts';

const FORM = /^([a-z][\w-]*):([a-z]\w*(?:\(\d+(?:\.\d+)?\))?)\s*(<=|>=|==|!=|<|>)\s*(\S.*)$/;
const EXAMPLES = 'e2e_latency:p(99)<250ms or lost_events:count==0';
const ALL = '`cosmos-pipe report metrics` lists all metrics';

/**
 * Parses `metric:aggregation operator value`. Throws PipeError E_USAGE for another form, and for a metric, an aggregation or
 * a unit that no report has: a typing error must not cost the run that it was to gate.
 */
export function parseThreshold(expression: string): Threshold {
  const [, metric, aggregation, operator, value] = FORM.exec(expression.trim()) ?? [];
  if (metric === undefined || aggregation === undefined || value === undefined)
    throw invalid(expression, `expected for example ${EXAMPLES}`, ALL);
  const kind = METRICS.get(metric);
  if (kind === undefined) {
    const near = nearMetrics(metric);
    throw invalid(
      expression,
      `there is no metric ${metric}`,
      near.length === 0 ? ALL : `did you mean ${near.join(' or ')}? ${ALL}`,
    );
  }
  if (!hasAggregation(kind, aggregation))
    throw invalid(
      expression,
      `${metric} has no aggregation ${aggregation}`,
      `it has ${aggregationsOf(kind).join(', ')}${kind.distribution ? ', for example p(99)' : ''}`,
    );
  const { limit, form } = parseLimit(value.trim(), kind, aggregation);
  if (Number.isNaN(limit))
    throw invalid(expression, `cannot hold ${metric}:${aggregation} against "${value.trim()}"`, form);
  return { expression, metric, aggregation, operator: operator as Operator, limit };
}

function invalid(expression: string, what: string, hint: string): PipeError {
  return usageError(`invalid threshold "${expression}": ${what}`, hint);
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

interface Limit {
  /** NaN for a text that is none. */
  readonly limit: number;
  /** How one is written. */
  readonly form: string;
}

function parseLimit(text: string, { unit }: MetricKind, aggregation: string): Limit {
  // The comma of `1,500` groups digits; that of `1,5s` does not, and must not make a limit ten times as high.
  const plain = text.replaceAll(/(?<=\d)_(?=\d)|(?<=\d),(?=\d{3}(?!\d))|\s/g, '');
  const bare = numberWith(/^$/, plain);
  if (aggregation === 'count') return { limit: bare, form: 'a count is written 100' };
  if (aggregation === 'rate' || unit === 'share')
    return { limit: shareOf(plain), form: 'a share is written 0.1% or 0.001' };
  switch (unit) {
    case 'ms': {
      const limit = first(bare, numberWith(/^us$/, plain) / 1000, () => parseDurationMs(plain));
      return { limit, form: 'a time is written 250ms, 1.5s or 800us' };
    }
    case 'events/s':
      return { limit: first(() => parseRatePerSecond(plain)), form: 'a rate is written 500/s' };
    case 'bytes':
      return { limit: first(bare, () => parseBytes(plain)), form: 'an amount of memory is written 200MB' };
    case 'RU':
      return { limit: numberWith(/^(RU)?$/i, plain), form: 'request units are written 8 or 8RU' };
    case 'RU/s':
      return {
        limit: numberWith(/^((RU)?\/s)?$/i, plain),
        form: 'a rate of request units is written 400RU/s',
      };
    case 'events':
      return { limit: bare, form: 'a number of events is written 100' };
    case 'money':
      return { limit: bare, form: 'money is written 0.25, in the currency of the price sheet' };
  }
}

/** A share as percent or as a number up to 1: `25` stands for neither 25 % nor 2,500 %. */
function shareOf(text: string): number {
  if (text.endsWith('%')) return numberWith(/^%$/, text) / 100;
  const share = numberWith(/^$/, text);
  return Math.abs(share) <= 1 ? share : Number.NaN;
}

/** A number that is followed by one of the units, NaN otherwise. */
function numberWith(unit: RegExp, text: string): number {
  const [, number, rest = ''] = /^(-?\d+(?:\.\d+)?)(.*)$/.exec(text) ?? [];
  return number !== undefined && unit.test(rest) ? Number(number) : Number.NaN;
}

/** The first that is a number; a parser that throws has none. */
function first(...candidates: readonly (number | (() => number))[]): number {
  for (const candidate of candidates) {
    try {
      const value = typeof candidate === 'number' ? candidate : candidate();
      if (!Number.isNaN(value)) return value;
    } catch {}
  }
  return Number.NaN;
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
