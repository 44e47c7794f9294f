import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { parseCacheKey } from '../../cache/key.ts';
import { createPacer } from '../../cache/pacer.ts';
import type { CacheItem } from '../../cache/writer.ts';
import { openChangeFeed } from '../../cosmos/change-feed/reader.ts';
import type { FeedStart } from '../../cosmos/change-feed/types.ts';
import type { CosmosConnection } from '../../cosmos/client.ts';
import { readContainer } from '../../cosmos/containers.ts';
import { queryItems, queryPages, readItem, type StoredItem } from '../../cosmos/items.ts';
import type { PartitionKey } from '../../cosmos/write-operation.ts';
import type { Clock } from '../../util/clock.ts';
import { type PipeError, usageError } from '../../util/errors.ts';

/** Where the items come from. */
export type WarmSource =
  | { readonly from: 'query'; readonly query: string }
  | { readonly from: 'feed'; readonly start: FeedStart }
  /** Lines of keys; `keyPrefix` is what full cache keys among them begin with. */
  | { readonly from: 'keys'; readonly lines: () => Readable; readonly keyPrefix: string };

export interface WarmBatch {
  readonly items: readonly CacheItem[];
  /** Keys of the batch that have no item. */
  readonly notFound: number;
  readonly requestCharge: number;
  /** Where to go on after this batch; absent when the source cannot be resumed there. */
  readonly position?: string;
}

export interface ReadOptions {
  readonly maxRuPerSecond?: number;
  readonly pageSize?: number;
  /** A position of an earlier {@link WarmBatch}. */
  readonly resume?: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const READS_AT_ONCE = 16;
const KEYS_PER_BATCH = 200;

/**
 * Reads the source batch by batch and awaits `handle` before it reads on, so that memory holds a page per range. Stays
 * within the request units per second on average. `handle` returns false to end the reading.
 */
export async function readSource(
  cosmos: CosmosConnection,
  source: WarmSource,
  options: ReadOptions,
  handle: (batch: WarmBatch) => Promise<boolean>,
): Promise<void> {
  if (source.from === 'query') await readQuery(cosmos, source.query, options, handle);
  else if (source.from === 'feed') await readFeed(cosmos, source.start, options, handle);
  else await readKeys(cosmos, source, options, handle);
}

async function readQuery(
  cosmos: CosmosConnection,
  text: string,
  { resume, clock, signal, pageSize, maxRuPerSecond }: ReadOptions,
  handle: (batch: WarmBatch) => Promise<boolean>,
): Promise<void> {
  const { partitionKey } = await readContainer(cosmos);
  const pages = queryPages(
    cosmos,
    text,
    {},
    {
      clock,
      signal,
      pageSize: pageSize ?? 500,
      ...(maxRuPerSecond !== undefined && { maxRuPerSecond }),
      ...(resume !== undefined && { continuation: resume }),
    },
  );
  for await (const { items, requestCharge, continuation } of explained(pages)) {
    const batch = {
      items: items.map((item) => {
        const key = partitionKeyOf(item, partitionKey.paths);
        if (typeof item?.id !== 'string' || isProjectedAway(item, key)) throw incomplete(partitionKey.paths);
        return toCacheItem(item, key);
      }),
      notFound: 0,
      requestCharge,
      ...(continuation !== undefined && { position: continuation }),
    };
    if (!(await handle(batch))) return;
  }
}

/** A query that the service refuses is the user's, who is told why and where. */
async function* explained<T>(pages: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* pages;
  } catch (error) {
    const { code, message } = error as { readonly code?: unknown; readonly message?: string };
    if (code !== 400) throw error;
    const reason = /"message":"((?:[^"\\]|\\.)*)"/.exec(message ?? '')?.[1] ?? message;
    throw usageError(`Cosmos DB refused the query (${reason})`, 'check --query');
  }
}

/** Items without a partition key exist, and a query that leaves it out; that one leaves out the system properties too. */
function isProjectedAway(item: StoredItem, partitionKey: PartitionKey): boolean {
  const missing = [partitionKey].flat().some((component) => component === undefined);
  return missing && item['_ts'] === undefined;
}

function incomplete(paths: readonly string[]): PipeError {
  return usageError(
    `the query returns items without id or ${paths.join(', ')}, which the keys of the cache are made of`,
    'select them too, for example with SELECT * FROM c',
  );
}

async function readFeed(
  cosmos: CosmosConnection,
  start: FeedStart,
  options: ReadOptions,
  handle: (batch: WarmBatch) => Promise<boolean>,
): Promise<void> {
  const { clock, signal, resume } = options;
  const ended = new AbortController();
  const pacer = createPacer(options.maxRuPerSecond, clock);
  const feed = await openChangeFeed(cosmos, {
    start: resume === undefined ? start : { continuation: resume },
    untilIdleMs: 0,
    pageSize: options.pageSize ?? 500,
    clock,
    signal: AbortSignal.any([signal, ended.signal]),
  });
  // Ranges run side by side; the writer behind `handle` takes one batch at a time.
  let turn: Promise<unknown> = Promise.resolve();
  await feed.run(async ({ changes, requestCharge }) => {
    const mine = turn.then(async () => {
      if (ended.signal.aborted) return;
      const items = changes
        .filter((change) => change.operation !== 'delete')
        .map(({ item, partitionKey, lsn }) => ({ ...toCacheItem(item as StoredItem, partitionKey), lsn }));
      // The feed counts this page as handled only afterwards: resuming here repeats it, which does no harm.
      const position = feed.position();
      if (!(await handle({ items, notFound: 0, requestCharge, position }))) ended.abort();
    });
    turn = mine.catch(() => undefined);
    await mine;
    if (!ended.signal.aborted) await pacer.spent(requestCharge, signal);
  });
  if (!ended.signal.aborted)
    await handle({ items: [], notFound: 0, requestCharge: 0, position: feed.position() });
}

