import { badRequest, missingId, tooDeep, tooLarge } from './errors.ts';
import type { TermCounter } from './indexing.ts';
import { type JsonObject, MAX_ITEM_BYTES, requireId, SYSTEM_PROPERTIES } from './item.ts';
import { JsonCursor, type JsonSpan, parseSpan } from './json-cursor.ts';
import { componentText, type PartitionKeyReader } from './partition-key.ts';

const MAX_ID_BYTES = 1023;
const OPEN_BRACE = 0x7b;

/** An item as its client wrote it, without system properties, and what a write needs to know of it. */
export interface ItemText extends JsonSpan {
  readonly id: unknown;
  readonly ttl: unknown;
  /** Canonical text of its partition key. */
  readonly keyText: string;
  readonly terms: number;
  readonly tooDeep: boolean;
}

/** Reads items in one pass over their bytes: checks the JSON, counts index terms, notes id, ttl and partition key. */
export class ItemReader {
  readonly #keys: PartitionKeyReader;
  readonly #terms: TermCounter;
  /** Paths of the partition key when each is one property of the item; their texts are all that is needed then. */
  readonly #keyNames: readonly string[] | undefined;

  constructor(keys: PartitionKeyReader, terms: TermCounter) {
    this.#keys = keys;
    this.#terms = terms;
    this.#keyNames = keys.topLevelNames;
  }

  /**
   * Moves the cursor past a JSON value.
   *
   * @returns the item, or just the span of a value that is no object
   * @throws SyntaxError when the text is not JSON
   */
  read(cursor: JsonCursor): ItemText | JsonSpan {
    const { bytes } = cursor;
    const isObject = cursor.peek() === OPEN_BRACE;
    const start = cursor.at;
    let id: unknown;
    let ttl: unknown;
    let hasSystemProperties = false;
    const keyNames = this.#keyNames;
    const keyTexts: string[] = [];
    const found = this.#terms.scan(cursor, (name, from, to) => {
      if (name === 'id') id = scalarIn(bytes, from, to);
      else if (name === 'ttl') ttl = scalarIn(bytes, from, to);
      else if (SYSTEM_PROPERTIES.has(name)) hasSystemProperties = true;
      const component = keyNames?.indexOf(name) ?? -1;
      if (component !== -1) keyTexts[component] = keyTextIn(bytes, from, to);
    });
    const span = { bytes, start, end: cursor.at };
    if (!isObject) return span;
    if (hasSystemProperties) return this.fromValue(withoutSystemProperties(parseSpan(span) as JsonObject));
    const keyText =
      keyNames === undefined
        ? this.#keys.textOf(parseSpan(span) as JsonObject)
        : `[${keyNames.map((_, index) => keyTexts[index] ?? '{}').join(',')}]`;
    return { bytes, start, end: cursor.at, id, ttl, keyText, ...found };
  }

  /** The item that a patch left behind. */
  fromValue(item: JsonObject): ItemText {
    return this.read(new JsonCursor(Buffer.from(JSON.stringify(item)))) as ItemText;
  }
}

function withoutSystemProperties(item: JsonObject): JsonObject {
  for (const name of SYSTEM_PROPERTIES) delete item[name];
  return item;
}

/** A value that is a string without escapes, which most are, is its own text. */
function scalarIn(bytes: Buffer, start: number, end: number): unknown {
  const literal = bytes.toString('utf8', start, end);
  return isPlain(literal) ? literal.slice(1, -1) : JSON.parse(literal);
}

function keyTextIn(bytes: Buffer, start: number, end: number): string {
  const literal = bytes.toString('utf8', start, end);
  return isPlain(literal) ? literal : componentText(JSON.parse(literal));
}

const isPlain = (literal: string): boolean => literal.startsWith('"') && !literal.includes('\\');

/** Checks what the client calls an item. @throws WireError 400 or 413 */
export function requireItem(
  value: ItemText | JsonSpan | undefined,
): asserts value is ItemText & { id: string } {
  if (value === undefined || !('keyText' in value))
    throw badRequest('The input content is invalid: an item must be a JSON object');
  const { id, ttl, start, end } = value;
  if (id === undefined) throw missingId();
  requireId(id, MAX_ID_BYTES);
  if (ttl !== undefined && ttl !== null && !(Number.isInteger(ttl) && ((ttl as number) > 0 || ttl === -1)))
    throw badRequest(
      `The input ttl '${String(ttl)}' is invalid. Ensure to provide a nonzero positive integer, or -1.`,
    );
  if (value.tooDeep) throw tooDeep();
  if (end - start > MAX_ITEM_BYTES) throw tooLarge();
}
