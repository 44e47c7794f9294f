import { beforeAll, expect, it } from 'vitest';
import { compileMapping, type Mapper } from '../../../src/pipeline/mapping/mapping.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { type Random, seededRandom } from '../../../src/util/random.ts';
import { faultRates } from '../../cosmos/simulated-service.ts';
import { createVirtualClock } from '../../helpers/virtual-clock.ts';
import { type IngesterLimits, SimulatedIngester } from './simulated-ingester.ts';
import { SimulatedWorld } from './simulated-world.ts';

/** CI runs 10,000; a failure prints its seed, and COSMOS_PIPE_SIMULATION_SEED=<seed> replays exactly that round. */
const ROUNDS = Number(process.env['COSMOS_PIPE_SIMULATION_ROUNDS'] ?? (process.env['CI'] ? 10_000 : 400));
const ONLY_SEED = process.env['COSMOS_PIPE_SIMULATION_SEED'];

/** No request of the simulated service takes longer. */
const ON_THE_WIRE_MS = 520;

let mapper: Mapper;
beforeAll(async () => {
  mapper = await compileMapping({ envelope: false }, ['/key'], systemClock);
});

it('loses nothing through crashes, stolen partitions and any mixture of faults', {
  timeout: 600_000,
}, async () => {
  const seeds =
    ONLY_SEED === undefined ? Array.from({ length: ROUNDS }, (_, i) => i + 1) : [Number(ONLY_SEED)];
  for (const seed of seeds) {
    const { broken } = await round(seed);
    expect(broken, `replay with COSMOS_PIPE_SIMULATION_SEED=${seed}`).toEqual([]);
  }
});

it('replays a seed exactly', async () => {
  const [first, second] = [await round(77), await round(77)];
  expect(first.trace.length).toBeGreaterThan(20);
  expect(second.trace).toEqual(first.trace);
});

it('notices a checkpoint that passes an unwritten event, and an event that overtakes another (the check can fail)', () => {
  const world = createWorld(seededRandom(1));
  for (let i = 0; i < 3; i++) world.append('0', 'a');
  world.checkpointed('0', 0);
  expect(world.broken).toEqual(['checkpoint 0 of partition 0 passed 0']);
  world.deadLettered('0', 1);
  expect(world.broken.at(-1)).toBe('a/1 was put aside although it can be stored');
});

/** One random hub, one randomly misbehaving store, and processes that come and go until everything is stored. */
async function round(
  seed: number,
): Promise<{ readonly broken: string[]; readonly trace: readonly string[] }> {
  const random = seededRandom(seed);
  const world = createWorld(random);
  fill(world, random);
  const limits = randomLimits(random);
  const running = new Set<SimulatedIngester>();
  let ended = false;

  const start = (): SimulatedIngester => {
    const ingester = new SimulatedIngester({
      world,
      limits,
      seed: random.uint32(),
      mapper,
      failed: (it) => replace(it),
    });
    running.add(ingester);
    return ingester;
  };
  /** The partitions of a process that is gone go to a new one. */
  const replace = (gone: SimulatedIngester): void => {
    if (!running.delete(gone)) return;
    const heir = start();
    for (const partitionId of gone.partitionIds) heir.open(partitionId);
  };
  const pick = (): SimulatedIngester => [...running][random.below(running.size)] as SimulatedIngester;

  async function disturb(): Promise<void> {
    await world.clock.sleep(random.below(400));
    const victim = pick();
    switch (random.below(4)) {
      case 0:
        victim.crash();
        await world.clock.sleep(ON_THE_WIRE_MS);
        replace(victim);
        return;
      case 1:
        // A process of its own leaves in order; the others go on meanwhile.
        await victim.stop();
        replace(victim);
        return;
      default: {
        const { partitionIds } = victim;
        const stolen = partitionIds[random.below(partitionIds.length)];
        if (stolen === undefined) return;
        const thief = pick();
        // As the processor does it: the old owner may finish for a while, the new one waits for longer than that.
        const fence = new AbortController();
        victim.lose(stolen, fence.signal);
        const finishMs = random.below(200);
        await world.clock.sleep(finishMs);
        fence.abort();
        await world.clock.sleep(ON_THE_WIRE_MS);
        if (running.has(thief)) thief.open(stolen);
        else pick().open(stolen);
      }
    }
  }

  async function play(): Promise<void> {
    for (let i = random.below(3); i >= 0; i--) start();
    for (const partitionId of world.partitionIds) pick().open(partitionId);
    for (let i = random.below(6); i > 0; i--) await disturb();
    while (!world.isComplete()) await world.clock.sleep(100);
    await Promise.all([...running].map((ingester) => ingester.stop()));
  }

  const finished = play()
    .catch((error: unknown) => {
      world.broken.push(String(error));
    })
    .then(() => {
      ended = true;
    });
  try {
    await world.clock.runUntil(() => ended || world.broken.length > 0);
    if (ended) await finished;
  } catch (error) {
    world.broken.push(String(error));
  }
  // What is delivered again is stored again, in whatever order: only without that the last writes are in order too.
  const late = limits.redelivers ? [] : world.outOfOrder();
  return { broken: [...world.broken, ...world.service.violations, ...late], trace: world.trace };
}

function createWorld(random: Random): SimulatedWorld {
  return new SimulatedWorld({
    clock: createVirtualClock(),
    random,
    rates: faultRates(random),
    partitionCount: 1 + random.below(3),
    rangeCount: 1 + random.below(4),
  });
}

function fill(world: SimulatedWorld, random: Random): void {
  const { partitionIds } = world;
  const poisonRate = random.below(3) === 0 ? random.next() * 0.1 : 0;
  const keyCount = 1 + random.below(15);
  for (let i = 15 + random.below(70); i > 0; i--) {
    const key = random.below(keyCount);
    const refused =
      random.next() < poisonRate ? (['mapping', 'service'] as const)[random.below(2)] : undefined;
    world.append(partitionIds[key % partitionIds.length] as string, `key${key}`, refused);
  }
}

function randomLimits(random: Random): IngesterLimits {
  return {
    maxUnsettled: 5 + random.below(100),
    maxBufferedBytes: 1_000 + random.below(20_000),
    maxOperations: 1 + random.below(20),
    maxRequests: 1 + random.below(10),
    maxWaitMs: random.below(3) * 10,
    giveUpMs: random.below(3) === 0 ? 200 + random.below(2_000) : Number.POSITIVE_INFINITY,
    pageSize: 1 + random.below(30),
    checkpointEvents: 1 + random.below(50),
    checkpointIntervalMs: 200 + random.below(2_000),
    redelivers: random.below(3) === 0,
    saveFails: random.below(3) === 0 ? random.next() * 0.3 : 0,
  };
}
