import type { PartitionKey, PartitionKeyComponent } from '../write-operation.ts';
import type { FeedChange, FeedMode, FeedOperation } from './types.ts';

type Document = Readonly<Record<string, unknown>>;

interface VersionMetadata {
  readonly operationType: FeedOperation;
  readonly lsn: number;
  /** Conflict resolution timestamp, seconds since the Unix epoch. */
  readonly crts: number;
  /** Sent with deletes, whose `current` is empty. */
  readonly id?: string;
  readonly partitionKey?: Readonly<Record<string, PartitionKeyComponent>>;
}

/** Makes the function that turns a document of the feed, and its text where it is at hand, into a change. */
export function changeReader(
  mode: FeedMode,
  partitionKeyPaths: readonly string[],
): (document: Document, text?: string) => FeedChange {
  const keyOf = partitionKeyReader(partitionKeyPaths);
  if (mode === 'latestVersion')
    return (item, text) => ({
      id: item['id'] as string,
      partitionKey: keyOf(item),
      lsn: item['_lsn'] as number,
      storedMs: (item['_ts'] as number) * 1000,
      operation: 'upsert',
      item,
      text,
    });
  return (document) => {
    const metadata = document['metadata'] as VersionMetadata;
    const current = (document['current'] ?? {}) as Document;
    const previous = document['previous'] as Document | undefined;
    const full = metadata.operationType === 'delete' ? (previous ?? {}) : current;
    const id = (full['id'] as string | undefined) ?? metadata.id ?? '';
    return {
      id,
      partitionKey: metadata.partitionKey ? flat(Object.values(metadata.partitionKey)) : keyOf(full),
      lsn: metadata.lsn,
      storedMs: metadata.crts * 1000,
      operation: metadata.operationType,
      item: full['id'] === undefined ? { id, ...metadata.partitionKey } : full,
      ...(previous === undefined ? {} : { previous }),
    };
  };
}

/** Reads the partition key at its definition paths: `/deviceId`, `/a/b`, or several of a hierarchical key. */
function partitionKeyReader(paths: readonly string[]): (item: Document) => PartitionKey {
  const steps = paths.map((path) => path.slice(1).split('/'));
  const [only] = steps;
  if (steps.length === 1 && only?.length === 1) {
    const name = only[0] as string;
    return (item) => item[name] as PartitionKey;
  }
  return (item) => flat(steps.map((path) => valueAt(item, path)));
}

function valueAt(item: Document, path: readonly string[]): PartitionKeyComponent {
  let value: unknown = item;
  for (const step of path) value = (value as Document | null | undefined)?.[step];
  return value as PartitionKeyComponent;
}

function flat(components: readonly PartitionKeyComponent[]): PartitionKey {
  return components.length === 1 ? components[0] : components;
}
