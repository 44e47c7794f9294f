import { expect, it } from 'vitest';
import { judge } from '../../commands/bench-search.ts';
import type { Verdict } from '../../src/pipeline/verify/verify.ts';
import type { RunReport } from '../../src/report/run-report.ts';
import { searchLines } from '../../src/report/search.ts';
import { evaluateThresholds, parseThreshold } from '../../src/report/thresholds.ts';
import { sampleReport } from '../report/sample-report.ts';

const sample = sampleReport();
const good: RunReport = {
  ...sample,
  verdict: { ...(sample.verdict as Verdict), ok: true },
  thresholds: [],
  valid: true,
  doubts: [],
  bottleneck: { stage: 'ingest', reason: 'latency', sentence: 'every stage kept up' },
};

it('lets a rate hold when nothing is wrong with it', () => {
  expect(judge(1_000, good)).toEqual({ ratePerSecond: 1_000, held: true });
});

it('tells a pipeline that fell behind from a generator that did', () => {
  const sentence = 'ingest was 900 events behind';
  const behind = { ...good, bottleneck: { stage: 'ingest', reason: 'saturated' as const, sentence } };
  expect(judge(1_000, behind)).toEqual({ ratePerSecond: 1_000, held: false, reason: sentence });
  const late = { ...good, valid: false, doubts: ['arrivals came late'] };
  expect(judge(1_000, late)).toEqual({
    ratePerSecond: 1_000,
    held: false,
    reason: 'arrivals came late',
    generatorLimited: true,
  });
});

it('fails a rate for what was promised, and for what was lost', () => {
  const thresholds = evaluateThresholds(good, [parseThreshold('e2e_latency:p(99)<1ms')]);
  expect(judge(1_000, { ...good, thresholds })).toMatchObject({
    held: false,
    reason: expect.stringMatching(/^e2e_latency:p\(99\)<1ms was \d+ms$/),
  });
  const verdict = { ...(good.verdict as Verdict), ok: false };
  expect(judge(1_000, { ...good, verdict })).toMatchObject({ held: false });
});

it('says what was found, how sure it is, and what was the limit', () => {
  const found = {
    ratePerSecond: 3_400,
    held: 3,
    runs: 3,
    failedPerSecond: 3_500,
    failedReason: 'ingest was 900 events behind',
    failedRuns: 2,
    range: { fromPerSecond: 3_400, toPerSecond: 3_600 },
    generatorLimited: false,
    complete: true,
    trials: [],
  };
  expect(searchLines(found).join('\n')).toMatchInlineSnapshot(`
    "  MAXIMUM  3,400 events/s, held 3 of 3 times
               3,500 events/s (+2.9%) failed 2 times: ingest was 900 events behind
               nothing failed up to 3,400, nothing held from 3,600 on"
  `);
  expect(
    searchLines({ ...found, complete: false, generatorLimited: true }).join('\n'),
  ).toMatchInlineSnapshot(`
    "  MAXIMUM  3,400 events/s, held 3 of 3 times (the search was not finished)
               3,500 events/s (+2.9%) failed 2 times: ingest was 900 events behind
               nothing failed up to 3,400, nothing held from 3,600 on
               the generator was the limit: the pipeline may take more"
  `);
  expect(searchLines({ ...found, ratePerSecond: 0 })).toEqual([
    '  no rate held: ingest was 900 events behind',
  ]);
});
