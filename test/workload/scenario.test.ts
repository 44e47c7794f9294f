import { describe, expect, it } from 'vitest';
import { parseFault } from '../../src/local/faults/grammar.ts';
import { parseThreshold } from '../../src/report/thresholds.ts';
import { estimateWorkload } from '../../src/workload/estimate.ts';
import { parseScenario } from '../../src/workload/scenario.ts';
import { SCENARIOS } from '../../src/workload/scenarios.ts';
import { parseWorkload } from '../../src/workload/spec.ts';

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
      stages: '1ms:500/s,10s:500/s,1ms:4000/s,5s:4000/s,20s:0/s',
    });
    expect(estimateWorkload(parseWorkload(workload)).events).toBeCloseTo(5_000 + 20_000 + 40_000, -2);
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

  it('names the entry that is wrong', () => {
    expect(() => parseScenario('mine', { phases: [{ duration: 'long', rate: '1/s' }] })).toThrow(
      'scenarios.mine.phases.0.duration: invalid duration "long"',
    );
    expect(() => parseScenario('mine', { phase: [] })).toThrow('scenarios.mine: unknown entry phase');
  });
});
