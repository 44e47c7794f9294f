/**
 * What a command answers. Plain values are the common cases: a number is an integer, a Buffer or string (one character
 * per byte) a bulk string, null the null of the protocol in use, an array an array. The rest is tagged.
 * RESP2 and RESP3: https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export type Reply = number | bigint | string | Buffer | null | readonly Reply[] | TaggedReply;

export type TaggedReply =
  | { readonly kind: 'status'; readonly text: string }
  | { readonly kind: 'error'; readonly text: string }
  | { readonly kind: 'double'; readonly value: number }
  /** Keys and values in turn: a map in RESP3, a flat array in RESP2. */
  | { readonly kind: 'map'; readonly entries: readonly Reply[] }
  | { readonly kind: 'set'; readonly items: readonly Reply[] }
  /** Members with scores: nested pairs in RESP3, a flat array in RESP2. */
  | { readonly kind: 'scored'; readonly items: readonly (readonly [member: string, score: number])[] }
  | { readonly kind: 'verbatim'; readonly text: string }
  | { readonly kind: 'push'; readonly items: readonly Reply[] }
  /** Several replies to one command, as SUBSCRIBE gives. */
  | { readonly kind: 'several'; readonly replies: readonly Reply[] }
  /** The null that RESP2 spells as an array of length -1. */
  | { readonly kind: 'nullArray' };

export const status = (text: string): TaggedReply => ({ kind: 'status', text });
export const OK = status('OK');
export const QUEUED = status('QUEUED');
export const NULL_ARRAY: TaggedReply = { kind: 'nullArray' };

export type Protocol = 2 | 3;

/** Values above this many bytes are handed to the socket as they are instead of being copied into the shared buffer. */
const COPY_LIMIT = 8_192;
const BUFFER_SIZE = 65_536;

/**
 * Encodes replies into one shared buffer and hands full pieces to the connection it is currently writing for. One
 * encoder serves all connections, because a server answers one connection at a time.
 */
export class ReplyEncoder {
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_SIZE);
  #length = 0;
  #send: (piece: Buffer) => void = () => undefined;

  /** Everything encoded from here to `flush` goes to `send`. */
  begin(send: (piece: Buffer) => void): void {
    this.#send = send;
  }

  flush(): void {
    if (this.#length === 0) return;
    const piece = Buffer.allocUnsafe(this.#length);
    this.#buffer.copy(piece, 0, 0, this.#length);
    this.#length = 0;
    this.#send(piece);
  }

  encode(reply: Reply, protocol: Protocol): void {
    if (typeof reply === 'number' || typeof reply === 'bigint') this.#text(`:${reply}\r\n`);
    else if (reply === null) this.#text(protocol === 3 ? '_\r\n' : '$-1\r\n');
    else if (typeof reply === 'string') this.#text(`$${reply.length}\r\n${reply}\r\n`);
    else if (Buffer.isBuffer(reply)) this.#bytes(reply);
    else if (isArray(reply)) this.#list('*', reply, protocol);
    else this.#tagged(reply, protocol);
  }

  #tagged(reply: TaggedReply, protocol: Protocol): void {
    switch (reply.kind) {
      case 'status':
        this.#text(`+${reply.text}\r\n`);
        break;
      case 'error':
        this.#text(`-${reply.text.replaceAll(/[\r\n]/g, ' ')}\r\n`);
        break;
      case 'double':
        if (protocol === 3) this.#text(`,${formatDouble(reply.value)}\r\n`);
        else this.encode(formatDouble(reply.value), protocol);
        break;
      case 'map':
        this.#text(protocol === 3 ? `%${reply.entries.length / 2}\r\n` : `*${reply.entries.length}\r\n`);
        for (const entry of reply.entries) this.encode(entry, protocol);
        break;
      case 'set':
        this.#list(protocol === 3 ? '~' : '*', reply.items, protocol);
        break;
      case 'scored':
        this.#text(`*${reply.items.length * (protocol === 3 ? 1 : 2)}\r\n`);
        for (const [member, score] of reply.items) {
          if (protocol === 3) this.#text('*2\r\n');
          this.encode(member, protocol);
          this.#tagged({ kind: 'double', value: score }, protocol);
        }
        break;
      case 'verbatim':
        if (protocol === 3) this.#text(`=${reply.text.length + 4}\r\ntxt:${reply.text}\r\n`);
        else this.encode(reply.text, protocol);
        break;
      case 'push':
        this.#list(protocol === 3 ? '>' : '*', reply.items, protocol);
        break;
      case 'several':
        for (const each of reply.replies) this.encode(each, protocol);
        break;
      case 'nullArray':
        this.#text(protocol === 3 ? '_\r\n' : '*-1\r\n');
        break;
    }
  }

  #list(sigil: string, items: readonly Reply[], protocol: Protocol): void {
    this.#text(`${sigil}${items.length}\r\n`);
    for (const item of items) this.encode(item, protocol);
  }

  #text(text: string): void {
    if (text.length > COPY_LIMIT) {
      this.flush();
      this.#send(Buffer.from(text, 'latin1'));
      return;
    }
    if (this.#length + text.length > BUFFER_SIZE) this.flush();
    this.#length += this.#buffer.write(text, this.#length, 'latin1');
  }

  #bytes(bytes: Buffer): void {
    this.#text(`$${bytes.length}\r\n`);
    if (bytes.length > COPY_LIMIT) {
      this.flush();
      this.#send(bytes);
    } else {
      if (this.#length + bytes.length > BUFFER_SIZE) this.flush();
      this.#length += bytes.copy(this.#buffer, this.#length);
    }
    this.#text('\r\n');
  }
}

/** Doubles as Redis prints them: `%.17g` with shortest digits, `inf`, `-inf`, `nan`. */
export function formatDouble(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return 'inf';
  if (value === Number.NEGATIVE_INFINITY) return '-inf';
  if (Number.isNaN(value)) return 'nan';
  if (Object.is(value, -0)) return '-0';
  // C pads the exponent to two digits, JavaScript does not.
  return String(value).replace(/e([+-])(\d)$/, 'e$10$2');
}

function isArray(reply: readonly Reply[] | TaggedReply): reply is readonly Reply[] {
  return Array.isArray(reply);
}
