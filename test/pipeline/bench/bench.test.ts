import { describe, expect, it } from 'vitest';
import { DEFAULT_SHEET } from '../../../src/capacity/sheet.ts';
import { Histogram } from '../../../src/metrics/histogram.ts';
import {
  type Bench,
  type BenchOptions,
  type BenchResult,
  startBench,
} from '../../../src/pipeline/bench/bench.ts';
import type { BenchChange, BenchStages } from '../../../src/pipeline/bench/stages.ts';
import type { ProduceResult } from '../../../src/pipeline/produce/types.ts';
import { reportOfBench } from '../../../src/report/from-bench.ts';
import { renderText } from '../../../src/report/text.ts';
import { parseThreshold } from '../../../src/report/thresholds.ts';
import { systemClock } from '../../../src/util/clock.ts';

type Item = Readonly<Record<string, unknown>>;

interface Defects {
  /** Sequence numbers of key `a` that a stage loses. */
  readonly notStored?: readonly number[];
  readonly notFed?: readonly number[];
  readonly notCached?: readonly number[];
  readonly storedTwice?: readonly number[];
  readonly feedFails?: boolean;
  readonly lateGenerator?: boolean;
}

const RUN = 'run-1';
const EVENTS = 50;

/** A pipeline of arrays, with the defects asked for. */
function arrayPipeline(defects: Defects = {}): BenchStages {
  const hub: Item[] = [];
  const store: Item[] = [];
  const cached = new Map<string, Item>();
  let fed = 0;
  const lost = (list: readonly number[] | undefined, item: Item): boolean =>
    list?.includes(item['deviceSequenceNumber'] as number) === true;
  return {
    provisionedRuPerSecond: 1_000,
    async produce({ recorder, ledger, started }) {
      started(systemClock.epochMicros());
      for (let sequence = 0; sequence < EVENTS; sequence += 1) {
        const intendedMicros = systemClock.epochMicros();
        const pipe = {
          run: RUN,
          key: 'a',
          sequence,
          intendedMicros,
          partition: '0',
          sequenceNumber: sequence,
        };
        hub.push({ id: `a-${sequence}`, deviceId: 'a', deviceSequenceNumber: sequence, pipe });
        recorder.offered(1);
        recorder.latency(100);
        recorder.done(1, 1_000);
        ledger.acknowledged('a', sequence, sequence);
      }
      return produced(defects.lateGenerator === true);
    },
    async ingest({ recorder, ru, drainAfter }) {
      await drainAfter;
      for (const item of hub) {
        const copies = lost(defects.notStored, item) ? 0 : lost(defects.storedTwice, item) ? 2 : 1;
        for (let copy = 0; copy < copies; copy += 1)
          store.push(copy === 0 ? item : { ...item, id: `${String(item['id'])}-copy` });
        ru.charge('upsert', '0', 7, copies);
        recorder.offered(1);
        recorder.done(1, 1_000);
        recorder.latency(1_000);
      }
    },
    async feed({ ready, handle, signal }) {
      ready();
      while (!signal.aborted) {
        const page = store.slice(fed).filter((item) => !lost(defects.notFed, item));
        fed = store.length;
        if (page.length > 0 && defects.feedFails) throw new Error('the feed broke');
        if (page.length > 0) await handle(page.map(change), systemClock.epochMicros() / 1000);
        await systemClock.sleep(1);
      }
    },
    openCache: async ({ recorder }) => ({
      async write(changes) {
        recorder.done(changes.length, 0);
        for (const { id, item } of changes) if (!lost(defects.notCached, item)) cached.set(id, item);
      },
      read: async (items) => items.map((item) => cached.get(String(item['id']))),
      close: async () => {},
    }),
    async *readStore() {
      yield store;
    },
    close: async () => {},
  };
}

function change(item: Item): BenchChange {
  return { id: String(item['id']), partitionKey: 'a', item };
}

function produced(late: boolean): ProduceResult {
  return {
    offered: EVENTS,
    sent: EVENTS,
    sizeBytes: EVENTS * 1_000,
    batches: 1,
    failed: {},
    throttled: 0,
    resent: 0,
    unknown: 0,
    late: late ? 20 : 0,
    dropped: late ? 7 : 0,
    injected: {},
    partitions: { 0: EVENTS },
    durationMs: 100,
    requestedPerSecond: 500,
    achievedPerSecond: 500,
    scheduling: new Histogram().summary(),
    startMicros: systemClock.epochMicros(),
    trustworthy: !late,
    doubts: late ? ['7 of 57 arrivals were dropped'] : [],
    interrupted: false,
  };
}

function bench(
  defects?: Defects,
  hooks: Partial<BenchOptions> = {},
  stages = arrayPipeline(defects),
): Promise<BenchResult> {
  return startBench(stages, {
    run: RUN,
    clock: systemClock,
    signal: new AbortController().signal,
    ...hooks,
    bodyFields: { key: 'deviceId', sequence: 'deviceSequenceNumber' },
    quietMs: 100,
  }).result;
}

