import { formatCount, formatShare } from './format.ts';
import type { RunReport } from './run-report.ts';

type Search = NonNullable<RunReport['search']>;

/** What `bench --find-max` found, a sentence each. */
export function searchSentences(search: Search): string[] {
  const { complete, failedPerSecond, failedReason, failedRuns, generatorLimited, held, ratePerSecond, runs } =
    search;
  if (ratePerSecond === 0) return [`no rate held: ${failedReason ?? 'the search was stopped'}`];
  // The schema does not ask for it.
  const range: Partial<Search['range']> | undefined = search.range;
  return [
    `${formatCount(ratePerSecond)} events/s, held ${held} of ${runs} times${complete ? '' : ' (the search was not finished)'}`,
    ...(failedPerSecond === undefined
      ? []
      : [
          `${formatCount(failedPerSecond)} events/s (+${formatShare(failedPerSecond / ratePerSecond - 1)}) failed ${failedRuns} times: ${failedReason}`,
        ]),
    range?.toPerSecond === undefined
      ? `no rate was too high`
      : `nothing failed up to ${formatCount(range.fromPerSecond ?? 0)}, nothing held from ${formatCount(range.toPerSecond)} on`,
    ...(generatorLimited ? ['the generator was the limit: the pipeline may take more'] : []),
  ];
}

/** The same for a terminal. */
export function searchLines(search: Search): string[] {
  const label = search.ratePerSecond === 0 ? '' : 'MAXIMUM  ';
  return searchSentences(search).map(
    (sentence, index) => `  ${index === 0 ? label : ' '.repeat(label.length)}${sentence}`,
  );
}

export const TRIAL_HEADER = ['', 'events/s', ''] as const;

/** The trials of a search in their order, under {@link TRIAL_HEADER}. */
export function trialRows({ trials }: Search): string[][] {
  return trials.map(({ held, ratePerSecond, reason = '' }, index) => [
    `trial ${index + 1}`,
    formatCount(ratePerSecond),
    held ? '✓ held' : `✗ ${reason}`,
  ]);
}
