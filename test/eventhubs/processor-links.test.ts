import { EventEmitter } from 'node:events';
import { EventHubConsumerClient } from '@azure/event-hubs';
import { expect, it } from 'vitest';
import { destroySocket, listenToLinks } from '../../src/eventhubs/processor-links.ts';

const receiverOf = (partition: string) => ({
  source: { address: `hub/ConsumerGroups/g/Partitions/${partition}` },
});

class Connection extends EventEmitter {
  readonly links: EventEmitter[] = [];
  async createReceiver(_: unknown): Promise<EventEmitter> {
    const link = new EventEmitter();
    this.links.push(link);
    return link;
  }
}

it('shows every link, also of the connection that replaces a lost one', async () => {
  const client = { _context: { connection: new Connection() } };
  const opened: string[] = [];
  const lost: string[] = [];
  const listener = {
    opened: (_: unknown, partitionId: string) => opened.push(partitionId),
    disconnected: () => lost.push('lost'),
  };
  expect(listenToLinks(client, listener)).toBe(true);
  await client._context.connection.createReceiver(receiverOf('3'));
  client._context.connection.emit('disconnected');
  client._context.connection = new Connection();
  await client._context.connection.createReceiver(receiverOf('11'));
  client._context.connection.emit('disconnected');
  expect(opened).toEqual(['3', '11']);
  expect(lost).toEqual(['lost', 'lost']);
});

it('tells once how a link ended, and whether somebody took it', async () => {
  const connection = new Connection();
  const client = { _context: { connection } };
  const ended: unknown[] = [];
  listenToLinks(client, { ended: (_, partitionId, { stolen }) => ended.push([partitionId, stolen]) });
  await client._context.connection.createReceiver(receiverOf('0'));
  await client._context.connection.createReceiver(receiverOf('1'));
  const [first, second] = connection.links;
  first?.emit('receiver_error', { receiver: { error: { condition: 'amqp:link:stolen' } } });
  first?.emit('receiver_close', {});
  second?.emit('session_close', {});
  expect(ended).toEqual([
    ['0', true],
    ['1', false],
  ]);
});

it('finds what it needs in the SDK that is installed', async () => {
  const client = new EventHubConsumerClient(
    '$Default',
    'Endpoint=sb://localhost:1;SharedAccessKeyName=k;SharedAccessKey=s;UseDevelopmentEmulator=true;',
    'hub',
  );
  expect(listenToLinks(client, {})).toBe(true);
  destroySocket(client);
  await client.close();
});

it('leaves a client of another shape alone', () => {
  expect(listenToLinks({}, {})).toBe(false);
});
