import { murmur32 } from './effective-partition-key-murmur.ts';
import type { PartitionKeyValue } from './partition-key-value.ts';

/** Version 1 sees the first 100 UTF-16 units of a string only, as the SDK does (utils/hashing/v1.js). */
const HASHED_CHARACTERS = 100;

const scratch = Buffer.alloc(3 * HASHED_CHARACTERS + 2);
const double = new DataView(new ArrayBuffer(8));

const hex2 = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, '0');

/**
 * Order-preserving encoding of a number: `05`, the first eight bits of its sortable form, then groups of seven bits with a
 * continuation bit below; trailing zero groups are left out (SDK: utils/hashing/encoding/number.js).
 */
export function encodeNumber(value: number): string {
  double.setFloat64(0, value);
  let high = double.getUint32(0);
  let low = double.getUint32(4);
  if (high < 0x8000_0000) high = (high ^ 0x8000_0000) >>> 0;
  else {
    low = (~low + 1) >>> 0;
    high = (~high + (low === 0 ? 1 : 0)) >>> 0;
  }
  const groups = [
    (high >>> 17) & 127,
    (high >>> 10) & 127,
    (high >>> 3) & 127,
    ((high & 7) << 4) | (low >>> 28),
    (low >>> 21) & 127,
    (low >>> 14) & 127,
    (low >>> 7) & 127,
    low & 127,
  ];
  const last = groups.findLastIndex((group) => group !== 0);
  let text = `05${hex2(high >>> 24)}`;
  for (let i = 0; i <= last; i++) text += hex2(((groups[i] as number) << 1) | (i < last ? 1 : 0));
  return text;
}

/** The number at the start of an encoded, non-negative boundary: the inverse of {@link encodeNumber}. */
export function decodeNumber(text: string): number {
  let bits = Number.parseInt(text.slice(2, 4), 16).toString(2).padStart(8, '0');
  for (let at = 4; at < text.length; at += 2) {
    const byte = Number.parseInt(text.slice(at, at + 2), 16);
    bits += (byte >>> 1).toString(2).padStart(7, '0');
    if ((byte & 1) === 0) break;
  }
  const all = bits.padEnd(64, '0');
  double.setUint32(0, (Number.parseInt(all.slice(0, 32), 2) ^ 0x8000_0000) >>> 0);
  double.setUint32(4, Number.parseInt(all.slice(32, 64), 2));
  return double.getFloat64(0);
}

/** Each byte plus one, so that `00` can end the string. */
function encodeString(value: string): string {
  let text = '08';
  for (const byte of Buffer.from(value, 'utf8')) text += hex2(byte < 0xff ? byte + 1 : byte);
  return `${text}00`;
}

/** Effective partition key of version 1: the encoded 32-bit hash of the value, then the encoded value itself. */
export function effectivePartitionKeyV1(value: PartitionKeyValue): string {
  switch (typeof value) {
    case 'string': {
      const seen = value.slice(0, HASHED_CHARACTERS);
      scratch[0] = 0x08;
      const end = 1 + scratch.write(seen, 1, 'utf8');
      scratch[end] = 0x00;
      return encodeNumber(murmur32(scratch, end + 1)) + encodeString(seen);
    }
    case 'number':
      scratch[0] = 0x05;
      scratch.writeDoubleLE(value, 1);
      return encodeNumber(murmur32(scratch, 9)) + encodeNumber(value);
    default: {
      const type = value === true ? 0x03 : value === false ? 0x02 : value === null ? 0x01 : 0x00;
      scratch[0] = type;
      return encodeNumber(murmur32(scratch, 1)) + hex2(type);
    }
  }
}
