// `cosmos-pipe ingest` as a library: envelope, checkpoints and verification data included. Both SDKs are loaded beforehand, as
// in the other contenders.
import '@azure/cosmos';
import '@azure/event-hubs';
import { createStageRecorder } from '../../dist/src/metrics/stage-recorder.js';
import { clock, ingestAll } from './ingest-library.mjs';
import { report } from './ingest-run.mjs';

const cpuBefore = process.cpuUsage();
const recorder = createStageRecorder('ingest', { clock });
const { received, stored } = await ingestAll({
  recorder,
});
report({ received, acknowledged: stored, seconds: recorder.summary().activeMs / 1000, cpuBefore });
