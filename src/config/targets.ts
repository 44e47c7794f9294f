import type { Secret } from '../util/secret.ts';

/** Where each service is and how to sign in. Without a key, `DefaultAzureCredential` is used. */
export interface EventHubsTarget {
  /** Connection string (namespace or entity level); else `fullyQualifiedNamespace` with a credential. */
  readonly connectionString?: Secret;
  readonly fullyQualifiedNamespace?: string;
  readonly eventHub: string;
  readonly consumerGroup: string;
  readonly webSockets?: boolean;
  /** PEM of the embedded stack's certificate, trusted besides the public ones. */
  readonly certificate?: string;
}

export interface CosmosTarget {
  readonly endpoint: string;
  readonly key?: Secret;
  readonly database: string;
  readonly container: string;
}

export interface RedisTarget {
  /** redis:// or rediss:// URL; may carry a password. */
  readonly url: Secret;
  readonly cluster?: boolean;
}

export interface EventGridTarget {
  readonly endpoint: string;
  readonly key?: Secret;
}

/** The targets of one command line, resolved: flags > environment > config file > running local stack. */
export interface Targets {
  readonly eventHubs?: EventHubsTarget;
  readonly cosmos?: CosmosTarget;
  readonly redis?: RedisTarget;
  readonly eventGrid?: EventGridTarget;
  /** True when every address above is loopback (the embedded stack): no cost, no confirmation needed. */
  readonly local: boolean;
  /** Admin endpoint of the embedded stack, where every service above is one of it. */
  readonly adminUrl?: string;
  /** True when Redis is the embedded one of that stack: nothing in it is anybody else's. */
  readonly embeddedRedis: boolean;
}
