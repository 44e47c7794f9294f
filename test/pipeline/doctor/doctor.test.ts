import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CosmosClient } from '@azure/cosmos';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalStack, startLocal } from '../../../src/local/index.ts';
import { examineMachine, readMachine } from '../../../src/pipeline/doctor/machine.ts';
import { clockSkewMs, skewCheck } from '../../../src/pipeline/doctor/skew.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { cli } from '../../helpers/cli.ts';
import { createContainer } from '../../local/cosmos/sdk.ts';

let stack: LocalStack;
let folder: string;
beforeAll(async () => {
  stack = await startLocal();
  folder = mkdtempSync(join(tmpdir(), 'cosmos-pipe-doctor-'));
});
afterAll(async () => {
  await stack.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Report {
  readonly ok: boolean;
  readonly checks: readonly { readonly name: string; readonly status: string; readonly text: string }[];
}

async function doctor(env: NodeJS.ProcessEnv): Promise<{ code: number; report: Report }> {
  const { code, stdout } = await cli(['doctor', '--json', '--timeout', '60s'], { env, cwd: folder });
  return { code, report: JSON.parse(stdout) as Report };
}

function statusOf({ checks }: Report): Record<string, string> {
  return Object.fromEntries(checks.map(({ name, status }) => [name, status]));
}

describe('doctor', () => {
  it('finds every service of a stack well, and names a container that is missing', async () => {
    const { code, report } = await doctor({ ...stack.environment });
    expect(code).toBe(0);
    expect(statusOf(report)).toEqual({
      node: 'ok',
      'open files': expect.stringMatching(/ok|warning/),
      config: 'skipped',
      'local stack': 'skipped',
      'event hubs': 'ok',
      'cosmos db': 'warning',
      redis: 'ok',
      'event grid': 'ok',
      clock: 'ok',
    });
    expect(report.checks.find(({ name }) => name === 'event hubs')?.text).toMatch(/telemetry, 4 partitions$/);
  });

  it('tells key, throughput and ranges of the container', async () => {
    const client = new CosmosClient({
      endpoint: stack.environment['COSMOS_ENDPOINT'] as string,
      key: stack.environment['COSMOS_KEY'] as string,
    });
    await createContainer(client, { id: 'seen', throughput: 12_000 });
    const env = { ...stack.environment, COSMOS_DATABASE: 'db', COSMOS_CONTAINER: 'seen' };
    const { report } = await doctor(env);
    expect(report.checks.find(({ name }) => name === 'cosmos db')?.text).toContain(
      'db/seen, key /pk, manual 12,000 RU/s, 2 partition key ranges',
    );
    client.dispose();
  });

  it('exits with 3 and says what is wrong with each service that does not answer or refuses', async () => {
    const { code, report } = await doctor({
      ...stack.environment,
      COSMOS_KEY: 'd3Jvbmc=',
      REDIS_URL: 'redis://:secret@127.0.0.1:1',
      EVENTGRID_TOPIC_KEY: 'wrong',
      EVENTHUB_CONNECTION_STRING: (stack.environment['EVENTHUB_CONNECTION_STRING'] as string).replace(
        /SharedAccessKey=[^;]+/,
        'SharedAccessKey=wrong',
      ),
    });
    expect(code).toBe(3);
    expect(report.ok).toBe(false);
    expect(statusOf(report)).toMatchObject({
      'event hubs': 'problem',
      'cosmos db': 'problem',
      redis: 'problem',
      'event grid': 'problem',
    });
    expect(JSON.stringify(report)).not.toContain('secret');
  });

  it('checks what is configured only, and shows it as lines', async () => {
    writeFileSync(join(folder, 'pipeline.yaml'), 'produce: {}\n');
    const { stdout } = await cli(['doctor'], {
      env: { REDIS_URL: stack.environment['REDIS_URL'], COSMOS_ENDPOINT: 'ftp://contoso' },
      cwd: folder,
    });
    rmSync(join(folder, 'pipeline.yaml'));
    expect(stdout).toMatch(/✓ redis {8}127\.0\.0\.1:\d+, version 7/);
    expect(stdout).toMatch(/✓ config {7}.*pipeline\.yaml/);
    expect(stdout).toContain('- event hubs   skipped: no Event Hubs connection is configured');
    expect(stdout).toContain('✗ cosmos db    the Cosmos DB endpoint "ftp://contoso" is not an http(s) URL');
    expect(stdout).toContain('1 problem, 0 warnings, 3 skipped');
  });
});

it('measures the clock against the Date header of any service', async () => {
  const endpoint = stack.environment['COSMOS_ENDPOINT'] as string;
  const hourAhead = { epochMicros: () => systemClock.epochMicros() + 3_600e6 };
  const skew = await clockSkewMs(endpoint, hourAhead, AbortSignal.timeout(60_000));
  expect((skew as number) / 60_000).toBeCloseTo(60, 0);
});

it.each([
  [200, 'ok', 'within a second of the service'],
  [-9_000, 'ok', '9.0s behind the service'],
  [120_000, 'warning', '2m00s ahead of the service'],
  [-1_200_000, 'problem', '20m00s behind the service: signatures are refused beyond 15m00s'],
  [undefined, 'skipped', 'no service told the time'],
] as const)('judges a skew of %s ms as %s', (skewMs, status, text) => {
  expect(skewCheck(skewMs)).toMatchObject({ status, text });
});

it('judges the version of Node and the limit of open files', () => {
  expect(examineMachine(readMachine())[0]).toMatchObject({ status: 'ok' });
  const poor = examineMachine({ nodeVersion: '20.18.1', openFiles: 256 });
  expect(poor.map(({ status }) => status)).toEqual(['problem', 'warning']);
  expect(poor[1]?.hint).toContain('ulimit -n');
  expect(examineMachine({ nodeVersion: '24.1.0' })[1]?.status).toBe('skipped');
});
