// Fills the hub once, for all contenders: the telemetry event of Azure-Samples/streaming-at-scale, about 0.9 KB.
import { EventHubProducerClient } from '@azure/event-hubs';

const PARTITIONS = 4;
const FIELDS = 23;

/** Sends `count` events over four partitions, each device on one of them, with the envelope that `produce` adds. */
export async function fill(connectionString, eventHub, count, devices) {
  const client = new EventHubProducerClient(connectionString, eventHub);
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const options = { partitionId: String(partition) };
    let batch = await client.createBatch(options);
    for (let n = partition; n < count; n += PARTITIONS) {
      const event = telemetry(n, devices);
      if (batch.tryAdd(event)) continue;
      await client.sendBatch(batch);
      batch = await client.createBatch(options);
      batch.tryAdd(event);
    }
    if (batch.count > 0) await client.sendBatch(batch);
  }
  await client.close();
}

function telemetry(n, devices) {
  const deviceId = `contoso-device-id-${String(n % devices).padStart(6, '0')}`;
  const complexData = {};
  for (let field = 0; field < FIELDS; field++)
    complexData[`moreData${field}`] = ((n * 7919 + field * 104729) % 1e6) / 1e4;
  return {
    body: {
      eventId: `event-${n}`,
      deviceId,
      deviceSequenceNumber: Math.floor(n / devices),
      type: n % 2 ? 'TEMP' : 'CO2',
      value: ((n * 31) % 1e5) / 1e3,
      complexData,
      createdAt: new Date().toISOString(),
    },
    properties: {
      'cp-run': 'bench',
      'cp-key': deviceId,
      'cp-seq': Math.floor(n / devices),
      'cp-at': Date.now() * 1000,
    },
  };
}
