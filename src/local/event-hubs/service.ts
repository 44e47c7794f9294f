import { randomUUID } from 'node:crypto';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { systemClock } from '../../util/clock.ts';
import { PipeError } from '../../util/errors.ts';
import { seededRandom } from '../../util/random.ts';
import { type AmqpApplication, SERVICE_LIMITS } from '../amqp/application.ts';
import { Connection } from '../amqp/connection.ts';
import { createFaults } from '../faults/faults.ts';
import { acceptTls, peekFirstByte, transportOf } from '../tls/accept-tls.ts';
import { appendEvent } from './append.ts';
import { Claims } from './authorization.ts';
import { type Broker, type Peer, wallMs } from './broker.ts';
import { conditions } from './conditions.ts';
import { Namespace } from './namespace.ts';
import type { EventHubsOptions, EventHubsService, EventHubsStats, HubDefinition } from './options.ts';
import { Publisher } from './publisher.ts';
import { Receiver } from './receiver.ts';
import { ReplyLinks } from './replies.ts';
import { attachRequests, isRequestNode } from './requests.ts';
import { SegmentCache } from './segment-cache.ts';
import { ThroughputLimit } from './throughput.ts';
import { webSocketFront } from './web-socket.ts';

/** `A` of the protocol header (AMQP 1.0 part 2, 2.2). */
const AMQP_HEADER = 0x41;
const MIB = 1024 * 1024;
const DAY_MS = 86_400_000;
const DEFAULT_HUB: HubDefinition = { name: 'telemetry', partitionCount: 4 };
/** A publisher that sends nothing for this long is detached. */
const PUBLISHER_IDLE_MS = 30 * 60_000;
const SWEEP_MS = 60_000;

/**
 * Starts an embedded Event Hubs namespace that speaks AMQP 1.0.
 *
 * @throws PipeError E_PORT_IN_USE, or E_CONFIG when a hub contradicts what the data folder holds.
 */
export async function startEventHubs(options: EventHubsOptions = {}): Promise<EventHubsService> {
  const { hubs = [DEFAULT_HUB], host = '127.0.0.1' } = options;
  const broker = createBroker(options);
  for (const hub of hubs) broker.namespace.ensure(hub);
  const connections = new Set<Connection>();
  const application = applicationOf(broker, connections);
  const limits = { ...SERVICE_LIMITS, ...(options.maxFrameSize && { maxFrameSize: options.maxFrameSize }) };
  // Sockets on which no AMQP was spoken yet.
  const silent = new Set<Socket>();
  const connect = (stream: Duplex, socket: Socket): void => {
    silent.delete(socket);
    const abort = (): void => {
      transportOf(socket).resetAndDestroy();
    };
    connections.add(new Connection({ socket: stream, abort, application, limits, clock: broker.clock }));
  };
  const openWebSocket = webSocketFront(connect);
  const server = createServer({ noDelay: true }, (socket) => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
    peekFirstByte(socket, (byte) => (byte === AMQP_HEADER ? connect(socket, socket) : openWebSocket(socket)));
  });
  const dropUnspoken = options.certificate && acceptTls(server, options.certificate);
  const port = await listen(server, host, options.port ?? 0);
  const stopping = new AbortController();
  sweep(broker, stopping.signal);
  const unsubscribe = strikeByTime(broker, connections);

  const { key, keyName } = broker.policy;
  const authority = `${host === '127.0.0.1' ? 'localhost' : host}:${port}`;
  const connectionString = `Endpoint=sb://${authority};SharedAccessKeyName=${keyName};SharedAccessKey=${key};UseDevelopmentEmulator=true;`;
  return {
    host,
    port,
    faults: broker.faults,
    connectionString,
    environment: {
      EVENTHUB_CONNECTION_STRING: connectionString,
      EVENTHUB_NAME: (hubs[0] ?? DEFAULT_HUB).name,
    },
    createHub: (hub) => {
      broker.namespace.create(hub);
    },
    growHub: (name, partitionCount) => broker.namespace.grow(name, partitionCount),
    deleteHub: (name) => broker.namespace.delete(name),
    append: (hub, event) => appendEvent(broker, hub, event),
    stats: () => statsOf(broker, connections.size),
    async stop() {
      if (stopping.signal.aborted) return;
      stopping.abort();
      unsubscribe();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      dropUnspoken?.();
      for (const socket of silent) socket.destroy();
      for (const connection of connections)
        connection.close({ condition: 'amqp:connection:forced', description: 'The service is stopping.' });
      await closed;
      broker.namespace.close();
    },
  };
}

