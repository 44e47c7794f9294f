import { expect, it } from 'vitest';
import { parseStartFrom, sdkPosition } from '../../src/eventhubs/processor-position.ts';

const partition = {
  partitionId: '0',
  beginningSequenceNumber: 0,
  lastSequenceNumber: 41,
  lastOffset: '9000',
  lastEnqueuedMs: 0,
  isEmpty: false,
};

it.each([
  ['earliest', { offset: '-1' }],
  ['latest', { offset: '9000' }],
  ['17', { sequenceNumber: 17, isInclusive: true }],
  ['-10m', { enqueuedOn: 400_000 }],
  ['1970-01-01T00:00:30Z', { enqueuedOn: 30_000 }],
])('starts at %s', (text, position) => {
  expect(sdkPosition(parseStartFrom(text, 1_000_000), partition)).toEqual(position);
});

it('starts an empty partition at its beginning when asked for the latest', () => {
  expect(sdkPosition({ kind: 'latest' }, { ...partition, lastSequenceNumber: -1, isEmpty: true })).toEqual({
    offset: '-1',
  });
});

it('shows the accepted forms when it cannot read a position', () => {
  expect(() => parseStartFrom('yesterday', 0)).toThrow('invalid start position "yesterday"');
  expect(() => parseStartFrom('-soon', 0)).toThrow('invalid start position "-soon"');
});
