import { limitTo, type Shape } from '../workload/shape.ts';

/** How many events were due by when, at equal steps: the curve that every queue of a simulation is measured against. */
export interface ArrivalCurve {
  readonly stepMs: number;
  /** Events due by the end of each step. */
  readonly cumulative: Float64Array;
  readonly total: number;
}

export interface Schedule {
  readonly shape: Shape;
  readonly durationMs: number;
  /** Ends the schedule early, at this many events. */
  readonly events?: number;
}

/** Integrates the arrival rate of a schedule. */
export function arrivalCurve({ shape, durationMs, events }: Schedule, stepMs: number): ArrivalCurve {
  const cumulative = new Float64Array(Math.ceil(durationMs / stepMs));
  const most = events ?? Number.POSITIVE_INFINITY;
  let startMs = 0;
  let before = 0;
  let step = 0;
  for (const { durationMs: lengthMs, fromPerSecond, toPerSecond } of limitTo(shape, durationMs)()) {
    const slope = (toPerSecond - fromPerSecond) / lengthMs;
    const areaUpTo = (ms: number): number => (fromPerSecond * ms + (slope * ms * ms) / 2) / 1000;
    for (; step < cumulative.length && (step + 1) * stepMs <= startMs + lengthMs; step += 1)
      cumulative[step] = Math.min(most, before + areaUpTo((step + 1) * stepMs - startMs));
    before += areaUpTo(lengthMs);
    startMs += lengthMs;
    if (before >= most) break;
  }
  const total = Math.min(most, before);
  cumulative.fill(total, step);
  return { stepMs, cumulative, total };
}

/**
 * When the event that a first-in first-out queue finishes now was due. `share` is the part of all events that pass through
 * the queue; calls must come with growing counts, so that a day costs one walk along the curve.
 */
export function dueTimes({ cumulative, stepMs }: ArrivalCurve, share: number): (finished: number) => number {
  let step = 0;
  return (finished) => {
    const wanted = finished / share;
    while (step < cumulative.length - 1 && (cumulative[step] as number) < wanted) step += 1;
    const upTo = cumulative[step] as number;
    const before = cumulative[step - 1] ?? 0;
    const within = upTo > before ? Math.min(1, Math.max(0, (wanted - before) / (upTo - before))) : 1;
    return (step + within) * stepMs;
  };
}

/** The part of what leaves a queue in a step that counts as its first event, which waited for the longest. */
const FIRST = 1e-3;
/** Waits told apart of what leaves a queue in a step that is shorter than a second but may move what a second brought. */
const SLICES = 5;

/** Told of the next `count` events that finish, in the step that ends at `endMs`. Returns the longest time that one queued. */
export type AgeTeller = (
  count: number,
  endMs: number,
  tell: (events: number, queuedMs: number) => void,
) => number;

/**
 * How long events queue that a first-in first-out queue finishes, for a `share` of all events. What leaves together came one
 * after the other; what is finished in the step in which it was due did not wait.
 */
export function ages(curve: ArrivalCurve, share: number): AgeTeller {
  const { stepMs } = curve;
  const due = dueTimes(curve, share);
  let finished = 0;
  return (count, endMs, tell) => {
    const queuedMs = (part: number): number => Math.max(0, endMs - due(finished + part * count) - stepMs);
    const longestMs = queuedMs(FIRST);
    const slices = longestMs === 0 || stepMs >= 1_000 ? 1 : SLICES;
    for (let slice = 0; slice < slices; slice += 1) tell(count / slices, queuedMs((slice + 0.5) / slices));
    finished += count;
    return longestMs;
  };
}
