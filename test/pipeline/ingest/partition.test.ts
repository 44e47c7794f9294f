import { describe, expect, it } from 'vitest';
import type { Settled, WriteFence, WriteOutcome } from '../../../src/cosmos/write-operation.ts';
import type { ReceivedEvent } from '../../../src/eventhubs/received-event.ts';
import { createStageRecorder } from '../../../src/metrics/stage-recorder.ts';
import type { DeadLetterRecord } from '../../../src/pipeline/dead-letter/dead-letter.ts';
import {
  IngestPartition,
  type PartitionEnvironment,
  zeroTotals,
} from '../../../src/pipeline/ingest/partition.ts';
import { compileMapping } from '../../../src/pipeline/mapping/mapping.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { eventually } from '../../helpers/eventually.ts';

const OK: WriteOutcome = { ok: true, statusCode: 201, requestCharge: 5, attempts: 1 };
const failure = (statusCode: number, poison: boolean): WriteOutcome => ({
  ok: false,
  statusCode,
  reason: 'no',
  poison,
  attempts: 1,
});

function event(sequenceNumber: number, body = `{"id":"${sequenceNumber}","deviceId":"d"}`): ReceivedEvent {
  return {
    body: Buffer.from(body),
    sequenceNumber,
    offset: `o${sequenceNumber}`,
    enqueuedMs: Date.now(),
    partitionKey: 'd',
    properties: {},
  };
}

async function partition(changes: Partial<PartitionEnvironment> = {}) {
  let waiting: { id: string; settled: Settled; fence: WriteFence }[] = [];
  /** Ids that cannot be withdrawn any more. */
  const onTheWire = new Set<string>();
  const saved: number[] = [];
  const letters: DeadLetterRecord[] = [];
  const failures: Error[] = [];
  const totals = zeroTotals();
  const environment: PartitionEnvironment = {
    eventHub: 'hub',
    mapper: await compileMapping({}, ['/deviceId'], systemClock),
    write: ({ operation }, settled, fence) => {
      waiting.push({ id: operation.id, settled, fence });
      return undefined;
    },
    withdraw: (fence) => {
      fence.raised = true;
      const queued = waiting.filter((entry) => entry.fence === fence && !onTheWire.has(entry.id));
      waiting = waiting.filter((entry) => !queued.includes(entry));
      for (const { settled } of queued) settled(failure(0, false));
    },
    deadLetter: { name: 'test', write: async (record) => void letters.push(record), close: async () => {} },
    saveCheckpoint: async (_, position) => {
      saved.push(position.sequenceNumber);
      return true;
    },
    recorder: createStageRecorder('ingest', { clock: systemClock }),
    totals,
    clock: systemClock,
    fatal: (error) => failures.push(error),
    checkpointEvents: 1_000_000,
    checkpointIntervalMs: 1_000_000,
    checkpointGapMs: () => 250,
    maxUnsettled: 1_000,
    ...changes,
  };
  const settle = (id: number, outcome: WriteOutcome = OK) => {
    const index = waiting.findIndex((entry) => entry.id === String(id));
    waiting.splice(index, 1)[0]?.settled(outcome);
  };
  return {
    partition: new IngestPartition('0', environment),
    get waiting() {
      return waiting;
    },
    onTheWire,
    saved,
    letters,
    failures,
    totals,
    settle,
  };
}

