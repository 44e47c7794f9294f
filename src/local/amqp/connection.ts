import type { Duplex } from 'node:stream';
import type { Clock } from '../../util/clock.ts';
import type { AmqpApplication, ConnectionLimits } from './application.ts';
import { type AmqpCondition, AmqpProtocolError, framingError } from './errors.ts';
import { FRAME_TYPE, FrameParser, PROTOCOL, protocolHeader } from './frame-parser.ts';
import type { OutgoingLink } from './outgoing-link.ts';
import { Output } from './output.ts';
import {
  CODE,
  encodeFrame,
  encodePerformative,
  Fields,
  type Performative,
  performativeAt,
  writeCondition,
} from './performatives.ts';
import { acceptSasl, offerSasl } from './sasl.ts';
import { Session } from './session.ts';
import type { AmqpWriter } from './writer.ts';

/** The smallest maximum frame size that a peer may announce (AMQP 1.0 part 2, 2.7.1). */
const MIN_MAX_FRAME_SIZE = 512;
const CHANNEL_MAX = 4_999;
/** Bytes one link may write before the next one has its turn. */
const TURN_BYTES = 128 * 1024;

export interface ConnectionOptions {
  /** The bytes of the connection, whatever carries them. */
  readonly socket: Duplex;
  /** Breaks off what carries the bytes, as a broken network does. */
  readonly abort: () => void;
  readonly application: AmqpApplication;
  readonly limits: ConnectionLimits;
  readonly clock: Clock;
}

/** One AMQP 1.0 connection, server side: protocol headers, SASL, open, sessions, heartbeats, close. */
export class Connection {
  /** True once SASL PLAIN credentials were verified. */
  authenticated = false;
  /** Largest frame that the peer accepts. */
  peerMaxFrameSize = 0xffff_ffff;
  readonly application: AmqpApplication;
  readonly output: Output;
  readonly #socket: Duplex;
  readonly #abort: () => void;
  readonly #limits: ConnectionLimits;
  readonly #clock: Clock;
  readonly #parser: FrameParser;
  readonly #sessions = new Map<number, Session>();
  readonly #closed = new AbortController();
  readonly #messageBuffers: Buffer[] = [];
  #runnable: OutgoingLink[] = [];
  #pumpQueued: boolean = false;
  #opened: boolean = false;
  #closing: boolean = false;
  #receivedAt: number;
  #usedAt: number;

