// The unmodified @azure/eventgrid (custom topics, push) and @azure/eventgrid-namespaces (pull) against the embedded Event Grid.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import {
  AzureKeyCredential,
  AzureSASCredential,
  EventGridDeserializer,
  EventGridPublisherClient,
  generateSharedAccessSignature,
} from '@azure/eventgrid';
import { EventGridReceiverClient, EventGridSenderClient } from '@azure/eventgrid-namespaces';
import { eventually } from '../suite.mjs';

export async function run({ check, server }) {
  const { startEventGrid } = await server('local/event-grid/index');
  const service = await startEventGrid({
    topics: [
      { name: 'cloud', inputSchema: 'CloudEventSchemaV1_0' },
      { name: 'grid', inputSchema: 'EventGridSchema' },
    ],
  });
  const { EVENTGRID_NAMESPACE_ENDPOINT: base, EVENTGRID_TOPIC_KEY: key } = service.environment;
  const options = { allowInsecureConnection: true, retryOptions: { maxRetries: 0 } };
  const credential = new AzureKeyCredential(key);
  const topic = (name, schema, as = credential) =>
    new EventGridPublisherClient(`${base}/${name}/api/events`, schema, as, options);
  const cloudEvent = (id, rest = {}) => ({
    id,
    source: '/conformance',
    type: 'Test.Happened',
    data: { id },
    ...rest,
  });
  /** The management calls of the control plane, which no data plane SDK has. */
  const put = async (path, properties) => {
    const response = await fetch(new URL(path, base), {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'aeg-sas-key': key },
      body: JSON.stringify({ properties }),
    });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return response.json();
  };
  const hook = await startWebhook();

  await check('publishes CloudEvents with the access key', async () => {
    await topic('cloud', 'CloudEvent').send([
      cloudEvent('1'),
      cloudEvent('2', { subject: 's', time: new Date() }),
    ]);
  });
  await check('publishes events of the Event Grid schema', async () => {
    await topic('grid', 'EventGrid').send([
      { id: '1', subject: 's', eventType: 'T', dataVersion: '1', data: {} },
    ]);
  });
  await check('refuses a wrong key with 401', async () => {
    await assert.rejects(
      topic('cloud', 'CloudEvent', new AzureKeyCredential('d3Jvbmc=')).send([cloudEvent('1')]),
      {
        statusCode: 401,
      },
    );
  });
  await check('takes a shared access signature that the SDK made', async () => {
    const endpoint = `${base}/cloud/api/events`;
    const until = new Date(Date.now() + 60_000);
    const signature = await generateSharedAccessSignature(endpoint, credential, until);
    await topic('cloud', 'CloudEvent', new AzureSASCredential(signature)).send([cloudEvent('signed')]);
  });
  await check('refuses events of the other schema with 400', async () => {
    const wrong = topic('cloud', 'EventGrid').send([
      { id: '1', subject: 's', eventType: 'T', dataVersion: '1', data: {} },
    ]);
    await assert.rejects(wrong, { statusCode: 400 });
  });
  await check('refuses a request above 1 MB with 413', async () => {
    const large = cloudEvent('large', { data: { x: 'y'.repeat(1_100_000) } });
    await assert.rejects(topic('cloud', 'CloudEvent').send([large]), { statusCode: 413 });
  });
  await check('refuses a topic that is not there', async () => {
    await assert.rejects(
      topic('nowhere', 'CloudEvent').send([cloudEvent('1')]),
      ({ statusCode }) => statusCode >= 400,
    );
  });
  await check('shakes hands with a webhook, then pushes what is published', async () => {
    await put('/topics/cloud/eventSubscriptions/hook', {
      destination: { endpointType: 'WebHook', properties: { endpointUrl: hook.url } },
      eventDeliverySchema: 'CloudEventSchemaV1_0',
    });
    await topic('cloud', 'CloudEvent').send([cloudEvent('pushed', { data: { n: 1 } })]);
    const text = await eventually(() => hook.received.find((body) => body.includes('"pushed"')));
    const [event] = await new EventGridDeserializer().deserializeCloudEvents(text);
    assert.equal(event.id, 'pushed');
    assert.deepEqual(event.data, { n: 1 });
  });
  await check('pushes only what a filter lets through', async () => {
    await put('/topics/cloud/eventSubscriptions/picky', {
      destination: { endpointType: 'WebHook', properties: { endpointUrl: `${hook.url}?picky` } },
      filter: { includedEventTypes: ['Test.Wanted'] },
      eventDeliverySchema: 'CloudEventSchemaV1_0',
    });
    await topic('cloud', 'CloudEvent').send([
      cloudEvent('unwanted'),
      cloudEvent('wanted', { type: 'Test.Wanted' }),
    ]);
    await eventually(() => hook.picky.some((body) => body.includes('"wanted"')));
    assert.ok(!hook.picky.some((body) => body.includes('"unwanted"')));
  });

  await put('/namespace/topics/pull', {});
  await put('/namespace/topics/pull/eventSubscriptions/queue', {
    deliveryConfiguration: {
      deliveryMode: 'Queue',
      queue: { receiveLockDurationInSeconds: 60, maxDeliveryCount: 3 },
    },
  });
  const sender = new EventGridSenderClient(base, credential, 'pull', options);
  const receiver = new EventGridReceiverClient(base, credential, 'pull', 'queue', options);
  const receive = async (maxEvents = 10) =>
    (await receiver.receiveEvents({ maxEvents, maxWaitTime: 10 })).details;
  const tokens = (details) => details.map(({ brokerProperties }) => brokerProperties.lockToken);

  await check('namespace: sends one event and receives it under a lock', async () => {
    await sender.sendEvents(cloudEvent('one', { data: { n: 1 } }));
    const details = await receive();
    assert.equal(details[0].event.id, 'one');
    assert.deepEqual(details[0].event.data, { n: 1 });
    assert.equal(details[0].brokerProperties.deliveryCount, 1);
    const { succeededLockTokens } = await receiver.acknowledgeEvents(tokens(details));
    assert.deepEqual(succeededLockTokens, tokens(details));
  });
  await check('namespace: sends a batch, releases and receives again', async () => {
    await sender.sendEvents([cloudEvent('b1'), cloudEvent('b2')]);
    const first = await receive();
    assert.equal(first.length, 2);
    await receiver.releaseEvents(tokens(first));
    const second = await receive();
    assert.ok(second.every(({ brokerProperties }) => brokerProperties.deliveryCount === 2));
    await receiver.acknowledgeEvents(tokens(second));
  });
  await check('namespace: renews a lock, and rejects', async () => {
    await sender.sendEvents(cloudEvent('r1'));
    const details = await receive();
    const renewed = await receiver.renewEventLocks(tokens(details));
    assert.deepEqual(renewed.succeededLockTokens, tokens(details));
    const rejected = await receiver.rejectEvents(tokens(details));
    assert.deepEqual(rejected.succeededLockTokens, tokens(details));
  });
  await check('namespace: a settled lock token fails by itself', async () => {
    await sender.sendEvents(cloudEvent('t1'));
    const [token] = tokens(await receive());
    await receiver.acknowledgeEvents([token]);
    const { failedLockTokens, succeededLockTokens } = await receiver.acknowledgeEvents([token]);
    assert.equal(succeededLockTokens.length, 0);
    assert.equal(failedLockTokens[0].lockToken, token);
  });
  await check('namespace: refuses a wrong key with 401', async () => {
    const stranger = new EventGridSenderClient(base, new AzureKeyCredential('d3Jvbmc='), 'pull', options);
    await assert.rejects(
      stranger.sendEvents(cloudEvent('x')),
      ({ statusCode, code }) => String(statusCode ?? code).includes('401') || /Unauthorized/.test(code),
    );
  });

  hook.close();
  await service.stop();
}

/** A receiver as the CloudEvents web hook specification asks for: OPTIONS with an origin is allowed. */
async function startWebhook() {
  const received = [];
  const picky = [];
  const server = createServer(async (request, response) => {
    if (request.method === 'OPTIONS') {
      response.setHeader('webhook-allowed-origin', request.headers['webhook-request-origin'] ?? '*');
      response.setHeader('webhook-allowed-rate', '*');
      return response.end();
    }
    let body = '';
    for await (const chunk of request) body += chunk;
    (request.url.endsWith('picky') ? picky : received).push(body);
    return response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    received,
    picky,
    url: `http://127.0.0.1:${server.address().port}/hook`,
    close: () => server.close(),
  };
}
