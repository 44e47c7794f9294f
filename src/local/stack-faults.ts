import type { FaultStatus, Faults } from './faults/faults.ts';
import { type FaultService, parseFault } from './faults/grammar.ts';

/** The faults of all services behind one grammar: `cosmos:throttle=5%`, `event-hubs:detach=1%@10s+30s`. */
export interface StackFaults {
  /** @throws RangeError that shows the grammar and the kinds of the service. */
  add(spec: string): void;
  clear(): void;
  list(): readonly FaultStatus[];
}

export function createStackFaults(services: Readonly<Record<FaultService, Faults>>): StackFaults {
  const all = Object.values(services);
  return {
    add: (spec) => void services[parseFault(spec).service].add(spec),
    clear: () => {
      for (const faults of all) faults.clear();
    },
    list: () => all.flatMap((faults) => faults.list()),
  };
}
