import { expect, it } from 'vitest';
import type { LocalState } from '../../src/config/local-state.ts';
import { resolveTargets } from '../../src/config/resolve-targets.ts';
import { Secret } from '../../src/util/secret.ts';

const state: LocalState = {
  version: 1,
  pid: 1,
  startedAt: '2026-01-01T00:00:00.000Z',
  environment: {
    COSMOS_ENDPOINT: 'http://127.0.0.1:8081/',
    COSMOS_KEY: 'key',
    REDIS_URL: 'redis://127.0.0.1:6379',
  },
  adminUrl: 'http://127.0.0.1:5300',
  embeddedRedis: true,
};

it('takes the Redis of the stack for its own only where it is the embedded one', () => {
  expect(resolveTargets(['redis'], {}, state)).toMatchObject({
    adminUrl: state.adminUrl,
    embeddedRedis: true,
  });
  expect(resolveTargets(['redis'], {}, { ...state, embeddedRedis: false })).toMatchObject({
    adminUrl: state.adminUrl,
    embeddedRedis: false,
  });
  const { embeddedRedis: _, ...fromOlder } = state;
  expect(resolveTargets(['redis'], {}, fromOlder)).toMatchObject({ embeddedRedis: false });
});

it('knows the stack again by its addresses in the environment, and nothing else on this machine', () => {
  const named = (port: number) => ({ redisUrl: new Secret(`redis://127.0.0.1:${port}`) });
  expect(resolveTargets(['redis'], named(6379), state)).toMatchObject({
    adminUrl: state.adminUrl,
    embeddedRedis: true,
  });
  const forwarded = resolveTargets(['redis', 'cosmos'], named(6380), state);
  expect(forwarded).toMatchObject({ local: true, embeddedRedis: false });
  expect(forwarded.adminUrl).toBeUndefined();
});

it('takes nothing from the stack for a target that was named', () => {
  expect(() => resolveTargets(['redis'], {}, state, 'staging')).toThrow(
    'target "staging" has no Redis connection',
  );
  expect(
    resolveTargets(['redis'], { redisUrl: new Secret('redis://contoso:6379') }, state, 'env').local,
  ).toBe(false);
  const inside = { redisUrl: new Secret('redis://127.0.0.1:6379') };
  expect(resolveTargets(['redis'], inside, state, 'env')).toMatchObject({ embeddedRedis: true });
});
