import type { Duplex } from 'node:stream';

const CHUNK_BYTES = 128 * 1024;
const SPARE_CHUNKS = 8;
/** Beyond this the peer is slower than we are: links wait for the socket to drain. */
const HIGH_WATER_BYTES = 1024 * 1024;

/**
 * Gathers frames in large chunks and hands them to the socket once per turn of the event loop. A chunk that the kernel
 * has taken is used again, so that steady delivery allocates nothing.
 */
export class Output {
  readonly #socket: Duplex;
  readonly #spare: Buffer[] = [];
  #chunk: Buffer | undefined;
  #used = 0;
  #flushQueued: boolean = false;
  /** Bytes handed over so far, to tell whether the connection was silent. */
  total = 0;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  get congested(): boolean {
    return this.#socket.writableLength > HIGH_WATER_BYTES;
  }

  /**
   * Room for `size` bytes, to be filled at once through {@link chunk} from the returned position on.
   * Larger than a chunk: use {@link write}.
   */
  reserve(size: number): number {
    if (this.#chunk !== undefined && this.#used + size > CHUNK_BYTES) this.flush();
    this.#chunk ??= this.#spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
    const at = this.#used;
    this.#used += size;
    if (!this.#flushQueued) {
      this.#flushQueued = true;
      queueMicrotask(() => {
        this.#flushQueued = false;
        this.flush();
      });
    }
    return at;
  }

  /** The chunk of the latest reservation. */
  get chunk(): Buffer {
    return this.#chunk!;
  }

  /** Copies `bytes` behind what was written before. */
  write(bytes: Buffer): void {
    if (bytes.length <= CHUNK_BYTES) {
      const at = this.reserve(bytes.length);
      bytes.copy(this.#chunk!, at);
      return;
    }
    this.flush();
    this.total += bytes.length;
    if (this.#socket.writable) this.#socket.write(Buffer.from(bytes));
  }

  flush(): void {
    const chunk = this.#chunk;
    if (chunk === undefined || this.#used === 0) return;
    const bytes = chunk.subarray(0, this.#used);
    this.total += this.#used;
    this.#chunk = undefined;
    this.#used = 0;
    if (!this.#socket.writable) return;
    this.#socket.write(bytes, () => {
      if (this.#spare.length < SPARE_CHUNKS) this.#spare.push(chunk);
    });
  }
}
