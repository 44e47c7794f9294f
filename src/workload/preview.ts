import { FAULT_NAMES } from './faults.ts';
import type { EventStream } from './stream.ts';

export interface EventPreview {
  readonly offsetMs: number;
  readonly partitionKey: string;
  readonly sequence: number;
  readonly fault: string;
  readonly sizeBytes: number;
  readonly body: string;
}

/** The first events of a stream, rendered. */
export async function previewEvents(stream: EventStream, count: number): Promise<EventPreview[]> {
  const events: EventPreview[] = [];
  while (events.length < count) {
    const state = stream.advance();
    if (state === 'end') break;
    if (state === 'wait') {
      await stream.refill();
      continue;
    }
    const buffer = Buffer.allocUnsafe(stream.maxBodyBytes + 16);
    const end = stream.render(buffer, 0);
    events.push({
      offsetMs: stream.offsetMs,
      partitionKey: stream.partitionKeys.name(stream.keyIndex),
      sequence: stream.sequence,
      fault: FAULT_NAMES[stream.fault],
      sizeBytes: end,
      body: buffer.toString('utf8', 0, end),
    });
  }
  return events;
}
