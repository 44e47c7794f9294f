// The newest Python client from PyPI against the embedded Event Hubs: plain, over TLS and over WebSockets.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runPython } from '../python.mjs';

const PACKAGES = ['azure-eventhub==5.15.1', 'websocket-client==1.9.0', 'aiohttp==3.13.2'];

export async function run({ check, folder, server }) {
  const { startEventHubs } = await server('local/event-hubs/index');
  const { selfSignedCertificate } = await server('local/tls/certificate');
  const certificate = selfSignedCertificate('127.0.0.1', Date.now());
  const service = await startEventHubs({ certificate });
  const CA_FILE = join(folder, 'ca.pem');
  writeFileSync(CA_FILE, certificate.certificate);
  const env = { ...service.environment, CA_FILE };
  await runPython({ check, folder, packages: PACKAGES, program: 'event_hubs.py', env });
  await service.stop();
}
