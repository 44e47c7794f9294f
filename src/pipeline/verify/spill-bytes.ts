const TEXT_LENGTH_BYTES = 4;

/** Bytes written one after the other, in a buffer that grows and is used again. */
export class ByteWriter {
  #bytes: Buffer;
  #at = 0;

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafe(capacity + 1024);
  }

  get size(): number {
    return this.#at;
  }

  /** A whole number from 0 to 2^53 - 1, seven bits to a byte. */
  whole(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#at++] = rest;
  }

  double(value: number): void {
    this.#reserve(8);
    this.#at = this.#bytes.writeDoubleLE(value, this.#at);
  }

  uint32(value: number): void {
    this.#reserve(4);
    this.#at = this.#bytes.writeUInt32LE(value, this.#at);
  }

  /** Overwrites what was written at `position`. */
  setUint32(position: number, value: number): void {
    this.#bytes.writeUInt32LE(value, position);
  }

  text(value: string): void {
    this.#reserve(TEXT_LENGTH_BYTES + value.length * 3);
    const length = this.#bytes.write(value, this.#at + TEXT_LENGTH_BYTES, 'utf8');
    this.#bytes.writeUInt32LE(length, this.#at);
    this.#at += TEXT_LENGTH_BYTES + length;
  }

  /** What was written, valid until the next write; the writer is empty afterwards. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#at);
    this.#at = 0;
    return taken;
  }

  #reserve(count: number): void {
    if (this.#at + count <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + count));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

/** Reads what a {@link ByteWriter} wrote, in the same order. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  whole(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#bytes[this.#at++] as number;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  }

  double(): number {
    const value = this.#bytes.readDoubleLE(this.#at);
    this.#at += 8;
    return value;
  }

  text(): string {
    const start = this.#at + TEXT_LENGTH_BYTES;
    this.#at = start + this.#bytes.readUInt32LE(this.#at);
    return this.#bytes.toString('utf8', start, this.#at);
  }
}
