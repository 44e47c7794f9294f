import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BoundedVerifier, createBoundedVerifier } from '../../../src/pipeline/verify/bounded.ts';
import { Ledger } from '../../../src/pipeline/verify/ledger.ts';
import type { Observation } from '../../../src/pipeline/verify/observation.ts';
import type { Place, Verdict } from '../../../src/pipeline/verify/verdict.ts';
import { createVerifier, type VerifierOptions } from '../../../src/pipeline/verify/verify.ts';

const PLACES: readonly Place[] = ['store', 'feed', 'cache'];
const BASE_MS = 1_800_000_000_000;

let scratchFolder: string;

beforeAll(async () => {
  scratchFolder = await mkdtemp(join(tmpdir(), 'cosmos-pipe-spill-'));
});

afterAll(() => rm(scratchFolder, { recursive: true }));

type Step =
  | { readonly place: Place; readonly event: Observation; readonly atMs: number | undefined }
  | { readonly place: Place; readonly damaged: string };

const run = fc.constantFrom('run-1', 'run-2', 'foreign');
const key = fc.oneof(
  fc.nat(8).map((n) => `device-${n}`),
  fc.string({ unit: 'grapheme', maxLength: 3 }),
);
const sometimes = (ms: fc.Arbitrary<number>) => fc.option(ms, { nil: undefined });

const event = fc.record({
  run,
  key,
  sequence: fc.nat(12),
  id: fc.string({ unit: 'grapheme', maxLength: 4 }),
  intendedMicros: sometimes(fc.nat(5_000).map((n) => (BASE_MS + n) * 1000)),
  enqueuedMs: sometimes(fc.nat(5_000).map((n) => BASE_MS + n)),
  ingestedMs: sometimes(fc.nat(5_000).map((n) => BASE_MS + n + 0.5)),
  partition: sometimes(fc.nat(2)).map((n) => (n === undefined ? n : String(n))),
  sequenceNumber: sometimes(fc.nat(300)),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      place: fc.constantFrom(...PLACES),
      event,
      atMs: sometimes(fc.nat(9_000).map((n) => BASE_MS + n)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ place: fc.constantFrom(...PLACES), damaged: fc.string() }) },
);

const acknowledgement = fc.record({
  run: fc.constantFrom('run-1', 'run-2'),
  key,
  from: fc.nat(12),
  more: fc.nat(3),
});
const misdeed = fc.record({
  run: fc.constantFrom('run-1', 'run-2'),
  kind: fc.constantFrom('duplicate', 'late', 'outOfOrder', 'malformed', 'oversized', 'resent', 'unknown'),
  key,
  sequence: fc.nat(12),
});

/** Events of partition 0 as an ingest that restarts would write them: in the order of the hub, stamped when they are taken up. */
function tidy(steps: readonly Step[]): Step[] {
  return steps.map((step, at) =>
    'event' in step && step.event.partition === '0'
      ? {
          ...step,
          event: { ...step.event, sequenceNumber: step.event.sequence, ingestedMs: BASE_MS + at },
        }
      : step,
  );
}

const plan = fc.record({
  acknowledged: fc.array(acknowledgement, { maxLength: 30 }),
  misdeeds: fc.array(misdeed, { maxLength: 15 }),
  steps: fc.array(step, { maxLength: 120 }).map(tidy),
  hasLedger: fc.boolean(),
  isComplete: fc.boolean(),
  maxMemoryBytes: fc.constantFrom(0, 900, 4_000, 20_000),
  options: fc.record({
    storeOrdered: fc.boolean(),
    maxExamples: fc.constantFrom(1, 10),
    lateAfterMs: fc.constantFrom(500, 1e9),
    firstSequence: fc.constantFrom(0, 3),
  }),
});
type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;

function inMemory({ acknowledged, misdeeds, steps, hasLedger, isComplete, options }: Plan): Verdict {
  const ledgers = new Map<string, Ledger>();
  if (hasLedger) {
    for (const name of ['run-1', 'run-2']) ledgers.set(name, new Ledger(name));
    for (const { run, key, from, more } of acknowledged)
      ledgers.get(run)?.acknowledged(key, from, from + more);
    for (const { run, kind, key, sequence } of misdeeds) ledgers.get(run)?.injected(kind, key, sequence);
    (ledgers.get('run-2') as Ledger).complete = isComplete;
  }
  const verifier = createVerifier({ ledgers, places: PLACES, ...options } satisfies VerifierOptions);
  report(verifier, steps);
  return verifier.verdict();
}

