import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Ledger } from '../../../src/pipeline/verify/ledger.ts';
import { isUnreadable, type Observation, observer } from '../../../src/pipeline/verify/observation.ts';
import { createVerifier, type Place, type Verdict } from '../../../src/pipeline/verify/verify.ts';

interface Item {
  readonly id: string;
  readonly deviceId: string;
  readonly deviceSequenceNumber: number;
  readonly pipe: Readonly<Record<string, unknown>>;
}

const SENT_MS = 1_800_000_000_000;

function item(key: string, sequence: number, overrides: Partial<Item> = {}): Item {
  return {
    id: `${key}-${sequence}`,
    deviceId: key,
    deviceSequenceNumber: sequence,
    pipe: {
      run: 'run-1',
      key,
      sequence,
      intendedMicros: (SENT_MS + sequence) * 1000,
      partition: '0',
      sequenceNumber: sequence,
      enqueuedMs: SENT_MS + sequence + 2,
      ingestedMs: SENT_MS + sequence + 10,
    },
    ...overrides,
  };
}

/** Two keys, ten events each. */
function pristine(): { ledger: Ledger; items: Item[] } {
  const ledger = new Ledger('run-1');
  const items: Item[] = [];
  for (const key of ['a', 'b']) {
    ledger.acknowledged(key, 0, 9);
    for (let sequence = 0; sequence < 10; sequence += 1) items.push(item(key, sequence));
  }
  return { ledger, items };
}

const observe = observer({ body: { key: 'deviceId', sequence: 'deviceSequenceNumber' } });

function check(
  ledger: Ledger,
  at: Partial<Record<Place, readonly Item[]>>,
  options: { readonly lateAfterMs?: number; readonly feedDelayMs?: number } = {},
): Verdict {
  const verifier = createVerifier({
    ledgers: new Map([[ledger.run, ledger]]),
    places: Object.keys(at) as Place[],
    storeOrdered: true,
    ...options,
  });
  for (const [place, items] of Object.entries(at) as [Place, readonly Item[]][]) {
    for (const one of items) {
      const found = observe(one);
      if (isUnreadable(found)) verifier.corrupted(place, found);
      else {
        const delayMs = options.feedDelayMs;
        const atMs =
          place === 'feed' && delayMs !== undefined ? (found.ingestedMs as number) + delayMs : undefined;
        verifier.observe(place, found, atMs);
      }
    }
  }
  return verifier.verdict();
}

