import { spawn } from 'node:child_process';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/util/random.ts';
import { type FeedAccount, startFeedAccount } from '../cosmos/change-feed/feed-account.ts';
import { CLI_ENTRY, type CliResult, cli, type RunningCli, spawnCli } from '../helpers/cli.ts';
import { eventually } from '../helpers/eventually.ts';

let account: FeedAccount;
let folder: string;
const running: RunningCli[] = [];

beforeEach(async () => {
  account = await startFeedAccount();
  folder = await mkdtemp(join(tmpdir(), 'tail-feed-'));
});

afterEach(async () => {
  for (const { child } of running) if (child.exitCode === null) child.kill('SIGKILL');
  await Promise.all(running.splice(0).map(({ done }) => done));
  await account.close();
});

const run = (...argv: string[]): Promise<CliResult> =>
  cli(['tail-feed', ...argv], { env: account.service.environment, cwd: folder });

function start(...argv: string[]): RunningCli {
  const child = spawnCli(['tail-feed', ...argv], { env: account.service.environment, cwd: folder });
  running.push(child);
  return child;
}

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

describe('output', () => {
  it('is one line for each change, everything else on stderr', async () => {
    await account.write(20);
    const { code, stdout, stderr } = await run('--from', 'beginning', '--until-idle');
    expect(code).toBe(0);
    expect(linesOf(stdout)).toHaveLength(20);
    expect(linesOf(stdout)[0]).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} {2}\w+-\w+ +lsn +\d+ {2}upsert +key-\d\/event-\d+/,
    );
    expect(stderr).toContain('Tailing pipeline/events from beginning: 4 feed ranges, latest version');
    expect(stderr).toMatch(/read {5}20 changes, [\d.]+ RU/);
  });

  it('is NDJSON with --json, filtered and projected', async () => {
    await account.write(40);
    const { stdout } = await run(
      '--from',
      'beginning',
      '--until-idle',
      '--json',
      '--filter',
      'pk == "key-3"',
      '--fields',
      'id,sequence',
    );
    const documents = linesOf(stdout).map(
      (line) => JSON.parse(line) as { partitionKey: string; item: object },
    );
    expect(documents).toHaveLength(4);
    expect(documents[0]).toMatchObject({ partitionKey: 'key-3', operation: 'upsert', item: { sequence: 0 } });
    expect(Object.keys(documents[0]?.item ?? {})).toEqual(['id', 'sequence']);
  });

  it('ends cleanly when the reader of the pipe has had enough', async () => {
    await account.write(2_000);
    const command = `"${process.execPath}" "${CLI_ENTRY}" tail-feed --from beginning -f %i | head -3; echo "\${PIPESTATUS[0]}"`;
    const shell = spawn('bash', ['-c', command], { env: { ...process.env, ...account.service.environment } });
    const output = text(shell.stdout);
    // A pipe takes all of it from a reader that stands still: only what comes after its end is refused.
    for (let round = 0; shell.exitCode === null; round++) {
      await account.writeOneByOne(20, `round-${round}-`);
      await delay(20);
    }
    const lines = linesOf(await output);
    expect(lines).toHaveLength(4);
    expect(lines[3]).toBe('0');
  });

  it('goes on when nobody reads its progress any more', async () => {
    await account.write(20);
    const argv = ['tail-feed', '--from', 'beginning', '--until-idle', '-f', '%i'];
    const { child, done } = spawnCli(argv, { env: account.service.environment });
    child.stderr?.destroy();
    const { code, stdout } = await done;
    expect(code).toBe(0);
    expect(linesOf(stdout)).toHaveLength(20);
  });

  it.each([
    [['--filter', 'a = 1'], 'invalid filter'],
    [['--format', '%q'], 'invalid format token'],
    [['--from', 'yesterday'], 'invalid start'],
    [['--to', 'nowhere'], 'expected one of'],
    [['--to', 'webhook'], 'needs an address'],
    [['--processor', 'p', '-n', '3'], '--processor'],
    [['lag'], 'lag needs a position'],
    [['lagg'], 'unknown action'],
  ])('%j is a usage error', async (argv, message) => {
    const { code, stderr } = await run(...argv);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});

