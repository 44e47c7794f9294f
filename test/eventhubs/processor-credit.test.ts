import { EventHubConsumerClient } from '@azure/event-hubs';
import { expect, it } from 'vitest';
import { limitLinkCredit } from '../../src/eventhubs/processor-credit.ts';

/** A connection that hands out one link and notes the credit that reaches the wire. */
function connection() {
  const link = {
    credit: 0,
    addCredit(credit: number) {
      this.credit += credit;
    },
  };
  return { link, createReceiver: async (_: unknown) => link };
}

it('never lets the credit of a link rise above the limit, and tops it up as events arrive', async () => {
  const { link, createReceiver } = connection();
  const client = { _context: { connection: { createReceiver } } };
  expect(limitLinkCredit(client, 1_000)).toBe(true);
  const receiver = await client._context.connection.createReceiver({});
  for (let page = 0; page < 50; page++) receiver.addCredit(1_000);
  expect(link.credit).toBe(1_000);
  link.credit -= 300;
  receiver.addCredit(1_000);
  expect(link.credit).toBe(1_000);
});

it('holds on the connection that replaces a lost one', async () => {
  const client = { _context: { connection: connection() } };
  limitLinkCredit(client, 10);
  const replacement = connection();
  client._context.connection = replacement;
  (await client._context.connection.createReceiver({})).addCredit(50);
  expect(replacement.link.credit).toBe(10);
});

it('finds what it needs in the SDK that is installed', async () => {
  const client = new EventHubConsumerClient(
    '$Default',
    'Endpoint=sb://localhost:1;SharedAccessKeyName=k;SharedAccessKey=s;UseDevelopmentEmulator=true;',
    'hub',
  );
  expect(limitLinkCredit(client, 10)).toBe(true);
  await client.close();
});

it('leaves a client of another shape alone', () => {
  expect(limitLinkCredit({}, 10)).toBe(false);
});
