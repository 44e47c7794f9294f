import type { KeyLane } from './lanes.ts';

/**
 * Gives bytes of their own to operations that were accepted before a time and still wait. A body is a part of what was read
 * from a socket at once, some 64 KB with items of all keys: operations of a slow range would hold many times what they are
 * themselves. Copying every body would cost a tenth of the CPU of `ingest`; most are gone before they are old.
 */
export function ownOldBytes(lanes: Iterable<KeyLane>, acceptedBefore: number): void {
  for (const lane of lanes)
    for (
      let pending = lane.head;
      pending !== undefined && pending.acceptedAt < acceptedBefore;
      pending = pending.next
    ) {
      const { operation } = pending;
      const { bodyStart } = operation;
      if (bodyStart === undefined || bodyStart.byteLength === bodyStart.buffer.byteLength) continue;
      // Not `Buffer.from`, whose pool would make the copies share memory again.
      operation.bodyStart = Buffer.allocUnsafeSlow(bodyStart.byteLength);
      operation.bodyStart.set(bodyStart);
    }
}
