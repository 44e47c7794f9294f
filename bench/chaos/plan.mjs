// What happens in one round, decided by its seed alone: the same seed gives the same round on every machine.

export const DEFAULT_EVENTS = 6_000;
const RATE_PER_SECOND = 1_500;
/** Small batches, so that a share of the batches is a number of them. */
const EVENTS_PER_BATCH = 50;

/**
 * A scenario names what it is about and draws its steps. A step waits until a share of the events is stored, so that it meets
 * the pipeline at the same point of its work however fast the machine is.
 */
const SCENARIOS = {
  'ingest killed': (draw) => draw.times(2, 3, () => kill('ingest', draw)),
  'one of two ingesters killed': (draw) => draw.times(1, 2, () => kill('ingest', draw)),
  'stack killed': (draw) => draw.times(1, 2, () => kill('stack', draw)),
  'links detached': (draw) => [
    ...draw.times(1, 3, () => fault(draw, 'event-hubs:detach')),
    fault(draw, `event-hubs:detach=${draw.between(1, 5)}%+2s`),
  ],
  'throttling storm': (draw) =>
    draw.times(1, 2, () => fault(draw, `cosmos:throttle=${draw.between(20, 90)}%+${draw.between(1, 3)}s`)),
  'partitions split': (draw) => [
    ...draw.times(2, 4, () => fault(draw, 'cosmos:split')),
    fault(draw, `cosmos:gone=${draw.between(1, 5)}%+2s`),
  ],
  'connections reset': (draw) => [
    ...draw.times(1, 3, () => fault(draw, 'event-hubs:reset')),
    fault(draw, `event-hubs:reset=${draw.between(1, 3)}%+2s`),
    fault(draw, `cosmos:reset=${draw.between(10, 40)}%+3s`),
  ],
  'server busy': (draw) => [
    fault(draw, `event-hubs:server-busy=${draw.between(10, 60)}%+${draw.between(1, 3)}s`),
    fault(draw, `cosmos:unavailable=${draw.between(10, 40)}%+2s`),
  ],
  'slow answers': (draw) => [
    fault(draw, `cosmos:latency=${draw.between(50, 300)}ms~40ms+3s`),
    fault(draw, `event-hubs:latency=${draw.between(20, 100)}ms~20ms+3s`),
  ],
  'answers lost': (draw) => [
    fault(draw, `event-hubs:timeout=${draw.between(1, 2)}`),
    fault(draw, `cosmos:timeout=${draw.between(10, 40)}%+2s`),
    fault(draw, `cosmos:retry-with=${draw.between(2, 10)}%+2s`),
  ],
  'everything at once': (draw) => [
    kill('ingest', draw),
    kill('stack', draw),
    fault(draw, 'cosmos:split'),
    fault(draw, 'event-hubs:detach'),
    fault(draw, `cosmos:throttle=${draw.between(5, 30)}%+2s`),
    fault(draw, `cosmos:reset=${draw.between(5, 20)}%+2s`),
    fault(draw, `event-hubs:server-busy=${draw.between(5, 20)}%+2s`),
  ],
};

const TWO_INGESTERS = new Set(['one of two ingesters killed', 'everything at once']);

/** Successive seeds take the scenarios in turn, so that as many rounds as there are scenarios meet all of them. */
export const SCENARIO_COUNT = Object.keys(SCENARIOS).length;

/**
 * @param seed seed of the round
 * @param events size of the load; steps come at shares of it
 * @param seededRandom the project's generator
 * @returns the scenario, the load, how many ingesters share it, where they keep checkpoints, and the steps in order
 */
export function planRound(seed, events, seededRandom) {
  const draw = drawer(seededRandom(seed));
  const names = Object.keys(SCENARIOS);
  const scenario = names[seed % names.length];
  const steps = SCENARIOS[scenario](draw);
  return {
    seed,
    scenario,
    events,
    ratePerSecond: RATE_PER_SECOND,
    eventsPerBatch: EVENTS_PER_BATCH,
    keys: draw.between(20, 400),
    ingesters: TWO_INGESTERS.has(scenario) ? 2 : 1,
    checkpoints: draw.oneOf(['file:checkpoints', 'cosmos']),
    checkpointEvents: draw.oneOf([50, 200, 1_000]),
    throughput: draw.oneOf([12_000, 30_000, 60_000]),
    steps: steps.sort((a, b) => a.afterShare - b.afterShare),
  };
}

/** SIGKILL, and another start after a while. An ingester comes back under its own name or as a stranger. */
function kill(target, draw) {
  return {
    afterShare: share(draw),
    kill: target,
    index: draw.below(2),
    restartAfterMs: draw.between(0, 800),
    sameOwner: draw.below(3) > 0,
  };
}

/** What befalls sending comes early: producing ends before ingesting does. */
function fault(draw, spec) {
  const early = spec.startsWith('event-hubs:') && spec.includes('=');
  return { afterShare: early ? draw.below(15) / 100 : share(draw), fault: spec };
}

/** Late enough that work is under way, early enough that much of it is still to be done. */
function share(draw) {
  return draw.between(2, 70) / 100;
}

function drawer({ below }) {
  const between = (least, most) => least + below(most - least + 1);
  return {
    below,
    between,
    oneOf: (values) => values[below(values.length)],
    times: (least, most, make) => Array.from({ length: between(least, most) }, make),
  };
}
