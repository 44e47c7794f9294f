import { parseBytes } from '../util/bytes.ts';
import {
  parseDurationMs,
  parsePositiveDurationMs,
  parsePositiveRatePerSecond,
  parseRatePerSecond,
} from '../util/duration.ts';
import { parseResourceId } from '../util/resource-id.ts';
import { Secret } from '../util/secret.ts';
import { checkThroughput } from '../util/throughput.ts';
import type { OptionSpec } from './command.ts';

/** Each has a connection and a heap of its own. */
const MAX_THREADS = 256;

type Rest<T> = Omit<OptionSpec<T>, 'parse'>;

/** Declares an option of one value type; `S` keeps the literal, so that `fallback` shows in the type of the value. */
function kind<T>(parse: (value: string) => T) {
  return <const S extends Rest<T>>(spec: S): S & OptionSpec<T> => ({ ...spec, parse });
}

/** Throws a RangeError unless `text` is a whole number from `min` to `max`; digits may be grouped with , or _. */
export function parseWhole(text: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  const number = Number(text.replaceAll(/[,_]/g, '') || Number.NaN);
  if (Number.isSafeInteger(number) && number >= min && number <= max) return number;
  const range =
    max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max.toLocaleString('en-US')}`;
  throw new RangeError(`expected a whole number ${range}, got "${text}"`);
}

/** A notation that is checked here and handed on as it was written: the workload section has the same grammar. */
export function checked(parse: (text: string) => unknown): (text: string) => string {
  return (text) => {
    parse(text);
    return text;
  };
}

/** `/deviceId`, or up to three paths of a hierarchical key: `/tenant,/deviceId`. Throws a RangeError. */
function parsePartitionKeyPaths(text: string): readonly string[] {
  const paths = text.split(',');
  if (paths.length <= 3 && paths.every((path) => /^(\/[^/\s]+)+$/.test(path))) return paths;
  throw new RangeError(`expected a path such as /deviceId, or up to 3 as /tenant,/deviceId, got "${text}"`);
}

/** Throws a RangeError unless `text` is a throughput that Cosmos DB takes for a container, or 0 for none of its own. */
function parseThroughput(text: string): number {
  const ru = parseWhole(text, 0);
  if (ru > 0) checkThroughput(ru, ', or 0 for none of its own');
  return ru;
}

export const opt = {
  text: kind<string>((value) => {
    if (value === '') throw new RangeError('expected at least 1 character, got ""');
    return value;
  }),
  /** What names begin with, which may be nothing. */
  prefix: kind<string>((value) => value),
  resourceId: kind<string>(parseResourceId),
  partitionKeyPaths: kind<readonly string[]>(parsePartitionKeyPaths),
  throughput: kind<number>(parseThroughput),
  /** Never a flag value: the flag names a file. */
  secret: <const S extends Rest<Secret>>(spec: S): S & OptionSpec<Secret> => ({
    ...spec,
    secret: true,
    parse: (value) => new Secret(value),
  }),
  durationMs: kind<number>(parseDurationMs),
  ratePerSecond: kind<number>(parseRatePerSecond),
  bytes: kind<number>(parseBytes),
  positiveBytes: kind<number>((value) => {
    const bytes = parseBytes(value);
    if (bytes === 0) throw new RangeError(`expected more than 0B, got "${value}"`);
    return bytes;
  }),
  /** `--yes`: present or not. In a file or the environment: true/false. */
  flag: kind<boolean>((value) => {
    if (value === 'true' || value === '1' || value === '') return true;
    if (value === 'false' || value === '0') return false;
    throw new RangeError(`expected true or false, got "${value}"`);
  }),
  integer: kind<number>((value) => parseWhole(value, 0)),
  /** A number of things of which there must be one. */
  count: kind<number>((value) => parseWhole(value, 1)),
  threads: kind<number>((value) => parseWhole(value, 1, MAX_THREADS)),
  positiveDurationMs: kind<number>(parsePositiveDurationMs),
  positiveRatePerSecond: kind<number>(parsePositiveRatePerSecond),
  /** 0 takes a free one. */
  port: kind<number>((value) => {
    const port = Number(value || Number.NaN);
    if (!Number.isInteger(port) || port < 0 || port > 65_535)
      throw new RangeError(`expected a port from 0 to 65535, got "${value}"`);
    return port;
  }),
  number: kind<number>((value) => {
    const number = value.trim() === '' ? Number.NaN : Number(value);
    if (!Number.isFinite(number)) throw new RangeError(`expected a number, got "${value}"`);
    return number;
  }),
  /** One of a fixed set of words. */
  choice<const C extends readonly string[], const S extends Rest<C[number]>>(
    choices: C,
    spec: S,
  ): S & OptionSpec<C[number]> {
    return {
      ...spec,
      parse(value) {
        if (choices.includes(value)) return value;
        throw new RangeError(`expected one of ${choices.join(', ')}, got "${value}"`);
      },
    };
  },
  /** Any other grammar: `parse` throws an Error whose message shows the expected form. */
  custom<T, const S extends Rest<T>>(parse: (value: string) => T, spec: S): S & OptionSpec<T> {
    return { ...spec, parse };
  },
};

/** Seed of everything random in a run. */
export const seedOption = opt.integer({
  flags: '--seed <n>',
  description: 'seed of everything random; same seed, same events',
  fallback: '1',
  group: 'Load:',
});

/** Ends a command that would follow for ever; `bare` is the wait when the flag stands alone. */
export const untilIdleOption = (group: string, bare: string) =>
  opt.durationMs({
    flags: '--until-idle [duration]',
    description: `stop when everything that is there is done and nothing came for this long (alone: ${bare})`,
    bare,
    group,
  });

export const yesOption = opt.flag({ flags: '--yes', description: 'do not ask before acting' });

/** Options that name the services; `context.targets()` reads their values. Spread the sets a command needs. */
export const eventHubsOptions = {
  eventHub: opt.text({
    flags: '--event-hub <name>',
    description: 'event hub to use',
    env: ['EVENTHUB_NAME'],
    group: 'Event Hubs:',
  }),
  consumerGroup: opt.text({
    flags: '--consumer-group <name>',
    description: 'consumer group to read with',
    fallback: '$Default',
    group: 'Event Hubs:',
  }),
  eventHubsNamespace: opt.text({
    flags: '--event-hubs-namespace <host>',
    description: 'fully qualified namespace, signed in with DefaultAzureCredential',
    env: ['EVENTHUB_FULLY_QUALIFIED_NAMESPACE'],
    group: 'Event Hubs:',
  }),
  eventHubsConnectionString: opt.secret({
    flags: '--event-hubs-connection-string-file <path>',
    description: 'file with the connection string, - for stdin',
    env: ['EVENTHUB_CONNECTION_STRING', 'EVENTHUBS_CONNECTION_STRING'],
    group: 'Event Hubs:',
  }),
  webSockets: opt.flag({
    flags: '--web-sockets',
    description: 'AMQP over WebSockets on port 443, where 5671 is closed',
    env: ['EVENTHUB_WEB_SOCKETS'],
    group: 'Event Hubs:',
  }),
};

export const cosmosOptions = {
  database: opt.resourceId({
    flags: '--database <id>',
    description: 'Cosmos DB database',
    env: ['COSMOS_DATABASE'],
    fallback: 'pipeline',
    group: 'Cosmos DB:',
  }),
  container: opt.resourceId({
    flags: '--container <id>',
    description: 'Cosmos DB container',
    env: ['COSMOS_CONTAINER'],
    fallback: 'events',
    group: 'Cosmos DB:',
  }),
  cosmosEndpoint: opt.text({
    flags: '--cosmos-endpoint <url>',
    description: 'account endpoint; without a key signed in with DefaultAzureCredential',
    env: ['COSMOS_ENDPOINT'],
    group: 'Cosmos DB:',
  }),
  cosmosKey: opt.secret({
    flags: '--cosmos-key-file <path>',
    description: 'file with the account key, - for stdin',
    env: ['COSMOS_KEY'],
    group: 'Cosmos DB:',
  }),
  cosmosConnectionString: opt.secret({
    flags: '--cosmos-connection-string-file <path>',
    description: 'file with the connection string, - for stdin',
    env: ['COSMOS_CONNECTION_STRING'],
    group: 'Cosmos DB:',
  }),
};

export const redisOptions = {
  redisUrl: opt.secret({
    flags: '--redis-url-file <path>',
    description: 'file with the redis:// or rediss:// URL, - for stdin',
    env: ['REDIS_URL'],
    group: 'Redis:',
  }),
  redisCluster: opt.flag({
    flags: '--redis-cluster',
    description: 'the URL names a node of a Redis cluster',
    group: 'Redis:',
  }),
};

export const eventGridOptions = {
  eventGridEndpoint: opt.text({
    flags: '--event-grid-endpoint <url>',
    description: 'topic endpoint; without a key signed in with DefaultAzureCredential',
    env: ['EVENTGRID_TOPIC_ENDPOINT'],
    group: 'Event Grid:',
  }),
  eventGridKey: opt.secret({
    flags: '--event-grid-key-file <path>',
    description: 'file with the topic key, - for stdin',
    env: ['EVENTGRID_TOPIC_KEY'],
    group: 'Event Grid:',
  }),
};
