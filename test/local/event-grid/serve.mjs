// Runs the built service in a process of its own, to be killed: serve.mjs <dist> <dataDir>
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [dist, dataDir] = process.argv.slice(2);
const { startEventGrid } = await import(
  pathToFileURL(resolve(join(dist, 'src/local/event-grid/index.js'))).href
);
const service = await startEventGrid({ dataDir, topics: [], timeScale: 0.001 });
process.send({ host: service.host, port: service.port, environment: service.environment });
