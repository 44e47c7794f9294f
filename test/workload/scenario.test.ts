import { describe, expect, it } from 'vitest';
import { parseFault } from '../../src/local/faults/grammar.ts';
import { parseThreshold } from '../../src/report/thresholds.ts';
import { estimateWorkload } from '../../src/workload/estimate.ts';
import { parseScenario as parse, type Scenario } from '../../src/workload/scenario.ts';
import { SCENARIOS } from '../../src/workload/scenarios.ts';
import { parseWorkload } from '../../src/workload/spec.ts';

function parseScenario(name: string, input: unknown): Scenario {
  return parse(name, input, { fault: parseFault, threshold: parseThreshold });
}

describe('scenarios', () => {
  it.each(Object.keys(SCENARIOS))(
    '%s is a load that ends, with faults and thresholds that mean something',
    (name) => {
      const scenario = parseScenario(name, SCENARIOS[name]);
      expect(estimateWorkload(parseWorkload(scenario.workload)).events).toBeGreaterThan(0);
      expect(scenario.description).not.toBe('');
      for (const fault of scenario.faults) parseFault(fault);
      for (const threshold of scenario.thresholds) parseThreshold(threshold);
    },
  );

  it('joins phases to one schedule of steps and ramps', () => {
    const { workload } = parseScenario('mine', {
      phases: [
        { duration: '10s', rate: '500/s' },
        { duration: '5s', rate: '4000/s' },
        { duration: '20s', rate: '4000/s', to: '0/s' },
      ],
      workload: { keys: { count: 7 } },
    });
    expect(workload).toEqual({
      keys: { count: 7 },
      stages: '0s:500/s,10s:500/s,0s:4000/s,5s:4000/s,20s:0/s',
    });
    expect(estimateWorkload(parseWorkload(workload)).events).toBe(5_000 + 20_000 + 40_000);
  });

  it('counts the times of faults from the start of the load, and lets one without a time last as long as its phase', () => {
    const { faults } = parseScenario('mine', {
      phases: [
        { duration: '10s', rate: '1/s', faults: ['redis:reset@6s'] },
        { duration: '1500ms', rate: '1/s', faults: ['cosmos:unavailable', 'cosmos:throttle=5%@1s+2s'] },
        { duration: '1m', rate: '1/s', faults: ['event-hubs:server-busy=20%+3s'] },
      ],
      faults: ['cosmos:latency=20ms@1s'],
    });
    expect(faults).toEqual([
      'cosmos:latency=20ms@1s',
      'redis:reset@6s',
      'cosmos:unavailable@10s+1.5s',
      'cosmos:throttle=5%@11s+2s',
      'event-hubs:server-busy=20%@11.5s+3s',
    ]);
    for (const fault of faults) parseFault(fault);
  });

  it('takes a rate as a number too, and a phase of 0/s for a pause', () => {
    const phases = [
      { duration: '1s', rate: 500 },
      { duration: '1s', rate: 0 },
      { duration: '1s', rate: '0/s', to: 100 },
    ];
    const { workload } = parseScenario('mine', { phases });
    expect(workload.stages).toBe('0s:500/s,1s:500/s,0s:0/s,1s:0/s,1s:100/s');
  });

  const phase = { duration: '5s', rate: '10/s' };
  it.each([
    [{ phase: [] }, 'scenarios.mine: unknown entry phase'],
    [{ phases: [{ ...phase, duration: 'long' }] }, 'mine.phases.0.duration: invalid duration "long"'],
    [{ phases: [phase, { ...phase, duration: '0s' }] }, 'mine.phases.1.duration: expected more than 0s'],
    [{ phases: [{ duration: '5s' }] }, 'phases.0.rate: expected a number or a text, got nothing'],
    [{ phases: [{ ...phase, rate: -1 }] }, 'phases.0.rate: expected at least 0, got -1'],
    [{ phases: [phase], verify: { quiet: '0s' } }, 'mine.verify.quiet: expected more than 0s'],
    [{ phases: [phase], workload: { keys: 5 } }, 'mine.workload.keys: expected a mapping, got 5'],
    [
      { phases: [phase], workload: { faults: { late: 0.7, duplicates: 0.7 } } },
      'mine.workload.faults: an event has one kind of misbehaviour at most, and the shares add up to 1.4',
    ],
    [
      { phases: [phase], workload: { rate: '5/s' } },
      'scenarios.mine: phases and workload.rate both say when events are due',
    ],
    [{ workload: { rate: '0/s' } }, 'mine.workload.rate: expected more than 0/s'],
    [{}, 'scenarios.mine: says of no event when it is due'],
    [{ phases: [phase], faults: ['cosmos:trottle'] }, 'scenarios.mine.faults.0: invalid fault'],
    [
      { phases: [{ ...phase, faults: ['redis:reset', 'redis:reset@5s'] }] },
      'scenarios.mine.phases.0.faults: redis:reset@5s begins after its phase, which lasts 5s',
    ],
    [
      { phases: [phase], thresholds: ['e2e:max<1s'] },
      'scenarios.mine.thresholds.0: invalid threshold "e2e:max<1s": there is no metric e2e (did you mean',
    ],
  ])('refuses %j by its place', (input, problem) => {
    expect(() => parseScenario('mine', input)).toThrow(problem);
  });
});
