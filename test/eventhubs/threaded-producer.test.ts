import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { createFaults } from '../../src/local/faults/faults.ts';
import { systemClock as clock } from '../../src/util/clock.ts';
import { seededRandom } from '../../src/util/random.ts';
import { Secret } from '../../src/util/secret.ts';
import { KeyTable } from '../../src/workload/keys.ts';
import { DIST } from '../helpers/build.ts';
import { REFUSING_PORT } from '../helpers/ports.ts';
import { consumer, start, subscribe } from '../local/event-hubs/clients.ts';

/** Threads run the build. */
const built = async <T>(path: string): Promise<T> =>
  (await import(pathToFileURL(resolve(DIST, path)).href)) as T;
const { openThreadedProducer } = await built<typeof import('../../src/eventhubs/threaded-producer.ts')>(
  'src/eventhubs/threaded-producer.js',
);
const { EncodedBatch } = await built<typeof import('../../src/eventhubs/encoded-batch.ts')>(
  'src/eventhubs/encoded-batch.js',
);
const { eventEncoding } = await built<typeof import('../../src/eventhubs/event-encoding.ts')>(
  'src/eventhubs/event-encoding.js',
);

const target = (connectionString: string) => ({
  connectionString: new Secret(connectionString),
  eventHub: 'telemetry',
  consumerGroup: '$Default',
});

const keys = new KeyTable();

function batchOf(count: number, options: { readonly idempotent?: boolean; readonly shared?: boolean } = {}) {
  const { idempotent = false, shared = true } = options;
  const encoding = eventEncoding({ run: 'r', annotateKey: true, idempotent });
  const bytes = 64 * 1024;
  const batch = new EncodedBatch(encoding, shared ? new SharedArrayBuffer(bytes) : bytes, 100);
  const key = keys.intern('device');
  for (let n = 0; n < count; n += 1) {
    const at = batch.begin(keys, keys, key, n, n);
    batch.commit(at + batch.buffer.write(`{"n":${n}}`, at));
  }
  batch.partitionId = '0';
  return batch;
}

it.each([{ publicApiOnly: false }, { publicApiOnly: true }, { idempotent: true }])(
  'sends batches of shared memory from its own thread, in order: %j',
  async (options) => {
    const service = await start();
    const producer = await openThreadedProducer(target(service.connectionString), options);
    expect(producer.partitionIds).toEqual(['0', '1', '2', '3']);
    expect(await producer.send(batchOf(3, options))).toBeUndefined();
    expect(await producer.send(batchOf(2, options))).toBeUndefined();
    await producer.close();
    const events = await subscribe(consumer(service), '0').until(5);
    expect(events.map(({ body }) => (body as { n: number }).n)).toEqual([0, 1, 2, 0, 1]);
    expect(events[0]).toMatchObject({ partitionKey: 'device', properties: { 'cp-run': 'r', 'cp-seq': 0 } });
  },
);

it('tells the kinds of failure apart as a producer of this thread does', async () => {
  const faults = createFaults('event-hubs', { clock, random: seededRandom(1) });
  const service = await start({ faults });
  const producer = await openThreadedProducer(target(service.connectionString), {});
  faults.add('event-hubs:server-busy=100%');
  expect(await producer.send(batchOf(1))).toMatchObject({
    kind: 'throttled',
    name: 'ServerBusyError',
    outcomeUnknown: false,
  });
  expect(() => producer.send(batchOf(1, { shared: false }))).toThrow(/shared memory/);
  await producer.close();
  expect(await producer.send(batchOf(1))).toMatchObject({
    kind: 'fatal',
    error: { message: 'the sending thread ended' },
  });
});

it('names the host when nothing listens there', async () => {
  const connection = `Endpoint=sb://127.0.0.1:${REFUSING_PORT};SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0;UseDevelopmentEmulator=true`;
  await expect(openThreadedProducer(target(connection), {})).rejects.toMatchObject({
    name: 'PipeError',
    code: 'E_UNREACHABLE',
    message: expect.stringMatching(/^cannot reach Event Hubs at 127\.0\.0\.1:2 (?!.*c2VjcmV0)/) as string,
  });
});
