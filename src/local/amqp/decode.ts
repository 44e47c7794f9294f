import { decodeError } from './errors.ts';

/** Symbols and chars decode to strings, uuid to its 16 bytes; 64-bit integers to bigint only beyond 2^53. */
export type AmqpValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Buffer
  | Described
  | readonly AmqpValue[]
  | AmqpMap;

export type AmqpMap = ReadonlyMap<AmqpValue, AmqpValue>;

export class Described {
  readonly descriptor: AmqpValue;
  readonly value: AmqpValue;

  constructor(descriptor: AmqpValue, value: AmqpValue) {
    this.descriptor = descriptor;
    this.value = value;
  }
}

/** A decoded value and where the next one begins. */
export interface Decoded {
  readonly value: AmqpValue;
  readonly next: number;
}

/** Deeper nesting has no use in this protocol, and recursion must end before the stack does. */
const MAX_DEPTH = 32;

/** Elements of zero width cost an attacker nothing: their number must not follow a length field of the peer. */
const MAX_EMPTY_ELEMENTS = 4096;

/**
 * Position after the value at `at`, without decoding it (AMQP 1.0 part 1, 1.2: the format code's high nibble tells the
 * width).
 *
 * @throws AmqpProtocolError when it is malformed or ends beyond `end`.
 */
export function skipValue(bytes: Buffer, at: number, end: number, depth = 0): number {
  if (at >= end) throw decodeError('value ends too early');
  const formatCode = bytes[at]!;
  if (formatCode === 0x00) {
    if (depth >= MAX_DEPTH) throw decodeError(`values are nested more than ${MAX_DEPTH} deep`);
    return skipValue(bytes, skipValue(bytes, at + 1, end, depth + 1), end, depth + 1);
  }
  const next = at + 1 + widthOf(bytes, formatCode, at + 1, end);
  if (next > end) throw decodeError('value ends too early');
  return next;
}

function widthOf(bytes: Buffer, formatCode: number, at: number, end: number): number {
  switch (formatCode >>> 4) {
    case 0x4:
      return 0;
    case 0x5:
      return 1;
    case 0x6:
      return 2;
    case 0x7:
      return 4;
    case 0x8:
      return 8;
    case 0x9:
      return 16;
    case 0xa:
    case 0xc:
    case 0xe:
      return at < end ? 1 + bytes[at]! : 1;
    case 0xb:
    case 0xd:
    case 0xf:
      return at + 4 <= end ? 4 + bytes.readUInt32BE(at) : 4;
    default:
      throw decodeError(`unknown format code 0x${formatCode.toString(16)}`);
  }
}

/**
 * Decodes the value at `at`. Binary values are views of `bytes`.
 *
 * @throws AmqpProtocolError for any malformed input.
 */
export function decodeValue(bytes: Buffer, at: number, end: number, depth = 0): Decoded {
  const next = skipValue(bytes, at, end, depth);
  const formatCode = bytes[at]!;
  if (formatCode !== 0x00) return { value: decodePayload(bytes, formatCode, at + 1, next, depth), next };
  const descriptor = decodeValue(bytes, at + 1, next, depth + 1);
  const described = decodeValue(bytes, descriptor.next, next, depth + 1);
  return { value: new Described(descriptor.value, described.value), next };
}

function decodePayload(bytes: Buffer, formatCode: number, at: number, end: number, depth: number): AmqpValue {
  switch (formatCode) {
    case 0x40:
      return null;
    case 0x41:
      return true;
    case 0x42:
      return false;
    case 0x43:
    case 0x44:
      return 0;
    case 0x45:
      return [];
    case 0x50:
    case 0x52:
    case 0x53:
      return bytes[at]!;
    case 0x51:
    case 0x54:
    case 0x55:
      return bytes.readInt8(at);
    case 0x56:
      return bytes[at] !== 0;
    case 0x60:
      return bytes.readUInt16BE(at);
    case 0x61:
      return bytes.readInt16BE(at);
    case 0x70:
      return bytes.readUInt32BE(at);
    case 0x71:
      return bytes.readInt32BE(at);
    case 0x72:
      return bytes.readFloatBE(at);
    case 0x73:
      return charOf(bytes.readUInt32BE(at));
    case 0x80:
      return safeInteger(bytes.readBigUInt64BE(at));
    case 0x81:
    case 0x83:
      return safeInteger(bytes.readBigInt64BE(at));
    case 0x82:
      return bytes.readDoubleBE(at);
    case 0x74:
    case 0x84:
    case 0x94:
    case 0x98:
      return bytes.subarray(at, end);
    case 0xa0:
      return bytes.subarray(at + 1, end);
    case 0xb0:
      return bytes.subarray(at + 4, end);
    case 0xa1:
      return bytes.toString('utf8', at + 1, end);
    case 0xb1:
      return bytes.toString('utf8', at + 4, end);
    case 0xa3:
      return bytes.toString('latin1', at + 1, end);
    case 0xb3:
      return bytes.toString('latin1', at + 4, end);
    case 0xc0:
    case 0xd0:
      return decodeList(bytes, formatCode, at, end, depth);
    case 0xc1:
    case 0xd1:
      return decodeMap(bytes, formatCode, at, end, depth);
    case 0xe0:
    case 0xf0:
      return decodeArray(bytes, formatCode, at, end, depth);
    default:
      throw decodeError(`unknown format code 0x${formatCode.toString(16)}`);
  }
}

