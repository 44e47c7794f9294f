import { expect, it } from 'vitest';
import { prometheusText, startHealthServer } from '../../../src/pipeline/ingest/health.ts';
import type { IngestProgress } from '../../../src/pipeline/ingest/types.ts';

const progress: IngestProgress = {
  phase: 'running',
  elapsedMs: 1_000,
  totals: {
    received: 10,
    stored: 9,
    storedBytes: 900,
    alreadyStored: 0,
    skipped: 0,
    deadLettered: 1,
    requestCharge: 50.5,
    missing: 0,
  },
  partitions: [
    {
      partitionId: '0',
      owner: 'a',
      sequenceNumber: 8,
      lagEvents: 2,
      lagMs: 1_500,
      checkpointAgeMs: 250,
      unsettled: 1,
    },
    {
      partitionId: '1',
      owner: undefined,
      sequenceNumber: undefined,
      lagEvents: undefined,
      lagMs: undefined,
      checkpointAgeMs: 0,
      unsettled: 0,
    },
  ],
  writer: {
    inFlight: 3,
    buffered: 4,
    bufferedBytes: 400,
    perRange: [
      {
        rangeId: '7',
        queued: 0,
        requestsInFlight: 1,
        window: 2,
        requestCharge: 50,
        throttled: 6,
        written: 9,
      },
    ],
  },
};

it('answers probes by what the process can do', async () => {
  let now = 0;
  const server = await startHealthServer({ host: '127.0.0.1', port: 0, now: () => now });
  const get = async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return [response.status, await response.text()];
  };
  try {
    expect(await get('/health')).toEqual([503, '{"status":"starting"}\n']);
    server.update(progress);
    expect(await get('/health')).toEqual([200, '{"status":"ok"}\n']);
    now = 16_000;
    expect(await get('/health')).toEqual([503, '{"status":"stuck"}\n']);
    server.update({ ...progress, phase: 'draining' });
    expect(await get('/health')).toEqual([503, '{"status":"draining"}\n']);
    expect((await get('/metrics'))[1]).toBe(prometheusText(progress));
    expect((await get('/other'))[0]).toBe(404);
    expect((await get('/health', 'POST'))[0]).toBe(405);
    await expect(
      startHealthServer({ host: '127.0.0.1', port: server.port, now: () => 0 }),
    ).rejects.toMatchObject({
      code: 'E_PORT_IN_USE',
    });
  } finally {
    await server.close();
  }
});

it('writes the Prometheus text format, with what is known only', () => {
  const text = prometheusText(progress);
  expect(text).toContain(
    '# HELP cosmos_pipe_ingest_stored_total Events stored in Cosmos DB.\n# TYPE cosmos_pipe_ingest_stored_total counter\ncosmos_pipe_ingest_stored_total 9\n',
  );
  expect(text).toContain('cosmos_pipe_ingest_lag_seconds{partition="0"} 1.5\n');
  expect(text).toContain('cosmos_pipe_ingest_throttled_total{range="7"} 6\n');
  expect(text).not.toContain('partition="1"');
  expect(text.endsWith('\n')).toBe(true);
});
