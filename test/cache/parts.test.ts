import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CircuitBreaker } from '../../src/cache/circuit-breaker.ts';
import { keepSignedIn, objectIdOf } from '../../src/cache/entra.ts';
import { giniOf, SpaceSaving } from '../../src/cache/hot-keys.ts';
import { cacheKey, escapeGlob, parseCacheKey } from '../../src/cache/key.ts';
import { MemoryCache } from '../../src/cache/memory-cache.ts';
import { keySlot } from '../../src/cache/slot.ts';
import { versionOf } from '../../src/cache/version.ts';
import { globMatcher } from '../../src/local/redis/glob.ts';
import { systemClock } from '../../src/util/clock.ts';

const component = fc.oneof(
  fc.string(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
);

describe('cacheKey', () => {
  it('is readable for plain values', () => {
    expect(cacheKey('cp:', 'device-1', 'a')).toBe('cp:device-1:a');
    expect(cacheKey('cp:', ['tenant', 'user'], 'a')).toBe('cp:tenant|user:a');
    expect(cacheKey('cp:', 5, 'a')).toBe('cp:=5:a');
  });

  it('gives two items two keys, and the item back', () => {
    const item = fc.tuple(
      fc.oneof(component, fc.array(component, { minLength: 2, maxLength: 3 })),
      fc.string(),
    );
    fc.assert(
      fc.property(item, item, ([pkA, idA], [pkB, idB]) => {
        const key = cacheKey('p:', pkA, idA);
        if (JSON.stringify([pkA, idA]) !== JSON.stringify([pkB, idB]))
          expect(cacheKey('p:', pkB, idB)).not.toBe(key);
        const parsed = parseCacheKey('p:', key);
        expect(JSON.stringify(parsed)).toBe(JSON.stringify({ partitionKey: pkA, id: idA }));
      }),
    );
  });

  it('escapes a prefix so that a pattern matches it literally', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (prefix, other) => {
        const matches = globMatcher(`${escapeGlob(prefix)}*`) ?? (() => true);
        expect(matches(`${prefix}rest`)).toBe(true);
        expect(matches(other)).toBe(other.startsWith(prefix));
      }),
    );
  });
});

it('compares versions like their age', () => {
  const age = fc.tuple(fc.nat(4e9), fc.nat(Number.MAX_SAFE_INTEGER));
  fc.assert(
    fc.property(age, age, (a, b) => {
      const expected = Math.sign(a[0] - b[0]) || Math.sign(a[1] - b[1]);
      const [left, right] = [versionOf(...a), versionOf(...b)];
      expect(left < right ? -1 : left > right ? 1 : 0).toBe(expected);
    }),
  );
});

describe('SpaceSaving', () => {
  it('has every key above 1/capacity of the stream, with counts inside their error', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(30), { maxLength: 400 }), (stream) => {
        const counter = new SpaceSaving(8);
        const exact = new Map<string, number>();
        for (const each of stream) {
          counter.add(`k${each}`);
          exact.set(`k${each}`, (exact.get(`k${each}`) ?? 0) + 1);
        }
        const top = counter.top(8);
        for (const { key, count, error } of top) {
          expect(count).toBeGreaterThanOrEqual(exact.get(key) ?? 0);
          expect(count - error).toBeLessThanOrEqual(exact.get(key) ?? 0);
        }
        for (const [key, count] of exact)
          if (count > stream.length / 8) expect(top.map((each) => each.key)).toContain(key);
      }),
    );
  });

  it('measures skew', () => {
    expect(giniOf([5, 5, 5, 5])).toBeCloseTo(0);
    expect(giniOf([0, 0, 0, 100])).toBeCloseTo(0.75);
  });
});

it('hashes keys to cluster slots as the specification does', () => {
  // https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
  expect(keySlot('123456789')).toBe(0x31c3);
  expect(keySlot('{user1000}.following')).toBe(keySlot('user1000'));
  expect(keySlot('foo{}{bar}')).not.toBe(keySlot('bar'));
});

it('forgets what was used least, and what is too old', () => {
  let now = 0;
  const memory = new MemoryCache<string>({
    maxEntries: 2,
    ttlMs: 10,
    clock: { ...systemClock, now: () => now },
  });
  memory.set('a', '1');
  memory.set('b', '2');
  memory.get('a');
  memory.set('c', '3');
  expect([memory.get('a'), memory.get('b'), memory.get('c')]).toEqual(['1', undefined, '3']);
  now = 10;
  expect(memory.get('a')).toBeUndefined();
});

it('leaves a failing service alone, and tries again later', async () => {
  let now = 0;
  let asked = 0;
  const breaker = new CircuitBreaker({ failures: 2, openMs: 100, clock: { ...systemClock, now: () => now } });
  const fail = (): Promise<never> => {
    asked++;
    return Promise.reject(new Error('down'));
  };
  for (let round = 0; round < 5; round++) expect(await breaker.run(fail)).toBeUndefined();
  expect([asked, breaker.state]).toEqual([2, 'open']);
  now = 100;
  await breaker.run(fail);
  expect([asked, breaker.state]).toEqual([3, 'open']);
  now = 200;
  expect(await breaker.run(async () => 'up')).toEqual({ value: 'up' });
  expect(breaker.state).toBe('closed');
});

it('signs in again before the token ends, and survives a failure to do so', async () => {
  const sleeps: number[] = [];
  const applied: string[] = [];
  const stop = new AbortController();
  let tries = 0;
  await keepSignedIn({
    first: { user: 'oid', token: 'first', expiresMs: 60 * 60_000 },
    async login() {
      tries++;
      if (tries === 1) throw new Error('offline');
      return { user: 'oid', token: 'second', expiresMs: 3 * 60 * 60_000 };
    },
    async apply({ token }) {
      applied.push(token);
      stop.abort();
    },
    signal: stop.signal,
    clock: {
      now: () => 0,
      epochMicros: () => 0,
      async sleep(ms) {
        sleeps.push(ms);
      },
    },
  });
  expect(applied).toEqual(['second']);
  expect(sleeps[0]).toBe(48 * 60_000);
  const token = `x.${Buffer.from('{"oid":"1234"}').toString('base64url')}.y`;
  expect(objectIdOf(token)).toBe('1234');
});