describe('verify', () => {
  it('finds nothing wrong when everything is where it should be', () => {
    const { ledger, items } = pristine();
    const verdict = check(ledger, { store: items, feed: items, cache: items }, { feedDelayMs: 5 });
    expect(verdict).toMatchObject({
      ok: true,
      acknowledged: 20,
      ledger: 'complete',
      totals: { lost: 0, duplicated: 0, outOfOrder: 0, late: 0, corrupted: 0, unexpected: 0 },
      examples: [],
    });
    expect(verdict.latency.enqueue).toMatchObject({ count: 20, p50Ms: 2 });
    expect(verdict.latency.ingest).toMatchObject({ count: 20, p99Ms: 8 });
    expect(verdict.latency.feed).toMatchObject({ count: 20, p50Ms: 5 });
    expect(verdict.latency.endToEnd.p50Ms).toBeCloseTo(15, 1);
  });

  it('names a removed item, including the first and the last of a key and a key that is missing altogether', () => {
    const { ledger, items } = pristine();
    ledger.acknowledged('never-stored', 0, 4);
    const left = items.filter(({ id }) => !['a-0', 'a-9', 'b-4', 'b-5'].includes(id));
    const verdict = check(ledger, { store: left });
    expect(verdict.ok).toBe(false);
    expect(verdict.totals.lost).toBe(9);
    expect(verdict.examples).toMatchObject([
      { kind: 'lost', key: 'a', sequence: 0, lastSeen: 'event hub' },
      { kind: 'lost', key: 'a', sequence: 9 },
      { kind: 'lost', key: 'b', sequence: 4, untilSequence: 5 },
      { kind: 'lost', key: 'never-stored', sequence: 0, untilSequence: 4 },
    ]);
  });

  it('names an event that is stored twice under different ids', () => {
    const { ledger, items } = pristine();
    const verdict = check(ledger, { store: [...items, item('b', 3, { id: 'another' })] });
    expect(verdict.totals).toMatchObject({ duplicated: 1, lost: 0 });
    expect(verdict.examples).toMatchObject([{ kind: 'duplicated', key: 'b', sequence: 3, id: 'another' }]);
  });

  it('names swapped items: order when they changed places, corruption when body and envelope disagree', () => {
    const { ledger, items } = pristine();
    const reordered = [...items];
    [reordered[4], reordered[5]] = [items[5] as Item, items[4] as Item];
    expect(check(ledger, { store: reordered }).examples).toMatchObject([
      { kind: 'outOfOrder', key: 'a', sequence: 4, detail: 'comes after 5 of the same key' },
    ]);
    const mixedUp = [...items];
    mixedUp[4] = item('a', 4, { pipe: (items[5] as Item).pipe });
    const verdict = check(ledger, { store: mixedUp });
    expect(verdict.totals).toMatchObject({ corrupted: 1, lost: 1 });
    expect(verdict.examples).toContainEqual(
      expect.objectContaining({
        kind: 'corrupted',
        id: 'a-4',
        detail: 'deviceSequenceNumber is 4, the event was sent as 5',
      }),
    );
  });

  it('tells where an event was seen last', () => {
    const { ledger, items } = pristine();
    const verdict = check(ledger, {
      store: items,
      feed: items.slice(1),
      cache: items.slice(2),
    });
    expect(verdict.totals.lost).toBe(2);
    expect(verdict.places.map(({ place, counts }) => [place, counts.lost])).toEqual([
      ['store', 0],
      ['feed', 1],
      ['cache', 2],
    ]);
    expect(verdict.examples).toMatchObject([
      { place: 'feed', sequence: 0, lastSeen: 'store' },
      { place: 'cache', sequence: 0, untilSequence: 1, lastSeen: 'store' },
    ]);
  });

  it('takes a second delivery by the feed for what it is, and not for a step back', () => {
    const { ledger, items } = pristine();
    const verdict = check(ledger, { feed: [...items, ...items.slice(3, 8)] });
    expect(verdict.ok).toBe(true);
    expect(verdict.places).toMatchObject([{ place: 'feed', observed: 25, events: 20, redelivered: 5 }]);
  });

  describe('after a restart of ingest', () => {
    /** Reading n of the partition, a minute after the one before. */
    const read = (sequence: number, reading: number, hub: number = sequence): Item => {
      const original = item('a', sequence);
      const ingestedMs = SENT_MS + reading * 60_000 + hub;
      return { ...original, pipe: { ...original.pipe, sequenceNumber: hub, ingestedMs } };
    };
    const feed = (items: readonly Item[]) => {
      const ledger = new Ledger('run-1');
      ledger.acknowledged('a', 0, 9);
      const [place] = check(ledger, { feed: items }).places;
      return { outOfOrder: place?.counts.outOfOrder, rewritten: place?.rewritten };
    };

    it('does not call reordered what was written again before the feed showed it', () => {
      expect(feed([read(0, 1), read(3, 1), read(4, 1), read(1, 2), read(2, 2), read(3, 2)])).toEqual({
        outOfOrder: 0,
        rewritten: 2,
      });
    });

    it('follows several restarts', () => {
      expect(feed([read(9, 1), read(7, 2), read(8, 2), read(4, 3), read(5, 3), read(6, 3)])).toEqual({
        outOfOrder: 0,
        rewritten: 5,
      });
    });

    it('still names events of one reading whose writes changed places', () => {
      expect(feed([read(1, 1), read(0, 1)])).toEqual({ outOfOrder: 1, rewritten: 0 });
      expect(feed([read(9, 1), read(2, 2), read(1, 2)])).toEqual({ outOfOrder: 1, rewritten: 1 });
    });

    it('still names events that changed places before Event Hubs had them', () => {
      expect(feed([read(1, 1, 0), read(0, 1, 1)])).toEqual({ outOfOrder: 1, rewritten: 0 });
    });

    it('never fails an ingest that reads in order and restarts, wherever the feed looks', () => {
      const restarts = fc.array(fc.record({ from: fc.nat(9), to: fc.nat(9) }), {
        minLength: 1,
        maxLength: 6,
      });
      fc.assert(
        fc.property(restarts, fc.array(fc.boolean(), { minLength: 70, maxLength: 70 }), (passes, looks) => {
          // The log of writes; the feed shows, in log order, what is still the latest version when it looks.
          const log: Item[] = [];
          for (const [reading, { from, to }] of [{ from: 0, to: 9 }, ...passes].entries())
            for (let sequence = from; sequence <= to; sequence += 1) log.push(read(sequence, reading));
          const shown: Item[] = [];
          let readTo = 0;
          for (let end = 1; end <= log.length; end += 1) {
            if (end < log.length && looks[end] !== true) continue;
            const latest = new Map(log.slice(0, end).map((one, at) => [one.id, at]));
            for (let at = readTo; at < end; at += 1)
              if (latest.get((log[at] as Item).id) === at) shown.push(log[at] as Item);
            readTo = end;
          }
          expect(feed(shown).outOfOrder).toBe(0);
        }),
      );
    });
  });

  it('names what came late, measured from the intended send time', () => {
    const { ledger, items } = pristine();
    const verdict = check(ledger, { store: items, feed: items }, { lateAfterMs: 1_000, feedDelayMs: 995 });
    expect(verdict.totals.late).toBe(20);
    expect(verdict.examples[0]).toMatchObject({ kind: 'late', place: 'feed' });
    expect(verdict.examples.filter(({ kind }) => kind === 'late')).toHaveLength(10);
  });

  it('does not blame the pipeline for what the producer did on purpose', () => {
    const { ledger, items } = pristine();
    ledger.injected('duplicate', 'a', 2);
    ledger.injected('outOfOrder', 'a', 4);
    ledger.injected('malformed', 'b', 7);
    const reordered = items.filter(({ id }) => id !== 'b-7');
    [reordered[4], reordered[5]] = [items[5] as Item, items[4] as Item];
    const verdict = check(ledger, { store: [...reordered, item('a', 2, { id: 'copy' })] });
    expect(verdict.ok).toBe(true);
    expect(verdict.injected).toEqual({ duplicate: 1, outOfOrder: 1, malformed: 1 });
  });

  it('expects a batch that was sent again behind its successors, but not two items of one event', () => {
    const { ledger, items } = pristine();
    for (const sequence of [2, 3]) ledger.injected('resent', 'a', sequence);
    const again = items.filter(({ id }) => id !== 'a-2' && id !== 'a-3');
    again.splice(
      6,
      0,
      ...items.slice(2, 4).map((one) => ({ ...one, pipe: { ...one.pipe, sequenceNumber: 40 } })),
    );
    const verdict = check(ledger, { store: again });
    expect(verdict).toMatchObject({ ok: true, injected: { resent: 2 } });
    const twice = check(ledger, { store: [...again, item('a', 2, { id: 'second' })] });
    expect(twice.totals).toMatchObject({ duplicated: 1, outOfOrder: 0 });
    expect(twice.examples[0]?.detail).toContain('whose batch was sent again after a lost answer');
  });

  it('holds neither presence nor absence against events given up without an answer', () => {
    const { ledger, items } = pristine();
    for (const sequence of [1_000, 1_001, 1_002]) ledger.injected('unknown', 'a', sequence);
    const strays = [item('a', 1_000), item('a', 1_002), item('a', 1_003)];
    const { ok, injected, totals, examples } = check(ledger, { store: [...items, ...strays] });
    expect({ ok, injected }).toEqual({ ok: true, injected: { unknown: 3 } });
    expect(totals).toMatchObject({ lost: 0, unexpected: 1 });
    expect(examples[0]).toMatchObject({ kind: 'unexpected', sequence: 1_003 });
  });

  it('reports events that nobody acknowledged without failing, and leaves other runs alone', () => {
    const { ledger, items } = pristine();
    const foreign = item('a', 500, { pipe: { run: 'someone-else', key: 'a', sequence: 500 } });
    const verdict = check(ledger, { store: [...items, item('a', 12), foreign] });
    expect(verdict).toMatchObject({ ok: true, totals: { unexpected: 1, lost: 0 } });
    expect(verdict.examples).toMatchObject([{ kind: 'unexpected', key: 'a', sequence: 12 }]);
  });

  it('audits a stream that is not ours by its own key and sequence fields', () => {
    const read = observer({ key: 'device.name', sequence: 'n' });
    const verifier = createVerifier({ ledgers: new Map(), places: ['store'], firstSequence: 1 });
    for (const n of [2, 3, 5]) {
      verifier.observe('store', read({ id: `x${n}`, device: { name: 'x' }, n }) as Observation);
    }
    expect(read({ id: 'y' })).toEqual({ id: 'y', problem: 'no value at device.name' });
    const verdict = verifier.verdict();
    expect(verdict).toMatchObject({ ledger: 'none', acknowledged: 5, totals: { lost: 2 } });
    expect(verdict.examples.map(({ sequence }) => sequence)).toEqual([1, 4]);
  });

  it('counts exactly what was removed, doubled and never acknowledged, whatever the order of arrival', () => {
    const plan = fc.record({
      lost: fc.uniqueArray(fc.nat(49), { maxLength: 20 }),
      doubled: fc.uniqueArray(fc.nat(49), { maxLength: 20 }),
      stray: fc.uniqueArray(fc.integer({ min: 60, max: 99 }), { maxLength: 10 }),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(plan, ({ lost, doubled, stray, seed }) => {
        const ledger = new Ledger('run-1');
        ledger.acknowledged('a', 0, 49);
        const present = Array.from({ length: 50 }, (_, sequence) => sequence).filter(
          (n) => !lost.includes(n),
        );
        const copies = doubled.filter((n) => !lost.includes(n));
        const items = [...present, ...copies, ...stray].map((n, index) => item('a', n, { id: `${index}` }));
        items.sort((x, y) => ((Number(x.id) * 7919 + seed) % 101) - ((Number(y.id) * 7919 + seed) % 101));
        const verifier = createVerifier({ ledgers: new Map([['run-1', ledger]]), places: ['store'] });
        for (const one of items) verifier.observe('store', observe(one) as Observation);
        expect(verifier.verdict().totals).toEqual({
          lost: lost.length,
          duplicated: copies.length,
          outOfOrder: 0,
          late: 0,
          corrupted: 0,
          unexpected: stray.length,
        });
      }),
    );
  });
});
