import { createServer, type Server, type Socket } from 'node:net';
import fc from 'fast-check';
import * as ioredis from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeCommands, sendBatch } from '../../src/cache/batch-command.ts';
import type { CacheCommand } from '../../src/cache/command.ts';
import { openCache } from '../../src/cache/connection.ts';
import { type RedisService, startRedis } from '../../src/local/redis/index.ts';
import { eventually } from '../helpers/eventually.ts';
import { targetOf } from './helpers.ts';

// Guards what src/cache/batch-command.ts relies on and ioredis does not declare: a failure after an upgrade of ioredis means
// that this one file has to follow.

const closers: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function connected(redis: RedisService): Promise<ioredis.Redis> {
  const client = new ioredis.Redis(redis.environment['REDIS_URL'] as string, { lazyConnect: true });
  client.on('error', () => undefined);
  closers.push(() => client.disconnect());
  await client.connect();
  return client;
}

async function server(): Promise<RedisService> {
  const redis = await startRedis();
  closers.push(() => redis.stop());
  return redis;
}

const text = (replies: readonly unknown[] | undefined) =>
  replies?.map((reply) => (Buffer.isBuffer(reply) ? reply.toString() : reply));

it('encodes commands as ioredis does', () => {
  const part = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ minLength: 300 }),
    fc.uint8Array(),
    fc.integer(),
  );
  fc.assert(
    fc.property(fc.array(fc.array(part, { minLength: 1 }), { minLength: 1 }), (batch) => {
      const commands = batch.map((args) => [
        'set',
        ...args.map((arg) => (arg instanceof Uint8Array ? Buffer.from(arg) : arg)),
      ]) as readonly CacheCommand[];
      const theirs = commands.map(([name, ...args]) =>
        Buffer.from(new ioredis.Command(name, args).toWritable({})),
      );
      expect(encodeCommands(commands).equals(Buffer.concat(theirs))).toBe(true);
    }),
    { numRuns: 50 },
  );
});

describe('sendBatch', () => {
  it('gives every command its own reply, errors in their places, between commands of others', async () => {
    const client = await connected(await server());
    const before = client.lpush('list', 'x');
    const batch = sendBatch(client, ioredis, [
      ['set', 'a', 'caf\u00e9', 'PX', 60_000],
      ['get', 'a'],
      ['get', 'list'],
      ['get', 'missing'],
      ['del', 'a', 'b'],
    ]);
    const after = client.get('list').catch((error: Error) => error.message);
    const wrongType = expect.objectContaining({ message: expect.stringMatching(/^WRONGTYPE/) });
    expect(text(await batch)).toEqual(['OK', 'caf\u00e9', wrongType, null, 1]);
    expect(await before).toBe(1);
    expect(await after).toMatch(/^WRONGTYPE/);
  });

  it('leaves to the public API what is not simple', async () => {
    const redis = await server();
    const client = await connected(redis);
    expect(
      sendBatch(client, ioredis, [
        ['set', 'a', '1'],
        ['hgetall', 'h'],
      ]),
    ).toBeUndefined();
    expect(sendBatch(client, ioredis, [['set', 'a', '1']])).toBeUndefined();
    const moved = { options: {}, commandQueue: {} } as unknown as ioredis.Redis;
    expect(
      sendBatch(moved, ioredis, [
        ['get', 'a'],
        ['get', 'b'],
      ]),
    ).toBeUndefined();
    const timed = await openCache(targetOf(redis), { commandTimeoutMs: 60_000 });
    closers.push(() => timed.dispose());
    expect(
      await timed.send([
        ['set', 'a', '1'],
        ['get', 'a'],
      ]),
    ).toEqual(['OK', '1']);
  });

  it('repeats after a lost connection what was not answered, and only that', async () => {
    const { url, received, sockets } = await silentRedis((socket, request) => {
      // The first connection answers one command of the batch and is gone.
      if (sockets.length === 1) socket.write('+OK\r\n', () => socket.destroy());
      else socket.write('+OK\r\n'.repeat(request.match(/set/g)?.length ?? 0));
    });
    const client = new ioredis.Redis(url, { enableReadyCheck: false, retryStrategy: () => 1 });
    client.on('error', () => undefined);
    closers.push(() => client.disconnect());
    await eventually(() => client.status === 'ready');
    const commands = ['a', 'b', 'c'].map((key): CacheCommand => ['set', key, `value-${key}`]);
    expect(text(await sendBatch(client, ioredis, commands))).toEqual(['OK', 'OK', 'OK']);
    expect(received.at(-1)).toBe(encodeCommands(commands.slice(1)).toString());
  });

  it('fails what is open when the connection is given up, and keeps what was answered', async () => {
    const { url } = await silentRedis((socket) => socket.write('+OK\r\n'));
    const client = new ioredis.Redis(url, { enableReadyCheck: false });
    closers.push(() => client.disconnect());
    await eventually(() => client.status === 'ready');
    const batch = sendBatch(client, ioredis, [
      ['set', 'a', '1'],
      ['set', 'b', '2'],
      ['set', 'c', '3'],
    ]);
    // The one reply there is has been taken when the entry stands in the queue again with two to come.
    await new Promise((resolve) => client.stream.once('data', resolve));
    client.disconnect();
    expect(text(await batch)).toEqual(['OK', expect.any(Error), expect.any(Error)]);
  });
});

/** A server that hands every request that has a SET to `answer` and says OK to all others. */
async function silentRedis(answer: (socket: Socket, request: string) => void): Promise<{
  readonly url: string;
  readonly received: readonly string[];
  readonly sockets: readonly Socket[];
}> {
  const received: string[] = [];
  const sockets: Socket[] = [];
  const listening: Server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      const request = data.toString();
      received.push(request);
      if (/set/.test(request)) answer(socket, request);
      else socket.write('+OK\r\n'.repeat(request.match(/^\*/gm)?.length ?? 0));
    });
  });
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    listening.close();
  });
  return { url: `redis://127.0.0.1:${(listening.address() as { port: number }).port}`, received, sockets };
}
