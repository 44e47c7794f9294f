import { waitingEvents } from './processor-decode.ts';

/** The parts of a rhea-promise receiver link that matter here. */
interface ReceiverLink {
  readonly credit: number;
  addCredit(credit: number): void;
}

/**
 * Keeps the credit of a receiver link and the events that wait in the SDK's queue, while the handler is busy, together at or
 * below `limit`. Leaves a link of another shape alone.
 *
 * The SDK (6.0.4, azure-sdk-for-js issue 39452) adds credit after every page that was not full without looking at what the
 * service may still send. A hub with little traffic collects millions of credits that way, and the next burst arrives in
 * memory without any back-pressure. Nor does it know how many events one message of its queue holds (see decodeTransfers).
 */
export function limitCredit(receiver: unknown, limit: number): void {
  const link = receiver as Partial<ReceiverLink>;
  if (typeof link.addCredit !== 'function' || typeof link.credit !== 'number') return;
  const addCredit = link.addCredit.bind(link);
  link.addCredit = (credit) => {
    const used = (link as ReceiverLink).credit + waitingEvents(link);
    const wanted = Math.min(credit, limit - used);
    if (wanted > 0) addCredit(wanted);
  };
}
