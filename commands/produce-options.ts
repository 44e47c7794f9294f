import { checked, eventHubsOptions, opt, parseWhole, yesOption } from '../src/cli/options.ts';
import { parseDurationMs } from '../src/util/duration.ts';
import { parseShare } from '../src/util/share.ts';
import { parseKeyDistribution } from '../src/workload/keys.ts';
import { MAX_KEYS, MAX_SEED } from '../src/workload/limits.ts';
import { parseShape, parseStages } from '../src/workload/shape.ts';
import { parseSize } from '../src/workload/size.ts';

function parsePart(text: string): { readonly index: number; readonly count: number } {
  const match = /^(\d+)\/(\d+)$/.exec(text);
  const index = Number(match?.[1]);
  const count = Number(match?.[2]);
  if (!match || count < 1 || index >= count)
    throw new RangeError(`expected i/n with i from 0 to n-1, for example 0/4, got "${text}"`);
  return { index, count };
}

function parseIntervals(text: string): readonly string[] {
  return text.split(',').map((part) => {
    const intervalMs = parseDurationMs(part.trim());
    if (intervalMs === 0)
      throw new RangeError(`expected more than 0s between two events of a key, got "${text}"`);
    return `${intervalMs}ms`;
  });
}

function parseRunId(text: string): string {
  if (text.trim() === '') throw new RangeError('expected a name');
  return text;
}

function parseSpeed(text: string): number {
  const match = /^(\d+(?:\.\d+)?)x?$/.exec(text);
  const speed = Number(match?.[1]);
  if (!match || speed <= 0) throw new RangeError(`expected for example 10x, got "${text}"`);
  return speed;
}

function parseStartAt(text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new RangeError(`expected for example 2026-01-31T12:00:00Z, got "${text}"`);
  return ms * 1000;
}

function parseProperty(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new RangeError(`expected name=value, got "${text}"`);
  return [text.slice(0, at), text.slice(at + 1)];
}

const load = { group: 'Load:' } as const;
const keys = { group: 'Keys and routing:' } as const;
const events = { group: 'Events:' } as const;
const faults = { group: 'Misbehaviour on purpose:' } as const;
const sending = { group: 'Sending:' } as const;
const run = { group: 'Run:' } as const;

