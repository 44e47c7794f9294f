import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseFeedFilter } from '../../../src/pipeline/feed/filter.ts';
import { changeOf } from './change.ts';

const change = changeOf({
  type: 'TEMP',
  value: 12.5,
  ok: true,
  none: null,
  tags: ['a', 'b'],
  complexData: { moreData0: 7 },
  odd: 'say "hi"',
});

describe('a filter', () => {
  it.each([
    ['type == "TEMP"', true],
    ["type != 'TEMP'", false],
    ['value > 12 && value <= 12.5', true],
    ['value < -1e3 || ok', true],
    ['ok == true && none == null', true],
    ['complexData.moreData0 >= 7', true],
    ['type in ("CO2", "TEMP")', true],
    ['value in (1, 2)', false],
    ['tags contains "b"', true],
    ['type contains "EM"', true],
    ['type startsWith "TE"', true],
    ['exists(complexData.moreData0) && !exists(complexData.moreData1)', true],
    ['!(type == "TEMP")', false],
    ['missing == "x"', false],
    ['missing != "x"', true],
    ['missing > 1 || missing < 1', false],
    ['value > "1"', false],
    ['odd == "say \\"hi\\""', true],
    ['$operation == "upsert" && $lsn == 1 && $key == "dev-1"', true],
    ['ok || ok && missing', true],
    ['toString', false],
    ['exists(constructor)', false],
  ])('%s is %s', (text, expected) => {
    expect(parseFeedFilter(text)(change)).toBe(expected);
  });

  it.each([
    '',
    'type ==',
    'type == ',
    '== 3',
    'type = "x"',
    '(a == 1',
    'a == 1 b',
    '$nope == 1',
    'a == b',
    'process.exit()',
    'a in 3',
  ])('is refused with the grammar: %j', (text) => {
    expect(() => parseFeedFilter(text)).toThrow(/invalid filter/);
  });

  it('either is understood or refused, whatever the text', () => {
    const words = fc.constantFrom(
      'a',
      '"b"',
      '1',
      '==',
      '&&',
      '||',
      '!',
      '(',
      ')',
      'in',
      ',',
      'exists',
      '<',
      '$lsn',
      '#',
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 12 }), (parts) => {
        try {
          expect(typeof parseFeedFilter(parts.join(' '))(change)).toBe('boolean');
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('compares numbers as JavaScript does', () => {
    const operators = fc.constantFrom('==', '!=', '<', '<=', '>', '>=');
    fc.assert(
      fc.property(fc.integer(), operators, fc.integer(), (left, operator, right) => {
        const expected: Record<string, boolean> = {
          '==': left === right,
          '!=': left !== right,
          '<': left < right,
          '<=': left <= right,
          '>': left > right,
          '>=': left >= right,
        };
        const filter = parseFeedFilter(`value ${operator} ${right}`);
        expect(filter(changeOf({ value: left }))).toBe(expected[operator]);
      }),
    );
  });
});
