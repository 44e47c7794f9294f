import fc from 'fast-check';
import { expect, it } from 'vitest';
import { documentTexts } from '../../../src/cosmos/change-feed/document-texts.ts';

const reply = (texts: readonly string[]): string =>
  `{"_rid":"AAAA==","Documents":[${texts.join(',')}],"_count":${texts.length}}`;

/** As the reader has it: the reply parsed, and its text. */
const textsOf = (texts: readonly string[]) =>
  documentTexts(
    reply(texts),
    texts.map((text) => JSON.parse(text)),
  );

it('finds every document of a reply, whatever stands in it, or says that it cannot', () => {
  const awkward = fc.constantFrom('_lsn', ',"_lsn":7}', ',"_lsn', '"_lsn":7},{"', '\\', '}],');
  const text = fc.oneof(fc.string(), awkward);
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ depthSize: 'small' }, text, fc.integer(), tie('array'), tie('object')),
    array: fc.array(tie('value'), { maxLength: 3 }),
    object: fc.dictionary(text, tie('value'), { maxKeys: 3 }),
  }));
  const document = fc.dictionary(text, value, { maxKeys: 4 });
  let found = 0;
  fc.assert(
    fc.property(fc.array(document, { minLength: 1, maxLength: 4 }), fc.nat(), (documents, lsn) => {
      const texts = documents.map(({ _lsn: _, ...rest }, index) =>
        JSON.stringify({ id: `${index}`, ...rest, _lsn: lsn + index }),
      );
      const cut = textsOf(texts);
      if (cut === undefined) return;
      found++;
      expect(cut).toEqual(texts);
    }),
  );
  expect(found).toBeGreaterThan(50);
});

it('leaves numbers as they are written', () => {
  const texts = ['{"price":1.50,"_lsn":1}', '{"big":12345678901234567890,"_lsn":2}'];
  expect(textsOf(texts)).toEqual(texts);
});

it('cannot tell where an item holds what looks like the end of one', () => {
  const inner = '{"list":[{"a":1,"_lsn":7},{"b":1,"_lsn":8}],"_lsn":9}';
  expect(textsOf([inner])).toBeUndefined();
  expect(textsOf(['{"a":{"b":1,"_lsn":0},"_lsn":0}', '{"id":"1","_lsn":1}'])).toBeUndefined();
  expect(textsOf(['{"id":"1","_lsn":6}', inner])).toBeUndefined();
  expect(textsOf(['{"list":[{"a":1,"_lsn":7},{"b":1}],"id":"1"}', '{"id":"2","_lsn":9}'])).toBeUndefined();
});

it('says so when the reply is not written as the service does', () => {
  expect(textsOf(['{"_lsn":1}'])).toBeUndefined();
  expect(textsOf(['{"_lsn":1,"list":[{"a":1,"_lsn":2},{}]}'])).toBeUndefined();
  expect(textsOf(['{"id":"1","_lsn":1,"more":1}'])).toBeUndefined();
  expect(textsOf(['{"id":"1", "_lsn":1 }'])).toBeUndefined();
  expect(documentTexts('{"message":"refused"}', [{ _lsn: 1 }])).toBeUndefined();
});
