import type { HubState } from '../../eventhubs/backlog.ts';
import type { Clock } from '../../util/clock.ts';
import { PipeError } from '../../util/errors.ts';
import type { FollowedHub } from './followed-hub.ts';
import type { HubWatch } from './hub.ts';

/** What ends the reading of a hub. */
export type HubChange =
  | { readonly kind: 'replaced'; readonly by: HubState }
  | { readonly kind: 'gone'; readonly error: PipeError };

/** The service knows no such hub for so long: it was deleted for good, and not to be made anew. */
const GONE_MS = 60_000;

/**
 * Notices, with each answer of the service, that the hub has grown (which it takes in), is another one of the same name, or
 * is gone. `tell` gets a line about each, once.
 */
export function hubChanges(
  name: string,
  hub: FollowedHub,
  watch: HubWatch,
  clock: Clock,
  tell: (line: string) => void,
): () => HubChange | undefined {
  let lookedAt = watch.askedAt;
  let toldMissing = false;
  return () => {
    const { askedAt, missing, state } = watch;
    if (missing !== undefined) {
      const { message } = missing.error;
      if (clock.now() - missing.since >= GONE_MS) {
        const error = new PipeError('E_NOT_FOUND', message, {
          cause: missing.error,
          hint: `what was received is stored; create ${name} again and run the same command, which starts at its first event`,
        });
        return { kind: 'gone', error };
      }
      if (!toldMissing) tell(`${message}; waiting ${GONE_MS / 1_000}s for it to be made anew`);
      toldMissing = true;
      return undefined;
    }
    toldMissing = false;
    if (askedAt === lookedAt) return undefined;
    lookedAt = askedAt;
    if (state.createdMs !== hub.state.createdMs) {
      tell(
        `event hub ${name} was made anew and the checkpoints are of the old one; starting at its first event`,
      );
      return { kind: 'replaced', by: state };
    }
    const added = hub.update(state);
    if (added.length > 0)
      tell(
        `event hub ${name} has ${state.partitions.length} partitions now; reading ${added.join(', ')} from the first event`,
      );
    return undefined;
  };
}
