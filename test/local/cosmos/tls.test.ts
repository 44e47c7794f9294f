import { Agent } from 'node:https';
import { expect, it, onTestFinished } from 'vitest';
import { selfSignedCertificate } from '../../../src/local/tls/certificate.ts';
import { clientOf, connect, createContainer } from './sdk.ts';

it('serves HTTPS on the same port and sends the client to no other scheme', async () => {
  const certificate = selfSignedCertificate('127.0.0.1', Date.now());
  const { service, client } = await connect({ certificate });
  await createContainer(client);
  const agent = new Agent({ ca: certificate.certificate, keepAlive: true, family: 4 });
  onTestFinished(() => agent.destroy());
  const secure = clientOf(service, { endpoint: `https://localhost:${service.port}/`, agent });
  await secure.database('db').container('c').items.create({ id: 'a', pk: 'a' });
  const { resource } = await client.database('db').container('c').item('a', 'a').read();
  expect(resource).toMatchObject({ id: 'a' });
  const account = await secure.getDatabaseAccount();
  expect(account.resource?.writableLocations[0]?.databaseAccountEndpoint).toBe(
    `https://localhost:${service.port}/`,
  );
});
