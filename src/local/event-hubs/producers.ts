import { decodeValue } from '../amqp/decode.ts';
import type { AmqpCondition } from '../amqp/errors.ts';
import { encodedSymbol, type MapEntries, mapValueOf } from '../amqp/message.ts';
import { conditions } from './conditions.ts';

export const PRODUCER_ID = 'com.microsoft:producer-id';
export const PRODUCER_EPOCH = 'com.microsoft:producer-epoch';
export const PRODUCER_SEQUENCE = 'com.microsoft:producer-sequence-number';

const ID_KEY = encodedSymbol(PRODUCER_ID);
const EPOCH_KEY = encodedSymbol(PRODUCER_EPOCH);
const SEQUENCE_KEY = encodedSymbol(PRODUCER_SEQUENCE);

/** Producers whose last number a partition remembers; the one that was silent longest is forgotten first. */
const MAX_PRODUCERS = 10_000;

export interface ProducerState {
  readonly id: number;
  readonly epoch: number;
  /** Sequence number of the last event stored. */
  readonly sequence: number;
}

export type Publishing = 'store' | 'duplicate' | AmqpCondition;

/** What a partition knows of its idempotent producers: an event that is sent again is not stored again. */
export class Producers {
  readonly #states = new Map<number, ProducerState>();
  #nextId: number;

  constructor(firstId: number) {
    this.#nextId = firstId;
  }

  /** State to go on from, for a link whose producer asks for it; a new id when it brings none. */
  open(asked: Partial<ProducerState>): ProducerState | AmqpCondition {
    const id = asked.id ?? this.#nextId++;
    const known = this.#states.get(id);
    const epoch = asked.epoch ?? known?.epoch ?? 0;
    if (known !== undefined && epoch < known.epoch)
      return conditions.producerEpochStolen(id, known.epoch, epoch);
    const state: ProducerState = { id, epoch, sequence: asked.sequence ?? known?.sequence ?? 0 };
    if (known === undefined || epoch > known.epoch) this.#remember(state);
    return state;
  }

  /**
   * Decides about a batch by the annotations of its first event. A batch whose numbers were all seen is a duplicate;
   * a gap, or a batch that overlaps what was seen, is out of order.
   */
  check(bytes: Buffer, first: MapEntries, count: number): Publishing {
    const id = numberOf(bytes, first, ID_KEY);
    const sequence = numberOf(bytes, first, SEQUENCE_KEY);
    if (id === undefined || sequence === undefined) return 'store';
    const epoch = numberOf(bytes, first, EPOCH_KEY) ?? 0;
    const known = this.#states.get(id);
    const last = (sequence + count - 1) | 0;
    if (known !== undefined && epoch < known.epoch)
      return conditions.producerEpochStolen(id, known.epoch, epoch);
    if (known !== undefined && epoch === known.epoch) {
      // Sequence numbers wrap around at 2^31: compared by their difference.
      if (((last - known.sequence) | 0) <= 0) return 'duplicate';
      if (((sequence - known.sequence) | 0) !== 1)
        return conditions.outOfOrderSequence(id, (known.sequence + 1) | 0, sequence);
    }
    this.#remember({ id, epoch, sequence: last });
    return 'store';
  }

  #remember(state: ProducerState): void {
    this.#states.delete(state.id);
    this.#states.set(state.id, state);
    if (this.#states.size <= MAX_PRODUCERS) return;
    const [oldest] = this.#states.keys();
    this.#states.delete(oldest!);
  }
}

function numberOf(bytes: Buffer, map: MapEntries, key: Buffer): number | undefined {
  const encoded = mapValueOf(bytes, map, key);
  if (encoded === undefined) return undefined;
  const { value } = decodeValue(encoded, 0, encoded.length);
  return typeof value === 'number' ? value : undefined;
}
