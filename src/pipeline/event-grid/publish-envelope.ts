import type { Envelope } from '../../util/envelope.ts';

/**
 * The producer's envelope as extension attributes of a CloudEvent, whose names are lower-case letters and digits only
 * (CloudEvents 1.0, "Naming conventions").
 */
export const ENVELOPE_ATTRIBUTES = {
  run: 'cprun',
  key: 'cpkey',
  sequence: 'cpseq',
  intendedMicros: 'cpat',
} as const satisfies Record<keyof Envelope, string>;

/** Values as texts: microseconds do not fit the 32-bit integers of CloudEvents. */
export function envelopeAttributes(envelope: Envelope): Readonly<Record<string, string>> {
  return {
    [ENVELOPE_ATTRIBUTES.run]: envelope.run,
    [ENVELOPE_ATTRIBUTES.key]: envelope.key,
    [ENVELOPE_ATTRIBUTES.sequence]: String(envelope.sequence),
    [ENVELOPE_ATTRIBUTES.intendedMicros]: String(envelope.intendedMicros),
  };
}
