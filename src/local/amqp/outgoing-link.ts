import type { AmqpCondition } from './errors.ts';
import { type Attach, CODE, writeCondition } from './performatives.ts';
import type { Session } from './session.ts';
import { TRANSFER_HEADER_BYTES, writeTransferHeader } from './transfer.ts';

export interface OutgoingLinkTerms {
  readonly maxMessageSize: number;
  /** Sends with {@link OutgoingLink.send} until the budget, the credit or the messages are used up. */
  readonly pull: (budget: SendBudget) => void;
  /** True when there is a message to send. */
  readonly hasMore: () => boolean;
  readonly onClosed?: () => void;
}

/** What a link may still send in its turn. */
export interface SendBudget {
  bytes: number;
}

/** A message, or a message with something spliced in: `bytes` from `start` to `end`, `insert` at `insertAt`. */
export interface OutgoingMessage {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  readonly insertAt?: number;
  readonly insert?: Buffer;
}

/** A link on which we send to the peer; every delivery is settled when sent, as the service has it. */
export class OutgoingLink {
  readonly session: Session;
  readonly attach: Attach;
  #terms: OutgoingLinkTerms | undefined;
  #state: 'attaching' | 'attached' | 'detached' = 'attaching';
  #deliveryCount = 0;
  #credit = 0;
  #drain: boolean = false;
  #queued: boolean = false;

  constructor(session: Session, attach: Attach) {
    this.session = session;
    this.attach = attach;
  }

  /** True when one more message may be sent now. */
  get canSend(): boolean {
    return this.#credit > 0 && this.session.peerWindow > 0 && this.#state === 'attached';
  }

  accept(terms: OutgoingLinkTerms): void {
    const { encoded, handle, maxMessageSize, name, receiverSettleMode } = this.attach;
    this.#terms = terms;
    this.#state = 'attached';
    this.session.connection.sendPerformative(this.session.channel, CODE.attach, 14, 14, (writer) => {
      // Settle mode 1: settled, whatever the receiver asked for.
      writer.string(name).uint(handle).boolean(false).ubyte(1).ubyte(receiverSettleMode);
      writer.encoded(encoded.source).encoded(encoded.target).null().null().uint(0);
      writer.ulong(
        maxMessageSize > 0 ? Math.min(maxMessageSize, terms.maxMessageSize) : terms.maxMessageSize,
      );
      writer.null().null().encoded(encoded.properties);
    });
  }

  refuse(error: AmqpCondition): void {
    const { handle, name, receiverSettleMode, senderSettleMode } = this.attach;
    this.session.connection.sendPerformative(this.session.channel, CODE.attach, 14, 10, (writer) => {
      writer.string(name).uint(handle).boolean(false).ubyte(senderSettleMode).ubyte(receiverSettleMode);
      writer.null().null().null().null().uint(0);
    });
    this.detach(error);
  }

