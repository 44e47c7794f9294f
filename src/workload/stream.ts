import {
  type Arrivals,
  immediateArrivals,
  intervalArrivals,
  limitArrivals,
  shapedArrivals,
} from './arrivals.ts';
import { drawUnit, EventRandom, idSeeds, Stream } from './draw.ts';
import { FaultKind, faultPicker, OVERSIZED_BYTES, skewOf } from './faults.ts';
import { derivedKeys, type KeyPicker, KeyTable, keyPicker, numberedKeys } from './keys.ts';
import type { SourceRecord } from './records.ts';
import { constant, type Shape, stages } from './shape.ts';
import { padTo, type SizeDistribution, smallestSize } from './size.ts';
import type { Workload } from './spec.ts';
import { compileTemplate, TELEMETRY_MEASUREMENTS, telemetryTemplate } from './template.ts';
import { type EventContext, text, type Writer } from './writer.ts';

export interface StreamOptions {
  /** Run id: another run has other ids and the same of everything else. */
  readonly run?: string;
  /** Time of offset 0, milliseconds since the Unix epoch: what events say of their own time counts from here. */
  readonly startEpochMs: number;
  /** Which keys to make the events of; the others are walked over, so that all parts together are the whole. */
  readonly owns?: (keyIndex: number, keys: KeyTable) => boolean;
  /** Events of a file instead of generated ones. Called once for every pass over the data. */
  readonly records?: () => AsyncIterable<SourceRecord>;
  /** Each record names its own key; generated keys are not used. */
  readonly recordsHaveKeys?: boolean;
  /** Starts over when the records end. */
  readonly loop?: boolean;
  /** Sends records at their recorded distance, this many times as fast. */
  readonly replaySpeed?: number;
}

/** Records read ahead of the sender. */
const READ_AHEAD = 1024;

/** The events of a workload in the order in which they are due, one at a time. Same seed, run and start, same bytes. */
export async function openStream(workload: Workload, options: StreamOptions): Promise<EventStream> {
  const types = workload.types ?? [{ weight: 1 }];
  const bodies = await Promise.all(types.map((type) => bodyOf(type, workload)));
  return new EventStream(
    workload,
    mixOf(
      bodies,
      types.map(({ weight }) => weight),
    ),
    await propertiesOf(workload),
    options,
  );
}

/** An application property whose text differs from event to event. */
interface VariableProperty {
  readonly name: string;
  readonly text: Writer;
}

/** Whether the value of an application property refers to variables. */
export function isVariable(value: string | number | boolean): value is string {
  return typeof value === 'string' && value.includes('$.');
}

async function propertiesOf({ properties, seed, variables }: Workload): Promise<VariableProperty[]> {
  return Promise.all(
    Object.entries(properties)
      .filter(([, value]) => isVariable(value))
      .map(async ([name, value]) => ({ name, text: await compileTemplate(value, variables, seed) })),
  );
}

interface EventType {
  readonly template?: unknown;
  readonly size?: SizeDistribution | undefined;
}

/** Room that the members around `complexData` take in the telemetry event, and one of its measurements. */
const TELEMETRY_FRAME_BYTES = 215;
const MEASUREMENT_BYTES = 31;

async function bodyOf({ template, size: ownSize }: EventType, workload: Workload): Promise<Writer> {
  const size = ownSize ?? workload.size;
  if (template !== undefined) {
    const body = await compileTemplate(template, workload.variables, workload.seed);
    return size ? padTo(body, size) : body;
  }
  if (!size) return telemetryTemplate(TELEMETRY_MEASUREMENTS, workload.seed);
  const room = Math.floor((smallestSize(size) - TELEMETRY_FRAME_BYTES) / MEASUREMENT_BYTES);
  const measurements = Math.max(0, Math.min(TELEMETRY_MEASUREMENTS, room));
  return padTo(await telemetryTemplate(measurements, workload.seed), size);
}

/** One of several event types, by weight. */
function mixOf(bodies: readonly Writer[], weights: readonly number[]): Writer {
  if (bodies.length === 1) return bodies[0] as Writer;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return {
    maxBytes: Math.max(...bodies.map(({ maxBytes }) => maxBytes)),
    write(out, at, event) {
      let left = drawUnit(event.seed, event.index, Stream.mix) * total;
      let type = 0;
      while (type < bodies.length - 1 && left >= (weights[type] as number)) {
        left -= weights[type] as number;
        type += 1;
      }
      return (bodies[type] as Writer).write(out, at, event);
    },
  };
}

