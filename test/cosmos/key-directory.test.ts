import { describe, expect, it } from 'vitest';
import { KeyDirectory } from '../../src/cosmos/writer/key-directory.ts';
import { createRangeLane } from '../../src/cosmos/writer/lanes.ts';
import { simulatedHash } from './simulated-service.ts';

const limits = { maxRequests: 4, maxOperations: 100 };
const range = (id: string) => createRangeLane(id, limits, undefined, 0);
const hash = (components: readonly unknown[]): string => simulatedHash(JSON.stringify(components));

function directory(generationSize?: number): KeyDirectory {
  const map = { minInclusive: ['', '80000000'], lanes: [range('0'), range('1')] };
  return new KeyDirectory(map, hash, generationSize);
}

describe('the lane of a partition key', () => {
  it('is one per key, however the key is written', () => {
    const keys = directory();
    expect(keys.laneOf('a')).toBe(keys.laneOf(['a']));
    expect(keys.laneOf(0)).toBe(keys.laneOf(-0));
    expect(keys.laneOf(undefined)).toBe(keys.laneOf([undefined]));
    const different = [
      '1',
      1,
      true,
      null,
      undefined,
      ['1', 1],
      '\u0000[1]',
      '\u0000["1"]',
      '["1",1]',
    ] as const;
    expect(new Set(different.map((key) => keys.laneOf(key))).size).toBe(different.length);
  });

  it('is forgotten when it was idle for long, and kept while it has work', () => {
    const keys = directory(10);
    const idle = keys.laneOf('idle');
    const busy = keys.laneOf('busy');
    busy.state = 'busy';
    for (let i = 0; i < 50; i++) keys.laneOf(`other-${i}`);
    expect(keys.laneOf('busy')).toBe(busy);
    expect(keys.laneOf('idle')).not.toBe(idle);
  });

  it('moves to the new range when its old one is gone', () => {
    const keys = directory();
    const lane = keys.laneOf('a');
    const before = lane.range;
    before.gone = true;
    const heirs = [range('2'), range('3')];
    keys.replaceMap({ minInclusive: ['', '80000000'], lanes: heirs });
    expect(keys.laneOf('a')).toBe(lane);
    expect(heirs).toContain(lane.range);
  });
});
