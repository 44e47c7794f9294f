import { PipeError } from '../util/errors.ts';
import { redact } from '../util/secret.ts';

/** What the SDK throws: an `ErrorResponse` with an HTTP status, a node error with a code, or a credential error. */
export interface CosmosFailure {
  /** HTTP status, 0 when no answer came. */
  readonly statusCode: number;
  readonly substatus: number;
  /** Milliseconds the service asked to wait, when it did. */
  readonly retryAfterMs: number | undefined;
  readonly message: string;
}

interface SdkError {
  readonly name?: string;
  readonly code?: number | string;
  readonly substatus?: number;
  readonly retryAfterInMs?: number;
  readonly message?: string;
  readonly body?: { readonly message?: string };
}

/** Reads the fields that decisions are made on from anything the SDK may throw. */
export function describeFailure(error: unknown): CosmosFailure {
  const { code, substatus, retryAfterInMs, message, body } = (error ?? {}) as SdkError;
  return {
    statusCode: typeof code === 'number' ? code : 0,
    substatus: substatus ?? 0,
    retryAfterMs: retryAfterInMs,
    message: firstLine(body?.message ?? message ?? String(error)),
  };
}

const CREDENTIAL_ERRORS = new Set([
  'AuthenticationError',
  'AggregateAuthenticationError',
  'CredentialUnavailableError',
  'AuthenticationRequiredError',
]);

const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'REQUEST_SEND_ERROR',
  'TimeoutError',
]);

/** Answers of a service that cannot serve now: request timeout, a range that is moving, throttled for too long, retry with, 5xx. */
const OUTAGE_STATUS = new Set([408, 410, 429, 449, 500, 502, 503, 504]);

export interface ErrorContext {
  readonly endpoint: string;
  readonly database: string;
  readonly container: string;
}

/**
 * The expected failures as one line with a hint: E_UNREACHABLE (also for answers such as 503), E_AUTH, E_NOT_FOUND,
 * E_CONFIG for a change feed that the container does not have. Any other error is returned as it came. For use as `throw toPipeError(error, target)`.
 */
export function toPipeError(error: unknown, target: ErrorContext): unknown {
  if (error instanceof PipeError) return error;
  const { name, code } = (error ?? {}) as SdkError;
  const host = hostOf(target.endpoint);
  const { statusCode, message } = describeFailure(error);
  if (CREDENTIAL_ERRORS.has(name ?? ''))
    return new PipeError('E_AUTH', `cannot sign in to Cosmos DB at ${host} (${redact(message)})`, {
      cause: error,
      hint: 'sign in with `az login`, or set COSMOS_KEY',
    });
  if (NETWORK_CODES.has(String(code)) || NETWORK_CODES.has(name ?? ''))
    return new PipeError('E_UNREACHABLE', `cannot reach Cosmos DB at ${host} (${redact(message)})`, {
      cause: error,
      hint: isLoopback(target.endpoint)
        ? 'start the local stack with `cosmos-pipe local`'
        : 'check --cosmos-endpoint and the firewall of the account',
    });
  if (OUTAGE_STATUS.has(statusCode))
    return new PipeError(
      'E_UNREACHABLE',
      `Cosmos DB at ${host} cannot serve requests now (${statusCode} ${redact(message)})`,
      {
        cause: error,
        hint:
          statusCode === 429
            ? 'provision more RU/s, or try again when the load is over'
            : 'try again; see the service health of the account when it lasts',
      },
    );
  if (statusCode === 401 || statusCode === 403)
    return new PipeError(
      'E_AUTH',
      `Cosmos DB at ${host} refused the credentials (${statusCode} ${redact(message)})`,
      {
        cause: error,
        hint: 'check COSMOS_KEY, or give the signed-in identity the role "Cosmos DB Built-in Data Contributor"',
      },
    );
  if (statusCode === 404)
    return new PipeError('E_NOT_FOUND', `no container ${target.database}/${target.container} at ${host}`, {
      cause: error,
      hint: isLoopback(target.endpoint)
        ? 'check --database and --container; the local stack keeps its containers only with `cosmos-pipe local --data <folder>`'
        : `create it with \`az cosmosdb sql container create --account-name ${host.split('.')[0]} --resource-group <group> --database-name ${target.database} --name ${target.container} --partition-key-path /deviceId\``,
    });
  if (statusCode === 400 && /change feed/i.test(message))
    return new PipeError('E_CONFIG', `Cosmos DB refused the change feed (${redact(message)})`, {
      cause: error,
      hint: 'all versions and deletes need a container with a change feed policy; read the latest versions otherwise',
    });
  return error;
}

function hostOf(endpoint: string): string {
  return URL.canParse(endpoint) ? new URL(endpoint).host : endpoint;
}

function isLoopback(endpoint: string): boolean {
  return /^(127\.|localhost$|\[::1\])/.test(hostOf(endpoint).replace(/:\d+$/, ''));
}

/** Service messages are `text\r\nActivityId: ..., <noise>`; the first line is what a person can use. */
function firstLine(message: string): string {
  return message.split(/\r?\n/, 1)[0] ?? message;
}
