import { skipValue } from './decode.ts';
import { decodeError } from './errors.ts';

/** What matters of an incoming transfer (AMQP 1.0 part 2, 2.7.5); one object is filled again and again. */
export interface TransferFields {
  handle: number;
  /** -1 when absent: a continuation. */
  deliveryId: number;
  messageFormat: number;
  settled: boolean;
  more: boolean;
  aborted: boolean;
}

export function newTransferFields(): TransferFields {
  return { handle: 0, deliveryId: -1, messageFormat: 0, settled: false, more: false, aborted: false };
}

/** Reads the list at `at` without building values: this runs for every frame of every event sent. */
export function readTransfer(bytes: Buffer, at: number, end: number, into: TransferFields): void {
  into.handle = -1;
  into.deliveryId = -1;
  into.messageFormat = 0;
  into.settled = false;
  into.more = false;
  into.aborted = false;
  const formatCode = bytes[at]!;
  const wide = formatCode === 0xd0;
  if (!wide && formatCode !== 0xc0) throw decodeError('transfer is not a list');
  if (at + (wide ? 9 : 3) > end) throw decodeError('transfer ends too early');
  const count = wide ? bytes.readUInt32BE(at + 5) : bytes[at + 2]!;
  let next = at + (wide ? 9 : 3);
  for (let field: number = 0; field < count && field < 10; field++) {
    const fieldAt = next;
    next = skipValue(bytes, fieldAt, end);
    if (field === 0) into.handle = unsignedAt(bytes, fieldAt);
    else if (field === 1) into.deliveryId = unsignedAt(bytes, fieldAt);
    else if (field === 3) into.messageFormat = Math.max(0, unsignedAt(bytes, fieldAt));
    else if (field === 4) into.settled = trueAt(bytes, fieldAt);
    else if (field === 5) into.more = trueAt(bytes, fieldAt);
    else if (field === 9) into.aborted = trueAt(bytes, fieldAt);
  }
  if (into.handle < 0) throw decodeError('transfer has no handle');
}

function unsignedAt(bytes: Buffer, at: number): number {
  switch (bytes[at]) {
    case 0x40:
      return -1;
    case 0x43:
      return 0;
    case 0x52:
      return bytes[at + 1]!;
    case 0x70:
      return bytes.readUInt32BE(at + 1);
    default:
      throw decodeError('expected an unsigned integer');
  }
}

function trueAt(bytes: Buffer, at: number): boolean {
  return bytes[at] === 0x41 || (bytes[at] === 0x56 && bytes[at + 1] === 1);
}

/**
 * Header of every transfer that we send, settled, its payload behind it. All eleven fields are present, as the service
 * has it and azure-eventhub for Python demands:
 *
 *     0     4 5 6    8      11 12 13   14     16          21    23 24 25 26
 *     size  2 0 chan 005314 c0 sz  11  handle delivery-id tag"" 0  t  more null null false false batchable
 */
const TEMPLATE = Buffer.from(
  '0000000002000000' +
    '005314' +
    'c0120b' +
    '5200' +
    '7000000000' +
    'a000' +
    '43' +
    '41' +
    '42' +
    '4040' +
    '4242' +
    '41',
  'hex',
);

export const TRANSFER_HEADER_BYTES = TEMPLATE.length;
/** Handles are written as one byte. */
export const MAX_HANDLE = 255;

export function writeTransferHeader(
  out: Buffer,
  at: number,
  transfer: {
    readonly frameSize: number;
    readonly channel: number;
    readonly handle: number;
    readonly deliveryId: number;
    readonly more: boolean;
  },
): void {
  out.set(TEMPLATE, at);
  out.writeUInt32BE(transfer.frameSize, at);
  out.writeUInt16BE(transfer.channel, at + 6);
  out[at + 15] = transfer.handle;
  out.writeUInt32BE(transfer.deliveryId, at + 17);
  if (transfer.more) out[at + 25] = 0x41;
}
