import { EventHubConsumerClient } from '@azure/event-hubs';
import { expect, it } from 'vitest';
import { onEveryReceiver } from '../../src/eventhubs/processor-links.ts';

it('shows every link, also of the connection that replaces a lost one', async () => {
  const first = { createReceiver: async (name: unknown) => `first ${name}` };
  const replacement = { createReceiver: async (name: unknown) => `second ${name}` };
  const client = { _context: { connection: first } };
  const seen: unknown[] = [];
  expect(onEveryReceiver(client, (link) => seen.push(link))).toBe(true);
  await client._context.connection.createReceiver('a');
  client._context.connection = replacement;
  await client._context.connection.createReceiver('b');
  expect(seen).toEqual(['first a', 'second b']);
});

it('finds what it needs in the SDK that is installed', async () => {
  const client = new EventHubConsumerClient(
    '$Default',
    'Endpoint=sb://localhost:1;SharedAccessKeyName=k;SharedAccessKey=s;UseDevelopmentEmulator=true;',
    'hub',
  );
  expect(onEveryReceiver(client, () => {})).toBe(true);
  await client.close();
});

it('leaves a client of another shape alone', () => {
  expect(onEveryReceiver({}, () => {})).toBe(false);
});
