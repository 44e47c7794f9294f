import { setImmediate as turn } from 'node:timers/promises';
import type { EventSchema, GridEvent } from '../../eventgrid/event.ts';
import type { Clock } from '../../util/clock.ts';
import type { Envelope } from '../../util/envelope.ts';
import { parseWorkload, type WorkloadInput } from '../../workload/spec.ts';
import { openStream } from '../../workload/stream.ts';
import { envelopeAttributes } from './publish-envelope.ts';

export interface GeneratedEvent {
  readonly event: GridEvent;
  readonly envelope: Envelope;
}

export interface GenerateOptions {
  readonly workload: WorkloadInput;
  readonly run: string;
  readonly schema: EventSchema;
  readonly source: string;
  readonly type: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Events made before the sockets get their turn. */
const EVENTS_PER_TURN = 256;
const SHORTEST_SLEEP_MS = 1;

/**
 * The events of a workload as they fall due, the same for the same seed and run. Event n of a key has the id
 * `<run>/<key>/<n>`; CloudEvents carry the producer's envelope, so that `verify` can prove what became of them.
 */
export async function* generateEvents(options: GenerateOptions): AsyncGenerator<GeneratedEvent> {
  const { clock, run, schema, signal, source, type } = options;
  const startMicros = clock.epochMicros();
  const startMs = clock.now();
  const stream = await openStream(parseWorkload(options.workload), { run, startEpochMs: startMicros / 1000 });
  let buffer = Buffer.alloc(stream.usualBodyBytes);
  for (let made = 0; !signal.aborted && stream.advance() === 'event'; made++) {
    if (made % EVENTS_PER_TURN === 0) await turn();
    const waitMs = startMs + stream.offsetMs - clock.now();
    if (waitMs >= SHORTEST_SLEEP_MS) await clock.sleep(waitMs, signal).catch(() => {});
    if (signal.aborted) return;
    if (buffer.length < stream.maxBodyBytes) buffer = Buffer.alloc(stream.maxBodyBytes);
    const data: unknown = JSON.parse(buffer.toString('utf8', 0, stream.render(buffer, 0)));
    const intendedMicros = Math.round(startMicros + stream.offsetMs * 1000);
    const envelope = {
      run,
      key: stream.keys.name(stream.keyIndex),
      sequence: stream.sequence,
      intendedMicros,
    };
    const event: GridEvent = {
      id: `${run}/${envelope.key}/${envelope.sequence}`,
      type,
      source,
      subject: `/${envelope.key}/${envelope.sequence}`,
      time: new Date(intendedMicros / 1000).toISOString(),
      data,
      extensions: schema === 'cloudEvents' ? envelopeAttributes(envelope) : {},
      schema,
    };
    yield { event, envelope };
  }
}
