/** Counters under the names of Azure Monitor's metrics for Event Grid topics. */
const NAMES = [
  'PublishSuccessCount',
  'PublishFailCount',
  'MatchedEventCount',
  'UnmatchedEventCount',
  'DeliveryAttemptFailCount',
  'DeliverySuccessCount',
  'DeadLetteredCount',
  'DroppedEventCount',
  'AcknowledgedEventCount',
  'RejectedEventCount',
  'ReleasedEventCount',
] as const;

export type GridMetric = (typeof NAMES)[number];
export type GridDuration = 'DestinationProcessingDurationInMs';

export interface GridMetrics {
  count(metric: GridMetric, by?: number, label?: string): void;
  /** Adds to `<name>_sum` and one to `<name>_count`. */
  duration(metric: GridDuration, ms: number): void;
  /** Totals by name; labelled ones as `Name{label}`. */
  snapshot(): Readonly<Record<string, number>>;
  /** Prometheus text format 0.0.4. */
  text(): string;
}

export function createMetrics(): GridMetrics {
  const totals = new Map<string, number>(NAMES.map((name) => [name, 0]));
  const add = (name: string, by: number): void => void totals.set(name, (totals.get(name) ?? 0) + by);
  return {
    count(metric, by = 1, label) {
      add(metric, by);
      if (label !== undefined) add(`${metric}{error="${label}"}`, by);
    },
    duration(metric, ms) {
      add(`${metric}_sum`, ms);
      add(`${metric}_count`, 1);
    },
    snapshot: () => Object.fromEntries(totals),
    text: () => `${[...totals].map(([name, total]) => `${name} ${total}`).join('\n')}\n`,
  };
}
