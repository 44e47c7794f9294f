import fc from 'fast-check';
import { expect, it } from 'vitest';
import { documentTexts } from '../../../src/cosmos/change-feed/document-texts.ts';

const reply = (documents: string): string => `{"_rid":"AAAA==","Documents":[${documents}],"_count":1}`;

it('finds every document of a reply, whatever stands in it', () => {
  const document = fc.dictionary(fc.string(), fc.jsonValue({ noUnicodeString: false }));
  fc.assert(
    fc.property(fc.array(document, { minLength: 1, maxLength: 5 }), (documents) => {
      const texts = documents.map((one) => JSON.stringify(one));
      expect(documentTexts(reply(texts.join(',')), texts.length)).toEqual(texts);
    }),
  );
});

it('leaves brackets, quotes and backslashes inside strings alone, and numbers as they are written', () => {
  const texts = [String.raw`{"a":"}],{\"\\","b":[{},{"c":1.50}],"\"{":1}`, '{"big":12345678901234567890}'];
  expect(documentTexts(reply(texts.join(',')), 2)).toEqual(texts);
});

it('says so when the reply is not of the known form', () => {
  expect(documentTexts(reply('{"a":1}'), 2)).toBeUndefined();
  expect(documentTexts(reply('{"a":1}, {"a":2}'), 2)).toBeUndefined();
  expect(documentTexts(reply('{"a":1} '), 1)).toBeUndefined();
  expect(documentTexts(reply(''), 0)).toBeUndefined();
  expect(documentTexts(reply('1'), 1)).toBeUndefined();
  expect(documentTexts('{"Documents":[{"a":"', 1)).toBeUndefined();
  expect(documentTexts('{"Documents":[{"a":"\\', 1)).toBeUndefined();
  expect(documentTexts('{"Documents":[{"a":1}', 1)).toBeUndefined();
  expect(documentTexts('{"message":"refused"}', 0)).toBeUndefined();
});