/** The shape that the workload's notations add up to; `undefined` for as fast as possible. */
export function shapeOf({ rate, stages: ramps, shape }: Workload): Shape | undefined {
  if (shape) return shape;
  if (ramps) return stages(ramps, rate ?? 0);
  return rate === undefined ? undefined : constant(rate);
}

function arrivalsOf(workload: Workload): Arrivals {
  const { keys, spacing, seed } = workload;
  const shape = shapeOf(workload);
  const arrivals = keys.intervals
    ? intervalArrivals(keys.names?.length ?? keys.count, keys.intervals, seed)
    : shape
      ? shapedArrivals(shape, spacing, seed)
      : immediateArrivals();
  return limitArrivals(
    arrivals,
    workload.events ?? Number.POSITIVE_INFINITY,
    workload.duration ?? Number.POSITIVE_INFINITY,
  );
}

function keysOf({ keys: { count, first, names, prefix } }: Workload): KeyTable {
  if (!names) return numberedKeys(count, prefix, first);
  const table = new KeyTable();
  for (const name of names) table.add(name);
  return table;
}

/** An event that is emitted after the one that was due. */
interface Postponed {
  readonly index: number;
  readonly keyIndex: number;
  readonly sequence: number;
  readonly fault: FaultKind;
}

/** The current event's fields are valid after `advance()` returned `event`, until the next call. */
export class EventStream {
  readonly keys: KeyTable;
  /** What events are partitioned by, at the indexes of `keys`, which they usually are. */
  readonly partitionKeys: KeyTable;
  readonly variableProperties: readonly { readonly name: string; readonly maxBytes: number }[];
  /** Intended time after the start, milliseconds. */
  offsetMs = 0;
  /** Position in the whole workload, over all shards. */
  index = -1;
  keyIndex = 0;
  /** Position within the key. */
  sequence = 0;
  fault: FaultKind = FaultKind.none;
  readonly #workload: Workload;
  readonly #options: StreamOptions;
  readonly #arrivals: Arrivals;
  readonly #body: Writer;
  readonly #properties: readonly VariableProperty[];
  readonly #pickKey: KeyPicker;
  readonly #pickFault: (index: number) => FaultKind;
  readonly #context: EventContext;
  readonly #oversized: Writer;
  readonly #hasSkew: boolean;
  readonly #held = new Map<number, Postponed>();
  #sequences: Float64Array;
  #nextIndex = 0;
  #postponed: Postponed | undefined;
  #duplicateBody: Buffer | undefined;
  #records: AsyncIterator<SourceRecord> | undefined;
  /** The next record, asked for and not yet there. */
  #nextResult: Promise<IteratorResult<SourceRecord>> | undefined;
  #buffered: SourceRecord[] = [];
  #bufferedAt = 0;
  #source: 'open' | 'ended' = 'open';
  #record: SourceRecord | undefined;
  #replayStartMs = Number.NaN;
  #replayBaseMs = 0;

