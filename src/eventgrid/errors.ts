import { PipeError } from '../util/errors.ts';
import { redact } from '../util/secret.ts';

/** What went wrong with a request: an HTTP status, or none when no answer came. */
export interface GridFailure {
  readonly status: number | undefined;
  readonly message: string;
  readonly retryAfterMs: number | undefined;
}

/** Reads what the SDK or `fetch` throws. */
export function describeFailure(error: unknown): GridFailure {
  const { statusCode, code, message, cause, response } = (error ?? {}) as {
    readonly statusCode?: number;
    readonly code?: string;
    readonly message?: string;
    readonly cause?: { readonly code?: string };
    readonly response?: { readonly headers?: { get(name: string): string | undefined } };
  };
  const retryAfter = Number(response?.headers?.get('retry-after'));
  const text = cause?.code ?? (statusCode === undefined ? code : undefined) ?? message ?? String(error);
  return {
    status: statusCode,
    message: redact(text.split('\n', 1)[0] as string),
    retryAfterMs: retryAfter > 0 ? retryAfter * 1000 : undefined,
  };
}

/** Whether the same request may succeed later: no answer, a time-out, throttling, or a fault of the service. */
export function isTransient({ status }: GridFailure): boolean {
  return status === undefined || status === 408 || status === 429 || status >= 500;
}

/** The failure as a person should read it; `what` is an endpoint without its query. */
export function toPipeError(error: unknown, endpoint: string): PipeError {
  if (error instanceof PipeError) return error;
  const failure = describeFailure(error);
  const { status, message } = failure;
  if (status === 401 || status === 403)
    return new PipeError('E_AUTH', `Event Grid refused the credential for ${endpoint} (${status})`, {
      hint: 'set EVENTGRID_TOPIC_KEY to an access key of the topic; without one DefaultAzureCredential is used',
      cause: error,
    });
  if (status === 404 || status === 410)
    return new PipeError('E_NOT_FOUND', `there is no topic or subscription at ${endpoint} (${status})`, {
      hint: 'the endpoint of a custom topic ends in /api/events',
      cause: error,
    });
  if (!isTransient(failure))
    return new PipeError('E_CONFIG', `Event Grid refused the events (${status}: ${message})`, {
      hint:
        status === 413
          ? 'an event is at most 1 MB, everything around its data included'
          : 'does the input schema of the topic fit --schema cloudevents or eventgrid?',
      cause: error,
    });
  const reason = status === undefined ? message : `${status}: ${message}`;
  return new PipeError('E_UNREACHABLE', `cannot reach Event Grid at ${endpoint} (${reason})`, {
    hint: 'check EVENTGRID_TOPIC_ENDPOINT, or start the local stack with `cosmos-pipe local`',
    cause: error,
  });
}
