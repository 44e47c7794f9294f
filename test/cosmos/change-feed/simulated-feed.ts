import type { LeaseDocument } from '../../../src/cosmos/change-feed/lease.ts';
import type { FeedSource, RawPage } from '../../../src/cosmos/change-feed/sdk-feed.ts';
import type { FeedRange, RangePosition } from '../../../src/cosmos/change-feed/types.ts';
import type { DocumentStore, StoredDocument } from '../../../src/cosmos/document-store.ts';

interface LoggedChange {
  readonly epk: string;
  readonly document: Readonly<Record<string, unknown>>;
  readonly lsn: number;
}

interface Partition extends FeedRange {
  readonly log: readonly LoggedChange[];
  lsn: number;
}

/** Runs a call of one process, or never ends it: the process was killed. */
export type Gate = <T>(call: () => T) => Promise<T>;

/** A container whose partitions split, behind the interface that the processor reads. */
export function createSimulatedContainer(partitionCount: number) {
  let partitions: Partition[] = Array.from({ length: partitionCount }, (_, index) => ({
    min: index === 0 ? '' : bound(index / partitionCount),
    max: index === partitionCount - 1 ? 'FF' : bound((index + 1) / partitionCount),
    log: [],
    lsn: 0,
  }));
  const within = ({ min, max }: FeedRange): Partition[] =>
    partitions.filter((partition) => partition.min < max && partition.max > min);

  return {
    get rangeCount() {
      return partitions.length;
    },
    write(epk: string, document: Readonly<Record<string, unknown>>): void {
      const partition = partitions.find(({ min, max }) => min <= epk && epk < max) as Partition;
      const lsn = ++partition.lsn;
      (partition.log as LoggedChange[]).push({ epk, document: { ...document, _lsn: lsn, _ts: 0 }, lsn });
    },
    split(index: number): void {
      const { min, max, log, lsn } = partitions[index] as Partition;
      const low = min === '' ? 0 : Number.parseInt(min, 16);
      const high = max === 'FF' ? 0x4000 : Number.parseInt(max, 16);
      if (high - low < 2) return;
      const middle = ((low + high) >> 1).toString(16).toUpperCase().padStart(4, '0');
      partitions = partitions.toSpliced(
        index,
        1,
        { min, max: middle, lsn, log: log.filter(({ epk }) => epk < middle) },
        { min: middle, max, lsn, log: log.filter(({ epk }) => epk >= middle) },
      );
    },
    /** The feed as one process sees it. */
    source(gate: Gate): FeedSource {
      return {
        rid: 'rid',
        partitionKeyPaths: ['/pk'],
        mode: 'latestVersion',
        ranges: () => gate(() => partitions.map(({ min, max }) => ({ min, max }))),
        cursor(from, start, pageSize) {
          let queue: RangePosition[] = [from];
          return {
            next: () =>
              gate(() => {
                queue = queue.flatMap((position) =>
                  within(position).map(({ min, max }) => ({ ...position, min, max })),
                );
                // As the SDK does: the first range that has something, which is then moved to the end.
                for (let turn = 0; turn < queue.length; turn++) {
                  const position = queue.shift() as RangePosition;
                  const partition = within(position)[0] as Partition;
                  const page = pageAfter(partition, position, start === 'beginning', pageSize);
                  const served = { ...position, continuation: `"${page.at(-1)?.lsn ?? partition.lsn}"` };
                  queue.push(served);
                  if (page.length > 0 || turn === queue.length - 1)
                    return raw(partition, page, served, queue);
                }
                throw new Error('a range without partitions');
              }),
          };
        },
      };
    },
  };
}

function pageAfter(partition: Partition, position: RangePosition, fromBeginning: boolean, pageSize: number) {
  const { continuation } = position;
  if (continuation === undefined && !fromBeginning) return [];
  const after = continuation === undefined ? 0 : Number(continuation.replaceAll('"', ''));
  return partition.log.filter(({ lsn }) => lsn > after).slice(0, pageSize);
}

function raw(
  partition: Partition,
  page: readonly LoggedChange[],
  served: RangePosition,
  positions: readonly RangePosition[],
): RawPage {
  return {
    documents: page.map(({ document }) => document),
    rangeId: partition.min,
    requestCharge: 1,
    headLsn: partition.lsn,
    served,
    positions: [...positions],
  };
}

function bound(fraction: number): string {
  return Math.floor(fraction * 0x4000)
    .toString(16)
    .toUpperCase()
    .padStart(4, '0');
}

/** The lease container: one map, guarded by ETags. */
export function createSimulatedLeases() {
  const documents = new Map<string, StoredDocument<LeaseDocument>>();
  let version = 0;
  const put = (document: LeaseDocument): StoredDocument<LeaseDocument> => {
    const stored = { document, etag: `"${++version}"` };
    documents.set(document.id, stored);
    return stored;
  };
  return {
    documents,
    store: (gate: Gate): DocumentStore<LeaseDocument> => ({
      create: (document) => gate(() => (documents.has(document.id) ? undefined : put(document))),
      read: (id) => gate(() => documents.get(id)),
      replace: (document, _, etag) =>
        gate(() => (documents.get(document.id)?.etag === etag ? put(document) : undefined)),
      delete: (id, _, etag) =>
        gate(() => {
          const matches = etag === undefined || documents.get(id)?.etag === etag;
          return matches && documents.delete(id);
        }),
      list: () => gate(() => [...documents.values()]),
    }),
  };
}
