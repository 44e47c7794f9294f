/** The parts of a rhea-promise receiver link that matter here. */
interface ReceiverLink {
  readonly credit: number;
  addCredit(credit: number): void;
}

/**
 * Keeps the credit of a receiver link at or below `limit`, and with it the events that wait in the SDK's queue while the
 * handler is busy. Leaves a link of another shape alone.
 *
 * The SDK (6.0.4, azure-sdk-for-js issue 39452) adds credit after every page that was not full without looking at what the
 * service may still send. A hub with little traffic collects millions of credits that way, and the next burst arrives in
 * memory without any back-pressure.
 */
export function limitCredit(receiver: unknown, limit: number): void {
  const link = receiver as Partial<ReceiverLink>;
  if (typeof link.addCredit !== 'function' || typeof link.credit !== 'number') return;
  const addCredit = link.addCredit.bind(link);
  link.addCredit = (credit) => {
    const wanted = Math.min(credit, limit - (link as ReceiverLink).credit);
    if (wanted > 0) addCredit(wanted);
  };
}
