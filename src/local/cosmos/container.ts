import { partitionKeyRangesFor } from '../../hashing/effective-partition-key.ts';
import type { ContainerDefinition } from './container-definition.ts';
import { badRequest, partitionFull } from './errors.ts';
import { compileIndexingPolicy, type TermCounter } from './indexing.ts';
import { bodyOf, type Draft, etagOf, type ItemFacts, systemProperties } from './item.ts';
import { ItemReader, type ItemText, requireItem } from './item-text.ts';
import { JsonCursor, type JsonSpan, parseOpenSpan, parseSpan } from './json-cursor.ts';
import { NO_BODY, type RecordHead, RecordKind } from './log.ts';
import {
  createRevision,
  type LogicalPartition,
  type PhysicalPartition,
  type Revision,
  recordKey,
} from './partition.ts';
import { type PartitionKey, PartitionKeyReader } from './partition-key.ts';
import { RangeTable, type RangeTableHost } from './range-table.ts';
import { documentRids } from './rid.ts';
import { initialPartitions, requiredPartitions, type Throughput } from './throughput.ts';
import { UniqueKeys } from './unique-keys.ts';

const MAX_LOGICAL_PARTITION_BYTES = 20 * 1024 ** 3;

/** What a container needs from the world around it. */
export interface ContainerHost extends RangeTableHost {
  /** Wall clock, milliseconds. */
  now(): number;
}

/** A change to one item, checked and ready to be stored. */
export type Change =
  | {
      readonly kind: typeof RecordKind.create | typeof RecordKind.replace;
      readonly draft: Draft;
      readonly before: ItemFacts | undefined;
    }
  | { readonly kind: typeof RecordKind.delete | typeof RecordKind.expire; readonly before: ItemFacts };

export interface ContainerIdentity {
  readonly rid: string;
  readonly self: string;
}

/** Items of one container over its physical partitions: routing, versions, expiry, splits. Knows nothing of HTTP. */
export class Container {
  readonly rid: string;
  readonly self: string;
  definition: ContainerDefinition;
  readonly keys: PartitionKeyReader;
  /** Reads items as this container's keys and indexing policy see them. */
  reader: ItemReader;
  readonly table: RangeTable;
  throughput: Throughput;
  readonly #host: ContainerHost;
  readonly #partitions = new Map<string, LogicalPartition>();
  readonly #ridOf: (document: number) => string;
  readonly #counters = { sequence: 0, document: 0 };
  #terms: TermCounter;
  readonly #uniqueKeys: UniqueKeys;

