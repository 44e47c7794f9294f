import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CosmosClient } from '@azure/cosmos';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openCosmos } from '../../src/cosmos/client.ts';
import { type LocalStack, startLocal } from '../../src/local/index.ts';
import { Secret } from '../../src/util/secret.ts';
import { cli } from '../helpers/cli.ts';

interface Stored {
  readonly folder: string;
  readonly stack: LocalStack;
  run(...argv: string[]): ReturnType<typeof cli>;
  dispose(): Promise<void>;
}

/** 400 events of five keys, produced with a ledger and ingested. */
async function stored(): Promise<Stored> {
  const folder = await mkdtemp(join(tmpdir(), 'cosmos-pipe-verify-'));
  const stack = await startLocal({ ports: { eventHubs: 0, cosmos: 0, redis: 0, eventGrid: 0, admin: 0 } });
  const run: Stored['run'] = (...argv) => cli(argv, { env: stack.environment, cwd: folder });
  const load = ['--rate', '1000/s', '--events', '400', '--keys', '5'];
  expect(await run('produce', ...load, '--ledger', 'run.ndjson', '--yes')).toMatchObject({ code: 0 });
  expect(await run('ingest', '--until-drained', '--create', '--throughput', '10000')).toMatchObject({
    code: 0,
  });
  return {
    folder,
    stack,
    run,
    async dispose() {
      await stack.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

describe('verify on an intact container', () => {
  let intact: Stored;

  beforeAll(async () => {
    intact = await stored();
  });

  afterAll(() => intact.dispose());

  it('passes what produce had acknowledged and ingest has stored', async () => {
    const { code, stdout } = await intact.run('verify', '--ledger', 'run.ndjson');
    expect({ code, stdout }).toMatchObject({ code: 0 });
    expect(stdout).toContain('acknowledged 400   stored 400');
    expect(stdout).toContain('lost 0   duplicated 0   out of order 0');
  });

  it('audits the same events by their own fields, as those of any other producer', async () => {
    const { code, stdout } = await intact.run(
      'verify',
      '--key',
      'deviceId',
      '--sequence',
      'deviceSequenceNumber',
    );
    expect({ code, stdout }).toMatchObject({ code: 0 });
    expect(stdout).toContain('expected 400   stored 400');
  });

  it('says the same when nearly nothing may be kept in memory', async () => {
    const { code, stdout, stderr } = await intact.run(
      'verify',
      '--ledger',
      'run.ndjson',
      '--max-memory',
      '1KB',
    );
    expect({ code, stdout }).toMatchObject({ code: 0 });
    expect(stdout).toContain('acknowledged 400   stored 400');
    expect(stderr).toMatch(/read everything, \S+ KB put aside on disk/);
    const folder = await intact.run(
      'verify',
      '--ledger',
      'run.ndjson',
      '--max-memory',
      '1KB',
      '--scratch',
      'none',
    );
    expect(folder).toMatchObject({ code: 2 });
    expect(folder.stderr).toContain('--scratch <folder>');
    const heap = await intact.run('verify', '--ledger', 'run.ndjson', '--max-memory', '1TB');
    expect(heap).toMatchObject({ code: 2 });
    expect(heap.stderr).toContain('--max-old-space-size=');
  });

  it('asks for the fields when no item can be told for an event', async () => {
    const unnamed = await intact.run('verify', '--key', 'deviceId', '--sequence', 'number');
    expect(unnamed).toMatchObject({ code: 2 });
    expect(unnamed.stderr).toContain('(no whole number at number)');
  });

  it('measures each stretch of the way, the feed by a recording of it', async () => {
    const recording = await intact.run('tail-feed', '--from', 'beginning', '--until-idle', '--json');
    await writeFile(join(intact.folder, 'feed.ndjson'), recording.stdout);
    const report = await intact.run('verify', '--ledger', 'run.ndjson', '--feed', 'feed.ndjson');
    expect(report).toMatchObject({ code: 0 });
    expect(report.stdout).toContain('stored 400   in feed 400');
    for (const hop of ['to Event Hubs', 'to the write', 'to the feed reader', 'end to end'])
      expect(report.stdout).toMatch(new RegExp(`${hop} +400 +\\d`));
    const late = await intact.run('verify', '--ledger', 'run.ndjson', '--late-after', '0.001ms');
    expect(late).toMatchObject({ code: 4 });
    expect(late.stdout).toContain('late 400');
  });

  it('exits with 4 and names an event that was acknowledged and is not stored', async () => {
    const ledger = await readFile(join(intact.folder, 'run.ndjson'), 'utf8');
    await writeFile(
      join(intact.folder, 'more.ndjson'),
      ledger.replace('"acknowledged":{', '"acknowledged":{"ghost":[0,2],'),
    );
    const { code, stdout } = await intact.run('verify', '--ledger', 'more.ndjson');
    expect(code).toBe(4);
    expect(stdout).toContain('lost 3');
    expect(stdout).toContain('lost: ghost #0 to #2, last seen in event hub');
  });

  it('exits with 99 for a crossed threshold when delivery itself is in order', async () => {
    const { code } = await intact.run('verify', '--ledger', 'run.ndjson', '-t', 'unexpected_events:count>5');
    expect(code).toBe(99);
  });

  it('says what is missing instead of guessing', async () => {
    const halves = await intact.run('verify', '--key', 'deviceId');
    expect(halves).toMatchObject({ code: 2 });
    expect(halves.stderr).toContain('--key and --sequence belong together');
    await writeFile(join(intact.folder, 'other.ndjson'), '{"id":"an item of something else"}\n');
    const feed = await intact.run('verify', '--ledger', 'run.ndjson', '--feed', 'other.ndjson');
    expect(feed).toMatchObject({ code: 2 });
    expect(feed.stderr).toMatch(/no line of .*other\.ndjson can be told for an event \(no field pipe\)/);
  });
});

it('verify names what is wrong in a container that another program filled', async () => {
  const stack = await startLocal({ ports: { eventHubs: 0, cosmos: 0, redis: 0, eventGrid: 0, admin: 0 } });
  onTestFinished(() => stack.stop());
  const client = new CosmosClient({
    endpoint: stack.environment['COSMOS_ENDPOINT'] as string,
    key: stack.environment['COSMOS_KEY'] as string,
  });
  const { database } = await client.databases.create({ id: 'shop' });
  const { container } = await database.containers.create({ id: 'telemetry', partitionKey: '/device/name' });
  const hourAgo = new Date(Date.now() - 3_600_000).toISOString();
  const create = (name: string, n: number, more: object = {}) =>
    container.items.create({
      id: `${name}-${n}`,
      device: { name },
      n,
      at: new Date().toISOString(),
      ...more,
    });
  for (let n = 1; n <= 6; n += 1) {
    await create('sound', n);
    if (n !== 3) await create('missing', n);
    await create('doubled', n);
    await create('swapped', n === 4 ? 5 : n === 5 ? 4 : n);
    await create('changed', n, n === 5 ? { n: '5' } : {});
    await create('late', n, n === 6 ? { at: hourAgo } : {});
  }
  await create('doubled', 2, { id: 'another' });
  const verify = (...more: string[]) =>
    cli(
      [
        'verify',
        '--database',
        'shop',
        '--container',
        'telemetry',
        '--key',
        'device.name',
        '--sequence',
        'n',
        ...more,
      ],
      { env: stack.environment },
    );
  const { code, stdout } = await verify('--first', '1', '--time', 'at', '--late-after', '10m');
  client.dispose();
  expect(code).toBe(4);
  expect(stdout).toContain('expected 36   stored 34');
  expect(stdout).toContain('lost 2   duplicated 1   out of order 1   late 1   corrupted 1');
  expect(stdout).toContain('lost: missing #3: a gap in the sequence of its key');
  expect(stdout).toContain('lost: changed #5: a gap in the sequence of its key');
  expect(stdout).toContain('duplicated: doubled #2,');
  expect(stdout).toContain('out of order: swapped #4, last seen in store: comes after 5 of the same key');
  expect(stdout).toContain('corrupted: item changed-5, last seen in store: no whole number at n');
  expect(stdout).toMatch(/late: late #6, .*: 3[56]\d{5} ms after its intended send time/);
  expect(stdout).toMatch(/end to end +34 /);
});

it('verify names an item that was removed, one that was doubled and two that were swapped', async () => {
  const damaged = await stored();
  const connection = await openCosmos({
    endpoint: damaged.stack.environment['COSMOS_ENDPOINT'] as string,
    key: new Secret(damaged.stack.environment['COSMOS_KEY'] as string),
    database: 'pipeline',
    container: 'events',
  });
  try {
    const { resources } = await connection.container.items
      .query<{ id: string; deviceId: string; pipe: { sequence: number } }>(
        'SELECT * FROM c ORDER BY c.deviceSequenceNumber',
      )
      .fetchAll();
    const [removed, doubled, first, second] = ['0', '1', '2', '2'].map((device, index) => {
      const ofDevice = resources.filter(({ deviceId }) => deviceId.endsWith(device));
      return ofDevice[index === 3 ? 6 : 5];
    });
    if (!removed || !doubled || !first || !second) throw new Error('the sample is too small');
    await connection.container.item(removed.id, removed.deviceId).delete();
    await connection.container.items.create({ ...doubled, id: 'doubled' });
    await connection.container.items.upsert({ ...first, pipe: second.pipe });
    await connection.container.items.upsert({ ...second, pipe: first.pipe });
  } finally {
    connection.dispose();
  }
  const { code, stdout } = await damaged.run('verify', '--ledger', 'run.ndjson');
  await damaged.dispose();
  expect(code).toBe(4);
  expect(stdout).toMatch(/lost 1 {3}duplicated 1 {3}out of order [12] /);
  expect(stdout).toMatch(/lost: \S+0 #5, last seen in event hub/);
  expect(stdout).toMatch(/duplicated: \S+1 #5,/);
  expect(stdout).toMatch(/out of order: \S+2 #[56],/);
});
