// CPU of the embedded Cosmos DB per item, server side only: `npm run build && node bench/local-cosmos.mjs [--json]`.
// The server has a process of its own; the load is bulk requests as an SDK sends them, minimal responses, over plain HTTP.
// Each case runs on a fresh account; figures are CPU (user and system) of the server process, the median of the rounds.
import { fork } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const DIST = process.env.COSMOS_PIPE_DIST ?? 'dist';
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const REQUESTS = Number(process.env.BENCH_REQUESTS ?? 300);
const DEVICES = 1_000;
const BATCH = 100;
const IN_FLIGHT = 4;
const DOCS = '/dbs/d/colls/c/docs';
/** 34 physical partitions, or one; so much throughput that nothing is throttled. */
const RANGES = { 34: 200_000, 1: 6_000 };

async function serve(dataDir) {
  const { startCosmos } = await import(`../${DIST}/src/local/cosmos/index.js`);
  const service = await startCosmos({ throttling: false, ...(dataDir && { dataDir }) });
  process.on('message', async (question) => {
    if (question === 'cpu') {
      const { user, system } = process.cpuUsage();
      process.send(user + system);
    } else {
      await service.stop();
      process.disconnect();
    }
  });
  process.send(service.environment);
}

async function main() {
  const cases = [];
  for (const durable of [false, true])
    for (const ranges of Object.keys(RANGES)) {
      const rounds = [];
      for (let round = 0; round < ROUNDS; round++) rounds.push(await measure(Number(ranges), durable));
      cases.push({ ranges: Number(ranges), durable, ...medians(rounds) });
    }
  if (process.argv.includes('--json')) console.log(JSON.stringify({ cpuMicrosPerItem: cases }, null, 2));
  else console.table(cases);
}

async function measure(ranges, durable) {
  const folder = durable ? mkdtempSync(join(tmpdir(), 'local-cosmos-')) : '';
  const server = fork(fileURLToPath(import.meta.url), ['serve', folder]);
  const [{ COSMOS_ENDPOINT, COSMOS_KEY }] = await once(server, 'message');
  const client = connect(COSMOS_ENDPOINT, COSMOS_KEY);
  try {
    await client('POST', '/dbs', 'dbs', '', '{"id":"d"}');
    const container = { id: 'c', partitionKey: { paths: ['/deviceId'], version: 2, kind: 'Hash' } };
    const offer = { 'x-ms-offer-throughput': String(RANGES[ranges]) };
    await client('POST', '/dbs/d/colls', 'colls', 'dbs/d', JSON.stringify(container), offer);
    const batches = await makeBatches(ranges);
    const half = batches.length / 2;
    const result = {};
    // The first half warms the compiler up, on items of their own.
    await write(client, batches.slice(0, half), 'Create');
    result.create = await cpuOf(server, half * BATCH, () => write(client, batches.slice(half), 'Create'));
    await write(client, batches.slice(0, half), 'Upsert');
    result.overwrite = await cpuOf(server, half * BATCH, () =>
      write(client, batches.slice(half), 'Upsert', 1),
    );
    await readFeed(client, ranges);
    let read = 0;
    const feed = await cpuOf(server, 1, async () => {
      read = await readFeed(client, ranges);
    });
    result.feedRead = feed / read;
    return result;
  } finally {
    client.close();
    server.send('stop');
    await once(server, 'exit');
    if (durable) rmSync(folder, { recursive: true });
  }
}

/** Batches of 100 events, each of one range, and the key of each event as bulk carries it. */
async function makeBatches(ranges) {
  const { effectivePartitionKey, findRange, partitionKeyRangesFor } = await import(
    `../${DIST}/src/hashing/effective-partition-key.js`
  );
  const bounds = partitionKeyRangesFor(ranges, 2).map(({ minInclusive }) => minInclusive);
  const devices = Array.from({ length: DEVICES }, (_, n) => {
    const id = `contoso-device-id-${String(n).padStart(6, '0')}`;
    return { id, range: findRange(bounds, effectivePartitionKey([id], { kind: 'Hash', version: 2 })) };
  });
  const byRange = bounds.map((_, range) => devices.filter((device) => device.range === range));
  let next = 0;
  return Array.from({ length: 2 * REQUESTS }, (_, batch) => {
    const range = batch % ranges;
    const events = Array.from({ length: BATCH }, (__, n) => {
      const candidates = byRange[range];
      return { n: next++, device: candidates[n % candidates.length].id };
    });
    return { range, events };
  });
}

