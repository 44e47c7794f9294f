// Our producer at a rate, for `ingest` to follow: a warm-up, a message, then the load.
import { createStageRecorder } from '../../dist/src/metrics/stage-recorder.js';
import { produce } from '../../dist/src/pipeline/produce/produce.js';
import { systemClock as clock } from '../../dist/src/util/clock.js';
import { Secret } from '../../dist/src/util/secret.js';

const { BENCH_DEVICES, BENCH_HUB, BENCH_HUB_CONNECTION, BENCH_RATE, BENCH_SECONDS } = process.env;
const WARM_UP_SECONDS = 4;

const paced = (seconds, run) =>
  produce({
    target: {
      connectionString: new Secret(BENCH_HUB_CONNECTION),
      eventHub: BENCH_HUB,
      consumerGroup: '$Default',
    },
    workload: { rate: Number(BENCH_RATE), duration: `${seconds}s`, keys: { count: Number(BENCH_DEVICES) } },
    run,
    recorder: createStageRecorder('produce', { clock }),
    clock,
    ownThread: true,
  });

const warmUp = await paced(WARM_UP_SECONDS, 'warm-up');
process.send('warm');
const { achievedPerSecond, sent, trustworthy } = await paced(Number(BENCH_SECONDS), 'measured');
process.send({ achievedPerSecond, sent: warmUp.sent + sent, trustworthy }, () => process.exit(0));
