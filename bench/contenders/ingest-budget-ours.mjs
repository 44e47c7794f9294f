// `cosmos-pipe ingest` against a container that cannot keep up. Tells the parent how the request units were used: second by
// second, range by range, and how long each partition of the hub stood still although it had events.
import { performance } from 'node:perf_hooks';
import { createRuRecorder } from '../../dist/src/metrics/ru-recorder.js';
import { createStageRecorder } from '../../dist/src/metrics/stage-recorder.js';
import { clock, ingestAll } from './ingest-library.mjs';

const cpuBefore = process.cpuUsage();
const recorder = createStageRecorder('ingest', { clock });
const ru = createRuRecorder({ clock });
const moved = new Map();
let longestStandstillMs = 0;

/** Partitions whose durable position did not move since the last look, while events wait behind it. */
function watch({ partitions }) {
  const now = performance.now();
  for (const { partitionId, sequenceNumber, unsettled } of partitions) {
    const last = moved.get(partitionId);
    if (last === undefined || last.sequenceNumber !== sequenceNumber || unsettled === 0)
      moved.set(partitionId, { sequenceNumber, at: now });
    else longestStandstillMs = Math.max(longestStandstillMs, now - last.at);
  }
}

const { received, stored } = await ingestAll({
  recorder,
  ru,
  onProgress: watch,
});
const { user, system } = process.cpuUsage(cpuBefore);
const { activeMs, throttled } = recorder.summary();
process.send(
  {
    received,
    acknowledged: stored,
    seconds: activeMs / 1000,
    clientCpuMicros: user + system,
    throttled,
    longestStandstillMs: Math.round(longestStandstillMs),
    ...usage(ru.summary()),
  },
  () => process.exit(0),
);

/** Request units of the seconds in which every range had work: without the first, and up to the first range that is done. */
function usage({ intervalMs, ranges }) {
  const series = Object.entries(ranges)
    .filter(([rangeId]) => rangeId !== '*')
    .map(([, range]) => range.requestChargeSeries);
  const lastBusy = series.map((charges) => charges.findLastIndex((charge) => charge > 0));
  const end = Math.min(...lastBusy);
  const perRange = series.map((charges) => charges.slice(1, end).reduce((sum, charge) => sum + charge, 0));
  const measuredSeconds = ((end - 1) * intervalMs) / 1000;
  return { measuredSeconds, requestChargePerSecondByRange: perRange.map((sum) => sum / measuredSeconds) };
}
