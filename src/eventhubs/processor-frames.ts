/**
 * Takes the transfers of chosen receiver links out of the bytes of a connection before rhea sees them. rhea (3.0) makes a
 * reader, a described type per value, a delivery with five closures and a context for each, which costs more than storing
 * the event. Links, credit, sessions and everything else stay rhea's, and its counters are kept as it would keep them.
 *
 * Only transfers of the ordinary shape are taken: settled by the sender, whole, in order, within credit. Every other frame
 * takes rhea's way.
 */

/** rhea's objects, as far as they matter here. */
interface RheaTransport {
  header_received?: unknown;
  read_complete?: unknown;
  read(bytes: Buffer): number;
}
interface RheaConnection {
  readonly amqp_transport?: RheaTransport;
  readonly remote_channel_map?: Readonly<Record<number, RheaSession | undefined>>;
  _register?(): void;
}
interface RheaSession {
  readonly connection: RheaConnection;
  readonly incoming?: { next_transfer_id: number; next_delivery_id: number | undefined };
  readonly remote: { readonly handles?: Readonly<Record<number, RheaLink | undefined>> };
}
interface RheaLink {
  readonly session: RheaSession;
  readonly _incomplete?: unknown;
  credit: number;
  delivery_count: number;
  is_remote_open?(): boolean;
}

/** Gets the transfers of one link. */
export interface TransferTarget {
  /** Takes the payload of one transfer, or leaves it to rhea by returning false. The bytes stay as they are. */
  take(bytes: Buffer, start: number, end: number): boolean;
  /** All transfers of one read are taken, or a frame that rhea gets comes next. */
  flush(): void;
}

const HEADER_BYTES = 8;
/** Size, data offset, type and channel; descriptor; constructor, size and count of the list. */
const LEAST_TRANSFER_BYTES = HEADER_BYTES + 3 + 3;
const TRANSFER = 0x14;

/** Lets `target` have the transfers of a receiver link of rhea-promise; false, and nothing done, when it has another shape. */
export function takeTransfers(receiver: unknown, target: TransferTarget): boolean {
  const link = (receiver as { _link?: RheaLink })._link;
  const connection = link?.session?.connection;
  const transport = connection?.amqp_transport;
  if (
    typeof transport?.read !== 'function' ||
    typeof connection?._register !== 'function' ||
    typeof connection.remote_channel_map !== 'object' ||
    typeof link?.session.incoming?.next_transfer_id !== 'number' ||
    typeof link.session.remote?.handles !== 'object' ||
    typeof link.is_remote_open !== 'function' ||
    typeof link.credit !== 'number'
  )
    return false;
  (takers.get(transport) ?? takeFrames(connection, transport)).targets.set(link, target);
  return true;
}

/** One per connection; a link that is gone takes its target with it. */
const takers = new WeakMap<RheaTransport, { readonly targets: WeakMap<RheaLink, TransferTarget> }>();

