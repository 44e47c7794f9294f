import { usageError } from '../../util/errors.ts';

/** One event as the mapping sees it: the decoded body and where it came from. */
export interface EventSource {
  readonly partition: string;
  readonly sequenceNumber: number;
  readonly offset: string;
  readonly enqueuedMs: number;
  readonly partitionKey?: string | undefined;
  readonly properties: Readonly<Record<string, unknown>>;
}

export type JsonObject = Record<string, unknown>;

/** Gives the value for one event, `undefined` when a field it needs is absent. */
export type Template = (item: Readonly<JsonObject>, source: EventSource) => unknown;

const SOURCE_VALUES: Readonly<Record<string, (source: EventSource) => unknown>> = {
  $partition: (source) => source.partition,
  $sequenceNumber: (source) => source.sequenceNumber,
  $offset: (source) => source.offset,
  $enqueuedTime: (source) => new Date(source.enqueuedMs).toISOString(),
  $partitionKey: (source) => source.partitionKey,
};

/**
 * Compiles `{deviceId}-{$sequenceNumber}`. A placeholder is a field path of the event (`complexData.moreData0`), one of
 * `$partition`, `$sequenceNumber`, `$offset`, `$enqueuedTime`, `$partitionKey`, or `$properties.<name>`. A template of
 * one placeholder and nothing else keeps the type of the value; any other gives a string.
 */
export function compileTemplate(text: string): Template {
  const parts = text.split(/\{([^{}]+)\}/);
  if (parts.some((part, index) => index % 2 === 0 && /[{}]/.test(part)))
    throw usageError(
      `unbalanced braces in template "${text}"`,
      'write for example {deviceId}-{$sequenceNumber}',
    );
  const values = parts.filter((_, index) => index % 2 === 1).map(compilePlaceholder);
  if (values.length === 1 && parts[0] === '' && parts[2] === '') return values[0] as Template;
  return (item, source) => {
    let result = parts[0] as string;
    for (const [index, value] of values.entries()) {
      const rendered = value(item, source);
      if (rendered === undefined || rendered === null) return undefined;
      result += `${String(rendered)}${parts[index * 2 + 2]}`;
    }
    return result;
  };
}

/** As {@link compileTemplate}, where a text without braces names a field. */
export function compileFieldOrTemplate(text: string): Template {
  return compileTemplate(text.includes('{') ? text : `{${text}}`);
}

/** Reads the value at a path of nested objects. */
export function valueAt(item: unknown, path: readonly string[]): unknown {
  let value = item;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as JsonObject)[name];
  }
  return value;
}

function compilePlaceholder(name: string): Template {
  if (name.startsWith('$properties.')) {
    const property = name.slice('$properties.'.length);
    return (_, source) => source.properties[property];
  }
  if (name.startsWith('$')) {
    const read = SOURCE_VALUES[name];
    if (read === undefined)
      throw usageError(
        `unknown placeholder {${name}}`,
        `known are ${Object.keys(SOURCE_VALUES).join(', ')} and $properties.<name>`,
      );
    return (_, source) => read(source);
  }
  const path = name.split('.');
  return (item) => valueAt(item, path);
}
