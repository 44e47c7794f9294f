import { tmpdir } from 'node:os';
import { fullCollector } from '../../util/full-collection.ts';
import type { Observation, Unreadable } from './observation.ts';
import { PartitionedKeys } from './partitions.ts';
import { Names } from './records.ts';
import { SpillFile } from './spill-file.ts';
import { newSettlement, Tally } from './tally.ts';
import type { Place, Verdict } from './verdict.ts';
import { orderedPlaces, type VerifierOptions } from './verify.ts';

/** Heap in use over what lives, before it is collected. */
const HEAP_SLACK = 1.5;

export interface BoundedVerifierOptions extends Omit<VerifierOptions, 'ledgers'> {
  /** Heap that keys may take, estimated; what is more is put aside on disk. Pages and the process itself come on top. */
  readonly maxMemoryBytes: number;
  /** Folder for what is put aside, default: that of the system for temporary files. */
  readonly scratchFolder?: string;
  readonly signal: AbortSignal;
}

/** A verifier whose memory does not grow with the number of keys, and that comes to the same verdict. */
export interface BoundedVerifier {
  /** Announces a run with a ledger, before anything is observed. */
  run(run: string): void;
  /** A ledger did not end in order: more may have been acknowledged than it says. */
  incomplete(): void;
  acknowledged(run: string, key: string, from: number, to: number): void;
  misbehaved(run: string, kind: string, key: string, from: number, to: number): void;
  observe(place: Place, event: Observation, atMs?: number): void;
  corrupted(place: Place, item: Unreadable): void;
  /** Runs with a ledger. */
  readonly runs: ReadonlySet<string>;
  /** Bytes that were put aside on disk so far. */
  readonly spilledBytes: number;
  /** Once, at the end. Rejects with the signal's reason. */
  verdict(): Promise<Verdict>;
  /** Frees the disk; the verdict does, too. */
  dispose(): void;
}

/** As `createVerifier`, for more keys than fit in memory. Throws PipeError E_CONFIG when the scratch folder takes no more. */
export function createBoundedVerifier(options: BoundedVerifierOptions): BoundedVerifier {
  const { firstSequence, lateAfterMs, maxExamples = 10, maxMemoryBytes, places, signal } = options;
  const { scratchFolder = tmpdir(), storeOrdered } = options;
  const tally = new Tally(places, maxExamples);
  const runs = new Set<string>();
  const files: SpillFile[] = [];
  const keys = new PartitionedKeys({
    rules: { runs, ordered: orderedPlaces(storeOrdered), lateAfterMs, firstSequence },
    tally,
    names: new Names(),
    maxMemoryBytes,
    signal,
    letGo: fullCollector(maxMemoryBytes * HEAP_SLACK),
    openFile() {
      const file = new SpillFile(scratchFolder);
      files.push(file);
      return file;
    },
  });
  let complete = true;
  let arrivals = 0;
  const dispose = (): void => {
    for (const file of files) file.close();
  };
  return {
    runs,
    run: (run) => runs.add(run),
    incomplete() {
      complete = false;
    },
    acknowledged: (run, key, from, to) =>
      keys.learn({ type: 'acknowledged', run, key, bounds: [{ from, to }] }),
    misbehaved: (run, kind, key, from, to) =>
      keys.learn({ type: 'misbehaved', run, kind, key, bounds: [{ from, to }] }),
    observe(place, event, atMs) {
      tally.at(place).observed += 1;
      const { run, key } = event;
      if (runs.size > 0 && !runs.has(run)) return;
      keys.learn({ type: 'observed', run, key, place, event, atMs, arrival: arrivals++ });
    },
    corrupted: (place, item) => tally.corrupted(place, item, arrivals++),
    get spilledBytes() {
      return files.reduce((sum, file) => sum + file.sizeBytes, 0);
    },
    async verdict() {
      const settlement = newSettlement(tally.places.keys(), maxExamples);
      try {
        await keys.settle(settlement);
      } finally {
        dispose();
      }
      return tally.verdict(settlement, runs.size === 0 ? 'none' : complete ? 'complete' : 'incomplete');
    },
    dispose,
  };
}
