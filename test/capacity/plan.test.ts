import { describe, expect, it } from 'vitest';
import { createCharge, readCharge } from '../../src/capacity/charges.ts';
import { costOf } from '../../src/capacity/cost.ts';
import { plan } from '../../src/capacity/plan.ts';
import { DEFAULT_SHEET } from '../../src/capacity/sheet.ts';
import { overrideSheet } from '../../src/capacity/sheet-file.ts';
import { sizeHub, sizeStore } from '../../src/capacity/sizing.ts';
import { meanRate, ruPerWrite } from '../../src/capacity/target.ts';
import { sampleTarget } from './model.ts';

describe('request units', () => {
  it("meet Microsoft's worked example: 1 KB with 10 indexed values is about 7", () => {
    expect(createCharge(1024, 10, 0.2)).toBeCloseTo(6.95, 6);
  });

  it('lie on a line between two sizes, and grow in proportion beyond the largest', () => {
    expect(readCharge(1.5 * 1024)).toBeCloseTo(1.02, 6);
    expect(readCharge(4096 * 1024)).toBeCloseTo(583.6, 6);
  });

  it('are those of a measured run where there is one', () => {
    const target = sampleTarget({ measured: { origin: 'bench.json', ruPerWrite: 9.5 } });
    expect(ruPerWrite(target, DEFAULT_SHEET)).toEqual({ value: 9.5, why: 'measured in bench.json' });
  });
});

describe('a cost', () => {
  it('adds up what is bought', () => {
    const cost = costOf(
      {
        hub: { tier: 'standard', throughputUnits: 12 },
        store: { mode: 'provisioned', ruPerSecond: 100_000 },
        eventsPerHour: 36_000_000,
        eventBytes: 1_024,
        storedGb: 0,
      },
      DEFAULT_SHEET,
      3_600_000,
    );
    // 12 x 0.03 + 36 x 0.028 + 1,000 x 0.008, the sizing of streaming-at-scale for 10,000 events/s.
    expect(cost.perHour).toBeCloseTo(9.368, 6);
    expect(cost.run).toBeCloseTo(9.368, 6);
    expect(cost.perMillionEvents).toBeCloseTo(0.2602, 4);
    expect(cost.perMonth).toBeCloseTo(9.368 * 730, 6);
  });

  it('counts an event above 64 KB as several', () => {
    const usage = {
      hub: { tier: 'standard', throughputUnits: 0 },
      store: { mode: 'serverless', ruPerHour: 0 },
      eventsPerHour: 1e6,
      storedGb: 0,
    } as const;
    const small = costOf({ ...usage, eventBytes: 65_536 }, DEFAULT_SHEET, 0);
    const large = costOf({ ...usage, eventBytes: 65_537 }, DEFAULT_SHEET, 0);
    expect(large.perHour).toBeCloseTo(2 * small.perHour, 9);
  });

  it('follows a price sheet of the user, and says whose prices it used', () => {
    const sheet = overrideSheet({ currency: 'EUR', figures: { provisionedPer100RuHour: 0.01 } }, 'ours.yaml');
    expect(sheet.figures.provisionedPer100RuHour).toEqual({ value: 0.01, source: 'ours.yaml' });
    expect(sheet.figures.storageGbMonth).toEqual(DEFAULT_SHEET.figures.storageGbMonth);
    const result = plan(sampleTarget(), sheet);
    expect(result.choice?.cost).toMatchObject({ currency: 'EUR', prices: 'ours.yaml' });
  });

  it('names an entry of a price sheet that nobody knows', () => {
    expect(() => overrideSheet({ figures: { provisionedPerRu: 1 } }, 'ours.yaml')).toThrow(
      /ours\.yaml: figures/,
    );
    expect(() => overrideSheet({ figures: { storageGbMonth: -1 } }, 'ours.yaml')).toThrow(
      /ours\.yaml: figures\.storageGbMonth/,
    );
  });
});