function takeFrames(connection: RheaConnection, transport: RheaTransport) {
  const targets = new WeakMap<RheaLink, TransferTarget>();
  const readRest = transport.read.bind(transport);
  const frame = new TransferFrame();
  let lastLink: RheaLink | undefined;
  let lastTarget: TransferTarget | undefined;
  const targetOf = (link: RheaLink): TransferTarget | undefined => {
    if (link !== lastLink) {
      lastTarget?.flush();
      lastLink = link;
      lastTarget = targets.get(link);
    }
    return lastTarget;
  };

  /** Whether the frame was a transfer that its target took. */
  function take(bytes: Buffer, at: number, end: number): boolean {
    if (!frame.read(bytes, at, end)) return false;
    const session = connection.remote_channel_map?.[frame.channel];
    const link = session?.remote.handles?.[frame.handle];
    const incoming = session?.incoming;
    if (link === undefined || incoming === undefined) return false;
    if (link.credit <= 0 || link._incomplete || !link.is_remote_open?.()) return false;
    if (incoming.next_delivery_id !== undefined && incoming.next_delivery_id !== frame.deliveryId)
      return false;
    if (targetOf(link)?.take(bytes, frame.payloadAt, end) !== true) return false;
    incoming.next_transfer_id++;
    incoming.next_delivery_id = (frame.deliveryId + 1) >>> 0;
    link.credit--;
    link.delivery_count++;
    return true;
  }

  transport.read = (bytes) => {
    if (!transport.header_received) return readRest(bytes);
    let at = 0;
    let taken = false;
    try {
      while (bytes.length - at >= HEADER_BYTES && !transport.read_complete) {
        const end = at + bytes.readUInt32BE(at);
        if (end > bytes.length || end < at + HEADER_BYTES) return at + readRest(bytes.subarray(at));
        if (take(bytes, at, end)) taken = true;
        else {
          lastTarget?.flush();
          readRest(bytes.subarray(at, end));
        }
        at = end;
      }
    } finally {
      lastTarget?.flush();
      lastTarget = undefined;
      lastLink = undefined;
      // Lets rhea send the session's flow when its window is half used.
      if (taken) connection._register?.();
    }
    return at;
  };
  const taker = { targets };
  takers.set(transport, taker);
  return taker;
}

/** The header of a transfer (AMQP 1.0 part 2, 2.7.5); one object is filled again and again. */
class TransferFrame {
  channel = 0;
  handle = 0;
  deliveryId = 0;
  payloadAt = 0;

  /** False for anything but a whole, settled transfer of message format 0. */
  read(bytes: Buffer, start: number, end: number): boolean {
    if (end - start < LEAST_TRANSFER_BYTES || bytes[start + 4] !== 2 || bytes[start + 5] !== 0) return false;
    let at = start + HEADER_BYTES;
    if (bytes[at] !== 0x00 || bytes[at + 1] !== 0x53 || bytes[at + 2] !== TRANSFER) return false;
    const wide = bytes[at + 3] === 0xd0;
    if (!wide && bytes[at + 3] !== 0xc0) return false;
    const listAt = at + 4;
    if (wide && end - listAt < 8) return false;
    const listEnd = wide ? listAt + 4 + bytes.readUInt32BE(listAt) : listAt + 1 + (bytes[listAt] as number);
    const count = wide ? bytes.readUInt32BE(listAt + 4) : (bytes[listAt + 1] as number);
    if (listEnd >= end || count < 5) return false;
    at = listAt + (wide ? 8 : 2);

    const handle = unsigned(bytes, at);
    at += unsignedLength(bytes[at]);
    const deliveryId = unsigned(bytes, at);
    at += unsignedLength(bytes[at]);
    if (handle < 0 || deliveryId < 0) return false;
    if (bytes[at] === 0xa0) at += 2 + (bytes[at + 1] as number);
    else if (bytes[at] === 0x40) at++;
    else return false;
    if (unsigned(bytes, at) !== 0) return false;
    at += unsignedLength(bytes[at]);
    if (bytes[at++] !== 0x41) return false;
    // More frames, settle mode, state, resume, aborted, batchable: ordinary are absent, null and, but for the last, false.
    for (let field = 5; field < count; field++) {
      const code = bytes[at++];
      if (code !== 0x40 && code !== 0x42 && !(code === 0x41 && field === 10)) return false;
    }
    if (at !== listEnd) return false;
    this.channel = bytes.readUInt16BE(start + 6);
    this.handle = handle;
    this.deliveryId = deliveryId;
    this.payloadAt = listEnd;
    return true;
  }
}

/** -1 for anything that is no uint. */
function unsigned(bytes: Buffer, at: number): number {
  switch (bytes[at]) {
    case 0x43:
      return 0;
    case 0x52:
      return bytes[at + 1] as number;
    case 0x70:
      return at + 5 <= bytes.length ? bytes.readUInt32BE(at + 1) : -1;
    default:
      return -1;
  }
}

function unsignedLength(code: number | undefined): number {
  return code === 0x43 ? 1 : code === 0x52 ? 2 : 5;
}
