// What the contenders share: the default telemetry event as an object, and the measurement.
export const connectionString = process.env.BENCH_CONNECTION_STRING;
export const eventHub = 'telemetry';
export const total = Number(process.env.BENCH_EVENTS);
export const warmUp = Math.ceil(total / 20);

export const deviceOf = (index) => `contoso-device-id-${String((index * 7919) % 1_000).padStart(6, '0')}`;

export function telemetry(index) {
  return {
    eventId: crypto.randomUUID(),
    complexData: Object.fromEntries(
      Array.from({ length: 23 }, (_, field) => [`moreData${field}`, 10 + Math.random() * 90]),
    ),
    value: 10 + Math.random() * 90,
    deviceId: deviceOf(index),
    deviceSequenceNumber: Math.floor(index / 1_000),
    type: index % 2 ? 'CO2' : 'TEMP',
    createdAt: new Date().toISOString(),
  };
}

/** The envelope that cosmos-pipe puts on its events. */
export function properties(index) {
  return {
    'cp-run': 'bench',
    'cp-key': deviceOf(index),
    'cp-seq': Math.floor(index / 1_000),
    'cp-at': Date.now() * 1000,
  };
}

/** Sends a warm-up and then everything, and reports what the second part took. */
export async function measure(send) {
  await send(warmUp);
  const cpu = process.cpuUsage();
  const start = performance.now();
  await send(total);
  const seconds = (performance.now() - start) / 1000;
  const { system, user } = process.cpuUsage(cpu);
  process.send({ sent: total, total: total + warmUp, seconds, cpuMicros: system + user });
}
