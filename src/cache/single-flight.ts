/** Lets concurrent callers that ask for the same thing share one piece of work. */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Promise<T>>();

  get size(): number {
    return this.#flights.size;
  }

  /** `shared` tells that another caller had started the work. */
  async run(key: string, work: () => Promise<T>): Promise<{ readonly value: T; readonly shared: boolean }> {
    const flying = this.#flights.get(key);
    if (flying !== undefined) return { value: await flying, shared: true };
    const flight = work().finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    return { value: await flight, shared: false };
  }
}
