import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli } from '../helpers/cli.ts';
import { sampleReport } from '../report/sample-report.ts';

let cwd: string;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'cosmos-pipe-plan-'));
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

describe('cosmos-pipe plan', () => {
  it('sizes a pipeline and says why', async () => {
    const { code, stdout } = await cli(['plan', '--rate', '5000/s', '--size', '1KB'], { cwd });
    expect(code).toBe(0);
    expect(stdout).toMatch(/throughput units +6\n/);
    expect(stdout).toMatch(/a write +11\.25 RU/);
    expect(stdout).toContain('CHEAPEST');
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(110);
  });

  it('exits 99 with the reason when nothing that can be bought carries the load', async () => {
    const { code, stdout } = await cli(['plan', '--rate', '9000/s', '--keys', '3'], { cwd });
    expect(code).toBe(99);
    expect(stdout).toContain('no throughput can save it');
  });

  it('takes prices from a file that its own template made', async () => {
    const template = await cli(['plan', '--prices-template'], { cwd });
    const prices = template.stdout
      .replace(/^name: .*$/m, 'name: our agreement')
      .replace(/autoscalePer100RuHour: [\d.]+/, 'autoscalePer100RuHour: 9')
      .replace(/^currency: USD$/m, 'currency: EUR');
    await writeFile(join(cwd, 'prices.yaml'), prices);
    const { code, stdout } = await cli(['plan', '--rate', '2000/s', '--prices', 'prices.yaml', '--json'], {
      cwd,
    });
    expect(code).toBe(0);
    const plan = JSON.parse(stdout) as {
      choice: { cost: { currency: string; prices: string }; store: { name: string } };
    };
    expect(plan.choice.cost).toMatchObject({ currency: 'EUR', prices: 'our agreement' });
    expect(plan.choice.store.name).toBe('provisioned for the peak');
  });

  it('rests on a measured report where one is given', async () => {
    await writeFile(join(cwd, 'bench.json'), JSON.stringify(sampleReport()));
    const { stdout } = await cli(['plan', '--rate', '1000/s', '--from', 'bench.json'], { cwd });
    expect(stdout).toMatch(/a write +7 RU\n +measured in bench\.json/);
  });

  it('refuses a rate of nothing', async () => {
    const { code, stderr } = await cli(['plan', '--rate', '0/s'], { cwd });
    expect(code).toBe(2);
    expect(stderr).toContain('a plan needs a rate');
  });
});

describe('cosmos-pipe simulate', () => {
  it('predicts a run that is short of request units, in every format', async () => {
    const { code, stderr, stdout } = await cli(
      [
        'simulate',
        '--rate',
        '1000/s',
        '--duration',
        '20s',
        '--throughput',
        '6000',
        '-o',
        'day.json',
        '-o',
        'day.html',
      ],
      { cwd },
    );
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /backlog up to [\d,]+ events, lag up to [\d.]+s, drained [\d.]+s after the end of the load/,
    );
    expect(stdout).toMatch(/ingest was [\d,]+ events behind/);
    const report = JSON.parse(await readFile(join(cwd, 'day.json'), 'utf8')) as { kind: string };
    expect(report.kind).toBe('simulate');
    expect(await readFile(join(cwd, 'day.html'), 'utf8')).toContain('</html>');
  });

  it('gives enough of everything that is not named', async () => {
    const { code, stderr } = await cli(['simulate', '--rate', '3000/s', '--duration', '1m'], { cwd });
    expect(code).toBe(0);
    expect(stderr).toContain('nothing queued for a second');
  });

  it('exits 99 for a crossed threshold', async () => {
    const { code } = await cli(
      [
        'simulate',
        '--rate',
        '1000/s',
        '--duration',
        '20s',
        '--throughput',
        '6000',
        '-t',
        'e2e_latency:p(99)<1s',
      ],
      { cwd },
    );
    expect(code).toBe(99);
  });

  it.each([
    '--throughput',
    '--partitions',
    '--consumers',
    '--physical-partitions',
    '--keys',
    '--throughput-units',
  ])('refuses a pipeline of nothing: %s 0', async (flag) => {
    const { code, stderr } = await cli(['simulate', flag, '0'], { cwd });
    expect(code).toBe(2);
    expect(stderr).toContain(`error: ${flag} must be more than 0`);
  });

  it('follows a shape and ramps', async () => {
    const shaped = await cli(['simulate', '--shape', 'sine(100/s,900/s,1h)', '--duration', '1h', '--json'], {
      cwd,
    });
    expect(JSON.parse(shaped.stdout)).toMatchObject({ load: { requestedEvents: 1_800_000 } });
    const ramped = await cli(['simulate', '--stages', '10s:1000/s,10s:0/s', '--duration', '20s', '--json'], {
      cwd,
    });
    expect(JSON.parse(ramped.stdout)).toMatchObject({ load: { requestedEvents: 10_000 } });
  });
});
