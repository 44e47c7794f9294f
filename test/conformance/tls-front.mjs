// TLS for clients that speak nothing else: the embedded servers are plain.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { Unavailable } from './suite.mjs';

/** A certificate for localhost that only this suite trusts. */
export function certify(folder) {
  const files = { certificate: join(folder, 'localhost.pem'), key: join(folder, 'localhost.key') };
  const { status } = spawnSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '7', '-subj', '/CN=localhost'],
      ...['-addext', 'subjectAltName=DNS:localhost', '-keyout', files.key, '-out', files.certificate],
    ],
    { stdio: 'ignore' },
  );
  if (status !== 0) throw new Unavailable('no openssl to make a certificate with');
  return files;
}

/** A free port of localhost that hands on to the plain `port`. */
export async function startTls({ certificate, key }, port) {
  const front = createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) socket.on('error', () => {});
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    client.pipe(upstream).pipe(client);
  });
  front.listen(0, 'localhost');
  await once(front, 'listening');
  return front;
}
