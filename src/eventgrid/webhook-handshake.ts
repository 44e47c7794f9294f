import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Secret } from '../util/secret.ts';

/** Value of `aeg-event-type` of the handshake in the Event Grid schema. */
export const VALIDATION_HEADER = 'SubscriptionValidation';

export interface HandshakeAnswer {
  readonly accepted: boolean;
  /** Who asked. */
  readonly origin: string;
  readonly answer: {
    readonly status: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  };
}

/**
 * Answers the validation of an endpoint: OPTIONS with `WebHook-Request-Origin` (CloudEvents HTTP webhook 4.1), or a
 * SubscriptionValidationEvent whose code goes back in a 200.
 */
export function answerHandshake(
  headers: IncomingHttpHeaders,
  method: string | undefined,
  body: string,
  allowedOrigins: readonly string[],
): HandshakeAnswer {
  if (method === 'OPTIONS') {
    const origin = String(headers['webhook-request-origin'] ?? '');
    if (origin === '' || !(allowedOrigins.includes('*') || allowedOrigins.includes(origin)))
      return {
        accepted: false,
        origin: origin || 'a request without WebHook-Request-Origin',
        answer: { status: 403 },
      };
    const answerHeaders = { 'webhook-allowed-origin': origin, 'webhook-allowed-rate': '*', allow: 'POST' };
    return { accepted: true, origin, answer: { status: 200, headers: answerHeaders } };
  }
  const origin = 'eventgrid.azure.net';
  const validationResponse = validationCode(body);
  if (validationResponse === undefined) return { accepted: false, origin, answer: { status: 404 } };
  return {
    accepted: true,
    origin,
    answer: {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ validationResponse }),
    },
  };
}

function validationCode(body: string): string | undefined {
  try {
    const [event] = JSON.parse(body) as readonly { readonly data?: { readonly validationCode?: unknown } }[];
    const code = event?.data?.validationCode;
    return typeof code === 'string' ? code : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the request carries the secret, compared in constant time. True when none is asked for. */
export function isSecret(secret: Secret | undefined, url: URL, headers: IncomingHttpHeaders): boolean {
  if (secret === undefined) return true;
  const sent = url.searchParams.get('code') ?? headers['x-functions-key'];
  return typeof sent === 'string' && timingSafeEqual(digest(sent), digest(secret.reveal()));
}

/** Equal lengths, whatever was sent. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
