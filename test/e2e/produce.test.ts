import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { produceOptions } from '../../commands/produce-options.ts';
import { type EventHubsService, startEventHubs } from '../../src/local/event-hubs/index.ts';
import { cli, spawnCli } from '../helpers/cli.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/ports.ts';
import { consumer, subscribe } from '../local/event-hubs/clients.ts';

let service: EventHubsService;
let folder: string;

beforeAll(async () => {
  service = await startEventHubs({
    hubs: ['telemetry', 'properties', 'one', 'threads', 'shards', 'example'].map((name) => ({
      name,
      partitionCount: 4,
    })),
  });
  folder = await mkdtemp(join(tmpdir(), 'produce-'));
});

afterAll(async () => {
  await service.stop();
  await rm(folder, { recursive: true });
});

interface ProduceDocument {
  readonly run: string;
  readonly sent: number;
  readonly offered: number;
  readonly batches: number;
  readonly sizeBytes: number;
  readonly durationMs: number;
  readonly requestedPerSecond: number;
  readonly trustworthy: boolean;
  readonly injected: Readonly<Record<string, number>>;
  readonly partitions: Readonly<Record<string, number>>;
  readonly stage: { readonly inFlightMax: number };
}

interface DryRunDocument {
  readonly estimate: {
    readonly events: number;
    readonly throughputUnits: number;
    readonly durationMs: number;
    readonly peakPerSecond: number;
  };
  readonly curve: { readonly ratesPerSecond: readonly number[] };
  readonly events: readonly {
    readonly body: string;
    readonly offsetMs: number;
    readonly partitionKey: string;
    readonly fault: string;
    readonly sizeBytes: number;
  }[];
}

const environment = () => ({ ...service.environment, EVENTHUB_NAME: 'telemetry' });

async function produce(...flags: string[]): Promise<ProduceDocument> {
  const result = await cli(['produce', '--yes', '--json', ...flags], { env: environment(), cwd: folder });
  expect(result.stderr).toBe('');
  expect(result.code).toBe(0);
  return JSON.parse(result.stdout) as ProduceDocument;
}

async function dryRun(...flags: string[]): Promise<DryRunDocument> {
  const result = await cli(
    ['produce', '--dry-run', '--json', '--start-at', '2026-01-01T00:00:00Z', ...flags],
    { cwd: folder },
  );
  expect(result.stderr).toBe('');
  return JSON.parse(result.stdout) as DryRunDocument;
}

/** Everything in a hub, received with the official SDK. */
async function received(hub: string, counts: Readonly<Record<string, number>>) {
  const client = consumer(service, { hub });
  const partitions = Object.entries(counts).filter(([, count]) => count > 0);
  const events = await Promise.all(
    partitions.map(async ([id, count]) => {
      const subscription = subscribe(client, id);
      const all = await subscription.until(count);
      await subscription.close();
      return all;
    }),
  );
  return events.flat();
}

const bodies = (document: DryRunDocument) =>
  document.events.map(({ body }) => JSON.parse(body) as Record<string, unknown>);