function createBroker(options: EventHubsOptions): Broker {
  const { clock = systemClock, dataDir, sharedAccessKey, sharedAccessKeyName } = options;
  const peers = new WeakMap<Connection, Peer>();
  const nowMs = (): number => wallMs(clock);
  return {
    clock,
    faults: options.faults ?? createFaults('event-hubs', { clock, random: seededRandom(1) }),
    policy: {
      keyName: sharedAccessKeyName ?? 'RootManageSharedAccessKey',
      key: sharedAccessKey ?? 'SAS_KEY_VALUE',
    },
    throughput: options.throughputUnits ? new ThroughputLimit(options.throughputUnits, nowMs()) : undefined,
    counters: { eventsIn: 0, eventsOut: 0, throttled: 0 },
    dirty: new Set(),
    publishers: new Set(),
    namespace: new Namespace({
      autoCreate: options.autoCreate ?? true,
      dataDir,
      nowMs,
      log: {
        maxBytes: options.maxBytesPerPartition ?? (dataDir === undefined ? 256 : 1024) * MIB,
        retentionMs: options.retentionMs ?? 7 * DAY_MS,
        cache: new SegmentCache(options.cacheBytes ?? 64 * MIB),
        sync: options.sync ?? false,
      },
    }),
    peer(connection) {
      const known = peers.get(connection) ?? { claims: new Claims(), replies: new ReplyLinks() };
      peers.set(connection, known);
      return known;
    },
  };
}

function applicationOf(broker: Broker, connections: Set<Connection>): AmqpApplication {
  return {
    containerId: `${randomUUID().replaceAll('-', '')}_G1`,
    saslMechanisms: ['MSSBCBS', 'PLAIN', 'ANONYMOUS', 'EXTERNAL'],
    authenticate: (_, username, password) =>
      username === broker.policy.keyName && password === broker.policy.key,
    onIncomingLink(link) {
      if (isRequestNode(link.attach.targetAddress ?? '')) attachRequests(broker, link);
      else Publisher.attach(broker, link);
    },
    onOutgoingLink(link) {
      if (isRequestNode(link.attach.sourceAddress ?? ''))
        broker.peer(link.session.connection).replies.attach(link);
      else Receiver.attach(broker, link);
    },
    commit() {
      if (broker.dirty.size === 0) return;
      const failures: unknown[] = [];
      for (const log of broker.dirty) {
        try {
          log.commit();
        } catch (cause) {
          failures.push(cause);
        }
      }
      broker.dirty.clear();
      if (failures.length > 0) throw failures[0];
    },
    onClosed: (connection) => connections.delete(connection),
  };
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(
        cause.code === 'EADDRINUSE'
          ? new PipeError('E_PORT_IN_USE', `port ${port} for Event Hubs is in use`, {
              hint: 'stop what listens there, or choose another port; 0 takes a free one',
              cause,
            })
          : cause,
      );
    });
    server.listen(port, host, resolve);
  });
  return (server.address() as AddressInfo).port;
}

/** Idle publishers and expired events are looked for once a minute. */
function sweep(broker: Broker, signal: AbortSignal): void {
  broker.clock.sleep(SWEEP_MS, signal).then(
    () => {
      for (const publisher of [...broker.publishers]) publisher.detachIfIdle(PUBLISHER_IDLE_MS);
      for (const hub of broker.namespace.hubs)
        for (const { log } of hub.partitions) log.expire(wallMs(broker.clock));
      sweep(broker, signal);
    },
    () => {},
  );
}

/** Faults with a time and no operation: all connections are reset, all links detached. */
function strikeByTime(broker: Broker, connections: ReadonlySet<Connection>): () => void {
  const ends = [
    broker.faults.onDue('reset', () => {
      for (const connection of [...connections]) connection.reset();
    }),
    broker.faults.onDue('detach', () => {
      for (const publisher of [...broker.publishers]) publisher.detach(conditions.injectedDetach());
      for (const { partitions } of broker.namespace.hubs)
        for (const { receivers } of partitions)
          for (const group of [...receivers.values()])
            for (const receiver of [...group]) receiver.detach(conditions.injectedDetach());
    }),
  ];
  return () => {
    for (const end of ends) end();
  };
}

function statsOf(broker: Broker, connections: number): EventHubsStats {
  return {
    connections,
    ...broker.counters,
    hubs: broker.namespace.hubs.map((hub) => ({
      name: hub.name,
      consumerGroups: [...hub.consumerGroups.values()],
      receivers: hub.receiverCount,
      partitions: hub.partitions.map(({ id, log }) => ({
        id,
        firstSequenceNumber: log.firstSequence,
        lastSequenceNumber: log.nextSequence - 1,
        sizeBytes: log.sizeBytes,
      })),
    })),
  };
}
