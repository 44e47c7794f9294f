import { openCache } from '../../cache/connection.ts';
import type { CosmosTarget, EventGridTarget, EventHubsTarget, RedisTarget } from '../../config/targets.ts';
import { openCosmos } from '../../cosmos/client.ts';
import { partitionKeyRanges, readContainer, throughputOf } from '../../cosmos/containers.ts';
import { probeTopic } from '../../eventgrid/publisher.ts';
import { eventHubsConnection } from '../../eventhubs/connection.ts';
import type { Clock } from '../../util/clock.ts';
import { formatDurationMs } from '../../util/duration.ts';
import { PipeError } from '../../util/errors.ts';
import { redact } from '../../util/secret.ts';
import { clockSkewMs, skewCheck } from './skew.ts';

/** One thing that was looked at. */
export interface Check {
  readonly name: string;
  /** A problem keeps commands from working; a warning may surprise later. */
  readonly status: 'ok' | 'warning' | 'problem' | 'skipped';
  readonly text: string;
  readonly hint?: string;
  readonly durationMs?: number;
}

export interface ExamineOptions {
  readonly clock: Clock;
  /** A service that has not answered after this time counts as unreachable. */
  readonly timeoutMs: number;
}

type Finding = Pick<Check, 'text'> & Partial<Pick<Check, 'status' | 'hint'>>;

/** Signs in to an event hub and asks for its partitions. */
export function examineEventHubs(target: EventHubsTarget, options: ExamineOptions): Promise<Check[]> {
  return examine('event hubs', options, async () => {
    const connection = await eventHubsConnection(target);
    const client = connection.consumer(target.consumerGroup, undefined, {
      retryOptions: { maxRetries: 0, timeoutInMs: options.timeoutMs },
    });
    try {
      const partitionIds = await client.getPartitionIds();
      return [
        { text: `${connection.host}/${connection.eventHub}, ${count(partitionIds.length, 'partition')}` },
      ];
    } catch (error) {
      throw connection.explain(error);
    } finally {
      // The link of a connection that never opened is not waited for.
      client.close().catch(() => undefined);
    }
  });
}

/** Signs in to an account, reads the container and its throughput, and compares the clocks. */
export function examineCosmos(target: CosmosTarget, options: ExamineOptions): Promise<Check[]> {
  return examine('cosmos db', options, async () => {
    const cosmos = await openCosmos(target, { requestTimeoutMs: options.timeoutMs });
    const where = `${new URL(target.endpoint).host} ${target.database}/${target.container}`;
    try {
      const container = await readContainer(cosmos);
      const ranges = await partitionKeyRanges(cosmos);
      const throughput = await throughputOf(cosmos).then(
        ({ kind, ruPerSecond }) =>
          kind === 'serverless' ? kind : `${kind} ${ruPerSecond.toLocaleString('en-US')} RU/s`,
        () => 'throughput unknown (reading it takes a key)',
      );
      return [
        {
          text: `${where}, key ${container.partitionKey.paths.join(' ')}, ${throughput}, ${count(ranges.length, 'partition key range')}`,
        },
      ];
    } catch (error) {
      if (!(error instanceof PipeError) || error.code !== 'E_NOT_FOUND') throw error;
      return [
        {
          status: 'warning',
          text: `${where}: the account answers, but there is no such container`,
          ...(error.hint !== undefined && { hint: error.hint }),
        },
      ];
    } finally {
      cosmos.dispose();
    }
  });
}

/** Signs in to a Redis server or cluster and sends PING. */
export function examineRedis(target: RedisTarget, options: ExamineOptions): Promise<Check[]> {
  return examine('redis', options, async () => {
    const { timeoutMs } = options;
    const cache = await openCache(target, {
      maxRetries: 0,
      connectTimeoutMs: timeoutMs,
      commandTimeoutMs: timeoutMs,
    });
    try {
      const [pong] = await cache.send([['ping']]);
      if (pong instanceof Error) throw pong;
      const version = /^(?:valkey|redis)_version:(\S+)/m.exec(await cache.client.info('server'))?.[1];
      const kind = target.cluster ? `cluster of ${count(cache.masters().length, 'master')}, ` : '';
      return [{ text: `${cache.address}, ${kind}version ${version ?? 'unknown'}` }];
    } finally {
      cache.dispose();
    }
  });
}

/** Sends a request without events to a custom topic: nothing is published. */
export function examineEventGrid(target: EventGridTarget, options: ExamineOptions): Promise<Check[]> {
  return examine('event grid', options, async () => {
    await probeTopic(target);
    return [{ text: new URL(target.endpoint).host }];
  });
}

/** Compares our clock with the `Date` header of a service: signatures depend on it. */
export function examineClock(url: string, options: ExamineOptions): Promise<Check[]> {
  return examine('clock', options, async () => [
    skewCheck(
      // A service that cannot be reached is a problem of its own, told above.
      await clockSkewMs(url, options.clock, AbortSignal.timeout(options.timeoutMs)).catch(() => undefined),
    ),
  ]);
}

async function examine(
  name: string,
  { clock, timeoutMs }: ExamineOptions,
  look: () => Promise<readonly Finding[]>,
): Promise<Check[]> {
  const startedAt = clock.now();
  const patience = new AbortController();
  try {
    const findings = await Promise.race([
      look(),
      // Three requests at most, and a connection before them.
      clock.sleep(4 * timeoutMs, patience.signal).then(() => {
        throw new PipeError('E_UNREACHABLE', `no answer within ${formatDurationMs(4 * timeoutMs)}`);
      }),
    ]);
    const durationMs = clock.now() - startedAt;
    return findings.map((finding) => ({ name, status: 'ok', ...finding, durationMs }));
  } catch (error) {
    const hint = error instanceof PipeError ? error.hint : undefined;
    return [
      {
        name,
        status: 'problem',
        text: redact(String((error as Error).message).split('\n', 1)[0] ?? ''),
        ...(hint !== undefined && { hint }),
        durationMs: clock.now() - startedAt,
      },
    ];
  } finally {
    patience.abort();
  }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
