import { badRequest, missingId } from './errors.ts';
import type { JsonSpan } from './json-cursor.ts';
import type { BodyParts } from './log.ts';

export type JsonObject = Record<string, unknown>;

/** What the service adds to every item, and drops when a client sends it back. */
export const SYSTEM_PROPERTIES: ReadonlySet<string> = new Set([
  '_rid',
  '_self',
  '_etag',
  '_attachments',
  '_ts',
  '_lsn',
  '_metadata',
]);

export const MAX_ITEM_BYTES = 2 * 1024 * 1024;

/** The parts of an item's state that are the same before and after it is stored. */
export interface ItemFacts {
  readonly id: string;
  readonly document: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly ttl: number;
  readonly terms: number;
  readonly sizeBytes: number;
}

/** An item that passed every check and is not stored yet. */
export interface Draft extends ItemFacts {
  /** The item without system properties. */
  readonly text: JsonSpan;
  /** System properties, from the comma to the closing brace. */
  readonly suffix: string;
  /** Values of the unique keys, one text per constraint; none in a container without. */
  readonly uniqueKeys: readonly string[];
}

/** Quoted, as in `_etag` and in If-Match. Unique per write of a container, also over restarts. */
export function etagOf({ sequence, timestamp }: Pick<ItemFacts, 'sequence' | 'timestamp'>): string {
  return `"${hex(sequence >>> 0, 8)}-${hex(Math.floor(sequence / 2 ** 32), 4)}-0300-0000-${hex(timestamp, 8)}0000"`;
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** `,"_rid":...,"_ts":...}`: replaces the closing brace of the item's JSON. */
export function systemProperties(rid: string, self: string, etag: string, timestamp: number): string {
  return `,"_rid":"${rid}","_self":"${self}","_etag":"\\"${etag.slice(1, -1)}\\"","_attachments":"attachments/","_ts":${timestamp}}`;
}

/** The body of a draft as the log takes it: the bytes that the client sent, copied once to where they will stay. */
export function bodyOf({ text, suffix, sizeBytes }: Draft): BodyParts {
  return {
    length: sizeBytes - 1 + suffix.length,
    write: (target, offset) => {
      text.bytes.copy(target, offset, text.start, text.end - 1);
      target.write(suffix, offset + sizeBytes - 1, suffix.length, 'latin1');
    },
  };
}

/** Checks the id of any resource. @throws WireError 400 */
export function requireId(id: unknown, maxBytes = 255): asserts id is string {
  if (typeof id !== 'string' || id === '') throw missingId();
  if (/[/\\?#]/.test(id))
    throw badRequest(`The id '${id}' contains a character that is not allowed: one of / \\ ? #`);
  if (id.endsWith(' ')) throw badRequest(`The id '${id}' ends with a space`);
  if (Buffer.byteLength(id) > maxBytes) throw badRequest(`The id is longer than ${maxBytes} bytes`);
}
