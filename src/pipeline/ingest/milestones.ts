import type { GridEvent } from '../../eventgrid/event.ts';
import type { EventPublisher } from '../../eventgrid/publisher.ts';
import type { Clock } from '../../util/clock.ts';
import { totalLag } from './progress.ts';
import type { IngestProgress, IngestResult } from './types.ts';

export interface MilestoneOptions {
  readonly publisher: EventPublisher;
  /** Name of the process among the owners; part of every event id. */
  readonly ownerId: string;
  /** Where events are stored: `pipeline/events`. */
  readonly container: string;
  /** A milestone is told after this many stored events. */
  readonly every: number;
  readonly clock: Clock;
  /** Writes that were throttled, and request units used, so far. */
  usage(): { readonly throttled: number; readonly requestCharge: number };
  /** An event that could not be published is no reason to stop. */
  onProblem(message: string): void;
}

/** However many milestones wait for a topic that is away. */
const CLOSE_MS = 10_000;

export interface Milestones {
  started(): void;
  progress(progress: IngestProgress): void;
  completed(result: IngestResult): void;
  failed(error: unknown): void;
  /** Resolves when everything has been published or given up, or a dead topic has held the end back for long enough. */
  close(): Promise<void>;
}

/**
 * Tells a topic how a run of `ingest` goes: `CosmosPipe.Ingest.Started`, `.Milestone`, `.Throttled` (when throttling begins),
 * `.Completed`, `.Failed`, as CloudEvents with counts, request units and lag.
 */
export function ingestMilestones(options: MilestoneOptions): Milestones {
  const { clock, container, every, ownerId, publisher } = options;
  const run = `${ownerId}/${clock.epochMicros()}`;
  let reached = 0;
  let throttled = 0;
  let wasThrottling = false;
  let last: Promise<void> = Promise.resolve();

  const tell = (kind: string, key: string, data: Readonly<Record<string, unknown>>): void => {
    const event: GridEvent = {
      id: `${run}/${key}`,
      type: `CosmosPipe.Ingest.${kind}`,
      source: `/cosmos-pipe/ingest/${ownerId}`,
      subject: `/containers/${container}`,
      time: new Date(clock.epochMicros() / 1000).toISOString(),
      data: { ...data, ...options.usage() },
      extensions: {},
      schema: 'cloudEvents',
    };
    // One after the other, so that they arrive in the order in which they happened where nothing is repeated.
    last = last.then(() =>
      publisher
        .publish([event])
        .catch((error: unknown) =>
          options.onProblem(`${event.type} was not published: ${(error as Error).message}`),
        ),
    );
  };

  return {
    started: () => tell('Started', 'started', {}),
    progress({ elapsedMs, partitions, totals }) {
      const figures = {
        ...totals,
        elapsedMs: Math.round(elapsedMs),
        lagEvents: totalLag(partitions),
      };
      const steps = Math.floor(totals.stored / every);
      if (steps > reached) {
        reached = steps;
        tell('Milestone', `milestone/${steps * every}`, { milestone: steps * every, ...figures });
      }
      const now = options.usage().throttled;
      const throttling = now > throttled;
      if (throttling && !wasThrottling) tell('Throttled', `throttled/${now}`, figures);
      throttled = now;
      wasThrottling = throttling;
    },
    completed: (result) => tell('Completed', 'completed', { ...result }),
    failed: (error) => tell('Failed', 'failed', { message: (error as Error).message }),
    async close() {
      const patience = new AbortController();
      const tooLate = clock.sleep(CLOSE_MS, patience.signal).then(
        () => options.onProblem('the last milestones were not published: the topic did not answer in time'),
        () => {},
      );
      await Promise.race([last, tooLate]);
      patience.abort();
    },
  };
}
