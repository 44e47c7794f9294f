import type { ReceivedEvent } from '../../../src/eventhubs/received-event.ts';
import type { Random } from '../../../src/util/random.ts';
import { type FaultRates, SimulatedService } from '../../cosmos/simulated-service.ts';
import type { VirtualClock } from '../../helpers/virtual-clock.ts';

interface LoggedEvent {
  readonly key: string;
  readonly sequence: number;
  /** It can only end in the dead letter. */
  readonly poison: boolean;
  readonly received: ReceivedEvent;
}

interface Partition {
  readonly log: LoggedEvent[];
  readonly done: boolean[];
  /** Events at the start of the log that are stored or put aside. */
  safe: number;
  checkpoint: number;
}

/** What outlives every process: the hub, the store, the dead letter, the checkpoints. Notes every broken promise. */
export class SimulatedWorld {
  readonly broken: string[] = [];
  readonly trace: string[] = [];
  readonly clock: VirtualClock;
  readonly service: SimulatedService;
  /** When each event of a key was last written, as a count of writes. */
  readonly #writtenLast = new Map<string, number[]>();
  #writes = 0;
  readonly #partitions = new Map<string, Partition>();
  readonly #keys = new Map<string, { readonly partitionId: string; readonly places: number[] }>();

  constructor(options: {
    readonly clock: VirtualClock;
    readonly random: Random;
    readonly rates: FaultRates;
    readonly partitionCount: number;
    readonly rangeCount: number;
  }) {
    this.clock = options.clock;
    this.service = new SimulatedService({
      clock: options.clock,
      random: options.random,
      rates: options.rates,
      rangeCount: options.rangeCount,
      onApply: ({ key, sequence }) => this.#applied(key, sequence),
    });
    for (let id = 0; id < options.partitionCount; id++)
      this.#partitions.set(String(id), { log: [], done: [], safe: 0, checkpoint: -1 });
  }

  get partitionIds(): string[] {
    return [...this.#partitions.keys()];
  }

  /** Appends the next event of a key, whose events are all in one partition. `refused`: by the mapping, or by the service. */
  append(partitionId: string, key: string, refused?: 'mapping' | 'service'): void {
    const { log, done } = this.#partition(partitionId);
    const known = this.#keys.get(key) ?? { partitionId, places: [] };
    this.#keys.set(key, known);
    const sequence = known.places.length;
    const sequenceNumber = log.length;
    const body = {
      id: `${key}-${sequence}`,
      key,
      sequence,
      ...(refused === 'service' ? { poison: 400 } : {}),
    };
    known.places.push(sequenceNumber);
    done.push(false);
    log.push({
      key,
      sequence,
      poison: refused !== undefined,
      received: {
        body: refused === 'mapping' ? '{"id":' : JSON.stringify(body),
        sequenceNumber,
        offset: String(sequenceNumber),
        enqueuedMs: 0,
        partitionKey: key,
        properties: {},
      },
    });
  }

  read(partitionId: string, from: number, count: number): ReceivedEvent[] {
    return this.#partition(partitionId)
      .log.slice(from, from + count)
      .map(({ received }) => received);
  }

  checkpointOf(partitionId: string): number {
    return this.#partition(partitionId).checkpoint;
  }

  /** A process says that everything up to here is durable. Late news of an earlier owner does not move it back. */
  checkpointed(partitionId: string, sequenceNumber: number): void {
    const partition = this.#partition(partitionId);
    this.#note(`checkpoint ${partitionId}/${sequenceNumber}`);
    if (sequenceNumber >= partition.safe)
      this.broken.push(`checkpoint ${sequenceNumber} of partition ${partitionId} passed ${partition.safe}`);
    partition.checkpoint = Math.max(partition.checkpoint, sequenceNumber);
  }

  deadLettered(partitionId: string, sequenceNumber: number): void {
    this.#note(`dead letter ${partitionId}/${sequenceNumber}`);
    const { key, sequence, poison } = this.#partition(partitionId).log[sequenceNumber] as LoggedEvent;
    if (!poison) this.broken.push(`${key}/${sequence} was put aside although it can be stored`);
    this.#finish(partitionId, sequenceNumber);
  }

  /** Every event is stored or put aside, and the checkpoints say so. */
  isComplete(): boolean {
    return [...this.#partitions.values()].every(({ log, checkpoint }) => checkpoint === log.length - 1);
  }

  /** Stored items whose last write came after that of a later event of their key: a reader of the feed sees them late. */
  outOfOrder(): string[] {
    const late: string[] = [];
    for (const [key, writes] of this.#writtenLast) {
      let highest = -1;
      writes.forEach((write, sequence) => {
        if (write < highest) late.push(`${key}/${sequence} was written again before an event ahead of it`);
        highest = Math.max(highest, write);
      });
    }
    return late;
  }

  #applied(key: string, sequence: number): void {
    this.#note(`applied ${key}/${sequence}`);
    const last = this.#writtenLast.get(key) ?? [];
    this.#writtenLast.set(key, last);
    last[sequence] = this.#writes++;
    const { partitionId, places } = this.#keys.get(key) as { partitionId: string; places: number[] };
    const { log, done } = this.#partition(partitionId);
    for (let earlier = 0; earlier < sequence; earlier++) {
      const place = places[earlier] as number;
      if (!done[place] && !(log[place] as LoggedEvent).poison)
        this.broken.push(`${key}/${sequence} overtook ${key}/${earlier}`);
    }
    this.#finish(partitionId, places[sequence] as number);
  }

  #finish(partitionId: string, place: number): void {
    const partition = this.#partition(partitionId);
    partition.done[place] = true;
    while (partition.done[partition.safe]) partition.safe++;
  }

  #note(what: string): void {
    this.trace.push(`${this.clock.now()} ${what}`);
  }

  #partition(partitionId: string): Partition {
    return this.#partitions.get(partitionId) as Partition;
  }
}
