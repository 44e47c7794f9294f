import type { ScenarioInput } from './scenario.ts';

const NOTHING_LOST = ['lost_events:count==0', 'out_of_order_events:count==0', 'corrupted_events:count==0'];

/** Ready-made scenarios by name, sized for the embedded stack on two cores. `scenarios:` in pipeline.yaml adds to them. */
export const SCENARIOS: Readonly<Record<string, ScenarioInput>> = {
  steady: {
    description:
      'the same rate for a minute: what the pipeline costs and how late events are when nothing happens',
    phases: [{ duration: '1m', rate: '1500/s' }],
    thresholds: [...NOTHING_LOST, 'dropped_events:count==0'],
  },
  burst: {
    description:
      'eight times the base rate for five seconds: how large the backlog grows and how fast it drains',
    phases: [
      { duration: '10s', rate: '500/s' },
      { duration: '5s', rate: '4000/s' },
      { duration: '20s', rate: '500/s' },
    ],
    thresholds: [...NOTHING_LOST, 'drain_time:max<30s'],
  },
  ramp: {
    description: 'from little to a lot in a straight line: where latency bends',
    phases: [
      { duration: '5s', rate: '200/s' },
      { duration: '50s', rate: '200/s', to: '4000/s' },
    ],
    thresholds: NOTHING_LOST,
  },
  soak: {
    description: 'an hour at half speed: whether anything grows that should not',
    phases: [{ duration: '1h', rate: '1000/s' }],
    thresholds: [...NOTHING_LOST, 'dropped_events:count==0', 'memory_drift:rate<25%'],
  },
  'hot-partition': {
    description: 'one key in a thousand takes half of the load: one range is throttled while the others idle',
    phases: [{ duration: '30s', rate: '1500/s' }],
    workload: { keys: { count: 1_000, distribution: 'hotspot(0.1/50)' } },
    throughput: 40_000,
    thresholds: NOTHING_LOST,
    verify: { quiet: '60s' },
  },
  throttle: {
    description: 'half of the request units that the load needs: 429s, adaptive windows, nothing lost',
    phases: [{ duration: '20s', rate: '1500/s' }],
    throughput: 8_000,
    thresholds: [...NOTHING_LOST, 'throttled:count>0'],
    verify: { quiet: '60s' },
  },
  recovery: {
    description:
      'links cut, Event Hubs busy, Cosmos DB away for five seconds, Redis reset: back to normal, nothing lost',
    phases: [
      { duration: '10s', rate: '1000/s', faults: ['event-hubs:detach@3s', 'redis:reset@6s'] },
      { duration: '5s', rate: '1000/s', faults: ['cosmos:unavailable'] },
      { duration: '5s', rate: '1000/s', faults: ['event-hubs:server-busy=20%'] },
      { duration: '15s', rate: '1000/s' },
    ],
    thresholds: [...NOTHING_LOST, 'drain_time:max<30s'],
    verify: { quiet: '60s' },
  },
};
