interface Emitter {
  on(event: string, listener: () => void): unknown;
}

/** A send that waits for its answer, as rhea-promise keeps it. */
interface PendingSend {
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** The parts of rhea-promise's AwaitableSender that matter here. */
interface SenderLink extends Emitter {
  readonly deliveryDispositionMap: Map<number, PendingSend>;
  readonly session: Emitter;
  /** Why the other side ended the link. */
  readonly error?: { readonly condition?: string; readonly description?: string } | undefined;
}

interface AmqpConnection extends Partial<Emitter> {
  createAwaitableSender(options: unknown): Promise<SenderLink>;
}

/** Travels in `info`, which the SDK carries over into its own error. */
const LINK_ENDED = { linkEnded: true };
const ENDINGS = ['sender_error', 'sender_close'] as const;
const SESSION_ENDINGS = ['session_error', 'session_close'] as const;
const CLOSED = { condition: 'amqp:link:detach-forced', description: 'the link was closed' };
const DISCONNECTED = { condition: 'amqp:connection:forced', description: 'the connection was lost' };

/**
 * Ends the sends that wait on a link as soon as the link or its connection has ended. The SDK (6.0.4) takes the reporting of
 * errors over from rhea-promise and does nothing with them, so a send whose answer cannot come any more waits for its time
 * limit to pass: 15 s in which nothing of that key is sent.
 *
 * Reaches the SDK's connection context, which is internal. Where it has another shape nothing happens and the result is
 * false; a test notices.
 */
export function endSendsWithLinks(client: unknown): boolean {
  const context = (client as { _context?: { connection?: AmqpConnection } })._context;
  const first = context?.connection;
  if (context === undefined || typeof first?.createAwaitableSender !== 'function') return false;
  let current = watched(first);
  // The context makes a new connection after a lost one, so whatever is assigned is watched.
  Object.defineProperty(context, 'connection', {
    configurable: true,
    enumerable: true,
    get: () => current,
    set: (connection: AmqpConnection) => {
      current = watched(connection);
    },
  });
  return true;
}

/** Whether an error of the SDK says that the link ended while the answer was waited for, so that nobody knows the outcome. */
export function endedWithLink(error: Error): boolean {
  return 'info' in error && error.info === LINK_ENDED;
}

function watched(connection: AmqpConnection): AmqpConnection {
  const links = new Set<SenderLink>();
  const createAwaitableSender = connection.createAwaitableSender.bind(connection);
  connection.createAwaitableSender = async (options) => {
    const link = await createAwaitableSender(options);
    links.add(link);
    const ended = () => {
      if (!links.delete(link)) return;
      endSends(link, link.error ?? CLOSED);
    };
    for (const event of ENDINGS) link.on(event, ended);
    for (const event of SESSION_ENDINGS) link.session.on(event, ended);
    return link;
  };
  connection.on?.('disconnected', () => {
    for (const link of links) endSends(link, DISCONNECTED);
    links.clear();
  });
  return connection;
}

/** An answer in the same read as the end of the link is handed out first: rhea does that when it has taken the whole read. */
function endSends({ deliveryDispositionMap }: SenderLink, reason: NonNullable<SenderLink['error']>): void {
  setImmediate(() => {
    const { condition, description } = reason;
    // The shape in which rhea-promise reports a failed send; the SDK translates the inner error.
    const innerError = { condition, description, info: LINK_ENDED };
    for (const [id, { reject, timer }] of [...deliveryDispositionMap]) {
      clearTimeout(timer);
      deliveryDispositionMap.delete(id);
      reject(Object.assign(new Error('the link ended'), { innerError }));
    }
  });
}
