import type { OptionValues } from '../src/cli/command.ts';
import {
  cosmosOptions,
  eventGridOptions,
  eventHubsOptions,
  opt,
  redisOptions,
  untilIdleOption,
  yesOption,
} from '../src/cli/options.ts';
import { parseFeedFilter } from '../src/pipeline/feed/filter.ts';
import { parseFeedFormat } from '../src/pipeline/feed/format.ts';
import { FEED_SINKS } from '../src/pipeline/feed/sinks.ts';
import { parseFeedStart } from '../src/pipeline/feed/start.ts';

const reading = { group: 'Reading:' } as const;
const output = { group: 'Output:' } as const;
const sharing = { group: 'Sharing and resuming:' } as const;

/** Flags of `tail-feed`. */
export const options = {
  from: opt.custom(checkedStart, {
    flags: '--from <start>',
    description: 'beginning, now, -10m, or a time such as 2026-11-22T10:00Z',
    fallback: 'now',
    ...reading,
  }),
  mode: opt.choice(['latest', 'all'], {
    flags: '--mode <name>',
    description: 'latest version of each item, or all versions and deletes (needs a change feed policy)',
    fallback: 'latest',
    ...reading,
  }),
  num: opt.count({ flags: '-n, --num <count>', description: 'stop after this many changes', ...reading }),
  untilIdle: untilIdleOption(reading.group, '0s'),
  filter: opt.custom((text) => parseFeedFilter(text), {
    flags: '--filter <expression>',
    description: `only changes for which this holds, e.g. 'type == "TEMP" && value > 10'`,
    ...reading,
  }),
  pageSize: opt.count({
    flags: '--page-size <n>',
    description: 'most changes per request',
    fallback: '1000',
    ...reading,
  }),
  poll: opt.durationMs({
    flags: '--poll <duration>',
    description: 'longest wait between requests of an idle range: latency after silence, about 1 RU each',
    fallback: '500ms',
    ...reading,
  }),
  to: opt.choice(FEED_SINKS, {
    flags: '--to <sink>',
    description: `${FEED_SINKS.join(', ')}; repeat it for several at once (default: stdout)`,
    repeatable: true,
    ...output,
  }),
  format: opt.custom((text) => parseFeedFormat(text), {
    flags: '-f, --format <tokens>',
    description: '%r range, %l lsn, %k key, %i id, %o operation, %t time, %v item, %{path} field',
    ...output,
  }),
  fields: opt.text({
    flags: '--fields <path,path>',
    description: 'send these fields of the item only',
    ...output,
  }),
  webhookUrl: opt.secret({
    flags: '--webhook-url-file <path>',
    description: 'file with the address for --to webhook: POST of a JSON array, any 2xx accepts it',
    env: ['COSMOS_PIPE_WEBHOOK_URL'],
    ...output,
  }),
  exec: opt.text({
    flags: '--exec <command>',
    description: 'shell command for --to exec: NDJSON on stdin, exit code 0 accepts it',
    ...output,
  }),
  keyPrefix: opt.prefix({
    flags: '--key-prefix <text>',
    description: 'keys of --to redis are <prefix><partition key>:<id>',
    fallback: 'cp:',
    ...output,
  }),
  ttl: opt.positiveDurationMs({
    flags: '--ttl <duration>',
    description: 'life of the entries of --to redis (default: they stay)',
    ...output,
  }),
  attempts: opt.count({
    flags: '--attempts <n>',
    description: 'how often a sink is tried with the same changes',
    fallback: '5',
    ...output,
  }),
  deadLetter: opt.text({
    flags: '--dead-letter <file>',
    description: 'put changes that no attempt could deliver there and go on (default: stop)',
    ...output,
  }),
  resume: opt.text({
    flags: '--resume <file>',
    description: 'go on from the position in this file, and keep it there',
    ...sharing,
  }),
  processor: opt.text({
    flags: '--processor <name>',
    description: 'share the ranges with every process of this name; positions are kept in leases',
    ...sharing,
  }),
  leaseContainer: opt.resourceId({
    flags: '--lease-container <id>',
    description: 'container of the leases, in the same database',
    fallback: 'leases',
    ...sharing,
  }),
  leaseExpiry: opt.positiveDurationMs({
    flags: '--lease-expiry <duration>',
    description: 'take over the ranges of a process that was silent for this long',
    fallback: '30s',
    ...sharing,
  }),
  yes: { ...yesOption, description: 'create a missing lease container without asking', ...sharing },
  ...cosmosOptions,
  ...eventHubsOptions,
  ...redisOptions,
  ...eventGridOptions,
};

export type Values = OptionValues<typeof options>;

/** Kept as text, because `-10m` means ten minutes before the command runs. */
function checkedStart(text: string): string {
  parseFeedStart(text, 0);
  return text;
}
