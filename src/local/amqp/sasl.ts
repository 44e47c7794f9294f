import { decodeError } from './errors.ts';
import { FRAME_TYPE } from './frame-parser.ts';
import { CODE, encodeFrame, Fields, type Performative } from './performatives.ts';
import { AmqpWriter } from './writer.ts';

const OUTCOME = { ok: 0, auth: 1 } as const;

/** The sasl-mechanisms frame. */
export function offerSasl(mechanisms: readonly string[]): Buffer {
  const writer = new AmqpWriter();
  writer.descriptor(CODE.saslMechanisms).list(1, () => writer.symbolArray(mechanisms));
  return encodeFrame(FRAME_TYPE.sasl, 0, writer.bytes);
}

/**
 * Answers sasl-init. PLAIN is verified; with any other mechanism the peer stays anonymous and has to authorise itself
 * by claims later.
 */
export function acceptSasl(
  bytes: Buffer,
  { code, listAt, next }: Performative,
  verify: (username: string, password: string) => boolean,
): { readonly outcome: Buffer; readonly accepted: boolean } {
  if (code !== CODE.saslInit) throw decodeError('expected sasl-init');
  const fields = new Fields(bytes, listAt, next);
  const accepted = fields.string(0) !== 'PLAIN' || verifyPlain(fields.value(1), verify);
  const writer = new AmqpWriter();
  writer.descriptor(CODE.saslOutcome).list(2, () => {
    writer.ubyte(accepted ? OUTCOME.ok : OUTCOME.auth).binary(Buffer.from(accepted ? 'Welcome!' : ''));
  });
  return { outcome: encodeFrame(FRAME_TYPE.sasl, 0, writer.bytes), accepted };
}

/** RFC 4616: authorisation identity, user name and password, separated by NUL. */
function verifyPlain(response: unknown, verify: (username: string, password: string) => boolean): boolean {
  if (!Buffer.isBuffer(response)) return false;
  const [, username, password] = response.toString('utf8').split('\0');
  return username !== undefined && password !== undefined && verify(username, password);
}
