// cosmos-pipe as a library: what `cosmos-pipe produce -n <events> --concurrency 16` runs.
import { createStageRecorder } from '../../dist/src/metrics/stage-recorder.js';
import { produce } from '../../dist/src/pipeline/produce/produce.js';
import { systemClock as clock } from '../../dist/src/util/clock.js';
import { Secret } from '../../dist/src/util/secret.js';
import { connectionString, eventHub, measure } from './produce-load.mjs';

const workers = Number(process.env.BENCH_WORKERS ?? 1);
const publicApiOnly = process.env.BENCH_PUBLIC_API === '1';

await measure(async (events) => {
  const { sent } = await produce({
    target: { connectionString: new Secret(connectionString), eventHub, consumerGroup: '$Default' },
    workload: { events, keys: { count: 1_000 } },
    run: 'bench',
    recorder: createStageRecorder('produce', { clock }),
    clock,
    publicApiOnly,
    workers,
  });
  if (sent !== events) throw new Error(`sent ${sent} of ${events}`);
});
process.disconnect();
