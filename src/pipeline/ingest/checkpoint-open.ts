import type { CosmosConnection } from '../../cosmos/client.ts';
import { blobCheckpointStore } from '../../eventhubs/checkpoint-blob.ts';
import { fileCheckpointStore } from '../../eventhubs/checkpoint-file.ts';
import { memoryCheckpointStore } from '../../eventhubs/checkpoint-memory.ts';
import type { ResettableCheckpointStore } from '../../eventhubs/checkpoint-store.ts';
import type { Clock } from '../../util/clock.ts';
import { usageError } from '../../util/errors.ts';
import { parseContainerOf } from '../../util/resource-id.ts';
import type { Secret } from '../../util/secret.ts';
import { cosmosCheckpointStore } from './checkpoint-cosmos.ts';

/** Where owners and checkpoints are kept. */
export type CheckpointSpec =
  /** For the life of the process: every run starts over. */
  | { readonly kind: 'memory' }
  /** Below a folder, for the processes of one machine. */
  | { readonly kind: 'file'; readonly folder: string }
  /** In a container of the target's database, made when absent; for several hosts. */
  | { readonly kind: 'cosmos'; readonly container: string }
  /** In a container of Azure Blob Storage, readable for the Azure SDKs and Functions; for several hosts. */
  | { readonly kind: 'blob'; readonly container: string; readonly connectionString?: Secret }
  /** A store of the caller's own. */
  | { readonly kind: 'store'; readonly store: ResettableCheckpointStore };

/** Parses `memory`, `file:<folder>`, `cosmos[:<container>]`, `blob:<container or URL>`. */
export function parseCheckpointSpec(text: string, blobConnectionString?: Secret): CheckpointSpec {
  const separator = text.indexOf(':');
  const kind = separator < 0 ? text : text.slice(0, separator);
  const rest = separator < 0 ? '' : text.slice(separator + 1);
  if (kind === 'memory' && rest === '') return { kind };
  if (kind === 'file' && rest !== '') return { kind, folder: rest };
  if (kind === 'cosmos')
    return { kind, container: parseContainerOf(`checkpoint store "${text}"`, rest || 'checkpoints') };
  if (kind === 'blob' && rest !== '')
    return {
      kind,
      container: rest,
      ...(blobConnectionString === undefined ? {} : { connectionString: blobConnectionString }),
    };
  throw usageError(
    `invalid checkpoint store "${text}"`,
    'expected file:<folder>, cosmos[:<container>], blob:<container or URL>, or memory',
  );
}

export async function openCheckpointStore(
  spec: CheckpointSpec,
  cosmos: () => Promise<CosmosConnection>,
  clock: Clock,
): Promise<ResettableCheckpointStore> {
  switch (spec.kind) {
    case 'memory':
      return memoryCheckpointStore(clock);
    case 'file':
      return fileCheckpointStore(spec.folder, clock);
    case 'cosmos':
      return cosmosCheckpointStore(await cosmos(), spec.container, clock);
    case 'blob':
      return blobCheckpointStore(spec.container, spec.connectionString);
    case 'store':
      return spec.store;
  }
}
