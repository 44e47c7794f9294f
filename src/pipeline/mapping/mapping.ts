import { isUtf8 } from 'node:buffer';
import type { PartitionKey, PartitionKeyComponent, WriteOperation } from '../../cosmos/write-operation.ts';
import type { Clock } from '../../util/clock.ts';
import { ENVELOPE_FIELD } from '../../util/envelope.ts';
import { usageError } from '../../util/errors.ts';
import { envelopeRenderer } from './envelope.ts';
import { loadHook, type MappingHook } from './hook.ts';
import { loadSchema, type SchemaCheck } from './schema.ts';
import { createShapeReader } from './shape.ts';
import {
  compileFieldOrTemplate,
  type EventSource,
  type JsonObject,
  type Template,
  valueAt,
} from './template.ts';
import { compileTransform, type Transform, type TransformOptions } from './transform.ts';

/** How a write meets an item that is already there. */
export type WriteMode = 'upsert' | 'create' | 'replace-if-newer';

/** How an event becomes an item. Everything has a default that fits the events of `produce`. */
export interface MappingOptions extends TransformOptions {
  /** Field or template of the item id. Default: `id`, else `eventId`, else `<partition>-<sequence number>`. */
  readonly id?: string;
  /** Field or template of the partition key, stored at the container's path. Default: the value at that path. */
  readonly partitionKey?: string;
  /** Default `upsert`. */
  readonly write?: WriteMode;
  /** Field that says which of two versions is newer, for `replace-if-newer`. Default `deviceSequenceNumber`. */
  readonly newerField?: string;
  /** Seconds until Cosmos DB deletes the item. */
  readonly ttlSeconds?: number;
  /** Keep the event's coordinates and the producer's envelope in the field `pipe`. Default true. */
  readonly envelope?: boolean;
  /** Path of a JavaScript module whose `map(item, source)` returns the item to store, or nothing to skip the event. */
  readonly hook?: string;
  /** Path of a JSON Schema that the event must match before anything else happens to it. */
  readonly schema?: string;
}

/** Why an event cannot be stored; also the `reason` of its dead letter. */
export type RejectionReason =
  | 'malformed'
  | 'schema'
  | 'hook'
  | 'missing-id'
  | 'invalid-id'
  | 'missing-partition-key'
  | 'missing-newer-field';

export type Mapped =
  | {
      readonly kind: 'write';
      readonly operation: WriteOperation;
      /** Value of the newer field, for `replace-if-newer`. */
      readonly newer?: number | string;
    }
  | { readonly kind: 'skipped' }
  | { readonly kind: 'rejected'; readonly reason: RejectionReason; readonly detail: string };

export type Mapper = (body: unknown, source: EventSource) => Mapped;

