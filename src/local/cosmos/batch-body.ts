import { badRequest, tooManyOperations } from './errors.ts';
import type { ItemReader } from './item-text.ts';
import { type JsonCursor, parseSpan } from './json-cursor.ts';
import type { ItemOperation } from './operations.ts';

const MAX_BATCH_OPERATIONS = 100;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** What an operation may say besides its item; anything else is passed over. */
const SHORT_PROPERTIES: ReadonlySet<string> = new Set([
  'operationType',
  'id',
  'partitionKey',
  'ifMatch',
  'ifNoneMatch',
]);

export interface BatchOperation extends ItemOperation {
  /** JSON text from the SDKs' bulk, an array from hand-written clients. */
  readonly partitionKey?: string | readonly unknown[];
}

/**
 * Reads the operations of a batch. Items stay what they are in the body: spans of bytes.
 *
 * @throws WireError 400 for a body that is no batch
 * @throws SyntaxError when it is not JSON
 */
export function readBatch(cursor: JsonCursor, reader: ItemReader): readonly BatchOperation[] {
  if (cursor.peek() !== OPEN_BRACKET) throw badRequest('The batch request has no operations');
  cursor.at++;
  if (cursor.peek() === CLOSE_BRACKET) throw badRequest('The batch request has no operations');
  const operations: BatchOperation[] = [];
  for (;;) {
    operations.push(parseOperation(cursor, reader));
    if (cursor.peek() === CLOSE_BRACKET) break;
    cursor.expect(COMMA);
  }
  cursor.at++;
  if (operations.length > MAX_BATCH_OPERATIONS) throw tooManyOperations();
  return operations;
}

function parseOperation(cursor: JsonCursor, reader: ItemReader): BatchOperation {
  if (cursor.peek() !== OPEN_BRACE) throw badRequest('An operation of the batch is not an object');
  cursor.at++;
  const operation: Record<string, unknown> = {};
  for (let first = true; cursor.peek() !== CLOSE_BRACE; first = false) {
    if (!first) cursor.expect(COMMA);
    cursor.peek();
    const name = cursor.text();
    cursor.expect(COLON);
    if (name === 'resourceBody') operation[name] = reader.read(cursor);
    else if (cursor.peek() === QUOTE && SHORT_PROPERTIES.has(name)) operation[name] = cursor.text();
    else {
      const value = reader.read(cursor);
      if (SHORT_PROPERTIES.has(name)) operation[name] = parseSpan(value);
    }
  }
  cursor.at++;
  return operation as unknown as BatchOperation;
}
