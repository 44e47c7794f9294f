export interface LeaseState {
  readonly id: string;
  /** Undefined when nobody owns the lease, or its owner is not seen alive any more. */
  readonly owner: string | undefined;
  /** Who asked the owner to hand it over. */
  readonly requestedBy: string | undefined;
}

export interface BalancePlan {
  /** Free leases to take now. */
  readonly take: readonly string[];
  /** Leases to ask their owners for. */
  readonly request: readonly string[];
}

/**
 * One process's next step towards even shares, from what everybody can see. Free leases are taken at once up to the larger
 * share, ceil(leases / processes), so that none stays unread; owned ones are asked for, from whoever holds most, as long as
 * that holds at least two more. Processes that all do this end within one lease of each other.
 */
export function planBalance(leases: readonly LeaseState[], me: string): BalancePlan {
  const held = new Map<string, number>([[me, 0]]);
  for (const { owner } of leases) if (owner !== undefined) held.set(owner, 0);
  const add = (process: string, count: number): void => {
    held.set(process, (held.get(process) ?? 0) + count);
  };
  // A lease on its way counts for the process that asked for it.
  for (const { owner, requestedBy } of leases)
    if (owner !== undefined) add(requestedBy !== undefined && held.has(requestedBy) ? requestedBy : owner, 1);
  const share = Math.ceil(leases.length / held.size);
  const mine = (): number => held.get(me) ?? 0;

  const free = leases.filter(({ owner }) => owner === undefined);
  const take = free.slice(0, Math.max(0, share - mine())).map(({ id }) => id);
  add(me, take.length);

  const request: string[] = [];
  while (mine() < share) {
    const [donor, most] = [...held].reduce((a, b) => (b[1] > a[1] ? b : a));
    const lease = leases.find(
      ({ id, owner, requestedBy }) => owner === donor && requestedBy === undefined && !request.includes(id),
    );
    if (most - mine() < 2 || lease === undefined) break;
    add(donor, -1);
    add(me, 1);
    request.push(lease.id);
  }
  return { take, request };
}
