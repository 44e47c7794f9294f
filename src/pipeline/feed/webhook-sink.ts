import { PipeError } from '../../util/errors.ts';
import { feedDocument } from './format.ts';
import type { FeedSink } from './sink.ts';

export interface WebhookSinkOptions {
  readonly url: string;
  /** Most changes per request, default 100. */
  readonly batchSize?: number;
  /** A request without an answer after this time has failed, default 30,000. */
  readonly timeoutMs?: number;
}

/** POSTs JSON arrays of changes, one request at a time per range; any 2xx accepts them. */
export function webhookSink({ url, batchSize = 100, timeoutMs = 30_000 }: WebhookSinkOptions): FeedSink {
  const post = async (body: string): Promise<void> => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal: AbortSignal.timeout(timeoutMs),
    }).catch((cause: unknown) => {
      throw new PipeError('E_UNREACHABLE', `webhook ${origin(url)} did not answer (${reason(cause)})`, {
        cause,
        hint: 'check --webhook-url; the changes will be sent again from the last checkpoint',
      });
    });
    await response.body?.cancel();
    if (!response.ok)
      throw new PipeError('E_UNREACHABLE', `webhook ${origin(url)} answered ${response.status}`, {
        hint: 'any 2xx accepts the changes; they will be sent again from the last checkpoint',
      });
  };
  return {
    name: 'webhook',
    async deliver(changes, page) {
      for (let from = 0; from < changes.length; from += batchSize) {
        const batch = changes.slice(from, from + batchSize);
        await post(JSON.stringify(batch.map((change) => feedDocument(change, page))));
      }
    },
    close: async () => {},
  };
}

/** Query strings carry keys (`?code=`), so they stay out of messages. */
function origin(url: string): string {
  return URL.canParse(url) ? `${new URL(url).origin}${new URL(url).pathname}` : url;
}

function reason(error: unknown): string {
  const { cause, message } = error as Error & { cause?: { code?: string } };
  return cause?.code ?? message;
}
