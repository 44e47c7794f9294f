import { connect } from 'node:tls';
import {
  EventHubConsumerClient,
  EventHubProducerClient,
  type RetryOptions,
  type WebSocketOptions,
} from '@azure/event-hubs';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { selfSignedCertificate } from '../../../src/local/tls/certificate.ts';
import { eventually } from '../../helpers/eventually.ts';
import { distinctBodies, LOST_ANSWER, RETRY, sendNumbers, start, subscribe } from './clients.ts';

async function startWithTls(retryOptions: RetryOptions = RETRY) {
  const certificate = selfSignedCertificate('127.0.0.1', Date.now());
  const service = await start({ certificate });
  const webSocketOptions: WebSocketOptions = {
    webSocket: WebSocket,
    webSocketConstructorOptions: { ca: certificate.certificate },
  };
  const client = new EventHubProducerClient(service.connectionString, 'telemetry', {
    webSocketOptions,
    retryOptions,
  });
  const reader = new EventHubConsumerClient('$Default', service.connectionString, 'telemetry', {
    webSocketOptions,
    retryOptions: RETRY,
  });
  onTestFinished(() => client.close());
  onTestFinished(() => reader.close());
  return { service, ca: certificate.certificate, client, reader };
}

it('carries AMQP over WebSockets, also messages of many frames', async () => {
  const { client, reader } = await startWithTls();
  await client.sendBatch([{ body: 'x'.repeat(300_000) }, { body: 1 }], { partitionId: '0' });
  const events = await subscribe(reader, '0').until(2);
  expect(events.map(({ body }) => String(body).length)).toEqual([300_000, 1]);
  expect(await client.getPartitionIds()).toEqual(['0', '1', '2', '3']);
});

it('takes a WebSocket client back after a reset', async () => {
  const { service, client, reader } = await startWithTls(LOST_ANSWER);
  await sendNumbers(client, '0', 1);
  const received = subscribe(reader, '0');
  await received.until(1);
  service.faults.add('event-hubs:reset@1ms');
  await eventually(() => expect(service.faults.list()[0]?.struck).toBe(1));
  await sendNumbers(client, '0', 1, 1);
  await eventually(() => expect(distinctBodies(received.events)).toEqual([0, 1]));
});

it('speaks AMQP over TLS on the same port', async () => {
  const { service, ca } = await startWithTls();
  const socket = connect({ port: service.port, host: '127.0.0.1', servername: 'localhost', ca });
  onTestFinished(() => {
    socket.destroy();
  });
  socket.write('AMQP\x03\x01\x00\x00');
  const [header] = await new Promise<Buffer[]>((resolve) => socket.once('data', (bytes) => resolve([bytes])));
  expect(header?.subarray(0, 8).toString('latin1')).toBe('AMQP\x03\x01\x00\x00');
});

it('tells an HTTP client where the WebSocket is', async () => {
  const { service } = await startWithTls();
  const answer = await fetch(`http://127.0.0.1:${service.port}/`);
  expect(answer.status).toBe(426);
  expect(await answer.text()).toContain('/$servicebus/websocket');
});
