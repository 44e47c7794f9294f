import { PipeError } from '../util/errors.ts';
import { redact, Secret } from '../util/secret.ts';
import type { LocalState } from './local-state.ts';
import type { CosmosTarget, EventGridTarget, EventHubsTarget, RedisTarget, Targets } from './targets.ts';

export type ServiceName = 'eventHubs' | 'cosmos' | 'redis' | 'eventGrid';

/** Values of the connection options (src/cli/options.ts) by key; absent where nothing named one. */
export type ConnectionValues = Readonly<Record<string, unknown>>;

const DEFAULT_HUB = 'telemetry';

const NAMES: Readonly<Record<ServiceName, { title: string; variable: string }>> = {
  eventHubs: { title: 'Event Hubs', variable: 'EVENTHUB_CONNECTION_STRING' },
  cosmos: { title: 'Cosmos DB', variable: 'COSMOS_ENDPOINT' },
  redis: { title: 'Redis', variable: 'REDIS_URL' },
  eventGrid: { title: 'Event Grid', variable: 'EVENTGRID_TOPIC_ENDPOINT' },
};

/**
 * Addresses of the services that a command needs. A service named by `values` (flag, environment or file) is taken from
 * there; else from the local stack, unless a `target` was named, of which the stack is no part; else E_CONFIG names the
 * ways out.
 */
export function resolveTargets(
  need: readonly ServiceName[],
  values: ConnectionValues,
  local: LocalState | undefined,
  target?: string,
): Targets {
  const localValues = local === undefined ? undefined : { ...values, ...valuesOf(local) };
  const pick = <T>(service: ServiceName, build: (from: ConnectionValues) => T | undefined): T | undefined => {
    if (!need.includes(service)) return undefined;
    const found = build(values) ?? (target === undefined && localValues ? build(localValues) : undefined);
    if (found !== undefined) return found;
    const { title, variable } = NAMES[service];
    if (target !== undefined)
      throw new NotConfiguredError(
        `target "${target}" has no ${title} connection`,
        target === 'env'
          ? `set ${variable}, or leave --target out to use the local stack`
          : `set ${variable}, or add it under targets.${target} in the pipeline file`,
      );
    throw new NotConfiguredError(
      `no ${title} connection is configured`,
      `set ${variable}, or run \`cosmos-pipe local\` in another terminal, or pass --local`,
    );
  };
  const eventHubs = pick('eventHubs', eventHubsTarget);
  const cosmos = pick('cosmos', cosmosTarget);
  const redis = pick('redis', redisTarget);
  const eventGrid = pick('eventGrid', eventGridTarget);
  const services = {
    ...(eventHubs && { eventHubs }),
    ...(cosmos && { cosmos }),
    ...(redis && { redis }),
    ...(eventGrid && { eventGrid }),
  };
  // A program inside `local -- <command>` has the addresses of the stack in its environment.
  const own = localValues && addressesOf(servicesOf(localValues));
  const isEmbedded = own !== undefined && addressesOf(services).every((one, at) => !one || one === own[at]);
  return {
    ...services,
    ...(isEmbedded && local && { adminUrl: local.adminUrl }),
    embeddedRedis: isEmbedded && redis !== undefined && local?.embeddedRedis === true,
    local: addressesOf(services).every((address) => address === undefined || isLoopback(address)),
  };
}

/** Nothing names a service that was asked for, which for some is no mistake. */
export class NotConfiguredError extends PipeError {
  constructor(message: string, hint: string) {
    super('E_CONFIG', message, { hint });
  }
}

type Services = Pick<Targets, 'eventHubs' | 'cosmos' | 'redis' | 'eventGrid'>;

function servicesOf(values: ConnectionValues): Services {
  const [eventHubs, cosmos] = [eventHubsTarget(values), cosmosTarget(values)];
  const [redis, eventGrid] = [redisTarget(values), eventGridTarget(values)];
  return {
    ...(eventHubs && { eventHubs }),
    ...(cosmos && { cosmos }),
    ...(redis && { redis }),
    ...(eventGrid && { eventGrid }),
  };
}

function addressesOf({ eventHubs, cosmos, redis, eventGrid }: Services): readonly (string | undefined)[] {
  return [
    eventHubs?.connectionString?.reveal() ?? eventHubs?.fullyQualifiedNamespace,
    cosmos?.endpoint,
    redis?.url.reveal(),
    eventGrid?.endpoint,
  ];
}

