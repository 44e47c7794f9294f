// One round: load and faults at the same time, then peace, then the verdict.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { audit } from './audit.mjs';
import { endOf, processesIn, until } from './processes.mjs';
import { startStack } from './stack.mjs';

const LEDGER = 'run.ndjson';
const STEP_TIMEOUT_MS = 90_000;
const PLACE = { database: 'pipeline', container: 'events' };
const DRAINED_AFTER_SIGTERM = 130;
const LAST_LINES = 12;

/**
 * Runs a planned round through the built CLI.
 *
 * @returns what `verify` and the audit found, and how often which fault struck. `problem` says why there is no verdict; the
 *   folder of such a round, and of one that found something, is kept
 */
export async function runRound(plan, cli) {
  const folder = await mkdtemp(join(tmpdir(), `chaos-${plan.seed}-`));
  const processes = processesIn(cli, folder);
  const startedAt = performance.now();
  const found = {
    lost: 0,
    corrupted: 0,
    duplicatedStored: 0,
    outOfOrder: 0,
    sentOutOfOrder: 0,
    stalled: 0,
    restarts: 0,
    faults: {},
  };
  try {
    Object.assign(found, await disturbAndVerify(plan, processes, folder, found.faults));
  } catch (error) {
    found.problem = error.message;
  }
  await processes.killAll();
  found.durationMs = Math.round(performance.now() - startedAt);
  if (isIntact(found)) await rm(folder, { recursive: true, force: true });
  else found.folder = folder;
  return found;
}

export function isIntact({ lost, corrupted, duplicatedStored, stalled, problem }) {
  return problem === undefined && lost + corrupted + duplicatedStored + stalled === 0;
}

async function disturbAndVerify(plan, processes, folder, faults) {
  const stack = await startStack(processes, folder, plan.seed);
  const ingesters = Array.from({ length: plan.ingesters }, (_, index) =>
    supervise(processes, ingestArguments(plan), `ingest-${index}`),
  );
  const producer = processes.start(produceArguments(plan));
  const count = (name) => {
    faults[name] = (faults[name] ?? 0) + 1;
  };

  let sent = plan.events;
  // An open model does not wait for an outage to end: what did not fit into the producer's memory meanwhile was never sent.
  void producer.done.then(async () => {
    sent = await acknowledgedIn(join(folder, LEDGER)).catch(() => sent);
  });
  for (const step of plan.steps) {
    await until(
      async () => {
        if (!producer.running) await mustHaveProduced(producer);
        return (await stack.stored(PLACE.container)) >= step.afterShare * sent;
      },
      STEP_TIMEOUT_MS,
      `${Math.round(step.afterShare * 100)}% of the events were not stored`,
    );
    if (step.fault !== undefined) await stack.addFault(step.fault);
    else if (step.kill === 'stack') {
      count('stack killed');
      await stack.killAndRestart(step.restartAfterMs);
    } else {
      count('ingest killed');
      await ingesters[step.index % ingesters.length].killAndRestart(step.restartAfterMs, step.sameOwner);
    }
  }

  await mustHaveProduced(producer);
  sent = await acknowledgedIn(join(folder, LEDGER));
  // Faults last as long as they were planned to. Whoever has not caught up after that stands still, which is no loss yet.
  const caughtUp = await until(
    async () => (await stack.stored(PLACE.container)) >= sent,
    STEP_TIMEOUT_MS,
    'not everything was stored',
  ).then(
    () => true,
    () => false,
  );
  // What they said last tells where a round stands still.
  const lastWords = caughtUp ? [] : ingesters.map((ingester) => ingester.lastWords());
  await stack.countFaults();
  for (const ingester of ingesters) await ingester.stop();
  const last = await processes.result([...ingestArguments(plan), '--until-drained', '--json']);
  if (last.deadLettered > 0) throw new Error(`${last.deadLettered} events went to the dead letter`);

  const report = await processes.result(['verify', '--ledger', LEDGER, '--json'], [0, 4]);
  const { acknowledged, ledger, totals, examples } = report.verdict;
  if (ledger !== 'complete') throw new Error('the ledger is not complete');
  const audited = await audit(stack.environment, PLACE);
  const stored = await stack.stored(PLACE.container);
  await stack.stop();
  Object.assign(faults, stack.struck);
  return {
    acknowledged,
    stored,
    lost: Math.max(totals.lost, audited.missing, acknowledged - stored),
    corrupted: Math.max(totals.corrupted, audited.corrupted),
    duplicatedStored: Math.max(totals.duplicated, stored - acknowledged),
    outOfOrder: totals.outOfOrder,
    sentOutOfOrder: audited.sentOutOfOrder,
    stalled: caughtUp ? 0 : 1,
    restarts: ingesters.reduce((sum, { restarts }) => sum + restarts, 0),
    examples: [
      ...examples.slice(0, 5).map((example) => JSON.stringify(example)),
      ...audited.examples,
      ...lastWords,
    ],
  };
}

async function mustHaveProduced(producer) {
  const { code, stderr } = await endOf(producer);
  if (code !== 0) throw new Error(`produce exited with ${code}: ${stderr.trim()}`);
}

/** The last line of a ledger says how many events were acknowledged. */
async function acknowledgedIn(path) {
  const { end } = JSON.parse((await readFile(path, 'utf8')).trim().split('\n').at(-1));
  if (end === undefined) throw new Error('the ledger has no end');
  return end;
}

/** An ingester under supervision as Kubernetes would give it: one that ends by itself is started again, and counted. */
function supervise(processes, args, owner) {
  let name = owner;
  let expected = false;
  let lives = 0;
  const ingester = { restarts: 0 };
  let current;
  const start = () => {
    lives += 1;
    expected = false;
    const started = processes.start([...args, '--owner', name]);
    current = started;
    void started.done.then(async ({ signal }) => {
      if (expected || signal === 'SIGKILL' || current !== started) return;
      ingester.restarts += 1;
      await delay(200);
      if (!expected) start();
    });
  };
  start();
  ingester.lastWords = () => `${name}:\n${current.stderr().trim().split('\n').slice(-LAST_LINES).join('\n')}`;
  ingester.killAndRestart = async (afterMs, sameOwner) => {
    expected = true;
    current.kill('SIGKILL');
    await current.done;
    await delay(afterMs);
    if (!sameOwner) name = `${owner}-${lives}`;
    start();
  };
  ingester.stop = async () => {
    expected = true;
    // It has just ended by itself, and was counted for it.
    if (!current.running) return;
    current.kill('SIGTERM');
    const { code, signal, stderr } = await endOf(current);
    // A process that is still loading has nothing to drain and no handler yet.
    if (code !== DRAINED_AFTER_SIGTERM && signal !== 'SIGTERM')
      throw new Error(`ingest ended with ${code ?? signal} instead of draining: ${stderr.trim()}`);
  };
  return ingester;
}

function produceArguments({ events, eventsPerBatch, keys, ratePerSecond, seed }) {
  return [
    'produce',
    ...['--events', String(events), '--rate', `${ratePerSecond}/s`, '--keys', String(keys)],
    ...[
      '--batch-size',
      String(eventsPerBatch),
      '--seed',
      String(seed),
      '--ledger',
      LEDGER,
      '--yes',
      '--json',
    ],
  ];
}

function ingestArguments({ checkpointEvents, checkpoints, throughput }) {
  return [
    'ingest',
    ...['--create', '--throughput', String(throughput), '--checkpoints', checkpoints],
    ...['--checkpoint-events', String(checkpointEvents), '--checkpoint-interval', '500ms'],
  ];
}
