import type { HubState } from '../../eventhubs/backlog.ts';
import { type SdkPosition, type StartFrom, sdkPosition } from '../../eventhubs/processor-position.ts';

/** The hub that a run reads, through partitions that are added to it and through its being made anew. */
export interface FollowedHub {
  /** What the service said last about it. */
  readonly state: HubState;
  /** Where a partition without a checkpoint is read from; grows when the hub does. */
  readonly positions: Readonly<Record<string, SdkPosition>>;
  startOf(partitionId: string): StartFrom;
  /** Takes in what the service says now about the same hub. Returns the partitions that were added to it. */
  update(state: HubState): readonly string[];
  /** Goes over to another hub of the same name. */
  replace(state: HubState): void;
}

const EARLIEST: StartFrom = { kind: 'earliest' };

/**
 * `from` is for the partitions that were there when the consumer group started. In those that came `late` everything came
 * after that, so they are read from their first event.
 */
export function followHub(first: HubState, from: StartFrom, late: Iterable<string>): FollowedHub {
  let state = first;
  let cameLate = new Set(late);
  const startOf = (partitionId: string): StartFrom => (cameLate.has(partitionId) ? EARLIEST : from);
  const positionsOf = ({ partitions }: HubState): Record<string, SdkPosition> =>
    Object.fromEntries(
      partitions.map((partition) => [
        partition.partitionId,
        sdkPosition(startOf(partition.partitionId), partition),
      ]),
    );
  let positions = positionsOf(first);
  return {
    get state() {
      return state;
    },
    get positions() {
      return positions;
    },
    startOf,
    update(next) {
      state = next;
      const added = next.partitions.filter(({ partitionId }) => !(partitionId in positions));
      for (const partition of added) {
        cameLate.add(partition.partitionId);
        positions[partition.partitionId] = sdkPosition(EARLIEST, partition);
      }
      return added.map(({ partitionId }) => partitionId);
    },
    replace(next) {
      state = next;
      cameLate = new Set(next.partitions.map(({ partitionId }) => partitionId));
      positions = positionsOf(next);
    },
  };
}
