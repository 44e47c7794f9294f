import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { PipeError } from '../util/errors.ts';

/** One event of a file. */
export interface SourceRecord {
  readonly body: Buffer;
  /** Partition key, when the data has one. */
  readonly key?: string;
  /** Recorded time, milliseconds since the Unix epoch. */
  readonly timeMs?: number;
}

export interface RecordOptions {
  /** Named in errors. */
  readonly path?: string;
  readonly format: 'ndjson' | 'csv';
  /** Dotted path of the partition key inside a record: `device.id`. */
  readonly keyPath?: string;
  /** Dotted path of the recorded time: an ISO 8601 text, or a number of seconds, milliseconds or microseconds. */
  readonly timePath?: string;
}

/**
 * Reads events from the bytes of a file, one line or row at a time. NDJSON lines are sent as they are; CSV rows become
 * JSON objects named by the header row. Throws E_CONFIG that names file and line when key or
 * time are missing, and where it is no CSV.
 */
export async function* readRecords(
  input: AsyncIterable<Buffer | string>,
  options: RecordOptions,
): AsyncGenerator<SourceRecord> {
  try {
    if (options.format === 'csv') yield* readCsv(input, options);
    else yield* readLines(input, options);
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof CsvError)) throw error;
    const where = options.path === undefined ? '' : `${options.path}: `;
    throw new PipeError('E_CONFIG', `${where}${error.message}`, {
      hint: 'correct the file; --partition-key and --time-field say where key and time are',
      cause: error,
    });
  }
}

/** Some editors begin a file with it; it belongs to no event. */
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

async function* readLines(
  input: AsyncIterable<Buffer | string>,
  options: RecordOptions,
): AsyncGenerator<SourceRecord> {
  const parsed = options.keyPath !== undefined || options.timePath !== undefined;
  let rest: Buffer = Buffer.alloc(0);
  let line = 0;
  const take = (bytes: Buffer): SourceRecord | undefined => {
    line += 1;
    const text = line === 1 && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? bytes.subarray(3) : bytes;
    const body = text.at(-1) === 0x0d ? text.subarray(0, -1) : text;
    if (body.length === 0) return undefined;
    if (!parsed) return { body };
    let value: unknown;
    try {
      value = JSON.parse(body.toString('utf8'));
    } catch (error) {
      throw new RangeError(`line ${line} is not JSON, so it has no key or time`, { cause: error });
    }
    return toRecord(body, value, options, `line ${line}`);
  };
  for await (const chunk of input) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    const all = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    let from = 0;
    for (let end = all.indexOf(0x0a); end >= 0; end = all.indexOf(0x0a, from)) {
      const record = take(all.subarray(from, end));
      from = end + 1;
      if (record) yield record;
    }
    rest = all.subarray(from);
  }
  const last = take(rest);
  if (last) yield last;
}

async function* readCsv(
  input: AsyncIterable<Buffer | string>,
  options: RecordOptions,
): AsyncGenerator<SourceRecord> {
  const rows = Readable.from(input).pipe(
    parse({ bom: true, columns: true, cast: castCell, skip_empty_lines: true }),
  );
  let row = 1;
  for await (const value of rows as AsyncIterable<unknown>) {
    row += 1;
    yield toRecord(Buffer.from(JSON.stringify(value)), value, options, `row ${row}`);
  }
}

/** Numbers and booleans keep their type; anything that would not be written back the same stays text (`007`). */
function castCell(cell: string, { header }: { readonly header: boolean }): unknown {
  if (header) return cell;
  if (cell === 'true') return true;
  if (cell === 'false') return false;
  const number = Number(cell);
  return cell !== '' && String(number) === cell ? number : cell;
}

function toRecord(
  body: Buffer,
  value: unknown,
  { keyPath, timePath }: RecordOptions,
  where: string,
): SourceRecord {
  const record: { body: Buffer; key?: string; timeMs?: number } = { body };
  if (keyPath !== undefined) {
    const key = lookUp(value, keyPath);
    if (key === undefined || key === null || String(key) === '')
      throw new RangeError(`${where} has no partition key at ${keyPath}`);
    record.key = String(key);
  }
  if (timePath !== undefined) record.timeMs = timeOf(lookUp(value, timePath), `${where}, ${timePath}`);
  return record;
}

function lookUp(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((node, name) => {
    return typeof node === 'object' && node !== null ? (node as Record<string, unknown>)[name] : undefined;
  }, value);
}

function timeOf(value: unknown, where: string): number {
  // Seconds since 1970 stay below 1e11 until the year 5138, milliseconds below 1e14, so the size tells the unit.
  if (typeof value === 'number' && Number.isFinite(value))
    return value < 1e11 ? value * 1000 : value < 1e14 ? value : value / 1000;
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(time))
    throw new RangeError(`no time at ${where}, expected for example 2026-01-31T12:00:00Z`);
  return time;
}
