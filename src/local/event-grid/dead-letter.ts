import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { type GridEvent, isCloudEvent } from './schema.ts';

export interface DeadLetter {
  readonly topic: string;
  readonly subscription: string;
  readonly event: GridEvent;
  readonly reason: string;
  readonly attempts: number;
  readonly outcome: string;
  readonly publishedMs: number;
  readonly lastAttemptMs: number;
}

export interface StoredDeadLetter {
  /** Path below the dead-letter folder, `/` separated. */
  readonly id: string;
  readonly topic: string;
  readonly subscription: string;
  readonly events: readonly GridEvent[];
}

export interface DeadLetterStore {
  put(letter: DeadLetter): void;
  /** The first `limit`, and how many there are. */
  list(limit: number): { readonly total: number; readonly letters: readonly StoredDeadLetter[] };
  get(id: string): StoredDeadLetter | undefined;
  remove(id: string): void;
}

/** Ids come from callers: nothing but the layout may reach the file system. */
const ID = /^[\w-]+\/[\w-]+(?:\/\d{1,4}){4}\/[0-9a-f-]{36}\.json$/;

/**
 * Dead-lettered events as Event Grid lays them out in a blob container:
 * `<topic>/<SUBSCRIPTION>/<year>/<month>/<day>/<hour>/<guid>.json`, UTC, not zero-padded, an array per file.
 */
export function deadLettersIn(folder: string): DeadLetterStore {
  const read = (id: string): StoredDeadLetter => {
    const [topic = '', subscription = ''] = id.split('/');
    const events = JSON.parse(readFileSync(join(folder, ...id.split('/')), 'utf8')) as GridEvent[];
    return { id, topic, subscription, events };
  };
  const ids = (): string[] =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.json'))
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'));
  const exists = (id: string): boolean => ID.test(id) && existsSync(join(folder, ...id.split('/')));
  mkdirSync(folder, { recursive: true });
  return {
    put(letter) {
      const path = join(folder, ...pathOf(letter));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(`${path}.new`, JSON.stringify([withReason(letter)]));
      renameSync(`${path}.new`, path);
    },
    list(limit) {
      const all = ids();
      return { total: all.length, letters: all.slice(0, limit).map(read) };
    },
    get: (id) => (exists(id) ? read(id) : undefined),
    remove: (id) => {
      if (exists(id)) rmSync(join(folder, ...id.split('/')));
    },
  };
}

/** The same in memory, for a stack without a data folder; the oldest go beyond `capacity`. */
export function deadLettersInMemory(capacity: number): DeadLetterStore {
  const letters = new Map<string, StoredDeadLetter>();
  return {
    put(letter) {
      if (letters.size >= capacity) letters.delete(letters.keys().next().value as string);
      const [topic = '', subscription = ''] = pathOf(letter);
      const id = pathOf(letter).join('/');
      letters.set(id, { id, topic, subscription, events: [withReason(letter)] });
    },
    list: (limit) => ({ total: letters.size, letters: [...letters.values()].slice(0, limit) }),
    get: (id) => letters.get(id),
    remove: (id) => void letters.delete(id),
  };
}

function pathOf({ topic, subscription, lastAttemptMs }: DeadLetter): string[] {
  const at = new Date(lastAttemptMs);
  const when = [at.getUTCFullYear(), at.getUTCMonth() + 1, at.getUTCDate(), at.getUTCHours()];
  return [topic, subscription.toUpperCase(), ...when.map(String), `${randomUUID()}.json`];
}

const REASON_NAMES = [
  'deadLetterReason',
  'deliveryAttempts',
  'lastDeliveryOutcome',
  'publishTime',
  'lastDeliveryAttemptTime',
];
const ADDED_NAMES = new Set(REASON_NAMES.flatMap((name) => [name, name.toLowerCase()]));

/** The event as it was before it became a dead letter. */
export function withoutReason(event: GridEvent): GridEvent {
  return Object.fromEntries(Object.entries(event).filter(([name]) => !ADDED_NAMES.has(name)));
}

/** The event with the reason added; in a CloudEvent attribute names are lower case. */
function withReason({ event, reason, attempts, outcome, publishedMs, lastAttemptMs }: DeadLetter): GridEvent {
  const added = {
    deadLetterReason: reason,
    deliveryAttempts: attempts,
    lastDeliveryOutcome: outcome,
    publishTime: new Date(publishedMs).toISOString(),
    lastDeliveryAttemptTime: new Date(lastAttemptMs).toISOString(),
  };
  if (!isCloudEvent(event)) return { ...event, ...added };
  return {
    ...event,
    ...Object.fromEntries(Object.entries(added).map(([name, value]) => [name.toLowerCase(), value])),
  };
}
