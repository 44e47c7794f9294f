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
 * share, ceil(leases / processes), so that none stays unread; owned ones are only asked for, up to the smaller share, from
 * the processes that hold most. Every process that runs this ends within one lease of every other.
 */
export function planBalance(leases: readonly LeaseState[], me: string): BalancePlan {
  const held = new Map<string, number>([[me, 0]]);
  for (const { owner } of leases) if (owner !== undefined) held.set(owner, (held.get(owner) ?? 0) + 1);
  const smallShare = Math.floor(leases.length / held.size);
  const largeShare = Math.ceil(leases.length / held.size);
  const mine = held.get(me) ?? 0;

  const free = leases.filter(({ owner }) => owner === undefined);
  const take = free.slice(0, Math.max(0, largeShare - mine)).map(({ id }) => id);

  const coming = leases.filter(({ owner, requestedBy }) => owner !== me && requestedBy === me).length;
  const request: string[] = [];
  for (let missing = smallShare - mine - take.length - coming; missing > 0; missing--) {
    const candidate = leases
      .filter(({ id, owner, requestedBy }) => {
        const isAvailable = owner !== undefined && owner !== me && requestedBy === undefined;
        return isAvailable && (held.get(owner) ?? 0) > smallShare && !request.includes(id);
      })
      .sort((a, b) => (held.get(b.owner ?? '') ?? 0) - (held.get(a.owner ?? '') ?? 0))[0];
    if (candidate?.owner === undefined) break;
    held.set(candidate.owner, (held.get(candidate.owner) ?? 0) - 1);
    request.push(candidate.id);
  }
  return { take, request };
}
