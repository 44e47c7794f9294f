import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { Clock } from '../../util/clock.ts';
import type { Faults } from '../faults/faults.ts';
import { badRequest, tooLarge } from './errors.ts';
import { drawRequestFault } from './faults.ts';
import { errorReply, type WireReply, type WireRequest } from './wire.ts';

/** Far above the service's 2 MB, so that an oversized request still gets its 413 instead of a reset. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
const KEEP_ALIVE_MS = 120_000;

export interface HttpOptions {
  readonly faults: Faults;
  readonly clock: Clock;
  /** Ends injected waits when the service stops. */
  readonly signal: AbortSignal;
  handle(request: WireRequest): WireReply;
}

/** HTTP around the gateway: whole bodies in, one buffer out, injected trouble in between. */
export function createHttpServer(options: HttpOptions): Server {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true }, (request, response) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= MAX_BODY_BYTES) chunks.push(chunk);
    });
    request.on('end', () => {
      if (length > MAX_BODY_BYTES) {
        send(response, errorReply(tooLarge()));
        return;
      }
      const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      if (options.faults.any) disturb(options, request, response, body);
      else answer(options, request, response, body);
    });
  });
  server.requestTimeout = 0;
  return server;
}

function answer(
  options: HttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
): void {
  const path = pathOf(request.url ?? '/');
  if (path === undefined) {
    send(response, errorReply(badRequest('The request path is not properly encoded')));
    return;
  }
  const { method = 'GET', headers, socket } = request;
  const authority = headers.host ?? '';
  const secure = socket instanceof TLSSocket;
  send(response, options.handle({ method, path, headers, body, authority, secure }));
}

function disturb(
  options: HttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
): void {
  const { faults, clock, signal } = options;
  const proceed = (): void => {
    if (faults.draw('reset') !== undefined) {
      request.socket.destroy();
      return;
    }
    const failure = drawRequestFault(faults);
    if (failure !== undefined) send(response, errorReply(failure));
    else answer(options, request, response, body);
  };
  const latency = faults.draw('latency');
  if (latency === undefined) proceed();
  else clock.sleep(latency.delayMs, signal).then(proceed, () => request.socket.destroy());
}

function send(response: ServerResponse, { status, headers, body }: WireReply): void {
  if (body === undefined || status === 204 || status === 304) {
    response.writeHead(status, headers);
    response.end();
    return;
  }
  response.writeHead(status, { ...headers, 'content-length': body.length });
  response.end(body);
}

function pathOf(url: string): string[] | undefined {
  const end = url.indexOf('?');
  try {
    return (end === -1 ? url : url.slice(0, end)).split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    return undefined;
  }
}