describe('sending', () => {
  it.each([
    ['--rate', '2000/s', '--duration', '200ms'],
    ['--events', '400', '--rate', '4000/s', '--spacing', 'even'],
    ['-n', '400', '--concurrency', '2'],
    ['-n', '400', '-c', '4', '--batch-size', '50', '--batch-bytes', '100KB', '--buffer', '4MB'],
    ['-n', '400', '-c', '4', '--idempotent'],
    ['-n', '400', '-c', '4', '--size', '256B', '--linger', '1ms', '--give-up', '2m', '--max-lateness', '2m'],
    ['-n', '400', '-c', '4', '--keys', '10', '--key-distribution', 'zipf(1.1)', '--key-prefix', 'dev-'],
  ])('sends 400 events with %s %s %s %s %s %s %s', async (...flags) => {
    expect(await produce(...flags.filter((flag) => flag !== undefined))).toMatchObject({
      sent: 400,
      offered: 400,
    });
  });

  it('routes to a partition or round robin', async () => {
    expect((await produce('-n', '50', '-c', '1', '--partition', '3')).partitions).toEqual({ '3': 50 });
    const spread = await produce(
      '-n',
      '400',
      '-c',
      '1',
      '--round-robin',
      '--keys',
      '400',
      '--key-distribution',
      'sequential',
    );
    expect(spread.partitions).toEqual({ '0': 100, '1': 100, '2': 100, '3': 100 });
  });

  it('keeps to the batch size', async () => {
    expect((await produce('-n', '400', '-c', '1', '--batch-size', '10')).batches).toBeGreaterThanOrEqual(40);
  });

  it('injects what it is told to and notes it in the ledger', async () => {
    const document = await produce(
      ...[
        '-n',
        '500',
        '--keys',
        '20',
        '-c',
        '2',
        '--duplicates',
        '10%',
        '--late',
        '10%',
        '--late-by',
        '1m',
        '--out-of-order',
        '10%',
      ],
      ...[
        '--malformed',
        '10%',
        '--oversized',
        '0.5%',
        '--skewed-keys',
        '50%',
        '--clock-skew',
        '1h',
        '--ledger',
        'run.ndjson',
      ],
    );
    for (const kind of ['duplicate', 'late', 'outOfOrder', 'malformed'])
      expect(document.injected[kind]).toBeGreaterThan(10);
    const ledger = await readFile(join(folder, 'run.ndjson'), 'utf8');
    expect(ledger).toContain(document.run);
    const kinds = ['clockSkew', 'duplicate', 'late', 'malformed', 'outOfOrder', 'oversized'];
    expect(new Set(Object.keys(document.injected))).toEqual(new Set(kinds));
    for (const kind of kinds) expect(ledger).toContain(`"${kind}"`);
  });

  it('sends a file, a CSV file and a replay', async () => {
    await writeFile(join(folder, 'e.ndjson'), '{"d":"a","at":1000000000}\n{"d":"b","at":1000000001}\n');
    await writeFile(join(folder, 'e.csv'), 'd,v\na,1\nb,2\nc,3\n');
    expect((await produce('--file', 'e.ndjson', '--partition-key', 'd', '-c', '1')).sent).toBe(2);
    expect((await produce('--file', 'e.csv', '--partition-key', 'd', '-r', '1000/s')).sent).toBe(3);
    expect((await produce('--file', 'e.ndjson', '--loop', '-n', '7', '-c', '1')).sent).toBe(7);
    const replay = await produce('--replay', 'e.ndjson', '--time-field', 'at', '--speed', '10x');
    expect(replay.sent).toBe(2);
    expect(replay.durationMs).toBeGreaterThanOrEqual(100);
  });

  it('sends every shard of a run', async () => {
    const sent = await Promise.all(
      ['0/3', '1/3', '2/3'].map(
        async (shard) => (await produce('-n', '300', '-c', '1', '--shard', shard)).sent,
      ),
    );
    expect(sent.reduce((sum, count) => sum + count, 0)).toBe(300);
  });

  it('sends to the hub, with the connection, content type and properties that it is told', async () => {
    const { EVENTHUB_CONNECTION_STRING: connection = '' } = service.environment;
    await writeFile(join(folder, 'connection.txt'), connection);
    const where = ['--event-hub', 'properties', '--event-hubs-connection-string-file', 'connection.txt'];
    const what = [
      '--content-type',
      'text/x',
      '--property',
      'a=1',
      '--property',
      'who=$.DeviceId',
      '--seed',
      '3',
    ];
    const { code, stdout } = await cli(
      ['produce', '--json', '--yes', '-n', '20', '-c', '1', ...where, ...what],
      { cwd: folder },
    );
    expect(code).toBe(0);
    const { partitions, run } = JSON.parse(stdout) as ProduceDocument;
    const events = await received('properties', partitions);
    expect(events.length).toBe(20);
    for (const { contentType, partitionKey, properties } of events) {
      expect(contentType).toBe('text/x');
      expect(properties).toMatchObject({ a: '1', who: partitionKey, 'cp-run': run });
    }
  });

  it('speaks TLS for WebSockets where it would speak AMQP', async () => {
    const first: number[] = [];
    const server = createServer((socket) => {
      socket
        .on('error', () => {})
        .once('data', (bytes) => {
          first.push(bytes[0] as number);
          socket.destroy();
        });
    });
    // Not a port of the system's: a client of another test might still be looking there for its server.
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const env = {
      EVENTHUB_CONNECTION_STRING: `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0;UseDevelopmentEmulator=true;`,
      EVENTHUB_NAME: 'h',
    };
    const codes = [
      await cli(['produce', '-n', '1', '--yes'], { env }),
      await cli(['produce', '-n', '1', '--yes', '--web-sockets'], { env }),
    ].map(({ code }) => code);
    server.close();
    expect(codes).toEqual([3, 3]);
    // 'A' of AMQP, then the handshake record of TLS (RFC 8446 5.1).
    expect([...new Set(first)]).toEqual([0x41, 0x16]);
  });

  it('makes the same bytes on one thread, on two, and in two shards', async () => {
    const same = ['-n', '600', '-c', '2', '--keys', '50', '--run-id', 'same'];
    const when = ['--start-at', '2026-01-01T00:00:00Z'];
    const sent = async (hub: string, ...runs: string[][]): Promise<string[]> => {
      const counts: Record<string, number> = {};
      for (const flags of runs) {
        const argv = ['produce', '--yes', '--json', '--event-hub', hub, ...same, ...when, ...flags];
        const { stderr, stdout } = await spawnCli(argv, { env: service.environment, cwd: folder }).done;
        expect(stderr).toBe('');
        const { partitions } = JSON.parse(stdout) as ProduceDocument;
        for (const [id, count] of Object.entries(partitions)) counts[id] = (counts[id] ?? 0) + count;
      }
      return (await received(hub, counts)).map(({ body }) => JSON.stringify(body)).sort();
    };
    const [one, threads, shards] = await Promise.all([
      sent('one', []),
      sent('threads', ['--workers', '2']),
      sent('shards', ['--shard', '0/2'], ['--shard', '1/2']),
    ]);
    expect(one?.length).toBe(600);
    expect(threads).toEqual(one);
    expect(shards).toEqual(one);
  });

  it('sends the example pipeline: shapes after each other, a mix of types, variables and faults', async () => {
    const config = ['--config', resolve('examples/pipeline.yaml')];
    const { curve, estimate } = await dryRun(...config);
    expect(estimate).toMatchObject({ peakPerSecond: 2_000, durationMs: 130_000 });
    expect(Math.max(...curve.ratesPerSecond)).toBe(2_000);
    const document = await produce(
      ...config,
      '--event-hub',
      'example',
      '-n',
      '500',
      '-c',
      '2',
      '--rate',
      '5000/s',
    );
    const events = await received('example', document.partitions);
    expect(events.length).toBe(document.sent);
    const types = events.map(({ body }) => ('temperature' in (body as object) ? 'reading' : 'incident'));
    expect(new Set(types)).toEqual(new Set(['reading', 'incident']));
    for (const { body, partitionKey, properties } of events) {
      expect(body).toMatchObject({ deviceId: partitionKey });
      expect(properties).toMatchObject({ schema: 'building-v1' });
      expect(properties?.['severity']).toMatch(/^(info|warning|alarm)$/);
    }
  });

  it('uses the workload section of the pipeline file, flags first', async () => {
    await writeFile(
      join(folder, 'load.yaml'),
      'workload:\n  rate: 4000/s\n  events: 100\n  keys: { count: 5, prefix: from-file- }\n  types:\n    - template: { who: { $: key } }\n',
    );
    const first = await cli(['produce', '--dry-run', '--json', '--config', 'load.yaml'], { cwd: folder });
    expect((JSON.parse(first.stdout) as DryRunDocument).events[0]?.body).toMatch(
      /^\{"who":"from-file-00000\d"\}$/,
    );
    expect((await produce('--config', 'load.yaml', '-n', '30')).sent).toBe(30);
  });

  it('asks before it sends to anything but the local stack', async () => {
    const namespace = ['--event-hubs-namespace', 'contoso.servicebus.windows.net'];
    const result = await cli(['produce', '-n', '1', ...namespace], {
      cwd: folder,
      env: { EVENTHUB_NAME: 'telemetry' },
    });
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(/This needs 2 throughput units at 1,000\/s; about \$\d/);
    expect(result.stderr).toMatch(/refusing to send this to .* without confirmation \[E_CONFIRM\]/);
  });

  it('refuses a start at which every arrival would be too late', async () => {
    const result = await cli(
      ['produce', '--yes', '-r', '5/s', '-n', '1', '--start-at', '2020-01-01T00:00:00Z'],
      {
        env: environment(),
      },
    );
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(
      /--start-at 2020-01-01T00:00:00.000Z is past, and arrivals later than --max-lateness/,
    );
  });

  it('says where nothing answers', async () => {
    const connection =
      'Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0;UseDevelopmentEmulator=true;';
    const result = await cli(['produce', '-n', '1', '--yes'], {
      env: { EVENTHUB_CONNECTION_STRING: connection, EVENTHUB_NAME: 'h' },
    });
    expect(result.code).toBe(3);
    expect(result.stderr).toMatch(/cannot reach Event Hubs at 127\.0\.0\.1:1 .*\[E_UNREACHABLE\]/);
    expect(result.stderr).not.toContain('c2VjcmV0');
  });
});

