import { expect, it } from 'vitest';
import { Described } from '../../../src/local/amqp/decode.ts';
import { FRAME_TYPE, PROTOCOL, protocolHeader } from '../../../src/local/amqp/frame-parser.ts';
import { CODE, encodeFrame } from '../../../src/local/amqp/performatives.ts';
import { AmqpWriter } from '../../../src/local/amqp/writer.ts';
import { eventually } from '../../helpers/eventually.ts';
import { attach, dial, type Frame, grant, open, startServer, transfer } from './peer.ts';

function errorOf(frame: Frame, field: number): unknown {
  const error = frame.fields.value(field);
  return error instanceof Described && Array.isArray(error.value) ? error.value[0] : error;
}

it('opens as the service does, all fields present', async () => {
  const { port } = await startServer();
  const { fields } = await open(port).next(CODE.open);
  expect([2, 3, 4].map((i) => fields.value(i))).toEqual([65_536, 4_999, 120_000]);
});

it.each([
  ['user', 'secret', 0],
  ['user', 'wrong', 1],
])('answers SASL PLAIN of %s/%s with code %d', async (username, password, code) => {
  const { port } = await startServer();
  const peer = dial(port);
  peer.write(protocolHeader(PROTOCOL.sasl));
  const writer = new AmqpWriter();
  writer
    .descriptor(CODE.saslInit)
    .list(2, () => writer.symbol('PLAIN').binary(Buffer.from(`\0${username}\0${password}`)));
  await peer.next(CODE.saslMechanisms);
  peer.write(encodeFrame(FRAME_TYPE.sasl, 0, writer.bytes));
  expect((await peer.next(CODE.saslOutcome)).fields.value(0)).toBe(code);
  if (code !== 0) await peer.untilClosed();
});

it('sends empty frames to a peer with a short idle timeout', async () => {
  const { port } = await startServer();
  const peer = open(port, { idleTimeoutMs: 40 });
  await eventually(() => peer.heartbeats >= 3);
  expect(peer.closed).toBe(false);
});

it('drops a peer that is silent beyond the idle timeout', async () => {
  const { port } = await startServer({ idleTimeoutMs: 30 });
  const peer = open(port);
  attach(peer, 0, false);
  expect(errorOf(await peer.next(CODE.close), 0)).toBe('amqp:resource-limit-exceeded');
  await peer.untilClosed();
});

it('closes a connection that has no links for too long', async () => {
  const { port } = await startServer({ unusedTimeoutMs: 40 });
  const peer = open(port);
  expect(errorOf(await peer.next(CODE.close), 0)).toBe('amqp:connection:forced');
});

