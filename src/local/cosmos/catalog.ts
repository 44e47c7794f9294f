import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { Container } from './container.ts';
import type { ContainerDefinition } from './container-definition.ts';
import { badRequest, notFound, resourceExists } from './errors.ts';
import { etagOf } from './item.ts';
import { PartitionLog } from './log.ts';
import { PhysicalPartition } from './partition.ts';
import { containerRid, databaseRid } from './rid.ts';
import type { Throughput } from './throughput.ts';

/** The metadata part of any resource. */
export interface ResourceStamp {
  etag: string;
  timestamp: number;
}

export interface Offer extends ResourceStamp {
  readonly id: string;
  /** Highest throughput there ever was: it decides the lowest one that may be set. */
  highest: number;
  /** True while a scale-up waits for its partitions. */
  pending: boolean;
}

export interface ContainerEntry extends ResourceStamp {
  readonly number: number;
  readonly database: Database;
  readonly container: Container;
  readonly offer: Offer;
}

export interface Database extends ResourceStamp {
  readonly id: string;
  readonly number: number;
  readonly rid: string;
  readonly self: string;
  readonly containers: Map<string, ContainerEntry>;
  nextContainer: number;
}

interface StoredRange {
  readonly id: string;
  readonly minInclusive: string;
  readonly maxExclusive: string;
  readonly parents: readonly string[];
  readonly file: string;
}

interface StoredContainer extends ResourceStamp {
  readonly number: number;
  readonly definition: ContainerDefinition;
  readonly throughput: Throughput;
  readonly offer: Offer;
  readonly ranges: readonly StoredRange[];
  readonly retired: readonly (readonly [
    string,
    { readonly minInclusive: string; readonly maxExclusive: string },
  ])[];
  readonly nextRangeId: number;
}

interface StoredDatabase extends ResourceStamp {
  readonly id: string;
  readonly number: number;
  readonly nextContainer: number;
  readonly containers: readonly StoredContainer[];
}

interface StoredCatalog {
  readonly version: 1;
  readonly sequence: number;
  readonly databases: readonly StoredDatabase[];
}

/** Databases, containers and offers, and on disk: which file belongs to which range. */
export class Catalog {
  readonly databases = new Map<string, Database>();
  readonly #folder: string | undefined;
  readonly #now: () => number;
  /** Numbers databases, offers, etags and files; never goes back. */
  #sequence = 0;
  #loading = false;

  /** @param now wall clock, milliseconds */
  constructor(folder: string | undefined, now: () => number) {
    this.#folder = folder;
    this.#now = now;
    if (folder !== undefined) this.#load(folder);
  }

  get containers(): ContainerEntry[] {
    return [...this.databases.values()].flatMap((database) => [...database.containers.values()]);
  }

  /** By name, or by rid as some clients address. @throws WireError 404 */
  database(name: string): Database {
    const database = this.databases.get(name) ?? [...this.databases.values()].find(({ rid }) => rid === name);
    if (database === undefined) throw notFound();
    return database;
  }

  /** By name or rid. @throws WireError 404 */
  container(databaseName: string, name: string): ContainerEntry {
    const { containers } = this.database(databaseName);
    const entry =
      containers.get(name) ?? [...containers.values()].find(({ container }) => container.rid === name);
    if (entry === undefined) throw notFound();
    return entry;
  }

  createDatabase(id: string): Database {
    if (this.databases.has(id)) throw resourceExists();
    const database = this.#newDatabase(id, ++this.#sequence, this.stamp());
    this.databases.set(id, database);
    this.save();
    return database;
  }

  deleteDatabase(database: Database): void {
    this.databases.delete(database.id);
    this.save();
    for (const entry of database.containers.values()) this.#removeContainer(entry);
  }

