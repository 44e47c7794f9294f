import { expect, it } from 'vitest';
import type { WriteOutcome } from '../../src/cosmos/write-operation.ts';
import { WriterEngine } from '../../src/cosmos/writer/engine.ts';
import { seededRandom } from '../../src/util/random.ts';
import { createVirtualClock } from '../helpers/virtual-clock.ts';
import { faultRates, SimulatedService, simulatedHash } from './simulated-service.ts';

/**
 * The writer alone; test/pipeline/ingest/simulation.test.ts runs it as part of a whole process. CI runs 10,000 rounds of each. A failure
 * prints its seed, and COSMOS_PIPE_SIMULATION_SEED=<seed> replays exactly that round.
 */
const ROUNDS = Number(process.env['COSMOS_PIPE_SIMULATION_ROUNDS'] ?? (process.env['CI'] ? 10_000 : 400));
const ONLY_SEED = process.env['COSMOS_PIPE_SIMULATION_SEED'];

it('keeps its promises through any mixture of faults and interleavings', { timeout: 900_000 }, async () => {
  const seeds =
    ONLY_SEED === undefined ? Array.from({ length: ROUNDS }, (_, i) => i + 1) : [Number(ONLY_SEED)];
  for (const seed of seeds) {
    const broken = await round(seed);
    expect(broken, `replay with COSMOS_PIPE_SIMULATION_SEED=${seed}`).toEqual([]);
  }
});

it('replays a seed exactly', async () => {
  const traces = [];
  for (let i = 0; i < 2; i++) {
    const trace: string[] = [];
    await round(77, trace);
    traces.push(trace);
  }
  expect(traces[0]?.length).toBeGreaterThan(100);
  expect(traces[1]).toEqual(traces[0]);
});

it('notices a service that applies operations out of order (the check can fail)', async () => {
  const promises = new Promises();
  promises.wrote('a', 0, false);
  promises.wrote('a', 1, false);
  promises.applied('a', 1);
  expect(promises.broken).toEqual(['a/1 overtook a/0']);
});

/** One random workload against one randomly misbehaving service. Returns the promises that were broken. */
async function round(seed: number, trace?: string[]): Promise<string[]> {
  const random = seededRandom(seed);
  const clock = createVirtualClock();
  const promises = new Promises();
  const service = new SimulatedService({
    rangeCount: 1 + random.below(4),
    clock,
    random,
    rates: faultRates(random),
    onApply({ key, sequence }) {
      promises.applied(key, sequence);
      trace?.push(`${clock.now()} applied ${key}/${sequence}`);
    },
  });
  const bodyBytes = 50;
  const maxBufferedBytes = 2_000 + random.below(60_000);
  const maxOperations = 1 + random.below(20);
  const ruPerSecond = random.below(4) === 0 ? 500 + random.below(5_000) : undefined;
  // One round in eight ends in an abort, as a second Ctrl-C does.
  const abortAfter = random.below(8) === 0 ? random.below(100) : undefined;
  const aborting = new AbortController();
  const writer = new WriterEngine({
    transport: service,
    ranges: service.currentRanges(),
    hash: ([key]) => simulatedHash(String(key)),
    clock,
    random: seededRandom(seed ^ 0x5eed),
    maxWaitMs: random.below(3) * 10,
    maxBufferedBytes,
    maxOperations,
    maxRequestBytes: 600 + random.below(5_000),
    maxRequests: 1 + random.below(10),
    maxRequestsPerRange: 1 + random.below(6),
    giveUpMs: Number.POSITIVE_INFINITY,
    signal: aborting.signal,
    ...(ruPerSecond === undefined ? {} : { ruPerSecond }),
  });

  const keyCount = 1 + random.below(20);
  const operationCount = 50 + random.below(150);
  const poisonRate = random.below(3) === 0 ? random.next() * 0.1 : 0;
  const malformedRate = random.below(4) === 0 ? random.next() * 0.05 : 0;
  const nextSequence = new Map<string, number>();
  let ended = false;

  async function workload(): Promise<void> {
    for (let i = 0; i < operationCount; i++) {
      if (i === abortAfter) {
        promises.abort();
        aborting.abort();
      }
      const key = `key-${Math.floor(keyCount * random.next() ** 2)}`;
      const sequence = nextSequence.get(key) ?? 0;
      nextSequence.set(key, sequence + 1);
      const malformed = random.next() < malformedRate;
      const poison = random.next() < poisonRate ? [400, 409, 413][random.below(3)] : undefined;
      promises.wrote(key, sequence, malformed || poison !== undefined);
      const body = malformed ? '{"id":' : JSON.stringify({ id: `${key}/${sequence}`, key, sequence, poison });
      const full = writer.write(
        { kind: 'upsert', id: `${key}/${sequence}`, partitionKey: key, body },
        (outcome) => {
          promises.settled(key, sequence, outcome);
          trace?.push(`${clock.now()} settled ${key}/${sequence} ${outcome.statusCode}`);
        },
      );
      const { bufferedBytes } = writer.snapshot();
      if (bufferedBytes > maxBufferedBytes + bodyBytes + 400)
        promises.broken.push(`buffered ${bufferedBytes} bytes`);
      if (full !== undefined) await full;
      if (random.below(20) === 0) await clock.sleep(random.below(60));
    }
    await writer.close();
  }

  const finished = workload().then(
    () => {
      ended = true;
    },
    (error: unknown) => {
      promises.broken.push(String(error));
      ended = true;
    },
  );
  try {
    await clock.runUntil(() => ended);
    await finished;
  } catch (error) {
    promises.broken.push(`${error}; ${JSON.stringify(writer.snapshot())}`);
  }
  promises.end();
  const { buffered, bufferedBytes, inFlight, perRange } = writer.snapshot();
  if (buffered + bufferedBytes + inFlight !== 0) promises.broken.push('something is left after close');
  if (perRange.some(({ queued, requestsInFlight }) => queued !== 0 || requestsInFlight !== 0))
    promises.broken.push(`a range does not add up: ${JSON.stringify(perRange)}`);
  if (service.requestSizes.some((size) => size > maxOperations))
    promises.broken.push('a request is too long');
  return [...promises.broken, ...service.violations];
}

