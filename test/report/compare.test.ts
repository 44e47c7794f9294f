import { describe, expect, it } from 'vitest';
import { compareReports } from '../../src/report/compare.ts';
import { renderComparison, renderComparisonMarkdown } from '../../src/report/compare-text.ts';
import { joinRepeats } from '../../src/report/repeat.ts';
import type { RunReport } from '../../src/report/run-report.ts';
import { sampleReport, sampleStage } from './sample-report.ts';

const withLatency = (latencyMs: number, overrides: Partial<RunReport> = {}): RunReport =>
  sampleReport({ endToEnd: sampleStage('feed', { latencyMs }).latency, ...overrides });

describe('loads that differ', () => {
  const { environment, ru, stages } = sampleReport();
  const load = { rate: '2000/s', keys: { count: 1_000 }, size: '1KB', throughput: 40_000 };
  it.each<[string, Partial<RunReport>]>([
    ['rate 2000/s and 1000/s', { config: { ...load, rate: '1000/s' } }],
    ['keys count 1000 and 10', { config: { ...load, keys: { count: 10 } } }],
    ['size 1KB and none', { config: { ...load, size: undefined } }],
    [
      'faults none and cosmos:throttle=5% redis:reset',
      { config: { ...load, faults: ['cosmos:throttle=5%', 'redis:reset'] } },
    ],
    [
      'throughput 10000 and 40000',
      { config: load, ...(ru && { ru: { ...ru, provisionedPerSecond: 40_000 } }) },
    ],
    [
      'pipeline produce -> ingest -> feed and produce -> ingest',
      { config: load, stages: stages.slice(0, 2) },
    ],
    ['kind bench and simulate', { config: load, kind: 'simulate' }],
  ])('do not compare, and it says why: %s', (difference, overrides) => {
    const { size: _size, ...sizeless } = load;
    const config =
      overrides.config && 'size' in overrides.config && overrides.config['size'] === undefined
        ? sizeless
        : overrides.config;
    const other = sampleReport({ ...overrides, ...(config && { config }) });
    const { doubts } = compareReports([sampleReport({ config: load })], [other], 0.1);
    expect(doubts).toEqual([`the loads differ and do not compare: ${difference}`]);
  });

  it('are doubted by their titles and machines too', () => {
    const other = sampleReport({
      title: 'another',
      environment: { ...environment, cpuCount: 64, node: 'v24.0.0' },
    });
    expect(compareReports([sampleReport()], [other], 0.1).doubts).toEqual([
      'the reports are of different loads',
      'the reports are of different machines',
      'the reports are of different versions of Node',
    ]);
    const doubtful = sampleReport({ valid: false });
    expect(compareReports([doubtful], [sampleReport()], 0.1).doubts).toEqual([
      'a baseline says that it is not trustworthy',
    ]);
  });
});

describe('what cannot be compared', () => {
  it('is told: a report with itself, and what only the baseline has', () => {
    expect(compareReports([sampleReport()], [sampleReport()], 0.1).doubts).toEqual([
      'a current report is a baseline as well',
    ]);
    const { endToEnd: _endToEnd, verdict: _verdict, ...rest } = sampleReport({ run: 'run-2' });
    const { doubts, metrics } = compareReports([sampleReport()], [rest], 0.1);
    expect(doubts).toEqual([
      expect.stringMatching(
        /^only the baseline has e2e_latency:p\(50\), .*lost_events:count.*: what was not/,
      ),
    ]);
    expect(metrics.some(({ metric }) => metric === 'e2e_latency')).toBe(false);
  });

  it('are the settings that only a prediction has', () => {
    const predicted = sampleReport({ kind: 'simulate', config: { stepMs: 1_000, rate: 500 } });
    expect(compareReports([sampleReport()], [predicted], 0.1).doubts).toEqual([
      'the loads differ and do not compare: kind bench and simulate; rate 1000 and 500',
    ]);
  });
});

