import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Settled, WriteOperation, WriteOutcome } from '../../../src/cosmos/write-operation.ts';
import { newerOnlyWriter } from '../../../src/pipeline/ingest/newer.ts';

const operation = (version: number): WriteOperation => ({
  kind: 'create',
  id: 'device',
  partitionKey: 'device',
  body: JSON.stringify({ id: 'device', v: version }),
});

/** One item with an etag, and turns of the event loop between every request and its answer. */
function oneItem(turns: () => number) {
  let stored: { item: { v: number }; etag: string } | undefined;
  let etag = 0;
  const later = async () => {
    for (let i = turns(); i > 0; i--) await Promise.resolve();
  };
  const answer = (op: WriteOperation): WriteOutcome => {
    const refuse = (statusCode: number): WriteOutcome => ({
      ok: false,
      statusCode,
      reason: '',
      poison: true,
      attempts: 1,
    });
    if (op.kind === 'create' && stored !== undefined) return refuse(409);
    if (op.kind === 'replace' && stored?.etag !== op.ifMatch) return refuse(412);
    etag += 1;
    stored = { item: JSON.parse(op.body), etag: String(etag) };
    return { ok: true, statusCode: 200, requestCharge: 5, attempts: 1 };
  };
  return {
    write(op: WriteOperation, settled: Settled): undefined {
      void later().then(() => settled(answer(op)));
    },
    async read() {
      await later();
      return stored && { ...stored, requestCharge: 1 };
    },
    get version() {
      return stored?.item.v;
    },
  };
}

it('ends with the newest version whatever the order of arrival and of answers', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 12 }),
      fc.array(fc.nat({ max: 6 }), { minLength: 8 }),
      async (versions, delays) => {
        let step = 0;
        const item = oneItem(() => delays[step++ % delays.length] as number);
        const write = newerOnlyWriter(item, item.read, ['v']);
        const outcomes = await Promise.all(
          versions.map(
            (version) => new Promise<WriteOutcome>((resolve) => write(operation(version), version, resolve)),
          ),
        );
        expect(item.version).toBe(Math.max(...versions));
        for (const outcome of outcomes) if (!outcome.ok) expect(outcome.statusCode).toBe(412);
      },
    ),
    { numRuns: 200 },
  );
});

it('hands on what is no conflict, and a failing read as a failure of the service', async () => {
  const settle = (statusCode: number) => ({
    write(_: WriteOperation, settled: Settled): undefined {
      settled({ ok: false, statusCode, reason: 'no', poison: true, attempts: 1 });
    },
  });
  const read = async () => {
    throw new Error('unreachable');
  };
  const outcome = (statusCode: number) =>
    new Promise<WriteOutcome>((resolve) =>
      newerOnlyWriter(settle(statusCode), read, ['v'])(operation(1), 1, resolve),
    );
  expect(await outcome(400)).toMatchObject({ ok: false, statusCode: 400 });
  expect(await outcome(409)).toMatchObject({
    ok: false,
    statusCode: 0,
    poison: false,
    reason: 'unreachable',
  });
});
