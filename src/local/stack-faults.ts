import type { FaultStatus, Faults } from './faults/faults.ts';
import { type FaultService, parseFault } from './faults/grammar.ts';

/** The faults of all services behind one grammar: `cosmos:throttle=5%`, `event-hubs:detach=1%@10s+30s`. */
export interface StackFaults {
  /** @throws RangeError that shows the grammar and the kinds of the service. */
  add(spec: string): void;
  clear(): void;
  list(): readonly FaultStatus[];
}

/** `foreign` names services that are not ours to disturb. */
export function createStackFaults(
  services: Readonly<Record<FaultService, Faults>>,
  foreign: readonly FaultService[] = [],
): StackFaults {
  const all = Object.values(services);
  return {
    add(spec) {
      const { service } = parseFault(spec);
      if (foreign.includes(service))
        throw new RangeError(
          `cannot disturb ${service} with "${spec}": only an embedded server takes faults`,
        );
      services[service].add(spec);
    },
    clear: () => {
      for (const faults of all) faults.clear();
    },
    list: () => all.flatMap((faults) => faults.list()),
  };
}
