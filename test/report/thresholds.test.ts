import { describe, expect, it } from 'vitest';
import { Histogram } from '../../src/metrics/histogram.ts';
import { compareReports } from '../../src/report/compare.ts';
import { metricsOf } from '../../src/report/metrics.ts';
import { thresholdActual } from '../../src/report/text.ts';
import { evaluateThresholds, parseThreshold } from '../../src/report/thresholds.ts';
import { sampleReport, sampleStage } from './sample-report.ts';

describe('thresholds', () => {
  it.each([
    ['e2e_latency:p(99)<250ms', 250],
    ['e2e_latency:p(99.9)<=1.5s', 1_500],
    ['loop_delay:max<800us', 0.8],
    ['throttled:rate<0.1%', 0.001],
    ['ingest_rate:avg>5_000/s', 5_000],
    ['ru:avg<8', 8],
    ['lost_events:count==0', 0],
    ['e2e_latency:med < 1m30s', 90_000],
  ])('reads %s', (expression, limit) => {
    expect(parseThreshold(expression)).toMatchObject({ expression, limit });
  });

  it.each([
    ['memory:max<200MB', 2e8],
    ['memory_drift:hour<=1MB', 1e6],
    ['latency_drift:rate<-5%', -0.05],
    ['memory_drift:rate<150%', 1.5],
    ['throttled:rate<=1', 1],
    ['ingest_events:count<1_000,000', 1e6],
    ['ru_used:max<90%', 0.9],
    ['sent_rate:avg>=30000/m', 500],
    ['ru_rate:max<400 RU/s', 400],
    ['throttled_time:sum<2', 2],
    ['lost_events:count<1,000', 1_000],
    ['cost:month<2500.50', 2_500.5],
  ])('reads %s in the unit of the metric', (expression, limit) => {
    expect(parseThreshold(expression).limit).toBeCloseTo(limit, 9);
  });

  it.each(['', 'e2e_latency<5', 'e2e_latency:avg=5', 'e2e_latency:avg<', ':avg<5'])(
    'shows the form that it expected instead of "%s"',
    (expression) => {
      expect(() => parseThreshold(expression)).toThrow(/expected for example e2e_latency/);
    },
  );

  it.each([
    ['e2e_latencey:p(99)<5', 'there is no metric e2e_latencey', 'did you mean e2e_latency?'],
    ['latency:avg<5ms', 'there is no metric latency', 'e2e_latency'],
    ['lost-events:count==0', 'there is no metric lost-events', 'did you mean lost_events?'],
    ['zebra:avg<5', 'there is no metric zebra', '`cosmos-pipe report metrics` lists all metrics'],
    ['e2e_latency:p99<5', 'e2e_latency has no aggregation p99', 'for example p(99)'],
    [
      'e2e_latency:p(101)<5',
      'e2e_latency has no aggregation p(101)',
      'it has min, avg, med, max, count, p(N)',
    ],
    ['backlog:p(99)<5', 'backlog has no aggregation p(99)', 'it has max'],
    ['e2e_latency:avg<soon', 'cannot hold e2e_latency:avg against "soon"', 'a time is written 250ms'],
    ['e2e_latency:avg<5RU', 'against "5RU"', 'a time is written'],
    ['e2e_latency:count<5s', 'against "5s"', 'a count is written 100'],
    ['lost_events:count<1%', 'against "1%"', 'a count is written 100'],
    ['lost_events:rate<1ms', 'against "1ms"', 'a share is written 0.1%'],
    ['backlog:max<5s', 'against "5s"', 'a number of events is written 100'],
    ['ingest_rate:avg>5MB', 'against "5MB"', 'a rate is written 500/s'],
    ['e2e_latency:p(99)<1,5s', 'against "1,5s"', 'a time is written 250ms, 1.5s'],
    ['lost_events:count<1,00', 'against "1,00"', 'a count is written 100'],
    ['memory_drift:rate<25', 'against "25"', 'a share is written 0.1% or 0.001'],
    ['ru_used:max<90', 'against "90"', 'a share is written 0.1%'],
    ['memory:max<5s', 'against "5s"', 'an amount of memory is written 200MB'],
    ['ru:avg<8RU/s', 'against "8RU/s"', 'request units are written 8'],
    ['ru_rate:avg<8RU', 'against "8RU"', 'a rate of request units is written 400RU/s'],
    ['cost:month<5USD', 'against "5USD"', 'in the currency of the price sheet'],
  ])('says what is wrong with %s, and how to write it', (expression, message, hint) => {
    expect(() => parseThreshold(expression)).toThrow(
      expect.objectContaining({
        code: 'E_USAGE',
        message: expect.stringContaining(message),
        hint: expect.stringContaining(hint),
      }),
    );
  });

  it('leaves the seconds in which work began and ended out of the slowest and the fastest', () => {
    const whole = sampleStage('ingest');
    const { series } = whole;
    const ragged = { ...whole, series: { ...series, done: [3, ...series.done, 5_000, 7] } };
    const values = (done: readonly number[]) =>
      metricsOf({ stages: [{ ...ragged, series: { ...series, done } }] }).get('ingest_rate')?.values;
    expect(values(ragged.series.done)).toMatchObject({ min: 1_000, max: 5_000 });
    expect(values([0, 40, 60, 0])).toMatchObject({ min: 40, max: 60 });
    expect(values([0, 40, 50, 60, 0])).toMatchObject({ min: 50, max: 50 });
    expect(values([0])).not.toHaveProperty('min');
  });

  it('compares with what was measured', () => {
    const report = sampleReport();
    const judge = (expression: string) => evaluateThresholds(report, [parseThreshold(expression)])[0];
    expect(judge('e2e_latency:max<1ms')).toMatchObject({ ok: false });
    expect(judge('e2e_latency:p(97.5)>=60ms')).toMatchObject({ ok: true });
    expect(judge('lost_events:count!=0')).toMatchObject({ ok: true, actual: 1 });
    expect(judge('lost_events:rate<=0.01%')).toMatchObject({ ok: true, actual: 0.0001 });
    expect(judge('ru:avg<8')).toMatchObject({ ok: true, actual: 7 });
    expect(judge('ingest_rate:min>999/s')).toMatchObject({ ok: true });
  });

  it('fails what the run did not measure, rather than passing it silently', () => {
    const [result] = evaluateThresholds(sampleReport(), [parseThreshold('cache_latency:p(99)<1s')]);
    expect(result).toMatchObject({ ok: false });
    expect(result).not.toHaveProperty('actual');
  });

  it('fails a percentile of nothing, which is not the fastest', () => {
    const none = new Histogram().summary();
    const { load } = sampleReport();
    const report = sampleReport({ endToEnd: none, ...(load && { load: { ...load, scheduling: none } }) });
    for (const expression of ['e2e_latency:p(99)<250ms', 'scheduling_error:max<1s']) {
      const [result] = evaluateThresholds(report, [parseThreshold(expression)]);
      expect(result).toMatchObject({ ok: false });
      expect(result).not.toHaveProperty('actual');
    }
  });

  it('shows what tells a crossed threshold from its limit', () => {
    const shown = (actual: number, expression: string) => {
      const [result] = evaluateThresholds(sampleReport(), [parseThreshold(expression)]);
      return result && thresholdActual(sampleReport(), { ...result, actual });
    };
    expect(shown(100.3, 'e2e_latency:p(99)<100ms')).toBe('100ms (100.3)');
    expect(shown(100, 'e2e_latency:p(99)<100ms')).toBe('100ms');
    expect(shown(140, 'e2e_latency:p(99)<100ms')).toBe('140ms');
    expect(shown(1_999.6, 'ingest_rate:avg>=2000/s')).toBe('2,000/s (1999.6)');
    expect(shown(0.000_999_9, 'throttled:rate<0.1%')).toBe('0.10% (0.0009999)');
  });

  it('knows every stage by name', () => {
    const names = [...metricsOf(sampleReport()).keys()];
    expect(names).toEqual(
      expect.arrayContaining(['produce_rate', 'ingest_latency', 'feed_errors', 'feed_throttled', 'ru_rate']),
    );
  });
});

