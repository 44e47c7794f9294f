// cosmos-pipe at a given rate: does it keep its schedule? What `cosmos-pipe produce --rate <n>/s --duration <time>` runs.
import { createStageRecorder } from '../../dist/src/metrics/stage-recorder.js';
import { produce } from '../../dist/src/pipeline/produce/produce.js';
import { systemClock as clock } from '../../dist/src/util/clock.js';
import { Secret } from '../../dist/src/util/secret.js';
import { connectionString, eventHub } from './produce-load.mjs';

const rate = Number(process.env.BENCH_RATE);

const paced = (seconds) =>
  produce({
    target: { connectionString: new Secret(connectionString), eventHub, consumerGroup: '$Default' },
    workload: { rate, duration: `${seconds}s`, keys: { count: 1_000 } },
    run: 'bench',
    recorder: createStageRecorder('produce', { clock }),
    clock,
  });

await paced(2);
const cpu = process.cpuUsage();
const { achievedPerSecond, requestedPerSecond, scheduling, sent, trustworthy } = await paced(
  Number(process.env.BENCH_SECONDS),
);
const { system, user } = process.cpuUsage(cpu);
process.send({
  ratePerSecond: rate,
  achievedOverRequested: Number((achievedPerSecond / requestedPerSecond).toFixed(5)),
  schedulingP50Ms: scheduling.p50Ms,
  schedulingP99Ms: scheduling.p99Ms,
  schedulingMaxMs: scheduling.maxMs,
  clientCpuMicrosPerEvent: Number(((system + user) / sent).toFixed(2)),
  trustworthy,
});
process.disconnect();
