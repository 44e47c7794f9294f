import { expect, it, onTestFinished } from 'vitest';
import { memoryCheckpointStore } from '../../src/eventhubs/checkpoint-memory.ts';
import { eventHubsConnection } from '../../src/eventhubs/connection.ts';
import { type Processor, type ProcessorOptions, startProcessor } from '../../src/eventhubs/processor.ts';
import { type EventHubsService, startEventHubs } from '../../src/local/event-hubs/index.ts';
import { systemClock } from '../../src/util/clock.ts';
import { Secret } from '../../src/util/secret.ts';
import { eventually } from '../helpers/eventually.ts';
import { sendTelemetry } from '../helpers/telemetry.ts';

const PARTITIONS = ['0', '1', '2', '3'];
/** Well below what the SDK takes to notice (a minute), well above what we take. */
const SOON_MS = 8_000;

async function hub(port = 0): Promise<EventHubsService> {
  const service = await startEventHubs({ port });
  onTestFinished(() => service.stop());
  return service;
}

const send = (service: EventHubsService, count: number, first = 0) =>
  sendTelemetry({ connectionString: service.connectionString, eventHub: 'telemetry', count, first });

/** A processor that notes what it is told. Events are noted as `partition/sequence number`. */
async function processor(
  service: EventHubsService,
  changes: Partial<ProcessorOptions> & { readonly hold?: Promise<void> } = {},
) {
  const events: string[] = [];
  const log: string[] = [];
  const problems: string[] = [];
  const { hold, ...options } = changes;
  const target = {
    connectionString: new Secret(service.connectionString),
    eventHub: 'telemetry',
    consumerGroup: '$Default',
  };
  const running: Processor = startProcessor({
    connection: await eventHubsConnection(target),
    consumerGroup: '$Default',
    ownerId: 'me',
    checkpoints: memoryCheckpointStore(systemClock),
    positions: Object.fromEntries(PARTITIONS.map((id) => [id, { offset: '-1' }])),
    clock: systemClock,
    rebalanceMs: 200,
    handler: {
      opened: (id) => void log.push(`opened ${id}`),
      async page(id, page) {
        events.push(...page.map(({ sequenceNumber }) => `${id}/${sequenceNumber}`));
        await hold;
      },
      closed: async (id, reason) => void log.push(`closed ${id} ${reason}`),
      failed: (id, error) => void problems.push(`${id ?? '-'}: ${error.message}`),
    },
    ...options,
  });
  onTestFinished(() => running.stop());
  const reading = () => PARTITIONS.filter((id) => running.status(id) === 'reading');
  return { running, events, log, problems, reading };
}

it.each(['reset', 'detach'])(
  'reads on within seconds after a %s of every link, and repeats nothing',
  async (kind) => {
    const service = await hub();
    await send(service, 40);
    const { events, log, reading } = await processor(service);
    await eventually(() => events.length === 40 && reading().length === 4);
    service.faults.add(`event-hubs:${kind}@1ms`);
    await eventually(() => service.faults.list()[0]?.state === 'spent');
    await send(service, 40, 40);
    await eventually(() => events.length >= 80, SOON_MS);
    expect(new Set(events).size).toBe(80);
    expect(events).toHaveLength(80);
    expect(log).toHaveLength(4);
  },
);
