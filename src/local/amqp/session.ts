import type { Connection } from './connection.ts';
import { type AmqpCondition, AmqpProtocolError } from './errors.ts';
import { IncomingLink } from './incoming-link.ts';
import { OutgoingLink } from './outgoing-link.ts';
import {
  type Attach,
  CODE,
  decodeAttach,
  Fields,
  type Performative,
  writeCondition,
} from './performatives.ts';
import { MAX_HANDLE, newTransferFields, readTransfer } from './transfer.ts';

/** Transfer frames that the peer may have on the way, as the service announces it. */
const INCOMING_WINDOW = 5_000;
const OUTGOING_WINDOW = 65_536;

export interface SessionOptions {
  readonly nextIncomingId: number;
  readonly peerIncomingWindow: number;
  readonly onEnded: () => void;
}

type Link = IncomingLink | OutgoingLink;

/** One session: transfer ids and windows, the links on it, and the dispositions of one socket read. */
export class Session {
  readonly connection: Connection;
  readonly channel: number;
  /** Transfer frames that the peer can take now. */
  peerWindow: number;
  readonly #options: SessionOptions;
  readonly #links = new Map<number, Link>();
  readonly #transfer = newTransferFields();
  #nextIncomingId: number;
  #nextOutgoingId = 1;
  #nextDeliveryId = 0;
  #framesSinceFlow = 0;
  /** Ranges of deliveries taken in and to be acknowledged after the commit: first, last, first, last ... */
  #accepted: number[] = [];
  #rejected: { readonly id: number; readonly error: AmqpCondition }[] = [];

  constructor(connection: Connection, channel: number, options: SessionOptions) {
    this.connection = connection;
    this.channel = channel;
    this.#options = options;
    this.#nextIncomingId = options.nextIncomingId;
    this.peerWindow = options.peerIncomingWindow;
  }

  get linkCount(): number {
    return this.#links.size;
  }

