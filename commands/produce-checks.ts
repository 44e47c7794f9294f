import { stat } from 'node:fs/promises';
import type { OptionValues } from '../src/cli/command.ts';
import { flagOf } from '../src/cli/resolve-options.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import { usageError } from '../src/util/errors.ts';
import type { WorkloadInput } from '../src/workload/spec.ts';
import type { produceOptions } from './produce-options.ts';

type Values = OptionValues<typeof produceOptions>;

/** Refuses flags that would contradict each other or say nothing. Throws E_USAGE with what to change. */
export function checkFlags(values: Values): void {
  const given = (name: keyof Values): boolean => values[name] !== undefined && values[name] !== false;
  const schedules = (['shape', 'stages', 'rate'] as const).filter(given);
  if (given('shape') && schedules.length > 1)
    throw usageError(
      `${schedules.map(flagOf).join(' and ')} both say when events are due`,
      'join shapes in one --shape with " + ", for example "stages(30s:1000/s) + constant(1000/s)"',
    );
  const paced = (['rate', 'stages', 'shape', 'keyIntervals'] as const).find(given);
  if (given('replay') && paced)
    throw usageError(
      `--replay and ${flagOf(paced)} both say when events are due`,
      'pass --speed for another pace of the recording, or --file to send it at a rate of your own',
    );
  if (given('keyIntervals') && schedules.length > 0)
    throw usageError(
      `--key-intervals and ${flagOf(schedules[0] as string)} both say when events are due`,
      'pass one of them',
    );
  if (values.rate === 0)
    throw usageError('--rate: expected more than 0/s', 'for silence in between, pass --stages or --shape');
  if (given('file') && given('replay'))
    throw usageError('--file and --replay both name the events', 'pass one of them');
  const file = (['file', 'replay'] as const).find(given);
  const made = (['template', 'size'] as const).find(given);
  if (file && made)
    throw usageError(
      `${flagOf(made)} makes events, ${flagOf(file)} sends those of a file`,
      'pass one of them',
    );
  const named = (['keys', 'keyDistribution', 'keyPrefix', 'keyIntervals'] as const).find(given);
  if (given('partitionKey') && named)
    throw usageError(
      `--partition-key takes the keys of the file, ${flagOf(named)} makes others`,
      'pass one of them',
    );
  const unused = (['speed', 'timeField'] as const).find((name) => given(name) && !given('replay'));
  if (unused)
    throw usageError(`${flagOf(unused)} needs --replay`, 'name the recording: --replay events.ndjson');
  const alone = (['loop', 'partitionKey'] as const).find(given);
  if (alone && !file)
    throw usageError(`${flagOf(alone)} needs --file or --replay`, 'name the file: --file events.ndjson');
  if (given('partition') && given('roundRobin'))
    throw usageError('--partition and --round-robin exclude each other', 'pass one of them');
}

/** Refuses half of a misbehaviour that takes two flags. */
export function checkFaults({ clockSkew, lateBy }: Values, { faults = {} }: WorkloadInput): void {
  const none = (share: string | number | undefined): boolean => share === undefined || share === 0;
  if (lateBy !== undefined && none(faults.late))
    throw usageError('--late-by makes no event late by itself', 'say how many: --late 5%');
  if (clockSkew !== undefined && none(faults.skewedKeys))
    throw usageError('--clock-skew skews no key by itself', 'say how many: --skewed-keys 10%');
  if (!none(faults.skewedKeys) && faults.clockSkew === undefined)
    throw usageError(
      '--skewed-keys does nothing without a skew',
      'say how far off clocks are: --clock-skew 1m',
    );
}

/** Refuses a start so long ago that every arrival would be dropped. */
export function checkStart({ maxLateness, startAt }: Values, nowMicros: number): void {
  if (startAt === undefined) return;
  if ((nowMicros - startAt) / 1000 > maxLateness)
    throw usageError(
      `--start-at ${new Date(startAt / 1000).toISOString()} is past, and arrivals later than --max-lateness (${formatDurationMs(maxLateness)}) are dropped`,
      'pass a time to come',
    );
}

/** Refuses a source that cannot be read, before anything is connected. */
export async function checkReadable(path: string): Promise<void> {
  const entry = await stat(path).catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'no such file' : error.message;
    throw usageError(`cannot read ${path} (${reason})`, 'check the path');
  });
  if (entry.isDirectory()) throw usageError(`${path} is a folder`, 'name a file of it');
}
