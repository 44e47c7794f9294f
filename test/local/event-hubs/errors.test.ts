import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { systemClock } from '../../../src/util/clock.ts';
import { eventually } from '../../helpers/eventually.ts';
import { consumer, producer, sendNumbers, start, subscribe } from './clients.ts';

async function codeOf(action: Promise<unknown>): Promise<string | undefined> {
  try {
    await action;
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return 'no error';
}

it('rejects a message beyond 1 MB and keeps the link usable', async () => {
  const service = await start();
  const client = producer(service, { maxRetries: 0 });
  const large = client.sendBatch([{ body: Buffer.alloc(1_100_000) }], { partitionId: '0' });
  await expect(large).rejects.toThrow(
    /delivery-id:\d+, size:11\d+ bytes\) exceeds the limit \(1048576 bytes\)/,
  );
  await sendNumbers(client, '0', 1);
  expect(service.stats().eventsIn).toBe(1);
});

it('answers an unknown hub with not-found when hubs are not made at first use', async () => {
  const service = await start({ autoCreate: false });
  const client = producer(service, { hub: 'nowhere', maxRetries: 0 });
  expect(await codeOf(client.sendBatch([{ body: 1 }]))).toBe('MessagingEntityNotFoundError');
  expect(await codeOf(client.getEventHubProperties())).toMatch(/NotFound|ServiceCommunication/);
  const group = subscribe(consumer(service, { group: 'nobody', maxRetries: 0 }), '0');
  expect(await group.untilError()).toBe('MessagingEntityNotFoundError');
});

it('makes an unknown hub at its first use, with four partitions', async () => {
  const service = await start();
  const client = producer(service, { hub: 'Fresh-1' });
  expect(await client.getPartitionIds()).toEqual(['0', '1', '2', '3']);
  expect(service.stats().hubs.map((hub) => hub.name)).toEqual(['telemetry', 'Fresh-1']);
});

it('refuses a wrong key and a wrong key name', async () => {
  const service = await start({ sharedAccessKey: 'right' });
  for (const connectionString of [
    service.connectionString.replace('=right', '=wrong'),
    service.connectionString.replace('RootManage', 'Other'),
  ]) {
    const client = producer(service, { connectionString, maxRetries: 0 });
    expect(await codeOf(client.sendBatch([{ body: 1 }]))).toBe('UnauthorizedError');
    expect(await codeOf(client.getEventHubProperties())).toBe('UnauthorizedError');
  }
  await sendNumbers(producer(service), '0', 1);
});

it('refuses a partition that the hub does not have', async () => {
  const service = await start();
  const code = codeOf(producer(service, { maxRetries: 0 }).sendBatch([{ body: 1 }], { partitionId: '99' }));
  expect(await code).toBe('ArgumentOutOfRangeError');
});

it('throttles beyond its throughput units, which the SDK retries', async () => {
  let epochMicros = systemClock.epochMicros();
  const service = await start({
    throughputUnits: 1,
    clock: { ...systemClock, epochMicros: () => epochMicros },
  });
  const client = producer(service, { maxRetries: 0 });
  await sendNumbers(client, '0', 1_000);
  expect(await codeOf(sendNumbers(client, '0', 1_000))).toBe('ServerBusyError');
  expect(service.stats().throttled).toBe(1);
  const retried = sendNumbers(producer(service, { maxRetries: 1_000 }), '0', 500);
  await eventually(() => service.stats().throttled > 1);
  epochMicros += 500_000;
  await retried;
  expect(service.stats().eventsIn).toBe(1_500);
});

it('creates and deletes hubs at run time, and detaches the links of a deleted one', async () => {
  const service = await start({ autoCreate: false });
  service.createHub({ name: 'late', partitionCount: 2, consumerGroups: ['audit'] });
  expect(() => service.createHub({ name: 'LATE', partitionCount: 2 })).toThrow(/exists already/);
  expect(() => service.createHub({ name: 'wide', partitionCount: 5_000 })).toThrow(/1 to 1024/);
  await sendNumbers(producer(service, { hub: 'late' }), '1', 1);
  const received = subscribe(consumer(service, { hub: 'late', group: 'audit', maxRetries: 0 }), '1');
  await received.until(1);
  expect(service.deleteHub('late')).toBe(true);
  expect(service.deleteHub('late')).toBe(false);
  await received.untilError();
  expect(service.stats().hubs.map((hub) => hub.name)).toEqual(['telemetry']);
});

it('closes a connection that does not speak AMQP, and serves the others', async () => {
  const service = await start();
  const socket = connect(service.port, service.host);
  socket.write('GET / HTTP/1.1\r\n\r\n');
  await new Promise((resolve) => socket.resume().on('close', resolve));
  await sendNumbers(producer(service), '0', 1);
});

it('names the port when it is in use', async () => {
  const service = await start();
  await expect(start({ port: service.port })).rejects.toMatchObject({ code: 'E_PORT_IN_USE' });
});
