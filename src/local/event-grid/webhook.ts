import { Agent as HttpAgent, type IncomingHttpHeaders, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';

export interface WebhookReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Why no reply came. */
export type WebhookFailure = 'TimedOut' | 'ResolutionError' | 'SocketError';

export interface WebhookRequest {
  readonly url: string;
  readonly method: 'POST' | 'OPTIONS';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs: number;
}

export interface WebhookClient {
  send(request: WebhookRequest): Promise<WebhookReply | WebhookFailure>;
  close(): void;
}

const MAX_REPLY_BYTES = 65_536;
/** What a connection that the other side has closed answers with. */
const CLOSED_CODES: readonly unknown[] = ['ECONNRESET', 'EPIPE'];

export function createWebhookClient(maxSockets: number): WebhookClient {
  const http = new HttpAgent({ keepAlive: true, maxSockets });
  const https = new HttpsAgent({ keepAlive: true, maxSockets });
  let closed = false;

  const attempt = (input: WebhookRequest): Promise<WebhookReply | WebhookFailure | 'Stale'> =>
    new Promise((resolve) => {
      const { body, headers, method, timeoutMs, url } = input;
      const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
      const options = { method, headers: { ...headers, ...length } };
      const request = url.startsWith('https:')
        ? requestHttps(url, { ...options, agent: https })
        : requestHttp(url, { ...options, agent: http });
      const timer = setTimeout(
        () => request.destroy(Object.assign(new Error(), { code: 'TimedOut' })),
        timeoutMs,
      );
      const fail = ({ code }: NodeJS.ErrnoException): void => {
        clearTimeout(timer);
        resolve(code === 'TimedOut' ? code : code === 'ENOTFOUND' ? 'ResolutionError' : 'SocketError');
      };
      request.once('error', (error: NodeJS.ErrnoException) => {
        const stale = !closed && request.reusedSocket && CLOSED_CODES.includes(error.code);
        if (!stale) return fail(error);
        clearTimeout(timer);
        resolve('Stale');
      });
      request.once('response', (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          if (text.length < MAX_REPLY_BYTES) text += chunk;
        });
        response.once('error', fail);
        response.once('end', () => {
          clearTimeout(timer);
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
        });
      });
      request.end(body);
    });

  return {
    async send(request) {
      // A receiver may close an idle connection (Node does after 5 seconds) just when it is used again. Nothing failed
      // then; each try leaves one idle connection less, until one is opened anew.
      for (;;) {
        const reply = await attempt(request);
        if (reply !== 'Stale') return reply;
      }
    },
    close() {
      closed = true;
      http.destroy();
      https.destroy();
    },
  };
}
