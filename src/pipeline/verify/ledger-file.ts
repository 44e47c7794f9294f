import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { AcknowledgementSink } from '../../metrics/types.ts';
import type { Clock } from '../../util/clock.ts';
import { PipeError } from '../../util/errors.ts';
import type { IntervalSet } from './interval-set.ts';
import { intervalsOf, type KeyedSequences, Ledger, type RunLedger } from './ledger.ts';

/** Acknowledgements are in the file this long after they came, at the latest. */
const FLUSH_MS = 200;
const KEYS_PER_LINE = 1_000;

/**
 * One line of a ledger file. Acknowledgements are deltas: the file is only appended to, so that what was written
 * survives the end of the process at any moment.
 */
interface LedgerLine {
  /** First line of each run. */
  readonly ledger?: 1;
  readonly run?: string;
  /** Key -> [from, to, from, to, ...] of acknowledged sequence numbers. */
  readonly acknowledged?: Readonly<Record<string, readonly number[]>>;
  /** Kind -> key -> [from, to, ...] of what was done wrong on purpose. */
  readonly misbehaviour?: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>;
  /** Last line of a run that ended in order, with the number of acknowledged events. */
  readonly end?: number;
}

export interface LedgerFile extends AcknowledgementSink {
  /** The same acknowledgements in memory. */
  readonly ledger: Ledger;
  /** Writes what is pending, shrinks the file to one line per thousand keys and marks it complete. */
  close(): Promise<void>;
}

/**
 * A ledger that is also written to `path` while acknowledgements come in (NDJSON, at most 200 ms behind).
 * A failed write is reported by `close()`.
 */
export async function openLedgerFile(path: string, run: string, clock: Clock): Promise<LedgerFile> {
  const file = await open(path, 'w').catch((error: unknown) => {
    throw new PipeError('E_CONFIG', `cannot write the ledger ${path} (${(error as Error).message})`, {
      hint: 'name a file in a folder that exists: --ledger run.ledger.ndjson',
      cause: error,
    });
  });
  const ledger = new Ledger(run);
  await writeLine(file, { ledger: 1, run });
  let pending = new Map<string, IntervalSet>();
  let misbehaved = new Ledger(run);
  let flushing: Promise<void> | undefined;
  let failure: unknown;

  const flush = async (): Promise<void> => {
    if (pending.size > 0) {
      const keys = pending;
      pending = new Map();
      for (const line of acknowledgedLines(keys)) await writeLine(file, line);
    }
    if (misbehaved.misbehaviour.size > 0) {
      const { misbehaviour } = misbehaved;
      misbehaved = new Ledger(run);
      await writeLine(file, misbehaviourLine(misbehaviour));
    }
  };
  const schedule = (): void => {
    flushing ??= clock
      .sleep(FLUSH_MS)
      .then(flush)
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => {
        flushing = undefined;
      });
  };

  return {
    ledger,
    acknowledged(key, from, to) {
      ledger.acknowledged(key, from, to);
      intervalsOf(pending, key).add(from, to);
      schedule();
    },
    injected(kind, key, sequence) {
      ledger.injected(kind, key, sequence);
      misbehaved.injected(kind, key, sequence);
      schedule();
    },
    async close() {
      await flushing;
      await flush();
      await file.close();
      if (failure !== undefined) throw failure;
      await replaceWithSummary(path, ledger);
    },
  };
}