describe('comparing', () => {
  const withLatency = (latencyMs: number) =>
    sampleReport({ endToEnd: sampleStage('feed', { latencyMs }).latency });
  const e2e = (comparison: ReturnType<typeof compareReports>) =>
    comparison.metrics.find(({ aggregation, metric }) => metric === 'e2e_latency' && aggregation === 'p(99)');

  it('finds nothing between equal reports', () => {
    const comparison = compareReports([sampleReport()], [sampleReport({ run: 'run-2' })], 0.1);
    expect(comparison).toMatchObject({ ok: true, doubts: [] });
    expect(comparison.metrics.every(({ verdict }) => verdict === 'same')).toBe(true);
  });

  it('fails a regression beyond the limit and passes one within it', () => {
    expect(e2e(compareReports([withLatency(50)], [withLatency(60)], 0.1))).toMatchObject({
      verdict: 'worse',
    });
    expect(e2e(compareReports([withLatency(50)], [withLatency(60)], 0.3))).toMatchObject({ verdict: 'same' });
    expect(e2e(compareReports([withLatency(60)], [withLatency(50)], 0.1))).toMatchObject({
      verdict: 'better',
    });
  });

  it('holds medians of both sides against each other, and takes what either side differs by for noise', () => {
    const currents = [withLatency(70), withLatency(58), withLatency(59)];
    const compared = e2e(compareReports([withLatency(50), withLatency(51)], currents, 0.1));
    expect(compared).toMatchObject({ verdict: 'worse' });
    const wild = [withLatency(58), withLatency(59), withLatency(90)];
    expect(e2e(compareReports([withLatency(50), withLatency(51)], wild, 0.1))).toMatchObject({
      verdict: 'same',
    });
  });

  it('is not upset by the slowest event alone, nor by the first request that is refused', () => {
    const base = sampleReport();
    const { endToEnd, ru } = base;
    if (endToEnd === undefined || ru === undefined) throw new Error('the sample has both');
    const slower = {
      ...base,
      endToEnd: { ...endToEnd, maxMs: endToEnd.maxMs * 3 },
      ru: { ...ru, throttled: 5 },
    };
    expect(compareReports([base], [slower], 0.1)).toMatchObject({ ok: true });
    const refused = { ...base, ru: { ...ru, throttled: 50 } };
    expect(compareReports([base], [refused], 0.1)).toMatchObject({ ok: false });
  });

  it('takes the spread of several baselines for noise', () => {
    const baselines = [withLatency(40), withLatency(50), withLatency(60)];
    const compared = e2e(compareReports(baselines, [withLatency(58)], 0.1));
    expect(compared?.noise).toBeCloseTo(0.2, 1);
    expect(compared).toMatchObject({ verdict: 'same' });
  });

  it('never tolerates a loss that the baseline did not have', () => {
    const clean = sampleReport();
    const { verdict } = clean;
    if (verdict === undefined) throw new Error('the sample has a verdict');
    const none = { ...clean, verdict: { ...verdict, totals: { ...verdict.totals, lost: 0 } } };
    expect(compareReports([none], [clean], 10).ok).toBe(false);
  });

  it('says when apples are compared with oranges', () => {
    const other = sampleReport({ title: 'another load', valid: false });
    expect(compareReports([sampleReport()], [other], 0.1).doubts).toEqual([
      'a current report says that it is not trustworthy',
      'the reports are of different loads',
    ]);
  });
});
