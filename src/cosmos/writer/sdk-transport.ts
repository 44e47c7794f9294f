import type { OperationInput } from '@azure/cosmos';
import type { CosmosConnection } from '../client.ts';
import { partitionKeyRanges } from '../containers.ts';
import { describeFailure } from '../errors.ts';
import type { BulkReply, BulkRequest, BulkTransport, OperationReply } from './wire.ts';

/** What `items.bulk` calls once it has grouped its operations: one request through auth, failover, retries and plugins. */
interface BulkContext {
  bulk(request: {
    readonly body: () => Buffer;
    readonly path: string;
    readonly partitionKeyRangeId: string;
    readonly resourceId: string;
    readonly bulkOptions: { readonly continueOnError: boolean };
    readonly options: { readonly contentResponseOnWriteEnabled: boolean };
    readonly diagnosticNode: unknown;
  }): Promise<{ readonly result: readonly OperationReply[] }>;
}

/**
 * The SDK's internal request for one range, or null when this version of the SDK has moved it. The only place that
 * reaches into the SDK (`Items.clientContext.bulk` of @azure/cosmos 4.9); test/cosmos/sdk-transport.test.ts guards it.
 */
export function bulkContextOf(connection: CosmosConnection): BulkContext | null {
  const { clientContext } = connection.container.items as unknown as { clientContext?: Partial<BulkContext> };
  return typeof clientContext?.bulk === 'function' ? (clientContext as BulkContext) : null;
}

/**
 * Sends bulk requests the way `items.bulk` does, but with a body that is already encoded and a range that is already known:
 * no hashing, grouping, cloning or stringifying inside the SDK. Responses are minimal. Without the SDK's internal request
 * it goes through the public `items.bulk`, which costs several times the CPU and works the same.
 */
export async function createSdkTransport(
  connection: CosmosConnection,
  context: BulkContext | null = bulkContextOf(connection),
): Promise<BulkTransport> {
  return {
    send: context === null ? sendPublicly(connection) : await sendDirectly(connection, context),
    ranges: () => partitionKeyRanges(connection),
  };
}

async function sendDirectly(
  connection: CosmosConnection,
  context: BulkContext,
): Promise<BulkTransport['send']> {
  const { CosmosDbDiagnosticLevel, DiagnosticNodeInternal, DiagnosticNodeType } = await import(
    '@azure/cosmos'
  );
  // The declarations hide the parameters of this constructor (SDK: DiagnosticNodeInternal.js).
  const Node = DiagnosticNodeInternal as unknown as new (level: string, type: string, parent: null) => object;
  const newDiagnosticNode = (): object =>
    new Node(CosmosDbDiagnosticLevel.info, DiagnosticNodeType.CLIENT_REQUEST_NODE, null);
  const resourceId = connection.container.url;
  const path = `/${resourceId}/docs`;
  return async ({ body, rangeId, continueOnError }: BulkRequest): Promise<BulkReply> => {
    try {
      const { result } = await context.bulk({
        // A function is what the SDK passes on to its HTTP client untouched (see createLeanHttpClient).
        body: () => body,
        path,
        partitionKeyRangeId: rangeId,
        resourceId,
        bulkOptions: { continueOnError },
        options: { contentResponseOnWriteEnabled: false },
        diagnosticNode: newDiagnosticNode(),
      });
      return { replies: result };
    } catch (error) {
      return describeFailure(error);
    }
  };
}

function sendPublicly({ container }: CosmosConnection): BulkTransport['send'] {
  return async ({ body, continueOnError }) => {
    try {
      // The SDK wants the key as a value and writes it as text itself.
      const operations = (JSON.parse(body.toString()) as { partitionKey: string }[]).map((operation) => ({
        ...operation,
        partitionKey: JSON.parse(operation.partitionKey),
      }));
      const replies = await container.items.bulk(
        operations as unknown as OperationInput[],
        { continueOnError },
        { contentResponseOnWriteEnabled: false },
      );
      return { replies: [...replies] as readonly OperationReply[] };
    } catch (error) {
      // `items.bulk` turns a failed request into an Error without a code; its text starts with the service's message.
      const failure = describeFailure(error);
      const throttled = /request rate is large/i.test(failure.message);
      return throttled ? { ...failure, statusCode: 429 } : failure;
    }
  };
}
