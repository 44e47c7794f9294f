import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ChangeFeedStartFrom, CosmosClient } from '@azure/cosmos';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { DIST } from '../../helpers/build.ts';
import { connect, createContainer } from './sdk.ts';

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'cosmos-pipe-test-'));
});

afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const logFiles = (): string[] =>
  readdirSync(dataDir, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.log'))
    .map((name) => join(dataDir, name));

describe('with a data folder', () => {
  it('comes back with the same items, etags, offers, ranges and continuations', async () => {
    const first = await connect({ dataDir });
    const container = await createContainer(first.client, { throughput: 10_000, defaultTtl: -1 });
    for (let i = 0; i < 20; i++) await container.items.upsert({ id: `${i}`, pk: `${i}`, text: 'ü' });
    await container.item('3', '3').delete();
    const { etag } = await container.item('1', '1').read();
    first.service.split('db', 'c', '0');
    const feed = container.items.getChangeFeedIterator({
      changeFeedStartFrom: ChangeFeedStartFrom.Beginning(),
      maxItemCount: 5,
    });
    const page = await feed.readNext();
    const ranges = (await container.readPartitionKeyRanges().fetchAll()).resources;
    await first.service.stop();

    const second = await connect({ dataDir });
    const again = second.client.database('db').container('c');
    expect((await again.read()).resource).toMatchObject({ defaultTtl: -1 });
    expect((await again.readOffer()).resource?.content?.offerThroughput).toBe(10_000);
    expect((await again.readPartitionKeyRanges().fetchAll()).resources).toEqual(ranges);
    expect((await again.item('3', '3').read()).statusCode).toBe(404);
    const condition = { accessCondition: { type: 'IfMatch', condition: etag } };
    expect((await again.item('1', '1').replace({ id: '1', pk: '1' }, condition)).statusCode).toBe(200);
    const rest = again.items.getChangeFeedIterator({
      changeFeedStartFrom: ChangeFeedStartFrom.Continuation(page.continuationToken),
    });
    const ids = new Set(page.result.map(({ id }: { id: string }) => id));
    for (let next = await rest.readNext(); next.statusCode !== 304; next = await rest.readNext())
      for (const { id } of next.result) ids.add(id);
    expect(ids.size).toBe(19);
  });

  it('cuts a torn tail and keeps everything before it', async () => {
    const first = await connect({ dataDir });
    const container = await createContainer(first.client);
    await container.items.create({ id: 'whole', pk: 'p' });
    const [file] = logFiles() as [string];
    const before = statSync(file).size;
    await container.items.batch(
      ['1', '2'].map((id) => ({ operationType: 'Create' as const, resourceBody: { id, pk: 'p' } })),
      'p',
    );
    await first.service.stop();
    // The transaction loses its end, and with it all of it.
    truncateSync(file, statSync(file).size - 10);
    appendFileSync(file, Buffer.alloc(3, 7));
    const second = await connect({ dataDir });
    const again = second.client.database('db').container('c');
    expect((await again.items.readAll().fetchAll()).resources.map(({ id }) => id)).toEqual(['whole']);
    expect(statSync(file).size).toBe(before);
    expect((await again.items.create({ id: 'after', pk: 'p' })).statusCode).toBe(201);
    await second.service.stop();
    const third = await connect({ dataDir });
    expect((await third.client.database('db').container('c').item('after', 'p').read()).statusCode).toBe(200);
  });

  it('compacts overwritten items away and keeps LSNs and deletions', async () => {
    const first = await connect({ dataDir });
    const container = await createContainer(first.client);
    await container.items.create({ id: 'gone', pk: 'p' });
    await container.item('gone', 'p').delete();
    const text = 'x'.repeat(1000);
    for (let round = 0; round < 40; round++)
      await container.items.bulk(
        Array.from({ length: 90 }, (_, i) => ({
          operationType: 'Upsert' as const,
          resourceBody: { id: `${i}`, pk: 'p', round, text },
        })),
      );
    const written = 40 * 90 * 1000;
    expect(logFiles()).toHaveLength(1);
    expect(statSync(logFiles()[0] as string).size).toBeLessThan(written * 0.75);
    await first.service.stop();
    const second = await connect({ dataDir });
    const again = second.client.database('db').container('c');
    const page = await again.items
      .getChangeFeedIterator({ changeFeedStartFrom: ChangeFeedStartFrom.Beginning() })
      .readNext();
    const items = page.result as unknown as { round: number; _lsn: number }[];
    expect(items).toHaveLength(90);
    expect(items.every(({ round, _lsn }) => round === 39 && _lsn > 39 * 90)).toBe(true);
    expect((await again.item('gone', 'p').read()).statusCode).toBe(404);
  });

  it('has everything it acknowledged after SIGKILL', async () => {
    const child = await startChild();
    const container = await createContainer(child.client);
    const ended = new AbortController();
    let acknowledged = 0;
    const write = async (): Promise<void> => {
      for (;;) {
        const batch = Array.from({ length: 50 }, (_, i) => ({
          operationType: 'Create' as const,
          resourceBody: { id: `${acknowledged + i}`, pk: `${i % 7}` },
        }));
        await container.items.bulk(batch, {}, { abortSignal: ended.signal });
        acknowledged += 50;
        if (acknowledged === 500) child.kill();
      }
    };
    // The SDK would go on trying after the kill, with whoever gets the port next.
    write().catch(() => {});
    await child.exited;
    ended.abort();
    child.client.dispose();
    expect(acknowledged).toBeGreaterThanOrEqual(500);
    const { client } = await connect({ dataDir });
    const items = (await client.database('db').container('c').items.readAll().fetchAll()).resources;
    const ids = new Set(items.map(({ id }) => id));
    expect(ids.size).toBe(items.length);
    for (let i = 0; i < acknowledged; i++) expect(ids.has(`${i}`)).toBe(true);
  });
});

async function startChild(): Promise<{ client: CosmosClient; exited: Promise<unknown>; kill(): void }> {
  const module = pathToFileURL(resolve(DIST, 'src/local/cosmos/index.js')).href;
  const script = `import { startCosmos } from ${JSON.stringify(module)};
    const service = await startCosmos({ throttling: false, dataDir: process.argv[1] });
    process.stdout.write(JSON.stringify(service.environment));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const [output] = (await once(child.stdout, 'data')) as [Buffer];
  const environment = JSON.parse(output.toString()) as Record<string, string>;
  const client = new CosmosClient(environment['COSMOS_CONNECTION_STRING'] as string);
  return { client, exited: once(child, 'exit'), kill: () => void child.kill('SIGKILL') };
}
