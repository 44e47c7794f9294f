import type { GridEvent } from '../../eventgrid/event.ts';
import type { Clock } from '../../util/clock.ts';
import { watchQuiet } from '../../util/quiet.ts';
import type { Arrival } from './receive-document.ts';
import { poisonOf, type StoreResult } from './receive-sink.ts';
import { newTotals, type ReceiveOptions, type ReceiveResult, type ReceiveTotals } from './receive-types.ts';

/** Stores what was delivered, counts it, puts poison aside, and knows when it is enough. */
export interface Intake {
  readonly totals: ReceiveTotals;
  /** Aborted when the run should end. */
  readonly ended: AbortSignal;
  /** Every result but `retry` is durable when it resolves. Rejects when the dead letter cannot be written. */
  store(events: readonly GridEvent[], arrival: Arrival): Promise<readonly StoreResult[]>;
  /** Resolves when the run should end. */
  end(): Promise<void>;
  result(): ReceiveResult;
}

const IDLE_CHECK_MS = 100;

export function createIntake(options: ReceiveOptions): Intake {
  const { clock, deadLetter, recorder, sink } = options;
  const totals = newTotals();
  const enough = new AbortController();
  const ended = AbortSignal.any([options.signal, enough.signal]);
  const startedAt = clock.now();
  const everyMs = Math.min(IDLE_CHECK_MS, options.untilIdleMs ?? IDLE_CHECK_MS);
  const quiet = watchQuiet(clock, everyMs);
  let underWay = 0;
  let reason: ReceiveResult['ended'] = 'signal';

  const stop = (why: ReceiveResult['ended']): void => {
    if (ended.aborted) return;
    reason = why;
    enough.abort();
  };

  return {
    totals,
    ended,
    async store(events, arrival) {
      const { deliveryCount, subscription } = arrival;
      const begunAt = clock.now();
      totals.received += events.length;
      totals.deliveryCounts[deliveryCount] = (totals.deliveryCounts[deliveryCount] ?? 0) + events.length;
      recorder.offered(events.length);
      underWay += events.length;
      recorder.inFlight(underWay);
      try {
        const results = await sink.store(events, arrival);
        await deadLetter.write(poisonOf(events, results, subscription));
        for (const [index, result] of results.entries()) count(events[index] as GridEvent, result);
        recorder.serviceTime((clock.now() - begunAt) * 1000, events.length);
        if (options.limit !== undefined && totals.stored >= options.limit) stop('limit');
        return results;
      } finally {
        quiet.broken();
        underWay -= events.length;
        recorder.inFlight(underWay);
      }
    },
    async end() {
      const { untilIdleMs } = options;
      if (untilIdleMs === undefined) return waitFor(ended);
      while (!ended.aborted) {
        await clock.sleep(everyMs, ended).catch(() => {});
        if (underWay === 0 && quiet.lookMs() >= untilIdleMs) stop('idle');
      }
    },
    result: () => ({ ...totals, ended: reason, durationMs: clock.now() - startedAt }),
  };

  function count({ time }: GridEvent, result: StoreResult): void {
    switch (result.kind) {
      case 'stored':
        totals.stored += 1;
        recorder.done(1, 0);
        recorder.latency(ageMicros(time, clock));
        return;
      case 'duplicate':
        totals.duplicates += 1;
        return;
      case 'poison':
        totals.deadLettered += 1;
        recorder.failed('deadLettered', 1);
        return;
      case 'retry':
        totals.retried += 1;
        recorder.failed('retried', 1);
    }
  }
}

function ageMicros(time: string | undefined, clock: Clock): number {
  const at = time === undefined ? Number.NaN : Date.parse(time);
  return Number.isNaN(at) ? 0 : Math.max(0, clock.epochMicros() - at * 1000);
}

function waitFor(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