describe('sizing', () => {
  it('takes the limit of a throughput unit that is reached first', () => {
    expect(sizeHub(sampleTarget({ bodyBytes: 100 }), 5_000, DEFAULT_SHEET).throughputUnits).toBe(5);
    expect(sizeHub(sampleTarget({ bodyBytes: 4_000 }), 5_000, DEFAULT_SHEET).throughputUnits).toBe(21);
    expect(
      sizeHub(sampleTarget({ bodyBytes: 100, consumerGroups: 5 }), 5_000, DEFAULT_SHEET).throughputUnits,
    ).toBe(7);
  });

  it('leaves Standard when its throughput units end', () => {
    const tiers = (rate: number): readonly string[] =>
      sizeHub(sampleTarget(), rate, DEFAULT_SHEET).purchases.map(({ tier }) => tier);
    expect(tiers(5_000)).toEqual(['standard', 'premium', 'dedicated']);
    expect(tiers(50_000)).toEqual(['premium', 'dedicated']);
    expect(tiers(1_000_000)).toEqual(['dedicated']);
  });

  it('gives the busiest physical partition enough, which is more than the sum', () => {
    const size = sizeStore(sampleTarget({ keys: 500 }), 5_000, 'provisioned', DEFAULT_SHEET);
    expect(size.possible).toBe(true);
    expect(size.skew).toBeGreaterThan(1);
    const perPartition = size.ruPerSecond / size.physicalPartitions;
    expect(perPartition).toBeGreaterThanOrEqual(size.ruWithoutSkew * size.load.hottestStoreShare - 1);
  });

  it('means a day with its peak', () => {
    const peak = { ratePerSecond: 10_000, durationMs: 6 * 3_600_000 };
    expect(meanRate(sampleTarget({ ratePerSecond: 2_000, peak }))).toBe(4_000);
  });
});

describe('a plan', () => {
  it('explains every number and names its source', () => {
    const result = plan(sampleTarget(), DEFAULT_SHEET);
    for (const { why, sources, value } of result.figures) {
      expect(value).not.toBe('');
      expect(why).not.toBe('');
      expect(sources.length).toBeGreaterThan(0);
    }
    expect(result.figures.find(({ name }) => name === 'throughput units')?.value).toBe('6');
  });

  it('chooses the cheapest option that keeps the lag', () => {
    const peak = { ratePerSecond: 3_000, durationMs: 2 * 3_600_000 };
    const target = sampleTarget({ ratePerSecond: 500, peak, maxLagMs: 3_600_000 });
    const result = plan(target, DEFAULT_SHEET);
    const meeting = result.options.filter(({ meets }) => meets).map(({ perMonth }) => perMonth);
    expect(result.choice?.store.perMonth).toBe(Math.min(...meeting));
    const forPeak = result.options.find(({ name }) => name === 'provisioned for the peak');
    const forLag = result.options.find(({ name }) => name === 'provisioned for the lag');
    expect(forLag?.meets).toBe(true);
    expect(forLag?.perMonth).toBeLessThan(forPeak?.perMonth ?? 0);
    expect(forLag?.maxLagMs).toBeGreaterThan(60_000);
  });

  it('warns of the key that no throughput can save, and buys nothing', () => {
    const result = plan(
      sampleTarget({ ratePerSecond: 20_000, distribution: { kind: 'zipf', exponent: 1.2 } }),
      DEFAULT_SHEET,
    );
    expect(result.choice).toBeUndefined();
    // One event is 12.136 RU: 10,000 RU/s are 824 events/s of that key, which has a share of the load.
    expect(result.needs.hottestKey.maxOwnRatePerSecond).toBeCloseTo(824, 0);
    expect(result.needs.hottestKey.maxRatePerSecond * result.needs.hottestKey.share).toBeCloseTo(824, 0);
    expect(result.warnings[0]).toMatch(
      /no throughput can save it: it takes up to 824 events\/s, which is 4,039 events\/s of all keys\. Split/,
    );
    const saved = plan({ ...result.target, ratePerSecond: 4_000 }, DEFAULT_SHEET);
    expect(saved.warnings.join('\n')).not.toMatch(/no throughput can save it/);
  });

  it('warns of a logical partition that outgrows its limit', () => {
    const result = plan(
      sampleTarget({ keys: 10, ratePerSecond: 100, retentionMs: 365 * 86_400_000 }),
      DEFAULT_SHEET,
    );
    expect(result.warnings.join('\n')).toMatch(/a logical partition takes 20 GB/);
  });

  it('offers serverless where its throughput is enough', () => {
    const names = (rate: number): readonly string[] =>
      plan(sampleTarget({ ratePerSecond: rate }), DEFAULT_SHEET).options.map(({ name }) => name);
    expect(names(100)).toContain('serverless');
    expect(names(5_000)).not.toContain('serverless');
  });
});
