import type { AmqpCondition } from '../amqp/errors.ts';
import { conditions } from './conditions.ts';
import type { PartitionLog } from './partition-log.ts';

const SELECTOR =
  /^\s*amqp\.annotation\.x-opt-(offset|sequence-number|enqueued-time(?:-utc)?)\s*(>=?)\s*'?([^']*?)'?\s*$/;

export type StartPosition =
  | { readonly ok: true; readonly sequenceNumber: number }
  | { readonly ok: false; readonly error: AmqpCondition };

/** Where a receiver starts: its selector filter resolved against the log. No filter means the first event. */
export function startPosition(log: PartitionLog, selector: string | undefined): StartPosition {
  if (selector === undefined) return { ok: true, sequenceNumber: log.firstSequence };
  const match = SELECTOR.exec(selector);
  if (match === null) return { ok: false, error: conditions.invalidFilter(selector) };
  const [, annotation, operator, text = ''] = match;
  const inclusive = operator === '>=';
  if (annotation === 'offset' && text === '@latest') return { ok: true, sequenceNumber: log.nextSequence };
  if (annotation === 'offset' && text === '-1') return { ok: true, sequenceNumber: log.firstSequence };
  // A geo-replicated namespace prefixes offsets and sequence numbers with an epoch: "<epoch>:<n>".
  const value = Number(text.slice(text.lastIndexOf(':') + 1));
  if (text === '' || Number.isNaN(value)) return { ok: false, error: conditions.invalidFilter(selector) };
  if (annotation === 'offset') return atOffset(log, value, inclusive);
  if (annotation === 'sequence-number') return atSequenceNumber(log, value, inclusive);
  return { ok: true, sequenceNumber: log.sequenceAfterTime(inclusive ? value - 1 : value) };
}

function atOffset(log: PartitionLog, offset: number, inclusive: boolean): StartPosition {
  if (offset > log.lastOffset && !(inclusive && offset === 0))
    return { ok: false, error: conditions.invalidOffset(offset, log.lastOffset) };
  return { ok: true, sequenceNumber: log.sequenceAtOffset(offset, inclusive) };
}

/** A number that the log has not reached is what a consumer brings along whose hub was made anew. */
function atSequenceNumber(log: PartitionLog, value: number, inclusive: boolean): StartPosition {
  const wanted = inclusive ? value : value + 1;
  if (wanted > log.nextSequence)
    return { ok: false, error: conditions.invalidSequenceNumber(value, log.nextSequence - 1) };
  return { ok: true, sequenceNumber: Math.max(wanted, log.firstSequence) };
}
