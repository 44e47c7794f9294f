import { expect, it } from 'vitest';
import { joinRepeats, repeatLines } from '../../src/report/repeat.ts';
import type { RunReport } from '../../src/report/run-report.ts';
import { parseRunReport } from '../../src/report/schema.ts';
import { evaluateThresholds, parseThreshold } from '../../src/report/thresholds.ts';
import { crossedSoFar } from '../../src/report/watch.ts';
import { sampleReport, sampleStage } from './sample-report.ts';

function report(run: string, latencyMs: number, overrides: Partial<RunReport> = {}): RunReport {
  const stages = [sampleStage('produce'), sampleStage('ingest', { latencyMs })];
  const plain = sampleReport({
    run,
    stages,
    endToEnd: (stages[1] as (typeof stages)[0]).latency,
    ...overrides,
  });
  return { ...plain, thresholds: evaluateThresholds(plain, [parseThreshold('e2e_latency:p(99)<100ms')]) };
}

it('reports the median run with the spread of all', () => {
  const joined = joinRepeats([report('a', 60), report('b', 20), report('c', 40)]);
  expect(joined.run).toBe('c');
  expect(joined.repeats?.runs).toEqual(['a', 'b', 'c']);
  const latency = joined.repeats?.metrics.find(({ aggregation }) => aggregation === 'p(50)');
  expect(latency?.median).toBeGreaterThan(latency?.min as number);
  expect(latency?.median).toBeLessThan(latency?.max as number);
  expect(repeatLines(joined).join('\n')).toContain('e2e_latency p(50)');
  expect(parseRunReport(JSON.parse(JSON.stringify(joined)), 'test').repeats?.runs).toHaveLength(3);
});

it('holds a threshold only when every run did, and doubts the whole when one run is doubtful', () => {
  const joined = joinRepeats([
    report('a', 20),
    report('b', 30),
    report('c', 200, { valid: false, doubts: ['arrivals came late'] }),
  ]);
  expect(joined.run).toBe('b');
  expect(joined.thresholds.map(({ ok }) => ok)).toEqual([false]);
  expect(joined).toMatchObject({ valid: false, doubts: ['run 3: arrivals came late'] });
});

it('reports the better of the two in the middle of an even number of runs', () => {
  const joined = joinRepeats([report('d', 40), report('b', 20), report('a', 10), report('c', 30)]);
  expect(joined.run).toBe('b');
  const p99 = joined.repeats?.metrics.find(
    ({ metric, aggregation }) => `${metric}:${aggregation}` === 'e2e_latency:p(99)',
  );
  expect(p99?.median).toBeGreaterThan(p99?.min ?? 0);
  expect(p99?.median).toBeLessThan(p99?.max ?? 0);
});

it('leaves a single run as it is', () => {
  const one = report('a', 20);
  expect(joinRepeats([one])).toBe(one);
});

it('sees a crossed threshold before the end, and waits for what only the end can tell', () => {
  const { stages, endToEnd, ru } = report('a', 60);
  const interim = {
    stages,
    endToEnd: endToEnd as NonNullable<typeof endToEnd>,
    ru: ru as NonNullable<typeof ru>,
  };
  const watch = (...expressions: string[]) => crossedSoFar(interim, expressions.map(parseThreshold));
  expect(watch('lost_events:count==0', 'e2e_latency:p(99)<10s')).toBeUndefined();
  expect(watch('lost_events:count==0', 'ingest_latency:p(99)<10ms')).toMatchObject({
    expression: 'ingest_latency:p(99)<10ms',
    ok: false,
  });
});

it('does not stop a load for what the rest of it can still meet', () => {
  const { stages, endToEnd, ru } = sampleReport();
  if (endToEnd === undefined || ru === undefined) throw new Error('the sample has both');
  const stops = (expression: string): boolean =>
    crossedSoFar({ stages, endToEnd, ru }, [parseThreshold(expression)]) !== undefined;
  // Counts, sums and the greatest only grow: 10,000 events and no 429 so far.
  expect(stops('throttled:count>0')).toBe(false);
  expect(stops('ingest_events:count>=20000')).toBe(false);
  expect(stops('ingest_events:count==20000')).toBe(false);
  expect(stops('ingest_events:count!=10000')).toBe(false);
  expect(stops('ingest_events:count==5000')).toBe(true);
  expect(stops('ingest_events:count<10000')).toBe(true);
  expect(stops('ingest_latency:max<=1ms')).toBe(true);
  // The least only gets less.
  expect(stops('ingest_rate:min>5000')).toBe(true);
  expect(stops('ingest_rate:min<1')).toBe(false);
  // A mean or a percentile can go either way, and is taken as it is.
  expect(stops('ingest_rate:avg>5000')).toBe(true);
  expect(stops('ingest_latency:p(50)==1ms')).toBe(true);
});
