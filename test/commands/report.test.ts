import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_SHEET } from '../../src/capacity/sheet.ts';
import { findMaxRate } from '../../src/pipeline/bench/find-max.ts';
import { costOfRun } from '../../src/report/cost-of-run.ts';
import { reportOfVerify } from '../../src/report/from-verify.ts';
import { mergeReports } from '../../src/report/merge.ts';
import { joinRepeats } from '../../src/report/repeat.ts';
import type { RunReport } from '../../src/report/run-report.ts';
import { cli } from '../helpers/cli.ts';
import { sampleReport, sampleStage } from '../report/sample-report.ts';

let folder: string;
const run = (...argv: string[]) => cli(argv, { cwd: folder });

/** Saves a report in which nothing was lost, unless told otherwise. */
function save(name: string, overrides: Partial<RunReport> = {}): string {
  const { verdict: _verdict, ...rest } = sampleReport();
  writeFileSync(join(folder, name), JSON.stringify({ ...rest, thresholds: [], ...overrides }));
  return name;
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cosmos-pipe-report-'));
  save('good.json');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('report', () => {
  it('exits with 0 when everything holds, 99 when a threshold is crossed, and 4 when events are missing as well', async () => {
    expect(await run('report', 'good.json', '-t', 'e2e_latency:p(99)<1m')).toMatchObject({ code: 0 });
    const crossed = await run('report', 'good.json', '-t', 'e2e_latency:p(99)<1ms');
    expect(crossed).toMatchObject({ code: 99 });
    expect(crossed.stdout).toMatch(/✗ +e2e_latency:p\(99\)<1ms +119ms/);
    const { verdict } = sampleReport();
    save('lossy.json', verdict && { verdict });
    expect(await run('report', 'lossy.json', '-t', 'lost_events:count==0')).toMatchObject({ code: 4 });
  });

  it('exits with 2 for an expression that is none, a file that is none, and a format that is none', async () => {
    for (const argv of [
      ['good.json', '-t', 'fast'],
      ['missing.json'],
      ['good.json', '-o', 'report.pdf'],
      ['good.json', '--prices', 'missing.yaml'],
      [],
    ]) {
      const { code, stderr } = await run('report', ...argv);
      expect({ argv, code }).toEqual({ argv, code: 2 });
      expect(stderr).toMatch(/^error: .*\n hint: /);
    }
  });

  it('prints the report although a file cannot be written, and finds that out before a run', async () => {
    const late = await run('report', 'good.json', '-o', 'nowhere/report.md');
    expect(late).toMatchObject({ code: 2 });
    expect(late.stdout).toContain('RESULTS');
    const early = await run('simulate', '--duration', '10s', '-o', 'nowhere/report.md');
    expect(early).toMatchObject({ code: 2, stdout: '' });
    expect(early.stderr).toContain('cannot write nowhere/report.md');
  });

  it('names the way out that fits why a file cannot be written', async () => {
    const absent = await run('report', 'good.json', '-o', 'nowhere/report.md');
    expect(absent.stderr).toMatch(/ENOENT.*\n hint: make the folder first: mkdir -p .*nowhere\n/);
    mkdirSync(join(folder, 'taken.md'));
    const taken = await run('compare', 'good.json', save('other.json', { run: 'run-2' }), '-o', 'taken.md');
    expect(taken).toMatchObject({ code: 2 });
    expect(taken.stderr).toMatch(
      /taken\.md \(EISDIR.*\n hint: name a file in a folder that you can write to/,
    );
  });

  it('adds to the step summary of GitHub Actions, and annotates what its log would not decode otherwise', async () => {
    const summary = join(folder, 'summary.md');
    const inActions = (...argv: string[]) =>
      cli(argv, { cwd: folder, env: { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary } });
    const crossed = ['-t', 'hottest_range:rate<1%'];
    const told = await inActions('report', 'good.json', ...crossed, '-o', 'nowhere/a.md', '-o', 'b.md');
    expect(told.stderr).toContain(
      '::error title=cosmos-pipe bench::hottest_range:rate<1%25 was 57.1%25\nerror: cannot write',
    );
    expect(readFileSync(summary, 'utf8')).toBe(`${readFileSync(join(folder, 'b.md'), 'utf8')}\n`);
    expect(await inActions('report', 'good.json', ...crossed, '--json')).toMatchObject({
      code: 99,
      stderr: '',
    });
    const slow = save('slower.json', { endToEnd: sampleStage('feed', { latencyMs: 90 }).latency });
    const compared = await inActions('compare', 'good.json', slow, '--quiet');
    expect(compared.stderr).toMatch(/^::error title=cosmos-pipe compare::\d of \d+ figures .* 10.0%25\n$/);
    const unwritable = await cli(['report', 'good.json'], {
      cwd: folder,
      env: { GITHUB_STEP_SUMMARY: folder },
    });
    expect(unwritable).toMatchObject({ code: 0, stderr: expect.stringContaining('step summary') });
  });

  it('says which run it shows, and what its repeats found', async () => {
    const { verdict: _verdict, ...rest } = sampleReport();
    const again = { ...rest, run: 'run-2', thresholds: [] };
    writeFileSync(
      join(folder, 'repeated.json'),
      JSON.stringify(joinRepeats([{ ...rest, thresholds: [] }, again])),
    );
    const { stdout } = await run('report', 'repeated.json', '-o', 'repeated.txt');
    expect(stdout).toMatch(/10,000 events at 1,000 events\/s\n {2}bench run-1, 2026-11-23T01:02:03.000Z\n/);
    expect(stdout).toMatch(/METRIC +MEDIAN +RANGE +NOISE\n +e2e_latency p\(50\) +89ms/);
    expect(stdout.trim()).toBe(readFileSync(join(folder, 'repeated.txt'), 'utf8').trim());
  });

  it('adds shards only: not the same file twice, nor a prediction to a run', async () => {
    const twice = await run('report', 'good.json', './good.json');
    expect(twice).toMatchObject({ code: 2, stdout: '' });
    expect(twice.stderr).toContain(
      './good.json is the same report as good.json, and would count every event twice',
    );
    const mixed = await run('report', 'good.json', save('predicted.json', { kind: 'simulate' }));
    expect(mixed).toMatchObject({ code: 2 });
    expect(mixed.stderr).toContain('cannot add predicted.json, a simulate, to good.json, a bench');
    expect(await run('report', 'metrics', 'good.json')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('`report metrics` takes no file, got good.json'),
    });
  });

  it('tells a report of a newer version, a broken histogram and a byte order mark apart', async () => {
    const good = readFileSync(join(folder, 'good.json'), 'utf8');
    const told = async (text: string) => {
      writeFileSync(join(folder, 'odd.json'), text);
      const { code, stderr } = await run('report', 'odd.json', '-t', 'e2e_latency:p(97)<1h');
      return `${code} ${stderr}`;
    };
    expect(await told(good.replace('"schemaVersion":1', '"schemaVersion":2'))).toMatch(
      /^2 error: .*odd\.json is a run report of version 2, and this cosmos-pipe reads version 1 .*\n hint: install/,
    );
    expect(await told(good.replace('"histogramMicros":"HIST', '"histogramMicros":"MIST'))).toMatch(
      /^2 error: .*\(stages\.0\.serviceTime\.histogramMicros: Invalid histogram\)/,
    );
    expect(await told('[]')).toContain('of version 1 (Invalid input: expected object, received array)');
    expect(await told(`\ufeff${good}`)).toMatch(/^0 /);
  });

  it('prices a saved run by a sheet, and the shards of one together', async () => {
    writeFileSync(join(folder, 'dear.yaml'), 'name: dear\nfigures: { provisionedPer100RuHour: 1 }\n');
    const one = await run('report', 'good.json', '--prices', 'dear.yaml', '--json');
    expect(JSON.parse(one.stdout)).toMatchObject({ cost: { currency: 'USD', prices: 'dear' } });
    const both = await run('report', 'good.json', save('other.json', { run: 'run-2' }));
    expect(both.stdout).toContain('built-in list prices');
  });
});

describe('compare', () => {
  it('exits with 99 for a regression beyond the limit, and with 0 within it', async () => {
    const slow = sampleStage('feed', { latencyMs: 90 }).latency;
    save('slow.json', { endToEnd: slow });
    expect(await run('compare', 'good.json', 'slow.json')).toMatchObject({ code: 99 });
    expect(await run('compare', 'good.json', 'slow.json', '--max-regression', '80%')).toMatchObject({
      code: 0,
    });
    expect(await run('compare', 'good.json')).toMatchObject({ code: 2 });
    const meant = await run('compare', 'good.json', 'slow.json', '--max-regression', '10');
    expect(meant).toMatchObject({ code: 2 });
    expect(meant.stderr).toContain('--max-regression: invalid share "10", expected for example 1% or 0.01');
    expect(await run('compare', 'good.json', 'slow.json', '--max-regression', '150%')).toMatchObject({
      code: 0,
    });
  });
});

describe('the published schema', () => {
  const ajv = new Ajv2020({ allErrors: true });
  addFormats.default(ajv);
  const validate = ajv.compile(
    JSON.parse(readFileSync('src/report/run-report.v1.schema.json', 'utf8')) as object,
  );

  async function searched(): Promise<RunReport> {
    const search = await findMaxRate({
      startPerSecond: 100,
      precision: 0.05,
      confirmations: 2,
      maxTrials: 20,
      signal: new AbortController().signal,
      trial: async (ratePerSecond) =>
        ratePerSecond < 150
          ? { ratePerSecond, held: true }
          : { ratePerSecond, held: false, reason: 'arrivals came late', generatorLimited: true },
    });
    return { ...sampleReport(), search };
  }

  function verified(): RunReport {
    const { verdict } = sampleReport();
    if (verdict === undefined) throw new Error('the sample has a verdict');
    const about = {
      title: 'verify',
      run: 'r',
      toolVersion: '0.0.0',
      startedMicros: 1,
      durationMs: 1,
      env: {},
      config: {},
    };
    return reportOfVerify(verdict, { ...about, thresholds: [] });
  }

  const cost = costOfRun(sampleReport(), DEFAULT_SHEET);
  it.each<[string, () => RunReport | Promise<RunReport>]>([
    ['a bench', () => sampleReport(cost && { cost })],
    ['repeated runs', () => joinRepeats([sampleReport({ run: 'a' }), sampleReport({ run: 'b' })])],
    ['a search', searched],
    ['a verification', verified],
    ['shards', () => mergeReports([sampleReport(), sampleReport()])],
    ['an aborted run', () => sampleReport({ valid: false, doubts: ['stopped'] })],
  ])('fits %s', async (_, make) => {
    validate(JSON.parse(JSON.stringify(await make())));
    expect(validate.errors).toBeNull();
  });

  it('fits a prediction', async () => {
    const { stdout } = await run(
      'simulate',
      '--rate',
      '900/s',
      '--duration',
      '20s',
      '--throughput',
      '6000',
      '--json',
    );
    validate(JSON.parse(stdout));
    expect(validate.errors).toBeNull();
  });
});
