import type { BulkReply, BulkRequest, BulkTransport, OperationReply } from '../../src/cosmos/writer/wire.ts';
import type { Clock } from '../../src/util/clock.ts';
import type { Random } from '../../src/util/random.ts';

/** Chance of each misbehaviour, per request or per operation, 0 to 1. */
export interface FaultRates {
  readonly throttleRequest: number;
  readonly throttleOperation: number;
  readonly retryWith: number;
  readonly unavailable: number;
  readonly unavailableOperation: number;
  /** The connection breaks before, or after, the request was applied. */
  readonly resetBefore: number;
  readonly resetAfter: number;
  readonly garbledAnswer: number;
  readonly split: number;
  readonly slow: number;
  readonly rangesUnavailable: number;
}

/** A mixture of faults: most rounds have a few kinds, some have many; a kind is rare, or common. */
export function faultRates(random: Random): FaultRates {
  const some = 0.2 + random.next() * 0.6;
  const rate = (most: number): number => (random.next() < some ? random.next() * most : 0);
  return {
    throttleRequest: rate(0.5),
    throttleOperation: rate(0.2),
    retryWith: rate(0.1),
    unavailable: rate(0.3),
    unavailableOperation: rate(0.05),
    resetBefore: rate(0.3),
    resetAfter: rate(0.3),
    garbledAnswer: rate(0.1),
    split: rate(0.1),
    slow: rate(0.2),
    rangesUnavailable: rate(0.5),
  };
}

export interface Application {
  readonly key: string;
  readonly sequence: number;
}

interface Range {
  readonly id: string;
  readonly min: string;
  readonly max: string;
}

interface WireOperation {
  readonly operationType: string;
  readonly partitionKey: string;
  readonly resourceBody: {
    readonly id: string;
    readonly key: string;
    readonly sequence: number;
    readonly poison?: number;
  };
}

/** Where a key falls; any function will do as long as writer and service agree. */
export function simulatedHash(key: string): string {
  let hash = 2166136261;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 16777619) >>> 0;
  return hash.toString(16).toUpperCase().padStart(8, '0');
}

/** A Cosmos DB that misbehaves by the dice, remembers what it applied in which order, and checks what it is sent. */
export class SimulatedService implements BulkTransport {
  /** Everything that was applied, in order, re-applications included. */
  readonly applied: Application[] = [];
  /** Broken promises of the writer, for the test to find empty. */
  readonly violations: string[] = [];
  readonly requestSizes: number[] = [];
  #ranges: Range[];
  #nextId: number;
  readonly #keysInFlight = new Set<string>();
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #rates: FaultRates;
  readonly #onApply: (application: Application) => void;

  constructor(options: {
    readonly rangeCount: number;
    readonly clock: Clock;
    readonly random: Random;
    readonly rates: FaultRates;
    readonly onApply?: (application: Application) => void;
  }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#rates = options.rates;
    this.#onApply = options.onApply ?? (() => {});
    const bounds = Array.from({ length: options.rangeCount + 1 }, (_, i) => {
      if (i === 0) return '';
      if (i === options.rangeCount) return 'FF';
      return Math.floor((i * 2 ** 32) / options.rangeCount)
        .toString(16)
        .toUpperCase()
        .padStart(8, '0');
    });
    this.#ranges = bounds.slice(1).map((max, i) => ({ id: String(i), min: bounds[i] as string, max }));
    this.#nextId = options.rangeCount;
  }

