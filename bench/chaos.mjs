// Seeded rounds of failure through the built CLI: `npm run chaos -- --rounds 20 --seed 1 [--json]`. Each round produces, ingests
// and is disturbed at the same time; afterwards nothing that was acknowledged may be lost, damaged or stored twice. Round i has
// seed + i for a seed, so that a round that fails is repeated alone with `--rounds 1 --seed <its seed>`. `--plan` only shows
// what would happen, `--events` sets the size of a round.
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { DEFAULT_EVENTS, planRound, SCENARIO_COUNT } from './chaos/plan.mjs';
import { isIntact, runRound } from './chaos/round.mjs';

const DIST = process.env.COSMOS_PIPE_DIST ?? 'dist';
const EXIT_VERIFICATION = 4;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: String(2 * SCENARIO_COUNT) },
    seed: { type: 'string', default: '1' },
    events: { type: 'string', default: String(DEFAULT_EVENTS) },
    plan: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const rounds = integer('rounds', 1);
const firstSeed = integer('seed', 0);
const events = integer('events', 500);
const { seededRandom } = await import(`../${DIST}/src/util/random.js`);
const plans = Array.from({ length: rounds }, (_, round) =>
  planRound(firstSeed + round, events, seededRandom),
);

if (values.plan) {
  console.log(JSON.stringify(plans, null, 2));
} else {
  const result = await run(plans);
  console.log(values.json ? JSON.stringify(result, null, 2) : summary(result));
  if (result.failures.length > 0) process.exitCode = EXIT_VERIFICATION;
}

async function run(plans) {
  const total = {
    lost: 0,
    corrupted: 0,
    duplicatedStored: 0,
    outOfOrder: 0,
    sentOutOfOrder: 0,
    stalled: 0,
    restarts: 0,
  };
  const faults = {};
  const failures = [];
  for (const plan of plans) {
    const found = await runRound(plan, resolve(DIST, 'bin/cosmos-pipe.js'));
    for (const name of Object.keys(total)) total[name] += found[name];
    for (const [name, times] of Object.entries(found.faults)) faults[name] = (faults[name] ?? 0) + times;
    console.error(line(plan, found));
    if (isIntact(found)) continue;
    const { problem, examples, folder } = found;
    failures.push({ seed: plan.seed, scenario: plan.scenario, problem, examples, folder });
    for (const text of [problem, ...(examples ?? []), `kept in ${folder}`])
      if (text) console.error(`  ${text}`);
    console.error(`  again: npm run chaos -- --rounds 1 --seed ${plan.seed} --events ${plan.events}`);
  }
  return { rounds: plans.length, seed: plans[0].seed, ...total, faults, failures };
}

function line({ seed, scenario }, found) {
  const { lost, corrupted, duplicatedStored, outOfOrder, sentOutOfOrder, stalled, durationMs } = found;
  const verdict = `lost ${lost}, corrupted ${corrupted}, stored twice ${duplicatedStored}, out of order ${outOfOrder} (sent so ${sentOutOfOrder})${stalled ? ', stood still' : ''}`;
  const state = isIntact(found) ? 'ok  ' : 'FAIL';
  return `${state} seed ${seed}  ${scenario.padEnd(28)} ${(durationMs / 1000).toFixed(1)}s  ${verdict}`;
}

function summary({ rounds: done, seed, faults, failures, ...total }) {
  const counts = Object.entries(faults).map(([name, times]) => `${name} ${times}`);
  return [
    `${done} rounds from seed ${seed}, ${failures.length} failed`,
    `lost ${total.lost}   corrupted ${total.corrupted}   stored twice ${total.duplicatedStored}   out of order ${total.outOfOrder}, of which sent so ${total.sentOutOfOrder}`,
    `faults: ${counts.join(', ')}`,
  ].join('\n');
}

function integer(name, least) {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value >= least) return value;
  console.error(`--${name} must be an integer of at least ${least}, not "${values[name]}"`);
  process.exit(2);
}
