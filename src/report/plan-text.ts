import type { Plan } from '../capacity/plan.ts';
import { counted } from '../capacity/text.ts';
import { formatDurationMs } from '../util/duration.ts';
import { formatCount, formatMoney } from './format.ts';
import { formatTable } from './table.ts';
import type { Paint } from './text.ts';
import { wrap } from './wrap.ts';

/** A plan for a terminal: each number with its reason, ways to buy it, the cheapest, and what to watch out for. */
export function renderPlan(plan: Plan, paint: Paint, explain: boolean): string {
  const sections = [
    ...(['event hubs', 'ingest', 'cosmos db'] as const).map((section) => [
      `  ${paint('bold', section.toUpperCase())}`,
      ...plan.figures
        .filter((figure) => figure.section === section)
        .flatMap(({ name, value, why, sources }) => [
          `    ${name.padEnd(20)}${value}`,
          ...wrap(why, 52).map((line) => `    ${''.padEnd(20)}${paint('dim', line)}`),
          ...(explain
            ? sources.flatMap((source) => wrap(source, 52)).map((line) => `    ${''.padEnd(20)}${line}`)
            : []),
        ]),
    ]),
    [`  ${paint('bold', 'WAYS TO BUY THE THROUGHPUT')}`, ...optionLines(plan, paint)],
    choiceLines(plan, paint),
    plan.warnings.flatMap((warning) =>
      wrap(warning, 72).map((line, index) => `  ${index === 0 ? paint('yellow', '!') : ' '} ${line}`),
    ),
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function optionLines({ options, choice, currency }: Plan, paint: Paint): string[] {
  return formatTable(
    [
      ['', 'OPTION', 'RU/S', 'PARTITIONS', 'LAG', `${currency}/MONTH`, ''],
      ...options.map((option) => [
        option === choice?.store ? paint('green', '✓') : option.meets ? '' : paint('red', '✗'),
        option.name,
        option.purchase.mode === 'provisioned'
          ? formatCount(option.purchase.ruPerSecond)
          : option.purchase.mode === 'autoscale'
            ? `${formatCount(option.purchase.maxRuPerSecond)} max`
            : 'as used',
        formatCount(option.physicalPartitions),
        option.maxLagMs === undefined
          ? 'grows'
          : option.maxLagMs === 0
            ? 'none'
            : formatDurationMs(option.maxLagMs),
        formatMoney(option.perMonth),
        option.note,
      ]),
    ],
    { indent: 4, left: [0, 1, 6] },
  );
}

function choiceLines({ choice }: Plan, paint: Paint): string[] {
  if (choice === undefined)
    return [`  ${paint('red', 'nothing that can be bought carries this; see below')}`];
  const { cost, hub } = choice;
  const bought =
    hub.tier === 'standard'
      ? `Standard, ${counted(hub.throughputUnits, 'throughput unit')}`
      : hub.tier === 'premium'
        ? `Premium, ${counted(hub.processingUnits, 'processing unit')}`
        : `Dedicated, ${counted(hub.capacityUnits, 'capacity unit')}`;
  return [
    `  ${paint('bold', 'CHEAPEST')}`,
    `    Event Hubs ${bought}; Cosmos DB ${choice.store.name}`,
    ...formatTable(
      [
        ...cost.items.map(({ name, perHour, why }) => [name, formatMoney(perHour), why]),
        ['together', formatMoney(cost.perHour), `${cost.currency} an hour`],
        ['', formatMoney(cost.perMonth), `${cost.currency} a month`],
        ['', formatMoney(cost.perMillionEvents), `${cost.currency} per million events`],
      ],
      { indent: 4, left: [0, 2] },
    ),
    `    ${paint('dim', cost.prices)}`,
  ];
}
