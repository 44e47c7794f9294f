import { expect, it } from 'vitest';
import { stallDetector } from '../../../src/pipeline/ingest/stall.ts';

it('takes a link for dead after three answers that the hub holds more than it brought', () => {
  const stalled = stallDetector();
  const view = (received: number, isBehind = true) => [{ partitionId: '0', received, isBehind }];
  expect(stalled(view(5))).toEqual([]);
  expect(stalled(view(5))).toEqual([]);
  expect(stalled(view(5))).toEqual(['0']);
  // One more after a new connection had its time.
  expect(stalled(view(5))).toEqual([]);
  expect(stalled(view(5))).toEqual([]);
  expect(stalled(view(5))).toEqual(['0']);
});

it('leaves alone what moves, and what has nothing to bring', () => {
  const stalled = stallDetector();
  for (let received = 0; received < 5; received++)
    expect(stalled([{ partitionId: '0', received, isBehind: true }])).toEqual([]);
  for (let answer = 0; answer < 5; answer++)
    expect(stalled([{ partitionId: '0', received: 5, isBehind: answer % 2 === 0 }])).toEqual([]);
});
