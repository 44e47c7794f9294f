import type { Random } from '../../util/random.ts';

/** Waits after the first, second, ... failed attempt (Microsoft Learn: "Event Grid message delivery and retry"). */
const WAITS_MS = [
  10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000, 10_800_000, 21_600_000, 43_200_000,
];

/** The least wait that a status asks for, whatever the attempt. */
const LEAST_WAIT_MS: Readonly<Record<number, number>> = { 404: 300_000, 408: 120_000, 503: 30_000 };

/** "Event Grid adds a small randomization to all retry steps". */
const JITTER = 0.1;

/** Milliseconds from a failed attempt (1-based) to the next one. */
export function retryWaitMs(attempt: number, status: number | undefined, random: Random): number {
  const scheduled = WAITS_MS[Math.min(attempt, WAITS_MS.length) - 1] as number;
  const least = (status !== undefined && LEAST_WAIT_MS[status]) || 0;
  return Math.max(scheduled, least) * (1 + random.next() * JITTER);
}

/** Replies after which a webhook delivery is not tried again. */
export function isPermanent(status: number | undefined): boolean {
  return status === 400 || status === 401 || status === 403 || status === 413;
}

export type DeliveryOutcome =
  | 'Delivered'
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'PayloadTooLarge'
  | 'TimedOut'
  | 'Busy'
  | 'SocketError'
  | 'ResolutionError'
  | 'Aborted';

const OUTCOME_OF_STATUS: Readonly<Record<number, DeliveryOutcome>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  408: 'TimedOut',
  413: 'PayloadTooLarge',
  429: 'Busy',
  503: 'Busy',
};

/** Only these five statuses are success. */
export function outcomeOf(status: number): DeliveryOutcome {
  return status >= 200 && status <= 204 ? 'Delivered' : (OUTCOME_OF_STATUS[status] ?? 'Aborted');
}

/** How long an endpoint that failed ten times in a row is left alone, by its last outcome. */
export function probationMs(outcome: DeliveryOutcome): number {
  if (outcome === 'Busy' || outcome === 'TimedOut') return 10_000;
  return outcome === 'SocketError' || outcome === 'Aborted' || outcome === 'BadRequest' ? 30_000 : 300_000;
}

export const FAILURES_BEFORE_PROBATION = 10;
