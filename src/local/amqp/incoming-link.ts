import type { AmqpCondition } from './errors.ts';
import { type Attach, CODE, writeCondition } from './performatives.ts';
import type { Session } from './session.ts';
import type { TransferFields } from './transfer.ts';

export interface Delivery {
  readonly id: number;
  readonly messageFormat: number;
  /** True when the sender expects no disposition. */
  readonly settled: boolean;
  /** Holds the message from `start` to `end`, during the call only. */
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

export interface IncomingLinkTerms {
  /** Larger messages are rejected. */
  readonly maxMessageSize: number;
  /** Deliveries that may be on the way or unsettled at a time. */
  readonly credit: number;
  /** Encoded map; the peer's own is echoed by default. */
  readonly properties?: Buffer;
  readonly offeredCapabilities?: readonly string[];
  /** Called for each message; settle it with `accepted`, `rejected` or `abandoned`, now or later. */
  readonly onDelivery: (delivery: Delivery) => void;
  /** Text and condition for a message beyond `maxMessageSize`. */
  readonly tooLarge: (deliveryId: number, size: number) => AmqpCondition;
  readonly onClosed?: () => void;
}

/** A link on which the peer sends to us. */
export class IncomingLink {
  readonly session: Session;
  readonly attach: Attach;
  #terms: IncomingLinkTerms | undefined;
  #state: 'attaching' | 'attached' | 'detached' = 'attaching';
  #deliveryCount: number;
  #credit = 0;
  #unsettled = 0;
  // The delivery whose frames are arriving.
  #current: { readonly id: number; readonly messageFormat: number; settled: boolean } | undefined;
  #message: Buffer | undefined;
  #size = 0;

  constructor(session: Session, attach: Attach) {
    this.session = session;
    this.attach = attach;
    this.#deliveryCount = attach.initialDeliveryCount;
  }

  accept(terms: IncomingLinkTerms): void {
    const { encoded, handle, maxMessageSize, name, receiverSettleMode, senderSettleMode } = this.attach;
    this.#terms = terms;
    this.#state = 'attached';
    this.session.connection.sendPerformative(this.session.channel, CODE.attach, 14, 14, (writer) => {
      writer.string(name).uint(handle).boolean(true).ubyte(senderSettleMode).ubyte(receiverSettleMode);
      writer.encoded(encoded.source).encoded(encoded.target).null().null().null();
      writer.ulong(
        maxMessageSize > 0 ? Math.min(maxMessageSize, terms.maxMessageSize) : terms.maxMessageSize,
      );
      if (terms.offeredCapabilities) writer.symbolArray(terms.offeredCapabilities);
      else writer.null();
      writer.null().encoded(terms.properties ?? encoded.properties);
    });
    // In the same write as the attach: @azure/event-hubs looks for credit at once, and waits a second when there is none.
    this.#credit = terms.credit;
    this.#sendFlow();
  }

  /** Declines the link: an attach without termini, then a detach with the reason (AMQP 1.0 part 2, 2.6.3). */
  refuse(error: AmqpCondition): void {
    const { handle, name, receiverSettleMode, senderSettleMode } = this.attach;
    this.session.connection.sendPerformative(this.session.channel, CODE.attach, 14, 5, (writer) => {
      writer.string(name).uint(handle).boolean(true).ubyte(senderSettleMode).ubyte(receiverSettleMode);
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
    this.#dropMessage();
    this.#terms?.onClosed?.();
  }

  onFlow(flow: { readonly deliveryCount: number | undefined; readonly echo: boolean }): void {
    if (this.#state !== 'attached') return;
    if (flow.echo) this.#sendFlow();
  }

  onTransfer(transfer: TransferFields, bytes: Buffer, start: number, end: number): void {
    // The peer cannot know yet that the link is gone.
    if (this.#state !== 'attached') return;
    if (this.#current === undefined) {
      if (this.#credit <= 0) {
        this.detach({
          condition: 'amqp:link:transfer-limit-exceeded',
          description: 'The sender has no credit left.',
        });
        return;
      }
      const { deliveryId, messageFormat, settled } = transfer;
      this.#current = { id: Math.max(0, deliveryId), messageFormat, settled };
      if (!transfer.more && !transfer.aborted) {
        this.#size = end - start;
        this.#complete(bytes, start, end);
        return;
      }
    }
    if (transfer.settled) this.#current.settled = true;
    if (transfer.aborted) {
      this.#countDelivery();
      this.#current = undefined;
      this.#dropMessage();
      this.#release();
      return;
    }
    this.#gather(bytes, start, end);
    if (!transfer.more) this.#complete(this.#message ?? Buffer.alloc(0), 0, this.#size);
  }

  accepted(delivery: Delivery): void {
    if (this.#state !== 'attached') return;
    if (!delivery.settled) this.session.accept(delivery.id);
    this.#release();
  }

  rejected(delivery: Delivery, error: AmqpCondition): void {
    if (this.#state !== 'attached') return;
    if (!delivery.settled) this.session.reject(delivery.id, error);
    this.#release();
  }

  /** Leaves the sender without an answer. */
  abandoned(): void {
    this.#release();
  }

  #gather(bytes: Buffer, start: number, end: number): void {
    const before = this.#size;
    this.#size += end - start;
    const limit = this.#terms!.maxMessageSize;
    // Beyond the limit only the size still counts, for the rejection.
    if (this.#size > limit) return;
    this.#message ??= this.session.connection.takeMessageBuffer(limit);
    bytes.copy(this.#message, before, start, end);
  }

  #complete(bytes: Buffer, start: number, end: number): void {
    const current = this.#current!;
    const size = this.#size;
    this.#current = undefined;
    this.#countDelivery();
    const delivery: Delivery = { ...current, bytes, start, end };
    if (size > this.#terms!.maxMessageSize) this.rejected(delivery, this.#terms!.tooLarge(current.id, size));
    else this.#terms!.onDelivery(delivery);
    this.#dropMessage();
  }

  #countDelivery(): void {
    this.#deliveryCount = (this.#deliveryCount + 1) >>> 0;
    this.#credit--;
    this.#unsettled++;
  }

  #dropMessage(): void {
    this.#size = 0;
    if (this.#message !== undefined) this.session.connection.returnMessageBuffer(this.#message);
    this.#message = undefined;
  }

  #release(): void {
    this.#unsettled--;
    if (this.#state !== 'attached') return;
    const granted = this.#terms!.credit - this.#unsettled;
    if (this.#credit >= granted / 2) return;
    this.#credit = granted;
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
