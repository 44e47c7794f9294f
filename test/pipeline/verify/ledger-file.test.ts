import { appendFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openLedgerFile, readLedgers } from '../../../src/pipeline/verify/ledger-file.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { eventually } from '../../helpers/eventually.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cosmos-pipe-ledger-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

it('has acknowledgements in the file while the run goes on, so that a killed producer leaves them behind', async () => {
  const path = join(folder, 'run.ndjson');
  const file = await openLedgerFile(path, 'run-1', systemClock);
  file.acknowledged('a', 0, 9);
  file.acknowledged('b', 5, 5);
  file.injected('duplicate', 'a', 3);
  await eventually(async () => {
    const run = (await readLedgers([path])).get('run-1');
    expect(run?.acknowledgedCount).toBe(11);
    expect(run?.misbehaviour.get('duplicate')?.get('a')?.has(3)).toBe(true);
    expect(run?.complete).toBe(false);
  });
  await appendFile(path, '{"acknowledged":{"a":[10,');
  expect((await readLedgers([path])).get('run-1')?.acknowledgedCount).toBe(11);
  await file.close();
});

it('is small when closed, whatever the number of events, and says that it is complete', async () => {
  const path = join(folder, 'run.ndjson');
  const file = await openLedgerFile(path, 'run-1', systemClock);
  for (let sequence = 0; sequence < 20_000; sequence += 1)
    file.acknowledged(`key-${sequence % 7}`, sequence, sequence);
  for (let sequence = 0; sequence < 20_000; sequence += 1) file.acknowledged('dense', sequence, sequence);
  await file.close();
  const run = (await readLedgers([path])).get('run-1');
  expect(run).toMatchObject({ acknowledgedCount: 40_000, complete: true });
  expect((await stat(path)).size).toBeLessThan(250_000);
  expect(await readFile(path, 'utf8')).toContain('"dense":[0,19999]');
});

it('adds the files of shards by run', async () => {
  const paths = [join(folder, '0.ndjson'), join(folder, '1.ndjson')];
  for (const [shard, path] of paths.entries()) {
    const file = await openLedgerFile(path, 'run-1', systemClock);
    file.acknowledged('a', shard * 10, shard * 10 + 9);
    await file.close();
  }
  const run = (await readLedgers(paths)).get('run-1');
  expect(run?.acknowledgedCount).toBe(20);
  expect([...(run?.keys.get('a') ?? [])]).toEqual([{ from: 0, to: 19 }]);
});

it('keeps a key that is also the name of a property of every object', async () => {
  const path = join(folder, 'run.ndjson');
  const file = await openLedgerFile(path, 'run-1', systemClock);
  file.acknowledged('__proto__', 0, 1);
  file.acknowledged('constructor', 0, 2);
  await file.close();
  expect((await readLedgers([path])).get('run-1')?.acknowledgedCount).toBe(5);
});

it('says what is wrong with a file that is no ledger', async () => {
  const path = join(folder, 'other.txt');
  await appendFile(path, 'hello\n');
  await expect(readLedgers([path])).rejects.toThrow('is not a ledger file');
  await expect(readLedgers([join(folder, 'absent')])).rejects.toThrow('cannot read the ledger');
  await expect(openLedgerFile(join(folder, 'absent', 'x'), 'r', systemClock)).rejects.toThrow('cannot write');
});
