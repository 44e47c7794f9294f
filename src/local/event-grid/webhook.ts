import { Agent as HttpAgent, type IncomingHttpHeaders, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';

export interface WebhookReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Why no reply came. */
export type WebhookFailure = 'TimedOut' | 'ResolutionError' | 'SocketError';

export interface WebhookClient {
  send(request: {
    readonly url: string;
    readonly method: 'POST' | 'OPTIONS';
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string;
    readonly timeoutMs: number;
  }): Promise<WebhookReply | WebhookFailure>;
  close(): void;
}

const MAX_REPLY_BYTES = 65_536;

export function createWebhookClient(maxSockets: number): WebhookClient {
  const http = new HttpAgent({ keepAlive: true, maxSockets });
  const https = new HttpsAgent({ keepAlive: true, maxSockets });
  return {
    send: ({ url, method, headers, body, timeoutMs }) =>
      new Promise((resolve) => {
        const secure = url.startsWith('https:');
        const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
        const options = { method, headers: { ...headers, ...length } };
        const request = secure
          ? requestHttps(url, { ...options, agent: https })
          : requestHttp(url, { ...options, agent: http });
        const timer = setTimeout(
          () => request.destroy(Object.assign(new Error(), { code: 'TimedOut' })),
          timeoutMs,
        );
        const fail = (error: NodeJS.ErrnoException): void => {
          clearTimeout(timer);
          const { code } = error;
          resolve(code === 'TimedOut' ? code : code === 'ENOTFOUND' ? 'ResolutionError' : 'SocketError');
        };
        request.once('error', fail);
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
      }),
    close() {
      http.destroy();
      https.destroy();
    },
  };
}
