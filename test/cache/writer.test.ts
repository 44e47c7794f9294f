import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CacheConnection, openCache } from '../../src/cache/connection.ts';
import { decodeValue } from '../../src/cache/value.ts';
import { createCacheWriter } from '../../src/cache/writer.ts';
import { type RedisService, startRedis } from '../../src/local/redis/index.ts';
import { createStageRecorder } from '../../src/metrics/stage-recorder.ts';
import { systemClock } from '../../src/util/clock.ts';
import { seededRandom } from '../../src/util/random.ts';
import { REFUSING_PORT } from '../helpers/ports.ts';
import { targetOf } from './helpers.ts';

let redis: RedisService;
let connection: CacheConnection;

beforeAll(async () => {
  redis = await startRedis();
  connection = await openCache(targetOf(redis));
});
beforeEach(async () => {
  await connection.client.flushall();
});
afterAll(async () => {
  connection.dispose();
  await redis.stop();
});

const item = (id: string, extra: Record<string, unknown> = {}) => ({
  id,
  partitionKey: 'device-1',
  body: { id, deviceId: 'device-1', _ts: 100, ...extra },
});

describe('createCacheWriter', () => {
  it('writes the JSON under prefix, partition key and id', async () => {
    const writer = await createCacheWriter({ target: targetOf(redis), keyPrefix: 'app:' });
    await writer.write([item('a'), { ...item('b'), body: '{"id":"b"}' }]);
    await writer.close();
    expect(await connection.client.get('app:device-1:a')).toBe(JSON.stringify(item('a').body));
    expect(await connection.client.get('app:device-1:b')).toBe('{"id":"b"}');
    expect(writer.totals()).toMatchObject({ written: 2, kept: 0, tooLarge: 0 });
  });

  it('writes the text of an item where it is at hand, unless fields are to be left out', async () => {
    const text = '{"id":"a","deviceId":"device-1","price":1.50}';
    const given = { ...item('a', { price: 1.5 }), text };
    const whole = await createCacheWriter({ target: connection });
    await whole.write([given]);
    expect(await connection.client.get(whole.keyOf(given))).toBe(text);
    const projected = await createCacheWriter({ target: connection, keyPrefix: 'p:', project: ['price'] });
    await projected.write([given]);
    expect(await connection.client.get(projected.keyOf(given))).toBe('{"id":"a","price":1.5}');
  });

  it('spreads the lives of entries that are written together', async () => {
    const writer = await createCacheWriter({
      target: connection,
      // So long that the time until they are looked at is nothing.
      ttlMs: 100_000_000,
      ttlJitter: 0.2,
      random: seededRandom(7),
    });
    await writer.write(Array.from({ length: 200 }, (_, index) => item(`i${index}`)));
    const lives = await Promise.all(
      Array.from({ length: 200 }, (_, index) => connection.client.pttl(writer.keyOf(item(`i${index}`)))),
    );
    expect(Math.min(...lives)).toBeGreaterThan(79_000_000);
    expect(Math.max(...lives)).toBeLessThanOrEqual(120_000_000);
    expect(Math.max(...lives) - Math.min(...lives)).toBeGreaterThan(20_000_000);
  });

  it('leaves existing entries alone when only missing ones are wanted', async () => {
    for (const format of ['string', 'versioned'] as const) {
      const writer = await createCacheWriter({
        target: connection,
        keyPrefix: `${format}:`,
        format,
        onlyMissing: true,
      });
      await writer.write([item('a', { value: 1 })]);
      await writer.write([item('a', { value: 2, _ts: 200 }), item('b')]);
      expect(writer.totals()).toMatchObject({ written: 2, kept: 1 });
    }
  });

  it('projects, compresses above a size and skips what is too large', async () => {
    const writer = await createCacheWriter({
      target: connection,
      project: ['text'],
      gzipOverBytes: 1_000,
      maxValueBytes: 5_000,
    });
    const random = seededRandom(1);
    const noise = Array.from({ length: 20_000 }, () => String.fromCharCode(33 + random.below(90))).join('');
    await writer.write([
      item('small', { text: 'x', other: 'y' }),
      item('big', { text: 'x'.repeat(9_000) }),
      item('huge', { text: noise }),
    ]);
    expect(await connection.client.get(writer.keyOf(item('small')))).toBe('{"id":"small","text":"x"}');
    const big = (await connection.client.getBuffer(writer.keyOf(item('big')))) as Buffer;
    expect(big.length).toBeLessThan(200);
    expect(JSON.parse(decodeValue(big))).toEqual({ id: 'big', text: 'x'.repeat(9_000) });
    expect(writer.totals()).toMatchObject({ written: 2, tooLarge: 1 });
  });

  it('keeps the newer version, and lets the feed decide within one second', async () => {
    const writer = await createCacheWriter({ target: connection, format: 'versioned' });
    const write = (value: number, tsSeconds: number, lsn?: number) =>
      writer.write([{ ...item('a', { value }), tsSeconds, ...(lsn !== undefined && { lsn }) }]);
    const value = async () =>
      JSON.parse((await connection.client.hget(writer.keyOf(item('a')), 'd')) ?? '{}').value;
    await write(1, 100, 10);
    await write(2, 100, 11);
    expect(await value()).toBe(2);
    await write(3, 100);
    expect(await value()).toBe(2);
    await write(4, 99, 99);
    expect(await value()).toBe(2);
    await write(5, 101);
    expect(await value()).toBe(5);
  });

  it('records latency from the intended send time of the event', async () => {
    const recorder = createStageRecorder('cache', { clock: systemClock });
    const writer = await createCacheWriter({ target: connection, recorder });
    await writer.write([item('a', { pipe: { intendedMicros: systemClock.epochMicros() - 250_000 } })]);
    const summary = recorder.summary();
    expect(summary.done).toBe(1);
    expect(summary.latency.p50Ms).toBeGreaterThan(200);
  });
});

describe('openCache', () => {
  it('says what is unreachable, and hides the password', async () => {
    await expect(openCache({ url: targetOf(redis).url }).then((c) => c.dispose())).resolves.toBeUndefined();
    const closed = targetOf(redis, `redis://:hidden@127.0.0.1:${REFUSING_PORT}`);
    await expect(openCache(closed)).rejects.toMatchObject({
      code: 'E_UNREACHABLE',
      message: expect.stringMatching(/^(?!.*hidden).*127\.0\.0\.1:2/),
    });
  });

  it('tells refused credentials from an unreachable server', async () => {
    const locked = await startRedis({ password: 'right' });
    const wrong = targetOf(locked, `redis://:wrong@127.0.0.1:${locked.port}`);
    await expect(openCache(wrong)).rejects.toMatchObject({ code: 'E_AUTH' });
    const right = await openCache(targetOf(locked));
    expect(await right.client.ping()).toBe('PONG');
    right.dispose();
    await locked.stop();
  });
});
