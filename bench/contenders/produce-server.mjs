// The endpoint of the comparison: the embedded Event Hubs with 4 partitions, in a process of its own.
import { startEventHubs } from '../../dist/src/local/event-hubs/index.js';

const service = await startEventHubs({
  hubs: [{ name: 'telemetry', partitionCount: 4 }],
  maxBytesPerPartition: 64 * 1024 * 1024,
});
const cpu = process.cpuUsage();

process.on('message', async (message) => {
  if (message === 'stats') {
    const { system, user } = process.cpuUsage(cpu);
    process.send({ cpuMicros: system + user, stored: service.stats().eventsIn });
  } else {
    await service.stop();
    process.disconnect();
  }
});
process.send({ connectionString: service.connectionString });