async function replaceWithSummary(path: string, ledger: Ledger): Promise<void> {
  const draft = `${path}.tmp`;
  const file = await open(draft, 'w');
  try {
    await writeLine(file, { ledger: 1, run: ledger.run });
    for (const line of acknowledgedLines(ledger.keys)) await writeLine(file, line);
    if (ledger.misbehaviour.size > 0) await writeLine(file, misbehaviourLine(ledger.misbehaviour));
    await writeLine(file, { end: ledger.acknowledgedCount });
    await file.datasync();
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await rename(draft, path);
}

/** Who is told what ledger files say, line by line. */
export interface LedgerReader {
  /** A run whose acknowledgements follow; announced once per file and section. */
  run(run: string): void;
  acknowledged(run: string, key: string, from: number, to: number): void;
  misbehaved(run: string, kind: string, key: string, from: number, to: number): void;
  /** The run's producer did not close this ledger. */
  incomplete(run: string): void;
}

/**
 * Reads ledger files, whatever their size. A torn last line, left by a killed producer, is ignored and the run is reported
 * as incomplete. Throws PipeError E_CONFIG for a file that cannot be read or is no ledger.
 */
export async function streamLedgers(paths: readonly string[], reader: LedgerReader): Promise<void> {
  for (const path of paths) await streamLedger(path, reader);
}

/** Reads ledger files into memory; runs of the same name (shards, workers) are added. */
export async function readLedgers(paths: readonly string[]): Promise<ReadonlyMap<string, RunLedger>> {
  const runs = new Map<string, Ledger>();
  const ledgerOf = (run: string): Ledger => {
    let ledger = runs.get(run);
    if (ledger === undefined) {
      ledger = new Ledger(run);
      runs.set(run, ledger);
    }
    return ledger;
  };
  await streamLedgers(paths, {
    run: ledgerOf,
    acknowledged: (run, key, from, to) => ledgerOf(run).acknowledged(key, from, to),
    misbehaved: (run, kind, key, from, to) => ledgerOf(run).misbehaved(kind, key, from, to),
    incomplete: (run) => {
      ledgerOf(run).complete = false;
    },
  });
  return runs;
}

async function streamLedger(path: string, reader: LedgerReader): Promise<void> {
  let run: string | undefined;
  let ended = true;
  let lineNumber = 0;
  try {
    for await (const text of createInterface({
      input: createReadStream(path),
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      lineNumber += 1;
      const line = parseLine(text);
      if (line === undefined) continue;
      if (line.ledger === 1 && line.run !== undefined) {
        if (run !== undefined && !ended) reader.incomplete(run);
        run = line.run;
        reader.run(run);
        ended = false;
      }
      if (run === undefined) break;
      tell(line, run, reader);
      if (line.end !== undefined) ended = true;
    }
  } catch (error) {
    if (error instanceof PipeError) throw error;
    throw new PipeError('E_CONFIG', `cannot read the ledger ${path} (${(error as Error).message})`, {
      hint: 'write one with: cosmos-pipe produce --ledger run.ledger.ndjson',
      cause: error,
    });
  }
  if (run === undefined) {
    throw new PipeError(
      'E_CONFIG',
      `${path} is not a ledger file (${lineNumber === 0 ? 'it is empty' : `line ${lineNumber} has no run`})`,
      {
        hint: 'write one with: cosmos-pipe produce --ledger run.ledger.ndjson',
      },
    );
  }
  if (!ended) reader.incomplete(run);
}

function tell(line: LedgerLine, run: string, reader: LedgerReader): void {
  for (const [key, bounds] of Object.entries(line.acknowledged ?? {})) {
    forEachInterval(bounds, (from, to) => reader.acknowledged(run, key, from, to));
  }
  for (const [kind, keys] of Object.entries(line.misbehaviour ?? {})) {
    for (const [key, bounds] of Object.entries(keys)) {
      forEachInterval(bounds, (from, to) => reader.misbehaved(run, kind, key, from, to));
    }
  }
}

function forEachInterval(bounds: readonly number[], visit: (from: number, to: number) => void): void {
  for (let index = 0; index + 1 < bounds.length; index += 2) {
    visit(bounds[index] as number, bounds[index + 1] as number);
  }
}

function parseLine(text: string): LedgerLine | undefined {
  try {
    return JSON.parse(text) as LedgerLine;
  } catch {
    return undefined;
  }
}

function* acknowledgedLines(keys: KeyedSequences): Generator<LedgerLine> {
  let entries: [string, readonly number[]][] = [];
  for (const [key, intervals] of keys) {
    entries.push([key, intervals.toJSON()]);
    if (entries.length < KEYS_PER_LINE) continue;
    yield { acknowledged: Object.fromEntries(entries) };
    entries = [];
  }
  if (entries.length > 0) yield { acknowledged: Object.fromEntries(entries) };
}

function misbehaviourLine(kinds: ReadonlyMap<string, KeyedSequences>): LedgerLine {
  return {
    misbehaviour: Object.fromEntries(
      [...kinds].map(([kind, keys]) => [
        kind,
        Object.fromEntries([...keys].map(([key, intervals]) => [key, intervals.toJSON()])),
      ]),
    ),
  };
}

async function writeLine(file: FileHandle, line: LedgerLine): Promise<void> {
  await file.appendFile(`${JSON.stringify(line)}\n`);
}
