// `cosmos-pipe ingest` beside a producer. Says when it reads every partition; `measure` begins the measurement anew, `end` ends
// it once everything in the hub is stored.
import { createStageRecorder } from '../../dist/src/metrics/stage-recorder.js';
import { clock, ingestAll } from './ingest-library.mjs';

let measured = createStageRecorder('ingest', { clock });
let cpuBefore = process.cpuUsage();
let end;
const ended = new Promise((resolve) => {
  end = resolve;
});
process.on('message', (message) => {
  if (message === 'end') end();
  else {
    measured = createStageRecorder('ingest', { clock });
    cpuBefore = process.cpuUsage();
  }
});
const recorder = {
  name: 'ingest',
  offered: (...figures) => measured.offered(...figures),
  done: (...figures) => measured.done(...figures),
  failed: (...figures) => measured.failed(...figures),
  throttled: (...figures) => measured.throttled(...figures),
  inFlight: (...figures) => measured.inFlight(...figures),
  serviceTime: (...figures) => measured.serviceTime(...figures),
  latency: (...figures) => measured.latency(...figures),
};
let ready = false;
await ingestAll({
  recorder,
  drainAfter: ended,
  onProgress({ partitions }) {
    if (ready || partitions.length === 0 || partitions.some(({ owner }) => owner === undefined)) return;
    ready = true;
    process.send('ready');
  },
});
const { user, system } = process.cpuUsage(cpuBefore);
const { done, serviceTime } = measured.summary();
process.send(
  { stored: done, p50Ms: serviceTime.p50Ms, p99Ms: serviceTime.p99Ms, clientCpuMicros: user + system },
  () => process.exit(0),
);
