import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { BenchValues } from '../../commands/bench-options.ts';
import { besideScenario } from '../../commands/bench-scenario.ts';
import type { Scenario } from '../../src/workload/scenario.ts';
import { cli } from '../helpers/cli.ts';

const PHASE = 'phases: [{ duration: 5s, rate: 10/s }]';

/** Runs `bench` beside a pipeline file, and gives back the lines that it wrote: nothing of a stack may be among them. */
async function refused(file: string, ...flags: string[]): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cosmos-pipe-scenario-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'pipeline.yaml'), file);
  const { code, stdout, stderr } = await cli(['bench', ...flags], { cwd: folder });
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  return stderr.replaceAll(folder, '').trimEnd().split('\n');
}

it.each([
  ['mine: { phases: [{ duration: 0s, rate: 1/s }] }', 'mine.phases.0.duration: expected more than 0s'],
  ['mine: { phases: [{ duration: 5s, rate: 0/s }] }', 'mine: sends nothing, expected a phase with a rate'],
  [`mine: { ${PHASE}, throughput: 4321 }`, 'mine.throughput: expected 400 to 1,000,000 RU/s in steps of 100'],
  [
    `mine: { ${PHASE}, faults: ["redis:reset@5s"] }`,
    'mine.faults: redis:reset@5s begins after the load, which lasts 5.0s',
  ],
  [
    `mine: { ${PHASE}, workload: { types: [{ template: { a: $.Nope } }] } }`,
    'mine.workload: the template uses $.Nope, which is no variable',
  ],
])('refuses the scenario %s before a stack starts, with its file and place', async (entry, problem) => {
  const [error, hint, ...more] = await refused(`scenarios:\n  ${entry}\n`, '--scenario', 'mine');
  expect(error).toContain(`error: /pipeline.yaml: scenarios.${problem}`);
  expect(error).toMatch(/\[E_CONFIG\]$/);
  expect(hint).toMatch(/^ hint: for example phases: \[/);
  expect(more).toEqual([]);
});

it('lists the entries of a scenario where one is unknown', async () => {
  const [error, hint] = await refused('scenarios: { mine: { phase: [] } }', '--scenario', 'mine');
  expect(error).toContain('/pipeline.yaml: scenarios.mine: unknown entry phase');
  expect(hint).toMatch(/^ hint: a scenario has description, phases \(duration, rate, to, faults\), /);
});

it('refuses scenarios that are none, and one that has the name of a load of another kind', async () => {
  expect(await refused('scenarios: 5', '--scenario', 'mine')).toEqual([
    expect.stringContaining('/pipeline.yaml: scenarios: expected a mapping, got 5'),
    expect.stringContaining('for example'),
  ]);
  expect(await refused(`scenarios: { cache: { ${PHASE} } }`, '--scenario', 'cache')).toEqual([
    expect.stringContaining('/pipeline.yaml: scenarios.cache: a ready-made load has this name'),
    ' hint: give it another name',
  ]);
});

it('puts a scenario before what the file has for every load, and flags before both', async () => {
  const scenario: Scenario = {
    name: 'mine',
    description: '',
    workload: { stages: '0s:9/s,5s:9/s', keys: { count: 7 } },
    warmupMs: 0,
    faults: [],
    thresholds: [],
  };
  const values = { rate: 100, keys: 50, size: '2KB', warmup: 3_000, cache: false } as BenchValues;
  expect(besideScenario(values, scenario, () => true)).toEqual({ size: '2KB', cache: false });
  expect(besideScenario(values, scenario, (option) => option !== 'rate')).toEqual({
    rate: 100,
    size: '2KB',
    cache: false,
  });
  expect(besideScenario(values, scenario, () => false)).toEqual(values);
});

it('lets a search ignore the length that the file has for every load', async () => {
  const flags = ['--find-max', '--fault', 'redis:reset@10s'];
  expect(await refused('bench: { duration: 60s, events: 9, repeat: 3 }', ...flags)).toEqual([
    expect.stringContaining('begins after the load, which lasts 10.0s'),
    expect.anything(),
  ]);
});

it.each([
  [['--throughput', '450'], '--throughput: expected 400 to 1,000,000 RU/s in steps of 100, got "450"'],
  [['--duration', '5s', '--fault', 'redis:reset@5s'], '--fault: redis:reset@5s begins after the load'],
  [['--find-max', '--fault', 'redis:reset@10s'], '--fault: redis:reset@10s begins after the load'],
  [['--stages', '5s:0/s'], 'the load sends nothing'],
  [['--seed', '4294967296'], '--seed: expected a whole number from 0 to 4,294,967,295'],
  [['--abort-on-fail'], '--abort-on-fail has no threshold to abort on'],
  [['--find-max', '--repeat', '2'], '--find-max and --repeat exclude each other'],
  [['--find-max', '--duration', '9s'], '--find-max and --duration exclude each other'],
  [['--find-max', '--events', '9'], '--find-max and --events exclude each other'],
  [['--find-max', '--stages', '5s:9/s'], '--find-max and --stages exclude each other'],
])('refuses %j before a stack starts', async (flags, problem) => {
  const [error, hint, ...more] = await refused('', ...flags);
  expect(error).toContain(`error: ${problem}`);
  expect(hint).toMatch(/^ hint: /);
  expect(more).toEqual([]);
});
