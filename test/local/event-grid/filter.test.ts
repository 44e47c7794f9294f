import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AdvancedFilter, checkFilter, mismatch } from '../../../src/local/event-grid/filter.ts';

const event = {
  id: '1',
  subject: '/Orders/42/items',
  eventType: 'Order.Created',
  data: {
    n: 5,
    text: 'Hello World',
    on: true,
    tags: ['red', 'Blue'],
    counts: [1, 20],
    nothing: null,
    a: { b: 7 },
  },
};

const matches = (operatorType: string, key: string, values: unknown, arrays = false): boolean => {
  const filter: AdvancedFilter = Array.isArray(values)
    ? { operatorType, key, values }
    : { operatorType, key, value: values };
  return (
    mismatch({ advancedFilters: [filter], enableAdvancedFilteringOnArrays: arrays }, event) === undefined
  );
};

describe('advanced filters', () => {
  it.each([
    ['NumberIn', [4, 5], [4, 6]],
    ['NumberNotIn', [4, 6], [4, 5]],
    ['NumberLessThan', 6, 5],
    ['NumberGreaterThan', 4, 5],
    ['NumberLessThanOrEquals', 5, 4],
    ['NumberGreaterThanOrEquals', 5, 6],
    [
      'NumberInRange',
      [[1, 5]],
      [
        [6, 9],
        [1, 4],
      ],
    ],
    ['NumberNotInRange', [[6, 9]], [[1, 5]]],
  ])('%s compares numbers', (operator, yes, no) => {
    expect(matches(operator, 'data.n', yes)).toBe(true);
    expect(matches(operator, 'data.n', no)).toBe(false);
  });

  it.each([
    ['StringIn', ['hello world', 'x'], ['hello']],
    ['StringNotIn', ['hello'], ['HELLO WORLD']],
    ['StringContains', ['LO W'], ['xyz']],
    ['StringNotContains', ['xyz'], ['xyz', 'World']],
    ['StringBeginsWith', ['nope', 'hell'], ['world']],
    ['StringNotBeginsWith', ['world'], ['hell']],
    ['StringEndsWith', ['WORLD'], ['hello']],
    ['StringNotEndsWith', ['hello'], ['world']],
  ])('%s compares texts without case, its values joined by OR', (operator, yes, no) => {
    expect(matches(operator, 'data.text', yes)).toBe(true);
    expect(matches(operator, 'data.text', no)).toBe(false);
  });

  it.each([
    ['BoolEquals', 'data.on', true, true],
    ['BoolEquals', 'data.on', false, false],
    ['IsNotNull', 'data.n', undefined, true],
    ['IsNotNull', 'data.nothing', undefined, false],
    ['IsNotNull', 'data.missing', undefined, false],
    ['IsNullOrUndefined', 'data.nothing', undefined, true],
    ['IsNullOrUndefined', 'data.missing', undefined, true],
    ['IsNullOrUndefined', 'data.n', undefined, false],
    ['NumberIn', 'DATA.A.b', [7], true],
    ['StringBeginsWith', 'Subject', ['/orders'], true],
  ])('%s on %s with %j', (operator, key, value, expected) => {
    expect(matches(operator, key, value)).toBe(expected);
  });

  it.each([
    ['NumberIn', [1], false],
    ['NumberNotIn', [1], true],
    ['NumberLessThan', 1, false],
    ['NumberGreaterThan', 1, false],
    ['NumberLessThanOrEquals', 1, false],
    ['NumberGreaterThanOrEquals', 1, false],
    ['NumberInRange', [[1, 2]], false],
    ['NumberNotInRange', [[1, 2]], false],
    ['BoolEquals', true, false],
    ['StringIn', ['x'], false],
    ['StringNotIn', ['x'], true],
    ['StringContains', ['x'], false],
    ['StringNotContains', ['x'], false],
    ['StringBeginsWith', ['x'], false],
    ['StringNotBeginsWith', ['x'], false],
    ['StringEndsWith', ['x'], false],
    ['StringNotEndsWith', ['x'], false],
  ])('%s of a missing key is what is documented', (operator, value, expected) => {
    expect(matches(operator, 'data.missing', value)).toBe(expected);
    expect(matches(operator, 'data.nothing', value)).toBe(expected);
  });

  it('looks into arrays only when told to', () => {
    expect(matches('StringIn', 'data.tags', ['blue'])).toBe(false);
    expect(matches('StringIn', 'data.tags', ['blue'], true)).toBe(true);
    expect(matches('StringNotIn', 'data.tags', ['blue'], true)).toBe(false);
    expect(matches('NumberGreaterThan', 'data.counts', 19, true)).toBe(true);
  });

  it('compares values of the right type only', () => {
    expect(matches('NumberIn', 'data.text', [5])).toBe(false);
    expect(matches('StringContains', 'data.n', ['5'])).toBe(false);
    expect(matches('BoolEquals', 'data.n', true)).toBe(false);
  });

  it('needs all filters: one that fails is named', () => {
    const advancedFilters = [
      { operatorType: 'NumberIn', key: 'data.n', values: [5] },
      { operatorType: 'StringContains', key: 'data.text', values: ['xyz'] },
    ];
    expect(mismatch({ advancedFilters }, event)).toBe(
      `StringContains on 'data.text': the value is "Hello World"`,
    );
  });

  it('a number is in a set or not in it', () => {
    const number = fc.integer({ min: -3, max: 3 });
    fc.assert(
      fc.property(number, fc.array(number, { minLength: 1 }), (n, values) => {
        const of = (operatorType: string): boolean =>
          mismatch({ advancedFilters: [{ operatorType, key: 'data.n', values }] }, { data: { n } }) ===
          undefined;
        expect(of('NumberIn')).toBe(!of('NumberNotIn'));
        expect(of('NumberIn')).toBe(values.includes(n));
      }),
    );
  });
});

