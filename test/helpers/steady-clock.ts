import type { Clock } from '../../src/util/clock.ts';

const STEP_MS = 5;

interface Sleeper {
  readonly at: number;
  readonly order: number;
  readonly wake: () => void;
}

/**
 * Real time in steps of 5 ms with a turn of the event loop after each, so that a process that stands still for seconds loses
 * one step: what is to happen after 200 ms stays before what is to happen after 500 ms. For what waits for time and for
 * sockets alike. It moves while somebody sleeps.
 */
export function createSteadyClock(): Clock {
  const startedMicros = Date.now() * 1000;
  const sleepers = new Set<Sleeper>();
  let now = 0;
  let order = 0;
  let moving = false;
  const move = (): void => {
    moving = true;
    setTimeout(() => {
      now += STEP_MS;
      const due = [...sleepers].filter(({ at }) => at <= now);
      for (const { wake } of due.sort((a, b) => a.at - b.at || a.order - b.order)) wake();
      if (sleepers.size > 0) move();
      else moving = false;
    }, STEP_MS);
  };
  return {
    now: () => now,
    epochMicros: () => startedMicros + now * 1000,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        const sleeper = { at: now + ms, order: order++, wake: () => end(resolve) };
        const abort = (): void => end(() => reject(signal?.reason));
        const end = (tell: () => void): void => {
          sleepers.delete(sleeper);
          signal?.removeEventListener('abort', abort);
          tell();
        };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', abort, { once: true });
        if (!moving) move();
      });
    },
  };
}
