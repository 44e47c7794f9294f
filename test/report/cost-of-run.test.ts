import { expect, it } from 'vitest';
import { DEFAULT_SHEET } from '../../src/capacity/sheet.ts';
import { costOfRun } from '../../src/report/cost-of-run.ts';
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