function bounded(plan: Plan): BoundedVerifier {
  const verifier = createBoundedVerifier({
    places: PLACES,
    maxMemoryBytes: plan.maxMemoryBytes,
    scratchFolder,
    signal: new AbortController().signal,
    ...plan.options,
  });
  if (plan.hasLedger) {
    for (const name of ['run-1', 'run-2']) verifier.run(name);
    for (const { run, key, from, more } of plan.acknowledged)
      verifier.acknowledged(run, key, from, from + more);
    for (const { run, kind, key, sequence } of plan.misdeeds)
      verifier.misbehaved(run, kind, key, sequence, sequence);
    if (!plan.isComplete) verifier.incomplete();
  }
  report(verifier, plan.steps);
  return verifier;
}

function report(verifier: Pick<BoundedVerifier, 'observe' | 'corrupted'>, steps: readonly Step[]): void {
  for (const step of steps) {
    if ('event' in step) verifier.observe(step.place, step.event, step.atMs);
    else verifier.corrupted(step.place, { id: step.damaged, problem: 'damaged' });
  }
}

it('comes to the same verdict, to the last example, whatever the memory', async () => {
  let spilled = 0;
  await fc.assert(
    fc.asyncProperty(plan, async (plan) => {
      const verifier = bounded(plan);
      if (verifier.spilledBytes > 0) spilled += 1;
      expect(await verifier.verdict()).toEqual(inMemory(plan));
    }),
    { numRuns: 300 },
  );
  expect(spilled).toBeGreaterThan(100);
  expect(await readdir(scratchFolder)).toEqual([]);
});

it('names the troubles of one reading in the same order, whichever of them was met first before', async () => {
  const late = { run: '', id: '', sequence: 0, intendedMicros: BASE_MS * 1000 };
  const verifier = createBoundedVerifier({
    places: ['feed'],
    maxMemoryBytes: 0,
    scratchFolder,
    signal: new AbortController().signal,
    lateAfterMs: 500,
  });
  verifier.observe('feed', { run: '', id: '', key: 'a', sequence: 1 });
  verifier.observe('feed', { ...late, key: 'a' }, BASE_MS + 501);
  verifier.observe('feed', { ...late, key: 'b' }, BASE_MS + 501);
  const { examples } = await verifier.verdict();
  expect(examples.filter(({ key }) => key === 'a').map(({ kind }) => kind)).toEqual(['outOfOrder', 'late']);
});

it('still knows after a key was put aside that an event of it was written again', async () => {
  const verifier = createBoundedVerifier({
    places: ['feed'],
    maxMemoryBytes: 0,
    scratchFolder,
    signal: new AbortController().signal,
  });
  for (const [sequence, reading] of [
    [9, 1],
    [7, 2],
    [8, 2],
  ] as const)
    verifier.observe('feed', {
      run: '',
      key: 'a',
      id: '',
      sequence,
      partition: '0',
      sequenceNumber: sequence,
      ingestedMs: reading,
    });
  expect((await verifier.verdict()).places).toMatchObject([{ rewritten: 2, counts: { outOfOrder: 0 } }]);
});

it('divides a partition again that does not fit either, and leaves no file when it is cut short', async () => {
  const aborted = new AbortController();
  const verify = (signal: AbortSignal) => {
    const verifier = createBoundedVerifier({
      places: ['store'],
      maxMemoryBytes: 20_000,
      scratchFolder,
      signal,
    });
    verifier.run('run-1');
    for (let n = 0; n < 30_000; n += 1) {
      verifier.acknowledged('run-1', `key-${n}`, 0, 1);
      for (const sequence of n === 17 ? [1] : [0, 1])
        verifier.observe('store', { run: 'run-1', key: `key-${n}`, sequence, id: '' });
    }
    return verifier;
  };
  const verdict = await verify(aborted.signal).verdict();
  expect(verdict).toMatchObject({ acknowledged: 60_000, totals: { lost: 1, unexpected: 0 } });
  expect(verdict.examples).toMatchObject([{ kind: 'lost', key: 'key-17', sequence: 0 }]);
  aborted.abort();
  await expect(verify(aborted.signal).verdict()).rejects.toThrow('abort');
  expect(existsSync(scratchFolder)).toBe(true);
  expect(await readdir(scratchFolder)).toEqual([]);
});

it('names the folder that takes nothing', () => {
  const verifier = createBoundedVerifier({
    places: ['store'],
    maxMemoryBytes: 0,
    scratchFolder: join(scratchFolder, 'missing'),
    signal: new AbortController().signal,
  });
  expect(() => verifier.observe('store', { run: '', key: 'a', sequence: 0, id: '' })).toThrow(
    expect.objectContaining({
      code: 'E_CONFIG',
      message: expect.stringContaining(join('missing', 'cosmos-pipe-')),
    }),
  );
});
