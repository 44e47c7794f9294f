import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Transform, type TransformCallback } from 'node:stream';
import type { Clock } from '../../util/clock.ts';
import type { Random } from '../../util/random.ts';

/** Damage to the bytes that flow from the upstream to the client. Names and meaning follow toxiproxy's toxics. */
export type Toxic =
  | { readonly type: 'latency'; readonly latencyMs: number; readonly jitterMs?: number }
  | { readonly type: 'bandwidth'; readonly bytesPerSecond: number }
  | { readonly type: 'slicer'; readonly averageSize: number }
  | { readonly type: 'limit_data'; readonly bytes: number }
  | { readonly type: 'reset_peer'; readonly afterMs: number }
  | { readonly type: 'timeout'; readonly afterMs: number };

export interface FaultProxyOptions {
  readonly upstreamPort: number;
  readonly upstreamHost?: string;
  readonly random: Random;
  readonly clock: Clock;
}

/** A loopback TCP proxy that damages traffic on purpose. Toxics apply to connections opened after they were set. */
export class FaultProxy {
  toxics: readonly Toxic[] = [];
  readonly #options: FaultProxyOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #clients = 0;

  private constructor(options: FaultProxyOptions) {
    this.#options = options;
    this.#server = createServer((client) => this.#open(client));
  }

  static async start(options: FaultProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Client connections open now. */
  get connections(): number {
    return this.#clients;
  }

  /** Drops every open connection with a TCP reset; new ones are accepted. */
  resetAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #open(client: Socket): void {
    const { clock, random, upstreamHost = '127.0.0.1', upstreamPort } = this.#options;
    const upstream = connect(upstreamPort, upstreamHost);
    const closed = new AbortController();
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      // A reset is what this proxy is for; 'close' follows and does the tidying.
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
    }
    this.#clients++;
    client.on('close', () => {
      this.#clients--;
      closed.abort();
      upstream.destroy();
    });
    upstream.on('close', () => client.end());
    const after = (ms: number, act: () => void): void => {
      clock.sleep(ms, closed.signal).then(act, () => {});
    };
    for (const toxic of this.toxics) {
      if (toxic.type === 'reset_peer') after(toxic.afterMs, () => client.resetAndDestroy());
      // Not destroyed: with bytes of the client unread, the system would send a reset instead of an end.
      if (toxic.type === 'timeout') after(toxic.afterMs, () => client.end());
    }
    const damage = new Damage({
      toxics: this.toxics,
      random,
      sleep: (ms) => clock.sleep(ms, closed.signal),
      cut: () => client.destroySoon(),
    });
    damage.on('error', () => client.destroy());
    client.pipe(upstream);
    upstream.pipe(damage).pipe(client);
  }
}

interface DamageOptions {
  readonly toxics: readonly Toxic[];
  readonly random: Random;
  readonly sleep: (ms: number) => Promise<void>;
  readonly cut: () => void;
}

class Damage extends Transform {
  readonly #options: DamageOptions;
  #forwarded = 0;

  constructor(options: DamageOptions) {
    super();
    this.#options = options;
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.#forward(chunk).then(() => done(), done);
  }

  async #forward(chunk: Buffer): Promise<void> {
    const { cut, random, sleep, toxics } = this.#options;
    let pieces: readonly Buffer[] = [chunk];
    for (const toxic of toxics) {
      if (toxic.type === 'timeout') return;
      if (toxic.type === 'latency') await sleep(toxic.latencyMs + (toxic.jitterMs ?? 0) * random.next());
      if (toxic.type === 'bandwidth') await sleep((chunk.length / toxic.bytesPerSecond) * 1_000);
      if (toxic.type === 'slicer') pieces = slice(chunk, toxic.averageSize);
      if (toxic.type === 'limit_data' && this.#forwarded + chunk.length > toxic.bytes) {
        this.push(chunk.subarray(0, toxic.bytes - this.#forwarded));
        this.#forwarded = toxic.bytes;
        setImmediate(cut);
        return;
      }
    }
    for (const piece of pieces) {
      this.push(piece);
      if (pieces.length > 1) await sleep(0);
    }
    this.#forwarded += chunk.length;
  }
}

function slice(chunk: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(chunk.length / size) }, (_, index) =>
    chunk.subarray(index * size, (index + 1) * size),
  );
}
