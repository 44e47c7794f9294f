import type { OptionValues } from '../src/cli/command.ts';
import {
  checked,
  cosmosOptions,
  eventGridOptions,
  opt,
  seedOption,
  untilIdleOption,
} from '../src/cli/options.ts';
import { parseFeedFilter } from '../src/pipeline/feed/filter.ts';
import { parseFeedStart } from '../src/pipeline/feed/start.ts';
import { parseSize } from '../src/workload/size.ts';

const events = { group: 'Events:' } as const;
const feed = { group: 'From the change feed:' } as const;
const pace = { group: 'Pace:' } as const;
const generated = { group: 'Generated:' } as const;

/** Flags of `publish`. */
export const options = {
  schema: opt.choice(['cloudevents', 'eventgrid'], {
    flags: '--schema <name>',
    description: 'input schema of the topic: cloudevents or eventgrid',
    fallback: 'cloudevents',
    ...events,
  }),
  type: opt.text({
    flags: '--type <name>',
    description: 'type of events that are made of plain JSON lines, and of generated ones',
    fallback: 'CosmosPipe.Event',
    ...events,
  }),
  source: opt.text({
    flags: '--source <uri>',
    description: 'source of events that bring none',
    fallback: '/cosmos-pipe',
    ...events,
  }),
  subject: opt.text({
    flags: '--subject <template>',
    description: 'subject of events that are made of plain JSON lines, e.g. /devices/{data.deviceId}',
    fallback: '/lines',
    ...events,
  }),
  includeType: opt.text({
    flags: '--include-type <type>',
    description: 'publish events of this type only',
    repeatable: true,
    ...events,
  }),
  num: opt.count({
    flags: '-n, --num <count>',
    description: 'stop after this many events; `generate` needs it',
    ...events,
  }),
  payload: opt.choice(['keys', 'full'], {
    flags: '--payload <what>',
    description: 'keys of the item, or the item too (with --fields a part of it)',
    fallback: 'keys',
    ...feed,
  }),
  fields: opt.text({
    flags: '--fields <path,path>',
    description: 'these fields of the item only; implies --payload full',
    ...feed,
  }),
  from: opt.custom(checkedStart, {
    flags: '--from <start>',
    description: 'beginning, now, -10m, or a time such as 2026-11-22T10:00Z',
    fallback: 'now',
    ...feed,
  }),
  resume: opt.text({
    flags: '--resume <file>',
    description: 'go on from the position in this file, and keep it there; moved after Event Grid accepted',
    ...feed,
  }),
  untilIdle: untilIdleOption(feed.group, '0s'),
  filter: opt.custom((text) => parseFeedFilter(text), {
    flags: '--filter <expression>',
    description: `only changes for which this holds, e.g. 'type == "TEMP" && value > 10'`,
    ...feed,
  }),
  mode: opt.choice(['latest', 'all'], {
    flags: '--mode <name>',
    description: 'latest version of each item, or all versions and deletes (needs a change feed policy)',
    fallback: 'latest',
    ...feed,
  }),
  poll: opt.durationMs({
    flags: '--poll <duration>',
    description: 'longest wait between requests of an idle range',
    fallback: '500ms',
    ...feed,
  }),
  maxEvent: opt.bytes({
    flags: '--max-event <size>',
    description: 'items that make a larger event are published with their keys only',
    fallback: '1MB',
    ...feed,
  }),
  allowLoops: opt.flag({
    flags: '--allow-loops',
    description: 'publish documents that `receive` stored, too',
    ...feed,
  }),
  rate: opt.ratePerSecond({
    flags: '-r, --rate <n/unit>',
    description: 'most events per second (a custom topic takes 5,000), 0 for no limit',
    fallback: '5000/s',
    ...pace,
  }),
  bandwidth: opt.bytes({
    flags: '--bandwidth <size>',
    description: 'most bytes per second (a custom topic takes 1 MB), 0 for no limit',
    fallback: '1MB',
    ...pace,
  }),
  concurrency: opt.count({
    flags: '-c, --concurrency <n>',
    description: 'requests on the wire at the same time',
    fallback: '4',
    ...pace,
  }),
  giveUp: opt.durationMs({
    flags: '--give-up <duration>',
    description: 'end when Event Grid has refused a request for this long',
    fallback: '60s',
    ...pace,
  }),
  keys: opt.count({
    flags: '--keys <n>',
    description: 'devices that generated events come from',
    fallback: '1000',
    ...generated,
  }),
  size: opt.custom(checked(parseSize), {
    flags: '--size <size>',
    description: 'size of the data of generated events, e.g. 256B (default: about 1 KB)',
    ...generated,
  }),
  ledger: opt.text({
    flags: '--ledger <file>',
    description: 'write down what Event Grid accepted, for `verify --ledger` (cloudevents only)',
    ...generated,
  }),
  run: opt.text({
    flags: '--run <id>',
    description: 'name of the run, part of every event id (default: random)',
    ...generated,
  }),
  seed: { ...seedOption, ...generated },
  ...eventGridOptions,
  ...cosmosOptions,
};

export type Values = OptionValues<typeof options>;

/** Kept as text, because `-10m` means ten minutes before the command runs. */
function checkedStart(text: string): string {
  parseFeedStart(text, 0);
  return text;
}
