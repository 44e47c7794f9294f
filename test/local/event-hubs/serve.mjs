// Runs the built service in a process of its own, to be killed: serve.mjs <dist> <dataDir>
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [dist, dataDir] = process.argv.slice(2);
const { startEventHubs } = await import(
  pathToFileURL(resolve(join(dist, 'src/local/event-hubs/index.js'))).href
);
const service = await startEventHubs({ dataDir });
process.send(service.connectionString);
