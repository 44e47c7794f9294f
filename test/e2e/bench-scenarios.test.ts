import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseRunReport } from '../../src/report/schema.ts';
import { SCENARIOS } from '../../src/workload/scenarios.ts';
import { type RunningCli, spawnCli } from '../helpers/cli.ts';
import { eventually } from '../helpers/eventually.ts';

/** Of a running stack that the commands in it find: starting one for each scenario would take longer than the loads. */
let folder: string;
let stack: RunningCli;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cosmos-pipe-scenarios-'));
  stack = spawnCli(['local', '--free-ports'], { cwd: folder });
  await eventually(() => existsSync(join(folder, '.cosmos-pipe/local.json')));
});

afterAll(async () => {
  stack.child.kill('SIGTERM');
  await stack.done;
  await rm(folder, { recursive: true, force: true });
});

const SMALL = ['--rate', '300/s', '--events', '60', '--warmup', '0s', '--json'];

it.each(Object.keys(SCENARIOS))('runs the scenario %s', async (name) => {
  const { code, stdout, stderr } = await spawnCli(['bench', '--scenario', name, ...SMALL], { cwd: folder })
    .done;
  // So small a load is never throttled, and so short a one says nothing about growth, which those scenarios expect.
  expect({ code, stderr }).toMatchObject({ code: ['soak', 'throttle'].includes(name) ? 99 : 0 });
  expect(parseRunReport(JSON.parse(stdout), name)).toMatchObject({
    config: { scenario: name },
    verdict: { ok: true, acknowledged: 60 },
  });
});

it('runs the scenario cache as large as it is told to', async () => {
  const { code, stdout, stderr } = await spawnCli(
    ['bench', '--scenario', 'cache', '--events', '300', '--keys', '40', '--json'],
    { cwd: folder },
  ).done;
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(JSON.parse(stdout)).toMatchObject({ requests: 300 });
});

it('searches the highest rate within a limit on trials, and reports a run at it', async () => {
  const { code, stdout, stderr } = await spawnCli(
    [
      ...['bench', '--find-max', '--rate', '50/s', '--trial', '300ms', '--warmup', '0s', '--max-trials', '2'],
      ...['--no-cache', '--json', '-o', 'max.json'],
    ],
    { cwd: folder },
  ).done;
  const { search } = parseRunReport(JSON.parse(stdout), 'stdout');
  const [first, second, ...more] = search?.trials ?? [];
  // On a busy machine the generator itself may fail the first trial, which then is made again.
  expect([first?.ratePerSecond, second?.ratePerSecond]).toEqual([50, first?.held ? 100 : 50]);
  expect(more).toEqual([]);
  expect({ code, stderr }).toMatchObject({ code: search?.ratePerSecond === 0 ? 99 : 0 });
  expect(JSON.parse(await readFile(join(folder, 'max.json'), 'utf8'))).toMatchObject({ search });
});

it('fails where not one event could be sent, although none was lost', async () => {
  const argv = ['bench', '--rate', '50/s', '--events', '3', '--size', '2MB', '--warmup', '0s', '--no-cache'];
  const { code, stdout } = await spawnCli(argv, { cwd: folder }).done;
  expect(stdout.trimStart()).toMatch(
    /^! these results are not trustworthy\n +none of 3 events was sent: 3 oversized/,
  );
  expect(stdout).toContain('lost 0');
  expect(code).toBe(1);
});

it('marks the report of a search that was interrupted, and says on stdout what it had found', async () => {
  const argv = ['bench', '--find-max', '--trial', '5m', '--warmup', '0s', '--no-cache'];
  const running = spawnCli(argv, { cwd: folder });
  await eventually(() => running.stderr().includes('the first at 1,000 events/s'));
  running.child.kill('SIGINT');
  const { code, stderr, stdout } = await running.done;
  expect({ code, stderr }).toMatchObject({
    code: 130,
    stderr: expect.stringContaining('stopping: what was sent is carried through and verified'),
  });
  expect(stderr).not.toContain('failed');
  expect(stdout.trimStart()).toMatch(/^! these results are not trustworthy\n +the search was interrupted/);
  expect(stdout).toMatch(/\n\n {2}no rate held: the search was stopped\n$/);
});

it('repeats a load, and prices it by a sheet of its own', async () => {
  await writeFile(join(folder, 'prices.yaml'), 'name: ours\nfigures: { provisionedPer100RuHour: 7 }\n');
  const { code, stdout, stderr } = await spawnCli(
    ['bench', ...SMALL, '--repeat', '2', '--no-cache', '--prices', 'prices.yaml'],
    { cwd: folder },
  ).done;
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const { cost, repeats } = parseRunReport(JSON.parse(stdout), 'stdout');
  expect(repeats?.runs).toHaveLength(2);
  expect(cost?.prices).toBe('ours');
});

it('says first that a generator could not keep up, and that its figures are worth nothing', async () => {
  const { code, stdout } = await spawnCli(
    ['bench', '--events', '10000', '--rate', '1000000/s', '--warmup', '0s', '--no-cache', '-o', 'late.json'],
    { cwd: folder },
  ).done;
  expect(stdout.trimStart()).toMatch(/^! these results are not trustworthy\n +\d+ of 10000 arrivals/);
  expect(JSON.parse(await readFile(join(folder, 'late.json'), 'utf8'))).toMatchObject({ valid: false });
  expect(code).toBe(0);
});
