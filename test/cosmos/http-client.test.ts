import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createLeanHttpClient, type LeanHttpClient } from '../../src/cosmos/http-client.ts';

let server: Server;
let client: LeanHttpClient;
let connections = 0;
beforeEach(async () => {
  connections = 0;
  server = createServer((request, response) => {
    if (request.url === '/reset') return request.socket.destroy();
    if (request.url === '/silent') return;
    if (request.url === '/cut') {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"half":');
      setImmediate(() => request.socket.destroy());
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.writeHead(201, {
        'X-Ms-Request-Charge': '5.5',
        'x-length': request.headers['content-length'] ?? 'none',
      });
      response.end(Buffer.concat(chunks));
    });
  });
  // A server that closes idle connections would take them from a test that stands still.
  server.keepAliveTimeout = 0;
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  client = createLeanHttpClient();
});
afterEach(() => {
  client.close();
  server.closeAllConnections();
  server.close();
});

type SdkRequest = Parameters<LeanHttpClient['sendRequest']>[0];

function send(path: string, more: object = {}): ReturnType<LeanHttpClient['sendRequest']> {
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}${path}`;
  const headers = { toJSON: () => ({ Accept: 'application/json' }) };
  return client.sendRequest({ url, method: 'POST', headers, ...more } as unknown as SdkRequest);
}

it('sends text with its length in bytes and returns status, headers and text', async () => {
  const { status, headers, bodyAsText } = await send('/', { body: '{"g":"Gr\u00fc\u00dfe \u{1f30d}"}' });
  expect({ status, bodyAsText }).toEqual({ status: 201, bodyAsText: '{"g":"Gr\u00fc\u00dfe \u{1f30d}"}' });
  expect(headers.get('X-MS-Request-Charge')).toBe('5.5');
  expect(headers.get('x-length')).toBe('20');
  expect(headers.has('nothing')).toBe(false);
  expect([...headers]).toContainEqual(['x-ms-request-charge', '5.5']);
});

it('sends the bytes that a function returns, and refuses any other body', async () => {
  const { bodyAsText, headers } = await send('/', { body: () => Buffer.from('[\u20ac]') });
  expect({ bodyAsText, length: headers.get('x-length') }).toEqual({ bodyAsText: '[\u20ac]', length: '5' });
  await expect(send('/', { body: () => 'text' })).rejects.toThrow('sent a body of type function');
});

it('keeps connections', async () => {
  for (let i = 0; i < 5; i++) await send('/', { body: String(i) });
  expect(connections).toBe(1);
});

it('rejects with the code of the network error, also in the middle of an answer', async () => {
  await expect(send('/reset')).rejects.toMatchObject({ code: 'ECONNRESET' });
  await expect(send('/cut')).rejects.toMatchObject({ code: 'ECONNRESET' });
});

it('rejects with AbortError when aborted, before and while it waits', async () => {
  await expect(send('/silent', { abortSignal: AbortSignal.abort() })).rejects.toMatchObject({
    name: 'AbortError',
  });
  const aborting = new AbortController();
  const waiting = send('/silent', { abortSignal: aborting.signal });
  server.once('request', () => aborting.abort());
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
});
