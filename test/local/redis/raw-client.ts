import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Speaks RESP without any library, so that tests see the very bytes of a reply. */
export class RawClient {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #arrived: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#arrived();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => this.#arrived());
  }

  static async connect(target: { port: number } | { path: string }): Promise<RawClient> {
    const socket = 'port' in target ? connect(target.port, '127.0.0.1') : connect(target.path);
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  write(bytes: string | Buffer): void {
    this.#socket.write(bytes);
  }

  /** Sends one command and resolves with the bytes of its `replies` replies, one character per byte. */
  async command(words: readonly string[], replies = 1): Promise<string> {
    this.write(encodeCommand(words));
    let text = '';
    for (let reply = 0; reply < replies; reply++) text += await this.reply();
    return text;
  }

  /** The bytes of the next reply; whatever came when the server closed the connection before it was whole. */
  async reply(): Promise<string> {
    for (;;) {
      const end = replyEnd(this.#received, 0);
      if (end !== undefined || this.#socket.closed) {
        const text = this.#received.toString('latin1', 0, end ?? this.#received.length);
        this.#received = this.#received.subarray(end ?? this.#received.length);
        return text;
      }
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

export function encodeCommand(words: readonly string[]): Buffer {
  const parts = words.map((word) => `$${Buffer.byteLength(word, 'latin1')}\r\n${word}\r\n`);
  return Buffer.from(`*${words.length}\r\n${parts.join('')}`, 'latin1');
}

/** Index behind the reply that starts at `at`; `undefined` while it is incomplete. */
function replyEnd(bytes: Buffer, at: number): number | undefined {
  const lineEnd = bytes.indexOf('\r\n', at);
  if (lineEnd < 0) return undefined;
  const sigil = String.fromCharCode(bytes[at] ?? 0);
  const number = Number(bytes.toString('latin1', at + 1, lineEnd));
  const next = lineEnd + 2;
  if ('$='.includes(sigil)) {
    if (number < 0) return next;
    return next + number + 2 <= bytes.length ? next + number + 2 : undefined;
  }
  if (!'*~>%'.includes(sigil)) return next;
  let end: number | undefined = next;
  for (let item = 0; item < number * (sigil === '%' ? 2 : 1) && end !== undefined; item++)
    end = replyEnd(bytes, end);
  return end;
}
