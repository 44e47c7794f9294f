import type { FeedChange, FeedPage } from '../../cosmos/change-feed/types.ts';
import type { FeedSink } from './sink.ts';

/** Prints one line for each change, a page at a time; `print` resolves when the reader of the pipe keeps up. */
export function lineSink(
  format: (change: FeedChange, page: FeedPage) => string,
  print: (lines: string) => Promise<void>,
): FeedSink {
  return {
    name: 'stdout',
    deliver: (changes, page) => print(changes.map((change) => format(change, page)).join('\n')),
    close: async () => {},
  };
}
