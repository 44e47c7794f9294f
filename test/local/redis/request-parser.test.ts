import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Request } from '../../../src/local/redis/request.ts';
import { ProtocolError, RequestParser } from '../../../src/local/redis/request-parser.ts';
import { encodeCommand } from './raw-client.ts';

const latin1 = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1'));

function drain(parser: RequestParser): string[][] {
  const requests: string[][] = [];
  for (let next: Request | undefined = parser.next(); next !== undefined; next = parser.next())
    requests.push(next.texts(0));
  return requests;
}

describe('RequestParser', () => {
  it('gives the same requests however the bytes are cut', () => {
    const commands = fc.array(fc.array(latin1, { minLength: 1, maxLength: 5 }), { maxLength: 8 });
    fc.assert(
      fc.property(commands, fc.array(fc.nat(300)), (sent, cuts) => {
        const bytes = Buffer.concat(sent.map(encodeCommand));
        const parser = new RequestParser();
        const received: string[][] = [];
        let at = 0;
        for (const cut of [...cuts.sort((a, b) => a - b), bytes.length]) {
          if (cut <= at || cut > bytes.length) continue;
          parser.push(bytes.subarray(at, cut));
          received.push(...drain(parser));
          at = cut;
        }
        expect(received).toEqual(sent);
        expect(parser.pendingBytes).toBe(0);
      }),
    );
  });

  it('answers any bytes with requests or a protocol error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const parser = new RequestParser();
        parser.push(Buffer.from(bytes));
        try {
          drain(parser);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
    );
  });

  it('takes a large value in many chunks without joining them each time', () => {
    const value = 'x'.repeat(8_000_000);
    const bytes = encodeCommand(['SET', 'k', value]);
    const parser = new RequestParser();
    let request: Request | undefined;
    for (let at = 0; at < bytes.length; at += 16_384) {
      parser.push(bytes.subarray(at, at + 16_384));
      request = parser.next();
    }
    expect(request?.sizeBytes(2)).toBe(value.length);
  });

  it('takes inline commands and ignores empty lines', () => {
    const parser = new RequestParser();
    parser.push(Buffer.from('\r\n\nSET  a 1\r\nPING\n'));
    expect(drain(parser)).toEqual([['SET', 'a', '1'], ['PING']]);
  });
});
