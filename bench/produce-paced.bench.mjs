// Whether a schedule is kept: our maximum on one endpoint, then half of it for some seconds. `npm run bench -- produce-paced`
// prints both; `produce` does the same beside the ways the SDK offers.
import { CONTENDERS, contend, pacedRounds } from './produce.bench.mjs';

const OURS = 'cosmos-pipe';

/** @returns what DESIGN calls a benchmark document, without the environment that the runner adds */
export async function run() {
  const fastest = await contend(CONTENDERS[OURS]);
  const paced = await pacedRounds(fastest.eventsPerSecond);
  return {
    name: 'produce-paced',
    parameters: { partitions: 4, devices: 1_000, rounds: paced.length },
    contenders: [{ name: OURS, ...fastest }],
    paced,
    ratios: {},
  };
}