describe('noise', () => {
  it('is what the repeats of one report differ by', () => {
    const repeated = joinRepeats([withLatency(40), withLatency(50), withLatency(60)]);
    const { knowsNoise, metrics } = compareReports([repeated], [withLatency(58)], 0.1);
    expect(knowsNoise).toBe(true);
    const p99 = metrics.find(({ aggregation }) => aggregation === 'p(99)');
    expect(p99?.noise).toBeCloseTo(0.2, 1);
    expect(p99?.verdict).toBe('same');
    expect(compareReports([withLatency(50)], [withLatency(58)], 0.1)).toMatchObject({
      knowsNoise: false,
      ok: false,
    });
  });

  it('is centred on the median of the repeats, which need not be a run of them', () => {
    const repeated = joinRepeats([withLatency(40), withLatency(60)]);
    const p50 = compareReports([repeated], [withLatency(50)], 0.1).metrics.find(
      ({ aggregation }) => aggregation === 'p(50)',
    );
    expect(p50?.baseline).toBeCloseTo(p50?.current ?? 0, -1);
    expect(Math.abs(p50?.change ?? 1)).toBeLessThan(0.02);
  });

  it('excuses no event more that was lost, whatever the limit', () => {
    const losing = (lost: number) => {
      const { verdict } = sampleReport();
      if (verdict === undefined) throw new Error('the sample has a verdict');
      return sampleReport({ verdict: { ...verdict, totals: { ...verdict.totals, lost } } });
    };
    expect(compareReports([losing(10)], [losing(11)], 10).ok).toBe(false);
    expect(compareReports([losing(11)], [losing(10)], 10).ok).toBe(true);
  });

  it('does not hide one run of three that lost events behind their median', () => {
    const { verdict } = sampleReport();
    if (verdict === undefined) throw new Error('the sample has a verdict');
    const losing = (lost: number, run: string) =>
      sampleReport({ run, verdict: { ...verdict, ok: lost === 0, totals: { ...verdict.totals, lost } } });
    const side = [losing(0, 'a'), losing(0, 'b'), losing(5, 'c')];
    const lost = (comparison: ReturnType<typeof compareReports>) =>
      comparison.metrics.find(({ metric }) => metric === 'lost_events');
    const expected = { baseline: 0, current: 5, verdict: 'worse' };
    expect(lost(compareReports([losing(0, 'd')], side, 0.1))).toMatchObject(expected);
    expect(lost(compareReports([losing(0, 'd')], [joinRepeats(side)], 0.1))).toMatchObject(expected);
    expect(lost(compareReports(side, [losing(0, 'd')], 0.1))).toMatchObject({ verdict: 'better' });
  });

  it('never hides a figure that is better when it is higher', () => {
    const rate = (donePerSecond: number): RunReport => {
      const { stages } = sampleReport();
      return sampleReport({
        stages: stages.map((stage) => (stage.name === 'ingest' ? { ...stage, donePerSecond } : stage)),
      });
    };
    const verdictOf = (before: number, after: number) =>
      compareReports([rate(before)], [rate(after)], 0.1).metrics.find(
        ({ metric }) => metric === 'ingest_rate',
      )?.verdict;
    expect([verdictOf(1_000, 880), verdictOf(1_000, 920), verdictOf(1_000, 1_200)]).toEqual([
      'worse',
      'same',
      'better',
    ]);
  });

  it('does not excuse a highest rate that became lower', () => {
    const found = (ratePerSecond: number) =>
      sampleReport({
        search: {
          ratePerSecond,
          held: 3,
          runs: 3,
          range: { fromPerSecond: ratePerSecond },
          generatorLimited: false,
          complete: true,
          trials: [],
        },
      });
    const worse = compareReports([found(4_000)], [found(3_000)], 0.1).metrics.find(
      ({ metric }) => metric === 'max_rate',
    );
    expect(worse).toMatchObject({ verdict: 'worse', change: -0.25 });
  });
});

