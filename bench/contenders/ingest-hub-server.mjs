// The embedded Event Hubs in a process of its own.
import { startEventHubs } from '../../dist/src/local/event-hubs/index.js';

const service = await startEventHubs({ port: 0 });
process.on('message', async (question) => {
  if (question === 'stop') {
    await service.stop();
    process.disconnect();
  }
});
process.send({ environment: service.environment });
