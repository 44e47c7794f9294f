import { mkdtemp, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventHubConsumerClient, earliestEventPosition } from '@azure/event-hubs';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import type { FeedProcessor } from '../../../src/cosmos/change-feed/processor.ts';
import type { FeedChange, FeedHandler } from '../../../src/cosmos/change-feed/types.ts';
import { partitionForKey } from '../../../src/hashing/partition-for-key.ts';
import { startEventHubs } from '../../../src/local/event-hubs/index.ts';
import { startRedis } from '../../../src/local/redis/index.ts';
import { feedDeadLetter } from '../../../src/pipeline/feed/dead-letter.ts';
import { eventHubSink } from '../../../src/pipeline/feed/event-hub-sink.ts';
import { execSink } from '../../../src/pipeline/feed/exec-sink.ts';
import { redisSink } from '../../../src/pipeline/feed/redis-sink.ts';
import { loadPosition, savePosition } from '../../../src/pipeline/feed/resume.ts';
import { deliverToAll, type FeedSink } from '../../../src/pipeline/feed/sink.ts';
import { tailProcessor } from '../../../src/pipeline/feed/tail.ts';
import { webhookSink } from '../../../src/pipeline/feed/webhook-sink.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { Secret } from '../../../src/util/secret.ts';
import { eventually } from '../../helpers/eventually.ts';
import { REFUSING_PORT } from '../../helpers/ports.ts';
import { changeOf, pageOf } from './change.ts';

const changes = [1, 2, 3].map((lsn) => changeOf({ value: lsn }, lsn));
const page = pageOf(changes);

describe('webhook', () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  async function listen(status: number, bodies: unknown[]): Promise<string> {
    // A pause between two requests must not close their connection.
    server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        bodies.push(JSON.parse(Buffer.concat(chunks).toString()));
        response.writeHead(status).end();
      });
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server?.once('listening', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?code=secret`;
  }

  it('posts JSON arrays in order and in batches', async () => {
    const bodies: { lsn: number }[][] = [];
    await webhookSink({ url: await listen(204, bodies), batchSize: 2 }).deliver(changes, page);
    expect(bodies.map((body) => body.map(({ lsn }) => lsn))).toEqual([[1, 2], [3]]);
  });

  it('rejects what was not accepted, without the key in the address', async () => {
    const delivery = webhookSink({ url: await listen(500, []) }).deliver(changes, page);
    await expect(delivery).rejects.toThrow(/^webhook http:\/\/127.0.0.1:\d+\/hook answered 500$/);
  });

  it('names the cause when nobody listens', async () => {
    const delivery = webhookSink({ url: `http://127.0.0.1:${REFUSING_PORT}/hook` }).deliver(changes, page);
    await expect(delivery).rejects.toThrow('did not answer (ECONNREFUSED)');
  });
});

describe('exec', () => {
  it('gives the changes as NDJSON and prints what the command prints', async () => {
    let printed = '';
    await execSink('cat', async (text) => {
      printed += text;
    }).deliver(changes, page);
    const lines = printed
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string });
    expect(lines.map(({ id }) => id)).toEqual(['item-1', 'item-2', 'item-3']);
  });

  it('rejects with the exit code and what the command complained about', async () => {
    const delivery = execSink('echo sorry >&2; exit 3', async () => {}).deliver(changes, page);
    await expect(delivery).rejects.toThrow('failed with 3 (sorry)');
  });

  it('accepts a command that does not read its input', async () => {
    const many = Array.from({ length: 3_000 }, (_, lsn) => changeOf({ pad: 'x'.repeat(100) }, lsn));
    await execSink('true', async () => {}).deliver(many, pageOf(many));
  });
});

it('redis holds the newest version of each item, and forgets deleted ones', async () => {
  const service = await startRedis({ port: 0 });
  const url = service.environment['REDIS_URL'] ?? '';
  const sink = await redisSink({ url: new Secret(url) }, { keyPrefix: 't:', ttlMs: 600_000 });
  const client = new Redis(url);
  try {
    const again = { ...changeOf({ value: 9 }, 4), id: 'item-1', item: { id: 'item-1', value: 9 } };
    const deleted = { ...changeOf({}, 5), id: 'item-2', operation: 'delete' as const };
    await sink.deliver([...changes, again, deleted], page);
    expect(JSON.parse((await client.get('t:dev-1:item-1')) ?? '')).toMatchObject({ value: 9 });
    expect(await client.exists('t:dev-1:item-2')).toBe(0);
    expect(await client.pttl('t:dev-1:item-3')).toBeGreaterThan(0);
  } finally {
    client.disconnect();
    await sink.close();
    await service.stop();
  }
});

