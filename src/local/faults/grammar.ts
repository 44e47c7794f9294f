import { parseDurationMs } from '../../util/duration.ts';

/** Fault kinds that each embedded service knows. `latency` takes a duration; the others a probability or a count. */
export const FAULT_KINDS = {
  'event-hubs': ['latency', 'server-busy', 'detach', 'reset', 'timeout', 'unauthorized'],
  cosmos: ['latency', 'throttle', 'gone', 'unavailable', 'reset', 'timeout', 'retry-with', 'split'],
  'event-grid': ['latency', 'throttle', 'unavailable', 'reset', 'timeout', 'unauthorized'],
  redis: ['latency', 'reset', 'timeout', 'loading', 'error'],
} as const;

export type FaultService = keyof typeof FAULT_KINDS;
export type FaultKind = (typeof FAULT_KINDS)[FaultService][number];

export interface FaultSpec {
  /** What the user wrote. */
  readonly text: string;
  readonly service: FaultService;
  readonly kind: FaultKind;
  readonly value: FaultValue;
  /** Delay before the fault becomes active, from the moment it is added. */
  readonly startMs: number;
  /** How long it stays active; for ever (or until its count is used up) when Infinity. */
  readonly durationMs: number;
}

export type FaultValue =
  | { readonly type: 'probability'; readonly probability: number }
  | { readonly type: 'count'; readonly count: number }
  | { readonly type: 'duration'; readonly ms: number; readonly jitterMs: number };

const GRAMMAR = '<service>:<kind>[=<value>][@<start>][+<duration>]';
const SHAPE = /^([a-z-]+):([a-z-]+)(?:=([^@+]+))?(?:@([^@+]+))?(?:\+([^@+]+))?$/;

/**
 * Parses `event-hubs:latency=50ms~20ms`, `cosmos:throttle=5%`, `redis:reset@10s`, `cosmos:unavailable@5s+10s`.
 *
 * A value is a probability per operation (`5%`), a number of operations (`3`), or for `latency` a duration with an
 * optional jitter (`50ms~20ms`, uniform within plus or minus the jitter). Without a value a fault strikes once, or
 * every operation while it lasts when it has a `+<duration>`.
 *
 * @throws RangeError naming the part that is wrong, the grammar and the kinds of the service.
 */
export function parseFault(text: string): FaultSpec {
  const match = SHAPE.exec(text.trim());
  if (match === null) throw faultError(text, 'not of the expected form');
  const [, service = '', kind = '', value, start, duration] = match;
  if (!isFaultService(service)) throw faultError(text, `unknown service "${service}"`);
  if (!isKindOf(service, kind)) throw faultError(text, `unknown kind "${kind}"`, service);
  try {
    const durationMs = duration === undefined ? Number.POSITIVE_INFINITY : parseDurationMs(duration);
    return {
      text: text.trim(),
      service,
      kind,
      value: kind === 'latency' ? parseLatency(value) : parseChance(value, duration !== undefined),
      startMs: start === undefined ? 0 : parseDurationMs(start),
      durationMs,
    };
  } catch (cause) {
    throw faultError(text, cause instanceof Error ? cause.message : String(cause), service);
  }
}

function parseLatency(value: string | undefined): FaultValue {
  if (value === undefined) throw new RangeError('latency needs a duration, for example latency=50ms~20ms');
  const [mean = '', jitter] = value.split('~', 2);
  return {
    type: 'duration',
    ms: parseDurationMs(mean),
    jitterMs: jitter === undefined ? 0 : parseDurationMs(jitter),
  };
}

function parseChance(value: string | undefined, lasting: boolean): FaultValue {
  if (value === undefined)
    return lasting ? { type: 'probability', probability: 1 } : { type: 'count', count: 1 };
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(value);
  const amount = Number(match?.[1]);
  if (match === null) throw new RangeError(`invalid value "${value}", expected for example 5% or 3`);
  if (match[2] === '%') {
    if (amount > 100) throw new RangeError(`probability ${value} is more than 100%`);
    return { type: 'probability', probability: amount / 100 };
  }
  if (!Number.isInteger(amount) || amount < 1)
    throw new RangeError(`count ${value} is not a positive integer`);
  return { type: 'count', count: amount };
}

function faultError(text: string, problem: string, service?: FaultService): RangeError {
  const known =
    service === undefined
      ? `services: ${Object.keys(FAULT_KINDS).join(', ')}`
      : `kinds of ${service}: ${FAULT_KINDS[service].join(', ')}`;
  return new RangeError(
    `invalid fault "${text}": ${problem}; expected ${GRAMMAR}, for example event-hubs:server-busy=5%; ${known}`,
  );
}

function isFaultService(name: string): name is FaultService {
  return Object.hasOwn(FAULT_KINDS, name);
}

function isKindOf(service: FaultService, kind: string): kind is FaultKind {
  return (FAULT_KINDS[service] as readonly string[]).includes(kind);
}
