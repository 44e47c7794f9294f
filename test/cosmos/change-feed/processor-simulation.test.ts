import { describe, expect, it } from 'vitest';
import { createFeedProcessor } from '../../../src/cosmos/change-feed/processor.ts';
import { seededRandom } from '../../../src/util/random.ts';
import { createVirtualClock } from '../../helpers/virtual-clock.ts';
import { createSimulatedContainer, createSimulatedLeases, type Gate } from './simulated-feed.ts';

const ROUNDS = Number(process.env['COSMOS_PIPE_SIMULATION_ROUNDS'] ?? 50);
const FIRST_SEED = Number(process.env['COSMOS_PIPE_SIMULATION_SEED'] ?? 1);
const EVENTS = 300;
const KEYS = 20;
const EXPIRY_MS = 3_000;

interface Process {
  readonly name: string;
  readonly stop: AbortController;
  readonly done: Promise<void>;
  state: 'running' | 'paused' | 'killed';
  resume(): void;
}

/** One life of a container: writes, splits, processes that come, go, freeze and die; returns what was handed over. */
async function simulate(seed: number) {
  const random = seededRandom(seed);
  const clock = createVirtualClock();
  const container = createSimulatedContainer(1 + random.below(4));
  const leases = createSimulatedLeases();
  const delivered: { readonly key: string; readonly sequence: number }[] = [];
  const processes: Process[] = [];
  const written = new Map<string, number>();
  let failure: unknown;

  const start = (): void => {
    const stop = new AbortController();
    const wake: (() => void)[] = [];
    const process: Process = {
      name: `process-${processes.length}`,
      stop,
      state: 'running',
      resume() {
        process.state = 'running';
        for (const resume of wake.splice(0)) resume();
      },
      done: Promise.resolve(),
    };
    /** Every await of the process passes here, so that a killed one never comes back and a paused one comes late. */
    const passing = async (): Promise<void> => {
      await clock.sleep(random.below(20));
      if (process.state === 'killed') await new Promise(() => {});
      if (process.state === 'paused') await new Promise<void>((resolve) => wake.push(resolve));
    };
    const gate: Gate = async (call) => {
      await passing();
      const result = call();
      await passing();
      return result;
    };
    const processor = createFeedProcessor(container.source(gate), leases.store(gate), {
      name: 'simulation',
      owner: process.name,
      start: 'beginning',
      pageSize: 1 + random.below(20),
      pollMs: 100,
      leaseExpiryMs: EXPIRY_MS,
      balanceMs: 500,
      checkpointMs: random.below(2) * 200,
      poison: { attempts: 10, backoffMs: 1 },
      clock,
      signal: stop.signal,
    });
    const done = processor.run(async (page) => {
      for (const { partitionKey, item } of page.changes) {
        await passing();
        delivered.push({ key: String(partitionKey), sequence: Number(item['sequence']) });
        if (random.below(200) === 0) throw new Error('the handler failed once');
      }
    });
    done.catch((error: unknown) => {
      // A page that fails while the process is asked to stop is left to the next owner.
      if (!stop.signal.aborted) failure ??= error;
    });
    processes.push(Object.assign(process, { done }));
  };

  const write = (): void => {
    const key = random.below(KEYS);
    const sequence = written.get(String(key)) ?? 0;
    written.set(String(key), sequence + 1);
    const epk = Math.floor((key / KEYS) * 0x4000)
      .toString(16)
      .toUpperCase()
      .padStart(4, '0');
    container.write(epk, { id: `${key}-${sequence}`, pk: String(key), sequence });
  };

  const misbehave = (): void => {
    const victim = processes[random.below(processes.length)] as Process;
    const others = processes.filter(
      (process) => process !== victim && process.state === 'running' && !process.stop.signal.aborted,
    );
    switch (random.below(5)) {
      case 0:
        if (container.rangeCount < 8) container.split(random.below(container.rangeCount));
        break;
      case 1:
        if (processes.length < 6) start();
        break;
      case 2:
        if (others.length > 0) victim.state = 'killed';
        break;
      case 3:
        if (victim.state !== 'running') break;
        victim.state = 'paused';
        void clock
          .sleep(random.below(3 * EXPIRY_MS))
          .then(() => victim.state === 'paused' && victim.resume());
        break;
      case 4:
        if (others.length > 0 && victim.state === 'running') victim.stop.abort();
        break;
    }
  };

  let finished = false;
  const script = async (): Promise<void> => {
    start();
    for (let event = 0; event < EVENTS; event++) {
      write();
      if (random.below(4) === 0) await clock.sleep(random.below(200));
      if (random.below(25) === 0) misbehave();
    }
    const isComplete = (): boolean => {
      const seen = new Set(delivered.map(({ key, sequence }) => `${key}-${sequence}`));
      return seen.size === EVENTS;
    };
    for (let waited = 0; !isComplete() && waited < 60; waited++) await clock.sleep(1_000);
    await clock.sleep(4 * EXPIRY_MS);
    finished = true;
  };
  const ended = script();
  await clock.runUntil(() => finished || failure !== undefined);
  if (failure) throw failure;
  await ended;
  const alive = processes.filter(({ state, stop }) => state === 'running' && !stop.signal.aborted);
  const owners = [...leases.documents.values()].map(({ document }) => document.Owner);
  const shares = alive.map(({ name }) => owners.filter((owner) => owner === name).length);
  let stopped = false;
  for (const { stop } of alive) stop.abort();
  void Promise.allSettled(alive.map(({ done }) => done)).then(() => {
    stopped = true;
  });
  await clock.runUntil(() => stopped);
  return {
    delivered,
    written,
    shares,
    leases: [...leases.documents.values()],
    rangeCount: container.rangeCount,
  };
}

describe('feed processors that come, go, freeze and die while partitions split', () => {
  it(`lose nothing, keep the order of every key and share evenly, ${ROUNDS} seeds`, async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + ROUNDS; seed++) {
      const { delivered, written, shares, leases, rangeCount } = await simulate(seed);
      const replay = `COSMOS_PIPE_SIMULATION_SEED=${seed} COSMOS_PIPE_SIMULATION_ROUNDS=1`;
      const next = new Map<string, number>();
      for (const { key, sequence } of delivered) {
        const expected = next.get(key) ?? 0;
        expect(sequence, `${replay}: key ${key} skipped from ${expected}`).toBeLessThanOrEqual(expected);
        if (sequence === expected) next.set(key, expected + 1);
      }
      expect(Object.fromEntries(next), `${replay}: lost`).toEqual(Object.fromEntries(written));
      expect(leases.length, `${replay}: leases`).toBe(rangeCount);
      expect(Math.max(...shares) - Math.min(...shares), `${replay}: shares ${shares}`).toBeLessThanOrEqual(1);
      expect(
        leases.map(({ document }) => document.Owner),
        `${replay}: released`,
      ).toEqual(leases.map(() => null));
    }
  });
});
