import { framingError } from './errors.ts';

/** First byte of a protocol header, "A"; no frame begins with it, as none is 0x41000000 bytes long. */
const HEADER_START = 0x41;

export const PROTOCOL = { amqp: 0, tls: 2, sasl: 3 } as const;
export const FRAME_TYPE = { amqp: 0, sasl: 1 } as const;

/** The eight bytes that open a protocol layer (AMQP 1.0 part 2, 2.2). */
export function protocolHeader(protocolId: number): Buffer {
  return Buffer.from([0x41, 0x4d, 0x51, 0x50, protocolId, 1, 0, 0]);
}

export interface FrameHandler {
  onProtocolHeader(protocolId: number): void;
  /** `bytes` may be used during the call only. An empty body (`start === end`) is a heartbeat. */
  onFrame(type: number, channel: number, bytes: Buffer, start: number, end: number): void;
}

/**
 * Cuts a byte stream into protocol headers and frames, whatever the chunks it comes in. A frame that lies within one
 * chunk is handed over without a copy; another is gathered in one buffer that is used again.
 */
export class FrameParser {
  readonly #maxFrameSize: number;
  readonly #handler: FrameHandler;
  #partial: Buffer | undefined;
  #filled = 0;
  #stopped = false;

  constructor(maxFrameSize: number, handler: FrameHandler) {
    this.#maxFrameSize = maxFrameSize;
    this.#handler = handler;
  }

  /** Ignores everything from here on: the connection is closing. */
  stop(): void {
    this.#stopped = true;
  }

  /** @throws AmqpProtocolError when the stream is no AMQP; the parser is of no use after that. */
  push(chunk: Buffer): void {
    let at = this.#filled > 0 ? this.#resume(chunk) : 0;
    while (at < chunk.length && !this.#stopped) {
      const left = chunk.length - at;
      const needed = left < 8 ? 8 : this.#unitSize(chunk, at);
      if (left < needed) {
        this.#keep(chunk, at);
        return;
      }
      this.#emit(chunk, at, needed);
      at += needed;
    }
  }

  /** Completes the unit that the previous chunks began; returns how much of `chunk` it took. */
  #resume(chunk: Buffer): number {
    let at = 0;
    for (const needed of [8, undefined]) {
      const partial = this.#partial!;
      const size = needed ?? this.#unitSize(partial, 0);
      const taken = Math.min(size - this.#filled, chunk.length - at);
      if (taken > 0) {
        chunk.copy(partial, this.#filled, at, at + taken);
        this.#filled += taken;
        at += taken;
      }
      if (this.#filled < size) return at;
      if (needed === undefined) {
        this.#filled = 0;
        this.#emit(partial, 0, size);
      }
    }
    return at;
  }

  #keep(chunk: Buffer, at: number): void {
    this.#partial ??= Buffer.allocUnsafeSlow(this.#maxFrameSize);
    this.#filled = chunk.copy(this.#partial, 0, at);
  }

  #unitSize(bytes: Buffer, at: number): number {
    if (bytes[at] === HEADER_START) return 8;
    const size = bytes.readUInt32BE(at);
    if (size < 8) throw framingError(`frame of ${size} bytes is smaller than its header`);
    if (size > this.#maxFrameSize)
      throw framingError(`frame of ${size} bytes exceeds the maximum of ${this.#maxFrameSize}`);
    return size;
  }

  #emit(bytes: Buffer, at: number, size: number): void {
    if (bytes[at] === HEADER_START) {
      if (bytes.toString('latin1', at, at + 4) !== 'AMQP') throw framingError('expected a protocol header');
      if (bytes[at + 5] !== 1) throw framingError(`unsupported AMQP version ${bytes[at + 5]}`);
      this.#handler.onProtocolHeader(bytes[at + 4]!);
      return;
    }
    const dataOffset = bytes[at + 4]! * 4;
    if (dataOffset < 8 || dataOffset > size)
      throw framingError(`data offset ${dataOffset} is outside the frame`);
    this.#handler.onFrame(bytes[at + 5]!, bytes.readUInt16BE(at + 6), bytes, at + dataOffset, at + size);
  }
}
