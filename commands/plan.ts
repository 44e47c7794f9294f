import { plan } from '../src/capacity/plan.ts';
import { DAY_MS } from '../src/capacity/target.ts';
import { amount, counted } from '../src/capacity/text.ts';
import { defineCommand } from '../src/cli/command.ts';
import { opt } from '../src/cli/options.ts';
import { formatCount } from '../src/report/format.ts';
import { renderPlan } from '../src/report/plan-text.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import { ExitCode, usageError } from '../src/util/errors.ts';
import { formatKeyDistribution } from '../src/workload/keys.ts';
import { capacityOptions, pricesTemplate, targetOf } from './capacity-options.ts';
import { sheetOf } from './prices-option.ts';

const load = { group: 'Load:' } as const;

export const command = defineCommand({
  description: [
    'Size a pipeline: throughput units, partitions, consumers, request units with headroom for skew, storage, and the',
    'cheapest way to buy them. Each number says why; --explain adds where its limits and prices are from.',
    '',
    'Needs no account and sends nothing. Exit code 99 when nothing that can be bought carries the load.',
  ].join('\n'),
  examples: [
    'cosmos-pipe plan --rate 5000/s --size 1KB --retention 7d',
    'cosmos-pipe plan --rate 2000/s --peak 10000/s --peak-duration 2h --max-lag 10m',
    "cosmos-pipe plan --rate 20000/s --keys 5000 --key-distribution 'zipf(1.1)' --explain",
    'cosmos-pipe plan --rate 5000/s --from bench.json --prices prices.yaml',
  ],
  options: {
    rate: opt.positiveRatePerSecond({
      flags: '-r, --rate <n/unit>',
      description: 'events that arrive, the base of a day',
      fallback: '1000/s',
      ...load,
    }),
    peak: opt.positiveRatePerSecond({
      flags: '--peak <n/unit>',
      description: 'rate of a daily peak',
      ...load,
    }),
    peakDuration: opt.positiveDurationMs({
      flags: '--peak-duration <duration>',
      description: 'how long the peak lasts, a day at most',
      fallback: '1h',
      ...load,
    }),
    maxLag: opt.durationMs({
      flags: '--max-lag <duration>',
      description: 'longest time that an event may wait in queues',
      fallback: '1m',
      ...load,
    }),
    ...capacityOptions,
    pricesTemplate: opt.flag({
      flags: '--prices-template',
      description: 'print every limit and price with its source, as a file for --prices',
      group: 'Basis:',
    }),
    explain: opt.flag({
      flags: '--explain',
      description: 'show the limits behind each number and their sources',
      group: 'Basis:',
    }),
  },
  async run(values, { terminal, cwd }): Promise<ExitCode> {
    const sheet = await sheetOf(values.prices, cwd);
    if (values.pricesTemplate === true) {
      terminal.result(sheet, pricesTemplate(sheet));
      return ExitCode.Ok;
    }
    checkPeak(values);
    const target = await targetOf(
      values,
      {
        ratePerSecond: values.rate,
        maxLagMs: values.maxLag,
        ...(values.peak !== undefined && {
          peak: { ratePerSecond: values.peak, durationMs: values.peakDuration },
        }),
      },
      cwd,
    );
    const peak =
      target.peak === undefined
        ? ''
        : `, ${amount(target.peak.ratePerSecond)}/s for ${formatDurationMs(target.peak.durationMs)} a day`;
    terminal.note(
      `    load  ${amount(target.ratePerSecond)} events/s${peak}; ${formatCount(target.bodyBytes)} B each; ${counted(target.keys, 'key')}, ${formatKeyDistribution(target.distribution)}\n`,
    );
    const result = plan(target, sheet);
    terminal.result(
      result,
      renderPlan(
        result,
        (style, text) => terminal.paint(style, text, terminal.streams.stdout),
        values.explain === true,
      ),
    );
    return result.choice === undefined ? ExitCode.ThresholdsCrossed : ExitCode.Ok;
  },
});

function checkPeak({
  rate,
  peak,
  peakDuration,
}: {
  readonly rate: number;
  readonly peak?: number | undefined;
  readonly peakDuration: number;
}): void {
  if (peak === undefined) return;
  if (peak < rate)
    throw usageError(
      `--peak: ${amount(peak)}/s is below the --rate of ${amount(rate)}/s`,
      'pass the base of a day as --rate, and what it rises to as --peak',
    );
  if (peakDuration > DAY_MS)
    throw usageError(
      `--peak-duration: a daily peak lasts a day at most, got ${formatDurationMs(peakDuration)}`,
      'pass what always arrives as --rate',
    );
}
