// `cosmos-pipe ingest` as a library, on the services that every contender gets: everything in the hub, then an end.
import { createRuRecorder } from '../../dist/src/metrics/ru-recorder.js';
import { ingest } from '../../dist/src/pipeline/ingest/ingest.js';
import { systemClock as clock } from '../../dist/src/util/clock.js';
import { Secret } from '../../dist/src/util/secret.js';
import { source, target } from './ingest-run.mjs';

export { clock };

/** @param options what differs: a recorder at least */
export function ingestAll(options) {
  return ingest({
    eventHubs: {
      connectionString: new Secret(source.connectionString),
      eventHub: source.eventHub,
      consumerGroup: '$Default',
    },
    cosmos: { ...target, key: new Secret(target.key) },
    checkpoints: { kind: 'memory' },
    ru: createRuRecorder({ clock }),
    clock,
    signal: new AbortController().signal,
    until: 'drained',
    ownerId: 'bench',
    ...options,
  });
}
