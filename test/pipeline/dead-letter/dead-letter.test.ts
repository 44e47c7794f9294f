import { appendFile, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type DeadLetterRecord, deadLetterId } from '../../../src/pipeline/dead-letter/dead-letter.ts';
import { deadLetterFileArchive, openDeadLetterFile } from '../../../src/pipeline/dead-letter/file.ts';
import { parseDeadLetterSpec } from '../../../src/pipeline/dead-letter/open.ts';

const record = (sequenceNumber: number): DeadLetterRecord => ({
  reason: 'malformed',
  detail: 'no',
  eventHub: 'h',
  partition: '0',
  sequenceNumber,
  offset: 'o',
  enqueuedTime: '2026-11-22T10:00:00.000Z',
  deadLetteredTime: '2026-11-22T10:00:01.000Z',
  properties: {},
  body: 'AAE=',
});
const path = async () => join(await mkdtemp(join(tmpdir(), 'dead-')), 'below', 'dead.ndjson');
const numbers = async (file: string) => {
  const found: number[] = [];
  for await (const { sequenceNumber } of deadLetterFileArchive(file).records()) found.push(sequenceNumber);
  return found;
};

describe('the dead letter file', () => {
  it('has a record on disk when its write resolves, in the order of the writes', async () => {
    const file = await path();
    const letter = await openDeadLetterFile(file);
    await letter.write(record(1));
    expect(await numbers(file)).toEqual([1]);
    await Promise.all([2, 3, 4, 5].map((n) => letter.write(record(n))));
    await letter.close();
    expect(await numbers(file)).toEqual([1, 2, 3, 4, 5]);
  });

  it('keeps what is not done, and one of each event that was rejected twice', async () => {
    const file = await path();
    const letter = await openDeadLetterFile(file);
    for (const n of [1, 2, 1, 3]) await letter.write(record(n));
    await letter.close();
    const done = deadLetterId(record(2));
    expect(await deadLetterFileArchive(file).remove((entry) => deadLetterId(entry) === done)).toBe(1);
    expect(await numbers(file)).toEqual([1, 3]);
  });

  it('names the line that a killed process left behind', async () => {
    const file = await path();
    const letter = await openDeadLetterFile(file);
    await letter.write(record(1));
    await letter.close();
    await appendFile(file, '{"reason":"mal');
    await expect(numbers(file)).rejects.toThrow('line 2');
    expect(await readFile(file, 'utf8')).toContain('"sequenceNumber":1');
  });
});

it.each([
  ['a/b.ndjson', { kind: 'file', path: 'a/b.ndjson' }],
  ['file:x', { kind: 'file', path: 'x' }],
  ['cosmos:dead', { kind: 'cosmos', container: 'dead' }],
  ['hub:dead', { kind: 'hub', eventHub: 'dead' }],
])('reads %s', (text, spec) => {
  expect(parseDeadLetterSpec(text)).toEqual(spec);
});

it('refuses a place without a name', () => {
  expect(() => parseDeadLetterSpec('cosmos:')).toThrow('invalid dead letter');
});
