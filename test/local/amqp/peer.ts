import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import {
  type AmqpApplication,
  type ConnectionLimits,
  SERVICE_LIMITS,
} from '../../../src/local/amqp/application.ts';
import { Connection } from '../../../src/local/amqp/connection.ts';
import { FrameParser, PROTOCOL, protocolHeader } from '../../../src/local/amqp/frame-parser.ts';
import type { Delivery, IncomingLink } from '../../../src/local/amqp/incoming-link.ts';
import type { OutgoingLink } from '../../../src/local/amqp/outgoing-link.ts';
import {
  CODE,
  encodeFrame,
  encodePerformative,
  Fields,
  performativeAt,
} from '../../../src/local/amqp/performatives.ts';
import type { AmqpWriter } from '../../../src/local/amqp/writer.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { eventually } from '../../helpers/eventually.ts';

export interface Frame {
  readonly code: number;
  readonly channel: number;
  readonly fields: Fields;
  readonly payload: Buffer;
  readonly size: number;
}

/** A bare AMQP client that sends exactly what a test says. */
export interface Peer {
  readonly frames: Frame[];
  readonly heartbeats: number;
  readonly closed: boolean;
  write(bytes: Buffer): void;
  send(code: number, fieldCount: number, fields: (writer: AmqpWriter) => void, payload?: Buffer): void;
  next(code: number, nth?: number): Promise<Frame>;
  untilClosed(): Promise<void>;
}

export interface EchoServer {
  readonly port: number;
  /** Messages taken in. */
  readonly received: Buffer[];
  /** Messages for receivers. */
  readonly queue: Buffer[];
  /** What `commit` throws. */
  failure: Error | undefined;
}

/** A server that takes every message, and sends what is in its queue to whoever attaches as receiver. */
export async function startServer(
  limits: Partial<ConnectionLimits> = {},
  terms: { readonly credit?: number; readonly maxMessageSize?: number } = {},
): Promise<EchoServer> {
  const { credit = 10, maxMessageSize = 100_000 } = terms;
  const received: Buffer[] = [];
  const queue: Buffer[] = [];
  const state: EchoServer = { port: 0, received, queue, failure: undefined };
  const application: AmqpApplication = {
    containerId: 'test',
    saslMechanisms: ['PLAIN', 'ANONYMOUS'],
    authenticate: (_, username, password) => username === 'user' && password === 'secret',
    commit() {
      if (state.failure) throw state.failure;
    },
    onClosed: () => {},
    onIncomingLink: (link: IncomingLink) =>
      link.accept({
        credit,
        maxMessageSize,
        tooLarge: (_, size) => ({ condition: 'amqp:link:message-size-exceeded', description: `${size}` }),
        onDelivery: (delivery: Delivery) => {
          received.push(Buffer.from(delivery.bytes.subarray(delivery.start, delivery.end)));
          link.accepted(delivery);
        },
      }),
    onOutgoingLink: (link: OutgoingLink) =>
      link.accept({
        maxMessageSize,
        hasMore: () => queue.length > 0,
        pull: (budget) => {
          while (link.canSend && budget.bytes > 0 && queue.length > 0) {
            const bytes = queue.shift()!;
            link.send({ bytes, start: 0, end: bytes.length }, budget);
          }
        },
      }),
  };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    new Connection({
      socket,
      abort: () => socket.resetAndDestroy(),
      application,
      limits: { ...SERVICE_LIMITS, ...limits },
      clock: systemClock,
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return Object.assign(state, { port: (server.address() as AddressInfo).port });
}

/** Connects without opening. */
export function dial(port: number): Peer {
  const socket = connect(port, '127.0.0.1');
  const frames: Frame[] = [];
  let heartbeats = 0;
  let closed = false;
  const parser = new FrameParser(1_000_000, {
    onProtocolHeader: () => {},
    onFrame: (_, channel, bytes, start, end) => {
      if (start === end) {
        heartbeats++;
        return;
      }
      const copy = Buffer.from(bytes.subarray(start, end));
      const { code, listAt, next } = performativeAt(copy, 0, copy.length);
      const fields = new Fields(copy, listAt, next);
      frames.push({ code, channel, fields, payload: copy.subarray(next), size: copy.length + 8 });
    },
  });
  socket.on('data', (chunk: Buffer) => parser.push(chunk));
  socket.on('error', () => {});
  socket.on('close', () => {
    closed = true;
  });
  onTestFinished(() => {
    socket.destroy();
  });
  return {
    frames,
    get heartbeats() {
      return heartbeats;
    },
    get closed() {
      return closed;
    },
    write: (bytes) => {
      socket.write(bytes);
    },
    send(code, fieldCount, fields, payload = Buffer.alloc(0)) {
      const body = encodePerformative(code, fieldCount, fieldCount, fields);
      socket.write(encodeFrame(0, 0, Buffer.concat([body, payload])));
    },
    next: (code, nth = 0) =>
      eventually(() => {
        const found = frames.filter((frame) => frame.code === code)[nth];
        if (!found) throw new Error(`frame ${code.toString(16)} did not come`);
        return found;
      }),
    untilClosed: () =>
      eventually(() => {
        if (!closed) throw new Error('the connection is still open');
      }),
  };
}

/** Connects, opens, begins one session. */
export function open(
  port: number,
  options: { readonly maxFrameSize?: number; readonly idleTimeoutMs?: number; readonly window?: number } = {},
): Peer {
  const peer = dial(port);
  peer.write(protocolHeader(PROTOCOL.amqp));
  peer.send(CODE.open, 5, (writer) => {
    writer
      .string('peer')
      .string('localhost')
      .uint(options.maxFrameSize ?? 65_536)
      .ushort(10);
    writer.uint(options.idleTimeoutMs ?? 0);
  });
  peer.send(CODE.begin, 4, (writer) =>
    writer
      .null()
      .uint(0)
      .uint(options.window ?? 1_000)
      .uint(1_000),
  );
  return peer;
}

export function attach(peer: Peer, handle: number, receive: boolean): void {
  peer.send(CODE.attach, 10, (writer) => {
    writer.string(`link-${handle}`).uint(handle).boolean(receive).ubyte(0).ubyte(0);
    writer.descriptor(0x28).list(1, () => writer.string('node'));
    writer.descriptor(0x29).list(1, () => writer.string('node'));
    writer.null().null().uint(0);
  });
}

/** Flow for a link: `credit` beyond `deliveryCount`. */
export function grant(
  peer: Peer,
  handle: number,
  options: {
    readonly credit: number;
    readonly deliveryCount?: number;
    readonly window?: number;
    readonly drain?: boolean;
  },
): void {
  peer.send(CODE.flow, 9, (writer) => {
    writer
      .uint(1 + (options.deliveryCount ?? 0))
      .uint(options.window ?? 1_000)
      .uint(0)
      .uint(1_000);
    writer
      .uint(handle)
      .uint(options.deliveryCount ?? 0)
      .uint(options.credit)
      .null()
      .boolean(options.drain ?? false);
  });
}

export function transfer(
  peer: Peer,
  handle: number,
  id: number,
  payload: Buffer,
  options: { readonly more?: boolean; readonly aborted?: boolean } = {},
): void {
  peer.send(
    CODE.transfer,
    10,
    (writer) => {
      writer
        .uint(handle)
        .uint(id)
        .binary(Buffer.from([id]))
        .uint(0)
        .boolean(false)
        .boolean(options.more ?? false);
      writer
        .null()
        .null()
        .boolean(false)
        .boolean(options.aborted ?? false);
    },
    payload,
  );
}