  async ranges(): Promise<readonly { id: string; minInclusive: string }[]> {
    await this.#clock.sleep(1 + this.#random.below(20));
    if (this.#happens(this.#rates.rangesUnavailable)) throw new Error('pkranges unavailable');
    return this.currentRanges();
  }

  currentRanges(): readonly { id: string; minInclusive: string }[] {
    return this.#ranges.map(({ id, min }) => ({ id, minInclusive: min }));
  }

  /** The way of one more process to the service: only within a process a key must be in one request at a time. */
  connect(): BulkTransport {
    const keysInFlight = new Set<string>();
    return { ranges: () => this.ranges(), send: (request) => this.#take(request, keysInFlight) };
  }

  send(request: BulkRequest): Promise<BulkReply> {
    return this.#take(request, this.#keysInFlight);
  }

  async #take(request: BulkRequest, keysInFlight: Set<string>): Promise<BulkReply> {
    const operations = parseOrUndefined(request.body.toString());
    const keys = new Set(operations?.map((operation) => operation.partitionKey));
    for (const key of keys) {
      if (keysInFlight.has(key)) this.violations.push(`two requests carry key ${key} at once`);
      keysInFlight.add(key);
    }
    this.requestSizes.push(request.operationCount);
    if (request.continueOnError && operations !== undefined && keys.size < operations.length)
      this.violations.push('a request repeats a key and does not stop at a failure');
    await this.#clock.sleep(this.#happens(this.#rates.slow) ? 500 : 1 + this.#random.below(10));
    const reply = this.#answer(request, operations);
    await this.#clock.sleep(this.#random.below(5));
    for (const key of keys) keysInFlight.delete(key);
    return reply;
  }

  #answer(request: BulkRequest, operations: readonly WireOperation[] | undefined): BulkReply {
    const rates = this.#rates;
    if (this.#happens(rates.split)) this.#split(this.#random.below(this.#ranges.length));
    if (this.#happens(rates.resetBefore)) return failure(0, 'ECONNRESET');
    if (this.#happens(rates.unavailable))
      return failure(this.#random.below(2) === 0 ? 503 : 408, 'try later');
    if (this.#happens(rates.throttleRequest))
      return failure(429, 'request rate is large', this.#random.below(300));
    const range = this.#ranges.find(({ id }) => id === request.rangeId);
    if (range === undefined) return failure(410, 'the range is gone');
    if (operations === undefined) return failure(400, 'the request is not JSON');
    const replies = this.#apply(range, operations, request.continueOnError);
    if (this.#happens(rates.resetAfter)) return failure(0, 'ECONNRESET');
    if (this.#happens(rates.garbledAnswer)) return { replies: replies.slice(1) };
    return { replies };
  }

  #apply(range: Range, operations: readonly WireOperation[], continueOnError: boolean): OperationReply[] {
    let stopped = false;
    return operations.map((operation) => {
      if (stopped) return { statusCode: 424, requestCharge: 0 };
      const reply = this.#applyOne(range, operation);
      if (reply.statusCode >= 400 && !continueOnError) stopped = true;
      return reply;
    });
  }

  #applyOne(range: Range, { resourceBody: { key, sequence, poison } }: WireOperation): OperationReply {
    const epk = simulatedHash(key);
    if (epk < range.min || epk >= range.max) return { statusCode: 410, subStatusCode: 1002 };
    if (this.#happens(this.#rates.throttleOperation))
      return { statusCode: 429, requestCharge: 0, retryAfterMilliseconds: 1 + this.#random.below(200) };
    if (this.#happens(this.#rates.retryWith)) return { statusCode: 449, requestCharge: 1 };
    if (this.#happens(this.#rates.unavailableOperation)) return { statusCode: 503 };
    if (poison !== undefined) return { statusCode: poison, requestCharge: 1, message: 'refused' };
    this.applied.push({ key, sequence });
    this.#onApply({ key, sequence });
    return { statusCode: 201, requestCharge: 6 };
  }

  #split(index: number): void {
    const range = this.#ranges[index] as Range;
    const min = Number.parseInt(range.min || '0', 16);
    const max = range.max === 'FF' ? 2 ** 32 : Number.parseInt(range.max, 16);
    const middle = Math.floor((min + max) / 2)
      .toString(16)
      .toUpperCase()
      .padStart(8, '0');
    if (this.#ranges.length >= 12 || middle <= range.min) return;
    this.#ranges.splice(
      index,
      1,
      { id: String(this.#nextId++), min: range.min, max: middle },
      { id: String(this.#nextId++), min: middle, max: range.max },
    );
  }

  #happens(rate: number): boolean {
    return rate > 0 && this.#random.next() < rate;
  }
}

function failure(statusCode: number, message: string, retryAfterMs?: number): BulkReply {
  return { statusCode, message, retryAfterMs };
}

function parseOrUndefined(body: string): readonly WireOperation[] | undefined {
  try {
    return JSON.parse(body) as readonly WireOperation[];
  } catch {
    return undefined;
  }
}
