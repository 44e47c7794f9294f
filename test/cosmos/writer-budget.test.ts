import { describe, expect, it } from 'vitest';
import { WriterEngine } from '../../src/cosmos/writer/engine.ts';
import { parseRuBudget } from '../../src/cosmos/writer/ru-budget.ts';
import type { BulkReply, BulkRequest, BulkTransport } from '../../src/cosmos/writer/wire.ts';
import { type Random, seededRandom } from '../../src/util/random.ts';
import { createVirtualClock, type VirtualClock } from '../helpers/virtual-clock.ts';
import { simulatedHash } from './simulated-service.ts';

/** Charge of one write. */
const CHARGE = 11;

/** Two partitions that admit an operation while the second's budget is not used up, as Azure does (request units per second). */
class MeteredService implements BulkTransport {
  readonly perSecond: number[][] = [[], []];
  throttled = 0;
  readonly #limit: number;
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  ranges(): Promise<readonly { id: string; minInclusive: string }[]> {
    return Promise.resolve(RANGES);
  }

  async send({ rangeId, operationCount, continueOnError }: BulkRequest): Promise<BulkReply> {
    await this.#clock.sleep(4);
    const second = Math.floor(this.#clock.now() / 1000);
    const used = this.perSecond[Number(rangeId)] as number[];
    let stopped = false;
    const replies = Array.from({ length: operationCount }, () => {
      if (stopped) return { statusCode: 424 };
      if ((used[second] ?? 0) >= this.#limit) {
        this.throttled++;
        stopped = !continueOnError;
        const retryAfterMilliseconds = Math.ceil((second + 1) * 1000 - this.#clock.now());
        return { statusCode: 429, retryAfterMilliseconds };
      }
      used[second] = (used[second] ?? 0) + CHARGE;
      return { statusCode: 201, requestCharge: CHARGE };
    });
    await this.#clock.sleep(2);
    return { replies };
  }
}

const RANGES = [
  { id: '0', minInclusive: '' },
  { id: '1', minInclusive: '80000000' },
];

interface Offered {
  readonly service: MeteredService;
  readonly stored: number;
  readonly offered: number;
  /** Greatest time by which a write got ahead of one that was offered before it for the same partition. */
  readonly aheadMs: number;
}

function openWriter(service: MeteredService, clock: VirtualClock, ruPerSecond?: number): WriterEngine {
  return new WriterEngine({
    transport: service,
    ranges: RANGES,
    hash: ([key]) => simulatedHash(String(key)),
    clock,
    random: seededRandom(7),
    maxWaitMs: 20,
    maxBufferedBytes: 64 * 1024 * 1024,
    maxOperations: 100,
    maxRequestBytes: 2_000_000,
    maxRequests: 128,
    maxRequestsPerRange: 16,
    giveUpMs: 60_000,
    ...(ruPerSecond === undefined ? {} : { ruPerSecond }),
  });
}

/** Offers `ratePerSecond` writes for `seconds` and says what each partition had used at the end of that time. */
async function offer(options: {
  readonly ratePerSecond: number;
  readonly seconds: number;
  readonly partitionLimit: number;
  readonly ruPerSecond?: number;
  /** A number from 0 to 999; by default each is as likely as the others. */
  readonly key?: (random: Random) => number;
}): Promise<Offered> {
  const clock = createVirtualClock();
  const service = new MeteredService(clock, options.partitionLimit);
  let stored = 0;
  let offered = 0;
  const writer = openWriter(service, clock, options.ruPerSecond);
  const body = `{"pad":"${'x'.repeat(1_000)}"}`;
  const random = seededRandom(3);
  const { key = () => random.below(1_000) } = options;
  const open = RANGES.map(() => new Map<number, number>());
  let aheadMs = 0;
  let over = false;
  const offering = (async () => {
    while (clock.now() < options.seconds * 1000) {
      for (let i = 0; i < options.ratePerSecond / 100; i++) {
        const number = offered++;
        const partitionKey = `device-${key(random)}`;
        const waiting = open[simulatedHash(partitionKey) < '80000000' ? 0 : 1] as Map<number, number>;
        const at = clock.now();
        waiting.set(number, at);
        const full = writer.write({ kind: 'upsert', id: String(number), partitionKey, body }, ({ ok }) => {
          if (ok) stored++;
          const [oldest = at] = waiting.values();
          aheadMs = Math.max(aheadMs, at - oldest);
          waiting.delete(number);
        });
        if (full !== undefined) await full;
      }
      await clock.sleep(10);
    }
    over = true;
  })();
  await clock.runUntil(() => over);
  await offering;
  const atEnd = service.perSecond.map((seconds) => seconds.slice(0, options.seconds));
  let drained = false;
  const closing = writer.close().then(() => {
    drained = true;
  });
  await clock.runUntil(() => drained);
  await closing;
  service.perSecond.splice(0, 2, ...atEnd);
  return { service, stored, offered, aheadMs };
}

const total = (seconds: readonly number[]): number => seconds.reduce((sum, used) => sum + used, 0);

describe('request units', () => {
  it('uses 97 % of what is provisioned at twice the load, on every partition, and stores everything', async () => {
    const { service, stored, offered } = await offer({
      ratePerSecond: 1_800,
      seconds: 30,
      partitionLimit: 5_000,
    });
    for (const partition of service.perSecond) expect(total(partition) / (30 * 5_000)).toBeGreaterThan(0.97);
    expect(stored).toBe(offered);
    // One refusal per partition, second and request in flight is the price of finding the limit without being told.
    expect(service.throttled / offered).toBeLessThan(0.05);
  });

  it('writes what came first, whatever its key, however long everything waits', async () => {
    const load = { ratePerSecond: 1_800, seconds: 10, partitionLimit: 5_000 };
    const even = await offer(load);
    const hot = await offer({
      ...load,
      key: (random) => (random.below(10) < 3 ? 0 : random.below(1_000)),
    });
    // The keys of a request cannot be in another one, so others go ahead until it is answered.
    expect(even.aheadMs).toBeLessThan(500);
    expect(hot.aheadMs).toBeLessThan(500);
  });

  it('lets partitions of the hub that were fetched one after the other take turns', async () => {
    const clock = createVirtualClock();
    const writer = openWriter(new MeteredService(clock, 5_000), clock);
    const stored = [0, 0, 0];
    let apart = 0;
    let over = false;
    const fetching = (async () => {
      for (const partition of stored.keys()) {
        const fence = { raised: false };
        for (let i = 0; i < 2_000; i++) {
          const key = `device-${partition}-${i % 100}`;
          const settled = () => {
            stored[partition] = (stored[partition] ?? 0) + 1;
            apart = Math.max(apart, Math.max(...stored) - Math.min(...stored));
          };
          const operation = { kind: 'upsert', id: String(i), partitionKey: key, body: '{}' } as const;
          void writer.write(operation, settled, fence);
        }
        await clock.sleep(10);
      }
      await writer.close();
      over = true;
    })();
    await clock.runUntil(() => over);
    await fetching;
    expect(stored).toEqual([2_000, 2_000, 2_000]);
    // What was on its way of the first one when the others came.
    expect(apart).toBeLessThan(1_000);
  });

  it('stays within a budget, uses it up, and is not throttled by the service', async () => {
    const { service, stored, offered } = await offer({
      ratePerSecond: 1_800,
      seconds: 30,
      partitionLimit: 5_000,
      ruPerSecond: 4_000,
    });
    const used = service.perSecond.map(total);
    expect((used[0] ?? 0) + (used[1] ?? 0)).toBeLessThan(30 * 4_000 * 1.02);
    for (const partition of used) expect(partition / (30 * 2_000)).toBeGreaterThan(0.97);
    expect(Math.max(...service.perSecond.flat())).toBeLessThan(2_000 * 1.5);
    expect(service.throttled).toBe(0);
    expect(stored).toBe(offered);
  });

  it('lets a budget that is never reached cost nothing', async () => {
    const { service, stored, offered } = await offer({
      ratePerSecond: 200,
      seconds: 5,
      partitionLimit: 50_000,
      ruPerSecond: 40_000,
    });
    expect(total(service.perSecond.flat())).toBeGreaterThan(offered * CHARGE * 0.95);
    expect(stored).toBe(offered);
  });
});

describe('parseRuBudget', () => {
  it('reads an amount and a share', () => {
    expect(parseRuBudget('4000')).toEqual({ ruPerSecond: 4_000 });
    expect(parseRuBudget('40_000')).toEqual({ ruPerSecond: 40_000 });
    expect(parseRuBudget('40%')).toEqual({ fraction: 0.4 });
  });

  it.each(['', '0', '-1', '101%', '40 RU', '1e3'])('refuses "%s" and shows the form', (text) => {
    expect(() => parseRuBudget(text)).toThrow(/expected RU\/s such as 4000, or a share such as 40%/);
  });
});