  constructor(
    workload: Workload,
    body: Writer,
    properties: readonly VariableProperty[],
    options: StreamOptions,
  ) {
    this.#workload = workload;
    this.#options = options;
    this.#arrivals = arrivalsOf(workload);
    this.#body = body;
    this.#properties = properties;
    this.variableProperties = properties.map(({ name, text: { maxBytes } }) => ({ name, maxBytes }));
    this.keys = options.recordsHaveKeys ? new KeyTable() : keysOf(workload);
    const { partitionKey } = workload.keys;
    this.partitionKeys =
      partitionKey === undefined || options.recordsHaveKeys
        ? this.keys
        : derivedKeys(this.keys, partitionKey);
    this.#pickKey = keyPicker(workload.keys.distribution, Math.max(1, this.keys.count), workload.seed);
    this.#pickFault = faultPicker(workload.faults, workload.seed);
    this.#hasSkew = workload.faults.skewedKeys > 0 && workload.faults.clockSkew > 0;
    this.#oversized = padTo(text('{"oversized":true}'), { kind: 'fixed', bytes: OVERSIZED_BYTES });
    this.#sequences = new Float64Array(this.keys.count);
    this.#context = {
      seed: workload.seed,
      idSeeds: idSeeds(workload.seed, options.run),
      index: 0,
      keyIndex: 0,
      sequence: 0,
      createdMs: 0,
      keyBytes: this.keys.bytes,
      keyStart: 0,
      keyLength: 0,
      random: new EventRandom(),
    };
    if (options.records) this.#records = options.records()[Symbol.asyncIterator]();
  }

  /** Whether the clock of the current event's key is wrong. */
  get skewed(): boolean {
    return this.#hasSkew && skewOf(this.#workload.faults, this.#workload.seed, this.keyIndex) !== 0;
  }

  /** Room that the current event's body may need. */
  get maxBodyBytes(): number {
    if (this.fault === FaultKind.oversized) return OVERSIZED_BYTES;
    return this.#record?.body.length ?? this.#body.maxBytes;
  }

  /** Upper bound of ordinary bodies, for sizing buffers; 0 when only the data knows. */
  get usualBodyBytes(): number {
    return this.#records ? 0 : this.#body.maxBytes;
  }

  /** Moves to the next event. On `wait`, await {@link refill} and call again. */
  advance(): 'event' | 'wait' | 'end' {
    if (this.#postponed) {
      this.#take(this.#postponed);
      this.#postponed = undefined;
      return 'event';
    }
    this.#duplicateBody = undefined;
    for (;;) {
      if (this.#records) {
        const next = this.#nextRecord();
        if (next === 'wait') return 'wait';
        if (next === 'end') return this.#flushHeld();
      } else if (!this.#arrivals.next()) {
        return this.#flushHeld();
      } else {
        this.offsetMs = this.#arrivals.offsetMs;
      }
      const index = this.#nextIndex;
      this.#nextIndex += 1;
      const keyIndex = this.#keyOf(index);
      const sequence = this.#sequences[keyIndex] as number;
      this.#sequences[keyIndex] = sequence + 1;
      if (this.#options.owns && !this.#options.owns(keyIndex, this.keys)) continue;
      const fault = this.#pickFault(index);
      const held = this.#held.get(keyIndex);
      if (fault === FaultKind.outOfOrder && !held && !this.#records) {
        this.#held.set(keyIndex, { index, keyIndex, sequence, fault });
        continue;
      }
      const postponing = fault === FaultKind.outOfOrder || fault === FaultKind.duplicate;
      this.#take({ index, keyIndex, sequence, fault: postponing ? FaultKind.none : fault });
      if (held) {
        this.#held.delete(keyIndex);
        this.#postponed = held;
      } else if (fault === FaultKind.duplicate) {
        this.#postponed = { index, keyIndex, sequence, fault };
      }
      return 'event';
    }
  }

  /**
   * Reads more records: waits for the first, then takes what is there already, so that a slow source is not held back.
   * Rejects when the data cannot be read or does not hold what the options ask for.
   */
  async refill(): Promise<void> {
    this.#buffered = [];
    this.#bufferedAt = 0;
    // Everything that needs no input or output is done before an immediate runs.
    const pause = new Promise<'pause'>((resolve) => setImmediate(resolve, 'pause'));
    while (this.#buffered.length < READ_AHEAD && this.#source === 'open') {
      this.#nextResult ??= (this.#records as AsyncIterator<SourceRecord>).next();
      const result =
        this.#buffered.length === 0 ? await this.#nextResult : await Promise.race([this.#nextResult, pause]);
      if (result === 'pause') return;
      this.#nextResult = undefined;
      if (!result.done) this.#buffered.push(result.value);
      else if (this.#buffered.length > 0) {
        this.#nextResult = Promise.resolve(result);
        return;
      } else this.#startOver();
    }
  }

  #startOver(): void {
    const { loop, records } = this.#options;
    if (!loop || !records || this.#nextIndex === 0) {
      this.#source = 'ended';
      return;
    }
    this.#records = records()[Symbol.asyncIterator]();
    this.#replayBaseMs = this.offsetMs;
    this.#replayStartMs = Number.NaN;
  }

  /** Writes the body of the current event and returns where it ends. Call it once per event. */
  render(out: Buffer, at: number): number {
    if (this.#duplicateBody && this.fault === FaultKind.duplicate) {
      this.#duplicateBody.copy(out, at);
      return at + this.#duplicateBody.length;
    }
    const to = this.#renderBody(out, at);
    if (this.#postponed?.fault === FaultKind.duplicate)
      this.#duplicateBody = Buffer.from(out.subarray(at, to));
    return to;
  }

  /** Writes the text of the variable property at `position` for the current event and returns where it ends. */
  renderProperty(position: number, out: Buffer, at: number): number {
    const context = this.#describeEvent();
    context.random.restart(context.seed, this.index, Stream.property + position * 0x200);
    return (this.#properties[position] as VariableProperty).text.write(out, at, context);
  }

  /** What writers need to know of the current event. */
  #describeEvent(): EventContext {
    const { faults, seed } = this.#workload;
    const { fault, keyIndex, keys } = this;
    const context = this.#context;
    context.index = this.index;
    context.keyIndex = keyIndex;
    context.sequence = this.sequence;
    context.createdMs = this.#options.startEpochMs + this.offsetMs;
    if (fault === FaultKind.late) context.createdMs -= faults.lateBy;
    if (this.#hasSkew) context.createdMs += skewOf(faults, seed, keyIndex);
    context.keyBytes = keys.bytes;
    context.keyStart = keys.startOf(keyIndex);
    context.keyLength = keys.lengthOf(keyIndex);
    return context;
  }

  #renderBody(out: Buffer, at: number): number {
    const { fault } = this;
    if (fault === FaultKind.oversized) return this.#oversized.write(out, at, this.#context);
    let to: number;
    if (this.#record) {
      to = at + this.#record.body.copy(out, at);
    } else {
      const context = this.#describeEvent();
      context.random.restart(context.seed, this.index, Stream.body);
      to = this.#body.write(out, at, context);
    }
    // Half of a JSON object is no JSON.
    return fault === FaultKind.malformed ? at + Math.max(1, (to - at) >> 1) : to;
  }

  #take({ index, keyIndex, sequence, fault }: Postponed): void {
    this.index = index;
    this.keyIndex = keyIndex;
    this.sequence = sequence;
    this.fault = fault;
  }

  #keyOf(index: number): number {
    if (this.#arrivals.keyIndex >= 0) return this.#arrivals.keyIndex;
    if (this.#record?.key === undefined) return this.#pickKey(index);
    const keyIndex = this.keys.intern(this.#record.key);
    if (keyIndex >= this.#sequences.length) {
      const grown = new Float64Array(Math.max(256, keyIndex * 2));
      grown.set(this.#sequences);
      this.#sequences = grown;
    }
    return keyIndex;
  }

  #nextRecord(): 'event' | 'wait' | 'end' {
    const record = this.#buffered[this.#bufferedAt];
    if (!record) return this.#source === 'ended' ? 'end' : 'wait';
    const { events, duration } = this.#workload;
    if (this.#options.replaySpeed === undefined) {
      if (!this.#arrivals.next()) return 'end';
      this.offsetMs = this.#arrivals.offsetMs;
    } else {
      if (this.#nextIndex >= (events ?? Number.POSITIVE_INFINITY)) return 'end';
      const timeMs = record.timeMs as number;
      if (Number.isNaN(this.#replayStartMs)) this.#replayStartMs = timeMs;
      const offsetMs = this.#replayBaseMs + (timeMs - this.#replayStartMs) / this.#options.replaySpeed;
      // A recording that is not quite in order is sent in the order of the file.
      this.offsetMs = Math.max(this.offsetMs, offsetMs);
      if (this.offsetMs >= (duration ?? Number.POSITIVE_INFINITY)) return 'end';
    }
    this.#record = record;
    this.#bufferedAt += 1;
    return 'event';
  }

  /** Events held back to be overtaken by their successor, when no successor comes. */
  #flushHeld(): 'event' | 'end' {
    const [first] = this.#held.values();
    if (!first) return 'end';
    this.#held.delete(first.keyIndex);
    this.#take({ ...first, fault: FaultKind.none });
    return 'event';
  }
}
