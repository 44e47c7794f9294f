import { Secret } from '../util/secret.ts';
import type { EventHubsTarget } from './targets.ts';

/** A target as plain data, with its secret revealed: for threads of this process only. */
export interface PlainTarget extends Omit<EventHubsTarget, 'connectionString'> {
  readonly revealedConnectionString?: string;
}

export function toPlainTarget({ connectionString, ...target }: EventHubsTarget): PlainTarget {
  return connectionString ? { ...target, revealedConnectionString: connectionString.reveal() } : target;
}

export function fromPlainTarget({ revealedConnectionString, ...target }: PlainTarget): EventHubsTarget {
  if (revealedConnectionString === undefined) return target;
  return { ...target, connectionString: new Secret(revealedConnectionString) };
}
