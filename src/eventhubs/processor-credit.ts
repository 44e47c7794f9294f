/** The parts of a rhea-promise receiver link that matter here. */
interface ReceiverLink {
  readonly credit: number;
  addCredit(credit: number): void;
}

interface AmqpConnection {
  createReceiver(options: unknown): Promise<ReceiverLink>;
}

/**
 * Keeps the link credit of every receiver of `client` at or below `limit`, and with it the events that wait in the SDK's
 * queue while the handler is busy.
 *
 * The SDK (6.0.4, azure-sdk-for-js issue 39452) adds credit after every page that was not full without looking at what the
 * service may still send. A hub with little traffic collects millions of credits that way, and the next burst arrives in
 * memory without any back-pressure.
 *
 * Reaches the SDK's connection context, which is internal. Where it has another shape nothing happens and the result is
 * false; a test notices.
 */
export function limitLinkCredit(client: unknown, limit: number): boolean {
  const context = (client as { _context?: { connection?: AmqpConnection } })._context;
  const first = context?.connection;
  if (context === undefined || typeof first?.createReceiver !== 'function') return false;
  let current = limited(first, limit);
  // The context makes a new connection after a lost one, so the limit is put on whatever is assigned.
  Object.defineProperty(context, 'connection', {
    configurable: true,
    enumerable: true,
    get: () => current,
    set: (connection: AmqpConnection) => {
      current = limited(connection, limit);
    },
  });
  return true;
}

function limited(connection: AmqpConnection, limit: number): AmqpConnection {
  const createReceiver = connection.createReceiver.bind(connection);
  connection.createReceiver = async (options) => {
    const link = await createReceiver(options);
    const addCredit = link.addCredit.bind(link);
    link.addCredit = (credit) => {
      const wanted = Math.min(credit, limit - link.credit);
      if (wanted > 0) addCredit(wanted);
    };
    return link;
  };
  return connection;
}
