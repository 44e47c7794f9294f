import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CosmosClient } from '@azure/cosmos';
import { expect, it } from 'vitest';
import { startCosmos } from '../../src/local/cosmos/index.ts';
import { startEventHubs } from '../../src/local/event-hubs/index.ts';
import { DIST } from '../helpers/build.ts';
import { sendTelemetry } from '../helpers/telemetry.ts';

interface Audit {
  readonly sent: number;
  readonly stored: number;
  readonly missing: number;
  readonly corrupted: number;
  readonly examples: readonly string[];
}

type AuditModule = {
  audit(
    environment: Readonly<Record<string, string>>,
    place: { readonly database: string; readonly container: string },
  ): Promise<Audit>;
};

interface Plan {
  readonly seed: number;
  readonly scenario: string;
  readonly steps: readonly { readonly afterShare: number }[];
}

const chaos = (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(process.execPath, ['bench/chaos.mjs', ...args], {
    env: { ...process.env, COSMOS_PIPE_DIST: DIST },
  });

const plans = async (...args: string[]): Promise<readonly Plan[]> =>
  JSON.parse((await chaos('--plan', ...args)).stdout) as readonly Plan[];

it('plans the same round for the same seed, and meets every scenario in turn', async () => {
  const all = await plans('--rounds', '11', '--seed', '40');
  expect(new Set(all.map(({ scenario }) => scenario)).size).toBe(11);
  expect(await plans('--rounds', '1', '--seed', '47')).toEqual([all[7]]);
  for (const { steps } of all) {
    expect(steps.length).toBeGreaterThan(0);
    const shares = steps.map(({ afterShare }) => afterShare);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
  }
});

it('notices an item that is gone and one that is not what was sent', async () => {
  const { audit } = (await import(
    new URL('../../bench/chaos/audit.mjs', import.meta.url).href
  )) as AuditModule;
  const [hubs, cosmos] = await Promise.all([startEventHubs(), startCosmos()]);
  const environment = { ...hubs.environment, ...cosmos.environment };
  const client = new CosmosClient(cosmos.environment['COSMOS_CONNECTION_STRING'] ?? '');
  try {
    const connectionString = hubs.connectionString;
    const eventHub = environment['EVENTHUB_NAME'] ?? '';
    await sendTelemetry({ connectionString, eventHub, count: 8 });
    const { database } = await client.databases.create({ id: 'd' });
    const { container } = await database.containers.create({ id: 'c', partitionKey: '/deviceId' });
    for (let i = 0; i < 8; i++)
      await container.items.create({
        ...{ id: `e-${i}`, eventId: `e-${i}`, deviceId: `device-${i}`, deviceSequenceNumber: i },
        ...{ type: 'TEMP', value: i, pipe: { partition: '0' } },
      });
    expect(await audit(environment, { database: 'd', container: 'c' })).toEqual({
      ...{ sent: 8, stored: 8, missing: 0, corrupted: 0, sentOutOfOrder: 0, examples: [] },
    });
    await container.item('e-3', 'device-3').delete();
    await container.item('e-5', 'device-5').patch([{ op: 'incr', path: '/value', value: 1 }]);
    expect(await audit(environment, { database: 'd', container: 'c' })).toEqual({
      ...{
        sent: 8,
        stored: 7,
        missing: 1,
        corrupted: 1,
        sentOutOfOrder: 0,
        examples: ['corrupted: e-5', 'missing: e-3'],
      },
    });
  } finally {
    client.dispose();
    await Promise.all([hubs.stop(), cosmos.stop()]);
  }
});

// Seeds 22 to 25: ingest killed, one of two ingesters killed, the stack killed, links detached.
it('loses and damages nothing in four rounds of failure', async () => {
  const { stdout } = await chaos('--rounds', '4', '--seed', '22', '--events', '2000', '--json');
  const result = JSON.parse(stdout);
  expect(result).toMatchObject({ rounds: 4, lost: 0, corrupted: 0, duplicatedStored: 0, failures: [] });
  for (const name of ['ingest killed', 'stack killed', 'event-hubs:detach'])
    expect(result.faults[name], name).toBeGreaterThan(0);
}, 600_000);
