import { setImmediate as turnOfLoop } from 'node:timers/promises';
import type { Clock } from '../../src/util/clock.ts';

export interface VirtualClock extends Clock {
  /**
   * Lets everything run that needs no time, then jumps to the next sleeper, until `done`. Throws when nobody sleeps any
   * more and `done` is still false (a deadlock), and after `limitMs` of virtual time (a livelock), by default a day.
   */
  runUntil(done: () => boolean, limitMs?: number): Promise<void>;
}

interface Sleeper {
  readonly at: number;
  readonly order: number;
  readonly wake: () => void;
}

const LOOP_EVERY = 1_000;

const tick = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

/** Time that passes only when everybody sleeps: hours in milliseconds, and the same interleaving on every run. */
export function createVirtualClock(epochMicros = 1_700_000_000_000_000): VirtualClock {
  let now = 0;
  let order = 0;
  let turns = 0;
  const sleepers: Sleeper[] = [];
  return {
    now: () => now,
    epochMicros: () => epochMicros + Math.round(now * 1000),
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        const abort = (): void => reject(signal?.reason);
        const wake = (): void => {
          signal?.removeEventListener('abort', abort);
          resolve();
        };
        push(sleepers, { at: now + Math.max(0, ms), order: order++, wake });
        signal?.addEventListener('abort', abort, { once: true });
      });
    },
    async runUntil(done, limitMs = 86_400_000) {
      for (;;) {
        // All microtasks have run when a tick does. The event loop, which costs many times that, turns now and then only.
        await (++turns % LOOP_EVERY === 0 ? turnOfLoop() : tick());
        if (done()) return;
        const next = pop(sleepers);
        if (next === undefined) throw new Error(`deadlock at ${now} ms: nobody sleeps and nothing is done`);
        now = Math.max(now, next.at);
        if (now > limitMs) throw new Error(`livelock: not done after ${limitMs} ms`);
        next.wake();
        // Whoever sleeps until the same instant wakes in the same turn, in the order of going to sleep.
        while (sleepers[0] !== undefined && sleepers[0].at <= now) pop(sleepers)?.wake();
      }
    },
  };
}

function before(a: Sleeper, b: Sleeper): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Binary heap, the earliest sleeper first. */
function push(heap: Sleeper[], sleeper: Sleeper): void {
  let at = heap.push(sleeper) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (before(heap[parent] as Sleeper, sleeper)) break;
    heap[at] = heap[parent] as Sleeper;
    at = parent;
  }
  heap[at] = sleeper;
}

function pop(heap: Sleeper[]): Sleeper | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (first === undefined || last === undefined || heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1] as Sleeper, heap[child] as Sleeper)) child++;
    if (before(last, heap[child] as Sleeper)) break;
    heap[at] = heap[child] as Sleeper;
    at = child;
  }
  heap[at] = last;
  return first;
}
