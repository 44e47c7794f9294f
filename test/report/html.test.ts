import { describe, expect, it } from 'vitest';
import { Histogram } from '../../src/metrics/histogram.ts';
import { renderHtml } from '../../src/report/html.ts';
import { coarsen, pointsOf } from '../../src/report/html-series.ts';
import { renderMarkdown } from '../../src/report/markdown.ts';
import { joinRepeats } from '../../src/report/repeat.ts';
import { sampleReport } from './sample-report.ts';

const COST = {
  currency: 'USD',
  prices: 'list prices',
  items: [{ name: 'throughput', perHour: 8, why: '100,000 RU/s' }],
  perHour: 8,
  perMillionEvents: 0.22,
  perMonth: 5_840,
  run: 0.02,
};

describe('the HTML report', () => {
  it('is the golden file', async () => {
    await expect(renderHtml(sampleReport({ cost: COST }))).toMatchFileSnapshot('fixtures/report.html');
  });

  it('needs nothing from anywhere: no script, no address, and a policy that forbids both', () => {
    const html = renderHtml(sampleReport());
    expect(html).not.toMatch(/<script|https?:|@import|url\(/);
    expect(html).toContain(`content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"`);
  });

  it('tells every drawing by title and description, and has its data in a table', () => {
    const html = renderHtml(sampleReport());
    const drawings = [...html.matchAll(/<svg class="(?:wide|narrow)"[^>]*role="img"[^>]*>(.*?)<\/svg>/gs)];
    expect(drawings.length).toBe(14);
    for (const [, content] of drawings) expect(content).toMatch(/^<title>[^<]+<\/title><desc>[^<]+<\/desc>/);
    expect(html.match(/<summary>Data<\/summary><div class="scroll"/g)?.length).toBe(7);
  });

  it('draws no number that is none', () => {
    expect(renderHtml(sampleReport())).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('has what repeats and a search found, calls a prediction one, and draws the percentiles of a single event', () => {
    const { load, ...rest } = sampleReport();
    const repeated = joinRepeats([sampleReport(), sampleReport({ run: 'run-2' })]);
    expect(renderHtml(repeated)).toMatch(/<h2>Repeats<\/h2>.*Over 2 runs; the rest of this page is of run-1/);
    const search = {
      ratePerSecond: 2_000,
      held: 3,
      runs: 3,
      failedPerSecond: 2_100,
      failedReason: 'ingest was <behind>',
      failedRuns: 2,
      range: { fromPerSecond: 2_000, toPerSecond: 2_100 },
      generatorLimited: false,
      complete: true,
      trials: [{ ratePerSecond: 2_100, held: false, reason: 'ingest was <behind>' }],
    };
    const found = renderHtml(sampleReport({ search }));
    expect(found).toContain('<p>2,000 events/s, held 3 of 3 times<br>2,100 events/s (+5.0%) failed 2 times');
    expect(found).toMatch(
      /<th scope="row">trial 1<\/th><td>2,100<\/td><td class="text bad">✗ ingest was &lt;behind&gt;/,
    );
    expect(renderMarkdown(sampleReport({ search }))).toContain(
      '- 2,000 events/s, held 3 of 3 times\n- 2,100',
    );
    expect(renderMarkdown(repeated)).toMatch(
      /\| Over all runs \| Median .*\n.*\n\| e2e_latency p\(50\) \| 89ms \|/,
    );
    expect(renderHtml({ ...rest, kind: 'simulate' })).toContain('✓ predicted by a model, not measured');
    const one = new Histogram();
    one.record(237_258);
    const [stage] = rest.stages;
    if (stage === undefined) throw new Error('the sample has stages');
    const single = renderHtml({ ...rest, stages: [{ ...stage, latency: one.summary() }] });
    expect(single).toMatch(/Latency by percentile<\/title>.*?<path class="line s0" d="M58,[\d.]+L/);
  });

  it('shows text of the run as text', () => {
    const html = renderHtml(sampleReport({ title: '<img src=x onerror=alert(1)>"&' }));
    expect(html).not.toContain('<img');
    expect(html).toContain('&lt;img src=x onerror=alert(1)&gt;&quot;&amp;');
  });

  it('says first that a report is not to be trusted', () => {
    const html = renderHtml(sampleReport({ valid: false, doubts: ['12 arrivals were dropped'] }));
    const body = html.slice(html.indexOf('<body>'));
    expect(body.indexOf('not trustworthy')).toBeLessThan(body.indexOf('Thresholds'));
    expect(body).toContain('<li>12 arrivals were dropped</li>');
  });

  it('leaves out what a report does not have', () => {
    const { ru: _ru, verdict: _verdict, endToEnd: _endToEnd, load: _load, ...rest } = sampleReport();
    const html = renderHtml({ ...rest, stages: [], thresholds: [] });
    expect(html).not.toContain('<svg');
    expect(html).toContain('Parameters');
  });
});

describe('a timeline', () => {
  it('is drawn with fewer points than it has values, without hiding a peak', () => {
    const values = Array.from({ length: 10_000 }, (_, slot) => (slot === 7_777 ? 99 : 1));
    const coarse = coarsen({ intervalMs: 1_000, values }, 'max');
    expect(coarse.values.length).toBeLessThanOrEqual(320);
    expect(Math.max(...coarse.values)).toBe(99);
    expect(coarse.intervalMs * coarse.values.length).toBeGreaterThanOrEqual(10_000_000);
  });

  it('keeps the mean, or the last value, of what it covers', () => {
    const timeline = { intervalMs: 1_000, values: [1, 3, 5, 7] };
    expect(coarsen(timeline, 'mean', 2).values).toEqual([2, 6]);
    expect(coarsen(timeline, 'last', 2).values).toEqual([3, 7]);
  });

  it('holds its last value to the end', () => {
    expect(pointsOf({ intervalMs: 500, values: [4, 5] })).toEqual([
      [0, 4],
      [0.5, 5],
      [1, 5],
    ]);
  });
});
