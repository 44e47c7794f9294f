export type Scored = readonly [member: string, score: number];

/** Members ordered by score, then by their bytes (one character per byte): a map for lookups, a sorted array for ranges. */
export class SortedSet {
  readonly #scores = new Map<string, number>();
  readonly #sorted: Scored[] = [];

  get size(): number {
    return this.#scores.size;
  }

  score(member: string): number | undefined {
    return this.#scores.get(member);
  }

  /** True when the member is new. */
  set(member: string, score: number): boolean {
    const old = this.#scores.get(member);
    if (old === score) return false;
    if (old !== undefined) this.#sorted.splice(this.#position(member, old), 1);
    this.#scores.set(member, score);
    this.#sorted.splice(this.#position(member, score), 0, [member, score]);
    return old === undefined;
  }

  delete(member: string): boolean {
    const score = this.#scores.get(member);
    if (score === undefined) return false;
    this.#sorted.splice(this.#position(member, score), 1);
    return this.#scores.delete(member);
  }

  /** Zero-based position from the lowest score. */
  rank(member: string): number | undefined {
    const score = this.#scores.get(member);
    return score === undefined ? undefined : this.#position(member, score);
  }

  /** In ascending order. Do not keep: it is the live array. */
  get ascending(): readonly Scored[] {
    return this.#sorted;
  }

  #position(member: string, score: number): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const [otherMember, otherScore] = this.#sorted[middle] as Scored;
      if (otherScore < score || (otherScore === score && otherMember < member)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
