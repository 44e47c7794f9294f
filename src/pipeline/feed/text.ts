import type { RangeLag } from '../../cosmos/change-feed/lag.ts';
import type { ProcessorEvent } from '../../cosmos/change-feed/processor.ts';
import type { FeedChange, FeedPage } from '../../cosmos/change-feed/types.ts';
import { formatDurationMs } from '../../util/duration.ts';
import { rangeLabel, textOf } from './format.ts';
import type { TailResult } from './tail.ts';

export type Paint = (style: 'dim' | 'cyan' | 'green' | 'red', text: string) => string;

/** `12:04:31.102  10-20  lsn 18,204  upsert   dev-0042/evt-91  3 behind`; what is left is told once per page. */
export function changeLine(paint: Paint): (change: FeedChange, page: FeedPage) => string {
  return (change, { feedRange, receivedMs, lsn: lastLsn, lagItems }) => {
    const { lsn, operation, partitionKey, id } = change;
    const columns = [
      paint('dim', new Date(receivedMs).toISOString().slice(11, 23)),
      paint('cyan', rangeLabel(feedRange).padEnd(5)),
      `lsn ${number(lsn).padStart(7)}`,
      paint(operation === 'delete' ? 'red' : 'green', operation.padEnd(7)),
      `${textOf(partitionKey)}/${id}`,
    ];
    if (lsn === lastLsn) columns.push(paint('dim', `${number(lagItems)} behind`));
    return columns.join('  ');
  };
}

export function processorLine(event: ProcessorEvent): string {
  switch (event.kind) {
    case 'split':
      return `range ${rangeLabel(event.range)} was split into ${event.into.map(rangeLabel).join(' and ')}`;
    case 'retry':
      return `range ${rangeLabel(event.range)}: ${event.reason}; trying again`;
    case 'trouble':
      return `leases: ${event.reason}; trying again`;
    case 'requested':
      return `range ${rangeLabel(event.range)} asked for, to share evenly`;
    default:
      return `range ${rangeLabel(event.range)} ${event.kind}`;
  }
}

export function tailSummary({ read, delivered }: TailResult, requestCharge: number, tookMs: number): string {
  const filtered = delivered === read ? '' : `, ${number(delivered)} passed the filter`;
  const charge = requestCharge.toLocaleString('en-US', { maximumFractionDigits: 1 });
  return `read     ${counted(read, 'change')}${filtered}, ${charge} RU, ${formatDurationMs(tookMs)}`;
}

export interface OwnedRangeLag extends RangeLag {
  readonly owner?: string | null;
}

/** The sum and one row for each range. */
export function lagDocument(ranges: readonly OwnedRangeLag[]) {
  return {
    items: ranges.reduce((sum, { items }) => sum + items, 0),
    lagMs: Math.round(Math.max(0, ...ranges.map(({ lagMs }) => lagMs))),
    requestCharge: ranges.reduce((sum, { requestCharge }) => sum + requestCharge, 0),
    ranges: ranges.map(({ min, max, items, lagMs, owner }) => ({
      feedRange: rangeLabel({ min, max }),
      ...(owner === undefined ? {} : { owner }),
      items,
      lagMs: Math.round(lagMs),
    })),
  };
}

export function lagText(document: ReturnType<typeof lagDocument>): string {
  const owners = document.ranges.map(({ owner }) => owner ?? '-');
  const width = Math.max(5, ...owners.map(({ length }) => length));
  const row = (range: string, owner: string, items: string, behind: string): string =>
    ` ${range.padEnd(14)} ${owner.padEnd(width)} ${items.padStart(12)} ${behind.padStart(10)}`;
  return [
    row('RANGE', 'OWNER', 'BEHIND', 'SINCE'),
    ...document.ranges.map(({ feedRange, items, lagMs }, index) =>
      row(feedRange, owners[index] ?? '-', number(items), items === 0 ? '-' : formatDurationMs(lagMs)),
    ),
    '',
    `lag      at most ${counted(document.items, 'item')}, oldest ${formatDurationMs(document.lagMs)}`,
  ].join('\n');
}

/** `1 change`, `2,500 changes`. */
export function counted(count: number, noun: string): string {
  return `${number(count)} ${noun}${count === 1 ? '' : 's'}`;
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}
