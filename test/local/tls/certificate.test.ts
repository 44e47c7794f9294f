import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer, connect as tcpConnect } from 'node:net';
import { connect } from 'node:tls';
import { expect, it, onTestFinished } from 'vitest';
import { acceptTls } from '../../../src/local/tls/accept-tls.ts';
import { selfSignedCertificate } from '../../../src/local/tls/certificate.ts';

const NOW = Date.UTC(2031, 4, 6, 7, 8, 9);

/** An echo server with TLS on the same port. */
async function echo(names: { readonly host: string }) {
  const certificate = selfSignedCertificate(names.host, Date.now());
  const server = createServer((socket) => socket.on('error', () => {}).pipe(socket));
  const dropUnspoken = acceptTls(server, certificate);
  const accepted = once(server, 'connection');
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      dropUnspoken();
    });
  onTestFinished(() => {
    server.close();
  });
  return { port: (server.address() as { port: number }).port, ca: certificate.certificate, accepted, stop };
}

it('is valid from a day before for a year, for the loopback names and the host', () => {
  const certificate = new X509Certificate(selfSignedCertificate('stack.internal', NOW).certificate);
  expect(certificate.validFrom).toBe('May  5 07:08:09 2031 GMT');
  expect(certificate.validTo).toBe('May  5 07:08:09 2032 GMT');
  for (const name of ['localhost', 'stack.internal']) expect(certificate.checkHost(name)).toBe(name);
  for (const address of ['127.0.0.1', '::1']) expect(certificate.checkIP(address)).toBe(address);
  expect(certificate.checkHost('example.com')).toBeUndefined();
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.ca).toBe(false);
});

it('serves TLS and plain clients on one port', async () => {
  const { port, ca } = await echo({ host: '127.0.0.1' });
  const secure = connect({ port, host: '127.0.0.1', servername: 'localhost', ca });
  const plain = tcpConnect(port, '127.0.0.1');
  for (const socket of [secure, plain]) {
    socket.write('hello');
    expect(String(await new Promise((resolve) => socket.once('data', resolve)))).toBe('hello');
    socket.destroy();
  }
  expect(secure.authorized).toBe(true);
});

it('is refused by a client that does not trust it, and stays up', async () => {
  const { port, ca } = await echo({ host: '127.0.0.1' });
  const stranger = connect({ port, host: '127.0.0.1', servername: 'localhost' });
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => stranger.once('error', resolve));
  expect(error.code).toBe('DEPTH_ZERO_SELF_SIGNED_CERT');
  const secure = connect({ port, host: '127.0.0.1', servername: 'localhost', ca });
  await new Promise<void>((resolve) => secure.once('secureConnect', resolve));
  secure.destroy();
});

it('does not wait for clients that never spoke when it stops', async () => {
  const { accepted, port, stop } = await echo({ host: '127.0.0.1' });
  const silent = tcpConnect(port, '127.0.0.1');
  await accepted;
  const closed = new Promise<void>((resolve) => silent.once('close', () => resolve()));
  await stop();
  await closed;
});
