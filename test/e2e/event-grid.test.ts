import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalStack, startLocal } from '../../src/local/index.ts';
import { type CliResult, cli, type RunningCli, spawnCli } from '../helpers/cli.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/ports.ts';

let stack: LocalStack;
let folder: string;
const running: RunningCli[] = [];

beforeAll(async () => {
  stack = await startLocal({ eventGridTimeScale: 0.01 });
  folder = await mkdtemp(join(tmpdir(), 'events-'));
});
afterAll(async () => {
  for (const { child } of running) child.kill('SIGKILL');
  await stack.stop();
  await rm(folder, { recursive: true, force: true });
});

const run = (...argv: string[]): Promise<CliResult> => cli(argv, { env: stack.environment, cwd: folder });

function start(...argv: string[]): RunningCli {
  const child = spawnCli(argv, { env: stack.environment, cwd: folder });
  running.push(child);
  return child;
}

/**
 * A receiver that has subscribed itself. Its subscription outlives it, and is delivered to again and again: on a port that
 * the system hands out, somebody else's server would get that.
 */
async function receiver(container: string, ...argv: string[]): Promise<RunningCli> {
  const child = start(
    'receive',
    '--port',
    String(await freePort()),
    '--container',
    container,
    '--subscription',
    container,
    ...argv,
  );
  const { EVENTGRID_NAMESPACE_ENDPOINT: url = '' } = stack.environment;
  await eventually(async () => {
    const subscription = await fetch(`${url}/topics/pipeline-events/eventSubscriptions/${container}`);
    expect(await subscription.text()).toContain('Succeeded');
  });
  return child;
}

describe('publish and receive', () => {
  it('store every event once although the receiver is killed in between', async () => {
    const flags = ['--throughput', '100000', '--max-events-per-batch', '20'];
    const first = await receiver('killed', ...flags);
    const publishing = run(
      'publish',
      'generate',
      '-n',
      '1000',
      '--ledger',
      'run.ndjson',
      '--bandwidth',
      '0',
      '--json',
    );
    await eventually(() => {
      const { DeliverySuccessCount = 0 } = stack.eventGrid.stats() as Record<string, number>;
      expect(DeliverySuccessCount).toBeGreaterThan(50);
    });
    first.child.kill('SIGKILL');
    const second = await receiver('killed', ...flags, '--json');
    const published = await publishing;
    expect(JSON.parse(published.stdout)).toMatchObject({ source: 'generate', published: 1000 });
    await eventually(async () => {
      const verdict = await run('verify', '--ledger', 'run.ndjson', '--container', 'killed', '--unordered');
      expect(verdict.stdout).toContain('stored 1,000');
      expect(verdict.stdout).toContain('lost 0   duplicated 0');
      expect(verdict.code).toBe(0);
    });
    second.child.kill('SIGTERM');
    const { code, stdout } = await second.done;
    expect(code).toBe(130);
    expect(JSON.parse(stdout)).toMatchObject({ deadLettered: 0, ended: 'signal' });
  });

  it('carry changes of a container to another one, once, from where the position says', async () => {
    const second = await receiver('mirror', '-n', '3', '--explain-pk', '3', '--json');
    await writeFile(join(folder, 'lines.ndjson'), '{"id":"1"}\n{"id":"2"}\n{"id":"3"}\n');
    const lines = await run(
      'publish',
      'lines.ndjson',
      '--type',
      'Line',
      '--subject',
      '/l/{data.id}',
      '--json',
    );
    expect(JSON.parse(lines.stdout)).toMatchObject({ published: 3, read: 3, skipped: 0 });
    const { stdout } = await second.done;
    expect(JSON.parse(stdout)).toMatchObject({ stored: 3, partitionKeys: { events: 3, distinct: 3 } });
    const feed = [
      'publish',
      'feed',
      '--container',
      'mirror',
      '--from',
      'beginning',
      '--until-idle',
      '--resume',
      'p.json',
      '--json',
    ];
    // What came from Event Grid does not go there again, unless that is asked for.
    expect(JSON.parse((await run(...feed)).stdout)).toMatchObject({ published: 0, read: 3, looped: 3 });
    const again = [
      'publish',
      'feed',
      '--container',
      'mirror',
      '--from',
      'beginning',
      '--until-idle',
      '--allow-loops',
      '--json',
    ];
    expect(JSON.parse((await run(...again, '--resume', 'q.json')).stdout)).toMatchObject({ published: 3 });
    expect(JSON.parse((await run(...again, '--resume', 'q.json')).stdout)).toMatchObject({
      published: 0,
      read: 0,
    });
  });

  it('are what tail-feed can send to, beside its other sinks', async () => {
    const before = (stack.eventGrid.stats() as Record<string, number>)['PublishSuccessCount'] ?? 0;
    const second = await receiver('tailed', '-n', '2', '--json');
    await writeFile(join(folder, 'two.ndjson'), '{"id":"1"}\n{"id":"2"}\n');
    await run('publish', 'two.ndjson', '--subject', '/t/{data.id}');
    expect((await second.done).code).toBe(0);
    const tail = await run(
      'tail-feed',
      '--container',
      'tailed',
      '--from',
      'beginning',
      '--until-idle',
      '--to',
      'event-grid',
    );
    expect(tail.code).toBe(0);
    // What `receive` stored is left out, also here.
    expect((stack.eventGrid.stats() as Record<string, number>)['PublishSuccessCount']).toBe(before + 2);
  });

  it('pull from a namespace', async () => {
    const child = start('receive', '--pull', 'orders/store', '--container', 'pulled', '-n', '2', '--json');
    const { EVENTGRID_NAMESPACE_ENDPOINT: url = '', EVENTGRID_NAMESPACE_KEY: key = '' } = stack.environment;
    const path = '/namespace/topics/orders/eventSubscriptions/store';
    await eventually(async () => expect((await fetch(`${url}${path}`)).status).toBe(200));
    await fetch(`${url}/topics/orders:publish`, {
      method: 'POST',
      headers: {
        authorization: `SharedAccessKey ${key}`,
        'content-type': 'application/cloudevents-batch+json',
      },
      body: JSON.stringify(['a', 'b'].map((id) => ({ specversion: '1.0', id, source: '/s', type: 'T' }))),
    });
    const { code, stdout } = await child.done;
    expect(code).toBe(0);
    // A lock lasts 0.6 s here: what takes longer to be stored is received again meanwhile.
    expect(JSON.parse(stdout)).toMatchObject({ stored: 2, ended: 'limit' });
  });
});

