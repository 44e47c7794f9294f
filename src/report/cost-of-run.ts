import { type Cost, costOf } from '../capacity/cost.ts';
import { figure, type Sheet } from '../capacity/sheet.ts';
import type { RunReport } from './run-report.ts';

/**
 * What a measured run would cost in Azure if it went on like that: the throughput units that its rate needs, the request
 * units that were provisioned, and what it stored. `undefined` without a producer or without a known throughput.
 */
export function costOfRun(
  { durationMs, ru, stages }: Pick<RunReport, 'durationMs' | 'ru' | 'stages'>,
  sheet: Sheet,
): Cost | undefined {
  const produce = stages.find(({ name }) => name === 'produce');
  const provisioned = ru?.provisionedPerSecond;
  if (produce === undefined || produce.done === 0 || provisioned === undefined) return undefined;
  const rate = produce.donePerSecond;
  const eventBytes = produce.sizeBytes / produce.done + figure(sheet, 'hubOverheadBytes');
  const throughputUnits = Math.max(
    1,
    Math.ceil(rate / figure(sheet, 'hubUnitIngressEvents')),
    Math.ceil((rate * eventBytes) / figure(sheet, 'hubUnitIngressBytes')),
  );
  const stored = stages.find(({ name }) => name === 'ingest')?.sizeBytes ?? 0;
  return costOf(
    {
      hub: { tier: 'standard', throughputUnits },
      store: { mode: 'provisioned', ruPerSecond: provisioned },
      eventsPerHour: rate * 3_600,
      eventBytes,
      storedGb: (stored * (1 + figure(sheet, 'indexOverheadShare'))) / 1e9,
    },
    sheet,
    durationMs,
  );
}
