const BYTES_PER_UNIT = 1024 * 1024;
const EVENTS_PER_UNIT = 1_000;

/** Ingress of a namespace: a bucket of one second's worth of bytes and of events. */
export class ThroughputLimit {
  readonly #units: number;
  #bytes: number;
  #events: number;
  #filledAtMs: number;

  constructor(units: number, nowMs: number) {
    this.#units = units;
    this.#bytes = units * BYTES_PER_UNIT;
    this.#events = units * EVENTS_PER_UNIT;
    this.#filledAtMs = nowMs;
  }

  /** Takes what a message costs, or nothing when the bucket is too empty. A message may overdraw a full bucket. */
  take(bytes: number, events: number, nowMs: number): boolean {
    const bytesPerSecond = this.#units * BYTES_PER_UNIT;
    const eventsPerSecond = this.#units * EVENTS_PER_UNIT;
    const seconds = (nowMs - this.#filledAtMs) / 1000;
    this.#filledAtMs = nowMs;
    this.#bytes = Math.min(bytesPerSecond, this.#bytes + seconds * bytesPerSecond);
    this.#events = Math.min(eventsPerSecond, this.#events + seconds * eventsPerSecond);
    if (this.#bytes < Math.min(bytes, bytesPerSecond)) return false;
    if (this.#events < Math.min(events, eventsPerSecond)) return false;
    this.#bytes -= bytes;
    this.#events -= events;
    return true;
  }
}