/** What the writer promises, checked while it happens. */
class Promises {
  readonly broken: string[] = [];
  readonly #keys = new Map<string, KeyRecord>();
  #aborted = false;

  /** From here on operations may fail as aborted, also ahead of older ones that are on the wire. */
  abort(): void {
    this.#aborted = true;
  }

  wrote(key: string, sequence: number, poison: boolean): void {
    const record = this.#keys.get(key) ?? { poison: [], applied: new Set(), settled: new Set(), last: -1 };
    record.poison[sequence] = poison;
    this.#keys.set(key, record);
  }

  applied(key: string, sequence: number): void {
    const record = this.#keys.get(key) as KeyRecord;
    for (let earlier = 0; earlier < sequence; earlier++) {
      if (!record.poison[earlier] && !record.applied.has(earlier) && !record.settled.has(earlier))
        this.broken.push(`${key}/${sequence} overtook ${key}/${earlier}`);
    }
    if (record.settled.has(sequence)) this.broken.push(`${key}/${sequence} was applied after it had settled`);
    record.applied.add(sequence);
    record.last = sequence;
  }

  settled(key: string, sequence: number, outcome: WriteOutcome): void {
    const { poison, applied, settled } = this.#keys.get(key) as KeyRecord;
    if (settled.has(sequence)) this.broken.push(`${key}/${sequence} settled twice`);
    if (!this.#aborted && sequence !== settled.size)
      this.broken.push(`${key}/${sequence} settled out of turn, after ${settled.size} others`);
    settled.add(sequence);
    if (this.#aborted && !outcome.ok && outcome.statusCode === 0 && !outcome.poison) return;
    if (outcome.ok === poison[sequence])
      this.broken.push(`${key}/${sequence} settled as ${JSON.stringify(outcome)}`);
    if (outcome.ok && !applied.has(sequence)) this.broken.push(`${key}/${sequence} is ok and unwritten`);
  }

  end(): void {
    for (const [key, { poison, settled, last }] of this.#keys) {
      if (settled.size !== poison.length)
        this.broken.push(`${key}: ${settled.size} of ${poison.length} settled`);
      if (!this.#aborted && last !== poison.lastIndexOf(false))
        this.broken.push(`${key} ends with ${last} in the store`);
    }
  }
}

interface KeyRecord {
  /** By sequence number: must it be refused? */
  readonly poison: boolean[];
  readonly applied: Set<number>;
  readonly settled: Set<number>;
  /** The sequence number that was applied last, as a reader of the store would see it. */
  last: number;
}