  begin(peerHandleMax: number): void {
    this.connection.sendPerformative(this.channel, CODE.begin, 8, 5, (writer) => {
      writer.ushort(this.channel).uint(this.#nextOutgoingId).uint(INCOMING_WINDOW).uint(OUTGOING_WINDOW);
      writer.uint(Math.min(MAX_HANDLE, peerHandleMax));
    });
  }

  onFrame(performative: Performative, bytes: Buffer, end: number): void {
    const { code, listAt, next } = performative;
    if (code === CODE.transfer) {
      this.#onTransfer(performative, bytes, end);
      return;
    }
    const fields = new Fields(bytes, listAt, next);
    switch (code) {
      case CODE.attach:
        this.#onAttach(decodeAttach(fields));
        break;
      case CODE.flow:
        this.#onFlow(fields);
        break;
      case CODE.detach:
        this.#onDetach(fields.number(0), fields.boolean(1));
        break;
      case CODE.disposition:
        // All our deliveries are settled when sent: there is nothing to learn.
        break;
      case CODE.end:
        this.end();
        break;
      default:
        throw new AmqpProtocolError('amqp:not-implemented', `unexpected performative ${code}`);
    }
  }

  end(): void {
    this.dispose();
    this.connection.sendPerformative(this.channel, CODE.end, 1, 1, (writer) => writer.null());
  }

  /** Tells every link that it is gone. */
  dispose(): void {
    for (const link of [...this.#links.values()]) link.dispose();
    this.#links.clear();
    this.#options.onEnded();
  }

  /** Id of the next delivery we send. */
  takeDeliveryId(): number {
    const id = this.#nextDeliveryId;
    this.#nextDeliveryId = (id + 1) >>> 0;
    return id;
  }

  /** Accounts for one transfer frame we send. */
  countOutgoingFrame(): void {
    this.#nextOutgoingId = (this.#nextOutgoingId + 1) >>> 0;
    this.peerWindow--;
  }

  accept(deliveryId: number): void {
    const ranges = this.#accepted;
    if (ranges.length > 0 && (ranges[ranges.length - 1]! + 1) >>> 0 === deliveryId)
      ranges[ranges.length - 1] = deliveryId;
    else ranges.push(deliveryId, deliveryId);
  }

  reject(deliveryId: number, error: AmqpCondition): void {
    this.#rejected.push({ id: deliveryId, error });
  }

  /** Acknowledges what was taken in; rejects it all when it could not be stored. */
  sendDispositions(failure?: AmqpCondition): void {
    const ranges = this.#accepted;
    const rejected = this.#rejected;
    if (ranges.length > 0) this.#accepted = [];
    if (rejected.length > 0) this.#rejected = [];
    for (let i = 0; i < ranges.length; i += 2) this.#sendDisposition(ranges[i]!, ranges[i + 1]!, failure);
    for (const { id, error } of rejected) this.#sendDisposition(id, id, error);
  }

  #sendDisposition(first: number, last: number, error: AmqpCondition | undefined): void {
    this.connection.sendPerformative(this.channel, CODE.disposition, 6, 5, (writer) => {
      writer.boolean(true).uint(first).uint(last).boolean(true);
      if (error === undefined) writer.descriptor(CODE.accepted).list(0, () => {});
      else writer.descriptor(CODE.rejected).list(1, () => writeCondition(writer, error));
    });
  }

  /** Flow of the session, or of one link. */
  sendFlow(link?: {
    readonly handle: number;
    readonly deliveryCount: number;
    readonly credit: number;
  }): void {
    this.#framesSinceFlow = 0;
    this.connection.sendPerformative(this.channel, CODE.flow, 11, link ? 7 : 4, (writer) => {
      writer.uint(this.#nextIncomingId).uint(INCOMING_WINDOW);
      writer.uint(this.#nextOutgoingId).uint(OUTGOING_WINDOW);
      if (link) writer.uint(link.handle).uint(link.deliveryCount).uint(link.credit);
    });
  }

  #onAttach(attach: Attach): void {
    if (attach.handle > MAX_HANDLE)
      throw new AmqpProtocolError(
        'amqp:connection:framing-error',
        `handle ${attach.handle} exceeds ${MAX_HANDLE}`,
      );
    if (this.#links.has(attach.handle))
      throw new AmqpProtocolError('amqp:session:handle-in-use', `handle ${attach.handle} is in use`);
    if (attach.peerReceives) {
      const link = new OutgoingLink(this, attach);
      this.#links.set(attach.handle, link);
      this.connection.application.onOutgoingLink(link);
    } else {
      const link = new IncomingLink(this, attach);
      this.#links.set(attach.handle, link);
      this.connection.application.onIncomingLink(link);
    }
  }

  #onDetach(handle: number, closed: boolean): void {
    const link = this.#links.get(handle);
    if (link === undefined) return;
    this.#links.delete(handle);
    link.onPeerDetached(closed);
  }

  #onFlow(fields: Fields): void {
    // Until the peer has seen our begin it cannot name our first id (AMQP 1.0 part 2, 2.7.4).
    const nextIncomingId = fields.optionalNumber(0) ?? 1;
    this.peerWindow = (nextIncomingId + fields.number(1) - this.#nextOutgoingId) | 0;
    const handle = fields.optionalNumber(4);
    if (handle === undefined) {
      for (const link of this.#links.values()) if (link instanceof OutgoingLink) link.wake();
      if (fields.boolean(9)) this.sendFlow();
      return;
    }
    this.#links.get(handle)?.onFlow({
      deliveryCount: fields.optionalNumber(5),
      credit: fields.optionalNumber(6),
      drain: fields.boolean(8),
      echo: fields.boolean(9),
    });
    for (const link of this.#links.values()) if (link instanceof OutgoingLink) link.wake();
  }

  #onTransfer({ listAt, next }: Performative, bytes: Buffer, end: number): void {
    this.#nextIncomingId = (this.#nextIncomingId + 1) >>> 0;
    const transfer = this.#transfer;
    readTransfer(bytes, listAt, next, transfer);
    const link = this.#links.get(transfer.handle);
    if (!(link instanceof IncomingLink))
      throw new AmqpProtocolError('amqp:session:unattached-handle', `no sender at handle ${transfer.handle}`);
    link.onTransfer(transfer, bytes, next, end);
    if (++this.#framesSinceFlow >= INCOMING_WINDOW / 2) this.sendFlow();
  }
}
