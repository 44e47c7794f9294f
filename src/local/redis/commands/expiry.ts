import type { CommandContext } from '../command.ts';
import { errors } from '../errors.ts';
import { parseInt64 } from '../numbers.ts';

/** How an expiry option counts: seconds or milliseconds, from now or since the Unix epoch. */
const EXPIRY_OPTIONS = {
  EX: { unitMs: 1000, absolute: false },
  PX: { unitMs: 1, absolute: false },
  EXAT: { unitMs: 1000, absolute: true },
  PXAT: { unitMs: 1, absolute: true },
} as const;

export type ExpiryOption = keyof typeof EXPIRY_OPTIONS;

export function isExpiryOption(word: string): word is ExpiryOption {
  return Object.hasOwn(EXPIRY_OPTIONS, word);
}

/** The moment, in milliseconds since the Unix epoch, that an expiry option names. It must be positive. */
export function expiryMoment(
  context: CommandContext,
  option: ExpiryOption,
  text: string,
  command: string,
): number {
  const value = Number(parseInt64(text));
  const { unitMs, absolute } = EXPIRY_OPTIONS[option];
  const moment = value * unitMs + (absolute ? 0 : context.now);
  if (value <= 0 || !Number.isSafeInteger(moment)) throw errors.invalidExpire(command);
  return moment;
}
