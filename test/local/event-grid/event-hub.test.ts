import { EventHubConsumerClient, type ReceivedEventData } from '@azure/event-hubs';
import { expect, it, onTestFinished } from 'vitest';
import { startLocal } from '../../../src/local/index.ts';
import { eventually } from '../../helpers/eventually.ts';
import { gridAt, order } from './grid.ts';

it('delivers to an event hub of the stack, a key to one partition, attributes as properties', async () => {
  const stack = await startLocal();
  onTestFinished(() => stack.stop());
  const grid = gridAt(stack.eventGrid);
  await grid.topic('orders');
  const properties = {
    resourceId:
      '/subscriptions/x/resourceGroups/y/providers/Microsoft.EventHub/namespaces/n/eventhubs/telemetry',
    deliveryAttributeMappings: [
      { name: 'PartitionKey', type: 'Dynamic', properties: { sourceField: 'data.customer' } },
      { name: 'tenant', type: 'Static', properties: { value: 'contoso' } },
    ],
  };
  await grid.ask('PUT', '/topics/orders/eventSubscriptions/hub', {
    properties: { destination: { endpointType: 'EventHub', properties } },
  });
  const events = [1, 2, 3, 4].map((n) => order(n, { data: { customer: n % 2 === 0 ? 'even' : 'odd' } }));
  await grid.publisher('orders', 'EventGrid').send(events);
  const client = new EventHubConsumerClient(
    '$Default',
    stack.environment['EVENTHUB_CONNECTION_STRING'] as string,
    'telemetry',
  );
  onTestFinished(() => client.close());
  const received: { event: ReceivedEventData; partition: string }[] = [];
  const subscription = client.subscribe(
    {
      async processEvents(batch, { partitionId: partition }) {
        received.push(...batch.map((event) => ({ event, partition })));
      },
      async processError() {},
    },
    { startPosition: { sequenceNumber: -1, isInclusive: false }, maxWaitTimeInSeconds: 1 },
  );
  await eventually(() => received.length === 4);
  await subscription.close();
  const [{ event }] = received as [(typeof received)[0]];
  expect(event.body).toMatchObject({
    eventType: 'Order.Created',
    topic: expect.stringContaining('orders') as string,
  });
  expect(event.contentType).toBe('application/json');
  expect(event.properties).toMatchObject({ 'aeg-subscription-name': 'HUB', tenant: 'contoso' });
  const partitions = new Map<string, Set<string>>();
  for (const { event: each, partition } of received)
    partitions.set(
      String(each.partitionKey),
      (partitions.get(String(each.partitionKey)) ?? new Set()).add(partition),
    );
  expect(new Set(partitions.keys())).toEqual(new Set(['even', 'odd']));
  expect([...partitions.values()].every(({ size }) => size === 1)).toBe(true);
});
