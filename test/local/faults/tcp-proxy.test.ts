import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FaultProxy } from '../../../src/local/faults/tcp-proxy.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { seededRandom } from '../../../src/util/random.ts';
import { eventually } from '../../helpers/eventually.ts';

const echo = createServer((socket) => {
  socket.on('error', () => {});
  socket.pipe(socket);
});
let proxy: FaultProxy;

beforeEach(async () => {
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const { port } = echo.address() as AddressInfo;
  proxy = await FaultProxy.start({ upstreamPort: port, clock: systemClock, random: seededRandom(1) });
});
afterEach(async () => {
  await proxy.stop();
  echo.close();
  await once(echo, 'close');
});

async function roundTrip(bytes: number) {
  const socket = connect(proxy.port, '127.0.0.1');
  const sizes: number[] = [];
  let received = 0;
  let code: string | undefined;
  socket.on('error', (cause: NodeJS.ErrnoException) => {
    code = cause.code;
  });
  const started = performance.now();
  socket.write(Buffer.alloc(bytes, 1));
  socket.on('data', (chunk: Buffer) => {
    sizes.push(chunk.length);
    received += chunk.length;
    if (received >= bytes) socket.end();
  });
  await new Promise((resolve) => socket.on('close', resolve));
  return { received, sizes, elapsedMs: performance.now() - started, code };
}

describe('FaultProxy', () => {
  it('passes traffic through unharmed', async () => {
    expect(await roundTrip(100_000)).toMatchObject({ received: 100_000, code: undefined });
  });

  it('adds latency', async () => {
    proxy.toxics = [{ type: 'latency', latencyMs: 60 }];
    expect((await roundTrip(10)).elapsedMs).toBeGreaterThan(55);
  });

  it('limits bandwidth', async () => {
    proxy.toxics = [{ type: 'bandwidth', bytesPerSecond: 10_000 }];
    expect((await roundTrip(1_000)).elapsedMs).toBeGreaterThan(90);
  });

  it('slices chunks', async () => {
    proxy.toxics = [{ type: 'slicer', averageSize: 3 }];
    const { received, sizes } = await roundTrip(90);
    expect(received).toBe(90);
    expect(sizes.length).toBeGreaterThan(5);
  });

  it('cuts after a number of bytes', async () => {
    proxy.toxics = [{ type: 'limit_data', bytes: 17 }];
    expect((await roundTrip(90)).received).toBe(17);
  });

  it('resets the peer', async () => {
    proxy.toxics = [
      { type: 'reset_peer', afterMs: 20 },
      { type: 'latency', latencyMs: 200 },
    ];
    expect(await roundTrip(90)).toMatchObject({ received: 0, code: 'ECONNRESET' });
  });

  it('swallows everything, then closes, on timeout', async () => {
    proxy.toxics = [{ type: 'timeout', afterMs: 30 }];
    expect(await roundTrip(90)).toMatchObject({ received: 0, code: undefined });
  });

  it('resets all open connections on demand', async () => {
    proxy.toxics = [{ type: 'latency', latencyMs: 10_000 }];
    const trip = roundTrip(90);
    await eventually(() => proxy.connections === 1);
    proxy.resetAll();
    expect((await trip).code).toBe('ECONNRESET');
  });
});
