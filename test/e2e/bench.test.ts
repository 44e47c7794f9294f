import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseRunReport } from '../../src/report/schema.ts';
import { spawnCli } from '../helpers/cli.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cosmos-pipe-bench-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

it('carries a load through the embedded stack and finds every event in the container, the feed and the cache', async () => {
  const { code, stdout, stderr } = await spawnCli(
    [
      'bench',
      '--events',
      '1500',
      '--rate',
      '750/s',
      '--json',
      '-o',
      'bench.xml',
      '-t',
      'lost_events:count==0',
    ],
    { cwd: folder },
  ).done;
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const report = parseRunReport(JSON.parse(stdout), 'stdout');
  expect(report.verdict).toMatchObject({
    ok: true,
    acknowledged: 1_500,
    ledger: 'complete',
    totals: { lost: 0, duplicated: 0, outOfOrder: 0, corrupted: 0, unexpected: 0 },
  });
  expect(report.verdict?.places.map(({ place, events }) => [place, events])).toEqual([
    ['store', 1_500],
    ['feed', 1_500],
    ['cache', 1_500],
  ]);
  expect(report.stages.map(({ name, done }) => [name, done])).toEqual([
    ['produce', 1_500],
    ['ingest', 1_500],
    ['feed', 1_500],
    ['cache', 1_500],
  ]);
  expect(report.endToEnd?.count).toBe(1_500);
  expect(report.ru?.operations.upsert?.count).toBe(1_500);
  expect(report.bottleneck?.sentence).toBeTruthy();
  expect(await readFile(join(folder, 'bench.xml'), 'utf8')).toContain('name="lost_events:count==0"');
});

it('ends early on SIGINT, verifies what was sent, and says that it was interrupted', async () => {
  const running = spawnCli(
    ['bench', '--events', '100000', '--rate', '500/s', '--warmup', '0s', '--no-cache'],
    { cwd: folder },
  );
  await new Promise<void>((resolve) => {
    running.child.stderr?.on('data', () => {
      if (running.stderr().includes('pipeline  produce')) resolve();
    });
  });
  running.child.kill('SIGINT');
  const { code, stdout } = await running.done;
  expect({ code, stdout }).toMatchObject({ code: 130 });
  expect(stdout).toContain('the run was interrupted before its end');
  expect(stdout).toContain('lost 0   duplicated 0   out of order 0');
});

it('exits with 99 and names the crossed threshold', async () => {
  const { code, stdout } = await spawnCli(
    [
      'bench',
      '--events',
      '100',
      '--rate',
      '500/s',
      '--warmup',
      '0s',
      '--no-cache',
      '-t',
      'sent_rate:avg>1000000/s',
    ],
    { cwd: folder },
  ).done;
  expect(code).toBe(99);
  expect(stdout).toMatch(/✗ +sent_rate:avg>1000000\/s/);
});
