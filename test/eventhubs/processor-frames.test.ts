import { expect, it } from 'vitest';
import { takeTransfers } from '../../src/eventhubs/processor-frames.ts';

interface FrameShape {
  readonly handle?: number;
  readonly deliveryId: number;
  /** 0x41 is true. */
  readonly settled?: number;
  readonly more?: number;
  readonly format?: readonly number[];
  readonly payload?: string;
}

/** A transfer frame as Event Hubs sends it, on channel 5. */
function transfer({
  handle = 0,
  deliveryId,
  settled = 0x41,
  more = 0x42,
  format,
  payload = 'p',
}: FrameShape) {
  const fields = [
    ...(handle === 0 ? [0x43] : [0x52, handle]),
    ...[0x52, deliveryId],
    ...[0xa0, 1, 7],
    ...(format ?? [0x43]),
    ...[settled, more, 0x40, 0x40, 0x42, 0x42, 0x41],
  ];
  const list = [0x00, 0x53, 0x14, 0xc0, fields.length + 1, 11, ...fields];
  const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, 2, 0, 0, 5, ...list]), Buffer.from(payload)]);
  frame.writeUInt32BE(frame.length);
  return frame;
}

/** The parts of rhea that are reached, and a target that takes all payloads but those that say `no`. */
function connect({ credit = 10 } = {}) {
  const log: string[] = [];
  const link = { credit, delivery_count: 0, session: {}, is_remote_open: () => true };
  const session = {
    connection: {},
    incoming: { next_transfer_id: 100, next_delivery_id: undefined as number | undefined },
    remote: { handles: { 0: link } },
  };
  const transport = {
    header_received: {},
    read(bytes: Buffer): number {
      if (bytes.length < 4 || bytes.length < bytes.readUInt32BE(0)) return 0;
      log.push(`rhea ${bytes.length}`);
      return bytes.length;
    },
  };
  const connection = {
    amqp_transport: transport,
    remote_channel_map: { 5: session },
    _register: () => log.push('register'),
  };
  session.connection = connection;
  link.session = session;
  const hooked = takeTransfers(
    { _link: link },
    {
      take(bytes, start, end) {
        const payload = bytes.toString('utf8', start, end);
        if (payload === 'no') return false;
        log.push(payload);
        return true;
      },
      flush: () => log.push('flush'),
    },
  );
  expect(hooked).toBe(true);
  const read = (...frames: Buffer[]) => transport.read(Buffer.concat(frames));
  return { log, link, session, read };
}

it('takes whole settled transfers, and keeps the counters of rhea as rhea does', () => {
  const { log, link, session, read } = connect();
  const frames = [transfer({ deliveryId: 3, payload: 'a' }), transfer({ deliveryId: 4, payload: 'b' })];
  expect(read(...frames)).toBe(Buffer.concat(frames).length);
  expect(log).toEqual(['a', 'b', 'flush', 'register']);
  expect(link).toMatchObject({ credit: 8, delivery_count: 2 });
  expect(session.incoming).toEqual({ next_transfer_id: 102, next_delivery_id: 5 });
});

it.each([
  ['an unsettled one', { settled: 0x42 }],
  ['the first part of one', { more: 0x41 }],
  ['one of another message format', { format: [0x70, 0x80, 0x01, 0x37, 0x00] }],
  ['one of another link', { handle: 9 }],
  ['one out of order', { deliveryId: 77 }],
  ['one that its target does not want', { payload: 'no' }],
] as const)('leaves to rhea %s, after what came before it', (_, unusual) => {
  const { log, link, read } = connect();
  const frame = transfer({ deliveryId: 1, ...unusual });
  read(transfer({ deliveryId: 0, payload: 'a' }), frame);
  expect(log.filter((entry) => entry !== 'register')).toEqual(
    expect.arrayContaining(['a', 'flush', `rhea ${frame.length}`]),
  );
  expect(log.indexOf('flush')).toBeLessThan(log.indexOf(`rhea ${frame.length}`));
  expect(link.delivery_count).toBe(1);
});

it('leaves transfers beyond the credit to rhea, and the rest of a read until more comes', () => {
  const { log, read } = connect({ credit: 1 });
  const second = transfer({ deliveryId: 1, payload: 'b' });
  expect(read(transfer({ deliveryId: 0, payload: 'a' }), second)).toBe(second.length * 2);
  expect(log).toContain(`rhea ${second.length}`);
  expect(log).not.toContain('b');
  const { log: later, read: readAgain } = connect();
  expect(readAgain(second, second.subarray(0, 20))).toBe(second.length);
  expect(later).toEqual(['b', 'flush', 'register']);
});
