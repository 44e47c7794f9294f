import { type Cost, costOf } from '../capacity/cost.ts';
import { figure, type Sheet } from '../capacity/sheet.ts';
import { hubPurchases, throughputUnitsFor } from '../capacity/sizing.ts';
import type { StageSummary } from '../metrics/stage-recorder.ts';
import type { RunReport } from './run-report.ts';

/**
 * What a measured run would cost in Azure if it went on like that: the throughput units that its busiest seconds need, the
 * request units that were provisioned, and what it stored. `undefined` without a producer or without a known throughput.
 */
export function costOfRun(
  { durationMs, ru, stages }: Pick<RunReport, 'durationMs' | 'ru' | 'stages'>,
  sheet: Sheet,
): Cost | undefined {
  const produce = stages.find(({ name }) => name === 'produce');
  const provisioned = ru?.provisionedPerSecond;
  if (produce === undefined || produce.done === 0 || provisioned === undefined) return undefined;
  const eventBytes = produce.sizeBytes / produce.done + figure(sheet, 'hubOverheadBytes');
  const busiest = busiestRate(produce);
  const flow = { ratePerSecond: busiest, eventBytes, consumerGroups: 1 };
  const [hub = { tier: 'standard', throughputUnits: throughputUnitsFor(flow, sheet) } as const] =
    hubPurchases(flow, 1, sheet);
  const stored = stages.find(({ name }) => name === 'ingest')?.sizeBytes ?? 0;
  return costOf(
    {
      hub,
      store: { mode: 'provisioned', ruPerSecond: provisioned },
      eventsPerHour: produce.donePerSecond * 3_600,
      eventBytes,
      storedGb: (stored * (1 + figure(sheet, 'indexOverheadShare'))) / 1e9,
    },
    sheet,
    durationMs,
  );
}

/** The report by other prices. A prediction is priced by what it was given, a measured run by what it did. */
export function reprice(report: RunReport, sheet: Sheet): RunReport {
  const usage = report.kind === 'simulate' ? report.cost?.usage : undefined;
  const cost = usage === undefined ? costOfRun(report, sheet) : costOf(usage, sheet, report.durationMs);
  const { cost: _before, ...rest } = report;
  return cost === undefined ? rest : { ...rest, cost };
}

/** Seconds that are taken together: an acknowledgement that comes in the next second makes no rate. */
const WINDOW = 3;

/** Events a second while most were sent. */
function busiestRate({ donePerSecond, series: { done, intervalMs } }: StageSummary): number {
  let busiest = donePerSecond;
  for (let end = WINDOW; end <= done.length; end += 1) {
    const sent = done.slice(end - WINDOW, end).reduce((sum, count) => sum + count, 0);
    busiest = Math.max(busiest, (sent * 1000) / (WINDOW * intervalMs));
  }
  return busiest;
}
