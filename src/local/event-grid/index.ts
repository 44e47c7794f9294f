import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../util/clock.ts';
import { seededRandom } from '../../util/random.ts';
import { createFaults, type Faults } from '../faults/faults.ts';
import type { LocalService, ServiceOptions } from '../service.ts';
import { acceptTls } from '../tls/accept-tls.ts';
import { deadLettersIn, deadLettersInMemory } from './dead-letter.ts';
import type { Deliver } from './deliver.ts';
import { Grid } from './grid.ts';
import { createHandler } from './http.ts';
import { noJournal, openJournal } from './journal.ts';
import { createMetrics } from './metrics.ts';
import { scaledClock } from './scaled-clock.ts';
import type { EventSchema } from './schema.ts';
import { backlogOf, stateOf } from './subscription.ts';
import { createTrace } from './trace.ts';
import { createWebhookClient } from './webhook.ts';

export interface EventGridOptions extends ServiceOptions {
  /** Access key of every topic, base64. Default: a fixed one, so that settings survive a restart. */
  readonly key?: string;
  /** Custom topics to create at once; `pipeline-events` (CloudEvents) by default. */
  readonly topics?: readonly { readonly name: string; readonly inputSchema: EventSchema }[];
  /** Length of a service second in real seconds; 0.001 runs a day of retries in 86 s. Default 1. */
  readonly timeScale?: number;
  /** Refuse more than 5,000 events/s or 1 MB/s on a custom topic with 429, as the service does. Default off. */
  readonly enforceLimits?: boolean;
  /** Most bytes that wait for one subscription, default 256 MB. */
  readonly maxBacklogBytes?: number;
  /** Deliveries under way per subscription, default 32. */
  readonly maxConcurrency?: number;
  readonly deliverToEventHub?: Deliver['toEventHub'];
  readonly faults?: Faults;
  readonly clock?: Clock;
  readonly seed?: number;
}

export interface EventGridService extends LocalService {
  readonly faults: Faults;
  /** Totals under the names of Azure Monitor's metrics, and the backlog of each subscription. */
  stats(): Readonly<Record<string, unknown>>;
}

/** Published on purpose, as the keys of Microsoft's emulators are. */
const DEFAULT_KEY = Buffer.from('cosmos-pipe-local-event-grid-key').toString('base64');
const DEFAULT_TOPICS = [{ name: 'pipeline-events', inputSchema: 'CloudEventSchemaV1_0' }] as const;
/** Time that deliveries under way have when the service stops. */
const GRACE_MS = 1_000;
const TRACED_EVENTS = 10_000;
const DEAD_LETTERS_IN_MEMORY = 10_000;

/** Starts Event Grid: custom topics with push delivery, namespace topics with pull delivery, and their management. */
export async function startEventGrid(options: EventGridOptions = {}): Promise<EventGridService> {
  const { host = '127.0.0.1', key = DEFAULT_KEY, dataDir } = options;
  const realClock = options.clock ?? systemClock;
  const timeScale = options.timeScale ?? 1;
  if (!(timeScale > 0))
    throw new RangeError(`the time scale of Event Grid must be above 0, not ${timeScale}`);
  const clock = scaledClock(realClock, timeScale);
  const random = seededRandom(options.seed ?? randomBytes(4).readUInt32LE());
  const faults = options.faults ?? createFaults('event-grid', { random, clock: realClock });
  const metrics = createMetrics();
  const trace = createTrace(TRACED_EVENTS);
  const webhooks = createWebhookClient(256);
  const deadLetters =
    dataDir === undefined
      ? deadLettersInMemory(DEAD_LETTERS_IN_MEMORY)
      : deadLettersIn(join(dataDir, 'dead-letters'));
  const { journal, records } =
    dataDir === undefined ? { journal: noJournal, records: [] } : openJournal(dataDir);
  let baseUrl = '';
  const grid = new Grid(
    {
      clock,
      timeScale,
      random,
      faults,
      journal,
      deadLetters,
      trace,
      metrics,
      webhooks,
      deliverToEventHub: options.deliverToEventHub,
      maxBacklogBytes: options.maxBacklogBytes ?? 256_000_000,
      maxConcurrency: options.maxConcurrency ?? 32,
      baseUrl: () => baseUrl,
    },
    records,
  );
  for (const { name, inputSchema } of options.topics ?? DEFAULT_TOPICS)
    if (!grid.topics('topics').some((topic) => topic.name === name))
      grid.putTopic('topics', name, { inputSchema });

  const enforceLimits = options.enforceLimits === true;
  const server = createServer(
    createHandler({ grid, key, clock, faults, metrics, trace, deadLetters, enforceLimits }),
  );
  server.keepAliveTimeout = 65_000;
  server.requestTimeout = 0;
  const dropUnspoken = options.certificate && acceptTls(server, options.certificate);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  baseUrl = `http://${host}:${port}`;
  const topic = (options.topics ?? DEFAULT_TOPICS)[0]?.name ?? 'pipeline-events';
  return {
    host,
    port,
    environment: {
      EVENTGRID_TOPIC_ENDPOINT: `${baseUrl}/${topic}/api/events`,
      EVENTGRID_TOPIC_KEY: key,
      EVENTGRID_NAMESPACE_ENDPOINT: baseUrl,
      EVENTGRID_NAMESPACE_KEY: key,
    },
    faults,
    stats: () => ({
      ...metrics.snapshot(),
      subscriptions: [...grid.topics('topics'), ...grid.topics('namespace/topics')].flatMap((owner) =>
        [...owner.subscriptions.values()].map((subscription) => ({
          topic: owner.name,
          name: subscription.name,
          state: stateOf(subscription, clock),
          backlog: backlogOf(subscription).events,
        })),
      ),
    }),
    async stop() {
      server.close();
      // A receiver that does not answer must not hold the end back: what it has not confirmed is delivered again.
      const grace = setTimeout(() => webhooks.close(), GRACE_MS);
      await grid.stop();
      clearTimeout(grace);
      server.closeAllConnections();
      dropUnspoken?.();
      webhooks.close();
    },
  };
}
