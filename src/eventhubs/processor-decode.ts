import type { ReceivedEventData } from '@azure/event-hubs';
import { MessageReader } from './message-reader.ts';
import { takeTransfers } from './processor-frames.ts';
import { type ReceivedEvent, toReceivedEvent } from './received-event.ts';

/**
 * The hot path of receiving: reads the few parts of a message that `ingest` needs straight from the bytes of a transfer.
 *
 * The SDK's way (rhea 3: a reader that makes an object per value, then four representations of each message) costs several
 * times the CPU. Links, sessions, credit and the order of events stay the SDK's; events of the ordinary shape that come in
 * one read travel through its queue as one message. Every other message takes the SDK's way, as all do when the SDK has
 * changed inside (test/eventhubs/processor-decode.test.ts notices).
 */

/** Events of one read, in the place of the body of a message. */
class DecodedPage {
  readonly events: ReceivedEvent[];
  readonly link: DecodingLink;

  constructor(events: ReceivedEvent[], link: DecodingLink) {
    this.events = events;
    this.link = link;
  }
}

interface DecodingLink {
  /** Events that wait in the SDK's queue. */
  waiting: number;
}

const decodingLinks = new WeakMap<object, DecodingLink>();

interface MessageEmitter {
  emit(event: 'message', context: { readonly message: unknown }): boolean;
}

/** Makes a receiver link of the SDK decode its transfers here. False, and nothing done, when it has another shape. */
export function decodeTransfers(receiver: unknown): boolean {
  const emitter = receiver as MessageEmitter;
  if (typeof emitter.emit !== 'function') return false;
  const link: DecodingLink = { waiting: 0 };
  const reader = new MessageReader();
  let events: ReceivedEvent[] = [];
  const hooked = takeTransfers(receiver, {
    take(bytes, start, end) {
      const event = reader.read(bytes, start, end);
      if (event === undefined) return false;
      events.push(event);
      return true;
    },
    flush() {
      const last = events.at(-1);
      if (last === undefined) return;
      const page = new DecodedPage(events, link);
      link.waiting += events.length;
      events = [];
      // The SDK remembers the sequence number for reconnects and passes the body through.
      emitter.emit('message', {
        message: { message_annotations: { 'x-opt-sequence-number': last.sequenceNumber }, body: page },
      });
    },
  });
  if (hooked) decodingLinks.set(receiver as object, link);
  return hooked;
}

/** Events of a link that were decoded here and wait in the SDK's queue, where they count as fewer. */
export const waitingEvents = (receiver: object): number => decodingLinks.get(receiver)?.waiting ?? 0;

/** The events in what the SDK delivers, whichever way they took. */
export function receivedEvents(delivered: readonly ReceivedEventData[]): ReceivedEvent[] {
  const events: ReceivedEvent[] = [];
  for (const one of delivered) {
    const { body } = one;
    if (body instanceof DecodedPage) {
      body.link.waiting -= body.events.length;
      for (const event of body.events) events.push(event);
    } else events.push(toReceivedEvent(one));
  }
  return events;
}
