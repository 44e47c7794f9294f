import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis';
import type { RedisTarget } from '../config/targets.ts';
import { systemClock } from '../util/clock.ts';
import { formatDurationMs } from '../util/duration.ts';
import { PipeError } from '../util/errors.ts';
import { redact } from '../util/secret.ts';
import { type BatchParts, sendBatch } from './batch-command.ts';
import type { CacheCommand } from './command.ts';
import { type EntraLogin, entraLogin, isAzureRedisHost, keepSignedIn } from './entra.ts';
import { SCRIPTS } from './scripts.ts';

export interface CacheConnection {
  readonly target: RedisTarget;
  /** Host and port, or the socket's path: fit for messages. */
  readonly address: string;
  readonly client: Redis | Cluster;
  /** The nodes that hold keys: one without a cluster. */
  masters(): readonly Redis[];
  /**
   * Sends commands of one key each in one go and resolves with their replies in order. In a cluster every command finds its
   * own node. Rejects with a PipeError when the connection is lost; a command's own error is in its place in the result.
   */
  send(commands: readonly CacheCommand[]): Promise<readonly unknown[]>;
  /** As {@link send}, with string replies as bytes. */
  sendForBytes(commands: readonly CacheCommand[]): Promise<readonly unknown[]>;
  dispose(): void;
}

export interface CacheOptions {
  /** Tries per command before it fails, while the connection is being made again; default 20. */
  readonly maxRetries?: number;
  /** A command without a reply after this many milliseconds has failed; none by default. */
  readonly commandTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
}

/**
 * Connects to one server or a cluster, with TLS for rediss:// and with Microsoft Entra for an Azure host without a password.
 * Throws PipeError E_UNREACHABLE, E_AUTH or E_CONFIG.
 */
export async function openCache(target: RedisTarget, options: CacheOptions = {}): Promise<CacheConnection> {
  const ioredis = await import('ioredis');
  const { Redis, Cluster } = ioredis;
  const address = parseAddress(target);
  const entra = address.entra ? await entraLogin() : undefined;
  const common: Omit<RedisOptions, 'replyMapping'> = {
    lazyConnect: true,
    connectionName: 'cosmos-pipe',
    maxRetriesPerRequest: options.maxRetries ?? 20,
    connectTimeout: options.connectTimeoutMs ?? 10_000,
    ...(options.commandTimeoutMs !== undefined && { commandTimeout: options.commandTimeoutMs }),
    scripts: SCRIPTS,
    ...address.options,
    ...(entra && { username: entra.user, password: entra.token }),
  };
  const client: Redis | Cluster = target.cluster
    ? new Cluster([{ host: address.host, port: address.port }], {
        lazyConnect: true,
        scripts: SCRIPTS,
        // A second by default, after which the cluster counts as unreachable.
        slotsRefreshTimeout: common.connectTimeout as number,
        redisOptions: { ...withoutAddress(common), replyMapping: 'legacy' },
        // Nodes announce themselves by address; their certificate names the host that the user gave.
        ...(address.options.tls && { dnsLookup: (host, done) => done(null, host) }),
      })
    : new Redis({ ...common, replyMapping: 'legacy' });
  await connect(client, address.text, common.connectTimeout as number);
  const signedIn = new AbortController();
  if (entra !== undefined)
    keepSignedIn({
      first: entra,
      login: entraLogin,
      apply: (login) => authenticate(client, login),
      signal: signedIn.signal,
    }).catch(() => undefined);
  return createConnection(client, target, address.text, ioredis, () => signedIn.abort());
}

function createConnection(
  client: Redis | Cluster,
  target: RedisTarget,
  address: string,
  ioredis: BatchParts,
  onDispose: () => void,
): CacheConnection {
  const send = async (commands: readonly CacheCommand[], bytes: boolean): Promise<readonly unknown[]> => {
    if (client.isCluster) return sendToCluster(client as Cluster, commands, bytes);
    const batch = sendBatch(client as Redis, ioredis, commands);
    if (batch !== undefined) return bytes ? batch : (await batch).map(asText);
    const pipeline = client.pipeline();
    for (const [name, ...args] of commands) invoke(pipeline, name, args, bytes);
    const replies = await pipeline.exec();
    return (replies ?? []).map(([error, reply]) => error ?? reply);
  };
  const guarded = async (commands: readonly CacheCommand[], bytes: boolean): Promise<readonly unknown[]> => {
    if (commands.length === 0) return [];
    const replies = await send(commands, bytes).catch((error: unknown) => {
      throw lostError(error, address);
    });
    const lost = replies.find((reply) => reply instanceof Error && isConnectionLoss(reply));
    if (lost !== undefined) throw lostError(lost, address);
    return replies;
  };
  return {
    target,
    address,
    client,
    masters: () => (client.isCluster ? (client as Cluster).nodes('master') : [client as Redis]),
    send: (commands) => guarded(commands, false),
    sendForBytes: (commands) => guarded(commands, true),
    dispose() {
      onDispose();
      client.disconnect();
    },
  };
}

function asText(reply: unknown): unknown {
  return Buffer.isBuffer(reply) ? reply.toString() : reply;
}

/** A pipeline cannot span the nodes of a cluster; parallel commands can, and share each node's socket anyway. */
async function sendToCluster(
  cluster: Cluster,
  commands: readonly CacheCommand[],
  bytes: boolean,
): Promise<readonly unknown[]> {
  const settled = await Promise.allSettled(
    commands.map(([name, ...args]) => invoke(cluster, name, args, bytes) as Promise<unknown>),
  );
  return settled.map((result) => (result.status === 'fulfilled' ? result.value : result.reason));
}

