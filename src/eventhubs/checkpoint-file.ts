import { link, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../util/clock.ts';
import { PipeError } from '../util/errors.ts';
import type {
  Checkpoint,
  CheckpointScope,
  PartitionOwnership,
  ResettableCheckpointStore,
} from './checkpoint-store.ts';

interface FileEntry {
  readonly name: string;
  readonly partitionId: string;
  /** Generation of an owner, sequence number of a checkpoint. */
  readonly version: number;
}

type Kind = 'owner' | 'checkpoint';

/**
 * Owners and checkpoints as small files below `folder`, for the processes and worker threads of one machine.
 *
 * The version is part of the file name and the highest one counts, so that no lock is needed and none can be left behind:
 *
 *     <folder>/<namespace>/<hub>/<group>/0.owner.17.json          claim number 17 of partition 0
 *     <folder>/<namespace>/<hub>/<group>/0.checkpoint.37411.json  everything up to 37,411 is durable
 *
 * A claim is won by creating the next generation (`link` fails when the name exists) while it is the highest, and a checkpoint
 * cannot go backwards because a lower number never wins. Files appear complete (written and synced under another name first).
 */
export function fileCheckpointStore(folder: string, clock: Clock): ResettableCheckpointStore {
  const owner = `${process.pid}-${Math.round(clock.epochMicros())}`;
  let temporaries = 0;

  async function write(directory: string, content: unknown): Promise<string> {
    temporaries += 1;
    const path = join(directory, `.${owner}-${temporaries}.tmp`);
    const handle = await open(path, 'w');
    try {
      await handle.writeFile(`${JSON.stringify(content)}\n`);
      await handle.datasync();
    } finally {
      await handle.close();
    }
    return path;
  }

  /** False when there is a higher version already. */
  async function removeBelow(directory: string, kind: Kind, partitionId: string, version: number) {
    const all = (await entries(directory, kind)).filter((entry) => entry.partitionId === partitionId);
    for (const entry of all)
      if (entry.version < version) await rm(join(directory, entry.name), { force: true });
    return all.every((entry) => entry.version <= version);
  }

  async function claim(request: PartitionOwnership): Promise<PartitionOwnership | undefined> {
    const directory = await ensure(folder, request);
    const current = newest(await entries(directory, 'owner')).get(request.partitionId);
    if (current === undefined ? request.etag !== undefined : request.etag !== String(current.version))
      return undefined;
    const version = (current?.version ?? 0) + 1;
    const lastModifiedTimeInMs = Math.floor(clock.epochMicros() / 1000);
    const temporary = await write(directory, {
      ownerId: request.ownerId,
      lastModifiedTimeInMs,
      process: { host: hostname(), pid: process.pid },
    });
    try {
      await link(temporary, join(directory, fileName(request.partitionId, 'owner', version)));
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return undefined;
      throw error;
    } finally {
      await rm(temporary, { force: true });
    }
    // Whoever stood still since it looked may have created a generation that was won, replaced and removed meanwhile.
    if (!(await removeBelow(directory, 'owner', request.partitionId, version))) return undefined;
    return { ...request, etag: String(version), lastModifiedTimeInMs };
  }

  return {
    listOwnership: async (fullyQualifiedNamespace, eventHubName, consumerGroup) => {
      const scope = { fullyQualifiedNamespace, eventHubName, consumerGroup };
      return readNewest(folder, scope, 'owner', (entry, content) => ({
        ...scope,
        partitionId: entry.partitionId,
        ownerId: isAlive(content['process'], Number(content['lastModifiedTimeInMs']))
          ? String(content['ownerId'])
          : '',
        lastModifiedTimeInMs: Number(content['lastModifiedTimeInMs']),
        etag: String(entry.version),
      }));
    },
    async claimOwnership(claims) {
      // Side by side: every step waits for a turn of the event loop, and many partitions would outlast their claims.
      const results = await Promise.all(claims.map(claim));
      return results.filter((result) => result !== undefined);
    },
    async updateCheckpoint(checkpoint) {
      const { partitionId, sequenceNumber } = checkpoint;
      const directory = await ensure(folder, checkpoint);
      const current = newest(await entries(directory, 'checkpoint')).get(partitionId);
      if (current !== undefined && current.version > sequenceNumber) return;
      const temporary = await write(directory, {
        offset: checkpoint.offset,
        hubCreatedMs: checkpoint.hubCreatedMs,
      });
      await rename(temporary, join(directory, fileName(partitionId, 'checkpoint', sequenceNumber)));
      await removeBelow(directory, 'checkpoint', partitionId, sequenceNumber);
    },
    listCheckpoints: async (fullyQualifiedNamespace, eventHubName, consumerGroup) => {
      const scope = { fullyQualifiedNamespace, eventHubName, consumerGroup };
      return readNewest<Checkpoint>(folder, scope, 'checkpoint', (entry, content) => ({
        ...scope,
        partitionId: entry.partitionId,
        sequenceNumber: entry.version,
        offset: String(content['offset']),
        ...(typeof content['hubCreatedMs'] === 'number' ? { hubCreatedMs: content['hubCreatedMs'] } : {}),
      }));
    },
    async resetCheckpoints(scope, partitionIds) {
      const directory = directoryOf(folder, scope);
      for (const entry of await entries(directory, 'checkpoint'))
        if (partitionIds.includes(entry.partitionId)) await rm(join(directory, entry.name), { force: true });
    },
  };
}

/**
 * False for a process of this machine that is gone: its partitions are free at once instead of after the expiry. A process
 * id can come back (1 in a container), so a claim from before this process started is not its own.
 */
function isAlive(claimant: unknown, claimedMs: number): boolean {
  const { host, pid } = claimant as { readonly host?: unknown; readonly pid?: unknown };
  if (host !== hostname() || typeof pid !== 'number') return true;
  if (pid === process.pid) return claimedMs >= performance.timeOrigin;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
}

function directoryOf(folder: string, scope: CheckpointScope): string {
  const parts = [scope.fullyQualifiedNamespace, scope.eventHubName, scope.consumerGroup];
  return join(folder, ...parts.map((part) => encodeURIComponent(part.toLowerCase())));
}

async function ensure(folder: string, scope: CheckpointScope): Promise<string> {
  const directory = directoryOf(folder, scope);
  try {
    await mkdir(directory, { recursive: true });
  } catch (error) {
    throw new PipeError(
      'E_CONFIG',
      `cannot write checkpoints to ${directory} (${(error as Error).message})`,
      {
        hint: 'pass a writable folder with --checkpoints file:<folder>',
        cause: error,
      },
    );
  }
  return directory;
}

function fileName(partitionId: string, kind: Kind, version: number): string {
  return `${encodeURIComponent(partitionId)}.${kind}.${version}.json`;
}

async function entries(directory: string, kind: Kind): Promise<FileEntry[]> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
  return names.flatMap((name) => {
    const match = /^(.+)\.(owner|checkpoint)\.(-?\d+)\.json$/.exec(name);
    if (match === null || match[2] !== kind) return [];
    return [{ name, partitionId: decodeURIComponent(match[1] as string), version: Number(match[3]) }];
  });
}

function newest(all: readonly FileEntry[]): Map<string, FileEntry> {
  const highest = new Map<string, FileEntry>();
  for (const entry of all)
    if (entry.version > (highest.get(entry.partitionId)?.version ?? Number.NEGATIVE_INFINITY))
      highest.set(entry.partitionId, entry);
  return highest;
}

/** A file that a newer version replaced while it was being read sends the reader back to the folder. */
async function readNewest<T>(
  folder: string,
  scope: CheckpointScope,
  kind: Kind,
  toValue: (entry: FileEntry, content: Readonly<Record<string, unknown>>) => T,
): Promise<T[]> {
  const directory = directoryOf(folder, scope);
  for (;;) {
    try {
      return await Promise.all(
        [...newest(await entries(directory, kind)).values()].map(async (entry) =>
          toValue(entry, JSON.parse(await readFile(join(directory, entry.name), 'utf8'))),
        ),
      );
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