describe('the built CLI', () => {
  it('spreads a run over worker threads: all events, one ledger', async () => {
    const flags = [
      '-n',
      '2000',
      '-r',
      '4000/s',
      '--workers',
      '2',
      '--ledger',
      'workers.ndjson',
      '--run-id',
      'two',
    ];
    const result = await spawnCli(['produce', '--yes', '--json', ...flags], {
      env: environment(),
      cwd: folder,
    }).done;
    expect(result.stderr).toBe('');
    const document = JSON.parse(result.stdout) as ProduceDocument;
    expect(document).toMatchObject({ run: 'two', sent: 2_000, offered: 2_000 });
    expect(Object.keys(document.partitions).length).toBe(4);
    expect(await readFile(join(folder, 'workers.ndjson'), 'utf8')).toContain('"end":2000');
  });

  it('drains on SIGINT and reports what it sent', async () => {
    const running = spawnCli(['produce', '--yes', '-r', '2000/s', '--ledger', 'stop.ndjson'], {
      env: environment(),
      cwd: folder,
    });
    await eventually(async () =>
      (await readFile(join(folder, 'stop.ndjson'), 'utf8')).includes('"acknowledged"'),
    );
    running.child.kill('SIGINT');
    const { code, stderr, stdout } = await running.done;
    expect(code).toBe(130);
    expect(stderr).toContain('stopping: waiting for the events in flight');
    expect(stdout).toMatch(/^sent {9}[\d,]+ events in/);
    expect(await readFile(join(folder, 'stop.ndjson'), 'utf8')).toContain('"end"');
  });

  it('sends what comes in on stdin', async () => {
    const running = spawnCli(['produce', '--yes', '--json', '--file', '-', '-c', '1'], {
      env: environment(),
      cwd: folder,
    });
    running.child.stdin?.end('{"n":1}\n{"n":2}\n{"n":3}\n');
    const { stdout } = await running.done;
    expect((JSON.parse(stdout) as ProduceDocument).sent).toBe(3);
  });
});

