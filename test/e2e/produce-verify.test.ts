import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { startLocal } from '../../src/local/index.ts';
import { cli } from '../helpers/cli.ts';

/**
 * The full size runs by hand, in some minutes: `cosmos-pipe local --hub telemetry:32`, and beside it `produce -n 300000
 * --keys 100000 -c 8 --ledger run.ndjson`, `ingest --until-drained --create --throughput 400000`, `verify --ledger run.ndjson`.
 */
it('keeps thousands of keys over 32 partitions in order, and loses none, in two runs of the same seed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'produce-verify-'));
  const stack = await startLocal({ hubs: [{ name: 'telemetry', partitionCount: 32 }] });
  onTestFinished(async () => {
    await stack.stop();
    await rm(folder, { recursive: true });
  });
  const run = (...argv: string[]) => cli(argv, { env: stack.environment, cwd: folder });
  const load = ['-n', '1500', '-c', '8', '--keys', '1000'];
  for (const id of ['first', 'second']) {
    const { code } = await run('produce', ...load, '--yes', '--run-id', id, '--ledger', `${id}.ndjson`);
    expect(code).toBe(0);
  }
  const ingest = await run('ingest', '--until-drained', '--create', '--throughput', '20000');
  expect(ingest).toMatchObject({ code: 0 });
  // Were the ids of both runs the same, the second would have overwritten the first.
  for (const id of ['first', 'second']) {
    const { code, stdout } = await run('verify', '--ledger', `${id}.ndjson`);
    expect({ code, stdout }).toMatchObject({ code: 0 });
    expect(stdout).toContain('acknowledged 1,500   stored 1,500');
  }
});