describe('--resume', () => {
  it('reads every change once over runs that stop within a page', async () => {
    await account.write(100);
    const ids: string[] = [];
    const flags = ['--from', 'beginning', '--resume', 'position.json', '-f', '%i'];
    for (let round = 0; round < 3; round++) ids.push(...linesOf((await run(...flags, '-n', '30')).stdout));
    expect(ids).toHaveLength(90);
    const lag = await run('lag', '--resume', 'position.json', '--json');
    expect(JSON.parse(lag.stdout).items).toBeGreaterThanOrEqual(10);
    ids.push(...linesOf((await run(...flags, '--until-idle')).stdout));
    expect(new Set(ids).size).toBe(100);
    expect(ids).toHaveLength(100);
    expect(JSON.parse((await run('lag', '--resume', 'position.json', '--json')).stdout).items).toBe(0);
  });

  it('does not move while a sink refuses, and puts poison aside when told to', async () => {
    await account.write(10);
    const refuse = ['--from', 'beginning', '--until-idle', '--attempts', '1', '--exec'];
    const failing = await run(...refuse, 'exit 1', '--resume', 'position.json');
    expect(failing.code).toBe(1);
    const poisonous = `! grep -q event-7`;
    const { code, stderr } = await run(
      ...refuse,
      poisonous,
      '--resume',
      'position.json',
      '--dead-letter',
      'dead.ndjson',
    );
    expect(code).toBe(0);
    expect(stderr).toMatch(/warning: change event-7 was put aside in dead\.ndjson: .* failed with 1\n/);
    expect(stderr).toMatch(
      /next {5}cosmos-pipe tail-feed .*--exec '! grep -q event-7' --resume position\.json/,
    );
    const dead = linesOf(await readFile(join(folder, 'dead.ndjson'), 'utf8'));
    expect(dead.map((line) => (JSON.parse(line) as { id: string }).id)).toEqual(['event-7']);
    expect((await run(...refuse, 'exit 1', '--resume', 'position.json')).code).toBe(0);
  });

  it('refuses a file that is something else', async () => {
    await writeFile(join(folder, 'position.json'), 'hello');
    const { code, stderr } = await run('--resume', 'position.json');
    expect(code).toBe(2);
    expect(stderr).toContain('position.json: this is not a change feed position');
  });
});

it('drains on SIGTERM: what was printed is in the position', async () => {
  await account.write(200);
  const tail = start('--from', 'beginning', '--resume', 'position.json', '-f', '%i', '--page-size', '20');
  await eventually(() => linesOf(tail.stdout()).length === 200);
  tail.child.kill('SIGTERM');
  expect((await tail.done).code).toBe(130);
  expect((await run('--resume', 'position.json', '--until-idle', '-f', '%i')).stdout).toBe('');
});

describe('processes that share the ranges', () => {
  const flags = [
    '--processor',
    'mirror',
    '--from',
    'beginning',
    '--lease-expiry',
    '1500ms',
    '--poll',
    '50ms',
    '--page-size',
    '20',
    '-f',
    '%k %{sequence}',
  ];
  const rangesOf = ({ stderr }: RunningCli): number =>
    (stderr().match(/ acquired$/gm) ?? []).length - (stderr().match(/ (released|lost)$/gm) ?? []).length;

  it.each([1, 2])(
    'go on without loss and in order when one is killed and a range splits (seed %i)',
    async (seed) => {
      const random = seededRandom(seed);
      const first = start(...flags);
      await eventually(() => rangesOf(first) === 4);
      const second = start(...flags);
      await eventually(() => rangesOf(second) === 2);
      await account.write(300);
      // By whom, is not said: a process that stands still for longer than a lease lasts has lost its share meanwhile.
      await eventually(() => first.stdout() !== '' || second.stdout() !== '');
      account.split(String(random.below(4)));
      const [victim, survivor] = random.below(2) === 0 ? [first, second] : [second, first];
      await account.writeOneByOne(300, 'more-');
      victim.child.kill('SIGKILL');
      await account.writeOneByOne(300, 'last-');
      /** What was new to a process, by key: one that takes a range back repeats what it had read after the position. */
      const sequences = (process: RunningCli) => {
        const byKey = new Map<string, number[]>();
        for (const line of new Set(linesOf(process.stdout()))) {
          const [key = '', sequence] = line.split(' ');
          byKey.set(key, [...(byKey.get(key) ?? []), Number(sequence)]);
        }
        return byKey;
      };
      await eventually(() => {
        const seen = new Set([...linesOf(first.stdout()), ...linesOf(second.stdout())]);
        expect(seen.size).toBe(900);
      });
      for (const process of [first, second])
        for (const seen of sequences(process).values()) expect(seen).toEqual([...seen].sort((a, b) => a - b));
      const lag = JSON.parse((await run('lag', '--processor', 'mirror', '--json')).stdout) as {
        ranges: object[];
      };
      expect(lag.ranges).toHaveLength(5);
      survivor.child.kill('SIGTERM');
      expect((await survivor.done).code).toBe(130);
    },
  );
});
