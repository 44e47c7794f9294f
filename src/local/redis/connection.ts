import type { Socket } from 'node:net';
import type { Database } from './database.ts';
import { execute } from './executor.ts';
import { type Protocol, type Reply, ReplyEncoder } from './reply.ts';
import type { Request } from './request.ts';
import { ProtocolError, RequestParser } from './request-parser.ts';
import type { Session } from './session.ts';
import type { ServerState } from './state.ts';

/** A subscriber that does not read is disconnected beyond this, as by redis-server's `client-output-buffer-limit`. */
const MAX_UNREAD_BYTES = 32 * 1024 * 1024;
/** Commands that make a connection: faults let them pass, or no client would ever reach the command under test. */
const HANDSHAKE = new Set(['hello', 'auth', 'client', 'select', 'info', 'ping', 'quit']);

const encoder = new ReplyEncoder();
const pushEncoder = new ReplyEncoder();

/** A session on a socket, or, without one, the session that replays the append-only file. */
export class Connection implements Session {
  readonly id: number;
  readonly address: string;
  readonly channels = new Set<string>();
  readonly patterns = new Set<string>();
  readonly watched = new Set<string>();
  readonly connectedAt: number;
  name = '';
  library = '';
  libraryVersion = '';
  protocol: Protocol = 2;
  authenticated: boolean;
  database: Database;
  transaction: { readonly requests: Request[]; broken: boolean } | undefined;
  watchBroken: boolean = false;
  closing: boolean = false;
  readonly #socket: Socket | undefined;
  readonly #state: ServerState;
  readonly #parser = new RequestParser();
  /** Held back by a fault; held back because the client does not read. */
  #delayed: boolean = false;
  #full: boolean = false;

  constructor(state: ServerState, socket?: Socket) {
    this.#state = state;
    this.#socket = socket;
    this.id = state.nextSessionId++;
    this.address = socket ? `${socket.remoteAddress}:${socket.remotePort}` : '';
    this.connectedAt = state.clock.now();
    this.authenticated = state.password === undefined;
    this.database = state.databases[0] as Database;
    if (socket === undefined) return;
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('drain', () => {
      this.#full = false;
      this.#resume();
    });
    // A reset by the peer needs no words here: `close` follows and tidies up.
    socket.on('error', () => undefined);
  }

  get subscribedOnly(): boolean {
    return this.protocol === 2 && this.channels.size + this.patterns.size > 0;
  }

  push(items: readonly Reply[]): void {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed) return;
    if (socket.writableLength > MAX_UNREAD_BYTES) {
      socket.destroy();
      return;
    }
    pushEncoder.begin((piece) => this.#write(piece));
    pushEncoder.encode({ kind: 'push', items }, this.protocol);
    pushEncoder.flush();
  }

  unwatch(): void {
    for (const key of this.watched) {
      const sessions = this.#state.watchers.get(key);
      sessions?.delete(this);
      if (sessions?.size === 0) this.#state.watchers.delete(key);
    }
    this.watched.clear();
    this.watchBroken = false;
  }

  disconnect(): void {
    this.#socket?.destroy();
  }

  get #suspended(): boolean {
    return this.#delayed || this.#full;
  }

  #receive(chunk: Buffer): void {
    this.#state.statistics.inputBytes += chunk.length;
    this.#parser.push(chunk);
    if (this.#suspended) return;
    const latency = this.#state.faults?.any ? this.#state.faults.draw('latency') : undefined;
    if (latency === undefined) this.#process();
    else this.#delay(latency.delayMs);
  }

  /** Answers everything that is complete, until the client stops reading. */
  #process(): void {
    encoder.begin((piece) => {
      // Replies that leave early are of commands that are in the file by then.
      this.#state.appendOnlyFile?.flush();
      this.#write(piece);
    });
    try {
      while (!this.#suspended && !this.closing) {
        const request = this.#parser.next();
        if (request === undefined) break;
        const reply = this.#answer(request);
        if (reply !== undefined) encoder.encode(reply, this.protocol);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      encoder.encode({ kind: 'error', text: `ERR Protocol error: ${error.message}` }, this.protocol);
      this.closing = true;
    }
    this.#state.appendOnlyFile?.flush();
    encoder.flush();
    if (this.closing) this.#socket?.end();
  }

  /** `undefined` when a fault swallowed the request. */
  #answer(request: Request): Reply | undefined {
    const { faults } = this.#state;
    if (faults?.any && !HANDSHAKE.has(request.text(0).toLowerCase())) {
      if (faults.draw('reset')) {
        this.closing = true;
        this.#socket?.resetAndDestroy();
        return undefined;
      }
      if (faults.draw('timeout')) return undefined;
      if (faults.draw('loading'))
        return { kind: 'error', text: 'LOADING Redis is loading the dataset in memory' };
      if (faults.draw('error')) return { kind: 'error', text: 'ERR injected fault' };
    }
    return execute(this.#state, this, request);
  }

  #delay(ms: number): void {
    this.#delayed = true;
    this.#socket?.pause();
    this.#state.clock.sleep(ms).then(
      () => {
        this.#delayed = false;
        this.#resume();
      },
      () => this.disconnect(),
    );
  }

  #write(piece: Buffer): void {
    this.#state.statistics.outputBytes += piece.length;
    if (this.#socket === undefined || this.#socket.write(piece)) return;
    this.#full = true;
    this.#socket.pause();
  }

  #resume(): void {
    if (this.#suspended || this.#socket === undefined || this.#socket.destroyed) return;
    this.#socket.resume();
    this.#process();
  }
}
