import { createHash } from 'node:crypto';
import type { GridEvent } from '../../eventgrid/event.ts';
import { usageError } from '../../util/errors.ts';
import { valueAt } from '../feed/fields.ts';

/** Gives the partition key value of an event, `undefined` when a field that it needs is absent. */
export type EventKey = (event: GridEvent) => string | number | boolean | undefined;

const KNOWN =
  '{id}, {type}, {source}, {source-short}, {subject}, {subject/2} (its first 2 segments), {data.path}, {ext.name}, {time/hour}, {time/day}, {hash%16}';

/**
 * Compiles `{source-short}:{subject/2}`. A template of one `{data...}` or `{ext...}` placeholder and nothing else keeps the
 * type of the value; any other gives a string. Throws a usage error that lists the placeholders.
 */
export function compileEventKey(template: string): EventKey {
  const parts = template.split(/\{([^{}]+)\}/);
  if (parts.length === 1 || parts.some((part, index) => index % 2 === 0 && /[{}]/.test(part)))
    throw usageError(`"${template}" is not a template of an event`, `known are ${KNOWN}`);
  const values = parts.filter((_, index) => index % 2 === 1).map(placeholder);
  if (values.length === 1 && parts[0] === '' && parts[2] === '') return values[0] as EventKey;
  return (event) => {
    let key = parts[0] as string;
    for (const [index, read] of values.entries()) {
      const value = read(event);
      if (value === undefined) return undefined;
      key += `${value}${parts[index * 2 + 2]}`;
    }
    return key;
  };
}

function placeholder(name: string): EventKey {
  const [first = '', ...rest] = name.split('.');
  if (first === 'data' && rest.length > 0) return ({ data }) => scalar(valueAt(record(data), rest));
  if (first === 'ext' && rest.length > 0) return ({ extensions }) => scalar(valueAt(extensions, rest));
  const segments = /^subject\/([1-9]\d?)$/.exec(name)?.[1];
  if (segments !== undefined)
    return ({ subject }) => subject?.split('/').filter(Boolean).slice(0, Number(segments)).join('/');
  const buckets = /^hash%([1-9]\d{0,4})$/.exec(name)?.[1];
  if (buckets !== undefined) return (event) => bucketOf(event, Number(buckets));
  const known = PLACEHOLDERS[name];
  if (known === undefined) throw usageError(`unknown placeholder {${name}}`, `known are ${KNOWN}`);
  return known;
}

const PLACEHOLDERS: Readonly<Record<string, EventKey>> = {
  id: ({ id }) => id,
  type: ({ type }) => type,
  source: ({ source }) => source,
  /** The last segment: of a topic's resource id its name. */
  'source-short': ({ source }) => source.split('/').findLast(Boolean) ?? source,
  subject: ({ subject }) => subject,
  'time/hour': ({ time }) => time?.slice(0, 13),
  'time/day': ({ time }) => time?.slice(0, 10),
};

function bucketOf({ source, id }: GridEvent, buckets: number): number {
  return createHash('sha256').update(`${source}\n${id}`).digest().readUInt32BE(0) % buckets;
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function scalar(value: unknown): string | number | boolean | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? value
    : undefined;
}
