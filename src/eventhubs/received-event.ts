import type { ReceivedEventData } from '@azure/event-hubs';

/** An event as it was received; the body is not parsed. */
export interface ReceivedEvent {
  readonly body: unknown;
  readonly sequenceNumber: number;
  readonly offset: string;
  /** When Event Hubs accepted it, milliseconds since the Unix epoch. */
  readonly enqueuedMs: number;
  readonly partitionKey: string | undefined;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** For events without application properties. */
export const NO_PROPERTIES: Readonly<Record<string, unknown>> = {};

/** The same event in our terms, from the SDK's public ones. */
export function toReceivedEvent(event: ReceivedEventData): ReceivedEvent {
  return {
    body: event.body,
    sequenceNumber: event.sequenceNumber,
    offset: String(event.offset),
    enqueuedMs: event.enqueuedTimeUtc.getTime(),
    partitionKey: event.partitionKey ?? undefined,
    properties: event.properties ?? NO_PROPERTIES,
  };
}