describe('IngestPartition', () => {
  it('saves only what is durable without a gap', async () => {
    const { partition: p, saved, settle } = await partition({ checkpointIntervalMs: 0, checkpointEvents: 0 });
    await p.page([event(0), event(1), event(2)]);
    settle(2);
    p.checkpointIfDue();
    expect(p.durable).toBeUndefined();
    settle(0);
    const closed = p.close();
    expect(saved).toEqual([]);
    settle(1);
    await closed;
    expect(saved).toEqual([2]);
  });

  it('puts aside the very bytes of an event that the container refuses', async () => {
    const { partition: p, letters, settle } = await partition();
    // The mapper knows the shape of all but the first, and keeps their bytes; not those of one that ends in white space.
    const bodies = ['', '', ' ', '\n'].map((end, id) => `{"id":"${id}", "deviceId":"d"}${end}`);
    await p.page(bodies.map((body, id) => event(id, body)));
    for (const id of bodies.keys()) settle(id, failure(400, true));
    await eventually(() => letters.length === bodies.length);
    expect(letters.map(({ body }) => Buffer.from(body as string, 'base64').toString())).toEqual(bodies);
  });

  it('waits in close for everything on its way, and takes no more of the page', async () => {
    const { partition: p, saved, settle, totals, waiting } = await partition({ maxUnsettled: 2 });
    const page = p.page([event(0), event(1), event(2), event(3)]);
    await eventually(() => waiting.length === 2);
    const closed = p.close();
    await page;
    settle(0);
    settle(1);
    await closed;
    expect(saved).toEqual([1]);
    expect(totals).toMatchObject({ received: 2, stored: 2 });
  });

  it('sends and saves nothing more once another process writes', async () => {
    const subject = await partition();
    const { partition: p, failures, onTheWire, saved, settle, totals } = subject;
    await p.page([event(0), event(1), event(2), event(3)]);
    settle(0);
    onTheWire.add('1');
    const fence = new AbortController();
    const closed = p.close(fence.signal);
    expect(subject.waiting).toHaveLength(3);
    fence.abort();
    expect(subject.waiting.map(({ id }) => id)).toEqual(['1']);
    settle(1);
    await closed;
    expect(saved).toEqual([]);
    expect(failures).toEqual([]);
    expect(totals.stored).toBe(2);
  });

  it('holds the page back while too many events are ahead of the checkpoint', async () => {
    const { partition: p, settle, waiting } = await partition({ maxUnsettled: 3 });
    let pageDone = false;
    const page = p.page([0, 1, 2, 3, 4].map((n) => event(n))).then(() => {
      pageDone = true;
    });
    await eventually(() => waiting.length === 3);
    settle(1);
    settle(2);
    await Promise.resolve();
    expect([p.unsettled, waiting.length, pageDone]).toEqual([3, 1, false]);
    settle(0);
    await page;
    expect(waiting.map((entry) => entry.id)).toEqual(['3', '4']);
  });

  it('holds the page back while the writer pushes back', async () => {
    let release = () => {};
    const pressure = new Promise<void>((resolve) => {
      release = resolve;
    });
    let writes = 0;
    const { partition: p } = await partition({
      write: () => {
        writes += 1;
        return writes === 2 ? pressure : undefined;
      },
    });
    const page = p.page([event(0), event(1), event(2)]);
    await eventually(() => writes === 2);
    release();
    await page;
    expect(writes).toBe(3);
  });

  it('moves past a poison event once its dead letter is durable, with its bytes and its reason', async () => {
    let release = () => {};
    const written = new Promise<void>((resolve) => {
      release = resolve;
    });
    const letters: DeadLetterRecord[] = [];
    const {
      partition: p,
      saved,
      settle,
      totals,
    } = await partition({
      deadLetter: {
        name: 'slow',
        write: async (record) => {
          await written;
          letters.push(record);
        },
        close: async () => {},
      },
    });
    await p.page([event(0), event(1)]);
    settle(0, failure(413, true));
    settle(1);
    expect(p.durable).toBeUndefined();
    const closed = p.close();
    release();
    await closed;
    expect(saved).toEqual([1]);
    expect(totals).toMatchObject({ deadLettered: 1, stored: 1 });
    expect(letters).toMatchObject([
      { reason: 'rejected', detail: '413: no', sequenceNumber: 0, offset: 'o0' },
    ]);
    expect(Buffer.from(letters[0]?.body ?? '', 'base64').toString()).toBe('{"id":"0","deviceId":"d"}');
  });

  it('stops before an event that cannot be stored when there is no dead letter', async () => {
    const { partition: p, failures, saved, settle } = await partition({ deadLetter: undefined });
    await p.page([event(0), event(1, 'not json'), event(2)]);
    settle(0);
    settle(2);
    await p.close();
    expect(saved).toEqual([0]);
    expect(failures).toMatchObject([
      { code: 'E_CONFIG', message: expect.stringContaining('event 1 of partition 0') },
    ]);
  });

  it('stops before an event that the service did not take', async () => {
    for (const [statusCode, code] of [
      [0, 'E_UNREACHABLE'],
      [403, 'E_AUTH'],
      [404, 'E_NOT_FOUND'],
    ] as const) {
      const { partition: p, failures, letters, saved, settle } = await partition();
      await p.page([event(0), event(1), event(2)]);
      settle(0);
      settle(1, failure(statusCode, false));
      settle(2);
      await p.close();
      expect(saved).toEqual([0]);
      expect(letters).toEqual([]);
      expect(failures).toMatchObject([{ code }]);
    }
  });

  it('counts an item that was there already as durable', async () => {
    const { partition: p, saved, settle, totals } = await partition();
    await p.page([event(0), event(1)]);
    settle(0, failure(409, true));
    settle(1, failure(412, true));
    await p.close();
    expect(saved).toEqual([1]);
    expect(totals).toMatchObject({ alreadyStored: 2, stored: 0, deadLettered: 0 });
  });

  it('counts events that were never delivered', async () => {
    const { partition: p, settle, totals } = await partition();
    await p.page([event(5), event(6), event(10), event(9), event(11)]);
    for (const n of [5, 6, 9, 10, 11]) settle(n);
    await p.close();
    expect(totals.missing).toBe(3);
  });

  it('tries a checkpoint again that could not be saved', async () => {
    const saved: number[] = [];
    let works = false;
    const { partition: p, settle } = await partition({
      checkpointIntervalMs: 0,
      saveCheckpoint: async (_, position) => {
        if (works) saved.push(position.sequenceNumber);
        return works;
      },
    });
    await p.page([event(0)]);
    settle(0);
    p.checkpointIfDue();
    works = true;
    await p.close();
    expect(saved).toEqual([0]);
  });

  it('says of every page when everything up to its end is durable', async () => {
    const finished: number[] = [];
    const { partition: subject, settle } = await partition({
      onPage: (_, events) => () => finished.push(events.at(-1)?.sequenceNumber ?? -1),
    });
    await subject.page([event(0), event(1)]);
    await subject.page([event(2)]);
    settle(2);
    settle(1);
    expect(finished).toEqual([]);
    settle(0);
    expect(finished).toEqual([1, 2]);
  });
});
