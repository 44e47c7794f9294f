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

function compare(head: string): ReturnType<typeof spawnSync> {
  const reports = mkdtempSync(join(folder, 'reports-'));
  const base = checkout('base', 40);
  const result = spawnSync('sh', [SCRIPT, base, head, reports], {
    encoding: 'utf8',
    env: { ...process.env, ROUNDS: '2' },
  });
  expect(readdirSync(reports)).toEqual(expect.arrayContaining(['head.html', 'head.xml', 'base-2.json']));
  return result;
}

it('passes a pull request that is as fast as its base', () => {
  const { status, stdout } = compare(checkout('same', 41));
  expect(stdout).toContain('e2e_latency:p(99)');
  expect(status).toBe(0);
});

it('fails a pull request that is slower', () => {
  expect(compare(checkout('slower', 90)).status).toBe(99);
});

it('is called by the workflow with the arguments that it takes', () => {
  const workflow = parse(readFileSync('examples/ci/cosmos-pipe-bench.yml', 'utf8')) as {
    jobs: { bench: { steps: { run?: string }[] } };
  };
  const runs = workflow.jobs.bench.steps.map(({ run }) => run ?? '');
  expect(runs).toContain('sh head/ci/bench-and-compare.sh base head reports');
});
