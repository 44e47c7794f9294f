import type { EventRandom, IdSeeds } from './draw.ts';

/** The event being rendered. One object, reused: writers read from it and never keep it. */
export interface EventContext {
  readonly seed: number;
  /** What ids are drawn from, see {@link idSeeds}. */
  readonly idSeeds: IdSeeds;
  /** Position in the whole workload, the same on every worker and shard. */
  index: number;
  keyIndex: number;
  /** Position within the key. */
  sequence: number;
  /** What the event says of its own time, milliseconds since the Unix epoch. */
  createdMs: number;
  keyBytes: Buffer;
  keyStart: number;
  keyLength: number;
  readonly random: EventRandom;
}

/** Writes one piece of an event at `at` and returns where it ends. Never writes more than `maxBytes`. */
export interface Writer {
  readonly maxBytes: number;
  /** Set when every event gets exactly `maxBytes`; neighbours of such writers are merged into one block. */
  readonly fixed?: true;
  /** The bytes, when they are always the same. */
  readonly constant?: Buffer;
  write(out: Buffer, at: number, event: EventContext): number;
}

/** `0000` to `9999` as ASCII. */
const DIGITS = Buffer.from(
  Array.from({ length: 10_000 }, (_, number) => String(number).padStart(4, '0')).join(''),
  'latin1',
);

/** Writes `value` (0 to 9999) as four digits. */
export function writeFourDigits(out: Buffer, at: number, value: number): void {
  const from = value << 2;
  out[at] = DIGITS[from] as number;
  out[at + 1] = DIGITS[from + 1] as number;
  out[at + 2] = DIGITS[from + 2] as number;
  out[at + 3] = DIGITS[from + 3] as number;
}

/** Writes a non-negative safe integer in decimal and returns where it ends. */
export function writeUint(out: Buffer, at: number, value: number): number {
  if (value < 10) {
    out[at] = 48 + value;
    return at + 1;
  }
  let digits = 2;
  for (let bound = 100; value >= bound; bound *= 10) digits += 1;
  let rest = value;
  for (let to = at + digits - 1; to >= at; to -= 1) {
    const next = Math.floor(rest / 10);
    out[to] = 48 + (rest - next * 10);
    rest = next;
  }
  return at + digits;
}

/** Always the same text. */
export function text(value: string): Writer {
  return bytes(Buffer.from(value, 'utf8'));
}

function bytes(constant: Buffer): Writer {
  const { length } = constant;
  return {
    maxBytes: length,
    fixed: true,
    constant,
    write(out, at) {
      // A loop beats the call of a copy for short pieces.
      if (length > 24) constant.copy(out, at);
      else for (let i = 0; i < length; i += 1) out[at + i] = constant[i] as number;
      return at + length;
    },
  };
}

/** Several writers one after the other, runs of fixed width made into one block each. */
export function concat(writers: readonly Writer[]): Writer {
  const merged = mergeFixed(writers);
  if (merged.length === 1) return merged[0] as Writer;
  return {
    maxBytes: merged.reduce((sum, writer) => sum + writer.maxBytes, 0),
    write(out, at, event) {
      let to = at;
      for (let i = 0; i < merged.length; i += 1) to = (merged[i] as Writer).write(out, to, event);
      return to;
    },
  };
}

function mergeFixed(writers: readonly Writer[]): Writer[] {
  const merged: Writer[] = [];
  let run: Writer[] = [];
  const endRun = (): void => {
    if (run.length === 1) merged.push(run[0] as Writer);
    if (run.length > 1) merged.push(block(run));
    run = [];
  };
  for (const writer of writers) {
    if (writer.fixed) run.push(writer);
    else {
      endRun();
      merged.push(writer);
    }
  }
  endRun();
  return merged;
}

/** The literal text of a run is copied in one go, then the variable parts are written over their gaps. */
function block(run: readonly Writer[]): Writer {
  const maxBytes = run.reduce((sum, writer) => sum + writer.maxBytes, 0);
  const background = Buffer.alloc(maxBytes, 0x20);
  const holes: { readonly offset: number; readonly writer: Writer }[] = [];
  let offset = 0;
  for (const writer of run) {
    if (writer.constant) writer.constant.copy(background, offset);
    else holes.push({ offset, writer });
    offset += writer.maxBytes;
  }
  const count = holes.length;
  if (count === 0) return bytes(background);
  return {
    maxBytes,
    fixed: true,
    write(out, at, event) {
      background.copy(out, at);
      for (let i = 0; i < count; i += 1) {
        const hole = holes[i] as (typeof holes)[number];
        hole.writer.write(out, at + hole.offset, event);
      }
      return at + maxBytes;
    },
  };
}
