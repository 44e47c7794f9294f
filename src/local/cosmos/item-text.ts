import { badRequest, missingId, tooDeep, tooLarge } from './errors.ts';
import type { TermCounter } from './indexing.ts';
import type { PropertyVisitor } from './indexing-text.ts';
import { type JsonObject, MAX_ITEM_BYTES, requireId, SYSTEM_PROPERTIES } from './item.ts';
import { JsonCursor, type JsonSpan, parseSpan } from './json-cursor.ts';
import { NameFilter } from './name-filter.ts';
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

/** What one item says of itself, filled while the scan passes its outermost properties. */
class Properties implements PropertyVisitor {
  readonly names = new NameFilter();
  readonly #keyNames: readonly string[];
  #bytes: Buffer = NOTHING;
  #keyTexts: string[] = [];
  id: unknown;
  ttl: unknown;
  system = false;

  constructor(keyNames: readonly string[]) {
    this.#keyNames = keyNames;
    for (const name of ['id', 'ttl', ...SYSTEM_PROPERTIES, ...keyNames]) this.names.add(name);
  }

  get keyText(): string {
    return `[${this.#keyNames.map((_, index) => this.#keyTexts[index] ?? '{}').join(',')}]`;
  }

  begin(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#keyTexts = [];
    this.id = undefined;
    this.ttl = undefined;
    this.system = false;
  }

  property(name: string, start: number, end: number): void {
    if (name === 'id') this.id = scalarIn(this.#bytes, start, end);
    else if (name === 'ttl') this.ttl = scalarIn(this.#bytes, start, end);
    else if (SYSTEM_PROPERTIES.has(name)) this.system = true;
    const component = this.#keyNames.indexOf(name);
    if (component !== -1) this.#keyTexts[component] = keyTextIn(this.#bytes, start, end);
  }
}

const NOTHING = Buffer.alloc(0);

/** Reads items in one pass over their bytes: checks the JSON, counts index terms, notes id, ttl and partition key. */
export class ItemReader {
  readonly #keys: PartitionKeyReader;
  readonly #terms: TermCounter;
  readonly #properties: Properties;

  constructor(keys: PartitionKeyReader, terms: TermCounter) {
    this.#keys = keys;
    this.#terms = terms;
    this.#properties = new Properties(keys.topLevelNames ?? []);
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
    const properties = this.#properties;
    properties.begin(bytes);
    const { terms, tooDeep: isTooDeep } = this.#terms.scan(cursor, properties);
    const end = cursor.at;
    if (!isObject) return { bytes, start, end };
    const { id, ttl } = properties;
    if (properties.system)
      return this.fromValue(withoutSystemProperties(parseSpan({ bytes, start, end }) as JsonObject));
    const keyText =
      this.#keys.topLevelNames === undefined
        ? this.#keys.textOf(parseSpan({ bytes, start, end }) as JsonObject)
        : properties.keyText;
    return { bytes, start, end, id, ttl, keyText, terms, tooDeep: isTooDeep };
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