describe('the comparison', () => {
  const comparison = compareReports(
    [withLatency(50)],
    [withLatency(60, { valid: false, title: 'a | b' })],
    0.1,
  );

  it('ends in a sentence for a person', () => {
    expect(renderComparison(comparison, ['main.json', 'pr.json'])).toMatchInlineSnapshot(`
      "  ! a current report says that it is not trustworthy
        ! the reports are of different loads
                                   main.json  pr.json  CHANGE  NOISE
        e2e_latency:p(50)               75ms     89ms  +19.9%         ✗ worse
        e2e_latency:p(99)               99ms    119ms  +20.0%         ✗ worse
        e2e_latency:max                100ms    119ms  +20.0%
        produce_latency:p(99)          9.9ms    9.9ms   +0.0%
        ingest_latency:p(99)            79ms     79ms   +0.0%
        feed_latency:p(99)             119ms    119ms   +0.0%
        sent_rate:avg                1,000/s  1,000/s   +0.0%
        ingest_rate:avg              1,111/s  1,111/s   +0.0%
        ru:avg                          7 RU     7 RU   +0.0%
        throttled:rate                  0.0%     0.0%
        lost_events:count                  1        1   +0.0%
        duplicated_events:count            0        0
        out_of_order_events:count          0        0
        corrupted_events:count             0        0
        late_events:count                  0        0
        dropped_events:count               0        0

        ✗ 2 of 16 figures are worse by more than 10.0%
          one run of each side: more of them, or bench --repeat, would tell a change from noise"
    `);
    const same = compareReports([withLatency(50), withLatency(52)], [withLatency(50)], 0.1);
    expect(renderComparison(same, ['median of 2', 'pr.json'])).toMatch(
      /\n {2}✓ no figure is worse by more than 10.0%$/,
    );
  });

  it('names the noise that a change went beyond', () => {
    const noisy = compareReports([withLatency(50), withLatency(70)], [withLatency(200)], 0.1);
    expect(renderComparison(noisy, ['a', 'b'])).toMatch(
      /e2e_latency:p\(99\) .* ± 16.\d% +✗ worse, noise 16.\d%/,
    );
  });

  it('is Markdown for a pull request', () => {
    expect(renderComparisonMarkdown(comparison, ['main.json', 'pr.json'])).toMatchInlineSnapshot(`
      "## cosmos-pipe compare: ❌ 2 of 16 figures are worse by more than 10.0%

      > [!WARNING]
      > - a current report says that it is not trustworthy
      > - the reports are of different loads

      | Figure | main.json | pr.json | Change | Noise |  |
      | --- | ---: | ---: | ---: | ---: | --- |
      | \`e2e_latency:p(50)\` | 75ms | 89ms | +19.9% |  | ❌ worse |
      | \`e2e_latency:p(99)\` | 99ms | 119ms | +20.0% |  | ❌ worse |
      | \`e2e_latency:max\` | 100ms | 119ms | +20.0% |  |  |
      | \`produce_latency:p(99)\` | 9.9ms | 9.9ms | +0.0% |  |  |
      | \`ingest_latency:p(99)\` | 79ms | 79ms | +0.0% |  |  |
      | \`feed_latency:p(99)\` | 119ms | 119ms | +0.0% |  |  |
      | \`sent_rate:avg\` | 1,000/s | 1,000/s | +0.0% |  |  |
      | \`ingest_rate:avg\` | 1,111/s | 1,111/s | +0.0% |  |  |
      | \`ru:avg\` | 7 RU | 7 RU | +0.0% |  |  |
      | \`throttled:rate\` | 0.0% | 0.0% |  |  |  |
      | \`lost_events:count\` | 1 | 1 | +0.0% |  |  |
      | \`duplicated_events:count\` | 0 | 0 |  |  |  |
      | \`out_of_order_events:count\` | 0 | 0 |  |  |  |
      | \`corrupted_events:count\` | 0 | 0 |  |  |  |
      | \`late_events:count\` | 0 | 0 |  |  |  |
      | \`dropped_events:count\` | 0 | 0 |  |  |  |

      <sub>one run of each side: more of them, or bench --repeat, would tell a change from noise</sub>
      "
    `);
  });
});