/** Ids may not contain these, whatever the API (Cosmos DB answers 400). */
const ILLEGAL_IN_ID = /[/\\?#]/;
const MAX_ID_BYTES = 1023;

/**
 * Compiles a mapping for a container with these partition key paths (`['/deviceId']`).
 *
 * An event that only needs an id and its envelope keeps its own bytes: they are read once, to know id and partition key and
 * that they are JSON, and what is missing is spliced in before the closing brace. Numbers with more digits than a double
 * holds therefore arrive unchanged. Events that resemble each other are read without being parsed (see ShapeReader).
 */
export async function compileMapping(
  options: MappingOptions,
  partitionKeyPaths: readonly string[],
  clock: Clock,
): Promise<Mapper> {
  const paths = partitionKeyPaths.map((path) => path.slice(1).split('/'));
  if (options.partitionKey !== undefined && paths.length > 1)
    throw usageError(
      '--partition-key-from needs a container with one partition key path',
      'rename fields instead',
    );
  const mapping: CompiledMapping = {
    mode: options.write ?? 'upsert',
    paths,
    id: options.id === undefined ? undefined : compileFieldOrTemplate(options.id),
    partitionKey:
      options.partitionKey === undefined ? undefined : compileFieldOrTemplate(options.partitionKey),
    newerPath: (options.newerField ?? 'deviceSequenceNumber').split('.'),
    ttlSeconds: options.ttlSeconds,
    envelope: options.envelope === false ? undefined : envelopeRenderer(),
    schema: options.schema === undefined ? undefined : await loadSchema(options.schema),
    hook: options.hook === undefined ? undefined : await loadHook(options.hook),
    transform: compileTransform(options),
    clock,
  };
  const map = mapper(mapping);
  return keepsItems(mapping) ? shapeMapper(mapping, map) : map;
}

/** Whether items stay what they are but for what is spliced in, and only their outermost properties are looked at. */
function keepsItems({ id, partitionKey, mode, paths, schema, hook, transform }: CompiledMapping): boolean {
  const isPlain = id === undefined && partitionKey === undefined && mode !== 'replace-if-newer';
  const isWhole = schema === undefined && hook === undefined && transform === undefined;
  return isPlain && isWhole && paths.every((path) => path.length === 1);
}

/** Maps bodies of a known shape by their bytes, every other one by `map`. */
function shapeMapper(mapping: CompiledMapping, map: Mapper): Mapper {
  const names = mapping.paths.map((path) => path[0] as string);
  const shapes = createShapeReader([...new Set([...names, 'id', 'eventId', 'ttl', ENVELOPE_FIELD])]);
  return (body, source) => {
    if (!Buffer.isBuffer(body)) return map(body, source);
    // Bytes beyond ASCII become characters that no shape has.
    const text = body.toString('latin1');
    const item = shapes.read(body, text);
    if (item !== undefined) {
      const mapped = mapKnown(mapping, body, text, item, source);
      if (mapped !== undefined) return mapped;
    }
    const mapped = map(body, source);
    if (item === undefined && mapped.kind === 'write') shapes.learn(text);
    return mapped;
  };
}

/** What {@link mapper} does, for an item that can be spliced; `undefined` for any other. */
function mapKnown(
  { clock, envelope, mode, paths, ttlSeconds }: CompiledMapping,
  body: Buffer,
  text: string,
  item: Readonly<JsonObject>,
  source: EventSource,
): Mapped | undefined {
  const id = defaultId(item, source);
  const partitionKey = keyOf(item, paths);
  if (typeof id !== 'string' || !isValidId(id) || !isPartitionKey(partitionKey)) return undefined;
  if (item[ENVELOPE_FIELD] !== undefined || (ttlSeconds !== undefined && item['ttl'] !== undefined))
    return undefined;
  if (item['id'] !== undefined && item['id'] !== id) return undefined;
  if (!text.endsWith('}')) return undefined;
  const envelopeText = envelope?.(source, Math.floor(clock.epochMicros() / 1000));
  const end = body.length - 1;
  const operation: WriteOperation = {
    kind: mode === 'upsert' ? 'upsert' : 'create',
    id,
    partitionKey,
    body: `${additions(item, id, envelopeText, ttlSeconds)}}`,
    bodyStart: body.subarray(0, end),
  };
  return { kind: 'write', operation };
}

/** The body of the event that an operation with `bodyStart` was made of. */
export function bodyOf(bodyStart: Uint8Array): Buffer {
  return Buffer.concat([bodyStart, CLOSING_BRACE]);
}

const CLOSING_BRACE = Buffer.from('}');

interface CompiledMapping {
  readonly mode: WriteMode;
  readonly paths: readonly (readonly string[])[];
  readonly id: Template | undefined;
  readonly partitionKey: Template | undefined;
  readonly newerPath: readonly string[];
  readonly ttlSeconds: number | undefined;
  readonly envelope: ReturnType<typeof envelopeRenderer> | undefined;
  readonly schema: SchemaCheck | undefined;
  readonly hook: MappingHook | undefined;
  readonly transform: Transform | undefined;
  readonly clock: Clock;
}

function mapper(mapping: CompiledMapping): Mapper {
  const { clock, envelope, hook, mode, schema, transform } = mapping;
  return (body, source) => {
    const text = textOf(body);
    const parsed = text === undefined ? undefined : parseObject(text);
    if (text === undefined || parsed === undefined)
      return rejected('malformed', 'the body is not a JSON object in UTF-8');
    const violation = schema?.(parsed);
    if (violation !== undefined) return rejected('schema', violation);

    let item = parsed;
    if (hook !== undefined) {
      const result = hook(item, source);
      if (result.kind !== 'item') return result;
      item = result.item;
    }
    if (transform !== undefined) item = transform(item, source);

    const id = mapping.id === undefined ? defaultId(item, source) : mapping.id(item, source);
    if (id === undefined || id === null || id === '')
      return rejected('missing-id', 'no value for the item id');
    const idText = String(id);
    if (!isValidId(idText))
      return rejected('invalid-id', `the id must not contain / \\ ? # and be at most ${MAX_ID_BYTES} bytes`);

    const chosenKey = mapping.partitionKey?.(item, source);
    const partitionKey = mapping.partitionKey === undefined ? keyOf(item, mapping.paths) : chosenKey;
    if (!isPartitionKey(partitionKey))
      return rejected(
        'missing-partition-key',
        `no value at ${mapping.paths.map((p) => `/${p.join('/')}`).join(', ')}`,
      );

    const newer = mode === 'replace-if-newer' ? valueAt(item, mapping.newerPath) : undefined;
    if (mode === 'replace-if-newer' && typeof newer !== 'number' && typeof newer !== 'string')
      return rejected('missing-newer-field', `no number or text at ${mapping.newerPath.join('.')}`);

    const envelopeText = envelope?.(source, Math.floor(clock.epochMicros() / 1000));
    const untouched = item === parsed && mapping.partitionKey === undefined;
    const stored =
      untouched && canSplice(item, envelopeText !== undefined, mapping.ttlSeconds !== undefined)
        ? splice(text, item, idText, envelopeText, mapping.ttlSeconds)
        : rebuild(item, idText, envelopeText, mapping, chosenKey);
    const operation: WriteOperation = {
      kind: mode === 'upsert' ? 'upsert' : 'create',
      id: idText,
      partitionKey,
      body: stored,
    };
    return mode === 'replace-if-newer'
      ? { kind: 'write', operation, newer: newer as number | string }
      : { kind: 'write', operation };
  };
}

function rejected(reason: RejectionReason, detail: string): Mapped {
  return { kind: 'rejected', reason, detail };
}

/** Replacement characters would silently change what the producer sent, so bytes that are not UTF-8 give `undefined`. */
function textOf(body: unknown): string | undefined {
  if (typeof body === 'string') return body;
  if (body instanceof Uint8Array) {
    const buffer = Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    return isUtf8(buffer) ? buffer.toString('utf8') : undefined;
  }
  // An AMQP value section arrives decoded; there is no text of the producer to keep.
  return typeof body === 'object' && body !== null ? JSON.stringify(body) : undefined;
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as JsonObject)
      : undefined;
  } catch {
    return undefined;
  }
}