async function readKeys(
  cosmos: CosmosConnection,
  source: Extract<WarmSource, { from: 'keys' }>,
  { clock, signal, resume, maxRuPerSecond }: ReadOptions,
  handle: (batch: WarmBatch) => Promise<boolean>,
): Promise<void> {
  const pacer = createPacer(maxRuPerSecond, clock);
  const skip = resume === undefined ? 0 : Number(resume);
  let line = 0;
  let waiting: { readonly partitionKey: PartitionKey; readonly id: string }[] = [];
  const flush = async (): Promise<boolean> => {
    const batch = await readMany(cosmos, waiting, signal);
    waiting = [];
    const goOn = await handle({ ...batch, position: String(line) });
    await pacer.spent(batch.requestCharge, signal);
    return goOn;
  };
  for await (const text of createInterface({ input: source.lines() })) {
    signal.throwIfAborted();
    line++;
    if (line <= skip || text.trim() === '') continue;
    waiting.push(parseKeyLine(line === 1 ? text.replace(/^\uFEFF/, '') : text, source.keyPrefix, line));
    if (waiting.length >= KEYS_PER_BATCH && !(await flush())) return;
  }
  if (waiting.length > 0) await flush();
}

async function readMany(
  cosmos: CosmosConnection,
  keys: readonly { readonly partitionKey: PartitionKey; readonly id: string }[],
  signal: AbortSignal,
): Promise<WarmBatch> {
  const items: CacheItem[] = [];
  let notFound = 0;
  let requestCharge = 0;
  const queue = keys.values();
  const worker = async (): Promise<void> => {
    for (const { id, partitionKey } of queue) {
      signal.throwIfAborted();
      const found = await readItem(cosmos, id, partitionKey);
      if (found === undefined) notFound++;
      else items.push(toCacheItem(found.item, partitionKey));
      // A read that finds nothing is charged 1 RU too.
      requestCharge += found?.requestCharge ?? 1;
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, worker));
  return { items, notFound, requestCharge };
}

/**
 * A line of a key file: `{"partitionKey":...,"id":...}` (what `stats --hot-file` writes), a full cache key, or
 * `partitionKey<tab or comma>id`. Throws E_USAGE with the line number.
 */
export function parseKeyLine(
  text: string,
  keyPrefix: string,
  line: number,
): { readonly partitionKey: PartitionKey; readonly id: string } {
  const trimmed = text.trim();
  if (trimmed.startsWith('{')) {
    try {
      const { id, partitionKey } = JSON.parse(trimmed) as { id?: unknown; partitionKey?: PartitionKey };
      if (typeof id === 'string') return { id, partitionKey: partitionKey as PartitionKey };
    } catch {
      // Reported below like every other line that is not a key.
    }
  } else {
    const cached = parseCacheKey(keyPrefix, trimmed);
    if (cached !== undefined) return cached as { partitionKey: PartitionKey; id: string };
    const [, partitionKey, id] = /^([^,\t]+)[,\t](.+)$/.exec(trimmed) ?? [];
    if (partitionKey !== undefined && id !== undefined) return { partitionKey, id };
  }
  throw usageError(
    `line ${line} of the key file is not a key: ${trimmed.slice(0, 80)}`,
    'write partitionKey,id or {"partitionKey":"...","id":"..."} or a full cache key per line',
  );
}

/** How many items a source has, where one cheap query tells; `undefined` otherwise. */
export async function countSource(cosmos: CosmosConnection, source: WarmSource): Promise<number | undefined> {
  if (source.from === 'keys') {
    let lines = 0;
    for await (const text of createInterface({ input: source.lines() })) if (text.trim() !== '') lines++;
    return lines;
  }
  const query = source.from === 'feed' ? feedCount(source.start) : countQuery(source.query);
  if (query === undefined) return undefined;
  let count = 0;
  for await (const partial of explained(queryItems<number>(cosmos, query))) count += partial;
  return count;
}

function feedCount(start: FeedStart): string | undefined {
  if (start === 'now') return undefined;
  if (start === 'beginning') return 'SELECT VALUE COUNT(1) FROM c';
  return `SELECT VALUE COUNT(1) FROM c WHERE c._ts >= ${Math.floor(start.sinceMs / 1000)}`;
}

/** The same query counting its items; only for the plain form, where that gives the same number. */
export function countQuery(text: string): string | undefined {
  const [, from] = /^\s*SELECT\s+(?:VALUE\s+)?[\w.*,\s]+?\s+(FROM\s.*)$/is.exec(text) ?? [];
  if (from === undefined || /\b(?:DISTINCT|TOP|GROUP|ORDER|OFFSET|JOIN)\b/i.test(text)) return undefined;
  return `SELECT VALUE COUNT(1) ${from}`;
}

/** The value under each path of the partition key definition: `/a/b` is `item.a.b`. */
export function partitionKeyOf(item: StoredItem, paths: readonly string[]): PartitionKey {
  const components = paths.map((path) =>
    path
      .split('/')
      .slice(1)
      .reduce<unknown>(
        (value, name) =>
          typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined,
        item,
      ),
  ) as PartitionKey[];
  return (components.length === 1 ? components[0] : components) as PartitionKey;
}

function toCacheItem(item: StoredItem, partitionKey: PartitionKey): CacheItem {
  const tsSeconds = item['_ts'];
  return {
    id: item.id,
    partitionKey,
    body: item,
    ...(typeof tsSeconds === 'number' && { tsSeconds }),
  };
}