/** An event of Azure-Samples/streaming-at-scale, about 0.9 KB. */
function eventText({ n, device }, version) {
  const more = Array.from({ length: 23 }, (_, i) => `"moreData${i}":${number(n + i + version)}`);
  const id = `5f0e7a31-9c1d-4f7e-8a55-${n.toString(16).padStart(12, '0')}`;
  return `{"eventId":"${id}","complexData":{${more.join(',')}},"value":${number(n + version)},"deviceId":"${device}","deviceSequenceNumber":${n},"type":"TEMP","createdAt":"2026-01-01T00:00:00.${String(n % 1000).padStart(3, '0')}Z","id":"${id}"}`;
}

/** 10.0 to 100.0 with as many digits as telemetry of doubles has. */
function number(n) {
  return (10 + ((n * 0.6180339887498949) % 1) * 90).toFixed(14);
}

async function write(client, batches, operationType, version = 0) {
  const bodies = batches.map(
    ({ events }) =>
      `[${events.map((event) => `{"operationType":"${operationType}","partitionKey":"[\\"${event.device}\\"]","resourceBody":${eventText(event, version)}}`).join(',')}]`,
  );
  const headers = {
    'x-ms-cosmos-is-batch-request': 'true',
    'x-ms-cosmos-batch-atomic': 'false',
    'x-ms-cosmos-batch-continue-on-error': 'true',
    prefer: 'return=minimal',
  };
  let next = 0;
  const worker = async () => {
    while (next < batches.length) {
      const index = next++;
      const range = { 'x-ms-documentdb-partitionkeyrangeid': String(batches[index].range) };
      const { status, body } = await client('POST', DOCS, 'docs', 'dbs/d/colls/c', bodies[index], {
        ...headers,
        ...range,
      });
      if (status !== 200) throw new Error(`bulk answered ${status}: ${body.toString().slice(0, 500)}`);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
}

async function readFeed(client, ranges) {
  let items = 0;
  for (let range = 0; range < ranges; range++) {
    const headers = {
      'a-im': 'Incremental Feed',
      'x-ms-max-item-count': '1000',
      'x-ms-documentdb-partitionkeyrangeid': String(range),
    };
    for (;;) {
      const page = await client('GET', DOCS, 'docs', 'dbs/d/colls/c', '', headers);
      if (page.status === 304) break;
      items += Number(page.headers['x-ms-item-count']);
      headers['if-none-match'] = page.headers.etag;
    }
  }
  return items;
}

async function cpuOf(server, items, work) {
  const before = await ask(server);
  await work();
  return ((await ask(server)) - before) / items;
}

async function ask(server) {
  server.send('cpu');
  const [micros] = await once(server, 'message');
  return micros;
}

/** A client that signs requests and does nothing else, so that it leaves the machine to the server. */
function connect(endpoint, key) {
  const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT });
  const secret = Buffer.from(key, 'base64');
  const send = (method, path, type, link, body, extra = {}) =>
    new Promise((resolve, reject) => {
      const date = new Date().toUTCString();
      const text = `${method.toLowerCase()}\n${type}\n${link}\n${date.toLowerCase()}\n\n`;
      const signature = createHmac('sha256', secret).update(text).digest('base64');
      const authorization = encodeURIComponent(`type=master&ver=1.0&sig=${signature}`);
      const headers = {
        authorization,
        'x-ms-date': date,
        'content-length': Buffer.byteLength(body),
        ...extra,
      };
      const outgoing = request(new URL(path, endpoint), { agent, method, headers }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }),
        );
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  send.close = () => agent.destroy();
  return send;
}

function medians(rounds) {
  const middle = (name) => {
    const sorted = rounds.map((round) => round[name]).sort((a, b) => a - b);
    return Number(sorted[Math.floor(sorted.length / 2)].toFixed(1));
  };
  return { create: middle('create'), overwrite: middle('overwrite'), feedRead: middle('feedRead') };
}

if (process.argv[2] === 'serve') await serve(process.argv[3]);
else await main();
