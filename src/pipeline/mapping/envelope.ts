import { ENVELOPE_PROPERTIES } from '../../util/envelope.ts';
import type { EventSource } from './template.ts';

/** Texts remembered so that a run id or a device key is escaped once and not for every event. */
const MAX_CACHED_TEXTS = 100_000;

/**
 * Renders `StoredEnvelope` (src/util/envelope.ts) as JSON text. Members of the producer's envelope appear only where the
 * event carries them with the right type.
 */
export function envelopeRenderer(): (source: EventSource, ingestedMs: number) => string {
  const quoted = new Map<string, string>();
  const quote = (text: string): string => {
    let result = quoted.get(text);
    if (result === undefined) {
      if (quoted.size >= MAX_CACHED_TEXTS) quoted.clear();
      result = JSON.stringify(text);
      quoted.set(text, result);
    }
    return result;
  };
  return (source, ingestedMs) => {
    const { properties } = source;
    const run = properties[ENVELOPE_PROPERTIES.run];
    const key = properties[ENVELOPE_PROPERTIES.key];
    const sequence = properties[ENVELOPE_PROPERTIES.sequence];
    const intendedMicros = properties[ENVELOPE_PROPERTIES.intendedMicros];
    let text = '{';
    if (typeof run === 'string') text += `"run":${quote(run)},`;
    if (typeof key === 'string') text += `"key":${quote(key)},`;
    if (typeof sequence === 'number') text += `"sequence":${sequence},`;
    if (typeof intendedMicros === 'number') text += `"intendedMicros":${intendedMicros},`;
    return `${text}"partition":${quote(source.partition)},"sequenceNumber":${source.sequenceNumber},"enqueuedMs":${source.enqueuedMs},"ingestedMs":${ingestedMs}}`;
  };
}