it.each([
  ['garbage', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ['a frame that is too large', Buffer.from([0x00, 0x7f, 0, 0, 2, 0, 0, 0])],
  ['an unknown frame type', Buffer.from([0, 0, 0, 12, 2, 9, 0, 0, 0, 0x53, 0x10, 0x45])],
  ['a malformed performative', Buffer.from([0, 0, 0, 12, 2, 0, 0, 0, 0, 0x53, 0x12, 0xd0])],
])('closes with an error on %s', async (_, bytes) => {
  const { port } = await startServer();
  const peer = open(port);
  await peer.next(CODE.begin);
  peer.write(bytes);
  expect(errorOf(await peer.next(CODE.close), 0)).toMatch(/^amqp:(decode-error|connection:framing-error)$/);
  await peer.untilClosed();
});

it('grants credit with the attach and acknowledges a read in one range', async () => {
  const server = await startServer();
  const peer = open(server.port);
  attach(peer, 0, false);
  const flow = await peer.next(CODE.flow);
  expect([4, 5, 6].map((i) => flow.fields.value(i))).toEqual([0, 0, 10]);
  for (let id = 0; id < 3; id++) transfer(peer, 0, id, Buffer.from(`m${id}`));
  await eventually(() => server.received.length === 3);
  const acknowledged = await eventually(() => {
    const last = peer.frames.findLast((frame) => frame.code === CODE.disposition);
    return last?.fields.value(2) === 2 ? last : Promise.reject(new Error('not acknowledged'));
  });
  expect(acknowledged.fields.value(4)).toEqual(new Described(CODE.accepted, []));
});

it('joins the frames of a message, and forgets an aborted one', async () => {
  const server = await startServer();
  const peer = open(server.port);
  attach(peer, 0, false);
  transfer(peer, 0, 0, Buffer.from('a'), { more: true });
  transfer(peer, 0, 0, Buffer.from('b'), { more: true });
  transfer(peer, 0, 0, Buffer.from('c'));
  transfer(peer, 0, 1, Buffer.from('x'), { more: true });
  transfer(peer, 0, 1, Buffer.alloc(0), { aborted: true });
  transfer(peer, 0, 2, Buffer.from('d'));
  await eventually(() => expect(server.received.map(String)).toEqual(['abc', 'd']));
});

it('rejects a message beyond the maximum size without keeping it', async () => {
  const server = await startServer({}, { maxMessageSize: 10 });
  const peer = open(server.port);
  attach(peer, 0, false);
  transfer(peer, 0, 0, Buffer.alloc(8), { more: true });
  transfer(peer, 0, 0, Buffer.alloc(8));
  const { fields } = await peer.next(CODE.disposition);
  expect(fields.value(4)).toMatchObject({ descriptor: CODE.rejected });
  expect(server.received).toEqual([]);
});

it('rejects instead of accepting when the commit fails', async () => {
  const server = await startServer();
  server.failure = new Error('disk full');
  const peer = open(server.port);
  attach(peer, 0, false);
  transfer(peer, 0, 0, Buffer.from('m'));
  const { fields } = await peer.next(CODE.disposition);
  expect(fields.value(4)).toMatchObject({ descriptor: CODE.rejected });
});

it('tops up credit as deliveries are settled', async () => {
  const server = await startServer({}, { credit: 4 });
  const peer = open(server.port);
  attach(peer, 0, false);
  await peer.next(CODE.flow);
  for (let id = 0; id < 3; id++) transfer(peer, 0, id, Buffer.from('m'));
  const { fields } = await peer.next(CODE.flow, 1);
  expect([5, 6].map((i) => fields.value(i))).toEqual([3, 4]);
});

it('detaches a sender without credit', async () => {
  const server = await startServer({}, { credit: 0 });
  const peer = open(server.port);
  attach(peer, 0, false);
  transfer(peer, 0, 0, Buffer.from('m'));
  expect(errorOf(await peer.next(CODE.detach), 2)).toBe('amqp:link:transfer-limit-exceeded');
});

it('sends no more than credit and session window allow', async () => {
  const server = await startServer();
  server.queue.push(...Array.from({ length: 10 }, (_, i) => Buffer.from(`m${i}`)));
  const peer = open(server.port, { window: 5 });
  const count = () => peer.frames.filter((frame) => frame.code === CODE.transfer).length;
  attach(peer, 0, true);
  grant(peer, 0, { credit: 3, window: 5 });
  await eventually(() => count() === 3);
  grant(peer, 0, { credit: 7, deliveryCount: 3, window: 2 });
  await eventually(() => count() === 5);
  expect(server.queue).toHaveLength(5);
  grant(peer, 0, { credit: 5, deliveryCount: 5, window: 100 });
  await eventually(() => count() === 10);
  const payloads = peer.frames
    .filter((frame) => frame.code === CODE.transfer)
    .map(({ payload }) => String(payload));
  expect(payloads).toEqual(Array.from({ length: 10 }, (_, i) => `m${i}`));
});

it('cuts messages at the maximum frame size of the peer', async () => {
  const server = await startServer();
  const message = Buffer.from(Array.from({ length: 5_000 }, (_, i) => i % 251));
  server.queue.push(message);
  const peer = open(server.port, { maxFrameSize: 512 });
  attach(peer, 0, true);
  grant(peer, 0, { credit: 1 });
  const parts = await eventually(() => {
    const transfers = peer.frames.filter((frame) => frame.code === CODE.transfer);
    return transfers.at(-1)?.fields.boolean(5) === false
      ? transfers
      : Promise.reject(new Error('incomplete'));
  });
  expect(Math.max(...parts.map((part) => part.size))).toBe(512);
  expect(Buffer.concat(parts.map((part) => part.payload)).equals(message)).toBe(true);
  expect(new Set(parts.map((part) => part.fields.number(1))).size).toBe(1);
});

it('gives up the rest of its credit when drained', async () => {
  const server = await startServer();
  server.queue.push(Buffer.from('only'));
  const peer = open(server.port);
  attach(peer, 0, true);
  grant(peer, 0, { credit: 5, drain: true });
  const { fields } = await peer.next(CODE.flow);
  expect(peer.frames.some((frame) => frame.code === CODE.transfer)).toBe(true);
  expect([5, 6].map((i) => fields.value(i))).toEqual([5, 0]);
});

it('answers end and close, and ignores frames for an ended session', async () => {
  const server = await startServer();
  const peer = open(server.port);
  attach(peer, 0, false);
  peer.send(CODE.end, 1, (writer) => writer.null());
  transfer(peer, 0, 0, Buffer.from('late'));
  await peer.next(CODE.end);
  peer.send(CODE.close, 1, (writer) => writer.null());
  await peer.next(CODE.close);
  await peer.untilClosed();
  expect(server.received).toEqual([]);
});
