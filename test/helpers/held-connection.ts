import { once } from 'node:events';
import { connect } from 'node:net';

export interface HeldConnection {
  /** Resolves when the process at the other end is gone; by a reset, when it had not accepted the connection yet. */
  readonly ended: Promise<void>;
  close(): void;
}

/**
 * Connects to a port of this machine or to the path of a socket. A connection ends with the process at its other end and with
 * nothing else; its port may be another one's by the time that it could be tried again.
 */
export async function holdConnection(address: number | string): Promise<HeldConnection> {
  const socket = typeof address === 'number' ? connect(address, '127.0.0.1') : connect(address);
  await once(socket, 'connect');
  socket.on('error', () => {});
  const ended = new Promise<void>((resolve) => {
    socket.resume().once('close', () => resolve());
  });
  return { ended, close: () => void socket.destroy() };
}
