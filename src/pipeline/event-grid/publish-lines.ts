import { createHash } from 'node:crypto';
import { type EventSchema, type GridEvent, readEvent } from '../../eventgrid/event.ts';
import { PipeError } from '../../util/errors.ts';
import { compileEventKey } from './receive-partition-key.ts';

export interface LineOptions {
  readonly schema: EventSchema;
  /** For lines that are no events themselves: they become the data of one. */
  readonly type: string;
  readonly source: string;
  /** Template over the data: `/devices/{data.deviceId}`. */
  readonly subject: string;
  /** Where the lines come from, for messages. */
  readonly name: string;
  /** Time of the events that bring none, ISO 8601. */
  now(): string;
}

/**
 * Makes an event of each line of JSON. What is an event already, in either schema, keeps its id and attributes; anything
 * else becomes the data of a new one, whose id is made of the line and its number, so that publishing the same lines again
 * gives the same ids. Empty lines are left out. Throws E_CONFIG with the line number.
 */
export async function* eventsOfLines(
  lines: AsyncIterable<string>,
  options: LineOptions,
): AsyncGenerator<GridEvent> {
  const subjectOf = options.subject.includes('{')
    ? compileEventKey(options.subject)
    : (): string => options.subject;
  let number = 0;
  for await (const line of lines) {
    number += 1;
    if (line.trim() === '') continue;
    const value = parse(number === 1 ? line.replace(/^\uFEFF/, '') : line, number, options.name);
    const given = readEvent(value);
    if (given !== undefined) {
      // The source of an Event Grid event is its topic, which a CloudEvent must state itself.
      yield { ...given, source: given.source || options.source, schema: options.schema };
      continue;
    }
    const id = `${createHash('sha256').update(line).digest('hex').slice(0, 24)}-${number}`;
    const { schema, source, type } = options;
    const event: GridEvent = { id, type, source, time: options.now(), data: value, extensions: {}, schema };
    const subject = subjectOf(event);
    if (subject === undefined)
      throw new PipeError('E_CONFIG', `line ${number} of ${options.name} lacks a field of --subject`, {
        hint: 'pass a subject that every line has, for example --subject /lines',
      });
    yield { ...event, subject: String(subject) };
  }
}

function parse(line: string, number: number, name: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new PipeError('E_CONFIG', `line ${number} of ${name} is not JSON`, {
      hint: 'publish reads one JSON value per line (NDJSON)',
      cause,
    });
  }
}
