import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/util/clock.ts';
import { cli } from '../helpers/cli.ts';
import { REFUSING_PORT } from '../helpers/ports.ts';

it.each([
  ['produce', '--rate', '0/s', 'more than 0/s'],
  ['produce', '--rate', '99999999999999/s', 'at most 1000000000/s'],
  ['produce', '--events', '0', 'from 1'],
  ['produce', '--events', '99999999999999999999', 'from 1'],
  ['produce', '--duration', '0s', 'more than 0s'],
  ['produce', '--duration', '99999999d', 'at most 36500d'],
  ['produce', '--size', '1TB', '100MB'],
  ['produce', '--size', '0%:1KB', 'above 0%'],
  ['produce', '--keys', '0', 'from 1 to 20,000,000'],
  ['produce', '--keys', '20000001', 'from 1 to 20,000,000'],
  ['produce', '--key-intervals', '1s,0s', 'more than 0s'],
  ['produce', '--content-type', '', 'at least 1 character'],
  ['produce', '--workers', '0', 'from 1 to 256'],
  ['produce', '--seed', '4294967296', 'to 4,294,967,295'],
  ['produce', '--shape', 'sine(0/s,0/s,1m)', 'sends nothing'],
  ['bench', '--rate', '0/s', 'more than 0/s'],
  ['bench', '--events', '0', 'from 1'],
  ['bench', '--duration', '0s', 'more than 0s'],
  ['bench', '--keys', '0', 'from 1 to 20,000,000'],
  ['bench', '--workers', '257', 'from 1 to 256'],
  ['bench', '--stages', 'foo', 'expected for example 30s:1000/s'],
  ['bench', '--size', 'big', 'expected for example 256B'],
  ['bench', '--key-distribution', 'even', 'expected uniform'],
  ['bench', '--throughput', '0', 'from 1'],
  ['bench', '--repeat', '0', 'from 1'],
  ['bench', '--trial', '0s', 'more than 0s'],
  ['produce', '--max-lateness', '0s', 'more than 0s'],
  ['produce', '--event-hub', '', 'at least 1 character'],
  ['ingest', '--workers', '0', 'from 1 to 256'],
  ['ingest', '--max-buffer', '0', 'more than 0B'],
  ['ingest', '--checkpoint-events', '0', 'from 1'],
  ['ingest', '--checkpoint-interval', '0s', 'more than 0s'],
  ['ingest', '--ttl', '0s', 'more than 0s'],
  ['ingest', '--health-port', '65536', '0 to 65535'],
  ['ingest', '--container', 'a/b', 'without / \\ ? #'],
  ['ingest', '--database', 'a ', 'without a space at the end'],
  ['ingest', '--throughput', '10', '400 to 1,000,000 RU/s'],
  ['ingest', '--throughput', '450', 'in steps of 100'],
  ['ingest', '--partition-key', 'deviceId', 'a path such as /deviceId'],
  ['ingest', '--partition-key', '/a,/b,/c,/d', 'up to 3'],
  ['receive', '--partition-key', '/', 'a path such as /deviceId'],
  ['local', '--data', '', 'at least 1 character'],
  ['tail-feed', '--page-size', '0', 'from 1'],
  ['tail-feed', '--attempts', '0', 'from 1'],
  ['tail-feed', '--ttl', '0s', 'more than 0s'],
  ['tail-feed', '--format', '', 'expected tokens'],
  ['warm', '--since', 'bogus', 'expected beginning'],
  ['warm', '--ttl', '0s', 'more than 0s'],
  ['warm', '--ttl-jitter', '101', 'from 0 to 100'],
  ['warm', '--max-ru', '0', 'from 1'],
  ['invalidate', '--from', 'bogus', 'expected beginning'],
  ['flush', '--rate', '0/s', 'more than 0/s'],
  ['serve', '--max-store-reads', '0', 'from 1'],
  ['serve', '--ttl', '0s', 'more than 0s'],
  ['serve', '--redis-timeout', '0s', 'more than 0s'],
  ['stats', '--interval', '0s', 'more than 0s'],
  ['stats', '--serve', 'bogus', 'expected for example http://'],
  ['stats', '--min-hit-rate', '2', 'expected for example 1%'],
  ['publish', '--size', 'x', 'expected for example 256B'],
  ['receive', '--subscription', 'a b/c', '3 to 64 letters'],
  ['receive', '--max-events-per-batch', '5001', 'from 1 to 5,000'],
  ['receive', '--num', '0', 'from 1'],
  ['doctor', '--timeout', '0s', 'more than 0s'],
  ['publish', '--keys', '0', 'from 1'],
  ['simulate', '--rate', '0/s', 'more than 0/s'],
  ['simulate', '--duration', '0s', 'more than 0s'],
  ['plan', '--rate', '0/s', 'more than 0/s'],
  ['plan', '--keys', '0', 'from 1'],
  ['plan', '--regions', '0', 'from 1'],
  ['local', '--throughput-units', '0', 'from 1'],
])(
  '%s %s %j is refused by its name and limit, before anything starts',
  async (command, flag, value, limit) => {
    const dry = command === 'produce' ? ['--dry-run'] : [];
    const { code, stdout, stderr } = await cli([command, flag, value, ...dry]);
    const [error, hint, ...more] = stderr.trimEnd().split('\n');
    expect({ code, stdout, more }).toEqual({ code: 2, stdout: '', more: [] });
    expect(error).toMatch(/^error: /);
    expect(error).toContain(`${flag}: `);
    expect(error).toContain(limit);
    expect(error).not.toMatch(/Too |Invalid|Error/);
    expect(hint).toMatch(/^ hint: /);
  },
);

