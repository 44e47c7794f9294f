import { afterAll, beforeAll, expect, it } from 'vitest';
import { bulkContextOf, createSdkTransport } from '../../src/cosmos/writer/sdk-transport.ts';
import { type LocalAccount, startAccount, upsert } from './local-account.ts';

let account: LocalAccount;
beforeAll(async () => {
  account = await startAccount();
});
afterAll(() => account.stop());

const request = (rangeId: string, keys: readonly string[]) => ({
  rangeId,
  body: Buffer.from(
    JSON.stringify(
      keys.map((key, i) => ({
        operationType: 'Upsert',
        partitionKey: JSON.stringify([key]),
        resourceBody: JSON.parse(upsert(key, i).body),
      })),
    ),
  ),
  operationCount: keys.length,
  continueOnError: true,
});

it('finds the internal request of the installed SDK (otherwise every write takes the slow public path)', async () => {
  expect(bulkContextOf(await account.container())).not.toBeNull();
});

it.each(['direct', 'public'] as const)('sends a prepared body by the %s path', async (path) => {
  const connection = await account.container({ throughput: 400 });
  const transport =
    path === 'direct' ? await createSdkTransport(connection) : await createSdkTransport(connection, null);
  const [range] = await transport.ranges();
  const reply = await transport.send(request(range?.id ?? '', ['a', 'b', 'c']));
  expect(reply).toMatchObject({
    replies: Array(3).fill({ statusCode: 201, requestCharge: expect.any(Number) }),
  });
  expect(JSON.stringify(reply)).not.toContain('resourceBody');
});

it('answers with a failure instead of rejecting', async () => {
  const transport = await createSdkTransport(await account.container({ throughput: 400 }));
  expect(await transport.send(request('77', ['a']))).toMatchObject({ statusCode: 410 });
  expect(await transport.send({ ...request('0', ['a']), body: Buffer.from('[{') })).toMatchObject({
    statusCode: 400,
  });
  account.service.faults.add('cosmos:throttle=1');
  const throttled = await transport.send(request('0', ['a']));
  expect(JSON.stringify(throttled)).toContain('429');
});