  constructor(
    identity: ContainerIdentity,
    definition: ContainerDefinition,
    throughput: Throughput,
    host: ContainerHost,
  ) {
    this.rid = identity.rid;
    this.self = identity.self;
    this.definition = definition;
    this.throughput = throughput;
    this.#host = host;
    this.keys = new PartitionKeyReader(definition.partitionKey);
    this.#ridOf = documentRids(identity.rid);
    this.#terms = compileIndexingPolicy(definition.indexingPolicy);
    this.reader = new ItemReader(this.keys, this.#terms);
    this.#uniqueKeys = new UniqueKeys(definition);
    this.table = new RangeTable(host, definition.partitionKey.version, throughput.maximum);
  }

  /** Creates the partitions that the throughput asks for. */
  createRanges(): void {
    const { version } = this.definition.partitionKey;
    this.table.create(partitionKeyRangesFor(initialPartitions(this.throughput), version));
  }

  /** In the order of their ranges, contiguous. */
  get ranges(): readonly PhysicalPartition[] {
    return this.table.all;
  }

  /** Takes over partitions from disk and reads their logs. */
  restoreRanges(ranges: readonly PhysicalPartition[]): void {
    this.table.replace(ranges);
    for (const range of ranges) {
      range.log.replay((head, key, body) => {
        this.#counters.sequence = Math.max(this.#counters.sequence, head.sequence);
        this.#counters.document = Math.max(this.#counters.document, head.document);
        if (head.kind === RecordKind.mark) {
          range.lsn = head.lsn;
          range.trimmedLsn = head.previousLsn;
          return;
        }
        const at = key.indexOf('\n');
        const partition = this.#logical(this.keys.hash(key.slice(0, at)), range);
        const revision = createRevision(head, partition, key.slice(at + 1), body);
        this.#index(range, revision);
      });
    }
  }

  redefine(definition: ContainerDefinition): void {
    this.definition = definition;
    this.#terms = compileIndexingPolicy(definition.indexingPolicy);
    this.reader = new ItemReader(this.keys, this.#terms);
    this.#host.save();
  }

  /** The key that a header or an operation names. @throws WireError 400 */
  keyFrom(wire: string): PartitionKey {
    const known = this.#partitions.get(wire);
    if (known !== undefined) return known;
    const { text, isPrefix } = this.keys.parse(wire);
    if (isPrefix)
      throw badRequest(
        `The partition key ${wire} does not have a value for every path of the container`,
        1001,
      );
    return this.keyOf(text);
  }

  /** The key with this canonical text. */
  keyOf(text: string): PartitionKey {
    return this.#partitions.get(text) ?? this.keys.hash(text);
  }

  /** Wall clock, milliseconds. */
  get nowMs(): number {
    return this.#host.now();
  }

  /** The live items of one key. */
  logicalPartition(text: string): LogicalPartition | undefined {
    return this.#partitions.get(text);
  }

  get logicalPartitions(): IterableIterator<LogicalPartition> {
    return this.#partitions.values();
  }

  /** Where a key is stored now. */
  rangeOf({ epk }: Pick<PartitionKey, 'epk'>): PhysicalPartition {
    return this.table.of(epk);
  }

  /** The item as a read sees it now; an expired one is deleted on the way. */
  find(key: PartitionKey, id: string): Revision | undefined {
    const partition = this.#partitions.get(key.text);
    const revision = partition?.items.get(id);
    if (revision === undefined || !this.isExpired(revision)) return revision;
    this.store(key, [{ kind: RecordKind.expire, before: revision }]);
    return undefined;
  }

  isExpired({ timestamp, ttl }: ItemFacts): boolean {
    const { defaultTtl } = this.definition;
    if (defaultTtl === undefined) return false;
    const seconds = ttl === 0 ? defaultTtl : ttl;
    return seconds > 0 && this.#host.now() / 1000 >= timestamp + seconds;
  }

  /** Deletes what expired among at most `limit` revisions of each range, so that the full-fidelity feed learns of it. */
  expire(limit: number): void {
    if (this.definition.defaultTtl === undefined) return;
    for (const range of this.ranges) {
      const from = range.sweptTo < range.revisions.length ? range.sweptTo : 0;
      range.sweptTo = from + limit;
      const looked = range.revisions.slice(from, from + limit);
      const due = looked.filter((one) => !one.superseded && this.isExpired(one));
      for (const before of due) this.store(before.partition, [{ kind: RecordKind.expire, before }]);
      if (due.length > 0) this.commit(range);
    }
  }

  /**
   * Checks an item and gives it everything it will be stored with.
   *
   * @param before the version that it replaces, whose rid it keeps
   * @throws WireError 400 or 413
   */
  draft(item: ItemText | JsonSpan | undefined, before: ItemFacts | undefined): Draft {
    requireItem(item);
    const timestamp = Math.floor(this.#host.now() / 1000);
    const sequence = ++this.#counters.sequence;
    const document = before?.document ?? ++this.#counters.document;
    const rid = this.#ridOf(document);
    const etag = etagOf({ sequence, timestamp });
    return {
      id: item.id,
      text: item,
      suffix: systemProperties(rid, `${this.self}docs/${rid}/`, etag, timestamp),
      sizeBytes: item.end - item.start,
      terms: item.terms,
      ttl: typeof item.ttl === 'number' ? item.ttl : 0,
      timestamp,
      sequence,
      document,
      uniqueKeys: this.#uniqueKeys.textsOf(item),
    };
  }

  /**
   * Index terms that differ between a stored version and a new one.
   *
   * @param before the stored item without its closing brace, which the system properties follow
   */
  changedTerms(before: JsonSpan, after: JsonSpan): number {
    const inText = this.#terms.changedInText(cursorAt(before), before.end, cursorAt(after));
    return inText ?? this.#terms.changed(parseOpenSpan(before), parseSpan(after));
  }

  /** @throws WireError 409 when another item of the key has one of the draft's unique keys */
  requireUnique(key: PartitionKey, draft: Draft, pending?: ReadonlyMap<string, string | undefined>): void {
    if (draft.uniqueKeys.length === 0) return;
    const isLive = (id: string): boolean => this.find(key, id) !== undefined;
    this.#uniqueKeys.require(draft, this.#partitions.get(key.text), pending, isLive);
  }

  /**
   * Stores changes of one key as one transaction: one LSN, all or nothing on disk. Readable at once, durable after
   * {@link commit}.
   *
   * @throws WireError 403 when the partition key has no room for more
   */
  store(key: PartitionKey, changes: readonly Change[]): Revision[] {
    const used = this.#partitions.get(key.text)?.sizeBytes ?? 0;
    if (used > MAX_LOGICAL_PARTITION_BYTES && changes.some((change) => 'draft' in change))
      throw partitionFull();
    const range = this.rangeOf(key);
    const partition = this.#logical(key, range);
    const lsn = range.lsn + 1;
    return changes.map((change, index) => {
      const { head, id, draft } = this.#headOf(partition, change, lsn);
      const body = range.log.append(
        head,
        recordKey(partition, id),
        draft === undefined ? NO_BODY : bodyOf(draft),
        index === changes.length - 1,
      );
      const revision = createRevision(head, partition, id, body);
      this.#index(range, revision, draft?.uniqueKeys);
      return revision;
    });
  }

  /** Makes everything stored in a range durable, and tidies up behind it. */
  commit(range: PhysicalPartition): void {
    range.log.commit();
    range.tidy(this.#retainSince(), () => this.table.compact(range, this.#counters));
  }

  /**
   * Divides a range in the middle. Requests that name it meet 410/1002 from now on; the children continue its LSNs, so
   * continuations stay valid.
   *
   * @returns the ids of the children
   * @throws WireError 404 when there is no such range
   */
  split(rangeId: string): [string, string] {
    return this.table.split(rangeId, this.#counters);
  }

  /** Changes the throughput; the caller splits up to {@link missingPartitions} when it may. */
  provision(throughput: Throughput): void {
    this.throughput = throughput;
    this.table.share(throughput.maximum);
    this.#host.save();
  }

  /** Splits until the throughput fits the partitions, widest range first. */
  splitForThroughput(): void {
    while (this.ranges.length < requiredPartitions(this.throughput)) {
      const [oldest] = [...this.ranges].sort((a, b) => a.parents.length - b.parents.length);
      this.split((oldest as PhysicalPartition).id);
    }
  }

  close(): void {
    for (const range of this.ranges) {
      range.log.commit();
      range.log.close();
    }
  }

  remove(): void {
    for (const range of this.ranges) range.log.remove();
    this.table.replace([]);
  }

  #headOf(
    partition: LogicalPartition,
    change: Change,
    lsn: number,
  ): { head: RecordHead; id: string; draft: Draft | undefined } {
    const draft = 'draft' in change ? change.draft : undefined;
    const id = draft?.id ?? (change.before as ItemFacts).id;
    const before = partition.items.get(id);
    const facts = draft ?? {
      document: (change.before as ItemFacts).document,
      sequence: ++this.#counters.sequence,
      timestamp: Math.floor(this.#host.now() / 1000),
      ttl: 0,
      terms: 0,
      sizeBytes: 0,
    };
    const { document, sequence, timestamp, ttl, terms, sizeBytes } = facts;
    const head = {
      kind: change.kind,
      lsn,
      previousLsn: before?.lsn ?? 0,
      document,
      sequence,
      timestamp,
      ttl,
      terms,
      sizeBytes,
    };
    return { head, id, draft };
  }

  #index(range: PhysicalPartition, revision: Revision, uniqueKeys?: readonly string[]): void {
    const { partition, id } = revision;
    this.#uniqueKeys.index(revision, partition.items.get(id), uniqueKeys);
    range.index(revision);
    if (partition.items.size === 0) this.#partitions.delete(partition.text);
  }

  #logical(key: PartitionKey, range: PhysicalPartition): LogicalPartition {
    const known = this.#partitions.get(key.text);
    if (known !== undefined) return known;
    const created: LogicalPartition = {
      text: key.text,
      epk: key.epk,
      physical: range,
      items: new Map(),
      unique: undefined,
      sizeBytes: 0,
      requestCharge: 0,
    };
    this.#partitions.set(key.text, created);
    return created;
  }

  #retainSince(): number {
    const { changeFeedPolicy } = this.definition;
    if (changeFeedPolicy === undefined) return Number.POSITIVE_INFINITY;
    return this.#host.now() / 1000 - changeFeedPolicy.retentionDuration * 60;
  }
}

const cursorAt = ({ bytes, start }: JsonSpan): JsonCursor => new JsonCursor(bytes, start);
