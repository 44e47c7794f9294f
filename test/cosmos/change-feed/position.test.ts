import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodePosition, encodePosition } from '../../../src/cosmos/change-feed/position.ts';
import { sessionLsn } from '../../../src/cosmos/change-feed/sdk-feed.ts';

it('survives encoding, whatever was read of each range', () => {
  const position = fc.record({
    rid: fc.string({ minLength: 1 }),
    mode: fc.constantFrom('latestVersion' as const, 'allVersions' as const),
    start: fc.oneof(fc.constantFrom('beginning' as const, 'now' as const), fc.record({ sinceMs: fc.nat() })),
    ranges: fc.tuple(
      fc.record({ min: fc.constant(''), max: fc.constant('1F') }),
      fc.record({
        min: fc.constant('1F'),
        max: fc.constant('FF'),
        continuation: fc.nat().map((n) => `"${n}"`),
      }),
    ),
  });
  fc.assert(
    fc.property(position, (value) => {
      expect(decodePosition(encodePosition(value))).toEqual(value);
    }),
  );
});

it.each([
  '',
  'x',
  '{}',
  '[]',
  'null',
  '{"format":"cosmos-pipe/feed-position/1","rid":"r","start":"now","ranges":[]}',
])('is refused with a usage error when it is %j', (text) => {
  expect(() => decodePosition(text)).toThrow('not a change feed position');
});

it('reads the head of a partition from every form of session token', () => {
  expect(sessionLsn('0:-1#27')).toBe(27);
  expect(sessionLsn('3:1#42#1=5#2=7')).toBe(42);
  expect(sessionLsn('0:27')).toBe(27);
  expect(sessionLsn('')).toBe(0);
});
