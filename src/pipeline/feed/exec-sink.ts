import { spawn } from 'node:child_process';
import { PipeError } from '../../util/errors.ts';
import { feedDocument } from './format.ts';
import type { FeedSink } from './sink.ts';

/** Last characters of a child's stderr that an error message quotes. */
const QUOTED = 200;

/**
 * Runs a shell command for every page, with one change per line (NDJSON) on its standard input; exit code 0 accepts the
 * page. What the command prints goes to `print`.
 */
export function execSink(command: string, print: (text: string) => Promise<void>): FeedSink {
  return {
    name: 'exec',
    deliver(changes, page) {
      const input = changes.map((change) => `${JSON.stringify(feedDocument(change, page))}\n`).join('');
      return runOnce(command, input, print);
    },
    close: async () => {},
  };
}

async function runOnce(
  command: string,
  input: string,
  print: (text: string) => Promise<void>,
): Promise<void> {
  const child = spawn(command, { shell: true, stdio: 'pipe' });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-QUOTED);
  });
  // A command that does not read its input to the end (`head -1`) is judged by its exit code alone.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  for await (const text of child.stdout.setEncoding('utf8')) await print(String(text));
  const code = await ended;
  if (code === 0) return;
  const reason = complaint.trim();
  throw new PipeError('E_INTERNAL', `the command of --exec failed with ${code}${reason && ` (${reason})`}`, {
    hint: 'exit code 0 accepts the changes; they will be sent again from the last checkpoint',
  });
}
