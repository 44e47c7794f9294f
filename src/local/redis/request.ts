/** A command's words, still inside the bytes that came from the socket: copied out only where they are kept. */
export class Request {
  readonly #bytes: Buffer;
  readonly #bounds: readonly number[];

  /** `bounds` holds the start and end of each word in turn. */
  constructor(bytes: Buffer, bounds: readonly number[]) {
    this.#bytes = bytes;
    this.#bounds = bounds;
  }

  static of(words: readonly (string | Buffer)[]): Request {
    const parts = words.map((word) => (typeof word === 'string' ? Buffer.from(word, 'latin1') : word));
    const bounds: number[] = [];
    let at = 0;
    for (const part of parts) {
      bounds.push(at, at + part.length);
      at += part.length;
    }
    return new Request(Buffer.concat(parts), bounds);
  }

  /** Number of words, the command's name included. */
  get length(): number {
    return this.#bounds.length / 2;
  }

  /** Word `index` with one character per byte, which keeps any bytes intact; empty beyond the last one. */
  text(index: number): string {
    return this.#bytes.toString('latin1', this.#start(index), this.#end(index));
  }

  /** Word `index` in upper case, for option names. */
  option(index: number): string {
    return this.text(index).toUpperCase();
  }

  /** A copy of word `index`: a view would keep the whole chunk of the socket alive. */
  bytes(index: number): Buffer {
    const start = this.#start(index);
    const copy = Buffer.allocUnsafeSlow(this.#end(index) - start);
    this.#bytes.copy(copy, 0, start, start + copy.length);
    return copy;
  }

  sizeBytes(index: number): number {
    return this.#end(index) - this.#start(index);
  }

  texts(from: number, to = this.length): string[] {
    const words: string[] = [];
    for (let index = from; index < to; index++) words.push(this.text(index));
    return words;
  }

  /** The same words in memory of their own, for requests that outlive the chunk they came in. */
  detached(): Request {
    return Request.of(Array.from({ length: this.length }, (_, index) => this.bytes(index)));
  }

  /** The command as a client would send it; the append-only file is made of these. */
  encode(): Buffer {
    const parts: Buffer[] = [Buffer.from(`*${this.length}\r\n`)];
    for (let index = 0; index < this.length; index++) {
      const start = this.#start(index);
      const end = this.#end(index);
      parts.push(Buffer.from(`$${end - start}\r\n`), this.#bytes.subarray(start, end), CRLF);
    }
    return Buffer.concat(parts);
  }

  #start(index: number): number {
    return this.#bounds[index * 2] ?? 0;
  }

  #end(index: number): number {
    return this.#bounds[index * 2 + 1] ?? 0;
  }
}

const CRLF = Buffer.from('\r\n');