/** ioredis has a method per command and per script, and each again with `Buffer` for replies as bytes. */
function invoke(
  on: object,
  name: string,
  args: readonly (string | Buffer | number)[],
  bytes: boolean,
): unknown {
  const methods = on as Readonly<Record<string, (...args: unknown[]) => unknown>>;
  const method = bytes ? `${name}Buffer` : name;
  return (methods[method] as (...args: unknown[]) => unknown).call(on, ...args);
}

interface Address {
  readonly host: string;
  readonly port: number;
  readonly text: string;
  readonly options: RedisOptions;
  readonly entra: boolean;
}

/** `redis://`, `rediss://` (TLS) and `unix://` URLs, user and password percent-encoded, `/<n>` the database. */
function parseAddress(target: RedisTarget): Address {
  const text = target.url.reveal();
  if (!URL.canParse(text) || !/^(?:rediss?|unix):/.test(text))
    throw new PipeError('E_CONFIG', 'the Redis URL is not of the form redis://host:port', {
      hint: 'set REDIS_URL, for example redis://127.0.0.1:6379 or rediss://:<key>@<name>.redis.cache.windows.net:6380',
    });
  const url = new URL(text);
  if (url.protocol === 'unix:')
    return { host: '', port: 0, text: url.pathname, options: { path: url.pathname }, entra: false };
  const tls = url.protocol === 'rediss:';
  const port = Number(url.port || (tls && isAzureRedisHost(url.hostname) ? 6380 : 6379));
  const database = Number(url.pathname.slice(1) || 0);
  return {
    host: url.hostname,
    port,
    text: `${url.hostname}:${port}`,
    options: {
      host: url.hostname,
      port,
      ...(database > 0 && { db: database }),
      ...(url.username !== '' && { username: decodeURIComponent(url.username) }),
      ...(url.password !== '' && { password: decodeURIComponent(url.password) }),
      ...(tls && { tls: { servername: url.hostname } }),
    },
    entra: url.password === '' && tls && isAzureRedisHost(url.hostname),
  };
}

/** What of the options applies to each node of a cluster. */
function withoutAddress(
  options: RedisOptions,
): Omit<NonNullable<ClusterOptions['redisOptions']>, 'replyMapping'> {
  const { username, password, tls, connectionName, maxRetriesPerRequest, connectTimeout, commandTimeout } =
    options;
  const given = {
    username,
    password,
    tls,
    connectionName,
    maxRetriesPerRequest,
    connectTimeout,
    commandTimeout,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

async function connect(client: Redis | Cluster, address: string, timeoutMs: number): Promise<void> {
  // ioredis rejects with "Connection is closed."; the reason comes by event before.
  let reason: unknown;
  const note = (error: unknown): void => {
    reason = error;
  };
  client.on('error', note);
  // A cluster client tries for ever, also when no node announces an address that can be reached.
  const ended = new AbortController();
  const giveUp = systemClock.sleep(timeoutMs * 1.5, ended.signal).then(() => {
    throw new Error(`no answer within ${formatDurationMs(timeoutMs * 1.5)}`);
  });
  try {
    await Promise.race([client.connect().then(() => client.ping()), giveUp]);
  } catch (error) {
    client.disconnect();
    throw openError(reason ?? error, address);
  } finally {
    ended.abort();
    giveUp.catch(() => undefined);
    // Later losses show in the commands that meet them; an emitter without a listener would end the process.
    client.off('error', note);
    client.on('error', () => undefined);
  }
}

async function authenticate(client: Redis | Cluster, { user, token }: EntraLogin): Promise<void> {
  const nodes = client.isCluster ? (client as Cluster).nodes('all') : [client as Redis];
  if (client.isCluster) Object.assign((client as Cluster).options.redisOptions ?? {}, { password: token });
  await Promise.all(
    nodes.map((node) => {
      node.options.password = token;
      return node.auth(user, token);
    }),
  );
}

function openError(error: unknown, address: string): PipeError {
  const reason = reasonOf(error);
  if (/WRONGPASS|NOAUTH|NOPERM|invalid username-password|invalid password/i.test(reason))
    return new PipeError('E_AUTH', `Redis at ${address} refused the credentials (${reason})`, {
      hint: 'check the user and password in REDIS_URL',
      cause: error,
    });
  return new PipeError('E_UNREACHABLE', `cannot reach Redis at ${address} (${reason})`, {
    hint: 'start the local stack with `cosmos-pipe local`, or set REDIS_URL',
    cause: error,
  });
}

function isConnectionLoss(error: Error): boolean {
  return (
    error.name === 'MaxRetriesPerRequestError' ||
    /Connection is closed|ECONNRESET|ECONNREFUSED|EPIPE|Command timed out/.test(error.message)
  );
}

function lostError(error: unknown, address: string): PipeError {
  return new PipeError('E_UNREACHABLE', `lost Redis at ${address} (${reasonOf(error)})`, {
    hint: 'check that the server runs; the command can be repeated',
    cause: error,
  });
}

function reasonOf(error: unknown): string {
  const last = (error as { readonly lastNodeError?: unknown }).lastNodeError ?? error;
  return redact(last instanceof Error ? last.message : String(last));
}