describe('--dry-run', () => {
  it('draws the curve, the totals and the first events without any configuration', async () => {
    const { code, stdout } = await cli(['produce', '--dry-run', '--stages', '30s:1000/s,30s:0/s'], {
      cwd: folder,
    });
    expect(code).toBe(0);
    expect(stdout).toContain('Would produce up to 1,000 events/s for 1m00s (30,000 events)');
    expect(stdout).toMatch(/\u2588/);
    expect(stdout).toContain('needs 2 throughput units');
    expect(stdout).toContain('contoso-device-id-');
  });

  it('shows the schedule of every shape', async () => {
    const shaped = await dryRun('--shape', 'spike(100/s,1000/s,10s,5s)', '-d', '30s');
    expect(shaped.estimate).toMatchObject({ events: 7_500, peakPerSecond: 1_000, throughputUnits: 2 });
    expect(Math.max(...shaped.curve.ratesPerSecond)).toBe(1_000);
    const intervals = await dryRun('--key-intervals', '1s,5s', '--keys', '10', '-d', '10s');
    expect(intervals.estimate.events).toBe(60);
  });

  it.each([
    ['constant(500/s)', 500],
    ['stages(10s:300/s,10s:0/s)', 300],
    ['steps(10s:100/s,10s:200/s)', 200],
    ['sine(100/s,900/s,20s)', 900],
    ['sawtooth(0/s,400/s,10s)', 400],
    ['bursts(800/s,5s,5s)', 800],
    ['sawtooth(0/s,400/s,5s) for 10s + constant(700/s)', 700],
  ])('previews %s', async (shape, peak) => {
    const { curve, estimate } = await dryRun('--shape', shape, '-d', '20s');
    expect(estimate.peakPerSecond).toBeCloseTo(peak, 6);
    expect(Math.max(...curve.ratesPerSecond)).toBeGreaterThan(peak * 0.9);
  });

  it.each([
    ['300B', 300, 300],
    ['300B..400B', 300, 400],
    ['normal(500B,10B)', 400, 600],
    ['70%:300B,30%:600B', 300, 600],
  ])('makes bodies of %s', async (size, least, most) => {
    for (const { sizeBytes } of (await dryRun('--size', size)).events) {
      expect(sizeBytes).toBeGreaterThanOrEqual(least);
      expect(sizeBytes).toBeLessThanOrEqual(most);
    }
  });

  it.each([
    ['sequential', [0, 1, 2]],
    ['uniform', undefined],
    ['hotspot(20/80)', undefined],
  ])('picks keys as %s says', async (distribution, expected) => {
    const { events } = await dryRun('--keys', '5', '--key-prefix', 'k', '--key-distribution', distribution);
    const picked = events.map(({ partitionKey }) => Number(partitionKey.slice(1)));
    for (const key of picked) expect([0, 1, 2, 3, 4]).toContain(key);
    if (expected) expect(picked).toEqual(expected);
  });

  it('same seed, same events; another seed, others; Poisson, other times', async () => {
    const [one, again, other, poisson] = await Promise.all([
      dryRun('--seed', '1'),
      dryRun('--seed', '1'),
      dryRun('--seed', '2'),
      dryRun('--seed', '1', '--spacing', 'poisson'),
    ]);
    expect(again).toEqual(one);
    expect(other.events[0]?.body).not.toBe(one.events[0]?.body);
    expect(poisson.events.map(({ offsetMs }) => offsetMs)).not.toEqual(
      one.events.map(({ offsetMs }) => offsetMs),
    );
  });

  it('fills in a template file and imports a simulator configuration', async () => {
    await writeFile(join(folder, 't.json'), '{"device":{"$":"key"},"n":{"$":"counter"}}');
    expect(bodies(await dryRun('--template', 't.json')).map(({ n }) => n)).toEqual([0, 1, 2]);
    await writeFile(join(folder, 'sim.json'), '{"DeviceCount":2,"Template":"{\\"d\\":\\"$.DeviceId\\"}"}');
    expect(bodies(await dryRun('--simulator', 'sim.json'))[0]?.['d']).toMatch(/^sim00000\d$/);
    const result = await cli(['produce', '--dry-run', '--json', '--simulator', 'env'], {
      env: { DevicePrefix: 'p', Template: '{"d":"$.DeviceId"}' },
    });
    expect(bodies(JSON.parse(result.stdout) as DryRunDocument)[0]?.['d']).toBe('p000001');
  });

  it.each([
    [['--stages', 'now'], /30s:1000\/s/],
    [['--shape', 'square(1/s)'], /expected constant/],
    [['--shape', 'bursts(5/s,1s,0s)'], /the bursts takes no time \(0s\)/],
    [['--key-distribution', 'pareto'], /expected uniform/],
    [['--size', 'huge'], /invalid size/],
    [['--shard', '3/3'], /i from 0 to n-1/],
    [['--duplicates', '60%', '--late', '60%'], /add up to 1\.2/],
    [['--template', 'absent.json'], /cannot read .*absent\.json \(no such file\)/],
    [['--file', 'absent.ndjson'], /cannot read .*absent\.ndjson \(no such file\)/],
    [['--file', '.'], /is a folder/],
    [['--rate', '0/s'], /--rate: expected more than 0\/s/],
    [['--seed', '99999999999'], /^error: --seed: /],
    [['--workers', '0'], /--workers: expected a whole number from 1/],
    [['--run-id', ''], /--run-id: expected a name/],
    [['--key-intervals', 'now'], /--key-intervals: invalid duration "now"/],
    [['--key-intervals', '1s', '--rate', '5/s'], /both say when events are due/],
    [['--shape', 'constant(5/s)', '--stages', '1s:5/s'], /--shape and --stages both say when/],
    [['--loop'], /--loop needs --file or --replay/],
    [['--partition-key', 'd'], /--partition-key needs --file or --replay/],
    [['--speed', '2x', '--file', 'e.ndjson'], /--speed needs --replay/],
    [['--late-by', '5s'], /--late-by makes no event late by itself/],
    [['--clock-skew', '5s'], /--clock-skew skews no key by itself/],
    [['--skewed-keys', '5%'], /--skewed-keys does nothing without a skew/],
    [['--partition', '1', '--round-robin'], /exclude each other/],
    [['--replay', 'e.ndjson', '--rate', '5/s'], /--replay and --rate both say when/],
    [['--file', 'e.ndjson', '--size', '1KB'], /--size makes events, --file sends those of a file/],
    [['--file', 'e.ndjson', '--partition-key', 'd', '--keys', '5'], /takes the keys of the file, --keys/],
  ])('refuses %j with the expected form', async (flags, message) => {
    const result = await cli(['produce', '--dry-run', ...flags], { cwd: folder });
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(message);
  });
});

it('has a test for every flag', async () => {
  const source = await readFile(new URL(import.meta.url), 'utf8');
  const flags = Object.values(produceOptions).flatMap(({ flags }) => flags.match(/--[a-z-]+/g) ?? []);
  expect(flags.length).toBeGreaterThan(40);
  expect(flags.filter((flag) => !source.includes(`'${flag}'`))).toEqual([]);
});
