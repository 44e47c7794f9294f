// What every Cosmos DB contender shares: where to write, what to write, for how long, and how the result is reported.
import { performance } from 'node:perf_hooks';

const {
  BENCH_ENDPOINT,
  BENCH_KEY,
  BENCH_DATABASE,
  BENCH_CONTAINER,
  BENCH_SECONDS,
  BENCH_DEVICES,
  BENCH_RUN,
} = process.env;

export const target = {
  endpoint: BENCH_ENDPOINT,
  key: BENCH_KEY,
  database: BENCH_DATABASE,
  container: BENCH_CONTAINER,
};

const devices = Number(BENCH_DEVICES);
const padding = 'x'.repeat(720);

/** Event `n` as it comes from an event hub: JSON text of about 0.9 KB, the shape of Azure-Samples/streaming-at-scale. */
export function eventText(n) {
  const device = `contoso-device-id-${String((n * 7919) % devices).padStart(6, '0')}`;
  return `{"id":"${BENCH_RUN}-${n}","eventId":"${BENCH_RUN}-${n}","deviceId":"${device}","deviceSequenceNumber":${Math.floor(n / devices)},"type":"TEMP","value":${n % 97},"complexData":"${padding}","createdAt":"2026-01-01T00:00:00.000Z"}`;
}

let next = 0;
let endAt = 0;

/** Number of the next event, or undefined when the time is up. */
export function nextEvent() {
  return performance.now() < endAt ? next++ : undefined;
}

/** Runs `load` for the given time and tells the parent what it took. `load` returns how many events it believes stored. */
export async function measure(load) {
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  endAt = startedAt + Number(BENCH_SECONDS) * 1000;
  const acknowledged = await load();
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  process.send({ acknowledged, sent: next, seconds, clientCpuMicros: user + system });
  process.disconnect();
}
