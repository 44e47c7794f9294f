import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { CLI_ENTRY } from '../helpers/cli.ts';
import { sampleReport, sampleStage } from './sample-report.ts';

const SCRIPT = resolve('examples/ci/bench-and-compare.sh');

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cosmos-pipe-ci-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A checkout whose `bench` takes no time: it hands out a report that is there already; the rest is the built CLI. */
function checkout(name: string, ingestLatencyMs: number): string {
  const bin = join(folder, name, 'node_modules/.bin');
  mkdirSync(bin, { recursive: true });
  const stages = [sampleStage('produce'), sampleStage('ingest', { latencyMs: ingestLatencyMs })];
  const latency = stages[1]?.latency;
  const { verdict: _verdict, ...rest } = sampleReport({ stages, ...(latency && { endToEnd: latency }) });
  writeFileSync(join(bin, 'report.json'), JSON.stringify({ ...rest, thresholds: [] }));
  writeFileSync(
    join(bin, 'cosmos-pipe'),
    `#!/bin/sh
if [ "$1" != bench ]; then exec '${process.execPath}' '${CLI_ENTRY}' "$@"; fi
while [ "$1" != --output ]; do shift; done
cp "$(dirname "$0")/report.json" "$2"
`,
  );
  chmodSync(join(bin, 'cosmos-pipe'), 0o755);
  return join(folder, name);
}

/** A checkout with the built CLI, as `npm ci` leaves it. */
function installed(name: string): string {
  const bin = join(folder, name, 'node_modules/.bin');
  mkdirSync(bin, { recursive: true });
  const command = join(bin, 'cosmos-pipe');
  writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${CLI_ENTRY}' "$@"\n`);
  chmodSync(command, 0o755);
  return join(folder, name);
}

function compare(base: string, head: string, settings: NodeJS.ProcessEnv) {
  const reports = mkdtempSync(join(folder, 'reports-'));
  const { status, stdout, stderr } = spawnSync('sh', [SCRIPT, base, head, reports], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], ...settings },
  });
  const files = readdirSync(reports);
  expect({ files, stderr }).toMatchObject({ files: expect.arrayContaining(['head.html', 'head.xml']) });
  return { status, stdout, files };
}

it('measures two checkouts on the embedded stack, and passes what is as fast', { timeout: 60_000 }, () => {
  const { status, stdout, files } = compare(installed('one'), installed('other'), {
    ROUNDS: '1',
    RATE: '300/s',
    DURATION: '500ms',
    WARMUP: '0s',
    // What is tried is the script: half a second on a busy machine says nothing about speed.
    MAX_REGRESSION: '100000%',
  });
  expect(stdout).toContain('e2e_latency:p(99)');
  expect(files).toEqual(expect.arrayContaining(['base-1.json', 'head-1.json']));
  expect(status).toBe(0);
});

it('fails a pull request that is slower', () => {
  const { status, files } = compare(checkout('base', 40), checkout('slower', 90), { ROUNDS: '2' });
  expect(files).toContain('base-2.json');
  expect(status).toBe(99);
});

it('is called by the workflow with the arguments that it takes', () => {
  const workflow = parse(readFileSync('examples/ci/cosmos-pipe-bench.yml', 'utf8')) as {
    jobs: { bench: { steps: { run?: string }[] } };
  };
  const runs = workflow.jobs.bench.steps.map(({ run }) => run ?? '');
  expect(runs).toContain('sh head/ci/bench-and-compare.sh base head reports');
});
