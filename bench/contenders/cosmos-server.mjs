// The embedded Cosmos DB in a process of its own, so that load and server never share an event loop.
import { startCosmos } from '../../dist/src/local/cosmos/index.js';

const service = await startCosmos({ port: 0 });
process.on('message', async (question) => {
  if (question === 'cpu') process.send({ cpuMicros: cpuMicros() });
  if (question === 'stop') {
    await service.stop();
    process.disconnect();
  }
});
process.send({ environment: service.environment });

function cpuMicros() {
  const { user, system } = process.cpuUsage();
  return user + system;
}
