import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildModel, scheduleOf } from '../../src/capacity/build-model.ts';
import { createCharge, readCharge } from '../../src/capacity/charges.ts';
import { costOf, type HubPurchase } from '../../src/capacity/cost.ts';
import { mapLoad } from '../../src/capacity/load-map.ts';
import { plan } from '../../src/capacity/plan.ts';
import { DEFAULT_SHEET, FIGURE_NAMES, type FigureName, PRICE_NAMES } from '../../src/capacity/sheet.ts';
import { overrideSheet } from '../../src/capacity/sheet-file.ts';
import { simulate } from '../../src/capacity/simulate.ts';
import { ASSUMED_LATENCY } from '../../src/capacity/simulation-model.ts';
import {
  consumersFor,
  hubPurchases,
  physicalPartitionsFor,
  type StoreMode,
  type StoreSize,
  sizeHub,
  sizeStore,
} from '../../src/capacity/sizing.ts';
import { billedByAutoscale, type StoreOption } from '../../src/capacity/store-options.ts';
import {
  meanRate,
  type PipelineTarget,
  peakRate,
  readRuPerSecond,
  ruPerEvent,
  ruPerWrite,
} from '../../src/capacity/target.ts';
import { constant } from '../../src/workload/shape.ts';
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

  it('counts the units of each tier', () => {
    const usage = {
      store: { mode: 'serverless', ruPerHour: 0 },
      eventsPerHour: 0,
      eventBytes: 0,
      storedGb: 0,
    } as const;
    const perHour = (hub: HubPurchase): number => costOf({ ...usage, hub }, DEFAULT_SHEET, 0).perHour;
    expect(perHour({ tier: 'premium', processingUnits: 4 })).toBeCloseTo(4.8, 9);
    expect(perHour({ tier: 'dedicated', capacityUnits: 3 })).toBeCloseTo(3 * 6.849, 9);
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
    const sheet = overrideSheet({ figures: { provisionedPer100RuHour: 0.01 } }, 'ours.yaml');
    expect(sheet.figures.provisionedPer100RuHour).toEqual({ value: 0.01, source: 'ours.yaml' });
    expect(sheet.figures.storageGbMonth).toEqual(DEFAULT_SHEET.figures.storageGbMonth);
    const prices = 'ours.yaml, else built-in list prices (US dollars, November 2026)';
    expect(plan(sampleTarget(), sheet).choice?.cost).toMatchObject({ currency: 'USD', prices });
  });

  it('replaces nothing but what a price sheet names', () => {
    fc.assert(
      fc.property(
        fc.subarray(FIGURE_NAMES as FigureName[]),
        fc.double({ min: 0.001, max: 1e6, noNaN: true }),
        (names, value) => {
          const figures = Object.fromEntries(
            names.map((name, at) => [name, at % 2 === 0 ? value : { value, source: 'invoice' }]),
          );
          const sheet = overrideSheet({ figures }, 'ours.yaml');
          for (const name of FIGURE_NAMES) {
            const at = names.indexOf(name);
            expect(sheet.figures[name]).toEqual(
              at < 0
                ? DEFAULT_SHEET.figures[name]
                : { value, source: at % 2 === 0 ? 'ours.yaml' : 'invoice' },
            );
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it('takes another currency for all prices or for none', () => {
    const some = { currency: 'EUR', figures: { provisionedPer100RuHour: 0.01 } };
    expect(() => overrideSheet(some, 'ours.yaml')).toThrow(
      /prices in EUR, but hubThroughputUnitHour, .* would stay in USD/,
    );
    const figures = Object.fromEntries(PRICE_NAMES.map((name) => [name, 2]));
    expect(overrideSheet({ currency: 'EUR', figures }, 'ours.yaml')).toMatchObject({
      name: 'ours.yaml',
      currency: 'EUR',
    });
    expect(overrideSheet({ name: 'contract', figures }, 'ours.yaml').name).toBe('contract');
  });

  it.each([
    [{ figures: { storageGb: 1 } }, 'figures.storageGb is no limit or price; did you mean storageGbMonth'],
    [{ figures: { storageGbMonth: -1 } }, 'figures.storageGbMonth must be a number of 0 or more, not -1'],
    [
      { figures: { storageGbMonth: '0.3' } },
      'figures.storageGbMonth must be a number of 0 or more, not "0.3"',
    ],
    [{ figures: { storageGbMonth: { value: Number.NaN } } }, 'figures.storageGbMonth must be a number'],
    [
      { figures: { storageGbMonth: { value: 1, of: 2 } } },
      'figures.storageGbMonth.of: a figure has value and source',
    ],
    [
      { figures: { storageGbMonth: { value: 1, source: 2 } } },
      'figures.storageGbMonth.source must be a text',
    ],
    [{ figures: { storePartitionRu: 0 } }, 'figures.storePartitionRu must be a number above 0, not 0'],
    [{ figures: [1] }, 'figures must be a mapping of names to values'],
    [{ storageGbMonth: 1 }, 'storageGbMonth stands beside figures, not below it'],
    [{ prices: 1 }, 'there is no prices; the file has name, currency, figures'],
    [{ currency: '' }, 'currency must be a text'],
  ])('says what is wrong with the price sheet %j', (document, message) => {
    expect(() => overrideSheet(document, 'ours.yaml')).toThrow(`ours.yaml: ${message}`);
  });

  it('takes a price of nothing, and a file with no figures at all', () => {
    expect(overrideSheet({ figures: { storageGbMonth: 0 } }, 'ours.yaml').figures.storageGbMonth.value).toBe(
      0,
    );
    expect(overrideSheet({ figures: null }, 'ours.yaml').figures).toEqual(DEFAULT_SHEET.figures);
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

  it('buys processing and capacity units for what goes out, too', () => {
    const flow = { ratePerSecond: 20_000, eventBytes: 1_000, consumerGroups: 1 };
    const units = (consumerGroups: number, partitions = 20) =>
      hubPurchases({ ...flow, consumerGroups }, partitions, DEFAULT_SHEET);
    // 20 MB/s in need 3 units of 7.5 MB/s, which are sold as 4; 10 readers take 200 MB/s out, 14 units of 15 MB/s.
    expect(units(1)).toEqual([
      { tier: 'standard', throughputUnits: 20 },
      { tier: 'premium', processingUnits: 4 },
      { tier: 'dedicated', capacityUnits: 1 },
    ]);
    expect(units(10)).toEqual([
      { tier: 'premium', processingUnits: 16 },
      { tier: 'dedicated', capacityUnits: 1 },
    ]);
    expect(units(11).at(-1)).toEqual({ tier: 'dedicated', capacityUnits: 2 });
    expect(units(1, 33).map(({ tier }) => tier)).toEqual(['premium', 'dedicated']);
    expect(units(1, 101).map(({ tier }) => tier)).toEqual(['dedicated']);
    expect(hubPurchases({ ...flow, eventBytes: 1_048_577 }, 1, DEFAULT_SHEET)).toEqual([]);
  });

  it('needs partitions and consumers for the rate, and says where a hub ends', () => {
    const size = sizeHub(sampleTarget({ consumerPerSecond: 500 }), 5_000, DEFAULT_SHEET);
    expect(size).toMatchObject({ throughputUnits: 6, partitions: 10 });
    const huge = sizeHub(sampleTarget(), 1_000_000, DEFAULT_SHEET);
    expect(huge).toMatchObject({ throughputUnits: 1_086, partitions: 1_024 });
    expect(huge.partitionsWhy).toContain('a hub has 1,024 at most');
  });

  it('rounds to the steps and minima in which throughput is sold', () => {
    const small = { ratePerSecond: 10, retentionMs: 60_000 };
    const size = (mode: StoreMode, overrides: Partial<PipelineTarget>) =>
      sizeStore(sampleTarget(overrides), overrides.ratePerSecond ?? 0, mode, DEFAULT_SHEET).ruPerSecond;
    expect([size('provisioned', small), size('autoscale', small)]).toEqual([400, 1_000]);
    // 100 x 12.136 RU.
    const one = { ratePerSecond: 100, retentionMs: 60_000 };
    expect([size('provisioned', one), size('autoscale', one)]).toEqual([1_300, 2_000]);
    // 1,162 B and 15 %, 10 a second for five years are 2,107 GB: 1 RU/s for each, or 10 with autoscale; 43 partitions.
    const old = { ratePerSecond: 1, retentionMs: 50 * 365 * 86_400_000 };
    expect([size('provisioned', old), size('autoscale', old)]).toEqual([2_200, 22_000]);
  });

  it('finds the number of partitions that tells hot keys apart', () => {
    const target = sampleTarget({ keys: 60, ratePerSecond: 15_000, retentionMs: 60_000 });
    const size = sizeStore(target, 15_000, 'provisioned', DEFAULT_SHEET);
    // Thirty-one partitions would do for their sum, but some of them would have four keys of 3,034 RU/s.
    expect(size.physicalPartitions).toBeGreaterThan(31);
    expect(size.possible).toBe(true);
    expect(size.load.hottestStoreShare * size.ruWithoutSkew).toBeLessThanOrEqual(10_000);
    expect(sizeStore(target, 60_000, 'provisioned', DEFAULT_SHEET).possible).toBe(false);
  });

  it('adds no more partitions than the busiest is above what it can have', () => {
    const even = sampleTarget({ ratePerSecond: 999_999, keys: 10_000_000, retentionMs: 60_000 });
    const size = sizeStore(even, 999_999, 'autoscale', DEFAULT_SHEET);
    expect(size.possible).toBe(true);
    expect(size.ruPerSecond / size.ruWithoutSkew).toBeLessThan(1.05);
  });

  it('never needs less for more, and never has less than it needs', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20_000 }),
        fc.double({ min: 1, max: 4, noNaN: true }),
        fc.integer({ min: 50, max: 20_000 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 3, max: 200 }),
        fc.constantFrom('provisioned' as const, 'autoscale' as const),
        fc.integer({ min: 0, max: 5_000 }),
        (rate, factor, bodyBytes, consumerGroups, keys, mode, readsPerSecond) => {
          const target = sampleTarget({
            bodyBytes,
            consumerGroups,
            keys,
            readsPerSecond,
            ratePerSecond: rate,
          });
          const [hub, more] = [rate, rate * factor].map((r) => sizeHub(target, r, DEFAULT_SHEET));
          expect(more?.throughputUnits).toBeGreaterThanOrEqual(hub?.throughputUnits ?? 0);
          expect(more?.partitions).toBeGreaterThanOrEqual(hub?.partitions ?? 0);
          expect(more?.purchases.length).toBeLessThanOrEqual(hub?.purchases.length ?? 0);
          const [size, larger] = [rate, rate * factor].map((r) =>
            sizeStore({ ...target, ratePerSecond: r }, r, mode, DEFAULT_SHEET),
          ) as [StoreSize, StoreSize];
          expect(larger.ruWithoutSkew).toBeGreaterThanOrEqual(size.ruWithoutSkew);
          expect(larger.storedGb).toBeGreaterThanOrEqual(size.storedGb);
          for (const { load, physicalPartitions, possible, ruPerSecond, ruWithoutSkew, storedGb } of [
            size,
            larger,
          ]) {
            expect(ruPerSecond % (mode === 'autoscale' ? 1_000 : 100)).toBe(0);
            expect(ruPerSecond).toBeGreaterThanOrEqual(ruWithoutSkew);
            expect(physicalPartitions * 50).toBeGreaterThanOrEqual(storedGb);
            if (!possible) continue;
            const reads = readRuPerSecond(target, DEFAULT_SHEET);
            const busiest = load.hottestStoreShare * (ruWithoutSkew - reads) + reads / physicalPartitions;
            expect(busiest).toBeLessThanOrEqual(ruPerSecond / physicalPartitions + 1e-6);
            expect(ruPerSecond / physicalPartitions).toBeLessThanOrEqual(10_000);
          }
        },
      ),
      { numRuns: 12 },
    );
  });

  it('buys no step more than the busiest partition needs, and simulates with it but not with less', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 50, max: 20_000 }),
        fc.integer({ min: 20, max: 2_000 }),
        fc.constantFrom<PipelineTarget['distribution']>({ kind: 'uniform' }, { kind: 'zipf', exponent: 0.8 }),
        fc.integer({ min: 0, max: 3_000 }),
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 60_000, max: 86_400_000 }),
        (ratePerSecond, keys, distribution, readsPerSecond, feedReaders, retentionMs) => {
          const target = sampleTarget({
            ratePerSecond,
            keys,
            distribution,
            readsPerSecond,
            feedReaders,
            retentionMs,
          });
          const size = sizeStore(target, ratePerSecond, 'provisioned', DEFAULT_SHEET);
          if (!size.possible) return;
          const { load, physicalPartitions, ruPerSecond } = size;
          const reads = readRuPerSecond(target, DEFAULT_SHEET) / physicalPartitions;
          const skewed = ratePerSecond * ruPerEvent(target, DEFAULT_SHEET);
          const busiest = physicalPartitions * (load.hottestStoreShare * skewed + reads);
          const hub = sizeHub(target, ratePerSecond, DEFAULT_SHEET);
          const lagMs = (ru: number): number => {
            const provision = {
              throughputUnits: hub.throughputUnits,
              hubPartitions: hub.partitions,
              consumers: consumersFor(target, ratePerSecond),
              ruPerSecond: ru,
              physicalPartitions,
              withFeed: feedReaders > 0,
              withCache: false,
            };
            const schedule = { shape: constant(ratePerSecond), durationMs: 300_000 };
            return simulate(buildModel(target, provision, schedule, DEFAULT_SHEET), 0, 1_000).maxQueuedMs;
          };
          expect(lagMs(ruPerSecond)).toBeLessThan(1_000);
          const fewer = physicalPartitionsFor(ruPerSecond - 100, 'provisioned', DEFAULT_SHEET);
          if (ruPerSecond - 100 < size.leastRu || fewer < physicalPartitions) return;
          expect(busiest).toBeGreaterThan(ruPerSecond - 100);
          // Ten seconds of five minutes are a thirtieth.
          expect(lagMs(0.95 * busiest)).toBeGreaterThan(10_000);
        },
      ),
      { numRuns: 8 },
    );
  });

  it('needs in proportion to the rate, and no less of anything that grows', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5_000 }),
        fc.integer({ min: 2, max: 10 }),
        fc.integer({ min: 100, max: 200_000 }),
        (ratePerSecond, times, bodyBytes) => {
          const target = sampleTarget({ ratePerSecond, bodyBytes, keys: 500, retentionMs: 60_000 });
          const sized = (overrides: Partial<PipelineTarget>): StoreSize => {
            const all = { ...target, ...overrides };
            return sizeStore(all, all.ratePerSecond, 'provisioned', DEFAULT_SHEET);
          };
          const one = sized({});
          const many = sized({ ratePerSecond: ratePerSecond * times });
          expect(many.ruWithoutSkew / one.ruWithoutSkew).toBeCloseTo(times, 6);
          expect(many.storedGb / one.storedGb).toBeCloseTo(times, 6);
          for (const more of [
            { bodyBytes: bodyBytes * times },
            { readsPerSecond: 10 * times },
            { feedReaders: 1 + times },
            { indexedTerms: 30 * times },
            { retentionMs: 60_000 * times },
          ]) {
            const larger = sized(more);
            expect(larger.ruWithoutSkew).toBeGreaterThanOrEqual(one.ruWithoutSkew);
            expect(larger.storedGb).toBeGreaterThanOrEqual(one.storedGb);
          }
        },
      ),
      { numRuns: 12 },
    );
  });

  it('means a day with its peak', () => {
    const peak = { ratePerSecond: 10_000, durationMs: 6 * 3_600_000 };
    expect(meanRate(sampleTarget({ ratePerSecond: 2_000, peak }))).toBe(4_000);
    const always = { ratePerSecond: 10_000, durationMs: 48 * 3_600_000 };
    expect(meanRate(sampleTarget({ ratePerSecond: 2_000, peak: always }))).toBe(10_000);
    expect(peakRate(sampleTarget({ ratePerSecond: 20_000, peak }))).toBe(20_000);
  });

  it('charges every reader of the feed', () => {
    const perEvent = (feedReaders: number) => ruPerEvent(sampleTarget({ feedReaders }), DEFAULT_SHEET);
    expect(perEvent(3) - perEvent(0)).toBeCloseTo(3 * 1.0054, 3);
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

  it('provisions for the lag with the least that keeps it, and a finer simulation agrees', () => {
    const peak = { ratePerSecond: 3_000, durationMs: 2 * 3_600_000 };
    for (const maxLagMs of [300_000, 1_800_000]) {
      const target = sampleTarget({ ratePerSecond: 500, peak, maxLagMs, retentionMs: 60_000, keys: 2_000 });
      const { physicalPartitions, purchase } = plan(target, DEFAULT_SHEET).options.find(
        ({ name }) => name === 'provisioned for the lag',
      ) as StoreOption;
      const ru = purchase.mode === 'provisioned' ? purchase.ruPerSecond : 0;
      const hub = sizeHub(target, 3_000, DEFAULT_SHEET);
      const lagMs = (ruPerSecond: number, stepMs: number): number => {
        const provision = {
          throughputUnits: hub.throughputUnits,
          hubPartitions: hub.partitions,
          consumers: 1,
          ruPerSecond,
          physicalPartitions,
          withFeed: true,
          withCache: false,
        };
        const model = buildModel(target, provision, scheduleOf(target), DEFAULT_SHEET);
        return simulate(model, 0, stepMs).maxQueuedMs;
      };
      expect(lagMs(ru, 60_000)).toBeLessThanOrEqual(maxLagMs);
      expect(lagMs(ru - 100, 60_000)).toBeGreaterThan(maxLagMs);
      expect(Math.abs(lagMs(ru, 10_000) - lagMs(ru, 60_000))).toBeLessThan(20_000);
    }
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
    const single = (rate: number) =>
      sizeStore(sampleTarget({ keys: 1, retentionMs: 60_000 }), rate, 'provisioned', DEFAULT_SHEET);
    expect(single(494)).toMatchObject({ possible: true, raised: false, ruPerSecond: 6_000 });
    expect(single(823)).toMatchObject({
      possible: true,
      raised: true,
      ruPerSecond: 10_000,
      physicalPartitions: 1,
    });
    expect(single(825).possible).toBe(false);
  });

  it('has a container made with less and raised only where that gives it fewer partitions', () => {
    const partitions = (overrides: Partial<PipelineTarget>): string =>
      plan(sampleTarget(overrides), DEFAULT_SHEET).figures.find(({ name }) => name === 'physical partitions')
        ?.why ?? '';
    const oneKey = { keys: 1, ratePerSecond: 800 };
    expect(partitions({ ...oneKey, retentionMs: 60_000 })).toMatch(
      /^1 by storage, 1 by throughput; .*make the container with 6,000 RU\/s and raise it then$/,
    );
    const stored = partitions({ keys: 1_000, ratePerSecond: 800, retentionMs: 7 * 86_400_000 });
    expect(stored).toMatch(/^13 by storage, \d by throughput; each gets [\d,.]+ RU\/s$/);
  });

  it('offers a container that is made with less where keys share partitions, and it simulates', () => {
    const target = sampleTarget({ ratePerSecond: 13_334, keys: 272, retentionMs: 3_600_000 });
    const options = plan(target, DEFAULT_SHEET).options;
    const ruOf = (name: string) => {
      const { purchase, physicalPartitions, note } = options.find(
        (option) => option.name === name,
      ) as StoreOption;
      return { ru: purchase.mode === 'provisioned' ? purchase.ruPerSecond : 0, physicalPartitions, note };
    };
    const raised = ruOf('provisioned, then raised');
    expect(raised.ru).toBeLessThan(0.6 * ruOf('provisioned for the peak').ru);
    expect(raised.ru / raised.physicalPartitions).toBeLessThanOrEqual(10_000);
    const madeWith = raised.physicalPartitions * 6_000;
    expect(madeWith).toBeLessThan(raised.ru);
    expect(raised.note).toBe(`make it with ${madeWith.toLocaleString('en-US')} RU/s, raise it then`);
    const queuedMs = (ruPerSecond: number): number => {
      const provision = {
        throughputUnits: 15,
        hubPartitions: 15,
        consumers: 2,
        ruPerSecond,
        physicalPartitions: raised.physicalPartitions,
        withFeed: true,
        withCache: false,
      };
      const schedule = { shape: constant(13_334), durationMs: 300_000 };
      return simulate(buildModel(target, provision, schedule, DEFAULT_SHEET), 0, 1_000).maxQueuedMs;
    };
    expect(queuedMs(raised.ru)).toBe(0);
    expect(queuedMs(raised.ru * 0.98)).toBeGreaterThan(2_000);
    const even = plan(sampleTarget({ retentionMs: 3_600_000 }), DEFAULT_SHEET).options;
    expect(even.map(({ name }) => name)).not.toContain('provisioned, then raised');
  });

  it('buys nothing for a key that outgrows its logical partition, and says when it is full', () => {
    const ofDays = (days: number) =>
      plan(sampleTarget({ keys: 10, ratePerSecond: 10, retentionMs: days * 86_400_000 }), DEFAULT_SHEET);
    // 1 event/s of 1,162 B and 15 % fills 20 GB in 173.2 days.
    expect(ofDays(173)).toMatchObject({ needs: { possible: true }, choice: { hub: { tier: 'standard' } } });
    const outgrown = ofDays(365);
    expect(outgrown.needs.possible).toBe(false);
    expect(outgrown.choice).toBeUndefined();
    for (const { note } of outgrown.options) expect(note).toBe('a key outgrows its logical partition');
    expect(outgrown.warnings.join('\n')).toMatch(
      /will hold 42\.14 GB, a logical partition takes 20 GB and is full after 173 days/,
    );
  });

  it('tells a lag that ends from one that grows from day to day', () => {
    const hot = { keys: 2, retentionMs: 60_000 };
    const grows = plan(sampleTarget({ ...hot, ratePerSecond: 2_000 }), DEFAULT_SHEET).options;
    for (const { maxLagMs, note } of grows)
      expect([maxLagMs, note]).toEqual([undefined, 'falls further behind every day']);
    const peak = { ratePerSecond: 2_000, durationMs: 3_600_000 };
    const late = plan(sampleTarget({ ...hot, ratePerSecond: 100, peak }), DEFAULT_SHEET).options;
    for (const { maxLagMs, note } of late) {
      expect(maxLagMs).toBeGreaterThan(60_000);
      expect(note).toBe('misses the lag of 1m00s');
    }
  });

  it('gives a single key all partitions of its storage, each as large as the key needs', () => {
    // 7 GB of one key: one partition. 70 GB of four keys: two of them, of which one may have three keys.
    const one = sizeStore(
      sampleTarget({ keys: 1, ratePerSecond: 800, retentionMs: 6_000_000 }),
      800,
      'provisioned',
      DEFAULT_SHEET,
    );
    expect(one).toMatchObject({ possible: true, keyFits: true, physicalPartitions: 1, ruPerSecond: 9_800 });
    const week = sampleTarget({ keys: 1, ratePerSecond: 800, retentionMs: 7 * 86_400_000 });
    // 13 partitions of 9,708.8 RU/s.
    expect(sizeStore(week, 800, 'provisioned', DEFAULT_SHEET)).toMatchObject({
      possible: true,
      keyFits: false,
      ruPerSecond: 126_300,
    });
  });

  it('warns of storage only where it costs', () => {
    const warnings = (overrides: Partial<PipelineTarget>): string =>
      plan(sampleTarget({ ratePerSecond: 1_000, ...overrides }), DEFAULT_SHEET).warnings.join('\n');
    expect(warnings({ retentionMs: 7 * 86_400_000 })).toBe('');
    // 30 partitions by storage, 49 by throughput.
    const large = { bodyBytes: 900_000, ratePerSecond: 200, keys: 1_000, feedReaders: 3, indexedTerms: 0 };
    expect(warnings({ ...large, retentionMs: 7_200_000 })).not.toContain('storage');
    expect(warnings({ keys: 200, retentionMs: 7 * 86_400_000 })).toMatch(
      /^storage, not throughput, makes 17 partitions of [\d,]+ RU\/s each: the busiest carries [\d.]+ times its share/,
    );
  });

  it('shows units rounded up, and those of the tier that is bought', () => {
    const figures = (overrides: Partial<PipelineTarget>) =>
      new Map(
        plan(sampleTarget({ retentionMs: 60_000, ...overrides }), DEFAULT_SHEET).figures.map((figure) => [
          figure.name,
          `${figure.value}: ${figure.why}`,
        ]),
      );
    const large = figures({ bodyBytes: 1_000_000, ratePerSecond: 100 });
    expect(large.get('throughput units')).toBe(
      '101: events in 0.1, bytes in 101, events out 0.03, bytes out 50.01',
    );
    expect(large.get('capacity units')).toBe('2: bytes in 1.01, bytes out 0.51');
    expect(figures({ ratePerSecond: 25_000, bodyBytes: 100 }).get('processing units')).toBe(
      '1: bytes in 0.94, bytes out 0.47; sold in 1, 2, 4, 6, 8, 10, 12 and 16',
    );
    expect(figures({}).has('processing units')).toBe(false);
  });

  it('names the tiers that there are', () => {
    const tiers = (overrides: Partial<PipelineTarget>): string =>
      plan(sampleTarget({ retentionMs: 60_000, ...overrides }), DEFAULT_SHEET).warnings.join('\n');
    expect(tiers({ ratePerSecond: 50_000 })).toMatch(/and 32 partitions: use Premium or Dedicated/);
    expect(tiers({ ratePerSecond: 200_000 })).toMatch(/Premium at 16 .* and 100 partitions: use Dedicated/);
  });

  it('refuses what no container can hold', () => {
    const years = { ratePerSecond: 1e6, retentionMs: 3_650 * 86_400_000 };
    expect(() => plan(sampleTarget(years), DEFAULT_SHEET)).toThrow(
      /would have [\d,]+ physical partitions, more than the 100,000 that a plan takes/,
    );
  });

  it('offers serverless where its throughput, its storage and its one region are enough', () => {
    const names = (overrides: Partial<PipelineTarget>): readonly string[] =>
      plan(sampleTarget(overrides), DEFAULT_SHEET).options.map(({ name }) => name);
    // 411 events/s of 12.136 RU are just below the 5,000 RU/s of a new container.
    expect(names({ ratePerSecond: 411 })).toContain('serverless');
    expect(names({ ratePerSecond: 412 })).not.toContain('serverless');
    expect(names({ ratePerSecond: 100, retentionMs: 86 * 86_400_000 })).toContain('serverless');
    expect(names({ ratePerSecond: 100, retentionMs: 87 * 86_400_000 })).not.toContain('serverless');
    expect(names({ ratePerSecond: 100, regions: 2 })).not.toContain('serverless');
  });

  it('pays serverless for every write, change and read of the day', () => {
    const peak = { ratePerSecond: 200, durationMs: 6 * 3_600_000 };
    const target = sampleTarget({ ratePerSecond: 100, peak, readsPerSecond: 50, retentionMs: 1 });
    const serverless = plan(target, DEFAULT_SHEET).options.find(({ name }) => name === 'serverless');
    // 125 events/s of 12.136 RU and 50 reads of 1.0054 RU, 730 hours, 0.25 a million.
    expect(serverless?.perMonth).toBeCloseTo((0.25 * 730 * 3_600 * (125 * 12.13598 + 50 * 1.00539)) / 1e6, 0);
  });

  it('pays autoscale for the busiest second of each hour, with a floor of a tenth, 1.5 times the price', () => {
    const [hour] = [3_600_000];
    const options = (overrides: Partial<PipelineTarget>) =>
      plan(sampleTarget({ keys: 1, retentionMs: 60_000, ...overrides }), DEFAULT_SHEET).options;
    const billed = (overrides: Partial<PipelineTarget>): number => {
      const { purchase } = options(overrides).find(({ name }) => name === 'autoscale') as StoreOption;
      return purchase.mode === 'autoscale' ? purchase.billedRuPerSecond : 0;
    };
    const perEvent = 12.13598;
    expect(billed({ ratePerSecond: 500 })).toBeCloseTo(500 * perEvent, 0);
    expect(billed({ ratePerSecond: 400, readsPerSecond: 1_000 })).toBeCloseTo(400 * perEvent + 1_005, 0);
    // Two hours at the peak, in three hours of the clock; the others are billed a tenth of the 7,000 RU/s and not the 10 events/s.
    const peak = { ratePerSecond: 500, durationMs: 2 * hour };
    expect(billed({ ratePerSecond: 10, peak })).toBeCloseTo((21 * 700 + 3 * 500 * perEvent) / 24, 0);
    const steady = options({ ratePerSecond: 500 });
    const month = (name: string) => steady.find((option) => option.name === name)?.perMonth ?? 0;
    expect(steady.map(({ name }) => name)).toEqual(['provisioned for the peak', 'autoscale']);
    expect(month('autoscale')).toBeCloseTo((0.012 * 730 * 500 * perEvent) / 100, 0);
    expect(month('provisioned for the peak')).toBeCloseTo((0.008 * 730 * 6_100) / 100, 0);
  });

  it('knows both ways in which autoscale follows partitions of different load', () => {
    const load = mapLoad({
      keys: 1,
      distribution: { kind: 'uniform' },
      hubPartitions: 1,
      physicalPartitions: 4,
    });
    const size = { load, physicalPartitions: 4, ruPerSecond: 40_000 };
    // All of 5,000 RU/s in one of four partitions of 10,000: three bill their floor of 1,000, or all what the first does.
    expect(billedByAutoscale([5_000], size, sampleTarget(), DEFAULT_SHEET)).toEqual({
      byPartition: 8_000,
      byBusiest: 20_000,
    });
    expect(billedByAutoscale([5_000, 0], size, sampleTarget(), DEFAULT_SHEET)).toEqual({
      byPartition: 6_000,
      byBusiest: 12_000,
    });
    expect(billedByAutoscale([1e9], size, sampleTarget(), DEFAULT_SHEET).byBusiest).toBe(40_000);
    const many = mapLoad({
      keys: 2_000,
      distribution: { kind: 'uniform' },
      hubPartitions: 1,
      physicalPartitions: 100,
    });
    // All partitions are above their floor, so that the sum is what is used.
    const wide = { load: many, physicalPartitions: 100, ruPerSecond: 1e6 };
    const billed = billedByAutoscale([500_000], wide, sampleTarget(), DEFAULT_SHEET);
    expect(billed.byPartition / 500_000).toBeCloseTo(1, 6);
    expect(billed.byBusiest).toBeGreaterThan(550_000);
  });

  it('pays each region, and Capture by the throughput unit', () => {
    const target = sampleTarget({ ratePerSecond: 2_000, keys: 100 });
    const itemsOf = (overrides: Partial<PipelineTarget>) =>
      new Map(
        plan({ ...target, ...overrides }, DEFAULT_SHEET).choice?.cost.items.map(({ name, perHour }) => [
          name,
          perHour,
        ]),
      );
    const one = itemsOf({});
    const two = itemsOf({ regions: 2, capture: true });
    const store = [...one.keys()].filter((name) => name.startsWith('Cosmos DB'));
    expect(store).toHaveLength(2);
    for (const name of store) expect(two.get(name)).toBeCloseTo(2 * (one.get(name) ?? 0), 9);
    expect(one.has('Event Hubs Capture')).toBe(false);
    expect(two.get('Event Hubs Capture')).toBeCloseTo(3 * 0.1, 9);
    expect(two.get('Event Hubs throughput units')).toBe(one.get('Event Hubs throughput units'));
  });

  it('leaves no budget of reads to a peak that waits', () => {
    const peak = { ratePerSecond: 3_000, durationMs: 2 * 3_600_000 };
    const target = sampleTarget({
      ratePerSecond: 500,
      peak,
      maxLagMs: 3_600_000,
      retentionMs: 60_000,
      keys: 300,
    });
    const forLag = (readsPerSecond: number): number => {
      const options = plan({ ...target, readsPerSecond }, DEFAULT_SHEET).options;
      const { purchase } = options.find(({ name }) => name === 'provisioned for the lag') as StoreOption;
      return purchase.mode === 'provisioned' ? purchase.ruPerSecond : 0;
    };
    expect(forLag(10_000) - forLag(0)).toBeGreaterThan(9_000);
  });

  it('has its numbers without their words, and they are the same', () => {
    const { needs, figures } = plan(sampleTarget({ bodyBytes: 1_000 }), DEFAULT_SHEET);
    expect(needs).toMatchObject({
      ratePerSecond: 5_000,
      eventBytes: 1_180,
      throughputUnits: 6,
      hubPartitions: 6,
      consumers: 1,
      itemBytes: 1_256,
    });
    expect(needs.ruPerWrite).toBeCloseTo(11.2536, 4);
    expect(needs.ruPerChange).toBeCloseTo(1.0091, 4);
    expect(needs.ruPerSecondWithoutHeadroom).toBeCloseTo(5_000 * (11.2536 + 1.0091), -1);
    // 5,000 x 86,400 x 1,256 B and 15 %.
    expect(needs.storedGb).toBeCloseTo(623.98, 1);
    expect(needs.physicalPartitions).toBe(Math.max(13, Math.ceil(needs.ruPerSecond / 6_000)));
    const figure = (name: string) => figures.find((each) => each.name === name)?.value;
    expect(figure('with skew headroom')).toBe(`${needs.ruPerSecond.toLocaleString('en-US')} RU/s`);
    expect(figure('physical partitions')).toBe(String(needs.physicalPartitions));
  });

  it('names the rest that stands in the way', () => {
    const warned = (overrides: Partial<PipelineTarget>): string =>
      plan(sampleTarget({ keys: 200, retentionMs: 60_000, ...overrides }), DEFAULT_SHEET).warnings.join('\n');
    const { p50Ms, p99Ms } = ASSUMED_LATENCY.feed;
    expect(warned({ maxLagMs: p99Ms - 1 })).toContain(
      `takes ${p50Ms} ms to the feed without any (${p99Ms} ms at p99)`,
    );
    expect(warned({ maxLagMs: p99Ms })).not.toContain('--max-lag');
    const hot = { distribution: { kind: 'hotspot', keyShare: 0.005, loadShare: 0.5 } } as const;
    expect(warned({ ...hot, ratePerSecond: 1_500, indexedTerms: 0 })).not.toContain('for itself');
    expect(warned({ ...hot, ratePerSecond: 2_200, indexedTerms: 0 })).toMatch(
      /needs 1\.19 throughput units for itself/,
    );
    expect(warned({ ratePerSecond: 100_000, keys: 5_000 })).toMatch(/above the 1,000,000 of a container/);
    const large = plan(sampleTarget({ bodyBytes: 2_000_000, ratePerSecond: 1, keys: 10 }), DEFAULT_SHEET);
    expect(large.choice).toBeUndefined();
    expect(large.warnings.join('\n')).toMatch(/larger than the 1,048,576 B/);
  });
});
