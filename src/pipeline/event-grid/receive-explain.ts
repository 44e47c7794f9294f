/** Above this share of the events, one partition key makes a hot partition. */
const HOT_SHARE = 0.2;
const SHOWN_KEYS = 5;

export interface KeyDistribution {
  readonly events: number;
  readonly distinct: number;
  readonly top: readonly { readonly key: string; readonly events: number; readonly share: number }[];
  readonly hot: boolean;
}

/** Counts the partition keys of the first `count` events and tells their distribution once. */
export function explainKeys(
  count: number,
  tell: (distribution: KeyDistribution) => void,
): { seen(key: string): void; finish(): void } {
  const counts = new Map<string, number>();
  let events = 0;
  let told = false;
  const finish = (): void => {
    if (told || events === 0) return;
    told = true;
    const top = [...counts]
      .sort((a, b) => b[1] - a[1])
      .slice(0, SHOWN_KEYS)
      .map(([key, seen]) => ({ key, events: seen, share: seen / events }));
    const hot = events > 1 && (top[0]?.share ?? 0) > HOT_SHARE;
    tell({ events, distinct: counts.size, top, hot });
  };
  return {
    seen(key) {
      if (told) return;
      events += 1;
      counts.set(key, (counts.get(key) ?? 0) + 1);
      if (events === count) finish();
    },
    finish,
  };
}

/** Some lines for a person, with a warning when one key takes too much. */
export function explainText({ events, distinct, top, hot }: KeyDistribution): string {
  const lines = [
    `partition keys of ${events.toLocaleString('en-US')} events: ${distinct.toLocaleString('en-US')} distinct`,
    ...top.map(({ key, share }) => `  ${(share * 100).toFixed(1).padStart(5)}%  ${key}`),
  ];
  if (hot)
    lines.push(
      `warning: one key gets more than ${HOT_SHARE * 100}% of the events, so one partition would be hot; try --partition-key-from {subject} or add {hash%16}`,
    );
  return lines.join('\n');
}
