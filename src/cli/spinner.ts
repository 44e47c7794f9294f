import type { Terminal } from './terminal.ts';

/**
 * Shows `text` while `work` runs: a spinner where redrawing is safe, one plain line otherwise. ora redraws for ever on a
 * terminal of zero columns, hence the guard.
 */
export async function withSpinner<T>(terminal: Terminal, text: string, work: () => Promise<T>): Promise<T> {
  if (!terminal.live) {
    terminal.note(text);
    return work();
  }
  const { default: ora } = await import('ora');
  const spinner = ora({ text, stream: terminal.streams.stderr, discardStdin: false }).start();
  try {
    const result = await work();
    spinner.succeed();
    return result;
  } catch (error) {
    spinner.fail();
    throw error;
  }
}
