import { gunzipSync, gzipSync } from 'node:zlib';

/** A document as the cache holds it. */
export interface EncodedValue {
  readonly bytes: string | Buffer;
  /** `gzip`, or empty for plain JSON. */
  readonly encoding: '' | 'gzip';
  readonly sizeBytes: number;
}

export interface EncodeOptions {
  /** JSON above this many bytes is compressed; never by default. */
  readonly gzipOverBytes?: number | undefined;
  /** Keep these top-level fields only, beside `id`. */
  readonly project?: readonly string[] | undefined;
}

export function encodeValue(
  body: string | Readonly<Record<string, unknown>>,
  { gzipOverBytes, project }: EncodeOptions,
): EncodedValue {
  const projected = project === undefined ? body : pick(body, project);
  const json = typeof projected === 'string' ? projected : JSON.stringify(projected);
  const sizeBytes = Buffer.byteLength(json);
  if (gzipOverBytes === undefined || sizeBytes <= gzipOverBytes)
    return { bytes: json, encoding: '', sizeBytes };
  const bytes = gzipSync(json);
  return { bytes, encoding: 'gzip', sizeBytes: bytes.length };
}

/** The JSON text of a cached document. Gzip is told by its first two bytes (RFC 1952), which no JSON begins with. */
export function decodeValue(bytes: Buffer): string {
  return bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes).toString() : bytes.toString();
}

function pick(
  body: string | Readonly<Record<string, unknown>>,
  fields: readonly string[],
): Readonly<Record<string, unknown>> {
  const item = typeof body === 'string' ? (JSON.parse(body) as Readonly<Record<string, unknown>>) : body;
  return Object.fromEntries(
    ['id', ...fields].filter((field) => field in item).map((field) => [field, item[field]]),
  );
}
