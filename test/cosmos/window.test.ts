import { expect, it } from 'vitest';
import { createWindow } from '../../src/cosmos/writer/window.ts';

it('grows by one request per round of answers and stops at its limit', () => {
  const window = createWindow({ maxRequests: 4, maxOperations: 100 });
  expect(window.requests).toBe(2);
  for (let i = 0; i < 3; i++) window.widen(i * 10, i * 10 + 5);
  expect(window.requests).toBe(3);
  for (let i = 3; i < 50; i++) window.widen(i * 10, i * 10 + 5);
  expect(window.requests).toBe(4);
});

it('halves once for a burst of push-back and shrinks requests to what was stored', () => {
  const window = createWindow({ maxRequests: 16, maxOperations: 100 });
  for (let i = 0; i < 200; i++) window.widen(i, i + 1);
  const before = window.requests;
  for (let sentAt = 300; sentAt < 304; sentAt++) window.narrow(sentAt, 310, 12);
  expect(window.requests).toBe(before / 2);
  expect(window.operations).toBe(12);
  window.narrow(311, 320, 0);
  expect(window.operations).toBe(6);
});

it('doubles requests back to full before it asks for more of them, and never falls to nothing', () => {
  const window = createWindow({ maxRequests: 16, maxOperations: 100 });
  for (let i = 0; i < 20; i++) window.narrow(i * 10 + 1, i * 10 + 5, 0);
  expect([window.requests, window.operations]).toEqual([1, 1]);
  for (let i = 0; i < 7; i++) window.widen(1_000 + i * 10, 1_005 + i * 10);
  expect([window.requests, window.operations]).toEqual([1, 100]);
  window.widen(2_000, 2_005);
  expect(window.requests).toBe(2);
});

it('does not grow while answers get slower: a queue at the server buys nothing', () => {
  const window = createWindow({ maxRequests: 16, maxOperations: 100 });
  window.widen(0, 5);
  const before = window.requests;
  for (let i = 1; i < 50; i++) window.widen(i * 100, i * 100 + 40);
  expect(window.requests).toBe(before);
});