describe('events', () => {
  it('traces an event, lists dead letters and replays them', async () => {
    const { EVENTGRID_NAMESPACE_ENDPOINT: url = '' } = stack.environment;
    const child = await receiver('traced', '-n', '1', '--json');
    await writeFile(
      join(folder, 'one.ndjson'),
      '{"specversion":"1.0","id":"trace-me","source":"/s","type":"T"}\n',
    );
    await run('publish', 'one.ndjson');
    expect((await child.done).code).toBe(0);
    // The receiver may have ended before its answer is noted.
    await eventually(async () => {
      const trace = await run('events', 'trace', 'trace-me');
      expect(trace.stdout).toMatch(/traced +attempt +1: Delivered \(200\)/);
    });
    expect((await run('events', 'dead-letter', 'list', '--json')).stdout).toContain('"total": 0');
    expect((await run('events', 'trace', 'unknown')).code).toBe(3);
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('PublishSuccessCount');
  });
});

describe('usage', () => {
  it.each([
    [['publish'], 'nothing to publish'],
    [['publish', 'generate'], '-n 1000'],
    [['publish', 'feed', 'x'], 'source of its own'],
    [['publish', 'generate', '-n', '1', '--ledger', 'l', '--schema', 'eventgrid'], '--schema cloudevents'],
    [['publish', 'absent.ndjson'], 'cannot read absent.ndjson'],
    [['receive', '--pull', 'orders'], 'a topic and a subscription'],
    [['receive', '--pull', 'a/b', '--wait', '1s'], '--wait must be'],
    [['receive', '--path', 'x'], '--path must begin'],
    [['receive', '--partition-key-from', '{nope}'], 'unknown placeholder'],
    [['events', 'nothing'], 'unknown action'],
    [['events', 'dead-letter', 'replay'], '--all'],
  ])('%j', async (argv, message) => {
    const { code, stderr } = await run(...argv);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});
