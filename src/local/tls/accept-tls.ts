import type { Server, Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import type { Certificate } from './certificate.ts';

/** First byte of a TLS connection: the content type "handshake" (RFC 8446 5.1). */
const TLS_HANDSHAKE = 0x16;

const transports = new WeakMap<Socket, Socket>();

/**
 * Lets `server` take TLS on its own port as well: a connection that opens with a TLS handshake reaches the listeners
 * decrypted. Only for protocols in which the client speaks first. Call it once all listeners are there.
 *
 * @returns drops the connections on which nothing was said yet: no listener knows them, and `server.close` would wait
 */
export function acceptTls(server: Server, certificate: Certificate): () => void {
  const listeners = server.listeners('connection');
  const waiting = new Set<Socket>();
  let context: SecureContext | undefined;
  const handOver = (socket: Socket): void => {
    for (const listener of listeners) listener.call(server, socket);
  };
  server.removeAllListeners('connection');
  server.on('connection', (socket) => {
    waiting.add(socket);
    socket.once('close', () => waiting.delete(socket));
    peekFirstByte(socket, (byte) => {
      waiting.delete(socket);
      if (byte !== TLS_HANDSHAKE) {
        handOver(socket);
        return;
      }
      context ??= createSecureContext({ cert: certificate.certificate, key: certificate.privateKey });
      const secure = new TLSSocket(socket, { isServer: true, secureContext: context });
      transports.set(secure, socket);
      // A client that does not trust the certificate hangs up in the handshake; 'close' follows.
      secure.on('error', () => {});
      handOver(secure);
    });
  });
  return () => {
    for (const socket of waiting) socket.destroy();
  };
}

/** The TCP socket under a connection of {@link acceptTls}. */
export function transportOf(socket: Socket): Socket {
  return transports.get(socket) ?? socket;
}

/** Tells the first byte that the peer sends; who reads the socket afterwards still gets it. Silent if there is none. */
export function peekFirstByte(socket: Socket, decide: (byte: number) => void): void {
  const ignore = (): void => {};
  const onReadable = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    socket.off('readable', onReadable);
    socket.off('error', ignore);
    socket.unshift(chunk);
    decide(chunk[0] as number);
  };
  socket.on('error', ignore);
  socket.on('readable', onReadable);
}
