import { Request } from './request.ts';

const LF = 10;
const CR = 13;
const SPACE = 32;
const DOLLAR = 36;
const ASTERISK = 42;
const MINUS = 45;
const ZERO = 48;

/** The limits of redis-server: words of a command, bytes of a word, bytes of a line without a line end. */
const MAX_WORDS = 1_048_576;
const MAX_WORD_BYTES = 512 * 1024 * 1024;
const MAX_LINE_BYTES = 65_536;

/** The client does not speak RESP: it is told why and disconnected. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

/**
 * Cuts the bytes of one connection into requests, however they were chunked: RESP arrays of bulk strings, or an inline
 * command (one line of words), which people type and redis-benchmark sends.
 */
export class RequestParser {
  #chunks: Buffer[] = [];
  #waitingBytes = 0;
  /** Bytes without which the request at hand cannot be complete; keeps a large value from being joined per chunk. */
  #neededBytes = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#waitingBytes += chunk.length;
  }

  /** Bytes received that are not part of a returned request. */
  get pendingBytes(): number {
    return this.#bytes.length - this.#at + this.#waitingBytes;
  }

  /** The next complete request; `undefined` until more bytes come. Throws a ProtocolError for what is not RESP. */
  next(): Request | undefined {
    for (;;) {
      if (!this.#join()) return undefined;
      const start = this.#at;
      const bounds = this.#bytes[start] === ASTERISK ? this.#array() : this.#inline();
      if (bounds === undefined) {
        this.#at = start;
        if (this.#waitingBytes === 0) return undefined;
        continue;
      }
      this.#neededBytes = 0;
      if (bounds.length > 0) return new Request(this.#bytes, bounds);
    }
  }

  #join(): boolean {
    if (this.#waitingBytes > 0 && this.pendingBytes >= this.#neededBytes) {
      const rest = this.#bytes.subarray(this.#at);
      const only = this.#chunks[0];
      this.#bytes =
        rest.length === 0 && this.#chunks.length === 1 && only
          ? only
          : Buffer.concat([rest, ...this.#chunks]);
      this.#at = 0;
      this.#chunks = [];
      this.#waitingBytes = 0;
    }
    return this.#at < this.#bytes.length && this.#bytes.length - this.#at >= this.#neededBytes;
  }

  #array(): number[] | undefined {
    const start = this.#at;
    this.#at++;
    const count = this.#number('invalid multibulk length', MAX_WORDS);
    if (count === undefined) return this.#need(start, this.#bytes.length + 1);
    const bounds: number[] = [];
    for (let index = 0; index < count; index++) {
      const sigil = this.#bytes[this.#at];
      if (sigil === undefined) return this.#need(start, this.#at + 1);
      if (sigil !== DOLLAR) {
        throw new ProtocolError(`expected '$', got '${String.fromCharCode(sigil)}'`);
      }
      this.#at++;
      const length = this.#number('invalid bulk length', MAX_WORD_BYTES);
      if (length === undefined) return this.#need(start, this.#bytes.length + 1);
      const end = this.#at + length;
      if (end + 2 > this.#bytes.length) return this.#need(start, end + 2);
      bounds.push(this.#at, end);
      this.#at = end + 2;
    }
    return bounds;
  }

  #need(start: number, end: number): undefined {
    this.#neededBytes = end - start;
    return undefined;
  }

  /** The decimal number up to CRLF; a negative count means "nothing", as in redis-server. */
  #number(problem: string, limit: number): number | undefined {
    const end = this.#bytes.indexOf(CR, this.#at);
    if (end < 0 || end + 1 >= this.#bytes.length) {
      if (this.#bytes.length - this.#at > 32) throw new ProtocolError(problem);
      return undefined;
    }
    const negative = this.#bytes[this.#at] === MINUS;
    let value = 0;
    for (let at = this.#at + (negative ? 1 : 0); at < end; at++) {
      const digit = (this.#bytes[at] ?? 0) - ZERO;
      if (digit < 0 || digit > 9) throw new ProtocolError(problem);
      value = value * 10 + digit;
    }
    if (value > limit || (negative && limit === MAX_WORD_BYTES)) throw new ProtocolError(problem);
    this.#at = end + 2;
    return negative ? 0 : value;
  }

  #inline(): number[] | undefined {
    const end = this.#bytes.indexOf(LF, this.#at);
    if (end < 0) {
      if (this.#bytes.length - this.#at > MAX_LINE_BYTES) throw new ProtocolError('too big inline request');
      return this.#need(this.#at, this.#bytes.length + 1);
    }
    const lineEnd = this.#bytes[end - 1] === CR ? end - 1 : end;
    const bounds: number[] = [];
    let at = this.#at;
    while (at < lineEnd) {
      while (at < lineEnd && this.#bytes[at] === SPACE) at++;
      const start = at;
      while (at < lineEnd && this.#bytes[at] !== SPACE) at++;
      if (at > start) bounds.push(start, at);
    }
    this.#at = end + 1;
    return bounds;
  }
}
