import { expect, it, onTestFinished } from 'vitest';
import { startLocal } from '../../../src/local/index.ts';
import { eventsRoundTrip } from '../../../src/pipeline/event-grid/events-round-trip.ts';
import { systemClock as clock } from '../../../src/util/clock.ts';
import { Secret } from '../../../src/util/secret.ts';
import { gridAt } from '../../local/event-grid/grid.ts';

it.each([
  ['without faults', []],
  ['with lost answers and refusals', ['event-grid:unavailable=20%', 'event-grid:throttle=10%']],
])('sends every event round and gets each back, %s', async (_, faults) => {
  const stack = await startLocal({ eventGridTimeScale: 0.002, faults });
  onTestFinished(() => stack.stop());
  const grid = gridAt(stack.eventGrid);
  const { COSMOS_ENDPOINT: endpoint = '', COSMOS_KEY: key = '' } = stack.environment;
  const result = await eventsRoundTrip({
    eventGrid: {
      endpoint: stack.environment['EVENTGRID_TOPIC_ENDPOINT'] as string,
      key: new Secret(grid.key),
    },
    cosmos: { endpoint, key: new Secret(key), database: 'pipeline', container: 'round' },
    create: { partitionKeyPath: '/pk', throughput: 100_000 },
    events: 300,
    run: 'test',
    eventsPerSecond: 0,
    bytesPerSecond: 0,
    // Longer than the wait for the tenth try of a delivery: with a fifth of them refused, nobody gets there.
    idleMs: 110_000,
    clock,
    signal: new AbortController().signal,
    async subscribe(name, url, type) {
      const filter = { filter: { includedEventTypes: [type] } };
      expect(await grid.subscribe('pipeline-events', name, url, filter, { maxEventsPerBatch: 20 })).toBe(
        'Succeeded',
      );
    },
  });
  expect(result).toMatchObject({ published: 300, stored: 300, returned: 300, lost: 0 });
  expect(result.roundTrip.count).toBe(300);
});
