/** Builds AMQP values with explicit types in a buffer that grows. */
export class AmqpWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  /** What was written so far: a view that the next write may replace. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  null(): this {
    return this.#byte(0x40);
  }

  boolean(value: boolean): this {
    return this.#byte(value ? 0x41 : 0x42);
  }

  ubyte(value: number): this {
    return this.#byte(0x50).#byte(value);
  }

  ushort(value: number): this {
    this.#byte(0x60);
    this.#length = this.#grown(2).writeUInt16BE(value, this.#length);
    return this;
  }

  short(value: number): this {
    this.#byte(0x61);
    this.#length = this.#grown(2).writeInt16BE(value, this.#length);
    return this;
  }

  uint(value: number): this {
    if (value === 0) return this.#byte(0x43);
    if (value < 256) return this.#byte(0x52).#byte(value);
    return this.#byte(0x70).#word(value);
  }

  int(value: number): this {
    this.#byte(0x71);
    this.#length = this.#grown(4).writeInt32BE(value, this.#length);
    return this;
  }

  ulong(value: number | bigint): this {
    this.#byte(0x80);
    this.#length = this.#grown(8).writeBigUInt64BE(BigInt(value), this.#length);
    return this;
  }

  long(value: number | bigint): this {
    return this.#byte(0x81).#signed64(value);
  }

  /** Milliseconds since the Unix epoch. */
  timestamp(epochMs: number): this {
    return this.#byte(0x83).#signed64(Math.floor(epochMs));
  }

  string(value: string): this {
    return this.#text(value, 'utf8', 0xa1, 0xb1);
  }

  symbol(value: string): this {
    return this.#text(value, 'latin1', 0xa3, 0xb3);
  }

  binary(value: Uint8Array): this {
    if (value.length < 256) this.#byte(0xa0).#byte(value.length);
    else this.#byte(0xb0).#word(value.length);
    return this.encoded(value);
  }

  /** Bytes that are an encoded value already. */
  encoded(value: Uint8Array): this {
    this.#grown(value.length).set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** Descriptor of the value that follows: a small ulong. */
  descriptor(code: number): this {
    return this.#byte(0x00).#byte(0x53).#byte(code);
  }

  list(count: number, fields: () => void): this {
    return this.#compound(0xd0, count, fields);
  }

  /** `entries` writes `count` keys and `count` values. */
  map(count: number, entries: () => void): this {
    return this.#compound(0xd1, count * 2, entries);
  }

  symbolArray(values: readonly string[]): this {
    return this.#array(values, 'latin1', 0xb3);
  }

  stringArray(values: readonly string[]): this {
    return this.#array(values, 'utf8', 0xb1);
  }

  #array(values: readonly string[], encoding: 'utf8' | 'latin1', formatCode: number): this {
    return this.#compound(0xf0, values.length, () => {
      this.#byte(formatCode);
      for (const value of values) {
        const size = Buffer.byteLength(value, encoding);
        this.#word(size).#raw(value, size, encoding);
      }
    });
  }

  #text(value: string, encoding: 'utf8' | 'latin1', short: number, long: number): this {
    const size = Buffer.byteLength(value, encoding);
    if (size < 256) this.#byte(short).#byte(size);
    else this.#byte(long).#word(size);
    return this.#raw(value, size, encoding);
  }

  #raw(value: string, size: number, encoding: 'utf8' | 'latin1'): this {
    this.#grown(size).write(value, this.#length, encoding);
    this.#length += size;
    return this;
  }

  /** Its size is known only after its content: written last. */
  #compound(formatCode: number, count: number, content: () => void): this {
    this.#byte(formatCode);
    const sizeAt = this.#length;
    this.#word(0).#word(count);
    content();
    this.#bytes.writeUInt32BE(this.#length - sizeAt - 4, sizeAt);
    return this;
  }

  #byte(value: number): this {
    this.#grown(1)[this.#length++] = value;
    return this;
  }

  #word(value: number): this {
    this.#length = this.#grown(4).writeUInt32BE(value >>> 0, this.#length);
    return this;
  }

  #signed64(value: number | bigint): this {
    this.#length = this.#grown(8).writeBigInt64BE(BigInt(value), this.#length);
    return this;
  }

  #grown(more: number): Buffer {
    const needed = this.#length + more;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, needed));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    return this.#bytes;
  }
}
