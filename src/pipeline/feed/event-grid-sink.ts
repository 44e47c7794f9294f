import type { FeedChange } from '../../cosmos/change-feed/types.ts';
import type { GridEvent } from '../../eventgrid/event.ts';
import type { EventPublisher } from '../../eventgrid/publisher.ts';
import { type ChangeEventOptions, cameFromEventGrid, changeEvent } from './publish-change.ts';
import type { FeedSink } from './sink.ts';

export interface EventGridSinkOptions extends ChangeEventOptions {
  readonly publisher: EventPublisher;
  /** Publish what `receive` stored as well; events may then go round for ever. */
  readonly loops?: boolean;
  /** Which changes get an event; default all. */
  readonly include?: (change: FeedChange) => boolean;
}

export interface EventGridSink extends FeedSink {
  /** Changes without an event: what `receive` had stored, and items whose event has their keys only because of its size. */
  readonly counts: { readonly looped: number; readonly reduced: number };
}

/** One event for each change; a page is accepted when Event Grid answered 200 for all of it. */
export function eventGridSink(options: EventGridSinkOptions): EventGridSink {
  const { include, loops, publisher } = options;
  const counts = { looped: 0, reduced: 0 };
  return {
    name: 'event-grid',
    counts,
    async deliver(changes, page) {
      const events: GridEvent[] = [];
      let looped = 0;
      let reduced = 0;
      for (const change of changes) {
        if (include?.(change) === false) continue;
        if (!loops && cameFromEventGrid(change)) {
          looped += 1;
          continue;
        }
        const made = changeEvent(change, page, options);
        if (made.reduced) reduced += 1;
        events.push(made.event);
      }
      await publisher.publish(events);
      // Counted once, although a page that was refused is delivered again.
      counts.looped += looped;
      counts.reduced += reduced;
    },
    close: async () => {},
  };
}
