/** The parts of rhea-promise's connection that matter here. */
interface AmqpConnection {
  createReceiver(options: unknown): Promise<unknown>;
  on?(event: 'disconnected', listener: () => void): void;
  /** rhea's own connection below it. */
  readonly _connection?: { readonly socket?: { destroy?(): void } };
}

/** What happens to the links and connections of one client of the SDK. */
export interface LinkListener {
  /** A receiver link is open; called before its first credit, so before its first event. */
  opened?(link: unknown, partitionId: string): void;
  /** An open link ended, whoever ended it. */
  ended?(link: unknown, partitionId: string, ending: LinkEnding): void;
  /** The connection is gone, and with it every link. Also called when it could not be made. */
  disconnected?(): void;
}

export interface LinkEnding {
  /** Somebody else attached to the partition with the same or a higher owner level. */
  readonly stolen: boolean;
}

const ENDINGS = ['receiver_error', 'receiver_close', 'session_error', 'session_close'] as const;
/** AMQP condition of Event Hubs for a receiver that another one has replaced. */
const STOLEN = 'amqp:link:stolen';

/**
 * Listens to every receiver link and connection of `client`. The SDK (6.0.4) tells its caller too little: a connection that
 * is lost while it waits for events is not reported until that wait is over (a minute), and a link that is taken away while
 * the handler is busy is not reported at all.
 *
 * Reaches the SDK's connection context, which is internal. Where it has another shape nothing happens and the result is
 * false; a test notices.
 */
export function listenToLinks(client: unknown, listener: LinkListener): boolean {
  const context = (client as { _context?: { connection?: AmqpConnection } })._context;
  const first = context?.connection;
  if (context === undefined || typeof first?.createReceiver !== 'function') return false;
  let current = listening(first, listener);
  // The context makes a new connection after a lost one, so whatever is assigned is listened to.
  Object.defineProperty(context, 'connection', {
    configurable: true,
    enumerable: true,
    get: () => current,
    set: (connection: AmqpConnection) => {
      current = listening(connection, listener);
    },
  });
  return true;
}

function listening(connection: AmqpConnection, listener: LinkListener): AmqpConnection {
  const createReceiver = connection.createReceiver.bind(connection);
  connection.createReceiver = async (options) => {
    const link = await createReceiver(options);
    const partitionId = partitionOf(options);
    listener.opened?.(link, partitionId);
    if (listener.ended !== undefined)
      onceEnded(link, (ending) => listener.ended?.(link, partitionId, ending));
    return link;
  };
  if (listener.disconnected !== undefined) connection.on?.('disconnected', listener.disconnected);
  return connection;
}

/** Source addresses are `<hub>/ConsumerGroups/<group>/Partitions/<id>`. */
function partitionOf(options: unknown): string {
  const { source } = (options ?? {}) as { source?: { address?: unknown } };
  return String(source?.address ?? '').replace(/^.*\//, '');
}

function onceEnded(link: unknown, ended: (ending: LinkEnding) => void): void {
  const { on } = link as { on?: (event: string, listener: (context: unknown) => void) => void };
  if (typeof on !== 'function') return;
  let told = false;
  for (const event of ENDINGS)
    on.call(link, event, (context) => {
      if (told) return;
      told = true;
      ended({ stolen: conditionOf(link) === STOLEN || conditionOf(context) === STOLEN });
    });
}

function conditionOf(holder: unknown): unknown {
  const { error, receiver } = (holder ?? {}) as {
    error?: { condition?: unknown };
    receiver?: { error?: { condition?: unknown } };
  };
  return error?.condition ?? receiver?.error?.condition;
}

/** Closes the socket of a client at once. For one that does not close in order, because the other side does not answer. */
export function destroySocket(client: unknown): void {
  const { _context } = client as { _context?: { connection?: AmqpConnection } };
  _context?.connection?._connection?.socket?.destroy?.();
}
