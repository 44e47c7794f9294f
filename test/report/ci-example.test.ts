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

interface Pretended {
  readonly ingestLatencyMs: number;
  /** Of `bench`; several are those of the rounds. */
  readonly codes?: readonly number[];
}

/** A checkout whose `bench` takes no time: it hands out a report that is there already; the rest is the built CLI. */
function checkout(name: string, { ingestLatencyMs, codes = [0] }: Pretended): string {
  const bin = join(folder, name, 'node_modules/.bin');
  mkdirSync(bin, { recursive: true });
  const stages = [sampleStage('produce'), sampleStage('ingest', { latencyMs: ingestLatencyMs })];
  const latency = stages[1]?.latency;
  const { verdict: _verdict, ...rest } = sampleReport({ stages, ...(latency && { endToEnd: latency }) });
  writeFileSync(join(bin, 'report.json'), JSON.stringify({ ...rest, thresholds: [] }));
  writeFileSync(
    join(bin, 'cosmos-pipe'),
    `#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
if [ "$1" != bench ]; then exec '${process.execPath}' '${CLI_ENTRY}' "$@"; fi
echo "$@ in $(basename "$PWD"), summary '$GITHUB_STEP_SUMMARY'" >> "$here/calls"
round=$(wc -l < "$here/calls")
while [ "$1" != --output ]; do shift; done
cp "$here/report.json" "$2"
exit $(echo '${codes.join(' ')}' | cut -d ' ' -f "$(( (round - 1) % ${codes.length} + 1 ))")
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
  const reports = mkdtempSync(join(folder, 'reports of '));
  const { status, stdout, stderr } = spawnSync('sh', [SCRIPT, base, head, reports], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], ...settings },
  });
  return { status, stdout, stderr, files: readdirSync(reports) };
}

it('measures two checkouts on the embedded stack, and passes what is as fast', { timeout: 400_000 }, () => {
  const { status, stdout, stderr, files } = compare(installed('one'), installed('other'), {
    ROUNDS: '1',
    RATE: '300/s',
    DURATION: '500ms',
    WARMUP: '0s',
    // What is tried is the script: half a second on a busy machine, which may stand still in one of them, says nothing of speed.
    MAX_REGRESSION: '1000000000%',
  });
  expect(status, stderr).toBe(0);
  expect(stdout).toContain('e2e_latency:p(99)');
  expect(files).toEqual(
    expect.arrayContaining(['base-1.json', 'head-1.json', 'head.html', 'head.xml', 'compare.md']),
  );
});

it('fails a pull request that is slower', () => {
  const summary = join(folder, 'summary.md');
  const head = checkout('slower', { ingestLatencyMs: 90 });
  const { status, files } = compare(checkout('base', { ingestLatencyMs: 40 }), head, {
    ROUNDS: '2',
    THRESHOLD: 'lost_events:count==0 e2e_latency:p(99)<1m',
    GITHUB_STEP_SUMMARY: summary,
  });
  expect(status).toBe(99);
  expect(files).toEqual(expect.arrayContaining(['base-2.json', 'head.html', 'head.xml']));
  // The comparison and one report of the head, not one of each round.
  expect(readFileSync(summary, 'utf8').match(/^## .*/gm)).toEqual([
    expect.stringMatching(/^## cosmos-pipe compare: ❌ \d+ of \d+ figures are worse by more than 20.0%$/),
    '## cosmos-pipe bench: 10,000 events at 1,000 events/s',
  ]);
  const calls = (checked: string): string => readFileSync(join(checked, 'node_modules/.bin/calls'), 'utf8');
  expect(calls(head)).toMatch(
    /--threshold lost_events:count==0 --threshold e2e_latency:p\(99\)<1m .* in slower, summary ''/,
  );
  expect(calls(join(folder, 'base'))).not.toContain('--threshold');
});

it('fails a pull request that loses events, whichever round it was, and shows that round', () => {
  const base = checkout('sound', { ingestLatencyMs: 40 });
  const head = checkout('lossy', { ingestLatencyMs: 90, codes: [0, 99, 4] });
  expect(compare(base, head, {}).status).toBe(4);
  expect(readdirSync(join(head, 'node_modules/.bin'))).toContain('calls');
});

it('does not hold against a pull request what is wrong with its base, nor that there is none', () => {
  const broken = checkout('broken', { ingestLatencyMs: 40, codes: [4] });
  const good = checkout('good', { ingestLatencyMs: 40 });
  expect(compare(broken, good, { ROUNDS: '1' }).status).toBe(0);
  mkdirSync(join(folder, 'empty'));
  const first = compare(join(folder, 'empty'), good, { ROUNDS: '1' });
  expect(first).toMatchObject({
    status: 0,
    stderr: expect.stringContaining('the base has no cosmos-pipe: there is nothing to compare the head with'),
  });
  expect(first.files).not.toContain('compare.md');
});

it('ends with the code of a run that could not be', () => {
  const base = checkout('usable', { ingestLatencyMs: 40 });
  const { status, files } = compare(base, checkout('misused', { ingestLatencyMs: 40, codes: [2] }), {});
  expect(status).toBe(2);
  expect(files).not.toContain('head.html');
});

it('is called by the workflow with the arguments that it takes', () => {
  const workflow = parse(readFileSync('examples/ci/cosmos-pipe-bench.yml', 'utf8')) as {
    jobs: { bench: { steps: { run?: string }[] } };
  };
  const runs = workflow.jobs.bench.steps.map(({ run }) => run ?? '');
  expect(runs).toContain('sh head/ci/bench-and-compare.sh base head reports');
});
