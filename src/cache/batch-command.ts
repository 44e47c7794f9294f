import type { Command, Redis } from 'ioredis';
import type { CacheCommand } from './command.ts';

/** What a batch needs of the module, which is loaded when a cache is opened. */
export type BatchParts = Pick<typeof import('ioredis'), 'Command' | 'ReplyError'>;

/** Commands of one key whose replies ioredis hands on as they come. */
const PLAIN = new Set(['set', 'get', 'del', 'unlink']);

/** Text of at least this many bytes is written at its place instead of being joined with its surroundings first. */
const LONG_BYTES = 256;

/**
 * The one place that reaches into ioredis (6.0): a batch of plain commands travels as a single entry of its queue. ioredis
 * makes a command object, two promises and the text of every command, then joins all of the text and copies it twice; here
 * the batch is one buffer. For each reply ioredis takes the entry from the head of `commandQueue` and calls its `resolve` or
 * `reject`; the entry puts itself back until every command has its own. Connecting, the queue while offline and repeating
 * what was not answered stay with ioredis, so the entry encodes what is still open whenever it is asked for its bytes.
 *
 * Returns undefined for what is not that simple: other commands, a limit on the time of a command (ioredis then rejects what
 * is still in its queue), or an ioredis whose queue has moved; test/cache/batch-command.test.ts guards that it has not.
 */
export function sendBatch(
  client: Redis,
  { Command, ReplyError }: BatchParts,
  commands: readonly CacheCommand[],
): Promise<readonly unknown[]> | undefined {
  if (client.options.commandTimeout !== undefined || typeof client.commandQueue?.unshift !== 'function')
    return undefined;
  if (commands.length < 2 || !commands.every(([name]) => PLAIN.has(name))) return undefined;
  return new Promise((resolve) => {
    const replies: unknown[] = [];
    const entry: Command = new Command((commands[0] as CacheCommand)[0]);
    const take = (reply: unknown): void => {
      replies.push(reply);
      if (replies.length === commands.length) resolve(replies);
      else
        client.commandQueue.unshift({
          command: entry,
          stream: undefined as never,
          select: client.options.db ?? 0,
        });
    };
    Object.assign(entry, {
      toWritable: () => encodeCommands(commands.slice(replies.length)),
      resolve: take,
      reject(error: Error) {
        if (error instanceof ReplyError) take(error);
        // The connection is given up, and with it everything that is open.
        else resolve([...replies, ...commands.slice(replies.length).map(() => error)]);
      },
    });
    client.sendCommand(entry);
  });
}

/** Commands as the protocol has them: arrays of bulk strings (RESP). */
export function encodeCommands(commands: readonly CacheCommand[]): Buffer {
  let capacity = 0;
  const lengths: number[] = [];
  for (const command of commands)
    for (const part of command) {
      const length = typeof part === 'object' ? part.length : Buffer.byteLength(String(part));
      lengths.push(length);
      // Around each part `$<length>\r\n` and `\r\n`, around each command `*<count>\r\n`; its name is such a part too.
      capacity += length + 32;
    }
  const bytes = Buffer.allocUnsafeSlow(capacity);
  let at = 0;
  let pending = '';
  let index = 0;
  const append = (part: string | Buffer): void => {
    at += bytes.write(pending, at);
    at += typeof part === 'string' ? bytes.write(part, at) : part.copy(bytes, at);
    pending = '';
  };
  for (const command of commands) {
    pending += `*${command.length}\r\n`;
    for (const part of command) {
      const length = lengths[index++] as number;
      pending += `$${length}\r\n`;
      if (typeof part === 'object' || (typeof part === 'string' && length >= LONG_BYTES)) append(part);
      else pending += part;
      pending += '\r\n';
    }
  }
  append('');
  return bytes.subarray(0, at);
}