  createContainer(
    database: Database,
    definition: ContainerDefinition,
    throughput: Throughput,
  ): ContainerEntry {
    if (database.containers.has(definition.id)) throw resourceExists();
    const number = database.nextContainer++;
    const offerId = (++this.#sequence).toString(36).toUpperCase().padStart(4, '0');
    const offer = { ...this.stamp(), id: offerId, highest: throughput.maximum, pending: false };
    const entry = this.#newContainer(database, { ...this.stamp(), number, definition, throughput, offer });
    entry.container.createRanges();
    database.containers.set(definition.id, entry);
    this.save();
    return entry;
  }

  deleteContainer(entry: ContainerEntry): void {
    entry.database.containers.delete(entry.container.definition.id);
    this.save();
    this.#removeContainer(entry);
  }

  /** A fresh etag and timestamp for a resource that changes now. */
  stamp(): ResourceStamp {
    const timestamp = Math.floor(this.#now() / 1000);
    return { timestamp, etag: etagOf({ sequence: ++this.#sequence, timestamp }) };
  }

  /** Replaces the catalog file in one step, so that a crash leaves the old or the new one. */
  save(): void {
    if (this.#folder === undefined || this.#loading) return;
    const file = join(this.#folder, 'catalog.json');
    const descriptor = openSync(`${file}.new`, 'w');
    writeSync(descriptor, JSON.stringify(this.#snapshot()));
    fsyncSync(descriptor);
    closeSync(descriptor);
    renameSync(`${file}.new`, file);
  }

  close(): void {
    for (const { container } of this.containers) container.close();
  }

  #snapshot(): StoredCatalog {
    return {
      version: 1,
      sequence: this.#sequence,
      databases: [...this.databases.values()].map(
        ({ id, number, nextContainer, etag, timestamp, containers }) => ({
          id,
          number,
          nextContainer,
          etag,
          timestamp,
          containers: [...containers.values()].map(storedContainer),
        }),
      ),
    };
  }

  #load(folder: string): void {
    mkdirSync(folder, { recursive: true });
    const file = join(folder, 'catalog.json');
    if (!existsSync(file)) return;
    const stored = JSON.parse(readFileSync(file, 'utf8')) as StoredCatalog;
    this.#sequence = stored.sequence;
    this.#loading = true;
    for (const { id, number, nextContainer, containers, ...stamp } of stored.databases) {
      const database = this.#newDatabase(id, number, stamp);
      database.nextContainer = nextContainer;
      this.databases.set(id, database);
      for (const one of containers) database.containers.set(one.definition.id, this.#restore(database, one));
    }
    this.#loading = false;
  }

  #restore(database: Database, stored: StoredContainer): ContainerEntry {
    const entry = this.#newContainer(database, stored);
    const { container } = entry;
    container.table.nextId = stored.nextRangeId;
    for (const [id, bounds] of stored.retired) container.table.retired.set(id, bounds);
    container.restoreRanges(
      stored.ranges.map(
        ({ file, ...range }) =>
          new PhysicalPartition({ ...range, log: new PartitionLog(join(this.#folder as string, file)) }),
      ),
    );
    return entry;
  }

  #newDatabase(id: string, number: number, stamp: ResourceStamp): Database {
    const rid = databaseRid(number);
    return { ...stamp, id, number, rid, self: `dbs/${rid}/`, containers: new Map(), nextContainer: 1 };
  }

  #newContainer(
    database: Database,
    stored: Pick<StoredContainer, 'number' | 'definition' | 'throughput' | 'offer' | 'etag' | 'timestamp'>,
  ): ContainerEntry {
    const { number, definition, throughput, offer, etag, timestamp } = stored;
    const rid = containerRid(database.rid, number);
    const container = new Container({ rid, self: `${database.self}colls/${rid}/` }, definition, throughput, {
      now: this.#now,
      createLog: (rangeId) => new PartitionLog(this.#newLogPath(database, number, rangeId)),
      save: () => this.save(),
    });
    return { number, database, container, offer: { ...offer }, etag, timestamp };
  }

  #newLogPath(database: Database, container: number, rangeId: string): string | undefined {
    if (this.#folder === undefined) return undefined;
    const folder = join(this.#folder, containerFolder(database, container));
    mkdirSync(folder, { recursive: true });
    const path = join(folder, `${rangeId}.${++this.#sequence}.log`);
    // A crash between writing a log and naming it in the catalog leaves a file that nobody refers to.
    rmSync(path, { force: true });
    return path;
  }

  #removeContainer({ database, container, number }: ContainerEntry): void {
    container.remove();
    if (this.#folder !== undefined)
      rmSync(join(this.#folder, containerFolder(database, number)), { recursive: true, force: true });
  }
}

const containerFolder = (database: Database, container: number): string => `${database.number}-${container}`;

function storedContainer({
  number,
  etag,
  timestamp,
  container,
  offer,
  database,
}: ContainerEntry): StoredContainer {
  return {
    number,
    etag,
    timestamp,
    offer,
    definition: container.definition,
    throughput: container.throughput,
    nextRangeId: container.table.nextId,
    retired: [...container.table.retired],
    ranges: container.ranges.map(({ id, minInclusive, maxExclusive, parents, log }) => ({
      id,
      minInclusive,
      maxExclusive,
      parents,
      file: `${containerFolder(database, number)}/${(log.path ?? '').split(/[/\\]/).at(-1)}`,
    })),
  };
}

/** Checks a throughput that a client asks for. @throws WireError 400 */
export function requireThroughput({ maximum, autoscale }: Throughput, highestEver: number): Throughput {
  const [lowest, step] = autoscale
    ? [Math.max(1000, Math.ceil(highestEver / 10 / 1000) * 1000), 1000]
    : [Math.max(400, Math.ceil(highestEver / 100 / 100) * 100), 100];
  if (!Number.isInteger(maximum) || maximum < lowest || maximum > 1_000_000 || maximum % step !== 0)
    throw badRequest(
      `The offer should have valid throughput values between ${lowest} and 1000000 inclusive in increments of ${step}.`,
    );
  return { maximum, autoscale };
}
