/** The parts of rhea-promise's connection that matter here. */
interface AmqpConnection {
  createReceiver(options: unknown): Promise<unknown>;
}

/**
 * Shows every receiver link that `client` opens to `adapt`, before the first credit, so before the first event.
 *
 * Reaches the SDK's connection context, which is internal. Where it has another shape nothing happens and the result is
 * false; a test notices.
 */
export function onEveryReceiver(client: unknown, adapt: (link: unknown) => void): boolean {
  const context = (client as { _context?: { connection?: AmqpConnection } })._context;
  const first = context?.connection;
  if (context === undefined || typeof first?.createReceiver !== 'function') return false;
  let current = adapting(first, adapt);
  // The context makes a new connection after a lost one, so whatever is assigned is adapted.
  Object.defineProperty(context, 'connection', {
    configurable: true,
    enumerable: true,
    get: () => current,
    set: (connection: AmqpConnection) => {
      current = adapting(connection, adapt);
    },
  });
  return true;
}

function adapting(connection: AmqpConnection, adapt: (link: unknown) => void): AmqpConnection {
  const createReceiver = connection.createReceiver.bind(connection);
  connection.createReceiver = async (options) => {
    const link = await createReceiver(options);
    adapt(link);
    return link;
  };
  return connection;
}