function isValidId(id: string): boolean {
  return id !== '' && !ILLEGAL_IN_ID.test(id) && (id.length <= 255 || Buffer.byteLength(id) <= MAX_ID_BYTES);
}

function defaultId(item: Readonly<JsonObject>, source: EventSource): unknown {
  return item['id'] ?? item['eventId'] ?? `${source.partition}-${source.sequenceNumber}`;
}

function keyOf(item: Readonly<JsonObject>, paths: readonly (readonly string[])[]): unknown {
  if (paths.length === 1) {
    const path = paths[0] as readonly string[];
    return path.length === 1 ? item[path[0] as string] : valueAt(item, path);
  }
  return paths.map((path) => valueAt(item, path));
}

function isPartitionKey(value: unknown): value is PartitionKey {
  return Array.isArray(value) ? value.every(isComponent) : isComponent(value);
}

function isComponent(value: unknown): value is PartitionKeyComponent {
  return (
    value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
  );
}

/** A key that is there already with another value cannot be spliced over: JSON readers disagree about doubled keys. */
function canSplice(item: Readonly<JsonObject>, withEnvelope: boolean, withTtl: boolean): boolean {
  const { id } = item;
  return (
    (id === undefined || typeof id === 'string') &&
    !(withEnvelope && Object.hasOwn(item, ENVELOPE_FIELD)) &&
    !(withTtl && Object.hasOwn(item, 'ttl'))
  );
}

function splice(
  text: string,
  item: Readonly<JsonObject>,
  id: string,
  envelope: string | undefined,
  ttlSeconds: number | undefined,
): string {
  if (item['id'] !== undefined && item['id'] !== id)
    return rebuild(item, id, envelope, { ttlSeconds }, undefined);
  const added = additions(item, id, envelope, ttlSeconds);
  if (added === '') return text;
  const end = text.lastIndexOf('}');
  return `${text.slice(0, end)}${isEmpty(item) ? added.slice(1) : added}}`;
}

/** The properties that an item lacks, each after a comma. */
function additions(
  item: Readonly<JsonObject>,
  id: string,
  envelope: string | undefined,
  ttlSeconds: number | undefined,
): string {
  let added = '';
  if (item['id'] === undefined) added += `,"id":${JSON.stringify(id)}`;
  if (ttlSeconds !== undefined) added += `,"ttl":${ttlSeconds}`;
  if (envelope !== undefined) added += `,"${ENVELOPE_FIELD}":${envelope}`;
  return added;
}

function rebuild(
  item: Readonly<JsonObject>,
  id: string,
  envelope: string | undefined,
  mapping: { readonly ttlSeconds: number | undefined; readonly paths?: readonly (readonly string[])[] },
  partitionKey: unknown,
): string {
  const { [ENVELOPE_FIELD]: previous, ...rest } = item;
  const result: JsonObject = envelope === undefined ? { ...item, id } : { ...rest, id };
  if (mapping.ttlSeconds !== undefined) result['ttl'] = mapping.ttlSeconds;
  if (partitionKey !== undefined && mapping.paths !== undefined)
    setAt(result, mapping.paths[0] as readonly string[], partitionKey);
  const text = JSON.stringify(result);
  return envelope === undefined ? text : `${text.slice(0, -1)},"${ENVELOPE_FIELD}":${envelope}}`;
}

function setAt(item: JsonObject, path: readonly string[], value: unknown): void {
  const [name, ...inner] = path as readonly [string, ...string[]];
  if (inner.length === 0) item[name] = value;
  else {
    const nested = item[name];
    const copy: JsonObject = typeof nested === 'object' && nested !== null ? { ...nested } : {};
    item[name] = copy;
    setAt(copy, inner, value);
  }
}

function isEmpty(item: Readonly<JsonObject>): boolean {
  for (const _ in item) return false;
  return true;
}
