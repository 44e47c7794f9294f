import { describe, expect, it } from 'vitest';
import { renderHtml } from '../../src/report/html.ts';
import { coarsen, pointsOf } from '../../src/report/html-series.ts';
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
