const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const PLUS = 0x2b;
const DOT = 0x2e;
const ZERO = 0x30;

/** Bytes that mean themselves within a string: all but quotes, backslashes and control characters (RFC 8259, 7). */
const ORDINARY = new Uint8Array(256).fill(1).fill(0, 0, 0x20);
ORDINARY[QUOTE] = 0;
ORDINARY[BACKSLASH] = 0;

/** Bytes of numbers and literals. */
const UNQUOTED = new Uint8Array(256);
for (const byte of Buffer.from('0123456789+-.eEtrufalsn')) UNQUOTED[byte] = 1;

const ESCAPES = new Uint8Array(256);
for (const byte of Buffer.from('"\\/bfnrt')) ESCAPES[byte] = 1;

const DIGITS = new Uint8Array(256).fill(1, ZERO, ZERO + 10);

const HEX_DIGITS = /^[0-9a-fA-F]{4}$/;
const LITERALS = new Map(['true', 'false', 'null'].map((text) => [text.charCodeAt(0), text]));

/** Where the text of a JSON value is. */
export interface JsonSpan {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

export const parseSpan = ({ bytes, start, end }: JsonSpan): unknown =>
  JSON.parse(bytes.toString('utf8', start, end)) as unknown;

/** An object whose closing brace is not in the span. */
export const parseOpenSpan = ({ bytes, start, end }: JsonSpan): Record<string, unknown> =>
  JSON.parse(`${bytes.toString('utf8', start, end)}}`) as Record<string, unknown>;

/**
 * A position in JSON text, which moves past one token after the other and checks each by the grammar of RFC 8259. It makes
 * no values: an item is stored as the bytes that came.
 *
 * Methods throw SyntaxError where the text is not JSON. Beyond the end of the text a byte reads as undefined, which no
 * token accepts.
 */
export class JsonCursor {
  readonly bytes: Buffer;
  at: number;
  /** Whether the last string had an escape sequence. */
  escaped = false;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  /** Moves past white space, and returns the byte there. */
  peek(): number {
    const { bytes } = this;
    let byte = bytes[this.at] as number;
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09)
      byte = bytes[++this.at] as number;
    return byte;
  }

  /** Moves past white space and this byte. */
  expect(byte: number): void {
    if (this.peek() !== byte) this.fail();
    this.at++;
  }

  /** Moves past a string, a number, `true`, `false` or `null`. */
  scalar(): void {
    const byte = this.bytes[this.at] as number;
    if (byte === QUOTE) this.string();
    else if (DIGITS[byte] === 1 || byte === MINUS) this.#number();
    else this.#literal(byte);
  }

  /** Moves past a string; the cursor stands at its opening quote. */
  string(): void {
    const { bytes } = this;
    let { at } = this;
    if (bytes[at] !== QUOTE) this.fail();
    this.escaped = false;
    for (at++; ; ) {
      while (ORDINARY[bytes[at] as number] === 1) at++;
      if (bytes[at] === QUOTE) break;
      this.at = at;
      if (bytes[at] !== BACKSLASH) this.fail();
      this.escaped = true;
      at += this.#escapeLength(bytes[at + 1] as number);
    }
    this.at = at + 1;
  }

  /** Moves past a string, and returns its value. */
  text(): string {
    const start = this.at;
    this.string();
    const { bytes, at, escaped } = this;
    return escaped
      ? (JSON.parse(bytes.toString('utf8', start, at)) as string)
      : bytes.toString('utf8', start + 1, at - 1);
  }

  /** Accepts nothing but white space from here on. */
  requireEnd(): void {
    this.peek();
    if (this.at < this.bytes.length) this.fail();
  }

  /** Moves past a scalar of text that was checked before: it ends where the next token or white space begins. */
  skipScalar(): void {
    if (this.bytes[this.at] === QUOTE) {
      this.string();
      return;
    }
    const { bytes } = this;
    let { at } = this;
    while (UNQUOTED[bytes[at] as number] === 1) at++;
    this.at = at;
  }

  fail(): never {
    throw new SyntaxError(`The text is not valid JSON at position ${this.at}`);
  }

  #escapeLength(kind: number): number {
    if (ESCAPES[kind] === 1) return 2;
    if (kind !== 0x75 || !HEX_DIGITS.test(this.bytes.toString('latin1', this.at + 2, this.at + 6)))
      this.fail();
    return 6;
  }

  #number(): void {
    const { bytes } = this;
    let { at } = this;
    if (bytes[at] === MINUS) at++;
    at = bytes[at] === ZERO ? at + 1 : this.#digits(at);
    if (bytes[at] === DOT) at = this.#digits(at + 1);
    const byte = bytes[at];
    if (byte === 0x65 || byte === 0x45) {
      const sign = bytes[++at];
      at = this.#digits(sign === PLUS || sign === MINUS ? at + 1 : at);
    }
    this.at = at;
  }

  /** The end of one digit or more. */
  #digits(start: number): number {
    const { bytes } = this;
    let at = start;
    while (DIGITS[bytes[at] as number] === 1) at++;
    this.at = at;
    if (at === start) this.fail();
    return at;
  }

  #literal(first: number): void {
    const text = LITERALS.get(first);
    if (text === undefined || this.bytes.toString('latin1', this.at, this.at + text.length) !== text)
      this.fail();
    else this.at += text.length;
  }
}
