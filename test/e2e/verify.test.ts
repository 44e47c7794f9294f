import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
  });
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
