// `cosmos-pipe ingest` as a library: envelope, checkpoints and verification data included. Both SDKs are loaded beforehand, as
// in the other contenders.
import '@azure/cosmos';
import '@azure/event-hubs';
import { createRuRecorder } from '../../dist/src/metrics/ru-recorder.js';
import { createStageRecorder } from '../../dist/src/metrics/stage-recorder.js';
import { ingest } from '../../dist/src/pipeline/ingest.js';
import { systemClock as clock } from '../../dist/src/util/clock.js';
import { Secret } from '../../dist/src/util/secret.js';
import { report, source, target } from './ingest-run.mjs';

const cpuBefore = process.cpuUsage();
const recorder = createStageRecorder('ingest', { clock });
const { received, stored } = await ingest({
  eventHubs: {
    connectionString: new Secret(source.connectionString),
    eventHub: source.eventHub,
    consumerGroup: '$Default',
  },
  cosmos: { ...target, key: new Secret(target.key) },
  checkpoints: { kind: 'memory' },
  recorder,
  ru: createRuRecorder({ clock }),
  clock,
  signal: new AbortController().signal,
  until: 'drained',
  ownerId: 'bench',
});
report({ received, acknowledged: stored, seconds: recorder.summary().activeMs / 1000, cpuBefore });