export const produceOptions = {
  rate: opt.ratePerSecond({
    flags: '-r, --rate <n/unit>',
    description: 'arrival rate, kept whatever the service answers: 500/s, 30000/m (default: 1000/s)',
    ...load,
  }),
  duration: opt.positiveDurationMs({
    flags: '-d, --duration <duration>',
    description: 'how long: 30s, 1m30s',
    ...load,
  }),
  events: opt.count({ flags: '-n, --events <n>', description: 'stop after this many events', ...load }),
  stages: opt.custom(checked(parseStages), {
    flags: '--stages <list>',
    description:
      'ramps, each from the rate before it (the first from --rate or 0): 30s:1000/s,2m:5000/s,30s:0/s',
    ...load,
  }),
  shape: opt.custom(checked(parseShape), {
    flags: '--shape <call>',
    description: 'spike(100/s,5000/s,30s,5s), sine(..), sawtooth(..), bursts(..), steps(..); join with " + "',
    ...load,
  }),
  spacing: opt.choice(['even', 'poisson'], {
    flags: '--spacing <kind>',
    description: 'even, or poisson for random arrivals at the same rate',
    ...load,
  }),
  concurrency: opt.count({
    flags: '-c, --concurrency <n>',
    description: 'batches in flight; without --rate as fast as they are accepted (closed model)',
    ...load,
  }),
  seed: opt.custom((text) => parseWhole(text, 0, MAX_SEED), {
    flags: '--seed <n>',
    description: 'seed of everything random; same seed and --run-id, same events (default: 1)',
    ...load,
  }),
  keys: opt.custom((text) => parseWhole(text, 1, MAX_KEYS), {
    flags: '--keys <n>',
    description: 'number of keys (default: 1000)',
    ...keys,
  }),
  keyDistribution: opt.custom(checked(parseKeyDistribution), {
    flags: '--key-distribution <kind>',
    description: 'uniform, sequential, zipf(1.1) or hotspot(20/80)',
    ...keys,
  }),
  keyPrefix: opt.prefix({ flags: '--key-prefix <text>', description: 'what key names start with', ...keys }),
  keyIntervals: opt.custom(parseIntervals, {
    flags: '--key-intervals <list>',
    description: 'every key sends at its own interval: 1s,5s,1m (repeats over the keys)',
    ...keys,
  }),
  partition: opt.text({
    flags: '--partition <id>',
    description: 'send everything to one partition',
    ...keys,
  }),
  roundRobin: opt.flag({
    flags: '--round-robin',
    description: 'spread over the partitions without a partition key',
    ...keys,
  }),
  size: opt.custom(checked(parseSize), {
    flags: '--size <size>',
    description: 'size of the body: 1KB, 200B..4KB, normal(1KB,200B), 70%:1KB,30%:8KB',
    ...events,
  }),
  template: opt.text({
    flags: '--template <file>',
    description: 'JSON template with variables such as {"$":"walk","start":20,"step":0.5}',
    ...events,
  }),
  file: opt.text({
    flags: '--file <path>',
    description: 'send the lines of an .ndjson or the rows of a .csv file, - for stdin (NDJSON)',
    ...events,
  }),
  replay: opt.text({
    flags: '--replay <path>',
    description: 'like --file, at the recorded times (see --time-field)',
    ...events,
  }),
  speed: opt.custom(parseSpeed, {
    flags: '--speed <n>x',
    description: 'replay this many times as fast (default: 1x)',
    ...events,
  }),
  partitionKey: opt.text({
    flags: '--partition-key <path>',
    description: 'where records of a file hold the partition key: deviceId, device.id',
    ...events,
  }),
  timeField: opt.text({
    flags: '--time-field <path>',
    description: 'where replayed records hold their time (default: createdAt)',
    ...events,
  }),
  loop: opt.flag({ flags: '--loop', description: 'start the file over when it ends', ...events }),
  simulator: opt.text({
    flags: '--simulator <file>',
    description: 'configuration of the Azure IoT telemetry simulator (JSON), "env" for its environment',
    ...events,
  }),
  contentType: opt.text({
    flags: '--content-type <type>',
    description: 'content type of the events (default: application/json)',
    ...events,
  }),
  property: opt.custom(parseProperty, {
    flags: '--property <name=value>',
    description: 'application property of every event',
    repeatable: true,
    ...events,
  }),
  duplicates: opt.custom(parseShare, {
    flags: '--duplicates <share>',
    description: 'sent twice: 1%',
    ...faults,
  }),
  late: opt.custom(parseShare, { flags: '--late <share>', description: 'with an old createdAt', ...faults }),
  lateBy: opt.durationMs({ flags: '--late-by <duration>', description: 'how old (default: 30s)', ...faults }),
  outOfOrder: opt.custom(parseShare, {
    flags: '--out-of-order <share>',
    description: 'overtaken by the next event of their key',
    ...faults,
  }),
  malformed: opt.custom(parseShare, { flags: '--malformed <share>', description: 'cut in half', ...faults }),
  oversized: opt.custom(parseShare, {
    flags: '--oversized <share>',
    description: 'larger than Event Hubs takes',
    ...faults,
  }),
  skewedKeys: opt.custom(parseShare, {
    flags: '--skewed-keys <share>',
    description: 'keys whose clock is wrong',
    ...faults,
  }),
  clockSkew: opt.durationMs({
    flags: '--clock-skew <duration>',
    description: 'by how much at most',
    ...faults,
  }),
  batchBytes: opt.bytes({
    flags: '--batch-bytes <size>',
    description: 'largest batch',
    fallback: '1MiB',
    ...sending,
  }),
  batchSize: opt.count({
    flags: '--batch-size <n>',
    description: 'most events of a batch',
    fallback: '2000',
    ...sending,
  }),
  linger: opt.durationMs({
    flags: '--linger <duration>',
    description: 'how long an event waits for others to share its batch (default: 5ms, more if busy)',
    ...sending,
  }),
  buffer: opt.bytes({
    flags: '--buffer <size>',
    description: 'memory for batches that are not acknowledged yet',
    fallback: '64MiB',
    ...sending,
  }),
  maxLateness: opt.positiveDurationMs({
    flags: '--max-lateness <duration>',
    description: 'drop and count arrivals that could not be taken up for this long',
    fallback: '10s',
    ...sending,
  }),
  giveUp: opt.durationMs({
    flags: '--give-up <duration>',
    description: 'fail batches once nothing was accepted for this long',
    fallback: '1m',
    ...sending,
  }),
  idempotent: opt.flag({
    flags: '--idempotent',
    description: 'let the service recognise batches that are sent again',
    ...sending,
  }),
  workers: opt.threads({
    flags: '--workers <n>',
    description: 'threads that share the partitions',
    fallback: '1',
    ...sending,
  }),
  shard: opt.custom(parsePart, {
    flags: '--shard <i/n>',
    description: 'send part i of n; all parts together are the whole, on as many machines',
    ...sending,
  }),
  dryRun: opt.flag({
    flags: '--dry-run',
    description: 'draw the load curve and the first events, send nothing',
    ...run,
  }),
  runId: opt.custom(parseRunId, {
    flags: '--run-id <id>',
    description: 'name of this run, carried by every event; ids of events depend on it',
    ...run,
  }),
  startAt: opt.custom(parseStartAt, {
    flags: '--start-at <time>',
    description: 'time of the first arrival, so that shards start together',
    ...run,
  }),
  ledger: opt.text({
    flags: '--ledger <file>',
    description: 'write down what was acknowledged, for `cosmos-pipe verify`',
    ...run,
  }),
  yes: yesOption,
  eventHub: eventHubsOptions.eventHub,
  eventHubsNamespace: eventHubsOptions.eventHubsNamespace,
  eventHubsConnectionString: eventHubsOptions.eventHubsConnectionString,
  webSockets: eventHubsOptions.webSockets,
};
