import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AmqpValue,
  Described,
  decodeValue,
  listFieldsAt,
  skipValue,
} from '../../../src/local/amqp/decode.ts';
import { AmqpProtocolError } from '../../../src/local/amqp/errors.ts';
import { decodeRequest, sectionAt } from '../../../src/local/amqp/message.ts';
import { decodeAttach, Fields, performativeAt } from '../../../src/local/amqp/performatives.ts';
import { newTransferFields, readTransfer } from '../../../src/local/amqp/transfer.ts';
import { AmqpWriter } from '../../../src/local/amqp/writer.ts';

type Sample =
  | { readonly type: 'null' }
  | { readonly type: 'boolean'; readonly value: boolean }
  | {
      readonly type: 'ubyte' | 'ushort' | 'short' | 'uint' | 'int' | 'ulong' | 'long';
      readonly value: number;
    }
  | { readonly type: 'string' | 'symbol'; readonly value: string }
  | { readonly type: 'binary'; readonly value: Buffer }
  | { readonly type: 'list'; readonly value: readonly Sample[] }
  | { readonly type: 'map'; readonly value: readonly (readonly [string, Sample])[] };

const ascii = fc.string({ unit: 'grapheme-ascii', maxLength: 300 });
const { sample } = fc.letrec<{ sample: Sample }>((tie) => ({
  sample: fc.oneof(
    { depthSize: 'small' },
    fc.constant({ type: 'null' } as const),
    fc.record({ type: fc.constant('boolean' as const), value: fc.boolean() }),
    fc.record({ type: fc.constant('ubyte' as const), value: fc.integer({ min: 0, max: 255 }) }),
    fc.record({ type: fc.constant('ushort' as const), value: fc.integer({ min: 0, max: 0xffff }) }),
    fc.record({ type: fc.constant('short' as const), value: fc.integer({ min: -0x8000, max: 0x7fff }) }),
    fc.record({ type: fc.constant('uint' as const), value: fc.integer({ min: 0, max: 0xffff_ffff }) }),
    fc.record({ type: fc.constant('int' as const), value: fc.integer() }),
    fc.record({ type: fc.constant('ulong' as const), value: fc.maxSafeNat() }),
    fc.record({ type: fc.constant('long' as const), value: fc.maxSafeInteger() }),
    fc.record({ type: fc.constant('string' as const), value: fc.string({ unit: 'binary', maxLength: 300 }) }),
    fc.record({ type: fc.constant('symbol' as const), value: ascii }),
    fc.record({
      type: fc.constant('binary' as const),
      value: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    }),
    fc.record({ type: fc.constant('list' as const), value: fc.array(tie('sample'), { maxLength: 5 }) }),
    fc.record({
      type: fc.constant('map' as const),
      value: fc.uniqueArray(fc.tuple(ascii, tie('sample')), { maxLength: 5, selector: ([key]) => key }),
    }),
  ),
}));

function write(writer: AmqpWriter, item: Sample): void {
  switch (item.type) {
    case 'null':
      writer.null();
      break;
    case 'list':
      writer.list(item.value.length, () => {
        for (const element of item.value) write(writer, element);
      });
      break;
    case 'map':
      writer.map(item.value.length, () => {
        for (const [key, value] of item.value) write(writer.string(key), value);
      });
      break;
    case 'boolean':
      writer.boolean(item.value);
      break;
    case 'binary':
      writer.binary(item.value);
      break;
    case 'string':
    case 'symbol':
      writer[item.type](item.value);
      break;
    default:
      writer[item.type](item.value);
  }
}

function plain(item: Sample): AmqpValue {
  switch (item.type) {
    case 'null':
      return null;
    case 'list':
      return item.value.map(plain);
    case 'map':
      return new Map(item.value.map(([key, value]): [AmqpValue, AmqpValue] => [key, plain(value)]));
    default:
      // -0 is no integer of AMQP.
      return typeof item.value === 'number' ? item.value + 0 : item.value;
  }
}

const anyBytes = fc.uint8Array({ maxLength: 120 }).map((bytes) => Buffer.from(bytes));

/** Bytes that look like AMQP: valid values, damaged. */
const damaged = fc
  .tuple(sample, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat())
  .map(([item, at, byte, cut]) => {
    const writer = new AmqpWriter();
    write(writer, item);
    const bytes = Buffer.from(writer.bytes);
    bytes[at % bytes.length] = byte;
    return bytes.subarray(0, bytes.length - (cut % Math.min(4, bytes.length)));
  });

function expectTypedError(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(AmqpProtocolError);
  }
}

describe('codec', () => {
  it('decodes what it encodes, and skips exactly as far', () => {
    fc.assert(
      fc.property(sample, (item) => {
        const writer = new AmqpWriter(4);
        write(writer, item);
        const { bytes } = writer;
        const { next, value } = decodeValue(bytes, 0, bytes.length);
        expect(value).toEqual(plain(item));
        expect(next).toBe(bytes.length);
        expect(skipValue(bytes, 0, bytes.length)).toBe(bytes.length);
      }),
      { numRuns: 500 },
    );
  });

  it('throws nothing but a typed protocol error for any bytes', () => {
    fc.assert(
      fc.property(fc.oneof(anyBytes, damaged), (bytes) => {
        const end = bytes.length;
        expectTypedError(() => decodeValue(bytes, 0, end));
        expectTypedError(() => listFieldsAt(bytes, 0, end));
        expectTypedError(() => performativeAt(bytes, 0, end));
        expectTypedError(() => sectionAt(bytes, 0, end));
        expectTypedError(() => decodeRequest(bytes, 0, end));
        expectTypedError(() => decodeAttach(new Fields(bytes, 0, end)));
        expectTypedError(() => readTransfer(bytes, 0, end, newTransferFields()));
      }),
      { numRuns: 3_000 },
    );
  });

  it('decodes arrays of strings and of symbols', () => {
    const writer = new AmqpWriter();
    writer.stringArray(['0', '1', 'zwei \u00fc']).symbolArray(['a']);
    const first = decodeValue(writer.bytes, 0, writer.bytes.length);
    expect(first.value).toEqual(['0', '1', 'zwei \u00fc']);
    expect(decodeValue(writer.bytes, first.next, writer.bytes.length).value).toEqual(['a']);
  });

  it('keeps 64-bit integers beyond 2^53 exact', () => {
    const writer = new AmqpWriter();
    writer.ulong(2n ** 64n - 1n).long(-(2n ** 63n));
    const { bytes } = writer;
    expect(decodeValue(bytes, 0, bytes.length).value).toBe(2n ** 64n - 1n);
    expect(decodeValue(bytes, 9, bytes.length).value).toBe(-(2n ** 63n));
  });

  it('decodes described values', () => {
    const writer = new AmqpWriter();
    writer.descriptor(0x24).list(0, () => {});
    expect(decodeValue(writer.bytes, 0, writer.bytes.length).value).toEqual(new Described(0x24, []));
  });

  it('refuses nesting that would exhaust the stack', () => {
    const bytes = Buffer.alloc(100_000);
    expect(() => decodeValue(bytes, 0, bytes.length)).toThrow(/nested more than/);
  });

  it('refuses an array that claims millions of empty elements', () => {
    const bytes = Buffer.from([0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x40]);
    expect(() => decodeValue(bytes, 0, bytes.length)).toThrow(/array of 4294967295/);
  });
});
