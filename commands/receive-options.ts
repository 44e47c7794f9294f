import type { OptionValues } from '../src/cli/command.ts';
import {
  checked,
  cosmosOptions,
  eventGridOptions,
  opt,
  parseWhole,
  untilIdleOption,
} from '../src/cli/options.ts';
import { parseRuBudget } from '../src/cosmos/writer/ru-budget.ts';

const endpoint = { group: 'Webhook:' } as const;
const pull = { group: 'Pull:' } as const;
const storing = { group: 'Storing:' } as const;
const ending = { group: 'Ending:' } as const;

/** As Event Grid takes it. Throws a RangeError. */
function checkSubscription(text: string): void {
  if (!/^[A-Za-z0-9-]{3,64}$/.test(text))
    throw new RangeError(`expected 3 to 64 letters, digits and hyphens, got "${text}"`);
}

/** Flags of `receive`. */
export const options = {
  port: opt.port({
    flags: '--port <n>',
    description: 'HTTP port, 0 for a free one',
    fallback: '8090',
    ...endpoint,
  }),
  host: opt.text({
    flags: '--host <address>',
    description: 'address to bind',
    fallback: '127.0.0.1',
    ...endpoint,
  }),
  path: opt.text({
    flags: '--path <path>',
    description: 'path that takes events',
    fallback: '/events',
    ...endpoint,
  }),
  secret: opt.secret({
    flags: '--secret-file <path>',
    description: 'file with what must come as ?code= or in x-functions-key',
    env: ['COSMOS_PIPE_WEBHOOK_SECRET'],
    ...endpoint,
  }),
  allowOrigin: opt.text({
    flags: '--allow-origin <host>',
    description: 'origin that may subscribe with CloudEvents, * for any (default: eventgrid.azure.net)',
    repeatable: true,
    ...endpoint,
  }),
  subscription: opt.custom(checked(checkSubscription), {
    flags: '--subscription <name>',
    description: 'event subscription that is made on a local topic',
    fallback: 'receive',
    ...endpoint,
  }),
  subscribe: opt.flag({
    flags: '--no-subscribe',
    description: 'do not subscribe to the topic of a local stack',
    ...endpoint,
  }),
  maxEventsPerBatch: opt.custom((text) => parseWhole(text, 1, 5_000), {
    flags: '--max-events-per-batch <n>',
    description: 'most events of a delivery, of the subscription on a local topic',
    fallback: '100',
    ...endpoint,
  }),
  pull: opt.text({
    flags: '--pull <topic/subscription>',
    description: 'take events from a queue subscription of a namespace instead',
    ...pull,
  }),
  namespaceEndpoint: opt.text({
    flags: '--namespace-endpoint <url>',
    description: 'namespace endpoint; without a key signed in with DefaultAzureCredential',
    env: ['EVENTGRID_NAMESPACE_ENDPOINT'],
    ...pull,
  }),
  namespaceKey: opt.secret({
    flags: '--namespace-key-file <path>',
    description: 'file with an access key of the namespace, - for stdin',
    env: ['EVENTGRID_NAMESPACE_KEY'],
    ...pull,
  }),
  batchSize: opt.integer({
    flags: '--batch-size <n>',
    description: 'events per request, 1 to 100',
    fallback: '100',
    ...pull,
  }),
  wait: opt.durationMs({
    flags: '--wait <duration>',
    description: 'how long a request waits for events, 10s to 120s',
    fallback: '60s',
    ...pull,
  }),
  concurrency: opt.count({
    flags: '-c, --concurrency <n>',
    description: 'requests side by side',
    fallback: '2',
    ...pull,
  }),
  lockDuration: opt.positiveDurationMs({
    flags: '--lock-duration <duration>',
    description: 'lock duration of the subscription; locks are renewed at half of it',
    fallback: '60s',
    ...pull,
  }),
  id: opt.choice(['hash', 'event'], {
    flags: '--id <how>',
    description: 'item id: hash of source and event id, or the event id itself',
    fallback: 'hash',
    ...storing,
  }),
  partitionKeyFrom: opt.text({
    flags: '--partition-key-from <template>',
    description:
      'partition key, e.g. {source-short}:{subject/2} or {data.tenant}; once per path (default: {subject})',
    repeatable: true,
    ...storing,
  }),
  explainPk: opt.integer({
    flags: '--explain-pk <n>',
    description: 'show how the first n events spread over partition keys',
    ...storing,
  }),
  write: opt.choice(['create', 'upsert'], {
    flags: '--write <mode>',
    description: 'create keeps what is there and counts a duplicate; upsert overwrites',
    fallback: 'create',
    ...storing,
  }),
  ttl: opt.positiveDurationMs({
    flags: '--ttl <duration>',
    description: 'items expire after this time',
    ...storing,
  }),
  deadLetter: opt.text({
    flags: '--dead-letter <file>',
    description: 'events that can never be stored',
    fallback: '.cosmos-pipe/received-dead-letter.ndjson',
    ...storing,
  }),
  maxRu: opt.custom(parseRuBudget, {
    flags: '--max-ru <n|share>',
    description: 'stay within 4000 RU/s, or 40% of what is provisioned',
    ...storing,
  }),
  create: opt.flag({
    flags: '--create',
    description: 'create database and container when they are missing (always done on a local stack)',
    ...storing,
  }),
  partitionKey: opt.partitionKeyPaths({
    flags: '--partition-key <path>',
    description: 'partition key path of a created container, several with commas',
    fallback: '/pk',
    ...storing,
  }),
  throughput: opt.throughput({
    flags: '--throughput <ru>',
    description: 'throughput of a created container',
    fallback: '10000',
    ...storing,
  }),
  num: opt.count({
    flags: '-n, --num <count>',
    description: 'end when this many different events are stored',
    ...ending,
  }),
  untilIdle: untilIdleOption(ending.group, '1s'),
  ...cosmosOptions,
  container: opt.resourceId({
    flags: '--container <id>',
    description: 'Cosmos DB container',
    env: ['COSMOS_CONTAINER'],
    fallback: 'grid-events',
    group: 'Cosmos DB:',
  }),
  ...eventGridOptions,
};

export type Values = OptionValues<typeof options>;
