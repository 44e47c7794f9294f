/**
 * Tells from the length and the first byte of a property name whether it may be one of a few, so that all other names of an
 * item are passed without being made strings. It never misses a name; some it lets through are others.
 */
export class NameFilter {
  readonly #known = new Set<number>();

  add(name: string): void {
    const bytes = Buffer.from(name);
    this.#known.add(codeOf(bytes.length, bytes[0] ?? 0));
  }

  /** Whether the string literal from `start` to `end`, quotes included, may be one of the names. */
  mayInclude(bytes: Buffer, start: number, end: number, escaped: boolean): boolean {
    if (this.#known.size === 0) return false;
    return (
      escaped ||
      this.#known.has(codeOf(end - start - 2, end - start === 2 ? 0 : (bytes[start + 1] as number)))
    );
  }
}

const codeOf = (length: number, first: number): number => length * 256 + first;
