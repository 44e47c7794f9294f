import type { WriteOutcome } from '../../cosmos/write-operation.ts';
import type { RuRecorder, StageRecorder } from '../../metrics/types.ts';
import type { Clock } from '../../util/clock.ts';
import { type DeadLetterArchive, type DeadLetterRecord, deadLetterId } from '../dead-letter/dead-letter.ts';
import { compileMapping, type MappingOptions } from '../mapping/mapping.ts';
import { newerOnlyWriter } from './newer.ts';
import type { IngestStore } from './store.ts';

export interface ReplayOptions {
  readonly archive: DeadLetterArchive;
  readonly store: IngestStore;
  readonly mapping: MappingOptions;
  readonly recorder: StageRecorder;
  readonly ru: RuRecorder;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface ReplayResult {
  readonly replayed: number;
  /** Records that were rejected again and stay in the dead letter. */
  readonly remaining: number;
  /** Rejections by reason. */
  readonly reasons: Readonly<Record<string, number>>;
}

/** Maps and writes every dead letter again, and removes those that are stored now. */
export async function replayDeadLetters(options: ReplayOptions): Promise<ReplayResult> {
  const { archive, clock, mapping, recorder, ru, signal, store } = options;
  const map = await compileMapping(mapping, store.partitionKeyPaths, clock);
  const writer = await store.openWriter({ recorder, ru, clock, signal });
  const writeNewer = newerOnlyWriter(
    writer,
    store.read,
    (mapping.newerField ?? 'deviceSequenceNumber').split('.'),
  );
  const done = new Set<string>();
  const reasons: Record<string, number> = {};
  let remaining = 0;
  const keep = (reason: string) => {
    remaining += 1;
    reasons[reason] = (reasons[reason] ?? 0) + 1;
  };
  try {
    for await (const record of archive.records()) {
      if (signal.aborted) break;
      const mapped = map(Buffer.from(record.body, 'base64'), sourceOf(record));
      if (mapped.kind === 'rejected') {
        keep(mapped.reason);
        continue;
      }
      if (mapped.kind === 'skipped') {
        done.add(deadLetterId(record));
        continue;
      }
      const settled = (outcome: WriteOutcome) => {
        if (outcome.ok || outcome.statusCode === 409 || outcome.statusCode === 412)
          done.add(deadLetterId(record));
        else keep(`rejected (${outcome.statusCode})`);
      };
      await (mapped.newer === undefined
        ? writer.write(mapped.operation, settled)
        : writeNewer(mapped.operation, mapped.newer, settled));
    }
    await writer.flush();
  } finally {
    await writer.close();
  }
  await archive.remove((record) => done.has(deadLetterId(record)));
  return { replayed: done.size, remaining, reasons };
}

function sourceOf(record: DeadLetterRecord) {
  return { ...record, enqueuedMs: Date.parse(record.enqueuedTime) };
}