const context = {
  title: 'test',
  toolVersion: '0.0.0',
  env: {},
  config: {},
  thresholds: [parseThreshold('lost_events:count==0'), parseThreshold('ru:avg<8')],
  prices: DEFAULT_SHEET,
};

describe('bench', () => {
  it('carries a load through all stages and finds it complete in each place', async () => {
    const result = await bench();
    expect(result.verdict).toMatchObject({ ok: true, acknowledged: EVENTS });
    expect(result.verdict.places.map(({ place, events }) => [place, events])).toEqual([
      ['store', EVENTS],
      ['feed', EVENTS],
      ['cache', EVENTS],
    ]);
    expect(result.stages.map(({ name, done }) => [name, done])).toEqual([
      ['produce', EVENTS],
      ['ingest', EVENTS],
      ['feed', EVENTS],
      ['cache', EVENTS],
    ]);
    expect(result.endToEnd.count).toBe(EVENTS);
    const report = reportOfBench(result, context);
    expect(report).toMatchObject({ valid: true, ru: { perWrite: 7 } });
    expect(report.thresholds.map(({ ok, actual }) => [ok, actual])).toEqual([
      [true, 0],
      [true, 7],
    ]);
    expect(renderText(report)).toContain('lost 0   duplicated 0   out of order 0');
  });

  it('tells when everything is sent, and when nothing is on its way any more', async () => {
    const pipeline = arrayPipeline();
    const seen: string[] = [];
    const stages: BenchStages = {
      ...pipeline,
      async ingest(context) {
        await pipeline.ingest(context);
        seen.push('ingested');
      },
      async *readStore(context) {
        seen.push('verifying');
        yield* pipeline.readStore(context);
      },
    };
    const note = (what: string) => async (): Promise<void> => {
      seen.push(what);
    };
    await bench(undefined, { onSent: note('sent'), onDrained: note('drained') }, stages);
    expect(seen).toEqual(['sent', 'ingested', 'drained', 'verifying']);
  });

  it('counts time from the first arrival, and drains when everything is sent', async () => {
    const pipeline = arrayPipeline();
    const seen: (readonly [string, boolean])[] = [];
    let open: Bench | undefined;
    const look = (): void => {
      const { elapsedMs, phase } = (open as Bench).snapshot();
      seen.push([phase, elapsedMs > 0]);
    };
    const stages: BenchStages = {
      ...pipeline,
      async produce(context) {
        await systemClock.sleep(5);
        look();
        const result = await pipeline.produce({
          ...context,
          // An hour ahead: nothing has begun.
          started: (micros) => context.started(micros + 3_600_000_000),
        });
        look();
        return result;
      },
      async ingest(context) {
        await context.drainAfter;
        await systemClock.sleep(1);
        look();
        await pipeline.ingest(context);
      },
    };
    const loads: number[] = [];
    open = startBench(stages, {
      run: RUN,
      clock: systemClock,
      signal: new AbortController().signal,
      onLoad: (micros) => loads.push(micros),
    });
    await open.result;
    expect(seen).toEqual([
      ['starting', false],
      ['running', false],
      ['draining', false],
    ]);
    expect(loads).toHaveLength(1);
  });

  it('is not interrupted by what comes when everything is sent', async () => {
    const stop = new AbortController();
    const { interrupted, verdict } = await bench(undefined, {
      signal: stop.signal,
      onSent: async () => stop.abort(),
    });
    expect({ interrupted, ok: verdict.ok }).toEqual({ interrupted: false, ok: true });
  });

  it('names the key that most events had, where there is one', async () => {
    const { hottestKey } = await bench();
    expect(hottestKey).toEqual({ key: 'a', events: EVENTS });
  });

  it('ends although events are missing, and says where each was seen last', async () => {
    const { verdict } = await bench({ notStored: [3], notFed: [10], notCached: [20], storedTwice: [30] });
    expect(verdict.ok).toBe(false);
    expect(verdict.totals).toMatchObject({ lost: 3, duplicated: 1 });
    expect(
      verdict.examples.map(({ kind, place, sequence, lastSeen }) => [kind, place, sequence, lastSeen]),
    ).toEqual(
      expect.arrayContaining([
        ['lost', 'store', 3, 'event hub'],
        ['lost', 'feed', 10, 'store'],
        ['lost', 'cache', 20, 'feed'],
        ['duplicated', 'store', 30, '0/30'],
      ]),
    );
  });

  it('ends every stage and rejects with the cause when one of them fails', async () => {
    await expect(bench({ feedFails: true })).rejects.toThrow('the feed broke');
  });

  it('says first that the figures are worth nothing when the generator fell behind', async () => {
    const report = reportOfBench(await bench({ lateGenerator: true }), context);
    expect(report).toMatchObject({ valid: false, doubts: ['7 of 57 arrivals were dropped'] });
    expect(renderText(report).trimStart().split('\n').slice(0, 2)).toEqual([
      '! these results are not trustworthy',
      '    7 of 57 arrivals were dropped',
    ]);
  });
});
