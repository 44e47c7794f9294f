import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AmqpProtocolError } from '../../../src/local/amqp/errors.ts';
import { FrameParser, protocolHeader } from '../../../src/local/amqp/frame-parser.ts';
import { encodeFrame } from '../../../src/local/amqp/performatives.ts';

const MAX_FRAME_SIZE = 512;

function parse(chunks: readonly Buffer[]): string[] {
  const seen: string[] = [];
  const parser = new FrameParser(MAX_FRAME_SIZE, {
    onProtocolHeader: (id) => seen.push(`header ${id}`),
    onFrame: (type, channel, bytes, start, end) =>
      seen.push(`${type} ${channel} ${bytes.toString('hex', start, end)}`),
  });
  for (const chunk of chunks) parser.push(Buffer.from(chunk));
  return seen;
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const edges = [0, ...[...at].map((n) => n % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge));
}

const frame = fc
  .tuple(fc.constantFrom(0, 1), fc.nat({ max: 0xffff }), fc.uint8Array({ maxLength: MAX_FRAME_SIZE - 8 }))
  .map(([type, channel, body]) => encodeFrame(type, channel, Buffer.from(body)));

describe('FrameParser', () => {
  it('finds the same headers and frames whatever the chunks', () => {
    const unit = fc.oneof(
      { weight: 5, arbitrary: frame },
      { weight: 1, arbitrary: fc.constant(protocolHeader(3)) },
    );
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 12 }), fc.array(fc.nat(), { maxLength: 30 }), (units, at) => {
        const bytes = Buffer.concat(units);
        const whole = parse([bytes]);
        expect(whole).toHaveLength(units.length);
        expect(parse(cut(bytes, at))).toEqual(whole);
      }),
      { numRuns: 500 },
    );
  });

  it('works byte by byte', () => {
    const bytes = Buffer.concat([
      protocolHeader(0),
      encodeFrame(0, 7, Buffer.from('abc')),
      protocolHeader(3),
    ]);
    expect(parse([...bytes].map((byte) => Buffer.from([byte])))).toEqual([
      'header 0',
      '0 7 616263',
      'header 3',
    ]);
  });

  it('throws nothing but a typed protocol error for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.array(fc.nat(), { maxLength: 5 }), (bytes, at) => {
        try {
          parse(cut(Buffer.from(bytes), at));
        } catch (error) {
          expect(error).toBeInstanceOf(AmqpProtocolError);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['a frame beyond the maximum', Buffer.from([0, 0, 0x10, 0, 2, 0, 0, 0]), /exceeds the maximum of 512/],
    ['a frame smaller than its header', Buffer.from([0, 0, 0, 4, 2, 0, 0, 0]), /smaller than its header/],
    ['a data offset outside the frame', Buffer.from([0, 0, 0, 8, 3, 0, 0, 0]), /data offset 12/],
    ['another protocol', Buffer.from('AWFUL!!!'), /protocol header/],
    ['another version', Buffer.from('AMQP\0\0\x09\x01', 'latin1'), /unsupported AMQP version 0/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => parse([bytes])).toThrow(message);
  });
});
