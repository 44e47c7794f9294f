import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseRunReport } from '../../src/report/schema.ts';
import { spawnCli } from '../helpers/cli.ts';
import { REFUSING_PORT } from '../helpers/ports.ts';

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
      '--warmup',
      '500ms',
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

it('exits with 3 where nothing answers, and with 2 for a threshold that no run could meet', async () => {
  const port = REFUSING_PORT;
  const env = {
    EVENTHUB_CONNECTION_STRING: `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=a;SharedAccessKey=b;EntityPath=e;UseDevelopmentEmulator=true`,
    COSMOS_ENDPOINT: `http://127.0.0.1:${port}`,
    COSMOS_KEY: 'aaaa',
  };
  const argv = ['bench', '--target', 'env', '--yes', '--no-cache', '--events', '10', '--warmup', '0s'];
  const [absent, mistyped] = await Promise.all([
    spawnCli(argv, { cwd: folder, env }).done,
    spawnCli(['bench', '-t', 'e2e_latencey:p(99)<1s'], { cwd: folder }).done,
  ]);
  expect(absent).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('[E_UNREACHABLE]') });
  expect(mistyped).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringMatching(
      /^error: .* there is no metric e2e_latencey \[E_USAGE\]\n hint: did you mean e2e_latency\?/,
    ),
  });
});

it('exits with 4 when events come later than the scenario allows', async () => {
  await writeFile(
    join(folder, 'late.yaml'),
    'scenarios: { late: { phases: [{ duration: 300ms, rate: 200/s }], cache: false, warmup: 0s, verify: { lateAfter: 1ms } } }\n',
  );
  const argv = ['bench', '--scenario', 'late', '--config', 'late.yaml', '-t', 'lost_events:count==0'];
  const { code, stdout } = await spawnCli(argv, { cwd: folder }).done;
  expect({ code, stdout }).toMatchObject({ code: 4 });
  expect(stdout).toMatch(/✗ lost 0 {3}duplicated 0 {3}out of order 0 {3}late \d+/);
});

it('runs a scenario of the pipeline file, with faults at their times', async () => {
  // A fault comes and goes by the clock: it lasts longer than the load may stand still.
  await writeFile(
    join(folder, 'pipeline.yaml'),
    `scenarios:
  mine:
    phases:
      - { duration: 1s, rate: 200/s }
      - { duration: 7s, rate: 100/s, faults: ['cosmos:throttle=50%'] }
    workload: { keys: { count: 20 } }
    throughput: 30000
    cache: false
    warmup: 0s
    thresholds: ['lost_events:count==0', 'throttled:count>0']
`,
  );
  const { code, stdout, stderr } = await spawnCli(['bench', '--scenario', 'mine', '--json'], { cwd: folder })
    .done;
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const report = parseRunReport(JSON.parse(stdout), 'stdout');
  expect(report.config).toMatchObject({ scenario: 'mine', faults: ['cosmos:throttle=50%@1s+7s'] });
  expect(report.ru).toMatchObject({ provisionedPerSecond: 30_000 });
  expect(report.verdict).toMatchObject({ ok: true });
  expect(report.verdict?.acknowledged).toBeGreaterThan(850);
});

it('stops the load when a threshold is crossed, and says which', async () => {
  const { code, stdout, stderr } = await spawnCli(
    [
      'bench',
      ...['--events', '100000', '--rate', '200/s', '--warmup', '0s', '--no-cache', '--repeat', '2'],
      ...['--abort-on-fail', '-t', 'ingest_events:count>90000', '-t', 'ingest_latency:p(50)<1us'],
    ],
    { cwd: folder },
  ).done;
  expect(code).toBe(99);
  expect(stderr).toContain('stopping: ingest_latency:p(50)<1us was crossed');
  expect(stderr).not.toContain('run 2 of 2');
  expect(stdout).toContain('the load was stopped when ingest_latency:p(50)<1us was crossed');
  expect(stdout).toContain('lost 0   duplicated 0   out of order 0');
});

it('sends events round through Event Grid and the change feed with --scenario events', async () => {
  const argv = ['bench', '--scenario', 'events', '--events', '300', '--json'];
  const { code, stdout, stderr } = await spawnCli(argv, { cwd: folder }).done;
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(JSON.parse(stdout)).toMatchObject({
    kind: 'events',
    published: 300,
    stored: 300,
    returned: 300,
    lost: 0,
  });
});