/** Nothing behind a loopback address costs money or belongs to anybody else. */
function isLoopback(address: string): boolean {
  return /(?:\/\/|@)(?:localhost|127(?:\.\d+){3}|\[::1\])(?:[:/;]|$)/.test(address);
}

/** True when any value names a service, so that the local stack is not what the user means. */
export function namesAService(values: ConnectionValues): boolean {
  return [eventHubsTarget, cosmosTarget, redisTarget, eventGridTarget].some(
    (build) => build(values) !== undefined,
  );
}

/** Connection option values as a local stack gives them. */
function valuesOf({ environment, certificate }: LocalState): ConnectionValues {
  const secret = (name: string): Secret | undefined => {
    const value = environment[name];
    return value === undefined ? undefined : new Secret(value);
  };
  return {
    eventHubsConnectionString: secret('EVENTHUB_CONNECTION_STRING'),
    cosmosEndpoint: environment['COSMOS_ENDPOINT'],
    cosmosKey: secret('COSMOS_KEY'),
    redisUrl: secret('REDIS_URL'),
    eventGridEndpoint: environment['EVENTGRID_TOPIC_ENDPOINT'],
    eventGridKey: secret('EVENTGRID_TOPIC_KEY'),
    certificate,
  };
}

function eventHubsTarget(values: ConnectionValues): EventHubsTarget | undefined {
  const connectionString = values['eventHubsConnectionString'] as Secret | undefined;
  const namespace = values['eventHubsNamespace'] as string | undefined;
  const certificate = values['certificate'] as string | undefined;
  if (connectionString === undefined && namespace === undefined) return undefined;
  const entityPath = connectionString && /(?:^|;)EntityPath=([^;]+)/i.exec(connectionString.reveal())?.[1];
  return {
    ...(connectionString ? { connectionString } : { fullyQualifiedNamespace: namespace as string }),
    eventHub: (values['eventHub'] as string | undefined) ?? entityPath ?? DEFAULT_HUB,
    consumerGroup: (values['consumerGroup'] as string | undefined) ?? '$Default',
    ...(values['webSockets'] === true && { webSockets: true }),
    ...(certificate !== undefined && { certificate }),
  };
}

function cosmosTarget(values: ConnectionValues): CosmosTarget | undefined {
  const connectionString = (values['cosmosConnectionString'] as Secret | undefined)?.reveal();
  const part = (name: string): string | undefined =>
    connectionString && new RegExp(`(?:^|;)${name}=([^;]+)`, 'i').exec(connectionString)?.[1];
  const endpoint = (values['cosmosEndpoint'] as string | undefined) ?? part('AccountEndpoint');
  if (endpoint === undefined) return undefined;
  checkUrl(endpoint, 'Cosmos DB', 'COSMOS_ENDPOINT, for example https://contoso.documents.azure.com');
  const accountKey = part('AccountKey');
  const key =
    (values['cosmosKey'] as Secret | undefined) ?? (accountKey && new Secret(accountKey)) ?? undefined;
  return {
    endpoint,
    ...(key && { key }),
    database: (values['database'] as string | undefined) ?? 'pipeline',
    container: (values['container'] as string | undefined) ?? 'events',
  };
}

function redisTarget(values: ConnectionValues): RedisTarget | undefined {
  const url = values['redisUrl'] as Secret | undefined;
  return url && { url, ...(values['redisCluster'] === true && { cluster: true }) };
}

function eventGridTarget(values: ConnectionValues): EventGridTarget | undefined {
  const endpoint = values['eventGridEndpoint'] as string | undefined;
  const key = values['eventGridKey'] as Secret | undefined;
  if (endpoint === undefined) return undefined;
  checkUrl(
    endpoint,
    'Event Grid',
    'EVENTGRID_TOPIC_ENDPOINT, for example https://contoso.westeurope-1.eventgrid.azure.net/api/events',
  );
  return { endpoint, ...(key && { key }) };
}

function checkUrl(endpoint: string, title: string, example: string): void {
  if (/^https?:/i.test(endpoint) && URL.canParse(endpoint)) return;
  throw new PipeError('E_CONFIG', `the ${title} endpoint "${redact(endpoint)}" is not an http(s) URL`, {
    hint: `set ${example}`,
  });
}
