import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFaults } from '../../../src/local/faults/faults.ts';
import { FAULT_KINDS, type FaultService, parseFault } from '../../../src/local/faults/grammar.ts';
import type { Clock } from '../../../src/util/clock.ts';
import { seededRandom } from '../../../src/util/random.ts';

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

function virtualClock() {
  let now = 0;
  let sleepers: Sleeper[] = [];
  const clock: Clock = {
    now: () => now,
    epochMicros: () => now * 1000,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        sleepers.push({ at: now + ms, wake: resolve });
        signal?.addEventListener('abort', () => reject(signal.reason));
      }),
  };
  async function advance(ms: number): Promise<void> {
    now += ms;
    const due = sleepers.filter((sleeper) => sleeper.at <= now);
    sleepers = sleepers.filter((sleeper) => sleeper.at > now);
    for (const sleeper of due) sleeper.wake();
    await turn();
  }
  return { clock, advance };
}

function faultsOf(service: FaultService) {
  const { clock, advance } = virtualClock();
  return { faults: createFaults(service, { clock, random: seededRandom(7) }), advance };
}

describe('parseFault', () => {
  it('reads probability, count, latency with jitter, start and duration', () => {
    expect(parseFault('event-hubs:latency=50ms~20ms')).toMatchObject({
      value: { type: 'duration', ms: 50, jitterMs: 20 },
      startMs: 0,
      durationMs: Number.POSITIVE_INFINITY,
    });
    expect(parseFault('event-hubs:server-busy=5%@1m+30s')).toMatchObject({
      value: { type: 'probability', probability: 0.05 },
      startMs: 60_000,
      durationMs: 30_000,
    });
    expect(parseFault('cosmos:split@20s').value).toEqual({ type: 'count', count: 1 });
    expect(parseFault('cosmos:throttle=3').value).toEqual({ type: 'count', count: 3 });
    expect(parseFault('redis:timeout+2s').value).toEqual({ type: 'probability', probability: 1 });
  });

  it.each([
    ['event-hubs', 'grammar'],
    ['mysql:reset', 'services: event-hubs'],
    ['cosmos:detach', 'kinds of cosmos: latency, throttle'],
    ['cosmos:throttle=120%', '120%'],
    ['cosmos:throttle=0', 'positive'],
    ['cosmos:throttle=often', '"often"'],
    ['redis:latency', 'needs a duration'],
    ['redis:latency=5%', 'invalid duration'],
    ['redis:reset@soon', 'invalid duration'],
  ])('rejects %s and says what is expected', (text, part) => {
    expect(() => parseFault(text)).toThrow(RangeError);
    expect(() => parseFault(text)).toThrow(part === 'grammar' ? '<service>:<kind>' : part);
  });

  it('accepts every documented kind and throws nothing but RangeError for any text', () => {
    for (const [service, kinds] of Object.entries(FAULT_KINDS))
      for (const kind of kinds) parseFault(`${service}:${kind}${kind === 'latency' ? '=1ms' : ''}`);
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^redis:[a-z]+=?.*$/)), (text) => {
        try {
          parseFault(text);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });
});

describe('createFaults', () => {
  it('draws nothing while none is set', () => {
    const { faults } = faultsOf('event-hubs');
    expect(faults.any).toBe(false);
    expect(faults.draw('detach')).toBeUndefined();
  });

  it('strikes with the given probability', () => {
    const { faults } = faultsOf('event-hubs');
    faults.add('event-hubs:server-busy=20%');
    let struck = 0;
    for (let i = 0; i < 10_000; i++) if (faults.draw('server-busy')) struck++;
    expect(struck).toBeGreaterThan(1_800);
    expect(struck).toBeLessThan(2_200);
    expect(faults.list()).toEqual([{ spec: 'event-hubs:server-busy=20%', state: 'active', struck }]);
  });

  it('uses up a count', () => {
    const { faults } = faultsOf('cosmos');
    faults.add('cosmos:gone=2');
    const draws = [1, 2, 3].map(() => faults.draw('gone')?.kind);
    expect(draws).toEqual(['gone', 'gone', undefined]);
    expect(faults.list()[0]?.state).toBe('spent');
  });

  it('keeps latency within the jitter', () => {
    const { faults } = faultsOf('redis');
    faults.add('redis:latency=50ms~20ms');
    const delays = Array.from({ length: 1000 }, () => faults.draw('latency')?.delayMs ?? -1);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(30);
    expect(Math.max(...delays)).toBeLessThanOrEqual(70);
    expect(Math.max(...delays) - Math.min(...delays)).toBeGreaterThan(30);
  });

  it('is active from its start for its duration', async () => {
    const { faults, advance } = faultsOf('cosmos');
    faults.add('cosmos:unavailable@5s+10s');
    const at = async (ms: number) => {
      await advance(ms);
      return [faults.list()[0]?.state, faults.draw('unavailable') !== undefined];
    };
    expect(await at(4_999)).toEqual(['scheduled', false]);
    expect(await at(1)).toEqual(['active', true]);
    expect(await at(9_999)).toEqual(['active', true]);
    expect(await at(1)).toEqual(['spent', false]);
  });

  it('strikes a subscriber by time, without an operation', async () => {
    const { faults, advance } = faultsOf('redis');
    const struck: string[] = [];
    const off = faults.onDue('reset', (fault) => struck.push(fault.spec));
    faults.add('redis:reset@10s');
    await advance(9_000);
    expect(struck).toEqual([]);
    await advance(1_000);
    expect(struck).toEqual(['redis:reset@10s']);
    expect(faults.draw('reset')).toBeUndefined();
    off();
    faults.add('redis:reset');
    await advance(1);
    expect(struck).toHaveLength(1);
    expect(faults.draw('reset')).toBeDefined();
  });

  it('removes one fault by its handle, and all of them', async () => {
    const { faults, advance } = faultsOf('redis');
    const struck: string[] = [];
    faults.onDue('reset', (fault) => struck.push(fault.spec));
    const handle = faults.add('redis:reset@1s');
    faults.add('redis:timeout=50%');
    handle.remove();
    await advance(2_000);
    expect(struck).toEqual([]);
    expect(faults.list()).toHaveLength(1);
    faults.clear();
    expect(faults.any).toBe(false);
  });

  it('refuses a fault of another service', () => {
    const { faults } = faultsOf('redis');
    expect(() => faults.add('cosmos:split')).toThrow(RangeError);
  });
});