it.each([
  ['rate: 0', 'workload.rate: expected more than 0, got 0'],
  ['rate: fast', 'workload.rate: invalid rate "fast"'],
  ['keys: 5', 'workload.keys: expected a mapping, got 5'],
  ['keys: { count: 0 }', 'workload.keys.count: expected at least 1, got 0'],
  ['size: 1', 'workload.size: expected a text, got 1'],
  ['ratte: 5', 'workload: unknown entry ratte'],
  ['spacing: odd', 'workload.spacing: expected even or poisson, got "odd"'],
  ['faults: { late: 2 }', 'workload.faults.late: expected at most 1, got 2'],
  ['types: []', 'workload.types: expected at least 1 entry, got []'],
  ['events: 1.5', 'workload.events: expected a whole number, got 1.5'],
])('says what is wrong with "%s" in the pipeline file', async (entry, problem) => {
  const folder = mkdtempSync(join(tmpdir(), 'cosmos-pipe-bad-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'pipeline.yaml'), `workload:\n  ${entry}\n`);
  const { code, stderr } = await cli(['produce', '--dry-run'], { cwd: folder });
  expect(code).toBe(2);
  expect(stderr).toContain(`error: ${problem}`);
});

it('ends a spike over nothing, and takes a pause for a pause', async () => {
  const shapes = ['spike(0/s,10/s,1s,1s)', 'constant(0/s) for 10s + constant(100/s)'];
  for (const shape of shapes) {
    const { code, stdout } = await cli(['produce', '--dry-run', '-n', '20', '--shape', shape]);
    expect(code).toBe(0);
    expect(stdout).toContain('first events');
  }
});

it('waits longer than a timer can', async () => {
  const ended = new AbortController();
  const waiting = systemClock.sleep(2 ** 31, ended.signal);
  await systemClock.sleep(5);
  ended.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow();
});

it.each([
  [['ingest', '--from', '-10'], 'invalid start position "-10"'],
  [['ingest', '--from', 'apples 5'], 'invalid start position "apples 5"'],
  [['ingest', '--checkpoints', 'bogus'], 'invalid checkpoint store "bogus"'],
  [['ingest', '--checkpoints', 'cosmos:a/b'], 'invalid checkpoint store "cosmos:a/b"'],
  [['ingest', '--dead-letter', 'cosmos:a/b'], 'invalid dead letter "cosmos:a/b"'],
  [['ingest', '--event-hub', 'h', '--dead-letter', 'hub:h'], 'is the hub that is read'],
  [['ingest', '--dead-letter', 'cosmos:events'], 'is the container that events are stored in'],
  [
    ['local', '--free-ports', '--no-state', '--host', '192.0.2.1'],
    'cannot listen on 192.0.2.1 (no such address',
  ],
  [['tail-feed', '--format', '%i', '--to', 'redis'], '--format is for lines on stdout, which redis is not'],
  [['tail-feed', '--ttl', '5s'], '--ttl is the life of entries in Redis'],
  [['tail-feed', 'lag', '--processor', 'p', '--resume', 'f'], '--processor and --resume both say where'],
  [['verify', '--ledger', 'l', '--key', 'k', '--sequence', 's'], '--ledger and --key both say what is true'],
  [['verify', '--time', 't'], '--time needs --key and --sequence'],
  [
    ['flush', '--prefix', 'p:', '--generation', '--idle-over', '1h'],
    '--generation deletes nothing, so --idle-over',
  ],
  [['publish', 'generate', '-n', '3', '--resume', 'f'], '--resume has no meaning for generate'],
  [['publish', 'lines.ndjson', '--ledger', 'f'], '--ledger has no meaning for lines'],
  [['warm', '--keys-file', '.'], 'there is no key file .'],
  [['local', 'stats', 'extra'], '`local stats` takes nothing more, got "extra"'],
  [['local', 'env', '--', 'true'], '`local env` asks a running stack'],
])('refuses %j before anything is reached', async (line, problem) => {
  const { code, stdout, stderr } = await cli(line, {
    env: {
      EVENTHUB_CONNECTION_STRING: `Endpoint=sb://127.0.0.1:${REFUSING_PORT};SharedAccessKeyName=n;SharedAccessKey=k`,
      COSMOS_ENDPOINT: `http://127.0.0.1:${REFUSING_PORT}`,
      COSMOS_KEY: 'a2V5',
    },
  });
  expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: expect.stringContaining(problem) });
});
