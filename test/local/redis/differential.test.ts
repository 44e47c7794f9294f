import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RedisService, startRedis } from '../../../src/local/redis/index.ts';
import { findRealRedis, type RealRedis, startRealRedis } from '../../../src/local/redis/real-server.ts';
import { corpus, shown } from './corpus.ts';
import { RawClient } from './raw-client.ts';

const program = findRealRedis();
const reason = program === undefined ? ' (skipped: no redis-server or valkey-server on PATH)' : '';

describe.skipIf(program === undefined)(`the embedded server against a real one${reason}`, () => {
  let embedded: RedisService;
  let real: RealRedis;

  beforeAll(async () => {
    embedded = await startRedis();
    real = await startRealRedis();
  });
  afterAll(async () => {
    await embedded.stop();
    await real.stop();
  });

  it('has a corpus of at least 150 commands', () => {
    expect(corpus.length).toBeGreaterThan(150);
  });

  it.each([2, 3] as const)(
    'answers every command of the corpus with the same bytes on RESP%i',
    async (protocol) => {
      const [ours, theirs] = await Promise.all([
        replay({ port: embedded.port }, protocol),
        replay({ path: real.path }, protocol),
      ]);
      expect(ours).toEqual(theirs);
    },
  );
});

async function replay(target: { port: number } | { path: string }, protocol: 2 | 3): Promise<string[]> {
  const client = await RawClient.connect(target);
  await client.command(['FLUSHALL']);
  await client.command(['CONFIG', 'RESETSTAT']);
  if (protocol === 3) await client.command(['HELLO', '3']);
  const transcript: string[] = [];
  for (const command of corpus) {
    const reply = shown(command, await client.command(command.words, command.replies));
    transcript.push(`${command.words.join(' ')} -> ${JSON.stringify(reply)}`);
  }
  client.close();
  return transcript;
}