function charOf(codePoint: number): string {
  if (codePoint > 0x10ffff) throw decodeError(`invalid code point ${codePoint}`);
  return String.fromCodePoint(codePoint);
}

function safeInteger(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

interface Compound {
  readonly count: number;
  readonly first: number;
}

/** Size, count and first element of a list, map or array whose size field is at `at`. */
function compoundAt(bytes: Buffer, formatCode: number, at: number, end: number): Compound {
  const wide = formatCode >= 0xd0 && formatCode !== 0xe0;
  const first = at + (wide ? 8 : 2);
  if (first > end) throw decodeError('compound ends before its count');
  return { count: wide ? bytes.readUInt32BE(at + 4) : bytes[at + 1]!, first };
}

function decodeList(bytes: Buffer, formatCode: number, at: number, end: number, depth: number): AmqpValue[] {
  if (depth >= MAX_DEPTH) throw decodeError(`values are nested more than ${MAX_DEPTH} deep`);
  const { count, first } = compoundAt(bytes, formatCode, at, end);
  const values: AmqpValue[] = [];
  let next = first;
  for (let i = 0; i < count; i++) {
    const element = decodeValue(bytes, next, end, depth + 1);
    values.push(element.value);
    next = element.next;
  }
  return values;
}

function decodeMap(bytes: Buffer, formatCode: number, at: number, end: number, depth: number): AmqpMap {
  const elements = decodeList(bytes, formatCode, at, end, depth);
  if (elements.length % 2 !== 0) throw decodeError('map has a key without a value');
  const map = new Map<AmqpValue, AmqpValue>();
  for (let i = 0; i < elements.length; i += 2) map.set(elements[i]!, elements[i + 1]!);
  return map;
}

function decodeArray(
  bytes: Buffer,
  arrayConstructor: number,
  at: number,
  end: number,
  depth: number,
): AmqpValue[] {
  if (depth >= MAX_DEPTH) throw decodeError(`values are nested more than ${MAX_DEPTH} deep`);
  const { count, first } = compoundAt(bytes, arrayConstructor, at, end);
  if (first >= end) throw decodeError('array has no element format code');
  let next = first;
  let descriptor: AmqpValue | undefined;
  if (bytes[next] === 0x00) {
    const decoded = decodeValue(bytes, next + 1, end, depth + 1);
    descriptor = decoded.value;
    next = decoded.next;
    if (next >= end) throw decodeError('array has no element format code');
  }
  const formatCode = bytes[next++]!;
  if (formatCode >>> 4 === 0x4 && count > MAX_EMPTY_ELEMENTS) throw decodeError(`array of ${count} elements`);
  const values: AmqpValue[] = [];
  for (let i = 0; i < count; i++) {
    const after = next + widthOf(bytes, formatCode, next, end);
    if (after > end) throw decodeError('array ends too early');
    const value = decodePayload(bytes, formatCode, next, after, depth + 1);
    values.push(descriptor === undefined ? value : new Described(descriptor, value));
    next = after;
  }
  return values;
}

/** Where the fields of the list at `at` begin, plus the end of the last one: field i is [i] to [i + 1]. */
export function listFieldsAt(bytes: Buffer, at: number, end: number): number[] {
  const next = skipValue(bytes, at, end);
  const formatCode = bytes[at]!;
  if (formatCode === 0x45) return [next];
  if (formatCode !== 0xc0 && formatCode !== 0xd0) throw decodeError('expected a list');
  const { count, first } = compoundAt(bytes, formatCode, at + 1, next);
  const starts = [first];
  for (let i = 0; i < count; i++) starts.push(skipValue(bytes, starts[i]!, next));
  return starts;
}
