import type { Terminal } from '../src/cli/terminal.ts';
import { totalLag } from '../src/pipeline/ingest/progress.ts';
import type { IngestProgress, IngestResult } from '../src/pipeline/ingest/types.ts';
import type { Clock } from '../src/util/clock.ts';

/** Where `ingest` says what happens: to people, or line by line to a log collector. */
export interface IngestLog {
  /** `shown` is for people where it says more than the message. */
  info(message: string, fields?: Readonly<Record<string, unknown>>, shown?: string): void;
  warn(message: string): void;
  /** Logs the state every ten seconds; people have the live view instead. */
  progress(progress: IngestProgress): void;
  /** Logs the outcome; people are shown the result itself. */
  ended(result: IngestResult): void;
}

const PROGRESS_EVERY_MS = 10_000;

/** Opens the log in one of the formats of `--log-format`. */
export function ingestLog(terminal: Terminal, format: 'text' | 'json', clock: Clock): IngestLog {
  if (format === 'text')
    return {
      info: (message, _fields, shown) => terminal.note(shown ?? message),
      warn: (message) => terminal.warn(message),
      progress: () => {},
      ended: () => {},
    };
  let loggedAt = Number.NEGATIVE_INFINITY;
  return {
    info: (message, fields) => terminal.log('info', message, fields),
    warn: (message) => terminal.log('warn', message),
    progress({ elapsedMs, partitions, phase, totals, writer }) {
      const now = clock.now();
      if (now - loggedAt < PROGRESS_EVERY_MS && phase === 'running') return;
      loggedAt = now;
      const { buffered, inFlight } = writer;
      const lagEvents = totalLag(partitions);
      terminal.log('info', phase, { elapsedMs, ...totals, buffered, inFlight, lagEvents, partitions });
    },
    ended: ({ partitions, ...counts }) => terminal.log('info', 'ended', { ...counts, partitions }),
  };
}
