import { defineCommand } from '../src/cli/command.ts';
import { produceOptions } from './produce-options.ts';

export const command = defineCommand({
  description: [
    'Send a seeded load to an event hub.',
    '',
    'Arrivals keep their schedule whatever the service answers, latency counts from the',
    'time an event was due, and the summary says whether the generator kept up.',
  ].join('\n'),
  examples: [
    'cosmos-pipe produce --rate 5000/s --duration 30s --local',
    'cosmos-pipe produce --stages 30s:1000/s,2m:5000/s,30s:0/s --key-distribution "zipf(1.1)" --dry-run',
    'cosmos-pipe produce -n 1000000 --concurrency 16 --workers 2',
    'cosmos-pipe produce --replay events.ndjson --speed 10x --partition-key deviceId',
    'cosmos-pipe produce --duplicates 1% --out-of-order 0.5% --ledger run.ledger.ndjson',
  ],
  options: produceOptions,
  // Loaded only when it runs: --help should evaluate no package.
  run: async (values, context) => (await import('./produce-run.ts')).run(values, context),
});
