import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunReport } from '../../src/report/run-report.ts';
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

  it.each([
    ['--rate 5000/s --peak 500/s', '--peak: 500/s is below the --rate of 5,000/s'],
    ['--peak 5000/s --peak-duration 25h', '--peak-duration: a daily peak lasts a day at most, got 25h00m'],
    ['--peak 5000/s --peak-duration 0s', '--peak-duration: expected more than 0s'],
    ['--retention 0s', '--retention: expected more than 0s'],
    ['--consumer-groups 0', '--consumer-groups: expected a whole number from 1'],
    ['--rate 1000000000/s', 'physical partitions, more than the 100,000 that a plan takes'],
  ])('refuses %s', async (flags, message) => {
    const { code, stderr, stdout } = await cli(['plan', ...flags.split(' ')], { cwd });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
  });

  it('shows what is tiny as it is', async () => {
    const tiny = ['plan', '--rate', '1/h', '--size', '10B', '--keys', '1', '--retention', '1m'];
    const { code, stdout, stderr } = await cli(tiny, { cwd });
    expect(code).toBe(0);
    expect(stderr).toContain('load  0.0003 events/s; 10 B each; 1 key,');
    expect(stdout).toMatch(/ingress +0\.0003 events\/s, 0\.05 B\/s/);
    expect(stdout).toMatch(/storage +5\.1 B\n +0\.0003 items\/s x 266 B and 15% index, for 1m00s/);
    expect(stdout).toMatch(/with skew headroom +400 RU\/s\n +a container has at least 400 RU\/s/);
  });

  it('takes fewer large events for a consumer, unless it is told', async () => {
    const consumers = async (...flags: string[]): Promise<number> => {
      const { stdout } = await cli(['plan', '--rate', '500/s', '--retention', '1h', '--json', ...flags], {
        cwd,
      });
      return (JSON.parse(stdout) as { needs: { consumers: number } }).needs.consumers;
    };
    expect(await consumers('--size', '1KB')).toBe(1);
    expect(await consumers('--size', '200KB')).toBe(5);
    expect(await consumers('--size', '200KB', '--consumer-rate', '250/s')).toBe(2);
  });

  it('rests on a measured report where one is given', async () => {
    await writeFile(join(cwd, 'bench.json'), JSON.stringify(sampleReport()));
    const { stdout } = await cli(['plan', '--rate', '1000/s', '--from', 'bench.json'], { cwd });
    expect(stdout).toMatch(/a write +7 RU\n +measured in bench\.json/);
  });

  it('does not take a prediction for a measured run', async () => {
    await writeFile(join(cwd, 'predicted.json'), JSON.stringify({ ...sampleReport(), kind: 'simulate' }));
    const { code, stderr } = await cli(['plan', '--from', 'predicted.json'], { cwd });
    expect(code).toBe(2);
    expect(stderr).toContain('--from: predicted.json is a prediction, and nothing was measured in it');
  });

  it('is one document with every number, whose members docs/capacity.md names', async () => {
    const { stdout } = await cli(['plan', '--rate', '2000/s', '--keys', '100', '--json'], { cwd });
    const plan = JSON.parse(stdout) as { readonly needs: object };
    expect(Object.keys(plan)).toEqual([
      'target',
      'needs',
      'figures',
      'options',
      'currency',
      'choice',
      'warnings',
    ]);
    expect(Object.keys(plan.needs)).toEqual([
      'ratePerSecond',
      'eventBytes',
      'throughputUnits',
      'hubPartitions',
      'consumers',
      'itemBytes',
      'ruPerWrite',
      'ruPerChange',
      'ruPerSecondWithoutHeadroom',
      'ruPerSecond',
      'skew',
      'physicalPartitions',
      'possible',
      'storedGb',
      'hottestKey',
    ]);
    const docs = await readFile('docs/capacity.md', 'utf8');
    for (const member of Object.keys(plan)) expect(docs).toContain(`\`${member}\``);
  });

  it.each([
    ['figures: [1', 'is not valid YAML', 'plan --prices-template > prices.yaml'],
    ['figures: { storageGb: 1 }', 'did you mean storageGbMonth', 'plan --prices-template'],
    ['storageGbMonth: 1', 'stands beside figures', 'figures: { storageGbMonth: ... }'],
    ['currency: EUR', 'would stay in USD', 'give every price'],
  ])('says in one line what is wrong with the prices %j', async (text, error, hint) => {
    await writeFile(join(cwd, 'wrong.yaml'), text);
    const { code, stderr, stdout } = await cli(['plan', '--prices', 'wrong.yaml'], { cwd });
    expect([code, stdout]).toEqual([2, '']);
    const [first, second, ...others] = stderr.trimEnd().split('\n');
    expect(first).toMatch(/^error: .*wrong\.yaml/);
    expect(first).toContain(error);
    expect(second).toContain(hint);
    expect(others).toEqual([]);
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

  it('predicts what an outage leaves behind, by the prices of autoscale', async () => {
    const load = ['simulate', '--rate', '1000/s', '--duration', '30m', '--throughput', '40000'];
    const { code, stderr, stdout } = await cli(
      [...load, '--autoscale', '--outage', 'ingest@10m+2m', '-o', 'outage.json'],
      { cwd },
    );
    expect(code).toBe(0);
    expect(stderr).toContain('outage  ingest@10m+2m');
    expect(stderr).toMatch(
      /backlog up to 120,000 events, lag up to 2m00s, caught up 1[2-5]m\d\ds after the start of the load/,
    );
    expect(stdout).toMatch(/Cosmos DB autoscale throughput +[\d.]+ +[\d,]+ RU\/s billed in the mean hour/);
    const report = JSON.parse(await readFile(join(cwd, 'outage.json'), 'utf8')) as RunReport;
    expect(report.config).toMatchObject({ outages: ['ingest@10m+2m'] });
    expect(report.cost?.usage?.store).toMatchObject({ mode: 'autoscale', maxRuPerSecond: 40_000 });
  });

  it('prices the throughput units that were given, enough or not', async () => {
    const { stdout } = await cli(
      ['simulate', '--rate', '60000/s', '--duration', '5s', '--throughput-units', '5', '--json'],
      { cwd },
    );
    const report = JSON.parse(stdout) as RunReport;
    expect(report.cost?.usage?.hub).toEqual({ tier: 'standard', throughputUnits: 5 });
    expect(report.bottleneck).toMatchObject({ stage: 'produce', reason: 'throttled' });
  });

  it.each([
    ['consumer@1h+1m', 'the parts are event-hubs, ingest, cosmos, feed'],
    ['ingest@1h', 'expected <part>@<start>+<duration>'],
    ['ingest@soon+1m', 'invalid duration "soon"'],
  ])('refuses the outage %s', async (outage, message) => {
    const { code, stderr } = await cli(['simulate', '--outage', outage], { cwd });
    expect(code).toBe(2);
    expect(stderr).toContain(message);
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
    expect(stderr).toContain(`error: ${flag}: expected a whole number from 1, got "0"`);
  });

  it.each([
    ['--outage ingest@2h+10m', 'ingest@2h+10m begins after the load of 1h00m'],
    ['--outage ingest@10m+0s', 'expected one of more than 0s'],
    ['--partitions 1025', '--partitions: a hub has 1,024 at most, got "1025"'],
    ['--consumer-groups 0', '--consumer-groups: expected a whole number from 1, got "0"'],
    ['--hub-retention 0s', '--hub-retention: expected more than 0s'],
    ['--retention 0s', '--retention: expected more than 0s'],
    ['--size 2MB', '--size: an event of 2,000,180 B is larger than the 1,048,576 B'],
    ['--rate 1/s --duration 1ms', 'no event arrives within --duration (1.0ms)'],
    ['--stages 1m:5/s --shape constant(5/s)', '--shape and --stages are two courses of one load'],
    ['--throughput 100000000000', 'physical partitions'],
  ])('refuses %s', async (flags, message) => {
    const { code, stderr, stdout } = await cli(['simulate', ...flags.split(' ')], { cwd });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
  });

  it('gives no request units to readers of a feed that is not read', async () => {
    const given = async (...flags: string[]): Promise<unknown> => {
      const { stdout } = await cli(['simulate', '--duration', '1m', '--json', ...flags], { cwd });
      const { config, stages } = JSON.parse(stdout) as RunReport;
      return [config['ruPerSecond'], stages.length];
    };
    expect(await given('--no-feed')).toEqual(await given('--feed-readers', '0'));
    expect(await given('--no-feed')).not.toEqual(await given());
  });

  it('says that no throughput is enough, where none is', async () => {
    const { code, stderr } = await cli(['simulate', '--rate', '2000/s', '--keys', '1', '--duration', '10s'], {
      cwd,
    });
    expect(code).toBe(0);
    expect(stderr).toContain('warning: no throughput is enough for the busiest key');
  });

  it('refuses ramps on which nothing arrives', async () => {
    const { code, stderr } = await cli(['simulate', '--stages', '1m:0/s', '--duration', '1m'], { cwd });
    expect(code).toBe(2);
    expect(stderr).toContain('error: no event arrives within --duration');
  });

  it('follows a shape and ramps', async () => {
    const shaped = await cli(['simulate', '--shape', 'sine(100/s,900/s,1h)', '--duration', '1h', '--json'], {
      cwd,
    });
    expect(JSON.parse(shaped.stdout)).toMatchObject({ load: { requestedEvents: 1_800_000 } });
    const ramped = await cli(['simulate', '--stages', '10s:1000/s,10s:0/s', '--json'], {
      cwd,
    });
    expect(JSON.parse(ramped.stdout)).toMatchObject({
      title: 'simulated: up to 1,000 events/s for 20.0s',
      durationMs: 20_000,
      load: { requestedEvents: 10_000 },
    });
  });
});