describe('type and subject', () => {
  it.each([
    [{ includedEventTypes: ['order.created'] }, undefined],
    [{ includedEventTypes: ['All'] }, undefined],
    [{ includedEventTypes: ['Order.Deleted'] }, `event type 'Order.Created' is not among Order.Deleted`],
    [{ subjectBeginsWith: '/orders/', subjectEndsWith: 'ITEMS' }, undefined],
    [
      { subjectBeginsWith: '/orders/', isSubjectCaseSensitive: true },
      `subject '/Orders/42/items' does not begin with '/orders/'`,
    ],
    [{ subjectEndsWith: '.jpg' }, `subject '/Orders/42/items' does not end with '.jpg'`],
  ])('%j', (filter, expected) => {
    expect(mismatch(filter, event)).toBe(expected);
  });
});

describe('limits', () => {
  const one = (operatorType: string, values?: readonly unknown[]): AdvancedFilter => ({
    operatorType,
    key: 'data.n',
    ...(values && { values }),
  });
  it.each([
    ['26 filters', Array.from({ length: 26 }, () => one('IsNotNull')), /26 advanced filters/],
    [
      '26 values over two filters',
      [one('NumberIn', Array(20).fill(1)), one('NumberIn', Array(6).fill(1))],
      /26 values/,
    ],
    ['a long value', [one('StringIn', ['x'.repeat(513)])], /512 characters/],
    ['an unknown operator', [one('NumberEquals', [1])], /NumberEquals/],
    ['no value', [one('NumberIn', [])], /no value/],
    ['a text where a number belongs', [one('NumberLessThan', ['5'])], /not of the type/],
    ['a range that is none', [one('NumberInRange', [5])], /not of the type/],
  ])('refuses %s', (_, advancedFilters, message) => {
    expect(() => checkFilter({ advancedFilters })).toThrow(message);
  });

  it('takes 25 of both', () => {
    const filters = Array.from({ length: 25 }, () => one('NumberIn', [1]));
    expect(() => checkFilter({ advancedFilters: filters })).not.toThrow();
  });
});