  detach(error?: AmqpCondition): void {
    if (this.#state === 'detached') return;
    this.session.connection.sendPerformative(this.session.channel, CODE.detach, 3, 3, (writer) => {
      writer.uint(this.attach.handle).boolean(true);
      writeCondition(writer, error);
    });
    this.dispose();
  }

  onPeerDetached(closed: boolean): void {
    if (this.#state !== 'detached') {
      this.session.connection.sendPerformative(this.session.channel, CODE.detach, 3, 2, (writer) =>
        writer.uint(this.attach.handle).boolean(closed),
      );
    }
    this.dispose();
  }

  dispose(): void {
    if (this.#state === 'detached') return;
    this.#state = 'detached';
    this.#terms?.onClosed?.();
  }

  onFlow(flow: {
    readonly deliveryCount: number | undefined;
    readonly credit: number | undefined;
    readonly drain: boolean;
    readonly echo: boolean;
  }): void {
    if (this.#state !== 'attached') return;
    // AMQP 1.0 part 2, 2.6.7: credit is relative to the delivery-count that the receiver has seen.
    if (flow.credit !== undefined)
      this.#credit = ((flow.deliveryCount ?? 0) + flow.credit - this.#deliveryCount) | 0;
    this.#drain = flow.drain;
    if (flow.echo && !flow.drain) this.#sendFlow();
    if (flow.drain) this.#endDrain();
  }

  /** Asks for a turn when there is something to send and the peer can take it. */
  wake(): void {
    if (this.#queued || !this.canSend || !this.#terms!.hasMore()) return;
    this.#queued = true;
    this.session.connection.schedule(this);
  }

  /** For the connection: sends up to `bytes`, and asks for another turn when there is more. */
  takeTurn(bytes: number): void {
    this.#queued = false;
    if (!this.canSend) return;
    this.#terms!.pull({ bytes });
    this.wake();
    this.#endDrain();
  }

  /**
   * Sends one message, in as many frames as the peer's maximum frame size demands. The caller has checked
   * {@link canSend}; a window that closes in the middle of a message is overrun by its rest.
   */
  send({ bytes, start, end, insertAt = start, insert }: OutgoingMessage, budget: SendBudget): void {
    const { session } = this;
    const { connection } = session;
    const size = end - start + (insert?.length ?? 0);
    const deliveryId = session.takeDeliveryId();
    const frameSize = TRANSFER_HEADER_BYTES + size;
    budget.bytes -= frameSize;
    this.#credit--;
    this.#deliveryCount = (this.#deliveryCount + 1) >>> 0;
    if (frameSize <= connection.peerMaxFrameSize && frameSize <= TURN_FRAME_BYTES) {
      const { output } = connection;
      let at = output.reserve(frameSize);
      const out = output.chunk;
      const { channel } = session;
      writeTransferHeader(out, at, {
        frameSize,
        channel,
        handle: this.attach.handle,
        deliveryId,
        more: false,
      });
      at += TRANSFER_HEADER_BYTES;
      if (insert !== undefined) {
        at += bytes.copy(out, at, start, insertAt);
        at += insert.copy(out, at);
        bytes.copy(out, at, insertAt, end);
      } else bytes.copy(out, at, start, end);
      session.countOutgoingFrame();
      return;
    }
    const message =
      insert === undefined
        ? bytes.subarray(start, end)
        : Buffer.concat([bytes.subarray(start, insertAt), insert, bytes.subarray(insertAt, end)]);
    this.#sendInFrames(message, deliveryId);
  }

  #sendInFrames(message: Buffer, deliveryId: number): void {
    const { session } = this;
    const room = Math.min(session.connection.peerMaxFrameSize, TURN_FRAME_BYTES) - TRANSFER_HEADER_BYTES;
    for (let at = 0; at < message.length; at += room) {
      const part = message.subarray(at, at + room);
      const { output } = session.connection;
      const frameSize = TRANSFER_HEADER_BYTES + part.length;
      const outAt = output.reserve(frameSize);
      writeTransferHeader(output.chunk, outAt, {
        frameSize,
        channel: session.channel,
        handle: this.attach.handle,
        deliveryId,
        more: at + room < message.length,
      });
      part.copy(output.chunk, outAt + TRANSFER_HEADER_BYTES);
      session.countOutgoingFrame();
    }
  }

  /** Drain: credit that nothing is left to be sent for is given up (AMQP 1.0 part 2, 2.6.7). */
  #endDrain(): void {
    if (!this.#drain || this.#queued || (this.canSend && this.#terms!.hasMore())) return;
    if (this.#credit > 0 && this.#terms!.hasMore()) return;
    this.#drain = false;
    if (this.#credit > 0) {
      this.#deliveryCount = (this.#deliveryCount + this.#credit) >>> 0;
      this.#credit = 0;
    }
    this.#sendFlow();
  }

  #sendFlow(): void {
    this.session.sendFlow({
      handle: this.attach.handle,
      deliveryCount: this.#deliveryCount,
      credit: this.#credit,
    });
  }
}

/** Larger frames are cut, though a peer may allow them: they must fit the output's chunks. */
const TURN_FRAME_BYTES = 64 * 1024;
