import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDurationMs, parseDurationMs } from '../../src/util/duration.ts';

describe('a duration', () => {
  it.each([
    [0, '0us'],
    [0.95, '950us'],
    [0.9997, '1.0ms'],
    [2.14, '2.1ms'],
    [9.97, '10ms'],
    [999.7, '1.0s'],
    [1_340, '1.3s'],
    [59_970, '1m00s'],
    [125_000, '2m05s'],
    [3_599_700, '1h00m'],
  ])('of %d ms is written %s', (ms, text) => {
    expect(formatDurationMs(ms)).toBe(text);
  });

  it('is read as it was written, but for what rounding takes', () => {
    fc.assert(
      fc.property(fc.double({ min: 1, max: 59_000, noNaN: true }), (ms) => {
        expect(Math.abs(parseDurationMs(formatDurationMs(ms)) - ms)).toBeLessThanOrEqual(0.0501 * ms);
      }),
    );
  });
});