it('hands on what is left of an item, and not its text from before', async () => {
  const got: FeedChange[] = [];
  const sink: FeedSink = {
    name: 'test',
    deliver: async (delivered) => void got.push(...delivered),
    close: async () => {},
  };
  const processor = {
    run: async (handler: FeedHandler) => handler(pageOf([{ ...changeOf(), text: 'all of it' }])),
  };
  const project = () => ({ id: 'item-1' });
  await tailProcessor(processor as FeedProcessor, { sinks: [sink], project, clock: systemClock });
  expect(got).toMatchObject([{ item: { id: 'item-1' }, text: undefined }]);
});

it('a page counts as delivered only when every sink has accepted it', async () => {
  const got: string[] = [];
  const sink = (name: string, isBroken: boolean): FeedSink => ({
    name,
    async deliver() {
      if (isBroken) throw new Error(`${name} is down`);
      got.push(name);
    },
    close: async () => {},
  });
  const sinks = [sink('a', false), sink('b', true), sink('c', false)];
  await expect(deliverToAll(sinks, changes, page)).rejects.toThrow('b is down');
  expect(got).toEqual(['a', 'c']);
});

describe('files', () => {
  it('keep a position, whole or not at all', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'feed-')), 'position.json');
    expect(await loadPosition(file)).toBeUndefined();
    await savePosition(file, 'one');
    await savePosition(file, 'two');
    expect(await loadPosition(file)).toBe('two\n');
    await expect(savePosition(join(file, 'below'), 'x')).rejects.toMatchObject({ code: 'E_CONFIG' });
  });

  it('keep what could not be delivered, with the reason', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'feed-')), 'dead.ndjson');
    const put = feedDeadLetter(file);
    await put(changeOf({}, 1), new Error('too large'));
    await put(changeOf({}, 2), 'odd');
    const lines = (await readFile(file, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toMatchObject([
      { reason: 'too large', id: 'item-1', lsn: 1 },
      { reason: 'odd', id: 'item-2', lsn: 2 },
    ]);
  });
});

it('event-hub keeps the order of each key, in the partition that the key belongs to', async () => {
  const service = await startEventHubs({ port: 0, hubs: [{ name: 'changes', partitionCount: 4 }] });
  const connectionString = service.environment['EVENTHUB_CONNECTION_STRING'] ?? '';
  const target = {
    connectionString: new Secret(connectionString),
    eventHub: 'changes',
    consumerGroup: '$Default',
  };
  const sink = await eventHubSink(target);
  const client = new EventHubConsumerClient('$Default', connectionString, 'changes');
  const byKey = new Map<unknown, { partitionId: string; lsn: number }[]>();
  let received = 0;
  try {
    const many = Array.from({ length: 200 }, (_, lsn) => ({
      ...changeOf({ pad: 'x'.repeat(500) }, lsn),
      partitionKey: `dev-${lsn % 7}`,
    }));
    await sink.deliver(many, pageOf(many));
    const subscription = client.subscribe(
      {
        async processEvents(events, { partitionId }) {
          received += events.length;
          for (const { body } of events)
            byKey.set(body.partitionKey, [
              ...(byKey.get(body.partitionKey) ?? []),
              { partitionId, lsn: body.lsn },
            ]);
        },
        async processError(error) {
          throw error;
        },
      },
      { startPosition: earliestEventPosition },
    );
    await eventually(() => received === 200);
    await subscription.close();
    for (const [key, events] of byKey) {
      const partition = String(partitionForKey(String(key), 4));
      expect(new Set(events.map(({ partitionId }) => partitionId))).toEqual(new Set([partition]));
      const lsns = events.map(({ lsn }) => lsn);
      expect(lsns).toEqual([...lsns].sort((a, b) => a - b));
    }
  } finally {
    await client.close();
    await sink.close();
    await service.stop();
  }
});
