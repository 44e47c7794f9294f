import type { Clock } from '../util/clock.ts';
import { Series, SlotClock } from './series.ts';
import type { RuOperation, RuRecorder } from './types.ts';

const MAX_SLOTS = 3_600;

export interface RuOperationSummary {
  readonly count: number;
  readonly requestCharge: number;
}

export interface RuRangeSummary {
  readonly requestCharge: number;
  readonly throttled: number;
  /** Request units per slot of {@link RuSummary.intervalMs}. */
  readonly requestChargeSeries: readonly number[];
  readonly throttledSeries: readonly number[];
  /** How many ranges of about the same load are added up here; one when absent. Only a simulation does so. */
  readonly alike?: number;
}

/** Request units of one run: total, per operation kind, per partition key range and second. */
export interface RuSummary {
  readonly startedMicros: number;
  readonly intervalMs: number;
  readonly requestCharge: number;
  readonly throttled: number;
  /** Mean between the first and the last charge, at least over one second. */
  readonly perSecond: number;
  /** Per second, in the busiest slot. */
  readonly busiestPerSecond: number;
  readonly operations: Readonly<Partial<Record<RuOperation, RuOperationSummary>>>;
  readonly ranges: Readonly<Record<string, RuRangeSummary>>;
}

export interface RuSnapshot {
  readonly requestCharge: number;
  readonly throttled: number;
  /** In the order in which they were first charged. */
  readonly ranges: readonly {
    readonly rangeId: string;
    readonly requestCharge: number;
    readonly throttled: number;
  }[];
}

export interface RecordingRu extends RuRecorder {
  summary(): RuSummary;
  /** Totals so far, for a live view. */
  snapshot(): RuSnapshot;
}

interface RangeSeries {
  readonly charge: Series;
  readonly throttled: Series;
  requestCharge: number;
  throttledCount: number;
}

/** Records request units; memory grows with the number of ranges, not with the length of the run. */
export function createRuRecorder(options: { readonly clock: Clock }): RecordingRu {
  const { clock } = options;
  const startMs = clock.now();
  const startedMicros = clock.epochMicros();
  const operations = new Map<RuOperation, { count: number; requestCharge: number }>();
  const ranges = new Map<string, RangeSeries>();
  const slots = new SlotClock(startMs, MAX_SLOTS, () => {
    for (const range of ranges.values()) {
      range.charge.halve();
      range.throttled.halve();
    }
  });
  let total = 0;
  let throttledTotal = 0;
  let firstMs = Number.NaN;
  let lastMs = startMs;

  const rangeOf = (rangeId: string): RangeSeries => {
    let range = ranges.get(rangeId);
    if (range === undefined) {
      range = {
        charge: new Series('sum'),
        throttled: new Series('sum'),
        requestCharge: 0,
        throttledCount: 0,
      };
      ranges.set(rangeId, range);
    }
    return range;
  };

  return {
    charge(operation, rangeId, requestCharge, count = 1) {
      lastMs = clock.now();
      if (Number.isNaN(firstMs)) firstMs = lastMs;
      total += requestCharge;
      let entry = operations.get(operation);
      if (entry === undefined) {
        entry = { count: 0, requestCharge: 0 };
        operations.set(operation, entry);
      }
      entry.count += count;
      entry.requestCharge += requestCharge;
      const range = rangeOf(rangeId);
      range.requestCharge += requestCharge;
      range.charge.record(slots.slotAt(lastMs), requestCharge);
    },
    throttled(rangeId, count) {
      lastMs = clock.now();
      throttledTotal += count;
      const range = rangeOf(rangeId);
      range.throttledCount += count;
      range.throttled.record(slots.slotAt(lastMs), count);
    },
    snapshot: () => ({
      requestCharge: total,
      throttled: throttledTotal,
      ranges: [...ranges].map(([rangeId, { requestCharge, throttledCount }]) => ({
        rangeId,
        requestCharge,
        throttled: throttledCount,
      })),
    }),
    summary() {
      const length = slots.slotAt(lastMs) + 1;
      const summaries: Record<string, RuRangeSummary> = {};
      const perSlot = new Array<number>(length).fill(0);
      for (const [rangeId, range] of ranges) {
        const charges = range.charge.toArray(length);
        const throttles = range.throttled.toArray(length);
        for (const [slot, charge] of charges.entries()) (perSlot[slot] as number) += charge;
        summaries[rangeId] = {
          requestCharge: cents(sum(charges)),
          throttled: sum(throttles),
          requestChargeSeries: charges.map(cents),
          throttledSeries: throttles,
        };
      }
      const activeMs = Number.isNaN(firstMs) ? 0 : Math.max(1_000, lastMs - firstMs);
      return {
        startedMicros,
        intervalMs: slots.intervalMs,
        requestCharge: cents(total),
        throttled: throttledTotal,
        perSecond: activeMs > 0 ? cents((total * 1000) / activeMs) : 0,
        busiestPerSecond: cents((Math.max(0, ...perSlot) * 1000) / slots.intervalMs),
        operations: Object.fromEntries(
          [...operations].map(([kind, entry]) => [
            kind,
            { count: entry.count, requestCharge: cents(entry.requestCharge) },
          ]),
        ),
        ranges: summaries,
      };
    },
  };
}

/** Request charges have two decimals on the wire; sums of floats should not show more. */
function cents(requestUnits: number): number {
  return Math.round(requestUnits * 100) / 100;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
