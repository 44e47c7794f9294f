import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { DEFAULT_SHEET } from '../../src/capacity/sheet.ts';
import { Histogram } from '../../src/metrics/histogram.ts';
import { costOfRun } from '../../src/report/cost-of-run.ts';
import { aggregationsOf, METRICS, STAGE_NAMES } from '../../src/report/metric-catalog.ts';
import { aggregate, metricsOf } from '../../src/report/metrics.ts';
import type { RunReport } from '../../src/report/run-report.ts';
import { sampleReport, sampleStage } from './sample-report.ts';

/** A report with every member that a metric is taken from. */
function fullReport(): RunReport {
  const stages = STAGE_NAMES.map((name) => {
    const stage = sampleStage(name);
    return { ...stage, serviceTime: stage.latency };
  });
  const sample = sampleReport({ stages });
  const { load, ru, verdict } = sample;
  const cost = costOfRun(sample, DEFAULT_SHEET);
  const times = stages[0]?.latency;
  if (!load || !ru || !verdict || !cost || !times) throw new Error('the sample has all of them');
  const drifted = { early: 10, late: 12, change: 0.2 };
  const kinds = ['create', 'upsert', 'replace', 'patch', 'delete', 'read', 'query', 'changeFeed', 'metadata'];
  return {
    ...sample,
    load: { ...load, scheduling: times },
    ru: {
      ...ru,
      operations: Object.fromEntries(kinds.map((kind) => [kind, { count: 10, requestCharge: 55 }])),
    },
    cost,
    verdict: { ...verdict, latency: { enqueue: times, ingest: times, feed: times, endToEnd: times } },
    drift: {
      sentence: '',
      growing: [],
      memory: { ...drifted, perHour: 5 },
      latency: drifted,
      backlog: drifted,
    },
    search: {
      ratePerSecond: 4_000,
      held: 3,
      runs: 3,
      range: { fromPerSecond: 3_900 },
      generatorLimited: false,
      complete: true,
      trials: [],
    },
  };
}

it('is what a report has that has everything', () => {
  const metrics = metricsOf(fullReport());
  expect(new Set(metrics.keys())).toEqual(new Set(METRICS.keys()));
  for (const [name, { aggregations, unit, distribution }] of METRICS) {
    const metric = metrics.get(name);
    expect({ name, unit: metric?.unit }).toEqual({ name, unit });
    expect({ name, isDistribution: metric?.histogram !== undefined }).toEqual({
      name,
      isDistribution: distribution === true,
    });
    for (const aggregation of [...aggregations, ...(distribution ? ['p(97.3)'] : [])])
      expect({ name, aggregation, value: metric && aggregate(metric, aggregation) }).toEqual({
        name,
        aggregation,
        value: expect.any(Number),
      });
  }
});

it('stands in the documentation, metric by metric', () => {
  const text = readFileSync('docs/report-schema.md', 'utf8');
  const table = text.slice(text.indexOf('## Metrics for thresholds'), text.indexOf('## Formats'));
  const documented = new Map<string, string>();
  for (const line of table.split('\n').filter((row) => row.startsWith('| `'))) {
    const [, names = '', aggregations = ''] = line.split(' | ').join('|').split('|');
    for (const [, name = ''] of names.matchAll(/`([^`]+)`/g)) {
      const stages = name.includes('<stage>') ? STAGE_NAMES : [''];
      const kinds = name.includes('<operation>')
        ? ['create', 'upsert', 'replace', 'patch', 'delete', 'read', 'query', 'change_feed', 'metadata']
        : [''];
      for (const stage of stages)
        for (const kind of kinds)
          documented.set(
            name.replace('<stage>', stage).replace('<operation>', kind),
            /`([^`]+)`/.exec(aggregations)?.[1] ?? '',
          );
    }
  }
  const known = [...METRICS].map(([name, kind]) => [name, aggregationsOf(kind).join(' ')]);
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(known));
});

/** Numbers of a report that describe it and that nobody gates on. */
const DESCRIPTIVE = [
  /^schemaVersion$/,
  /^environment\./,
  /^config\./,
  /^thresholds\./,
  /(^|\.)startedMicros$/,
  /(^|\.)(series|rssSeries)\./,
  /(^|\.)alike$/,
  /^cost\.(items|usage)\./,
  /^stages\.\d+\.(errors\.|offered$|activeMs$)/,
  /^load\.(requestedEvents|requestedPerSecond)$/,
  /^search\.(held|runs|failed|range|trials)/,
  /^ru\.intervalMs$/,
  /^verdict\.(places\.\d+\.(observed|events|counts\.)|examples\.|injected\.)/,
  // Shown in charts and summed up elsewhere.
  /^ru\.ranges\.\d+\.(throttled$|requestChargeSeries\.)/,
  /^drift\.memory\.(early|late)$/,
];

it('reaches every figure of a report: what changes in one changes a metric', () => {
  const report = fullReport();
  const figures = (of: RunReport) =>
    JSON.stringify([...metricsOf(of)].map(([name, { values }]) => [name, values]));
  const before = figures(report);
  const unreached = leavesOf(report).filter(
    (path) => !DESCRIPTIVE.some((pattern) => pattern.test(path)) && figures(changed(report, path)) === before,
  );
  expect(unreached).toEqual([]);
});

/** `ru.perSecond`: paths of all numbers in a document. */
function leavesOf(value: unknown, path = ''): string[] {
  if (typeof value === 'number') return [path];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    leavesOf(inner, path === '' ? key : `${path}.${key}`),
  );
}

function changed(report: RunReport, path: string): RunReport {
  const copy = structuredClone(report) as never as Record<string, unknown>;
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  const holder = keys.reduce((inner, key) => inner[key] as Record<string, unknown>, copy);
  holder[last] = (holder[last] as number) * 3 + 1_000_000;
  return copy as never;
}

it('takes rates of what was tried, not of what succeeded', () => {
  const { load, ru, stages } = fullReport();
  if (load === undefined || ru === undefined) throw new Error('the sample has both');
  const [produce] = stages;
  if (produce === undefined) throw new Error('there are stages');
  const rate = (name: string) =>
    metricsOf({
      load: { ...load, sent: 90, dropped: 10, late: 20, hottestKey: { key: 'a', events: 9 } },
      ru: { ...ru, throttled: 10, operations: { upsert: { count: 90, requestCharge: 1 } } },
      stages: [{ ...produce, done: 60, failed: 20, throttled: 20 }],
    }).get(name)?.values['rate'];
  expect(rate('dropped_events')).toBe(0.1);
  expect(rate('late_arrivals')).toBe(0.2);
  expect(rate('hottest_key')).toBe(0.1);
  expect(rate('throttled')).toBe(0.1);
  expect(rate('produce_errors')).toBe(0.25);
  expect(rate('produce_throttled')).toBe(0.2);
});

it('answers any percentile of a distribution and nothing else', () => {
  const histogram = new Histogram();
  for (let micros = 1; micros <= 1_000; micros += 1) histogram.record(micros * 1_000);
  const metric = metricsOf({ stages: [], endToEnd: histogram.summary() }).get('e2e_latency');
  if (metric === undefined) throw new Error('there is one');
  expect(aggregate(metric, 'p(0)')).toBeCloseTo(1, 1);
  expect(aggregate(metric, 'p(100)')).toBeCloseTo(1_000, -1);
  expect(aggregate(metric, 'p(50)')).toBeCloseTo(500, -1);
  expect(aggregate(metric, 'p(101)')).toBeUndefined();
  expect(aggregate(metric, 'sum')).toBeUndefined();
});
