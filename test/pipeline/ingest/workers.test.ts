import { expect, it } from 'vitest';
import { onceOfAll } from '../../../src/pipeline/ingest/workers.ts';

it('tells once what every worker tells, and again what a worker tells again', () => {
  const told: string[] = [];
  const teller = onceOfAll((line) => told.push(line));
  const [first, second] = [teller(), teller()];
  first('the hub was made anew');
  second('the hub was made anew');
  expect(told).toEqual(['the hub was made anew']);
  second('partition 1: checkpoint not saved');
  first('partition 0: checkpoint not saved');
  second('the hub was made anew');
  first('the hub was made anew');
  expect(told.slice(1)).toEqual([
    'partition 1: checkpoint not saved',
    'partition 0: checkpoint not saved',
    'the hub was made anew',
  ]);
});
