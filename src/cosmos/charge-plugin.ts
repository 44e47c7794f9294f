import type { RequestContext } from '@azure/cosmos';
import type { RuOperation, RuRecorder } from '../metrics/types.ts';

type Headers = Readonly<Record<string, unknown>>;

interface Attempt {
  readonly headers?: Headers;
  readonly code?: number | string;
}

type Next = (context: RequestContext) => Promise<Attempt>;

/**
 * An SDK request plugin that records the charge of every HTTP attempt, throttled ones and retries included. Bulk requests
 * are left out: the bulk writer knows range and operation kinds and records them itself.
 */
export function chargePlugin(ru: RuRecorder) {
  const record = (context: RequestContext, { headers = {}, code }: Attempt): void => {
    const rangeId = String(
      headers['x-ms-documentdb-partitionkeyrangeid'] ?? context.partitionKeyRangeId ?? '*',
    );
    if (code === 429) ru.throttled(rangeId, 1);
    const charge = Number(headers['x-ms-request-charge'] ?? 0);
    if (charge > 0) ru.charge(operationOf(context), rangeId, charge);
  };
  return {
    on: 'request' as const,
    async plugin(context: RequestContext, _diagnostics: unknown, next: Next): Promise<Attempt> {
      if (String(context.operationType) === 'batch') return next(context);
      try {
        const response = await next(context);
        record(context, response);
        return response;
      } catch (error) {
        record(context, error as Attempt);
        throw error;
      }
    },
  };
}

function operationOf(context: RequestContext): RuOperation {
  if (String(context.resourceType) !== 'docs') return 'metadata';
  const headers = (context.headers ?? {}) as Headers;
  if (headers['A-IM'] !== undefined || headers['a-im'] !== undefined) return 'changeFeed';
  // The SDK asks for a query's plan in the guise of a read.
  if (headers['x-ms-cosmos-is-query-plan-request'] !== undefined) return 'query';
  switch (String(context.operationType)) {
    case 'create':
    case 'upsert':
    case 'replace':
    case 'patch':
    case 'delete':
    case 'read':
      return String(context.operationType) as RuOperation;
    default:
      return 'query';
  }
}
