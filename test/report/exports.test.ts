import { expect, it } from 'vitest';
import { renderActionBenchmark, renderOpenMetrics } from '../../src/report/exports.ts';
import { joinRepeats } from '../../src/report/repeat.ts';
import { sampleReport, sampleStage } from './sample-report.ts';

it('gives each figure of a benchmark its own unit, and leaves out what only describes the run', () => {
  const entries = (better: 'lower' | 'higher') =>
    new Map(
      (JSON.parse(renderActionBenchmark(sampleReport(), better)) as { name: string; unit: string }[]).map(
        ({ name, unit }) => [name, unit],
      ),
    );
  const smaller = entries('lower');
  expect(Object.fromEntries(smaller)).toMatchObject({
    'e2e_latency:p(99)': 'ms',
    'lost_events:count': 'events',
    'lost_events:rate': 'share',
    'memory:max': 'bytes',
  });
  expect([...smaller.keys(), ...entries('higher').keys()]).not.toEqual(
    expect.arrayContaining([expect.stringMatching(/_latency:count|_bytes|_offered_rate|_events:sum/)]),
  );
  expect([...entries('higher').keys()].filter((name) => !name.includes('_rate:'))).toEqual([]);
});

it('puts the range of repeated runs beside the figure of the median one', () => {
  const latency = (latencyMs: number) =>
    sampleReport({ endToEnd: sampleStage('feed', { latencyMs }).latency });
  const repeated = joinRepeats([latency(40), latency(60), latency(50)]);
  const entries = JSON.parse(renderActionBenchmark(repeated, 'lower')) as { name: string; range?: string }[];
  const [p99] = entries.filter(({ name }) => name === 'e2e_latency:p(99)');
  expect(p99).toEqual({ name: 'e2e_latency:p(99)', unit: 'ms', value: 99.007, range: '79.231 to 118.847' });
  expect(entries.find(({ name }) => name === 'memory:max')).not.toHaveProperty('range');
});

it('writes OpenMetrics in which each family stands once and says what it is measured in', () => {
  const lines = renderOpenMetrics(sampleReport({ run: 'a "run"\n\\1' })).split('\n');
  const families = lines.filter((line) => line.startsWith('# TYPE'));
  expect(new Set(families).size).toBe(families.length);
  expect(lines).toContain('# HELP cosmos_pipe_e2e_latency ms, count in events');
  expect(lines).toContain('# HELP cosmos_pipe_lost_events events, rate in share');
  expect(lines).toContain('cosmos_pipe_lost_events{aggregation="count",run="a \\"run\\"\\n\\\\1"} 1');
  // A family is not interrupted by another one.
  let family = '';
  for (const line of lines.slice(0, -2)) {
    if (line.startsWith('# TYPE')) family = line.split(' ')[2] ?? '';
    else expect(line.replace(/^# HELP /, '').startsWith(family)).toBe(true);
  }
  expect(lines.at(-2)).toBe('# EOF');
});
