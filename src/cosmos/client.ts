import type { Container, CosmosClient, CosmosClientOptions, Database } from '@azure/cosmos';
import type { CosmosTarget } from '../config/targets.ts';
import type { RuRecorder } from '../metrics/types.ts';
import { chargePlugin } from './charge-plugin.ts';
import { toPipeError } from './errors.ts';
import { createLeanHttpClient } from './http-client.ts';

export interface CosmosOptions {
  /** Told the charge of every request that is not a bulk write (the bulk writer takes a recorder of its own). */
  readonly ru?: RuRecorder;
  /** A request without an answer after this time has failed; default 60,000. */
  readonly requestTimeoutMs?: number;
  /** Shown in the service's logs after the SDK's own user agent. */
  readonly userAgentSuffix?: string;
}

/** An open account with one database and container in focus. What it holds of the SDK is for `src/cosmos` only. */
export interface CosmosConnection {
  readonly target: CosmosTarget;
  readonly client: CosmosClient;
  readonly database: Database;
  readonly container: Container;
  dispose(): void;
}

/**
 * Connects and signs in, with the key or else with `DefaultAzureCredential`, and proves both by reading the account.
 * The container need not exist yet. Throws PipeError E_UNREACHABLE or E_AUTH.
 */
export async function openCosmos(
  target: CosmosTarget,
  options: CosmosOptions = {},
): Promise<CosmosConnection> {
  const { CosmosClient } = await import('@azure/cosmos');
  const httpClient = createLeanHttpClient();
  const client = new CosmosClient({
    endpoint: target.endpoint,
    ...(target.key ? { key: target.key.reveal() } : { aadCredentials: await defaultCredential() }),
    userAgentSuffix: options.userAgentSuffix ?? 'cosmos-pipe',
    httpClient,
    connectionPolicy: {
      requestTimeout: options.requestTimeoutMs ?? 60_000,
      // The bulk writer retries on its own; these are for point operations, queries and the change feed.
      retryOptions: { maxRetryAttemptCount: 30, maxWaitTimeInSeconds: 60 },
    },
    // `plugins` is public but hidden from the declarations (SDK: Plugin.d.ts, @hidden).
    ...(options.ru ? { plugins: [chargePlugin(options.ru)] } : {}),
  } as CosmosClientOptions);
  try {
    await client.getDatabaseAccount();
  } catch (error) {
    client.dispose();
    httpClient.close();
    throw toPipeError(error, target);
  }
  const database = client.database(target.database);
  return {
    target,
    client,
    database,
    container: database.container(target.container),
    dispose() {
      client.dispose();
      httpClient.close();
    },
  };
}

async function defaultCredential(): Promise<NonNullable<CosmosClientOptions['aadCredentials']>> {
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new DefaultAzureCredential();
}