  constructor(options: ConnectionOptions) {
    this.#socket = options.socket;
    this.#abort = options.abort;
    this.application = options.application;
    this.#limits = options.limits;
    this.#clock = options.clock;
    this.#receivedAt = options.clock.now();
    this.#usedAt = this.#receivedAt;
    this.output = new Output(options.socket);
    this.#parser = new FrameParser(options.limits.maxFrameSize, {
      onProtocolHeader: (id) => this.#onProtocolHeader(id),
      onFrame: (type, channel, bytes, start, end) => this.#onFrame(type, channel, bytes, start, end),
    });
    options.socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    options.socket.on('drain', () => this.#pump());
    // What went wrong is of no consequence here: 'close' follows.
    options.socket.on('error', () => {});
    options.socket.on('close', () => this.#onClosed());
    this.#every(Math.min(options.limits.idleTimeoutMs, options.limits.unusedTimeoutMs) / 4, () =>
      this.#checkSilence(),
    );
  }

  get linkCount(): number {
    let count = 0;
    for (const session of this.#sessions.values()) count += session.linkCount;
    return count;
  }

  /** Sends one control frame. */
  send(channel: number, body: Buffer): void {
    if (!this.#closing) this.output.write(encodeFrame(FRAME_TYPE.amqp, channel, body));
  }

  sendPerformative(
    channel: number,
    code: number,
    fieldCount: number,
    written: number,
    fields: (writer: AmqpWriter) => void,
  ): void {
    this.send(channel, encodePerformative(code, fieldCount, written, fields));
  }

  /** Ends the connection with a close frame, and hangs up once it is written. */
  close(error?: AmqpCondition): void {
    if (this.#closing) return;
    this.sendPerformative(0, CODE.close, 1, 1, (writer) => writeCondition(writer, error));
    this.#closing = true;
    this.#parser.stop();
    this.output.flush();
    this.#socket.end();
    this.#after(1_000, () => this.#socket.destroy());
  }

  /** Drops the connection as a broken network does. */
  reset(): void {
    this.#closing = true;
    this.#parser.stop();
    this.#abort();
  }

  /** Gives `link` a turn to send; links take turns, so that a fast one does not starve the others. */
  schedule(link: OutgoingLink): void {
    this.#runnable.push(link);
    this.#queuePump();
  }

  /** A buffer for the parts of one incoming message, to be given back with {@link returnMessageBuffer}. */
  takeMessageBuffer(size: number): Buffer {
    const spare = this.#messageBuffers.pop();
    return spare !== undefined && spare.length >= size ? spare : Buffer.allocUnsafeSlow(size);
  }

  returnMessageBuffer(buffer: Buffer): void {
    if (this.#messageBuffers.length < 4) this.#messageBuffers.push(buffer);
  }

  #onData(chunk: Buffer): void {
    this.#receivedAt = this.#clock.now();
    try {
      this.#parser.push(chunk);
    } catch (cause) {
      this.#fail(cause);
    }
    this.settle();
  }

  /** Commits, then acknowledges everything that the latest read brought. */
  settle(): void {
    let failure: AmqpCondition | undefined;
    try {
      this.application.commit();
    } catch (cause) {
      failure = {
        condition: 'amqp:internal-error',
        description: `The message could not be stored: ${messageOf(cause)}`,
      };
    }
    for (const session of this.#sessions.values()) session.sendDispositions(failure);
  }

  #fail(cause: unknown): void {
    this.close(
      cause instanceof AmqpProtocolError
        ? cause
        : { condition: 'amqp:internal-error', description: messageOf(cause) },
    );
  }

  #onProtocolHeader(protocolId: number): void {
    if (this.#opened) throw framingError('protocol header after open');
    this.output.write(protocolHeader(protocolId === PROTOCOL.sasl ? PROTOCOL.sasl : PROTOCOL.amqp));
    if (protocolId === PROTOCOL.sasl) this.output.write(offerSasl(this.application.saslMechanisms));
    else if (protocolId !== PROTOCOL.amqp) this.#hangUp();
  }

  #onFrame(type: number, channel: number, bytes: Buffer, start: number, end: number): void {
    if (start === end) return;
    const performative = performativeAt(bytes, start, end);
    if (type === FRAME_TYPE.sasl) {
      const { outcome, accepted } = acceptSasl(bytes, performative, (username, password) => {
        this.authenticated = this.application.authenticate(this, username, password);
        return this.authenticated;
      });
      this.output.write(outcome);
      if (!accepted) this.#hangUp();
      return;
    }
    if (type !== FRAME_TYPE.amqp) throw framingError(`unknown frame type ${type}`);
    if (performative.code === CODE.open) this.#onOpen(bytes, performative);
    else if (performative.code === CODE.close) this.close();
    else if (!this.#opened) throw framingError('the first frame must be open');
    else if (performative.code === CODE.begin) this.#onBegin(channel, bytes, performative);
    // A frame may still arrive for a session that was ended without waiting for our end: it has no meaning any more.
    else this.#sessions.get(channel)?.onFrame(performative, bytes, end);
  }

  #onOpen(bytes: Buffer, { listAt, next }: Performative): void {
    if (this.#opened) throw framingError('open was sent twice');
    const fields = new Fields(bytes, listAt, next);
    this.#opened = true;
    this.peerMaxFrameSize = Math.max(MIN_MAX_FRAME_SIZE, fields.optionalNumber(2) ?? 0xffff_ffff);
    this.sendPerformative(0, CODE.open, 10, 5, (writer) => {
      writer.string(this.application.containerId).null().uint(this.#limits.maxFrameSize);
      writer.ushort(CHANNEL_MAX).uint(this.#limits.idleTimeoutMs);
    });
    const peerIdleMs = fields.optionalNumber(4) ?? 0;
    if (peerIdleMs > 0) this.#keepAlive(Math.min(peerIdleMs / 4, 30_000));
  }

  #onBegin(channel: number, bytes: Buffer, { listAt, next }: Performative): void {
    if (channel > CHANNEL_MAX) throw framingError(`channel ${channel} exceeds the maximum of ${CHANNEL_MAX}`);
    if (this.#sessions.has(channel)) throw framingError(`channel ${channel} is in use`);
    const fields = new Fields(bytes, listAt, next);
    const session = new Session(this, channel, {
      nextIncomingId: fields.number(1),
      peerIncomingWindow: fields.number(2),
      onEnded: () => this.#sessions.delete(channel),
    });
    this.#sessions.set(channel, session);
    session.begin(fields.optionalNumber(4) ?? 0xffff_ffff);
  }

  /** Sends an empty frame whenever nothing else was sent for a while (AMQP 1.0 part 2, 2.4.5). */
  #keepAlive(intervalMs: number): void {
    let seen = this.output.total;
    this.#every(intervalMs, () => {
      if (this.output.total === seen && !this.#closing)
        this.output.write(encodeFrame(FRAME_TYPE.amqp, 0, Buffer.alloc(0)));
      this.output.flush();
      seen = this.output.total;
    });
  }

  #checkSilence(): void {
    const now = this.#clock.now();
    const { idleTimeoutMs, unusedTimeoutMs } = this.#limits;
    if (this.linkCount > 0) this.#usedAt = now;
    if (now - this.#receivedAt > 2 * idleTimeoutMs) {
      this.close({
        condition: 'amqp:resource-limit-exceeded',
        description: `No frame was received for ${2 * idleTimeoutMs} milliseconds.`,
      });
    } else if (now - this.#usedAt > unusedTimeoutMs) {
      this.close({
        condition: 'amqp:connection:forced',
        description: `The connection was inactive for more than the allowed ${unusedTimeoutMs} milliseconds and is closed by container '${this.application.containerId}'.`,
      });
    }
  }

  #queuePump(): void {
    if (this.#pumpQueued) return;
    this.#pumpQueued = true;
    setImmediate(() => {
      this.#pumpQueued = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#runnable.length === 0 || this.#closing) return;
    const links = this.#runnable;
    this.#runnable = [];
    for (const [index, link] of links.entries()) {
      if (this.output.congested) {
        // 'drain' resumes here.
        this.#runnable = [...links.slice(index), ...this.#runnable];
        return;
      }
      link.takeTurn(TURN_BYTES);
    }
  }

  #hangUp(): void {
    this.#closing = true;
    this.#parser.stop();
    this.output.flush();
    this.#socket.end();
  }

  #onClosed(): void {
    if (this.#closed.signal.aborted) return;
    this.#closing = true;
    this.#closed.abort();
    this.#runnable = [];
    for (const session of [...this.#sessions.values()]) session.dispose();
    this.#sessions.clear();
    this.application.onClosed(this);
  }

  #after(ms: number, act: () => void): void {
    this.#clock.sleep(ms, this.#closed.signal).then(act, () => {});
  }

  #every(ms: number, act: () => void): void {
    this.#after(ms, () => {
      act();
      this.#every(ms, act);
    });
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
