import { expect, it } from 'vitest';
import { DEFAULT_SHEET } from '../../src/capacity/sheet.ts';
import { costOfRun, reprice } from '../../src/report/cost-of-run.ts';
import { sampleReport } from './sample-report.ts';

it('prices what a run used as if it went on', () => {
  const cost = costOfRun(sampleReport(), DEFAULT_SHEET);
  // 1,111 events/s of 1,080 B need two throughput units, and are four million events an hour; 10,000 RU/s.
  expect(cost?.items.map(({ name, perHour }) => [name, Math.round(perHour * 1000) / 1000])).toEqual([
    ['Event Hubs throughput units', 0.06],
    ['Event Hubs ingress events', 0.112],
    ['Cosmos DB provisioned throughput', 0.8],
    ['Cosmos DB storage', 0],
  ]);
  expect(cost?.run).toBeCloseTo(((cost?.perHour ?? 0) * 10.25) / 3_600, 9);
});

it('prices nothing without a producer or a known throughput', () => {
  const report = sampleReport();
  expect(costOfRun({ ...report, stages: [] }, DEFAULT_SHEET)).toBeUndefined();
  const { ru: _ru, ...unknown } = report;
  expect(costOfRun(unknown, DEFAULT_SHEET)).toBeUndefined();
});

it('pays for the throughput units of a burst, and not for those of a single second', () => {
  const report = sampleReport();
  const units = (done: readonly number[]) => {
    const stages = report.stages.map((stage) => ({
      ...stage,
      donePerSecond: 500,
      series: { ...stage.series, done },
    }));
    return costOfRun({ ...report, stages }, DEFAULT_SHEET)?.usage?.hub;
  };
  const quiet = [500, 500, 500, 500];
  expect(units([...quiet, 3_900, 4_000, 3_900, ...quiet])).toEqual({ tier: 'standard', throughputUnits: 5 });
  expect(units([...quiet, 1_400, ...quiet])).toEqual({ tier: 'standard', throughputUnits: 1 });
});

it('leaves Standard for a run that its throughput units do not carry', () => {
  const report = sampleReport();
  const fast = report.stages.map((stage) => ({ ...stage, donePerSecond: 50_000 }));
  expect(costOfRun({ ...report, stages: fast }, DEFAULT_SHEET)?.usage?.hub).toEqual({
    tier: 'premium',
    processingUnits: 8,
  });
});

it('prices a saved report again: a measured run by what it did, a prediction by what it was given', () => {
  const dear = {
    ...DEFAULT_SHEET,
    name: 'dear',
    figures: { ...DEFAULT_SHEET.figures, provisionedPer100RuHour: { value: 1, source: 'test' } },
  };
  const report = sampleReport();
  const measured = reprice(report, dear);
  expect(measured.cost).toMatchObject({ prices: 'dear' });
  expect(measured.cost?.items.find(({ name }) => name.includes('provisioned'))?.perHour).toBe(100);
  const usage = {
    hub: { tier: 'premium', processingUnits: 2 },
    store: { mode: 'provisioned', ruPerSecond: 500 },
    eventsPerHour: 1e6,
    eventBytes: 1_000,
    storedGb: 0,
  } as const;
  const predicted = reprice({ ...report, kind: 'simulate', cost: { ...NO_COST, usage } }, dear);
  expect(predicted.cost?.items.map(({ perHour }) => perHour)).toEqual([2.4, 5]);
  const { ru: _ru, ...unpriced } = measured;
  expect(reprice(unpriced, dear)).not.toHaveProperty('cost');
});

const NO_COST = {
  currency: 'USD',
  prices: 'none',
  items: [],
  perHour: 0,
  perMillionEvents: 0,
  perMonth: 0,
  run: 0,
};
