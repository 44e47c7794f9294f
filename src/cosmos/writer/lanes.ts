import { BinaryHeap } from '../../util/binary-heap.ts';
import type { Settled, WriteFence, WriteOperation } from '../write-operation.ts';
import { createRangeBudget, type RangeBudget } from './ru-budget.ts';
import { createWindow, type Window, type WindowLimits } from './window.ts';

/** An accepted operation on its way. */
export interface Pending {
  readonly operation: WriteOperation;
  readonly settled: Settled;
  readonly fence: WriteFence | undefined;
  readonly lane: KeyLane;
  readonly bodyBytes: number;
  readonly acceptedAt: number;
  /** Operations of a range go in ascending order of their turns, those of a key as they were accepted (see Turns). */
  readonly turn: number;
  attempts: number;
  /** The largest request it may still travel in; halved while a request that failed as a whole is taken apart. */
  companyLimit: number;
  /** An attempt got no answer: it may have been applied. */
  unsure: boolean;
  next: Pending | undefined;
}

/**
 * The operations of one partition key, in order. At most one request carries operations of a key at a time: that, and
 * stopping a request at its first failure, is what keeps the order of a key across retries.
 *
 *     idle --write--> ready --taken--> busy --answered--> idle | ready | resting --delay over--> ready
 */
export interface KeyLane {
  readonly encodedPartitionKey: string;
  /** Start of an upsert request element for this key. */
  readonly upsertPrefix: string;
  readonly effectivePartitionKey: string;
  range: RangeLane;
  state: 'idle' | 'ready' | 'busy' | 'resting';
  /** Earliest time of the next attempt while resting. */
  restUntil: number;
  count: number;
  head: Pending | undefined;
  tail: Pending | undefined;
}

/** A partition key range: its ready keys, and what it may have on the wire. */
export interface RangeLane {
  readonly id: string;
  readonly window: Window;
  budget: RangeBudget | undefined;
  readonly ready: BinaryHeap<KeyLane>;
  /** Operations of the ready keys. */
  readyCount: number;
  /** Operations accepted and not settled, and those of them on the wire. */
  pending: number;
  inFlight: number;
  requestsInFlight: number;
  pausedUntil: number;
  /** Time for which a wake-up is scheduled; Infinity without one. */
  wakeAt: number;
  /** The service said 410: nothing is sent until the ranges are known afresh. */
  stale: boolean;
  /** Replaced by other ranges. */
  gone: boolean;
  failures: number;
  failingSince: number;
  /** Requests left in which a key appears once only, because refusals are frequent (see takeBatch). */
  distinctKeys: number;
  requestCharge: number;
  throttled: number;
  written: number;
}

export function createRangeLane(
  id: string,
  window: WindowLimits,
  ruPerSecond: number | undefined,
  now: number,
): RangeLane {
  return {
    id,
    window: createWindow(window),
    budget: ruPerSecond === undefined ? undefined : createRangeBudget(ruPerSecond, now),
    ready: newReadyKeys(),
    readyCount: 0,
    pending: 0,
    inFlight: 0,
    requestsInFlight: 0,
    pausedUntil: 0,
    wakeAt: Number.POSITIVE_INFINITY,
    stale: false,
    gone: false,
    failures: 0,
    failingSince: 0,
    distinctKeys: 0,
    requestCharge: 0,
    throttled: 0,
    written: 0,
  };
}

/**
 * Keys that wait with operations, the key whose first operation has the earliest turn in front. A key keeps its first
 * operation while it is among them.
 */
export function newReadyKeys(): BinaryHeap<KeyLane> {
  return new BinaryHeap((a, b) => turnOf(a) < turnOf(b));
}

/** The turn of the first operation of a key; never for a key that is not there. */
export function turnOf(lane: KeyLane | undefined): number {
  return lane?.head?.turn ?? Number.POSITIVE_INFINITY;
}

/** Puts a key that has operations among those that may be sent. */
export function pushReady(lane: KeyLane): void {
  const { range } = lane;
  lane.state = 'ready';
  range.ready.push(lane);
  range.readyCount += lane.count;
}

/** Takes the ready key whose turn it is. */
export function shiftReady(range: RangeLane): KeyLane | undefined {
  const lane = range.ready.pop();
  if (lane !== undefined) range.readyCount -= lane.count;
  return lane;
}

export function appendPending(lane: KeyLane, pending: Pending): void {
  if (lane.tail === undefined) lane.head = pending;
  else lane.tail.next = pending;
  lane.tail = pending;
  lane.count++;
  lane.range.pending++;
  if (lane.state === 'ready') lane.range.readyCount++;
}

export function prependPending(lane: KeyLane, pending: Pending): void {
  pending.next = lane.head;
  lane.head = pending;
  lane.tail ??= pending;
  lane.count++;
}

export function shiftPending(lane: KeyLane): Pending {
  const pending = lane.head as Pending;
  lane.head = pending.next;
  if (lane.head === undefined) lane.tail = undefined;
  pending.next = undefined;
  lane.count--;
  return pending;
}

/** Takes operations out of a key that is not ready. Returns them in order. */
export function withdrawPending(lane: KeyLane, isOut: (pending: Pending) => boolean): Pending[] {
  const withdrawn: Pending[] = [];
  const kept: Pending[] = [];
  while (lane.head !== undefined) {
    const pending = shiftPending(lane);
    (isOut(pending) ? withdrawn : kept).push(pending);
  }
  for (let i = kept.length - 1; i >= 0; i--) prependPending(lane, kept[i] as Pending);
  return withdrawn;
}

/** Takes operations out of all ready keys of a range. Returns them, in order within each key. */
export function withdrawReady(range: RangeLane, isOut: (pending: Pending) => boolean): Pending[] {
  const withdrawn: Pending[] = [];
  const kept: KeyLane[] = [];
  for (let lane = shiftReady(range); lane !== undefined; lane = shiftReady(range)) {
    withdrawn.push(...withdrawPending(lane, isOut));
    if (lane.count === 0) lane.state = 'idle';
    else kept.push(lane);
  }
  for (const lane of kept) pushReady(lane);
  return withdrawn;
}
