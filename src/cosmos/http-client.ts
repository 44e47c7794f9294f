import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { CosmosClientOptions } from '@azure/cosmos';

type SdkHttpClient = NonNullable<CosmosClientOptions['httpClient']>;
type SdkRequest = Parameters<SdkHttpClient['sendRequest']>[0];
type SdkResponse = Awaited<ReturnType<SdkHttpClient['sendRequest']>>;

/** An HTTP client for the SDK's `httpClient` option, with connections of its own. */
export interface LeanHttpClient extends SdkHttpClient {
  /** Closes idle connections; those in use close when their answer is read. */
  close(): void;
}

/**
 * What the SDK needs of HTTP and no more: bodies of text, or of bytes that a function returns, keep-alive, abort. The SDK's
 * default client copies every body to learn its length, wraps every answer in streams and copies every header twice, which
 * costs more than the request itself when a bulk request carries few operations. Errors carry node's code (`ECONNREFUSED`)
 * as the default client's do.
 */
export function createLeanHttpClient(): LeanHttpClient {
  const http = new HttpAgent({ keepAlive: true, noDelay: true });
  const https = new HttpsAgent({ keepAlive: true, noDelay: true, minVersion: 'TLSv1.2' });
  return {
    sendRequest(request) {
      return new Promise((resolve, reject) => {
        const { url, method, abortSignal } = request;
        const headers = request.headers.toJSON({ preserveCase: true });
        const body = bodyOf(request);
        if (body !== undefined) headers['Content-Length'] = String(Buffer.byteLength(body));
        const plain = url.startsWith('http:');
        const outgoing = plain
          ? httpRequest(url, { method, headers, agent: http })
          : httpsRequest(url, { method, headers, agent: https });
        const abort = (): void => {
          outgoing.destroy();
          reject(abortError());
        };
        abortSignal?.addEventListener('abort', abort);
        const fail = (error: Error): void => {
          abortSignal?.removeEventListener('abort', abort);
          reject(error);
        };
        outgoing.on('error', fail);
        outgoing.on('response', (incoming) => {
          collect(incoming, fail, (text) => {
            abortSignal?.removeEventListener('abort', abort);
            if (headers['A-IM'] !== undefined) feedReplies.set(incoming.headers, text);
            resolve(responseOf(request, incoming, text));
          });
        });
        outgoing.end(body);
        if (abortSignal?.aborted) abort();
      });
    },
    close() {
      http.destroy();
      https.destroy();
    },
  };
}

const feedReplies = new WeakMap<object, string>();

/**
 * The body of a change feed reply as it came, by the headers that the SDK hands on with the parsed one: the very object
 * that node made, see {@link HeaderView}. `undefined` once that is no longer so; test/cosmos/change-feed guards it.
 */
export function feedReplyText(headers: object): string | undefined {
  return feedReplies.get(headers);
}

/** The SDK sends text only, the bulk writer bytes; anything else would mean that the SDK changed. */
function bodyOf({ body }: SdkRequest): string | Uint8Array | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string') return body;
  const bytes: unknown = typeof body === 'function' ? body() : undefined;
  if (bytes instanceof Uint8Array) return bytes;
  throw new TypeError(`the Cosmos DB SDK sent a body of type ${typeof body}, expected text`);
}

function collect(
  incoming: IncomingMessage,
  fail: (error: Error) => void,
  done: (text: string) => void,
): void {
  const chunks: Buffer[] = [];
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
  incoming.on('error', fail);
  incoming.on('end', () => {
    done((chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)).toString('utf8'));
  });
}

function responseOf(request: SdkRequest, incoming: IncomingMessage, bodyAsText: string): SdkResponse {
  return { request, status: incoming.statusCode ?? 0, headers: new HeaderView(incoming.headers), bodyAsText };
}

/** The SDK's view of node's header object, without a copy until somebody asks for one. Names are lower case already. */
class HeaderView {
  readonly #headers: IncomingHttpHeaders;

  constructor(headers: IncomingHttpHeaders) {
    this.#headers = headers;
  }

  get(name: string): string | undefined {
    const value = this.#headers[name.toLowerCase()];
    return Array.isArray(value) ? value[0] : value;
  }

  has(name: string): boolean {
    return this.#headers[name.toLowerCase()] !== undefined;
  }

  set(name: string, value: string | number | boolean): void {
    this.#headers[name.toLowerCase()] = String(value);
  }

  delete(name: string): void {
    delete this.#headers[name.toLowerCase()];
  }

  toJSON(): Record<string, string> {
    return this.#headers as Record<string, string>;
  }

  *[Symbol.iterator](): IterableIterator<[string, string]> {
    for (const name of Object.keys(this.#headers)) yield [name, this.get(name) ?? ''];
  }
}

/** The name by which the SDK tells its own timeouts and the caller's aborts from network errors. */
function abortError(): Error {
  return Object.assign(new Error('The operation was aborted.'), { name: 'AbortError' });
}
