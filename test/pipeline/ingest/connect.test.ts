import { expect, it } from 'vitest';
import { openWhenReachable } from '../../../src/pipeline/ingest/connect.ts';
import { PipeError } from '../../../src/util/errors.ts';
import { createVirtualClock } from '../../helpers/virtual-clock.ts';

/** Opens something that fails `failures` times, on a virtual clock. */
async function open(failures: number, connectMs: number, code: 'E_UNREACHABLE' | 'E_AUTH' = 'E_UNREACHABLE') {
  const clock = createVirtualClock();
  const problems: string[] = [];
  let attempts = 0;
  let result: unknown;
  const options = {
    clock,
    connectMs,
    signal: new AbortController().signal,
    onProblem: (message: string) => problems.push(message),
  };
  const finished = openWhenReachable(options, async () => {
    attempts += 1;
    if (attempts <= failures) throw new PipeError(code, 'cannot reach it');
    return 'open';
  }).then(
    (value) => {
      result = value;
    },
    (error: PipeError) => {
      result = error.code;
    },
  );
  await clock.runUntil(() => result !== undefined);
  await finished;
  return { attempts, elapsedMs: clock.now(), problems, result };
}

it('tries again, ever more slowly, and says so once', async () => {
  expect(await open(4, 10_000)).toEqual({
    attempts: 5,
    elapsedMs: 250 + 500 + 1_000 + 2_000,
    problems: ['cannot reach it; trying again for 10s'],
    result: 'open',
  });
});

it('gives up when the time is over, at once without any, and never repeats a refusal', async () => {
  expect(await open(99, 3_000)).toMatchObject({ elapsedMs: 3_000, result: 'E_UNREACHABLE' });
  expect(await open(99, 0)).toMatchObject({ attempts: 1, result: 'E_UNREACHABLE', problems: [] });
  expect(await open(99, 3_000, 'E_AUTH')).toMatchObject({ attempts: 1, result: 'E_AUTH', problems: [] });
});
