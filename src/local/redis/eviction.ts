import type { Entry } from './database.ts';
import { errors } from './errors.ts';
import { type EvictionPolicy, type ServerState, usedMemoryBytes } from './state.ts';

/** Keys compared per eviction, Redis' default `maxmemory-samples`. */
const SAMPLES = 5;

/** Removes keys by the policy until the memory in use is below `maxmemory`; throws the OOM error when it cannot. */
export function makeRoom(state: ServerState): void {
  const { maxMemoryBytes, evictionPolicy } = state.settings;
  if (maxMemoryBytes === 0) return;
  while (usedMemoryBytes(state) > maxMemoryBytes) {
    const victim = evictionPolicy === 'noeviction' ? undefined : chooseVictim(state, evictionPolicy);
    if (victim === undefined) throw errors.outOfMemory();
    victim.database.remove(victim.entry.key);
    state.statistics.evicted++;
    state.appendOnlyFile?.append(victim.database.index, ['DEL', victim.entry.key]);
  }
}

function chooseVictim(state: ServerState, policy: EvictionPolicy) {
  const volatileOnly = policy.startsWith('volatile');
  let victim: { database: ServerState['databases'][number]; entry: Entry } | undefined;
  for (const database of state.databases) {
    if (database.size === 0) continue;
    for (let sample = 0; sample < SAMPLES; sample++) {
      const entry = database.sample(state.random.next(), volatileOnly);
      if (entry === undefined) break;
      if (victim === undefined || goesBefore(entry, victim.entry, policy)) victim = { database, entry };
    }
  }
  return victim;
}

function goesBefore(entry: Entry, other: Entry, policy: EvictionPolicy): boolean {
  if (policy === 'volatile-ttl') return entry.expiresAt < other.expiresAt;
  if (policy.endsWith('random')) return false;
  return entry.usedAt < other.usedAt;
}
