import { expect, it } from 'vitest';
import { compile, SqlError } from '../../../src/local/cosmos/sql/index.ts';

const resultOf = (expression: string): unknown => compile(`SELECT VALUE ${expression}`).execute([], {}, 0)[0];

// The examples of Microsoft's reference of DATETIMEBIN.
it.each([
  ['DateTimeBin("2021-01-08T18:35:00.0000000", "dd")', '2021-01-08T00:00:00.0000000Z'],
  ['DateTimeBin("2021-01-08T18:35:00.0000000", "hh", 5)', '2021-01-08T15:00:00.0000000Z'],
  ['DateTimeBin("2021-01-08T18:35:00.0000000", "dd", 7)', '2021-01-07T00:00:00.0000000Z'],
  [
    'DateTimeBin("2021-01-08T18:35:00.0000000", "dd", 7, "1601-01-01T00:00:00.0000000")',
    '2021-01-04T00:00:00.0000000Z',
  ],
  ['DateTimeBin("2021-05-08T18:35:00Z", "mm", 3)', '2021-04-01T00:00:00.0000000Z'],
  ['DateTimeBin("2021-05-08T18:35:00Z", "dd", 0)', undefined],
  ['IntBitAnd(6, 3)', 2],
  ['IntBitOr(6, 3)', 7],
  ['IntBitXor(6, 3)', 5],
  ['IntBitNot(1)', -2],
  ['IntBitLeftShift(16, 4)', 256],
  ['IntBitRightShift(16, 4)', 1],
  ['IntBitLeftShift(1, 64)', undefined],
  ['IntBitAnd(6)', undefined],
  ['StringJoin(["a", "b"], "-")', 'a-b'],
  ['StringJoin(["a", 1], "-")', undefined],
  ['StringSplit("a-b", "-")', ['a', 'b']],
  ['ARRAY_CONTAINS_ANY(["a", "b"], "x", "b")', true],
  ['ARRAY_CONTAINS_ANY(["a", "b"], ["x", "b"])', true],
  ['ARRAY_CONTAINS_ALL(["a", "b"], "a", "x")', false],
  ['ARRAY_CONTAINS_ALL(["a", "b"], ["a", "b"])', true],
  ['RAND() >= 0 AND RAND() < 1', true],
])('%s is %j', (expression, expected) => {
  expect(resultOf(expression)).toEqual(expected);
});

it('says that user-defined functions are not emulated', () => {
  expect(() => compile('SELECT udf.tax(c.price) FROM c')).toThrow(SqlError);
  expect(() => compile('SELECT udf.tax(c.price) FROM c')).toThrow("'tax' is not emulated");
});
